"""A model that is ready to run: checked, and on the device that was decided for it.

A device that was asked for by name is used or refused; only ``auto`` takes what there is, and the report says
why that was the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.onnx import require_self_contained_model
from lawow.limits import NN, NnLimits
from lawow.runtime.nn.abi import TYPE_NAMES, ErrorCode, NnError, TensorRecord
from lawow.runtime.nn.onnx_runtime import (
    GPU,
    Session,
    gpu_problem,
    memory_limit,
    nodes_of,
    open_session,
    sentence_of,
)
from lawow.runtime.nn.report import ModelUse
from lawow.runtime.nn.stopper import RunStopper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[numpy.generic]

__all__ = ["Model", "open_model"]

_TYPES = {
    "tensor(float16)": "f16",
    "tensor(float)": "f32",
    "tensor(double)": "f64",
    "tensor(uint8)": "u8",
    "tensor(int32)": "i32",
    "tensor(int64)": "i64",
}
"""ONNX Runtime's name of a type -> the interface's."""

_DTYPES = ("float16", "float32", "float64", "uint8", "int32", "int64")
"""NumPy's names, by the interface's numbers."""

_OUT_OF_MEMORY = ("Available memory of", "Failed to allocate memory", "bad_alloc")


@dataclass(frozen=True, slots=True)
class _Input:
    """An input of a model: `type` is such as ``tensor(float)``; a dimension that varies is no number."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]


class Model:
    """A session, its `inputs`, and in `use` its name and device: ``gpu`` if at least one node is there.

    Holds nothing of a guest, so that any number of contexts may run it.
    """

    __slots__ = ("_session", "inputs", "use")

    def __init__(self, name: str, asked: str, session: Session, note: str = "") -> None:
        self._session = session
        self.inputs = tuple(_Input(item.name, item.type, tuple(item.shape)) for item in session.get_inputs())
        nodes = nodes_of(session)
        self.use = ModelUse(name, asked, "gpu" if nodes.get(GPU) else "cpu", nodes, note)

    def array(self, index: int, tensor: TensorRecord) -> tuple[str, Array]:
        """Return name and array of an input. Raises `NnError` if the model has no such input."""
        if index >= len(self.inputs):
            raise NnError(
                ErrorCode.INVALID_ARGUMENT,
                f"{self.use.name} has {len(self.inputs)} inputs; there is no input {index}",
            )
        found = self.inputs[index]
        shape = _fitting_shape(f"input {index} of {self.use.name}", found, tensor)
        return found.name, numpy.frombuffer(tensor.data, _DTYPES[tensor.type]).reshape(shape)

    def run(self, inputs: dict[str, Array], stopper: RunStopper) -> Sequence[object]:
        """Return the outputs for inputs by name: arrays, or something else for what is no tensor.

        Raises `NnError`, also when it was stopped.
        """
        missing = ", ".join(item.name for item in self.inputs if item.name not in inputs)
        if missing:
            raise NnError(ErrorCode.RUNTIME_ERROR, f"inputs of {self.use.name} are not set: {missing}")
        started = perf_counter()
        try:
            with stopper.run() as options:
                return self._session.run(None, inputs, options)
        except Exception as error:  # noqa: BLE001  # the library's errors have no common base
            raise _failure(ErrorCode.RUNTIME_ERROR, self.use.name, error) from None
        finally:
            self.use.runs += 1
            self.use.run_seconds += perf_counter() - started


def open_model(name: str, data: bytes, asked: str, limits: NnLimits = NN) -> Model:
    """Return the model of these bytes on a device of `abi.DEVICES`; `name` names it for people.

    Raises `NnError`; `LawowError` if ONNX Runtime is not installed.
    """
    try:
        require_self_contained_model(data, limits.nodes)
    except FormatError as error:
        raise NnError(ErrorCode.INVALID_ENCODING, f"{name}: {error}") from None
    except LimitExceeded as error:
        raise NnError(ErrorCode.TOO_LARGE, f"{name}: {error}") from None
    if asked == "cpu":
        return _open(name, data, asked, limits, gpu=False)
    try:
        return _on_gpu(name, data, asked, limits)
    except NnError as error:
        if asked == "gpu":
            raise
        return _open(name, data, asked, limits, gpu=False, note=str(error))


def _on_gpu(name: str, data: bytes, asked: str, limits: NnLimits) -> Model:
    """Return the model if a GPU takes any of it. Raises `NnError`."""
    problem = gpu_problem()
    if not problem:
        model = _open(name, data, asked, limits, gpu=True)
        if model.use.device == "gpu":
            return model
        problem = f"{GPU} takes none of its nodes"
    raise NnError(ErrorCode.UNSUPPORTED_OPERATION, f"{name} cannot run on a GPU: {problem}")


def _open(name: str, data: bytes, asked: str, limits: NnLimits, *, gpu: bool, note: str = "") -> Model:
    try:
        session = open_session(data, gpu=gpu, threads=limits.threads)
        return Model(name, asked, session, note)  # also a name may be no text
    except Exception as error:  # noqa: BLE001  # the library's errors have no common base
        raise _failure(ErrorCode.INVALID_ENCODING, name, error) from None


def _failure(code: ErrorCode, name: str, error: Exception) -> NnError:
    text = sentence_of(error)
    if isinstance(error, MemoryError) or any(part in str(error) for part in _OUT_OF_MEMORY):
        return NnError(
            ErrorCode.TOO_LARGE, f"{name}: memory_bytes would be more than {memory_limit()}: {text}"
        )
    return NnError(code, f"{name}: {text}")


def _fitting_shape(place: str, found: _Input, tensor: TensorRecord) -> tuple[int, ...]:
    """Return the shape in which a tensor is an input. Raises `NnError` if it is none."""
    kind = _TYPES.get(found.type)
    if kind is None:
        raise NnError(
            ErrorCode.UNSUPPORTED_OPERATION, f"{place} is a {found.type}, which wasi-nn has no word for"
        )
    given = TYPE_NAMES[tensor.type]
    if kind != given:
        raise NnError(ErrorCode.INVALID_ARGUMENT, f"{place} holds {kind}, {given} was given")
    wanted = found.shape
    if not wanted and tensor.shape == (1,):
        return ()  # the interface writes a single value so
    pairs = zip(wanted, tensor.shape, strict=False)
    if len(wanted) != len(tensor.shape) or any(isinstance(size, int) and size != has for size, has in pairs):
        raise NnError(
            ErrorCode.INVALID_ARGUMENT,
            f"{place} has the shape {list(wanted)}, {list(tensor.shape)} was given",
        )
    return tensor.shape
