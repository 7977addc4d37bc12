"""States move between WasmEdge and wasmtime, in both directions, and all goes on as if they had not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError, GuestTrap, LimitExceeded, LocalProtocolError
from lawow.formats.state import MemoryImage, TableImage
from lawow.formats.wasm_expose import expose_state
from lawow.runtime.state import StateKeeper
from lawow.runtime.wasmedge_library import LibraryEngine
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import wat
from tests.runtime.state_programs import HOLDER, PROGRAMS, SPEAKER, Program, hopping, sequences, straight

_keepers: dict[tuple[object, bytes], StateKeeper] = {}


def keeper_of(engine: LibraryEngine | WasmtimeEngine, program: Program) -> StateKeeper:
    if (engine, program.wasm) not in _keepers:
        _keepers[engine, program.wasm] = program.keeper(engine)
    return _keepers[engine, program.wasm]


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_guest_that_changes_the_engine_behind_every_call_is_the_one_that_stayed(
    engine: LibraryEngine, wasmtime: WasmtimeEngine, name: str, data: st.DataObject
) -> None:
    program = PROGRAMS[name]
    here, there = keeper_of(engine, program), keeper_of(wasmtime, program)
    calls = data.draw(sequences(program))
    expected = straight(there, calls)
    assert straight(here, calls) == expected
    assert hopping([here, there], calls) == expected
    assert hopping([there, here], calls) == expected
    assert hopping([here], calls) == expected


def test_restoring_runs_no_code_of_the_guest_here_either(engine: LibraryEngine) -> None:
    keeper = keeper_of(engine, PROGRAMS["hash table"])
    with keeper.module.instantiate() as instance:
        state = keeper.snapshot(instance)
    with keeper.restore(state) as restored:
        assert restored.call("starts", (0,)) == (1,)


@pytest.mark.parametrize("text", [SPEAKER, HOLDER])
def test_a_guest_of_wasi_moves_in_both_directions(
    engine: LibraryEngine, wasmtime: WasmtimeEngine, text: str
) -> None:
    program = Program(wat(text), ("say",))
    said = bytearray()
    keepers = [keeper_of(engine, program), keeper_of(wasmtime, program)]
    for one, other in (keepers, keepers[::-1]):
        with one.module.instantiate() as instance:
            instance.call("say")
            state = one.snapshot(instance)
        with other.restore(state, stdout=said.extend) as restored:
            restored.call("say")
    assert bytes(said) == b"hellohello"


def test_what_does_not_fit_is_refused(engine: LibraryEngine) -> None:
    allocator, dispatcher = (keeper_of(engine, PROGRAMS[name]) for name in ("allocator", "dispatcher"))
    with allocator.module.instantiate() as instance:
        state = allocator.snapshot(instance)
    with pytest.raises(FormatError, match="larger than its module allows"):
        allocator.restore(replace(state, memories=(MemoryImage(0, 21, {}),)))
    with pytest.raises(LimitExceeded, match="memory_bytes"):
        allocator.restore(replace(state, memories=(MemoryImage(0, 4, {}),)), memory_bytes=2 << 16)
    with pytest.raises(FormatError, match="another module"):
        dispatcher.restore(state)
    with dispatcher.module.instantiate() as instance:
        table = dispatcher.snapshot(instance)
    with pytest.raises(FormatError, match="larger than its module allows"):
        dispatcher.restore(replace(table, tables=(TableImage(0, (0,) * 65),)))


def test_a_guest_that_trapped_has_no_state(engine: LibraryEngine) -> None:
    keeper = Program(wat('(module (memory 1) (func (export "f") unreachable))'), ("f",)).keeper(engine)
    with keeper.module.instantiate() as instance:
        with pytest.raises(GuestTrap):
            instance.call("f")
        with pytest.raises(LocalProtocolError, match="trapped"):
            keeper.snapshot(instance)


def test_a_guest_cannot_bring_the_reserved_names_unless_they_are_right(engine: LibraryEngine) -> None:
    with pytest.raises(FormatError, match="begins with lawow:"):
        engine.compile(wat('(module (memory 1) (func (export "lawow:memory:0")))'))
    engine.compile(expose_state(wat("(module (memory 1))"))).instantiate().close()
