"""Generated classes with strings, arrays and small integers: compiled, and run over this machine's glue."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import wasmtime

from lawow.build.sections import with_wit
from lawow.errors import FormatError
from lawow.formats.bundle import bundled_module
from lawow.formats.dex.symbols import parse_method_descriptor
from lawow.pack.bindings import Binding, binding_of, java_source
from lawow.pack.naming import parameter_names
from lawow.refactor.binding import signature_of
from lawow.resources import android_stub
from tests.pack.builders import wat
from tests.tools import run

LISTS = {
    "bools": ("bool", "boolean[]", "true, false"),
    "bytes": ("u8", "byte[]", "0, -1, 127"),
    "signed": ("s8", "byte[]", "-128"),
    "chars": ("u16", "char[]", "'a', '\\uffff'"),
    "shorts": ("s16", "short[]", "-32768, 7"),
    "ints": ("s32", "int[]", "-2147483648, 7"),
    "longs": ("s64", "long[]", "-9223372036854775808L, 7"),
    "floats": ("f32", "float[]", "-0.0f, 1.5f"),
    "doubles": ("f64", "double[]", "-0.0, 1e300"),
}
"""Exported echo -> element in WIT, Java type, an example's elements."""

SMALL = {
    "flag": ("bool", "boolean", "true", "true"),
    "s8": ("s8", "byte", "(byte) -5", "-5"),
    "s16": ("s16", "short", "(short) -5", "-5"),
    "u8": ("u8", "int", "200", "200"),
    "u16": ("u16", "int", "65000", "65000"),
}

WAT = f"""
(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "echo_text") {" ".join(f'(export "echo_{name}")' for name in LISTS)}
    (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
  (func {" ".join(f'(export "small_{name}")' for name in SMALL)} (param i32) (result i32) (local.get 0))
  (func (export "blur") (param i32 i32 i32 f64) (result i32)
    (i32.store8 (local.get 0) (i32.const 99))
    (i32.add (local.get 1) (i32.mul (local.get 2) (i32.trunc_f64_s (local.get 3)))))
  (func (export "both") (param i32) (result i32 f64) (local.get 0) (f64.const 2.5))
  (func (export "plain") (param i32) (result i64) (i64.extend_i32_s (local.get 0))))
"""

WIT = (
    "package lawow:modules;\nworld typed {\n  export echo-text: func(text: string) -> string;\n"
    + "".join(
        f"  export echo-{name}: func(items: list<{kind}>) -> list<{kind}>;\n"
        for name, (kind, *_) in LISTS.items()
    )
    + "".join(
        f"  export small-{name}: func(value: {kind}) -> {kind};\n" for name, (kind, *_) in SMALL.items()
    )
    + "  export blur: func(image-bytes: list<u8>, int: u32, factor: f64) -> u32;\n"
    + "  export both: func(n: s32) -> tuple<s32, f64>;\n}\n"
)

CHECKS = "".join(
    f"""
        {java}{" "}{name} = {{{items}}};
        check("{name}", java.util.Arrays.equals({name}, TypedWasm.echo_{name}({name})));
        check("no {name}", TypedWasm.echo_{name}(new {java.replace("[]", "[0]")}).length == 0);"""
    for name, (_, java, items) in LISTS.items()
) + "".join(
    f"""
        {java} {name} = TypedWasm.small_{name}({value});
        check("{name}", String.valueOf({name}).equals("{text}"));"""
    for name, (_, java, value, text) in SMALL.items()
)

MAIN = f"""
import com.example.app.TypedWasm;

public class Main {{
    private static void check(String what, boolean isSo) {{
        if (!isSo) {{
            throw new AssertionError(what);
        }}
    }}

    public static void main(String[] unused) {{{CHECKS}
        String text = "na\\u00efve \\ud83d\\ude00";
        check("text", TypedWasm.echo_text(text).equals(text) && TypedWasm.echo_text("").isEmpty());
        byte[] image = {{1, 2, 3}};
        check("blur", TypedWasm.blur(image, 5, 2.0) == 13);
        check("the caller's array is the caller's", image[0] == 1);
        Object[] both = TypedWasm.both(-7);
        check("both", both[0].equals(-7) && both[1].equals(2.5));
        check("plain", TypedWasm.plain(-9) == -9L);
        System.out.println("all good");
    }}
}}
"""


def typed_binding(text: str = WAT, wit: str = WIT) -> Binding:
    return binding_of(bundled_module("typed.wasm", with_wit(wat(text), wit)))


