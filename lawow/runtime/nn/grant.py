"""What is granted with ``nn``: models by name, a device, limits; and the report of what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from weakref import WeakSet

from lawow.limits import NN, NnLimits
from lawow.runtime.host_functions import HostFunction
from lawow.runtime.nn import onnx_runtime
from lawow.runtime.nn.abi import ErrorCode, NnError
from lawow.runtime.nn.functions import GuestInference, host_functions
from lawow.runtime.nn.models import Model, open_model
from lawow.runtime.nn.report import InferenceReport
from lawow.runtime.nn.stopper import RunStopper

__all__ = ["InferenceGrant", "file_reader"]

ReadModel = Callable[[NnLimits], bytes]
"""Returns a model's bytes, within `NnLimits.model_bytes`. Raises `NnError`: the guest goes on without it."""


class InferenceGrant:
    """`models` are paths by the names under which a guest loads them.

    `device` of `lawow.runtime.nn.abi.DEVICES` decides for every model; None leaves it to the guest's
    target, and means ``auto`` where there is none. A named model is read when it is first asked for, and its
    session shared by all instances under this grant, as is what `limits` allows to hold. `stopper` ends runs
    that take too long, for whoever tells it when that is.
    """

    def __init__(
        self, models: Mapping[str, str] | None = None, device: str | None = None, limits: NnLimits = NN
    ) -> None:
        self._readers: dict[str, ReadModel] = {}
        self._open: dict[str, Model] = {}
        self.device = device
        self.limits = limits
        self.report = InferenceReport()
        self.stopper = RunStopper()
        self.guests: WeakSet[GuestInference] = WeakSet()
        self.functions: list[HostFunction] = host_functions(self)
        for name, path in (models or {}).items():
            self.put(name, file_reader(path))

    def prepare(self) -> None:
        """Import the library before a guest's time counts. Raises `LawowError` if it is not there."""
        onnx_runtime.load(self.limits.memory_bytes)

    def put(self, name: str, read: ReadModel | None) -> None:
        """Let a name stand for what `read` reads from now on, or for nothing; graphs stay what they are."""
        self._readers.pop(name, None)
        self._open.pop(name, None)
        if read is not None:
            self._readers[name] = read

    def named(self, name: str) -> Model:
        """Return the model of that name. Raises `NnError`."""
        if name not in self._open:
            if name not in self._readers:
                granted = ", ".join(self._readers) or "none"
                raise NnError(ErrorCode.NOT_FOUND, f"no model is named {name!r}; granted: {granted}")
            data = self._readers[name](self.limits)
            self._open[name] = open_model(name, data, self.device or "auto", self.limits)
        return self._open[name]

    def held_bytes(self) -> int:
        """Return the bytes of the tensors that all contexts of all living instances hold."""
        return sum(item.held_bytes for item in self.guests)


def file_reader(path: str) -> ReadModel:
    """Return what reads the model in a file."""

    def read(limits: NnLimits) -> bytes:
        try:
            with open(path, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size > limits.model_bytes:
                    raise NnError(
                        ErrorCode.TOO_LARGE,
                        f"{path}: model_bytes is {size}, the limit is {limits.model_bytes}",
                    )
                return stream.read()
        except OSError as error:
            raise NnError(ErrorCode.NOT_FOUND, f"{path}: {error.strerror}") from None

    return read
