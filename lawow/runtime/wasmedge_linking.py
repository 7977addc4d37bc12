"""Host functions for WasmEdge's library: host modules in which Python functions stand for a guest's imports.

A callback must not raise into the library. Whatever a host function raises ends the guest by a number, and
what is to be said of it waits in `HostModules.failure`, where the guest's caller finds it.
"""

from __future__ import annotations

from ctypes import c_uint64, create_string_buffer, memmove, string_at
from itertools import groupby

from lawow.runtime import libwasmedge as lib
from lawow.runtime.host_functions import (
    GuestMemory,
    HostFunction,
    MissingMemory,
    PackedCall,
    bind,
    place_in_memory,
)
from lawow.runtime.wasmedge_base import PAGE_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from lawow.runtime.host_functions import HostCall

__all__ = ["HostModules", "read_memory", "write_memory"]

_LAYOUTS = {"i32": "i28x", "i64": "q24x", "f32": "f28x", "f64": "d24x"}
"""Layout of a value of 32 bytes. The library reads no types from results."""

_DONE, _FAILED = 0, 2  # WasmEdge_Result_Success, WasmEdge_Result_Fail
_NO_COST = 0


class HostModules:
    """The host modules of one instance; `failure` is the sentence of a host function that failed, or ""."""

    def __init__(self, functions: Sequence[HostFunction]) -> None:
        self.failure = ""
        self._kept: list[object] = []  # callbacks, which must live as long as the modules
        self._modules = [
            self._new_module(name, list(items))
            for name, items in groupby(
                sorted(zip(functions, bind(functions), strict=True), key=_module_of), key=_module_of
            )
        ]

    @property
    def pointers(self) -> list[int]:
        """The ``WasmEdge_ModuleInstanceContext`` of each module."""
        return [module.pointer for module in self._modules]

    def close(self) -> None:
        """Free the modules and the functions in them."""
        for module in self._modules:
            module.close()

    def abandon(self) -> None:
        """Leave the modules to a guest that cannot be stopped."""
        for module in self._modules:
            module.give_away()
        _abandoned.append(self)

    def _new_module(self, name: str, functions: Sequence[tuple[HostFunction, HostCall]]) -> lib.Handle:
        library = lib.library()
        module = lib.Handle(
            library.ModuleInstanceCreate(lib.Text(name.encode())), library.ModuleInstanceDelete
        )
        for item, call in functions:
            callback = lib.HostCallback(_Bridge(item, call, self))
            self._kept.append(callback)
            kind = lib.Handle(_function_type(item), library.FunctionTypeDelete)
            function = library.FunctionInstanceCreate(kind.pointer, callback, None, _NO_COST)
            kind.close()
            library.ModuleInstanceAddFunction(module.pointer, lib.Text(item.name.encode()), function)
        return module


_abandoned: list[HostModules] = []
"""Modules that a guest may still call."""


def read_memory(memory: int, address: int, length_bytes: int) -> bytes:
    """Return a copy of a part of a memory. Raises `IndexError` outside of it."""
    start = _place(memory, address, length_bytes)
    if not length_bytes:
        return b""
    data = create_string_buffer(length_bytes)
    if lib.library().MemoryInstanceGetData(memory, data, start, length_bytes):
        raise IndexError(f"WasmEdge does not give {length_bytes} bytes at {address:#x}")
    return data.raw


def write_memory(memory: int, address: int, data: bytes) -> None:
    """Write into a memory, all or nothing. Raises `IndexError` outside of it."""
    start = _place(memory, address, len(data))
    if data and lib.library().MemoryInstanceSetData(memory, data, start, len(data)):
        raise IndexError(f"WasmEdge does not take {len(data)} bytes at {address:#x}")


def _place(memory: int, address: int, length_bytes: int) -> int:
    size = lib.library().MemoryInstanceGetPageSize(memory) * PAGE_BYTES
    return place_in_memory(address, length_bytes, size)


def _module_of(item: tuple[HostFunction, HostCall]) -> str:
    return item[0].module


def _function_type(item: HostFunction) -> int:
    """Return a new ``WasmEdge_FunctionTypeContext``, which the caller owns."""
    lists = []
    for kinds in (item.type.params, item.type.results):
        lists += [(c_uint64 * max(len(kinds), 1))(*lib.value_types(kinds)), len(kinds)]
    return lib.library().FunctionTypeCreate(*lists)


class _Bridge:
    """What the library calls for one host function, in a thread of its own."""

    __slots__ = ("_call", "_modules")

    def __init__(self, function: HostFunction, call: HostCall, modules: HostModules) -> None:
        self._call = PackedCall(function, call, _LAYOUTS)
        self._modules = modules

    def __call__(self, data: int, frame: int, parameters: int, results: int) -> int:
        """Run the function; return whether the guest goes on."""
        try:
            given = string_at(parameters, self._call.argument_bytes) if parameters else b""
            packed = self._call.run(_memory_of(frame), given)
        except BaseException as error:  # noqa: BLE001  # nothing may unwind into the library
            self._modules.failure = self._call.sentence(error)
            return _FAILED
        if packed:
            memmove(results, packed, len(packed))
        return _DONE


def _memory_of(frame: int) -> GuestMemory:
    """Return the guest's memory, looked up when it is used."""

    def find() -> int:
        library = lib.library()
        module = library.CallingFrameGetModuleInstance(frame)
        memory = library.ModuleInstanceFindMemory(module, lib.Text(b"memory")) if module else None
        if not memory:
            raise MissingMemory("the guest exports no memory named memory")
        return memory

    return GuestMemory(
        lambda address, length_bytes: read_memory(find(), address, length_bytes),
        lambda address, data: write_memory(find(), address, data),
    )
