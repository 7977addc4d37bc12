"""Strings and lists into a guest and out of it; guests that lie about where these are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lawow.channel.documents import Value, arguments_of_values, values_of_returned
from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, LocalProtocolError, UsageError
from lawow.formats.signature import parse_typed_signature
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.conftest import ROOT
from tests.runtime.builders import wat

RESULT_BYTES = 1 << 20


TypedCase = tuple[str, str, list[Value], tuple[Value, ...], dict[int, list[int | float]]]

CASES: list[TypedCase] = [
    ("sum", "&[i>i", [[1, 2, 3]], (6,), {0: [1, 2, 3]}),
    ("sum", "[i>i", [[1, 2, 3]], (6,), {}),
    ("sum", "&[i>i", [[]], (0,), {0: []}),
    ("reverse", "&[i>", [[1, 2, 3]], (), {0: [3, 2, 1]}),
    ("scale", "&[FF>", [[1.5, -2.0], 2.0], (), {0: [3.0, -4.0]}),
    ("fill", "&[bi>", [[1, 2, 3], -7], (), {0: [-7, -7, -7]}),
    ("invert", "&[z>", [[True, False]], (), {0: [False, True]}),
    ("next_chars", "&[c>", [[0, 65535]], (), {0: [1, 0]}),
    ("largest_short", "&[s>i", [[-5, -32768, -4]], (-4,), {0: [-5, -32768, -4]}),
    ("xor_longs", "&[I>I", [[2**62, 1]], (2**62 + 1,), {0: [2**62, 1]}),
    ("sum_floats", "&[f>f", [[0.5, 0.25]], (0.75,), {0: [0.5, 0.25]}),
    ("both", "&[i&[i>i", [[0], [0]], (0,), {0: [1], 1: [2]}),
    ("squares", "i>[i", [4], ([0, 1, 4, 9],), {}),
    ("squares", "i>[i", [0], ([],), {}),
    ("upper", "S>S", ["grüße \U0001f30d"], ("GRüßE \U0001f30d",), {}),
    ("upper", "S>S", [""], ("",), {}),
    ("concat", "SS>S", ["a\0", "b"], ("a\0b",), {}),
    ("accumulate", "i>i", [5], (5,), {}),
]
"""Calls of fixtures/wasm/arrays.wasm: export, signature, arguments, results, changed in-out lists."""


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    engine = WasmtimeEngine(EDGE_PROFILE)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def arrays(engine: WasmtimeEngine) -> CompiledModule:
    return engine.compile((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())


@pytest.fixture
def instance(arrays: CompiledModule) -> Iterator[Instance]:
    with arrays.instantiate(memory_bytes=64 << 20) as instance:
        yield instance


@pytest.fixture
def caller(instance: Instance) -> TypedCaller:
    return TypedCaller(instance, result_bytes=RESULT_BYTES)


def call(
    caller: TypedCaller, export: str, text: str, *values: Value, deadline_seconds: float = 10
) -> tuple[tuple[Value, ...], dict[int, list[int | float]]]:
    signature = parse_typed_signature(text)
    arguments = arguments_of_values(signature, values)
    returned = caller.call(export, signature, arguments, deadline_seconds=deadline_seconds)
    return values_of_returned(signature, returned)


def guest(engine: WasmtimeEngine, text: str) -> TypedCaller:
    instance = engine.compile(wat(text)).instantiate(memory_bytes=1 << 20)
    return TypedCaller(instance, result_bytes=RESULT_BYTES)


@pytest.mark.parametrize(("export", "signature", "arguments", "results", "changed"), CASES)
def test_values_go_in_and_come_out(
    caller: TypedCaller,
    export: str,
    signature: str,
    arguments: list[Value],
    results: tuple[Value, ...],
    changed: dict[int, list[int | float]],
) -> None:
    assert call(caller, export, signature, *arguments) == (results, changed)


def test_a_list_that_is_given_twice_is_one_list_for_the_guest(caller: TypedCaller) -> None:
    items = [0, 5]
    assert call(caller, "both", "&[i&[i>i", items, items) == ((1,), {0: [2, 5]})


def test_calls_without_end_leave_no_memory_behind(caller: TypedCaller, instance: Instance) -> None:
    """In-out lists reuse their memory, all else is freed by whom it belongs to."""

    def work() -> None:
        for size in range(0, 400, 3):
            call(caller, "reverse", "&[i>", list(range(size)))
            call(caller, "concat", "SS>S", "a" * size, "b" * size)
            call(caller, "accumulate_all", "[i>i", [1] * size)
            call(caller, "squares", "i>[i", size)

    work()
    before = instance.memory_bytes
    for _ in range(8):
        work()
    assert instance.memory_bytes == before


def test_a_result_beyond_the_limit_is_refused_and_the_instance_goes_on(caller: TypedCaller) -> None:
    with pytest.raises(LimitExceeded, match="result_bytes is 4000000"):
        call(caller, "squares", "i>[i", 1_000_000)
    assert call(caller, "squares", "i>[i", 2) == (([0, 1],), {})


def test_a_signature_of_another_core_type_is_refused(caller: TypedCaller) -> None:
    with pytest.raises(UsageError, match="the signature asks for"):
        call(caller, "sum", "i>i", 1)
    with pytest.raises(UsageError, match="no function named"):
        call(caller, "absent", "&[i>i", [1])


def test_a_trap_ends_the_instance(caller: TypedCaller) -> None:
    with pytest.raises(GuestTrap, match="unreachable"):
        call(caller, "change_and_trap", "&[i>i", [1])
    with pytest.raises(LocalProtocolError):
        call(caller, "sum", "&[i>i", [1])


def test_a_guest_without_room_for_an_argument_is_told_from_one_that_lies(engine: WasmtimeEngine) -> None:
    wasm = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()
    with engine.compile(wasm).instantiate(memory_bytes=1 << 20) as small, pytest.raises(GuestTrap) as caught:
        call(TypedCaller(small, result_bytes=1), "sum", "&[i>i", [0] * 500_000)
    assert caught.value.code == "out-of-memory"


REALLOC = '(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const {}))'
TAKES = '(func (export "take") (param i32 i32))'
GIVES = '(func (export "give") (result i32) (i32.const {}))'


def with_memory(*parts: str) -> str:
    return f'(module (memory (export "memory") 1) {" ".join(parts)})'


def pair(address: int, count: int, at: int = 64) -> str:
    """A data segment that holds a return area."""
    data = address.to_bytes(4, "little") + count.to_bytes(4, "little")
    text = "".join(f"\\{byte:02x}" for byte in data)
    return f'(data (i32.const {at}) "{text}")'


@pytest.mark.parametrize(
    ("address", "signature", "value", "code"),
    [
        (65536, "[i>", [1], "memory-out-of-bounds"),
        (65533, "[b>", [1, 2, 3, 4], "memory-out-of-bounds"),
        (-4, "[i>", [1], "memory-out-of-bounds"),
        (-1, "S>", "x", "memory-out-of-bounds"),
        (65537, "S>", "", "memory-out-of-bounds"),
        (2, "[i>", [1], "memory-out-of-bounds"),
        (4, "[I>", [1], "memory-out-of-bounds"),
        (1, "[s>", [1], "memory-out-of-bounds"),
        (0, "S>", "x", "out-of-memory"),
        (0, "&[i>", [1], "out-of-memory"),
    ],
)
def test_an_allocator_that_gives_no_good_address_is_a_trap(
    engine: WasmtimeEngine, address: int, signature: str, value: Value, code: str
) -> None:
    with pytest.raises(GuestTrap) as caught:
        call(guest(engine, with_memory(REALLOC.format(address), TAKES)), "take", signature, value)
    assert caught.value.code == code


@pytest.mark.parametrize("address", [0, 8, 65536])
def test_an_empty_list_may_stand_anywhere_within_the_memory(engine: WasmtimeEngine, address: int) -> None:
    caller = guest(engine, with_memory(REALLOC.format(address), TAKES))
    assert call(caller, "take", "&[i>", []) == ((), {0: []})


@pytest.mark.parametrize(
    ("area", "segment", "signature", "code"),
    [
        (65532, "", ">[i", "memory-out-of-bounds"),
        (-4, "", ">S", "memory-out-of-bounds"),
        (66, "", ">S", "memory-out-of-bounds"),
        (64, pair(65536, 1), ">S", "memory-out-of-bounds"),
        (64, pair(0, 65537), ">S", "memory-out-of-bounds"),
        (64, pair(0, 2**32 - 1), ">S", "memory-out-of-bounds"),
        (64, pair(2**32 - 8, 2**32 - 1), ">[F", "memory-out-of-bounds"),
        (64, pair(8, 2**32 - 1), ">[F", "memory-out-of-bounds"),
        (64, pair(2, 1), ">[i", "memory-out-of-bounds"),
        (64, pair(4, 0), ">[I", "memory-out-of-bounds"),
        (64, pair(65540, 0), ">[i", "memory-out-of-bounds"),
        (64, pair(128, 1) + '(data (i32.const 128) "\\ff")', ">S", "bad-result"),
        (64, pair(128, 3) + '(data (i32.const 128) "\\ed\\a0\\80")', ">S", "bad-result"),
        (64, pair(128, 2) + '(data (i32.const 128) "\\c0\\80")', ">S", "bad-result"),
    ],
)
def test_a_result_that_is_not_where_the_guest_says_is_a_trap(
    engine: WasmtimeEngine, area: int, segment: str, signature: str, code: str
) -> None:
    with pytest.raises(GuestTrap) as caught:
        call(guest(engine, with_memory(GIVES.format(area), segment)), "give", signature)
    assert caught.value.code == code


@pytest.mark.parametrize(("area", "segment"), [(64, pair(0, 0)), (65528, ""), (64, pair(65536, 0))])
def test_an_empty_result_may_stand_anywhere_within_the_memory(
    engine: WasmtimeEngine, area: int, segment: str
) -> None:
    assert call(guest(engine, with_memory(GIVES.format(area), segment)), "give", ">[I") == (([],), {})


def test_any_byte_but_0_is_true(engine: WasmtimeEngine) -> None:
    caller = guest(
        engine, with_memory(GIVES.format(64), pair(128, 3), '(data (i32.const 128) "\\02\\00\\ff")')
    )
    assert call(caller, "give", ">[z") == (([True, False, True],), {})


@pytest.mark.parametrize(
    ("text", "signature", "arguments", "lacks"),
    [
        (with_memory(TAKES), "[i>", [[1]], "cabi_realloc"),
        (
            with_memory(TAKES, '(func (export "cabi_realloc") (result i32) (i32.const 8))'),
            "[i>",
            [[1]],
            "i32",
        ),
        (
            with_memory(TAKES, '(global (export "cabi_realloc") i32 (i32.const 8))'),
            "S>",
            ["x"],
            "cabi_realloc",
        ),
        (f"(module {REALLOC.format(8)} {TAKES})", "[i>", [[1]], "no memory"),
        (
            f'(module (memory 1) (global (export "memory") i32 (i32.const 0)) {REALLOC.format(8)} {TAKES})',
            "[i>",
            [[1]],
            "no memory",
        ),
        (f"(module (memory 1) {GIVES.format(64)})", ">S", [], "no memory"),
        (
            with_memory(GIVES.format(64), pair(8, 1), '(func (export "cabi_post_give"))'),
            ">S",
            [],
            "cabi_post_give",
        ),
    ],
)
def test_a_module_that_lacks_what_lists_need_is_told_what(
    engine: WasmtimeEngine, text: str, signature: str, arguments: list[Value], lacks: str
) -> None:
    with pytest.raises(FormatError, match=lacks):
        call(guest(engine, text), _subject(text), signature, *arguments)


def _subject(text: str) -> str:
    return "take" if '"take"' in text else "give"


def test_a_guest_that_ends_itself_in_a_call_with_lists_has_not_returned(engine: WasmtimeEngine) -> None:
    text = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1)
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
      (func (export "take") (param i32 i32) (call $exit (i32.const 0))))"""
    with pytest.raises(GuestTrap, match="instead of returning") as caught:
        call(guest(engine, text), "take", "&[i>", [1])
    assert caught.value.code == "exit"


