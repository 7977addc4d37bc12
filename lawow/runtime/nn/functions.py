"""The host functions of wasi-nn, and what one instance of a guest keeps behind their handles.

Handles are positions in lists of this instance alone, so that no number reaches another guest's graph. No
call gives one back, therefore there are few (`lawow.limits.NnLimits`). Whatever a guest does wrong is an
error code for it and a sentence in the report; nothing ends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy

from lawow.runtime.host_functions import GuestMemory, HostFunction, MissingMemory
from lawow.runtime.nn.abi import (
    AUTO_TARGET,
    FUNCTIONS,
    MODULE_NAME,
    Encoding,
    ErrorCode,
    NnError,
    Target,
    read_builders,
    read_name,
    read_tensor,
    unsigned,
)
from lawow.runtime.nn.models import Model, open_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.runtime.nn.grant import InferenceGrant
    from lawow.runtime.nn.models import Array

__all__ = ["GuestInference", "host_functions"]

Item = TypeVar("Item")

_WORD_BYTES = 4
_DEVICES = {Target.CPU: "cpu", Target.GPU: "gpu", AUTO_TARGET: "auto"}


class _Context:
    """One execution context: a model, the inputs that are set, the outputs of the last run."""

    __slots__ = ("inputs", "model", "outputs")

    def __init__(self, model: Model) -> None:
        self.model = model
        self.inputs: dict[str, Array] = {}
        self.outputs: Sequence[object] | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes of all its tensors."""
        outputs = [item for item in self.outputs or () if isinstance(item, numpy.ndarray)]
        return sum(item.nbytes for item in (*self.inputs.values(), *outputs))


class GuestInference:
    """The graphs and contexts of one instance. Methods are the functions of the interface.

    Each returns the number that the guest gets through its result pointer, or None, and raises `NnError`, or
    `IndexError` for a pointer out of the guest's memory.
    """

    def __init__(self, grant: InferenceGrant) -> None:
        self._grant = grant
        self._graphs: list[Model] = []
        self._contexts: list[_Context] = []
        self._model_bytes = 0
        grant.guests.add(self)

    @property
    def held_bytes(self) -> int:
        """Bytes of the tensors of all its contexts."""
        return sum(item.held_bytes for item in self._contexts)

    def load(self, memory: GuestMemory, builders: int, count: int, encoding: int, target: int) -> int:
        """Load a model that the guest brings along."""
        self._require_room(self._graphs, self._grant.limits.graphs, "graphs")
        _require_onnx(encoding)
        asked = _device_of(target)
        data = read_builders(memory, builders, count, self._grant.limits.model_bytes - self._model_bytes)
        label = f"a model of the guest, sha256 {hashlib.sha256(data).hexdigest()[:12]}"
        model = open_model(label, data, self._grant.device or asked, self._grant.limits)
        self._model_bytes += len(data)
        return self._add_graph(model)

    def load_by_name(self, memory: GuestMemory, name: int, length: int) -> int:
        """Load a model that the user granted."""
        self._require_room(self._graphs, self._grant.limits.graphs, "graphs")
        return self._add_graph(self._grant.named(read_name(memory, name, length, self._grant.limits)))

    def init_execution_context(self, memory: GuestMemory, graph: int) -> int:
        """Make a context for a graph."""
        self._require_room(self._contexts, self._grant.limits.contexts, "contexts")
        self._contexts.append(_Context(_at(self._graphs, graph, "graph")))
        return len(self._contexts) - 1

    def set_input(self, memory: GuestMemory, context: int, index: int, tensor: int) -> None:
        """Set an input of a context."""
        found = self._context(context)
        name, array = found.model.array(unsigned(index), read_tensor(memory, tensor, self._grant.limits))
        replaced = found.inputs.get(name)
        self._require_held(array.nbytes - (0 if replaced is None else replaced.nbytes))
        found.inputs[name] = array

    def compute(self, memory: GuestMemory, context: int) -> None:
        """Run the graph of a context."""
        found = self._context(context)
        found.outputs = None
        found.outputs = found.model.run(found.inputs, self._grant.stopper)
        try:
            self._require_held(0)
        except NnError:
            found.outputs = None
            raise

    def get_output(self, memory: GuestMemory, context: int, index: int, buffer: int, size: int) -> int:
        """Copy an output into the guest's buffer; return its bytes."""
        found = _output(self._context(context), unsigned(index))
        if found.nbytes > unsigned(size):
            raise NnError(
                ErrorCode.TOO_LARGE, f"the output has {found.nbytes} bytes, the buffer {unsigned(size)}"
            )
        memory.write(buffer, found.tobytes())
        return found.nbytes

    def _context(self, handle: int) -> _Context:
        return _at(self._contexts, handle, "context")

    def _add_graph(self, model: Model) -> int:
        model.use = self._grant.report.share(model.use)
        self._graphs.append(model)
        return len(self._graphs) - 1

    def _require_held(self, more_bytes: int) -> None:
        held, limit = self._grant.held_bytes() + more_bytes, self._grant.limits.held_bytes
        if held > limit:
            raise NnError(ErrorCode.TOO_LARGE, f"contexts would hold {held} bytes, held_bytes is {limit}")

    @staticmethod
    def _require_room(items: Sequence[object], limit: int, what: str) -> None:
        if len(items) >= limit:
            raise NnError(ErrorCode.BUSY, f"this instance has {limit} {what} already, which is the limit")


