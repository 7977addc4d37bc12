"""What the user grants with ``nn``: models by name, perhaps a device; and the report of what came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lawow.limits import NN
from lawow.runtime.host_functions import HostFunction
from lawow.runtime.nn import onnx_runtime
from lawow.runtime.nn.abi import ErrorCode, NnError
from lawow.runtime.nn.functions import host_functions
from lawow.runtime.nn.models import Model, open_model
from lawow.runtime.nn.report import InferenceReport

__all__ = ["InferenceGrant"]


class InferenceGrant:
    """`models` are paths by the names under which a guest loads them.

    `device` of `lawow.runtime.nn.abi.DEVICES` decides for every model; None leaves it to the guest's
    target, and means ``auto`` where there is none. A named model is read when it is first asked for, and its
    session serves every later instance: sessions keep nothing between runs.
    """

    def __init__(self, models: Mapping[str, str] | None = None, device: str | None = None) -> None:
        self._paths = dict(models or {})
        self._open: dict[str, Model] = {}
        self.device = device
        self.report = InferenceReport()
        self.functions: list[HostFunction] = host_functions(self)

    def prepare(self) -> None:
        """Import the library before a guest's time counts. Raises `LawowError` if it is not there."""
        onnx_runtime.load()

    def named(self, name: str) -> Model:
        """Return the model of that name. Raises `NnError`."""
        if name not in self._open:
            if name not in self._paths:
                granted = ", ".join(self._paths) or "none"
                raise NnError(ErrorCode.NOT_FOUND, f"no model is named {name!r}; granted: {granted}")
            self._open[name] = open_model(name, _read(self._paths[name]), self.device or "auto")
        return self._open[name]


def _read(path: str) -> bytes:
    """Return a model's file. Raises `NnError`: the guest goes on without it."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > NN.model_bytes:
                raise NnError(
                    ErrorCode.TOO_LARGE, f"{path}: model_bytes is {size}, the limit is {NN.model_bytes}"
                )
            return stream.read()
    except OSError as error:
        raise NnError(ErrorCode.NOT_FOUND, f"{path}: {error.strerror}") from None
