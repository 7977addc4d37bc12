"""`Cells` of an instance in wasmtime. Definitions: ``wasmtime/val.h``, ``table.h``, ``global.h``."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref, c_uint64, c_void_p

from lawow.errors import LawowError
from lawow.formats.wasm_expose import StateNames
from lawow.formats.wasm_state import FUNCREF, PAGE_BYTES
from lawow.runtime import libwasmtime as lib
from lawow.runtime.cells import Cells, Functions, too_large
from lawow.runtime.failures import require_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WasmtimeCells"]

_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3, "v128": 4, FUNCREF: 5}  # wasmtime_valkind_t
_BITS = {"i32": 32, "f32": 32, "i64": 64, "f64": 64, "v128": 128}
_HALF = (1 << 64) - 1


class WasmtimeCells(Cells):
    """`find` returns the export of a name; it and `context` must be good while this object is used."""

    def __init__(
        self, names: StateNames, context: c_void_p, find: Callable[[str], lib.ExternRecord | None]
    ) -> None:
        super().__init__(names)
        self._context = context
        self._find = find
        records = {index: self._export(names.of_function(index)) for index in names.functions}
        self._functions = Functions({index: record.item[1] for index, record in records.items()})
        # All functions are of one store, whose number is the first half of each reference.
        self._store = next((record.item[0] for record in records.values()), 0)

    def read_global(self, index: int) -> int:
        kind = self.names.globals[index]
        record, value = self._export(self.names.of_global(index, kind)), lib.ValueRecord()
        lib.library().wasmtime_global_get(self._context, record.address, byref(value))
        if kind == FUNCREF:
            return self._functions.index_of(_pointer(value))
        bits: int = value.value[0] | value.value[1] << 64
        return bits & (1 << _BITS[kind]) - 1

    def write_global(self, index: int, pattern: int) -> None:
        kind = self.names.globals[index]
        record = self._export(self.names.of_global(index, kind))
        value = self._reference(pattern) if kind == FUNCREF else lib.ValueRecord(_KINDS[kind])
        if kind != FUNCREF:
            value.value[0], value.value[1] = pattern & _HALF, pattern >> 64
        require_done(lib.library().wasmtime_global_set(self._context, record.address, byref(value)))

    def table_length(self, index: int) -> int:
        record = self._export(self.names.of_table(index))
        return lib.library().wasmtime_table_size(self._context, record.address)

    def read_table(self, index: int) -> list[int]:
        table, value = self._export(self.names.of_table(index)), lib.ValueRecord()
        get, found = lib.library().wasmtime_table_get, []
        for position in range(self.table_length(index)):
            get(self._context, table.address, position, byref(value))
            found.append(self._functions.index_of(_pointer(value)))
        return found

    def write_table(self, index: int, elements: Sequence[int]) -> None:
        table, functions = self._export(self.names.of_table(index)), lib.library()
        missing, null = len(elements) - self.table_length(index), self._reference_to(0)
        if missing > 0:
            error = functions.wasmtime_table_grow(
                self._context, table.address, missing, byref(null), byref(c_uint64())
            )
            if error:
                lib.take_error(error)
                raise too_large(f"table {index}", len(elements))
        for position, element in enumerate(elements):
            value = self._reference(element)
            require_done(functions.wasmtime_table_set(self._context, table.address, position, byref(value)))

    def memory(self, index: int) -> tuple[int, int]:
        record, functions = self._export(self.names.of_memory(index)), lib.library()
        size = functions.wasmtime_memory_data_size(self._context, record.address)
        return functions.wasmtime_memory_data(self._context, record.address) or 0, size // PAGE_BYTES

    def grow_memory(self, index: int, pages: int) -> None:
        record = self._export(self.names.of_memory(index))
        error = lib.library().wasmtime_memory_grow(self._context, record.address, pages, byref(c_uint64()))
        if error:
            lib.take_error(error)
            raise too_large(f"memory {index}", self.memory(index)[1] + pages)

    def _export(self, name: str) -> lib.ExternRecord:
        record = self._find(name)
        if record is None:
            raise LawowError(f"the instance has no export named {name}")
        return record

    def _reference(self, function: int) -> lib.ValueRecord:
        return self._reference_to(self._functions.pointer_to(function))

    def _reference_to(self, pointer: int) -> lib.ValueRecord:
        """Return a funcref; null has the store's number 0."""
        value = lib.ValueRecord(_KINDS[FUNCREF])
        value.value[0], value.value[1] = (self._store, pointer) if pointer else (0, 0)
        return value


def _pointer(value: lib.ValueRecord) -> int:
    """Return the function of a funcref, 0 for null, of which only the store's number is defined."""
    return int(value.value[1]) if value.value[0] else 0
