"""Host functions for wasmtime: a linker in which Python functions stand for a module's imports.

A callback must not raise into the library, so whatever a host function raises becomes a trap with the
function's name and the error's sentence. Values travel as in `lawow.runtime.binding`.
"""

from __future__ import annotations

from ctypes import byref, memmove, string_at

from lawow.runtime import libwasmtime as lib
from lawow.runtime.binding import SLOT
from lawow.runtime.failures import require_done
from lawow.runtime.host_functions import (
    GuestMemory,
    HostFunction,
    MissingMemory,
    PackedCall,
    bind,
    place_in_memory,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.runtime.host_functions import HostCall

__all__ = ["define_functions"]

_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}  # wasm_valkind_enum
_MEMORY = 3  # WASMTIME_EXTERN_MEMORY


def define_functions(linker: int, functions: Sequence[HostFunction]) -> list[object]:
    """Define `functions` in the linker of one instance; return what must live as long as that instance."""
    kept: list[object] = []
    for item, call in zip(functions, bind(functions), strict=True):
        callback = lib.HostCallback(_Bridge(item, call))
        kept.append(callback)
        kind = lib.Handle(_function_type(item), lib.library().wasm_functype_delete)
        module, name = item.module.encode(), item.name.encode()
        require_done(
            lib.library().wasmtime_linker_define_func_unchecked(
                linker, module, len(module), name, len(name), kind.pointer, callback, None, None
            )
        )
        kind.close()
    return kept


def _function_type(item: HostFunction) -> int:
    """Return a new ``wasm_functype_t``, which the caller owns."""
    vectors = [
        lib.value_type_vector(_KINDS[kind] for kind in kinds)
        for kinds in (item.type.params, item.type.results)
    ]
    return lib.library().wasm_functype_new(byref(vectors[0]), byref(vectors[1]))


class _Bridge:
    """What the library calls for one host function."""

    __slots__ = ("_call",)

    def __init__(self, function: HostFunction, call: HostCall) -> None:
        self._call = PackedCall(function, call, SLOT)

    def __call__(self, data: int, caller: int, slots: int, count: int) -> int | None:
        """Run the function; return a new trap if it failed."""
        try:
            packed = self._call.run(_memory(caller), string_at(slots, self._call.argument_bytes))
        except Exception as error:  # noqa: BLE001  # nothing may unwind into the library
            text = self._call.sentence(error).encode()
            return lib.library().wasmtime_trap_new(text, len(text))
        memmove(slots, packed, len(packed))
        return None


def _memory(caller: int) -> GuestMemory:
    """Return the guest's memory, looked up when it is used: it may move whenever the guest runs."""

    def place(address: int, length_bytes: int) -> int:
        functions, item = lib.library(), lib.ExternRecord()
        name = b"memory"
        if (
            not functions.wasmtime_caller_export_get(caller, name, len(name), byref(item))
            or item.kind != _MEMORY
        ):
            raise MissingMemory("the guest exports no memory named memory")
        context = functions.wasmtime_caller_context(caller)
        size = functions.wasmtime_memory_data_size(context, item.address)
        address = place_in_memory(address, length_bytes, size)
        return (functions.wasmtime_memory_data(context, item.address) or 0) + address

    def read(address: int, length_bytes: int) -> bytes:
        return string_at(place(address, length_bytes), length_bytes)

    def write(address: int, data: bytes) -> None:
        memmove(place(address, len(data)), data, len(data))

    return GuestMemory(read, write)
