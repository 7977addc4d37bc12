"""Take the state of an instance between two calls, and make an instance of a state: on any engine.

A state taken on one engine goes on on another, since both hold the same places (`lawow.formats.wasm_state`).
Restoring runs no code of the guest: the instance is made without its start function and ``_initialize``,
which ran when the state came to be. A state that does not fit is refused before any of it is used; whatever
fails later takes the new instance with it, and no other instance is ever touched.

What a state does not hold: fuel that is left, output that was written, and what the host gives (clocks,
random numbers, the environment); the guest's standard streams are open again, whatever it did to them.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import memmove, string_at

from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.state import BLOCK_BYTES, NULL, GlobalValue, InstanceState, MemoryImage, TableImage
from lawow.formats.wasm_expose import StateNames
from lawow.formats.wasm_state import FUNCREF, PAGE_BYTES
from lawow.limits import CALL
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.cells import Cells
from lawow.runtime.grants import Grants

__all__ = ["StateKeeper"]

_ZEROS = bytes(PAGE_BYTES)

_Output = Callable[[bytes], object]


class StateKeeper:
    """Takes and restores states of instances of one module.

    `module` was compiled from what `lawow.formats.wasm_expose.expose_state` made of the original module,
    whose SHA-256 in hex is `digest`. Raises `Refused` if it was not.
    """

    def __init__(self, module: CompiledModule, digest: str) -> None:
        names = StateNames.of(module.state_names)
        if names is None:
            raise Refused(
                "the state of this module's instances cannot be captured; `lawow.formats.wasm_expose."
                "state_findings` tells why"
            )
        self.module = module
        self._names = names
        self.digest = digest

    def snapshot(self, instance: Instance) -> InstanceState:
        """Return the state of an instance of this module; the instance goes on as if nothing had happened.

        Linear in its memory. Raises `LocalProtocolError` while a call runs and after a trap, `LawowError` for
        a reference to a function that is not its module's.
        """
        with instance.cells(self._names) as cells, self.module.instantiate(runs_start=False) as pristine:
            with pristine.cells(self._names) as known:
                memories = [_image(index, cells, known) for index in self._names.memories]
            return InstanceState(
                self.digest,
                tuple(
                    GlobalValue(index, kind, cells.read_global(index))
                    for index, kind in self._names.globals.items()
                ),
                tuple(TableImage(index, tuple(cells.read_table(index))) for index in self._names.tables),
                tuple(memories),
            )

    def restore(
        self,
        state: InstanceState,
        *,
        memory_bytes: int | None = None,
        table_elements: int | None = None,
        deadline_seconds: float | None = None,
        fuel: int | None = None,
        stdout: _Output | None = None,
        stderr: _Output | None = None,
        grants: Grants | None = None,
    ) -> Instance:
        """Return a new instance in that state; limits and grants as in `CompiledModule.instantiate`.

        Raises `FormatError` for a state that is not one of this module, `LimitExceeded` (``memory_bytes``,
        ``table_elements``) for one that is larger than the instance may be.
        """
        self._require_fitting(state)
        _require_within(
            state,
            CALL.memory_bytes if memory_bytes is None else memory_bytes,
            CALL.table_elements if table_elements is None else table_elements,
        )
        instance = self.module.instantiate(
            memory_bytes=memory_bytes,
            table_elements=table_elements,
            deadline_seconds=deadline_seconds,
            fuel=fuel,
            stdout=stdout,
            stderr=stderr,
            grants=grants,
            runs_start=False,
        )
        try:
            with instance.cells(self._names) as cells:
                _fill(cells, state)
        except BaseException:
            instance.close()
            raise
        return instance

    def _require_fitting(self, state: InstanceState) -> None:
        """Raise `FormatError` unless the state has the parts of this module, and its functions alone."""
        names = self._names
        if state.module != self.digest:
            raise _misfit("is of another module", state.module, self.digest)
        if {item.index: item.kind for item in state.globals} != names.globals:
            found = {item.index: item.kind for item in state.globals}
            raise _misfit("has other globals than the module", found, names.globals)
        for part, items, allowed in (
            ("tables", state.tables, names.tables),
            ("memories", state.memories, names.memories),
        ):
            indices = tuple(item.index for item in items)
            if indices != allowed:
                raise _misfit(f"has other {part} than the module", indices, allowed)
        for memory in state.memories:
            _require_inside(memory)
        used = {item.pattern for item in state.globals if item.kind == FUNCREF}
        used.update(*(table.elements for table in state.tables))
        strange = used - {NULL, *names.functions}
        if strange:
            raise _misfit("refers to functions that no reference can mean", sorted(strange)[:8], None)


def _require_inside(memory: MemoryImage) -> None:
    """Raise `FormatError` for a block that is not one of the memory: what is written is not checked again."""
    last = memory.pages * PAGE_BYTES // BLOCK_BYTES
    for number, block in memory.blocks.items():
        if not 0 <= number < last or len(block) != BLOCK_BYTES:
            raise _misfit(f"has a block outside of memory {memory.index}", number, f"below {last}")


def _require_within(state: InstanceState, memory_bytes: int, table_elements: int) -> None:
    """Raise `LimitExceeded` for a memory or table beyond the limits of the new instance."""
    hint = "the state has more than that"
    for memory in state.memories:
        if memory.pages * PAGE_BYTES > memory_bytes:
            raise LimitExceeded("memory_bytes", memory.pages * PAGE_BYTES, memory_bytes, hint=hint)
    for table in state.tables:
        if len(table.elements) > table_elements:
            raise LimitExceeded("table_elements", len(table.elements), table_elements, hint=hint)


def _misfit(sentence: str, found: object, allowed: object) -> FormatError:
    return FormatError(sentence, structure="state", found=found, allowed=allowed)


def _image(index: int, cells: Cells, pristine: Cells) -> MemoryImage:
    """Return what of a memory is not as in a pristine instance."""
    address, pages = cells.memory(index)
    base, base_pages = pristine.memory(index)
    blocks: dict[int, bytes] = {}
    for page in range(pages):
        start = page * PAGE_BYTES
        found = string_at(address + start, PAGE_BYTES)
        known = string_at(base + start, PAGE_BYTES) if page < base_pages else _ZEROS
        if found != known:
            for place in range(0, PAGE_BYTES, BLOCK_BYTES):
                block = found[place : place + BLOCK_BYTES]
                if block != known[place : place + BLOCK_BYTES]:
                    blocks[(start + place) // BLOCK_BYTES] = block
    return MemoryImage(index, pages, blocks)


def _fill(cells: Cells, state: InstanceState) -> None:
    """Put a state that fits into a pristine instance. Raises `FormatError` for sizes that do not."""
    for memory in state.memories:
        _, pages = cells.memory(memory.index)
        if memory.pages < pages:
            raise _misfit(f"has a smaller memory {memory.index} than the module", memory.pages, pages)
        if memory.pages > pages:
            cells.grow_memory(memory.index, memory.pages - pages)
        address, _ = cells.memory(memory.index)
        for number, block in memory.blocks.items():
            memmove(address + number * BLOCK_BYTES, block, BLOCK_BYTES)
    for table in state.tables:
        length = cells.table_length(table.index)
        if len(table.elements) < length:
            raise _misfit(f"has a shorter table {table.index} than the module", len(table.elements), length)
        cells.write_table(table.index, table.elements)
    for item in state.globals:
        cells.write_global(item.index, item.pattern)