SLOW = '(func (export "{}") (param {}) {} (loop (br 0)) unreachable)'


@pytest.mark.parametrize(
    ("text", "signature", "arguments"),
    [
        (with_memory(SLOW.format("cabi_realloc", "i32 i32 i32 i32", "(result i32)"), TAKES), "S>", ["x"]),
        (with_memory(SLOW.format("cabi_post_give", "i32", ""), GIVES.format(64)), ">S", []),
        (with_memory(REALLOC.format(8), SLOW.format("take", "i32 i32", "")), "S>", ["x"]),
    ],
)
def test_the_deadline_covers_all_that_the_guest_does(
    engine: WasmtimeEngine, text: str, signature: str, arguments: list[Value]
) -> None:
    with pytest.raises(LimitExceeded, match="deadline_seconds"):
        call(guest(engine, text), _subject(text), signature, *arguments, deadline_seconds=0.05)


def test_a_guest_that_shrinks_what_it_said_before_is_read_within_its_memory(engine: WasmtimeEngine) -> None:
    """The allocator changes its mind about where an in-out list is: each write is checked anew."""
    growing = """
      (global $calls (mut i32) (i32.const 0))
      (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (result i32) (i32.eq (global.get $calls) (i32.const 1))
          (then (i32.const 1024)) (else (i32.const 65532))))"""
    caller = guest(engine, with_memory(growing, TAKES))
    assert call(caller, "take", "&[i>", [7]) == ((), {0: [7]})
    assert call(caller, "take", "&[i>", [8]) == ((), {0: [8]})
    with pytest.raises(GuestTrap, match="do not lie in the guest's memory"):
        call(caller, "take", "&[i>", [8, 9])


