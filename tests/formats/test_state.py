"""States and deltas come back from their bytes, and hostile bytes are format errors that cost nothing."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import zlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.state import (
    BLOCK_BYTES,
    NULL,
    GlobalValue,
    InstanceState,
    MemoryImage,
    TableImage,
    decode_delta,
    decode_state,
)

MODULE = "ab" * 32
BITS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128, "funcref": 32}
BLOCKS = [bytes(BLOCK_BYTES), b"\1" * BLOCK_BYTES, bytes(range(256)) * 16]


def globals_() -> st.SearchStrategy[tuple[GlobalValue, ...]]:
    kinds = st.dictionaries(st.integers(0, 99), st.sampled_from(sorted(BITS)), max_size=4)

    def values(found: dict[int, str]) -> st.SearchStrategy[tuple[GlobalValue, ...]]:
        return st.tuples(
            *(
                st.builds(GlobalValue, st.just(index), st.just(kind), st.integers(0, (1 << BITS[kind]) - 1))
                for index, kind in sorted(found.items())
            )
        )

    return kinds.flatmap(values)


def states(pages: int = 4) -> st.SearchStrategy[InstanceState]:
    elements = st.lists(st.sampled_from([0, 3, NULL]), max_size=5).map(tuple)
    blocks = st.dictionaries(st.integers(0, pages * 16 - 1), st.sampled_from(BLOCKS), max_size=6)
    memory = blocks.map(lambda found: MemoryImage(0, pages, dict(sorted(found.items()))))
    return st.builds(
        InstanceState,
        st.just(MODULE),
        globals_(),
        elements.map(lambda found: (TableImage(1, found),)),
        memory.map(lambda found: (found,)),
    )


SMALL = InstanceState(
    MODULE,
    (GlobalValue(0, "i64", 7), GlobalValue(2, "v128", 1 << 127)),
    (TableImage(0, (1, NULL, 2)),),
    (MemoryImage(0, 2, {3: BLOCKS[1], 31: BLOCKS[2]}),),
)


def packed(body: bytes, *, form: int = 0, base: bytes = bytes(32), size: int | None = None) -> bytes:
    """Return any body with the right frame around it."""
    size = len(body) if size is None else size
    header = struct.pack("<4sBBH32s32sI", b"LWST", 1, form, 0, bytes.fromhex(MODULE), base, size)
    return header + zlib.compress(body, 1) + hashlib.sha256(header + body).digest()


def body_of(data: bytes) -> bytes:
    return zlib.decompress(data[76:-32])


@given(states())
def test_a_state_comes_back_and_equal_states_have_equal_bytes(state: InstanceState) -> None:
    data = state.encode()
    assert decode_state(data) == state
    assert replace(state).encode() == data
    assert data[-32:].hex() == state.digest


@given(states(), states(pages=6))
def test_a_delta_leads_from_one_state_to_the_other(one: InstanceState, other: InstanceState) -> None:
    delta = decode_delta(other.delta(one).encode())
    assert one.apply(delta) == other
    assert decode_state(one.encode()).apply(delta).digest == other.digest


def test_a_delta_holds_only_what_changed() -> None:
    (memory,) = SMALL.memories
    later = replace(SMALL, memories=(replace(memory, blocks={3: BLOCKS[1], 5: BLOCKS[2]}),))
    delta = later.delta(SMALL)
    assert delta.tables == ()
    assert delta.memories == (MemoryImage(0, 2, {5: BLOCKS[2]}, (31,)),)
    assert len(SMALL.delta(SMALL).encode()) < len(SMALL.encode())


def test_a_delta_is_applied_where_it_begins_alone() -> None:
    delta = SMALL.delta(SMALL)
    elsewhere = replace(SMALL, globals=())
    with pytest.raises(FormatError, match="another state"):
        elsewhere.apply(delta)
    with pytest.raises(FormatError, match="another module"):
        replace(SMALL, module="cd" * 32).apply(delta)
    with pytest.raises(FormatError, match="another module"):
        replace(SMALL, module="cd" * 32).delta(SMALL)
    for memory, sentence in (
        (MemoryImage(0, 1, {}), "smaller"),
        (MemoryImage(0, 2, {}, (4,)), "did not differ"),
    ):
        with pytest.raises(FormatError, match=sentence):
            SMALL.apply(replace(delta, memories=(memory,)))


def test_every_cut_and_every_change_of_a_bit_is_refused() -> None:
    data = SMALL.encode()
    for end in range(len(data)):
        with pytest.raises(FormatError):
            decode_state(data[:end])
    with pytest.raises(FormatError):
        decode_state(data + b"\0")
    for index, byte in enumerate(data):
        try:  # a bit of zlib's own framing may be another and mean the same
            changed = decode_state(data[:index] + bytes([byte ^ 1]) + data[index + 1 :])
        except FormatError:
            continue
        assert 76 <= index < len(data) - 32
        assert changed == SMALL


@settings(max_examples=300)
@given(st.data())
def test_any_body_in_a_right_frame_is_a_state_or_a_format_error(data: st.DataObject) -> None:
    """The digest keeps accidents out, not malice: what is behind it is checked by itself."""
    body = bytearray(body_of(SMALL.encode()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 110))
        body[place] = data.draw(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]))
    try:
        state = decode_state(packed(bytes(body)))
    except FormatError:
        return
    assert decode_state(state.encode()) == state


def number(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


NOTHING = number(0)
I32 = number(1) + b"\x7f" + bytes(16)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (number(1, 0) + b"\x11" + bytes(16) + NOTHING * 2, "unknown type"),
        (number(1, 0) + b"\x7f" + b"\0\0\0\0\1" + bytes(11) + NOTHING * 2, "none of i32"),
        (number(2) + (number(0) + b"\x7f" + bytes(16)) * 2 + NOTHING * 2, "ascending"),
        (number(0xFFFFFFFF) + NOTHING * 2, "count exceeds"),
        (NOTHING + number(1, 0, 0xFFFFFFFF), "count exceeds"),
        (NOTHING * 2 + number(1, 0, 1, 0, 1, 16) + bytes(BLOCK_BYTES), "behind the memory's end"),
        (NOTHING * 2 + number(1, 0, 1, 0, 2, 3, 3) + bytes(2 * BLOCK_BYTES), "ascending"),
        (NOTHING * 2 + number(1, 0, 1, 0, 1, 3) + bytes(BLOCK_BYTES - 1), "ends too early"),
        (NOTHING * 2 + number(1, 0, 1, 1, 3, 0), "restores no blocks"),
        (NOTHING * 3 + b"\0", "left over"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        decode_state(packed(body))


def test_a_block_that_is_changed_and_restored_at_once_is_refused() -> None:
    body = NOTHING * 2 + number(1, 0, 1, 1, 3, 1, 3) + bytes(BLOCK_BYTES)
    with pytest.raises(FormatError, match="at once"):
        decode_delta(packed(body, form=1))


def test_forms_and_versions_are_not_mixed_up() -> None:
    with pytest.raises(FormatError, match="form"):
        decode_delta(SMALL.encode())
    with pytest.raises(FormatError, match="form"):
        decode_state(SMALL.delta(SMALL).encode())
    with pytest.raises(FormatError, match="version"):
        decode_state(b"LWST\2" + SMALL.encode()[5:])
    with pytest.raises(FormatError, match="no base"):
        decode_state(packed(NOTHING * 3, base=b"\1" * 32))


def test_a_bomb_is_refused_before_it_is_inflated() -> None:
    body = bytes(64 << 20)
    honest, lying = packed(body), packed(body, size=12)
    tracemalloc.start()
    for bomb in (honest, lying):
        with pytest.raises(FormatError):
            decode_state(bomb, unpacked_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
