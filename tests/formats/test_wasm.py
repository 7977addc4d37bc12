"""The inspector reads what a module offers, refuses what is malformed, measures what is dear to compile."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.bytes import encode_uleb128
from lawow.formats.wasm import (
    Export,
    FuncType,
    Import,
    MemoryType,
    function_names,
    inspect_module,
    require_within_limits,
)
from lawow.limits import MODULE, ModuleLimits
from tests.runtime.builders import (
    FIBONACCI,
    I32,
    body,
    empty_functions,
    functions_module,
    judge_accepts,
    live_locals,
    many_locals,
    module,
    name,
    section,
    vector,
    wat,
)
from tests.work import calls_in

RICH = wat(
    """
    (module $rich
      (import "env" "f" (func (param i32 f64) (result i64)))
      (import "env" "g" (global i32))
      (import "env" "t" (table 1 funcref))
      (memory (export "memory") 2 5)
      (global $counter (mut i32) (i32.const 7))
      (table 3 funcref)
      (func $start (global.set $counter (i32.const 1)))
      (func $two (export "two") (param v128) (result i32 f32) (local i64 i64 f32)
        (i32.const 1) (f32.const 2))
      (func (export "reference") (param externref))
      (start $start)
      (elem (i32.const 0) func $two)
      (data (i32.const 0) "hello"))
    """
)


def test_imports_exports_memories_start_and_counts_are_reported() -> None:
    info = inspect_module(RICH)
    assert info.imports == [
        Import("env", "f", "func", FuncType(("i32", "f64"), ("i64",))),
        Import("env", "g", "global", None),
        Import("env", "t", "table", None),
    ]
    assert info.exports == [
        Export("memory", "memory", 0, None),
        Export("two", "func", 2, FuncType(("v128",), ("i32", "f32"))),
        Export("reference", "func", 3, FuncType(("externref",), ())),
    ]
    assert info.memories == [MemoryType(2, 5, 65536, False, False)]
    assert (info.start, info.functions, info.tables, info.globals) == (1, 3, 1, 1)
    assert (info.locals_most, info.locals_in_all) == (3, 3)
    assert info.callable_exports == []
    assert not info.is_component


def test_values_compare_by_content_and_show_it() -> None:
    first, second = Export("a", "func", 0, None), Export("a", "func", 0, None)
    assert first == second
    assert hash(first) == hash(second)
    assert first != Export("b", "func", 0, None)
    assert first != Import("a", "func", "func", None)
    assert repr(MemoryType(1, None, 1, False, True)) == (
        "MemoryType(is_64=True, is_shared=False, maximum_pages=None, minimum_pages=1, page_bytes=1)"
    )


def test_function_names_come_from_the_name_section() -> None:
    info = inspect_module(RICH)
    assert function_names(RICH, info) == {1: "start", 2: "two"}
    assert [item.name for item in info.custom_sections] == ["name"]


def test_a_damaged_name_section_is_no_error() -> None:
    damaged = module(section(0, name("name") + b"\x01\x05\x02\x00\x01a\xff"))
    assert function_names(damaged, inspect_module(damaged)) == {0: "a"}
    without = module()
    assert function_names(without, inspect_module(without)) == {}


def test_a_component_is_recognised_and_not_read() -> None:
    assert inspect_module(b"\0asm\x0d\0\1\0" + b"anything").is_component


def test_types_of_the_gc_proposal_are_skipped() -> None:
    wasm = wat(
        """
        (module
          (rec (type $pair (sub (struct (field i8) (field (mut i32)) (field (ref null $pair)))))
               (type $array (array (mut i16))))
          (type $f (func (param (ref null $pair) i31ref) (result (ref $array))))
          (func (export "plain") (param i32)))
        """
    )
    info = inspect_module(wasm)
    assert info.types[:2] == [None, None]
    assert info.types[2] == FuncType(("(ref null ...)", "i31ref"), ("(ref ...)",))
    assert info.export("plain") == Export("plain", "func", 0, FuncType(("i32",), ()))


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("(module (memory 1))", MemoryType(1, None, 65536, False, False)),
        ("(module (memory 1 2 shared))", MemoryType(1, 2, 65536, True, False)),
        ("(module (memory i64 5000000000))", MemoryType(5_000_000_000, None, 65536, False, True)),
        ('(module (import "a" "b" (memory 3)))', MemoryType(3, None, 65536, False, False)),
        ("(module (memory 9 (pagesize 1)))", MemoryType(9, None, 1, False, False)),
    ],
)
def test_memory_limits_are_read(text: str, memory: MemoryType) -> None:
    assert inspect_module(wat(text)).memories == [memory]


def test_tags_do_not_disturb() -> None:
    wasm = wat('(module (import "e" "t" (tag (param i32))) (tag $own) (export "own" (tag $own)))')
    info = inspect_module(wasm)
    assert info.imports == [Import("e", "t", "tag", None)]
    assert info.exports == [Export("own", "tag", 1, None)]


TYPE = section(1, vector([b"\x60\0\0"]))
FUNCTION = section(3, vector([b"\0"]))
CODE = section(10, vector([body(b"")]))

MALFORMED = {
    "not a module": (b"ELF\0\1\0\0\0", "is not a WebAssembly module"),
    "unknown version": (b"\0asm\2\0\0\0", "unknown version"),
    "unknown section": (module(section(14, b"")), "unknown section"),
    "out of order": (module(section(5, vector([b"\0\1"])), TYPE), "twice or out of order"),
    "twice": (module(TYPE, TYPE), "twice or out of order"),
    "section longer than the file": (module(b"\1\x7f\0"), "ends too early"),
    "left over": (module(section(1, vector([b"\x60\0\0"]) + b"\0")), "left over"),
    "lying count": (module(section(1, b"\xff\xff\xff\xff\x0f")), "count exceeds"),
    "overlong number": (module(section(1, b"\x80\x80\x80\x80\x80\0")), "too long"),
    "unknown form": (module(section(1, vector([b"\x40"]))), "unknown form of type"),
    "unknown value type": (module(section(1, vector([b"\x60\1\x01\0"]))), "unknown value type"),
    "type index": (module(TYPE, section(3, vector([b"\1"]))), "type index out of range"),
    "not UTF-8": (module(section(2, vector([b"\1\xff\1a\0\0"]))), "not UTF-8"),
    "unknown kind": (module(TYPE, section(2, vector([b"\1a\1a\5"]))), "unknown external kind"),
    "bodies missing": (module(TYPE, FUNCTION), "number of bodies"),
    "bodies too many": (module(TYPE, CODE), "number of bodies"),
    "body longer than the section": (
        module(TYPE, FUNCTION, section(10, vector([b"\x10\0\x0b"]))),
        "ends too early",
    ),
    "locals longer than the body": (
        module(TYPE, FUNCTION, section(10, vector([b"\x01\x02\1\x7f\1\x7f\x0b"]))),
        "locals are longer",
    ),
    "export index": (module(section(7, vector([name("f") + b"\0\0"]))), "function index out of range"),
    "start index": (module(section(8, b"\0")), "function index out of range"),
    "same name twice": (
        module(TYPE, FUNCTION, section(7, vector([name("f") + b"\0\0"] * 2)), CODE),
        "two exports have this name",
    ),
    "limits flags": (module(section(5, vector([b"\x10\0"]))), "unknown flags"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_modules_are_refused_with_the_reason(case: str) -> None:
    wasm, sentence = MALFORMED[case]
    with pytest.raises(FormatError, match=sentence):
        inspect_module(wasm)
    assert not judge_accepts(wasm)


@pytest.mark.parametrize("wasm", [wat(FIBONACCI), RICH], ids=["fibonacci", "rich"])
def test_truncation_at_every_offset_is_refused_or_leaves_a_valid_module(wasm: bytes) -> None:
    for length in range(len(wasm)):
        try:
            inspect_module(wasm[:length])
        except FormatError:
            assert not judge_accepts(wasm[:length]), length


@settings(max_examples=800, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@example([(8, 255)])
def test_a_mutated_module_gives_a_value_or_a_format_error_and_never_more_than_the_engine_refuses(
    changes: list[tuple[int, int]],
) -> None:
    data = bytearray(RICH)
    for offset, value in changes:
        data[offset] = value
    try:
        inspect_module(bytes(data))
    except FormatError:
        assert not judge_accepts(bytes(data))


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_give_a_value_or_a_format_error(data: bytes) -> None:
    for content in (data, b"\0asm\1\0\0\0" + data):
        try:
            inspect_module(content)
        except FormatError:
            continue


BOMBS = {
    "locals of one function": (many_locals(1, MODULE.locals_per_function + 1), "locals_per_function"),
    "locals in all": (many_locals(801, 5_000), "locals_in_all"),
    "locals of the 21 KiB bomb": (many_locals(2_000, 50_000), "locals_per_function"),
    "live locals": (live_locals(500, 75_000), "local_bytes"),
    "empty functions": (empty_functions(MODULE.functions + 1), "functions"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_compile_bombs_are_refused_by_the_scan_naming_the_limit(case: str) -> None:
    wasm, limit = BOMBS[case]
    with pytest.raises(LimitExceeded) as caught:
        require_within_limits(inspect_module(wasm), MODULE)
    assert caught.value.limit == limit
    with pytest.raises(LimitExceeded):
        inspect_module(wasm, limits=MODULE)


def test_every_count_is_accepted_at_its_limit_and_refused_one_above() -> None:
    two = ModuleLimits(
        functions=2, exports=1, imports=0, locals_per_function=3, locals_in_all=4, function_body_bytes=6
    )
    wasm = functions_module([body(b"", [(3, I32)]), body(b"", [(1, I32)])])
    require_within_limits(inspect_module(wasm, limits=two), two)
    for limit, below in {
        "functions": 1,
        "exports": 0,
        "locals_per_function": 2,
        "locals_in_all": 3,
        "function_body_bytes": 3,
        "module_bytes": len(wasm) - 1,
        "name_bytes": 0,
        "local_bytes": 11,
    }.items():
        with pytest.raises(LimitExceeded) as caught:
            inspect_module(wasm, limits=ModuleLimits(**{limit: below}))
        assert caught.value.limit == limit


def test_a_lying_count_costs_no_work() -> None:
    def read(wasm: bytes) -> None:
        with pytest.raises(FormatError):
            inspect_module(wasm)

    counts = [
        calls_in(partial(read, module(TYPE, section(3, encode_uleb128(count) + bytes(100)))))
        for count in (101, 2**32 - 1)
    ]
    assert counts[1] < 2 * counts[0]
