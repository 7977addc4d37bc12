"""What a module remembers gets names, nothing else changes, and what cannot be captured is refused."""

from __future__ import annotations

import pytest

from lawow.errors import FormatError, Refused
from lawow.formats.bytes import ByteReader, encode_uleb128
from lawow.formats.wasm import function_names, inspect_module
from lawow.formats.wasm_expose import StateNames, expose_state, is_exposed, state_findings
from lawow.limits import MODULE
from tests.runtime.builders import judge_accepts, judge_call, module, name, section, vector, wat
from tests.runtime.state_programs import PROGRAMS
from tests.work import calls_in

EVERYTHING = wat(
    """(module $rich
      (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
      (memory 1) (table $t 3 funcref) (table $u 2 externref)
      (global $fixed i32 (i32.const 1)) (global $i (mut i32) (i32.const 2)) (global $v (mut v128)
        (v128.const i64x2 1 2)) (global $f (mut funcref) (ref.func $two))
      (start $begin) (elem (table $t) (i32.const 0) func $one)
      (func $begin) (func $one) (func $two) (func $unreferenced)
      (func (export "go") (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)))
      (data (i32.const 0) "text"))"""
)


def added(wasm: bytes) -> list[tuple[str, str, int]]:
    exports = inspect_module(expose_state(wasm)).exports
    return [(item.name, item.kind, item.index) for item in exports if item.name.startswith("lawow:")]


def sections(wasm: bytes) -> list[tuple[int, bytes]]:
    reader, found = ByteReader(wasm, 8), []
    while reader.remaining:
        found.append((reader.read_u8(), reader.read_bytes(reader.read_uleb128())))
    return found


def test_every_mutable_place_is_exported_under_its_index() -> None:
    without_externref = EVERYTHING.replace(b"\x6f\x00\x02", b"\x70\x00\x02")
    assert state_findings(without_externref) == []
    assert added(without_externref) == [
        ("lawow:global:1:i32", "global", 1),
        ("lawow:global:2:v128", "global", 2),
        ("lawow:global:3:funcref", "global", 3),
        ("lawow:table:0", "table", 0),
        ("lawow:table:1", "table", 1),
        ("lawow:memory:0", "memory", 0),
        *((f"lawow:function:{index}", "func", index) for index in (2, 3, 5)),
        ("lawow:start", "func", 1),
    ]
    assert judge_accepts(expose_state(without_externref))


@pytest.mark.parametrize("name_", PROGRAMS)
def test_only_the_export_and_the_start_section_change(name_: str) -> None:
    wasm = PROGRAMS[name_].wasm
    exposed = expose_state(wasm)
    changed = {7, 8}
    before, after = sections(wasm), sections(exposed)
    assert [item for item in after if item[0] not in changed] == [
        item for item in before if item[0] not in changed
    ]
    own = next(content for id_, content in before if id_ == 7)
    assert next(content for id_, content in after if id_ == 7).endswith(added_bytes(wasm))
    assert len(own) > 1
    assert function_names(wasm, inspect_module(wasm)) == function_names(exposed, inspect_module(exposed))
    assert judge_accepts(exposed)


def added_bytes(wasm: bytes) -> bytes:
    kinds = {"func": 0, "table": 1, "memory": 2, "global": 3}
    return b"".join(
        name(text) + bytes((kinds[kind],)) + encode_uleb128(index) for text, kind, index in added(wasm)
    )


@pytest.mark.parametrize("name_", PROGRAMS)
def test_exposing_twice_changes_nothing(name_: str) -> None:
    exposed = expose_state(PROGRAMS[name_].wasm)
    assert expose_state(exposed) == exposed
    assert is_exposed(exposed)
    assert not is_exposed(PROGRAMS[name_].wasm)


def test_an_exposed_module_computes_the_same_for_another_engine_user() -> None:
    wasm = PROGRAMS["generator"].wasm
    assert judge_call(expose_state(wasm), "next", 5) == judge_call(wasm, "next", 5)


def test_tables_that_never_change_and_constants_have_no_names() -> None:
    plain = wat(
        """(module (table 2 funcref) (elem (i32.const 0) $f) (global i32 (i32.const 1))
        (func $f) (func (export "g") (call_indirect (i32.const 0))))"""
    )
    assert added(plain) == [("lawow:stateless", "func", 0)]
    assert added(b"\0asm\1\0\0\0") == []


@pytest.mark.parametrize(
    "change",
    [
        "(table.set (i32.const 0) (ref.null func))",
        "(drop (table.grow (ref.null func) (i32.const 1)))",
        "(table.fill (i32.const 0) (ref.null func) (i32.const 1))",
        "(table.copy (i32.const 0) (i32.const 1) (i32.const 1))",
        "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))",
    ],
)
def test_every_instruction_that_changes_a_table_is_seen(change: str) -> None:
    wasm = wat(f'(module (table 2 funcref) (elem $e func $f) (func $f) (func (export "g") {change}))')
    assert ("lawow:table:0", "table", 0) in added(wasm)


