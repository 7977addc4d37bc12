"""An instance that is taken apart and put together between calls is the one that never moved: on wasmtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError, GuestTrap, LimitExceeded, LocalProtocolError, Refused
from lawow.formats.state import (
    BLOCK_BYTES,
    NULL,
    GlobalValue,
    InstanceState,
    MemoryImage,
    TableImage,
    decode_state,
)
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.state import StateKeeper
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import wat
from tests.runtime.state_programs import PROGRAMS, SPEAKER, Program, hopping, sequences, straight

ENGINE = WasmtimeEngine(EXEC_PROFILE)
KEEPERS = {name: program.keeper(ENGINE) for name, program in PROGRAMS.items()}


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_moving_behind_every_call_changes_no_result_and_no_state(name: str, data: st.DataObject) -> None:
    calls = data.draw(sequences(PROGRAMS[name]))
    assert hopping([KEEPERS[name]], calls) == straight(KEEPERS[name], calls)


@pytest.mark.parametrize("name", PROGRAMS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_deltas_between_calls_lead_to_the_same_state(name: str, data: st.DataObject) -> None:
    keeper = KEEPERS[name]
    with keeper.module.instantiate() as instance:
        followed = before = keeper.snapshot(instance)
        for export, argument in data.draw(sequences(PROGRAMS[name])):
            instance.call(export, (argument,))
            now = keeper.snapshot(instance)
            followed = followed.apply(now.delta(before))
            before = now
        assert followed == before


def test_data_that_a_guest_has_cleared_stays_cleared() -> None:
    """The block of a data segment that is all zeros differs from a pristine instance, so it travels."""
    keeper = KEEPERS["allocator"]
    with keeper.module.instantiate() as instance:
        assert keeper.snapshot(instance).memories[0].blocks == {}
        assert instance.call("look", (8,)) != (0,)
        instance.call("clear", (0,))
        state = keeper.snapshot(instance)
    with keeper.restore(state) as restored:
        assert restored.call("look", (8,)) == (0,)


def test_restoring_runs_no_code_of_the_guest() -> None:
    keeper = KEEPERS["hash table"]
    with keeper.module.instantiate() as instance:
        state = keeper.snapshot(instance)
    for _ in range(3):
        with keeper.restore(state) as instance:
            assert instance.call("starts", (0,)) == (1,)
            state = keeper.snapshot(instance)


def test_a_snapshot_leaves_the_instance_as_it_is() -> None:
    keeper = KEEPERS["generator"]
    with keeper.module.instantiate() as one, keeper.module.instantiate() as other:
        for argument in range(5):
            assert keeper.snapshot(one) == keeper.snapshot(other)
            assert one.call("next", (argument,)) == other.call("next", (argument,))


def test_an_instance_that_ended_or_runs_has_no_state() -> None:
    keeper = Program(wat('(module (func (export "f") unreachable))'), ("f",)).keeper(ENGINE)
    instance = keeper.module.instantiate()
    with pytest.raises(GuestTrap):
        instance.call("f")
    with pytest.raises(LocalProtocolError, match="trapped"):
        keeper.snapshot(instance)
    instance.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        keeper.snapshot(instance)


def test_a_module_whose_state_was_not_exposed_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be captured"):
        StateKeeper(ENGINE.compile(PROGRAMS["generator"].wasm), "0" * 64)


def test_a_guest_with_output_goes_on_without_saying_it_again() -> None:
    said = bytearray()
    keeper = Program(wat(SPEAKER), ("say",)).keeper(ENGINE)
    with keeper.module.instantiate(stdout=said.extend) as instance:
        instance.call("say")
        state = keeper.snapshot(instance)
    with keeper.restore(state, stdout=said.extend) as restored:
        assert bytes(said) == b"hello"
        restored.call("say")
    assert bytes(said) == b"hellohello"


def dispatcher_state() -> InstanceState:
    keeper = KEEPERS["dispatcher"]
    with keeper.module.instantiate() as instance:
        return keeper.snapshot(instance)


FALSE: dict[str, Callable[[InstanceState], InstanceState]] = {
    "another module": lambda state: replace(state, module="0" * 64),
    "other globals": lambda state: replace(state, globals=()),
    "functions that no": lambda state: replace(state, globals=(GlobalValue(0, "funcref", 99),)),
    "other tables": lambda state: replace(state, tables=()),
    "functions": lambda state: replace(state, tables=(TableImage(0, (0, 1, 2, 5000)),)),
    "a shorter table": lambda state: replace(state, tables=(TableImage(0, (0, NULL)),)),
    "other memories": lambda state: replace(state, memories=(MemoryImage(0, 1, {}),)),
}


@pytest.mark.parametrize("sentence", FALSE)
def test_a_state_that_does_not_fit_is_refused_and_harms_no_instance(sentence: str) -> None:
    keeper, state = KEEPERS["dispatcher"], dispatcher_state()
    with keeper.module.instantiate() as neighbour:
        with pytest.raises(FormatError, match=sentence):
            keeper.restore(FALSE[sentence](state))
        assert keeper.snapshot(neighbour) == state


def test_globals_of_another_type_are_refused() -> None:
    keeper = KEEPERS["generator"]
    with keeper.module.instantiate() as instance:
        state = keeper.snapshot(instance)
    wrong = (replace(state.globals[0], kind="f64"), *state.globals[1:])
    with pytest.raises(FormatError, match="other globals"):
        keeper.restore(replace(state, globals=wrong))


@pytest.mark.parametrize(("pages", "error"), [(0, FormatError), (21, FormatError), (1 << 16, LimitExceeded)])
def test_a_memory_that_the_module_cannot_have_is_refused(pages: int, error: type[Exception]) -> None:
    keeper = KEEPERS["allocator"]
    with keeper.module.instantiate() as instance:
        state = keeper.snapshot(instance)
    with pytest.raises(error):
        keeper.restore(replace(state, memories=(MemoryImage(0, pages, {}),)))


@pytest.mark.parametrize(
    ("number", "size"), [(16, BLOCK_BYTES), (-1, BLOCK_BYTES), (1 << 40, BLOCK_BYTES), (0, 9), (15, 8192)]
)
def test_a_block_that_no_file_could_hold_is_refused_too(number: int, size: int) -> None:
    """A state that was put together in this process has passed no decoder."""
    keeper = KEEPERS["allocator"]
    with keeper.module.instantiate() as instance:
        state = keeper.snapshot(instance)
    with pytest.raises(FormatError, match="outside of memory 0"):
        keeper.restore(replace(state, memories=(MemoryImage(0, 1, {number: bytes(size)}),)))


def test_a_state_obeys_the_limits_of_its_new_instance() -> None:
    keeper = KEEPERS["allocator"]
    with keeper.module.instantiate() as instance:
        for _ in range(8):
            instance.call("allocate", (0x7FFF,))
        state = keeper.snapshot(instance)
    assert state.memories[0].pages > 2
    with pytest.raises(LimitExceeded) as caught:
        keeper.restore(state, memory_bytes=2 << 16)
    assert caught.value.limit == "memory_bytes"
    table = dispatcher_state()
    longer = replace(table, tables=(TableImage(0, (NULL,) * 30),))
    with pytest.raises(LimitExceeded) as caught:
        KEEPERS["dispatcher"].restore(longer, table_elements=20)
    assert caught.value.limit == "table_elements"


def test_a_decoded_state_is_the_one_that_was_encoded_on_a_real_guest() -> None:
    for keeper in KEEPERS.values():
        with keeper.module.instantiate() as instance:
            state = keeper.snapshot(instance)
            assert decode_state(state.encode()) == state