@pytest.mark.parametrize(("address", "length"), [(-1, 1), (0, -1), (65536, 1), (2**63, 8), (0, 65537)])
def test_memory_is_read_and_written_within_its_bounds_alone(
    engine: WasmtimeEngine, address: int, length: int
) -> None:
    instance = engine.compile(wat(with_memory())).instantiate()
    with pytest.raises(GuestTrap):
        instance.read_memory(address, length)
    if length >= 0:
        with pytest.raises(GuestTrap):
            instance.write_memory(address, bytes(length))
    instance.write_memory(65535, b"x")
    assert instance.read_memory(65534, 2) == b"\0x"
    instance.close()
    with pytest.raises(LawowError):
        instance.read_memory(0, 1)


def test_a_limit_on_memory_can_be_changed_between_calls(engine: WasmtimeEngine) -> None:
    text = '(module (memory (export "m") 1) (func (export "grow") (result i32) (memory.grow (i32.const 1))))'
    module = engine.compile(wat(text))
    assert module.exports_memory
    with module.instantiate(memory_bytes=1 << 20) as instance:
        assert instance.call("grow") == (1,)
        instance.limit_memory(2 << 16)
        assert instance.call("grow") == (-1,)
        instance.limit_memory(1 << 16)
        assert instance.call("grow") == (-1,)
        instance.limit_memory(3 << 16)
        assert instance.call("grow") == (2,)


def test_a_memory_that_is_not_exported_is_told_from_one_that_is(engine: WasmtimeEngine) -> None:
    assert not engine.compile(wat('(module (memory 1) (func (export "memory")))')).exports_memory
