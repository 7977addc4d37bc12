"""Strings and arrays in the runtime of this process: a program in Java, and the same over a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.resources import android_stub
from tests.android.builders import Jvm, Sample, sample
from tests.conftest import ROOT
from tests.tools import run

JAVA = Path(__file__).parents[1] / "refactor" / "java"
ARRAYS = Sample("arrays.wasm", (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())
OPTIONS = ("--release", "8", "-nowarn", "-Xlint:-options", "-encoding", "UTF-8")

# Return type, name, parameters, signature: what bindings of these exports look like.
METHODS = (
    ("Integer", "sum", ("int[]",), "&[i>i"),
    ("void", "reverse", ("int[]",), "&[i>"),
    ("void", "scale", ("double[]", "double"), "&[FF>"),
    ("void", "fill", ("byte[]", "int"), "&[bi>"),
    ("void", "invert", ("boolean[]",), "&[z>"),
    ("void", "next_chars", ("char[]",), "&[c>"),
    ("Integer", "largest_short", ("short[]",), "&[s>i"),
    ("Long", "xor_longs", ("long[]",), "&[I>I"),
    ("Float", "sum_floats", ("float[]",), "&[f>f"),
    ("boolean", "both", ("int[]", "int[]"), "&[i&[i>i"),
    ("int[]", "squares", ("int",), "i>[i"),
    ("String", "upper", ("String",), "S>S"),
    ("String", "concat", ("String", "String"), "SS>S"),
    ("Integer", "change_and_trap", ("int[]",), "&[i>i"),
)

TROUBLE = """
(module
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (select (i32.const 0) (select (i32.const 65532) (i32.const 1001)
      (i32.gt_u (local.get 3) (i32.const 4))) (i32.gt_u (local.get 3) (i32.const 1000))))
  (data (i32.const 16) "\\20\\00\\00\\00\\02\\00\\00\\00\\ff\\ff\\00\\00\\04\\00\\00\\00\\02\\00\\00\\80")
  (func (export "take") (param i32 i32))
  (func (export "far") (result i32) (i32.const 65532))
  (func (export "odd") (result i32) (i32.const 17))
  (func (export "text") (result i32) (i32.const 100))
  (data (i32.const 100) "\\6c\\00\\00\\00\\01\\00\\00\\00\\ff")
  (func (export "huge") (result i32) (i32.const 200))
  (data (i32.const 200) "\\00\\00\\00\\00\\ff\\ff\\ff\\ff"))
"""
BARE = '(module (func (export "take") (param i32 i32)))'


def binding() -> str:
    """Return a class like those that call the module in this process."""
    lines = [f'package sample;\npublic class ArraysWasm {{\n  static final String MODULE = "{ARRAYS.name}";']
    for kind, name, parameters, signature in METHODS:
        given = ", ".join(f"{item} p{index}" for index, item in enumerate(parameters))
        values = ", ".join(f"p{index}" for index in range(len(parameters)))
        call = f'dev.lawow.Lawow.local(MODULE, "{name}", "{signature}", new Object[] {{{values}}})'
        body = {"void": f"{call};", "boolean": f"return (Integer) {call} != 0;"}
        lines.append(
            f"  public static {kind} {name}({given}) {{ {body.get(kind, f'return ({kind}) {call};')} }}"
        )
    return "\n".join([*lines, "}\n"])


def compiled(folder: Path, source: Path) -> Path:
    """Compile the driver with one of the two classes."""
    stub = android_stub("prebuilt", "lawow-stub.jar")
    sources = (source, JAVA / "sample" / "TotalWasm.java", JAVA / "Behaviour.java")
    run("javac", *OPTIONS, "-cp", stub, "-d", folder, *sources)
    return folder


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of resources with the modules."""
    root = tmp_path_factory.mktemp("assets")
    folder = root / "assets" / "lawow"
    folder.mkdir(parents=True)
    for module in (ARRAYS, sample("trouble.wasm", TROUBLE), sample("bare.wasm", BARE)):
        (folder / module.file).write_bytes(module.data)
    return root


def test_a_module_does_what_the_program_does(local_jvm: Jvm, assets: Path, tmp_path: Path) -> None:
    (tmp_path / "ArraysWasm.java").write_text(binding())
    there = compiled(tmp_path / "java", JAVA / "sample" / "ArraysWasm.java")
    here = compiled(tmp_path / "module", tmp_path / "ArraysWasm.java")
    outputs = [
        local_jvm.with_classes(folder, first=True).with_classes(assets).run("Behaviour", "7", "9")
        for folder in (there, here)
    ]
    assert outputs[0] == outputs[1]


def test_no_address_of_a_guest_is_believed(local_jvm: Jvm, assets: Path) -> None:
    name = sample("trouble.wasm", TROUBLE).name
    bare = sample("bare.wasm", BARE).name
    jvm = local_jvm.with_classes(assets)
    answers = jvm.calls(
        ("local", name, "take", "[b>", "b*4"),
        ("local", name, "take", "[i>", "i*1"),
        ("local", name, "take", "[b>", "b*5"),
        ("local", name, "take", "[b>", "b*1001"),
        ("local", name, "far", ">S"),
        ("local", name, "odd", ">S"),
        ("local", name, "text", ">S"),
        ("local", name, "huge", ">[I"),
        ("local", bare, "take", "[b>", "b*4"),
    )
    assert [answer.split()[1] for answer in answers] == [
        "null",
        *["memory-out-of-bounds"] * 2,
        "out-of-memory",
        *["memory-out-of-bounds"] * 2,
        "bad-result",
        "memory-out-of-bounds",
        "IllegalArgumentException",
    ]