def test_every_type_passes_a_generated_class_and_comes_back_the_same(tmp_path: Path) -> None:
    binding = typed_binding()
    assets = tmp_path / "assets" / "lawow"
    assets.mkdir(parents=True)
    (assets / "typed.wasm").write_bytes(binding.module.data)
    (tmp_path / "TypedWasm.java").write_text(java_source(binding, "com.example.app"))
    (tmp_path / "Main.java").write_text(MAIN)
    stub, glue = android_stub("prebuilt", "lawow-stub.jar"), tmp_path / "liblawow.so"
    flags = ("--release", "8", "-Xlint:all,-options", "-Werror", "-cp", stub, "-d", tmp_path)
    run("javac", *flags, tmp_path / "TypedWasm.java", tmp_path / "Main.java")
    run(sys.executable, android_stub("build.py"), "--host", glue)
    library = next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))
    properties = ("-Xcheck:jni", f"-Dlawow.library={glue}", f"-Dlawow.wasmtime={library}")
    assert run("java", *properties, "-cp", f"{stub}:{tmp_path}", "Main").stdout == "all good\n"


def test_declarations_have_the_names_and_types_of_the_interface() -> None:
    found = {method.name: (method.declaration, method.signature) for method in typed_binding().methods}
    assert found["blur"] == ("int blur(byte[] imageBytes, int int_, double factor)", "[biF>i")
    assert found["echo_text"] == ("String echo_text(String text)", "S>S")
    assert found["echo_chars"] == ("char[] echo_chars(char[] items)", "[c>[c")
    assert found["small_flag"] == ("boolean small_flag(boolean value)", "i>i")
    assert found["both"] == ("Object[] both(int n)", "i>iF")
    assert found["plain"] == ("long plain(int p0)", "i>I")
    descriptors = {method.name: method.descriptor for method in typed_binding().methods}
    assert descriptors["blur"] == "([BID)I"
    assert descriptors["small_s16"] == "(S)S"
    assert descriptors["both"] == "(I)[Ljava/lang/Object;"
    assert "Lawow.remote(MODULE" in java_source(typed_binding(), "com.example.app", "remote")


def test_lawow_refactor_reads_the_same_signature_out_of_the_compiled_method() -> None:
    """Its own reading makes every array one that comes back; the annotation, which has ours, decides that."""
    for method in typed_binding().methods:
        found = signature_of(parse_method_descriptor(method.descriptor), method.export.signature)
        assert found is not None
        assert found.replace("&", "") == method.signature


@pytest.mark.parametrize(
    ("text", "wit", "sentence"),
    [
        (WAT, "world {", "typed.wasm: section lawow:wit: WIT"),
        (WAT, "world a { export plain: func(n: s64) -> s64; }", "the WIT of export plain is not"),
        (
            '(module (memory (export "memory") 1) (func (export "f") (param i32 i32)))',
            "world a { export f: func(t: string); }",
            "f: strings and lists need the export cabi_realloc",
        ),
        (
            '(module (func (export "f") (result i32) (i32.const 0)))',
            "world a { export f: func() -> string; }",
            "f: strings and lists need the exported memory",
        ),
    ],
)
def test_an_interface_that_is_not_the_modules_is_refused(text: str, wit: str, sentence: str) -> None:
    with pytest.raises(FormatError) as caught:
        typed_binding(text, wit)
    assert sentence in str(caught.value)


def test_functions_of_the_runtime_need_no_interface_though_one_has_their_name() -> None:
    text = '(module (func (export "_initialize")) (func (export "initialize") (result i32) (i32.const 1)))'
    binding = typed_binding(text, "world a { export initialize: func() -> bool; }")
    assert [method.declaration for method in binding.methods] == ["boolean initialize()"]


def test_a_function_whose_types_java_lacks_is_left_out_and_said() -> None:
    binding = typed_binding(WAT, "world a { export plain: func(n: option<s32>) -> s64; }")
    assert [name for name in binding.left_out if name.startswith("plain")] == [
        "plain (option<s32> has no Java type)"
    ]
    assert "both" in {method.name for method in binding.methods}


@pytest.mark.parametrize(
    ("names", "java"),
    [
        (["image-width", "int"], ["imageWidth", "int_"]),
        (["a-b", "aB"], ["aB", "ab"]),
        (["a-b", "A-B"], ["p0", "p1"]),
        ([], []),
    ],
)
def test_parameters_have_names_that_java_allows(names: list[str], java: list[str]) -> None:
    assert parameter_names(names) == java
