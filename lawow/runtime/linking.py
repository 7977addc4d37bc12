"""Host functions for wasmtime: a linker in which Python functions stand for a module's imports.

A callback must not raise into the library, so whatever a host function raises becomes a trap with the
function's name and the error's sentence. Values travel as in `lawow.runtime.binding`.
"""

from __future__ import annotations

import struct
from ctypes import byref, memmove, string_at

from lawow.runtime import libwasmtime as lib
from lawow.runtime.binding import SLOT
from lawow.runtime.failures import HOST_FUNCTION_FAILED, require_done
from lawow.runtime.host_functions import GuestMemory, HostFunction, MissingMemory, bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.runtime.host_functions import HostCall

__all__ = ["define_functions"]

_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}  # wasm_valkind_enum
_MEMORY = 3  # WASMTIME_EXTERN_MEMORY
_SENTENCE_BYTES = 500


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

    __slots__ = ("_arguments", "_call", "_function", "_results")

    def __init__(self, function: HostFunction, call: HostCall) -> None:
        kinds = function.type
        self._call = call
        self._function = function
        self._arguments = struct.Struct("<" + "".join(SLOT[kind] for kind in kinds.params))
        self._results = struct.Struct("<" + "".join(SLOT[kind] for kind in kinds.results))

    def __call__(self, data: int, caller: int, slots: int, count: int) -> int | None:
        """Run the function; return a new trap if it failed."""
        try:
            arguments = self._arguments.unpack(string_at(slots, self._arguments.size))
            answer = self._call(_memory(caller), *arguments)
            results = () if answer is None else answer if isinstance(answer, tuple) else (answer,)
            packed = self._results.pack(*results)
        except Exception as error:  # noqa: BLE001  # nothing may unwind into the library
            name = f"{self._function.module}.{self._function.name}"
            text = f"{HOST_FUNCTION_FAILED} {name}: {error or type(error).__name__}".encode()[
                :_SENTENCE_BYTES
            ]
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
        address &= 0xFFFFFFFF if size <= 1 << 32 else (1 << 64) - 1  # a pointer arrives as a signed integer
        if length_bytes < 0 or address + length_bytes > size:
            raise IndexError(f"{length_bytes} bytes at {address:#x} do not lie in the guest's {size} bytes")
        return (functions.wasmtime_memory_data(context, item.address) or 0) + address

    def read(address: int, length_bytes: int) -> bytes:
        return string_at(place(address, length_bytes), length_bytes)

    def write(address: int, data: bytes) -> None:
        memmove(place(address, len(data)), data, len(data))

    return GuestMemory(read, write)