def test_an_instruction_with_a_padded_number_is_seen() -> None:
    """``table.fill`` as FC 91 80 00: valid, and not what any assembler writes."""
    code = b"\0\x41\0\xd0\x70\x41\0\xfc\x91\x80\0\0\x0b"
    wasm = module(
        section(1, vector([b"\x60\0\0"])),
        section(3, b"\1\0"),
        section(4, b"\1\x70\0\2"),
        section(7, vector([name("f") + b"\0\0"])),
        section(10, vector([encode_uleb128(len(code)) + code])),
    )
    assert judge_accepts(wasm)
    assert ("lawow:table:0", "table", 0) in added(wasm)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(global (mut externref) (ref.null extern))", "global 0 holds references"),
        ("(global (mut anyref) (ref.null any))", "global 0 holds references"),
        (
            "(type $s (struct (field (mut i32)))) (global (ref $s) (struct.new $s (i32.const 1)))",
            "the global section has an initialiser with the instruction 0xfb",
        ),
        (
            "(table 1 externref) (func (table.set (i32.const 0) (ref.null extern)))",
            "table 0 holds references",
        ),
        ("(memory 1 2 shared)", "memory 0 is shared"),
        ('(import "a" "m" (memory 1))', "the memory a.m belongs to its host"),
        ('(import "a" "g" (global (mut i32)))', "the global a.g belongs to its host"),
        ('(import "nn" "load" (func)) (import "nn" "x" (func))', "behind the functions of nn"),
        (
            '(import "wasi_snapshot_preview1" "path_open" (func)) '
            '(import "wasi_snapshot_preview1" "fd_renumber" (func))',
            "what it opens by path_open, fd_renumber stays",
        ),
        (
            '(memory 1) (data $d "x") (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) '
            "(data.drop $d))",
            "whether a passive data segment",
        ),
        (
            "(table 1 funcref) (elem $e func) (func (table.init $e (i32.const 0) (i32.const 0) (i32.const 0))"
            " (elem.drop $e))",
            "whether a passive element segment",
        ),
    ],
)
def test_state_that_cannot_be_captured_is_refused_with_the_reason(text: str, reason: str) -> None:
    wasm = wat(f"(module {text})")
    (finding,) = state_findings(wasm)
    assert reason in finding
    with pytest.raises(Refused, match="cannot be captured"):
        expose_state(wasm)


def test_a_passive_segment_that_is_only_used_or_only_dropped_is_no_obstacle() -> None:
    use = "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))"
    for code in (use, "(data.drop $d)"):
        assert state_findings(wat(f'(module (memory 1) (data $d "x") (func {code}))')) == []


@pytest.mark.parametrize(
    "text",
    [
        '(memory (export "lawow:memory:0") 1) (global (export "lawow:other") i32 (i32.const 1))',
        '(memory (export "lawow:memory:0") 1) (func $f (export "lawow:start")) (start $f)',
        '(memory 1) (func (export "lawow:memory:0"))',
        '(func (export "lawow:stack"))',
    ],
)
def test_a_guest_cannot_bring_names_of_its_own(text: str) -> None:
    wasm = wat(f"(module {text})")
    with pytest.raises(FormatError, match="begins with lawow:"):
        expose_state(wasm)
    assert not is_exposed(wasm)


def test_a_component_and_damaged_sections_are_format_errors() -> None:
    with pytest.raises(FormatError, match="component"):
        state_findings(b"\0asm\x0d\0\1\0")
    data = wat('(module (memory 1) (data (i32.const 0) "x"))')
    for end in range(9, len(data)):
        try:
            state_findings(data[:end])
        except FormatError:
            continue


def test_more_exports_than_a_module_may_have_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    count = MODULE.exports + 1
    functions = wat("(module (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))")
    many = dict(sections(functions))
    many[3] = vector([b"\0"] * count)
    many[10] = vector([b"\2\0\x0b"] * (count - 1) + [many[10][1:]])
    many[9] = vector([b"\0\x41\0\x0b" + vector([encode_uleb128(index) for index in range(count)])])
    wasm = module(*(section(id_, many[id_]) for id_ in (1, 3, 4, 9, 10)))
    assert any("exports" in finding for finding in state_findings(wasm))


def test_the_work_grows_with_the_size() -> None:
    def work(count: int) -> int:
        elements = vector([b"\0\x41\0\x0b\1\0"] * count)
        code = b"\2\0\x0b"
        wasm = module(
            section(1, vector([b"\x60\0\0"])),
            section(3, b"\1\0"),
            section(4, b"\1\x70\0\2"),
            section(9, elements),
            section(10, vector([code])),
        )
        return calls_in(lambda: state_findings(wasm))

    assert work(4_000) < 5 * work(1_000)


def test_names_of_other_kinds_are_not_read_as_places() -> None:
    assert StateNames.of(["f", "lawow:stack", "lawow:global:3", "lawow:start", "lawow:table:x"]) is None
    assert StateNames.of(["lawow:stateless"]) == StateNames()
