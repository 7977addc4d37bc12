"""`Cells` of an instance in WasmEdge's library.

A reference to a function is a value whose low half is a type and whose high half is the function; 0 is null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import byref

from lawow.errors import LawowError
from lawow.formats.wasm_expose import StateNames
from lawow.formats.wasm_state import FUNCREF
from lawow.runtime import libwasmedge as lib
from lawow.runtime.cells import Cells, Functions, too_large

__all__ = ["WasmEdgeCells"]

_BITS = {"i32": 32, "f32": 32, "i64": 64, "f64": 64, "v128": 128}
_HALF = (1 << 64) - 1

_Find = Callable[[str, str], int | None]


class WasmEdgeCells(Cells):
    """`find` returns the export of a kind (``Global``, ``Table`` ...) and a name, as long as it is used."""

    def __init__(self, names: StateNames, find: _Find) -> None:
        super().__init__(names)
        self._find = find
        self._functions = Functions(
            {index: self._export("Function", names.of_function(index)) for index in names.functions}
        )

    def read_global(self, index: int) -> int:
        kind = self.names.globals[index]
        value = self._value(index)
        if kind == FUNCREF:
            return self._functions.index_of(value.high)
        bits: int = value.low | value.high << 64
        return bits & (1 << _BITS[kind]) - 1

    def write_global(self, index: int, pattern: int) -> None:
        kind = self.names.globals[index]
        if kind == FUNCREF:
            value = self._reference(pattern)
        else:
            value = self._value(index)  # for its type
            value.low, value.high = pattern & _HALF, pattern >> 64
        pointer = self._export("Global", self.names.of_global(index, kind))
        _require_done(lib.library().GlobalInstanceSetValue(pointer, value))

    def table_length(self, index: int) -> int:
        return lib.library().TableInstanceGetSize(self._export("Table", self.names.of_table(index)))

    def read_table(self, index: int) -> list[int]:
        table, value, found = self._export("Table", self.names.of_table(index)), lib.Value(), []
        get = lib.library().TableInstanceGetData
        for position in range(self.table_length(index)):
            _require_done(get(table, byref(value), position))
            found.append(self._functions.index_of(value.high))
        return found

    def write_table(self, index: int, elements: Sequence[int]) -> None:
        table, functions = self._export("Table", self.names.of_table(index)), lib.library()
        missing = len(elements) - self.table_length(index)
        if missing > 0 and functions.TableInstanceGrow(table, missing):
            raise too_large(f"table {index}", len(elements))
        for position, element in enumerate(elements):
            _require_done(functions.TableInstanceSetData(table, self._reference(element), position))

    def memory(self, index: int) -> tuple[int, int]:
        memory, functions = self._export("Memory", self.names.of_memory(index)), lib.library()
        pages = functions.MemoryInstanceGetPageSize(memory)
        return functions.MemoryInstanceGetPointer(memory, 0, 1) if pages else 0, pages

    def grow_memory(self, index: int, pages: int) -> None:
        memory = self._export("Memory", self.names.of_memory(index))
        if lib.library().MemoryInstanceGrowPage(memory, pages):
            raise too_large(f"memory {index}", self.memory(index)[1] + pages)

    def _export(self, kind: str, name: str) -> int:
        pointer = self._find(kind, name)
        if not pointer:
            raise LawowError(f"the instance has no export named {name}")
        return pointer

    def _value(self, index: int) -> lib.Value:
        pointer = self._export("Global", self.names.of_global(index, self.names.globals[index]))
        value: object = lib.library().GlobalInstanceGetValue(pointer)
        assert isinstance(value, lib.Value)  # the prototype says so
        return value

    def _reference(self, function: int) -> lib.Value:
        kind = lib.library().ValTypeGenFuncRef()
        return lib.Value(kind, self._functions.pointer_to(function), kind)


def _require_done(result: int) -> None:
    if result:
        raise LawowError(f"WasmEdge failed: {lib.message_of(result)}")