def host_functions(grant: InferenceGrant) -> list[HostFunction]:
    """Return the six functions, with a `GuestInference` for each instance."""

    def make() -> GuestInference:
        grant.prepare()
        return GuestInference(grant)

    return [
        HostFunction(
            MODULE_NAME, name, letters, _guarded(grant, name, getattr(GuestInference, name)), state=make
        )
        for name, letters in FUNCTIONS.items()
    ]


_WITHOUT_RESULT = ("set_input", "compute")


def _guarded(grant: InferenceGrant, name: str, method: Callable[..., int | None]) -> Callable[..., int]:
    """Return the function as the guest calls it: an error code, and the result through its last argument."""

    def call(guest: GuestInference, memory: GuestMemory, *arguments: int) -> int:
        try:
            if name in _WITHOUT_RESULT:
                method(guest, memory, *arguments)
            else:
                *given, place = arguments
                memory.read(place, _WORD_BYTES)  # before anything is done that could not be told
                result = method(guest, memory, *given)
                memory.write(place, (result or 0).to_bytes(_WORD_BYTES, "little"))
        except NnError as error:
            return grant.report.refuse(name, error)
        except MissingMemory as error:
            return grant.report.refuse(name, NnError(ErrorCode.MISSING_MEMORY, str(error)))
        except IndexError as error:
            return grant.report.refuse(name, NnError(ErrorCode.INVALID_ARGUMENT, str(error)))
        return ErrorCode.SUCCESS

    return call


def _at(items: Sequence[Item], handle: int, what: str) -> Item:
    """Return what a handle stands for."""
    index = unsigned(handle)
    if index >= len(items):
        raise NnError(ErrorCode.INVALID_ARGUMENT, f"there is no {what} {index}")
    return items[index]


def _require_onnx(encoding: int) -> None:
    if encoding not in list(Encoding):
        raise NnError(ErrorCode.INVALID_ARGUMENT, f"{encoding} is no encoding")
    if encoding not in (Encoding.ONNX, Encoding.AUTODETECT):
        name = Encoding(encoding).name.lower()
        raise NnError(ErrorCode.INVALID_ENCODING, f"models are read as ONNX; {name} was given")


def _device_of(target: int) -> str:
    """Return the device of `abi.DEVICES` that a guest asks for."""
    if target == Target.TPU:
        raise NnError(ErrorCode.UNSUPPORTED_OPERATION, "a TPU was asked for; there is cpu and gpu")
    try:
        return _DEVICES[target]
    except KeyError:
        raise NnError(ErrorCode.INVALID_ARGUMENT, f"{target} is no execution target") from None


def _output(context: _Context, index: int) -> Array:
    """Return an output of the last run."""
    if context.outputs is None:
        raise NnError(ErrorCode.RUNTIME_ERROR, "nothing has been computed in this context")
    if index >= len(context.outputs):
        raise NnError(
            ErrorCode.INVALID_ARGUMENT,
            f"{context.model.use.name} has {len(context.outputs)} outputs; there is no output {index}",
        )
    found = context.outputs[index]
    if not isinstance(found, numpy.ndarray) or found.dtype.hasobject:
        raise NnError(ErrorCode.UNSUPPORTED_OPERATION, f"output {index} is no tensor of numbers")
    return found
