"""What a proxy sends and returns, seen by a JVM that runs it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lawow.formats.bundle import BoundMethod, bundled_module
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.reader import read_dex
from lawow.formats.dex.source import MethodSource
from lawow.formats.dex.transplant import transplant_class
from lawow.formats.dex.views import MethodView
from lawow.refactor.binding import bind_methods
from lawow.refactor.proxy import proxy_method
from tests.refactor.builders import assemble, smali_class, wasm
from tests.tools import enjarify, run

EXPORTS = {
    "add": "ii>i",
    "nothing": ">",
    "boolean_": "i>i",
    "byte_": "i>i",
    "short_": "i>i",
    "char_": "i>i",
    "long_": "I>I",
    "float_": "f>f",
    "double_": "F>F",
    "mixed": "iIfFiiii>F",
    "many": f"{'I' * 20}>I",
    "pair": "i>iI",
    "text": "ii>i",
    "arrays": "iiiiiiiiiiiiiiii>i",
    "boxes": "iiiiiIfF>F",
    "boxed_byte": "i>i",
    "boxed_boolean": "i>i",
    "boxed_char": "i>i",
    "boxed_long": "I>I",
    "doubles": ">i",
    "cabi_realloc": "iiii>i",
}
DESCRIPTORS = {
    "add": "(II)I",
    "nothing": "()V",
    "boolean_": "(Z)Z",
    "byte_": "(B)B",
    "short_": "(S)S",
    "char_": "(C)C",
    "long_": "(J)J",
    "float_": "(F)F",
    "double_": "(D)D",
    "mixed": "(IJFDZBSC)D",
    "many": f"({'J' * 20})J",
    "pair": "(I)[Ljava/lang/Object;",
    "text": "(Ljava/lang/String;)Ljava/lang/String;",
    "arrays": "([Z[B[C[S[I[J[F[D)[I",
    "boxes": "(Ljava/lang/Boolean;Ljava/lang/Byte;Ljava/lang/Short;Ljava/lang/Character;Ljava/lang/Integer;"
    "Ljava/lang/Long;Ljava/lang/Float;Ljava/lang/Double;)Ljava/lang/Double;",
    "boxed_byte": "(Ljava/lang/Byte;)Ljava/lang/Byte;",
    "boxed_boolean": "(Ljava/lang/Boolean;)Ljava/lang/Boolean;",
    "boxed_char": "(Ljava/lang/Character;)Ljava/lang/Character;",
    "boxed_long": "(Ljava/lang/Long;)Ljava/lang/Long;",
    "doubles": "()[D",
}
NATIVES = "".join(
    f".method public static native {name}{descriptor}\n.end method\n"
    for name, descriptor in DESCRIPTORS.items()
)

LAWOW = """
package dev.lawow;
public final class Lawow {
    public static Object answer;
    public static Object remote(String module, String export, String signature, Object[] arguments) {
        StringBuilder line = new StringBuilder(module.replaceAll("@.*", "") + " " + export + " " + signature);
        for (Object item : arguments) {
            line.append(' ').append(item.getClass().getSimpleName());
            line.append(item.getClass().isArray() ? "" : "=" + item);
        }
        System.out.println(line);
        return answer;
    }
}
"""

DRIVER = """
import dev.lawow.Lawow;
import a.AllWasm;
public class Driver {
    public static void main(String[] arguments) {
        Lawow.answer = 7;
        System.out.println(AllWasm.add(1, -2));
        Lawow.answer = null;
        AllWasm.nothing();
        Lawow.answer = 256;
        System.out.println(AllWasm.boolean_(true));
        Lawow.answer = 0;
        System.out.println(AllWasm.boolean_(false));
        Lawow.answer = 0x1ff;
        System.out.println(AllWasm.byte_((byte) -1));
        Lawow.answer = 0x1fffe;
        System.out.println(AllWasm.short_((short) -2));
        Lawow.answer = 0x10041;
        System.out.println(AllWasm.char_('B'));
        Lawow.answer = Long.MIN_VALUE;
        System.out.println(AllWasm.long_(Long.MAX_VALUE));
        Lawow.answer = 1.5f;
        System.out.println(AllWasm.float_(-0f));
        Lawow.answer = Double.NaN;
        System.out.println(AllWasm.double_(1e300));
        Lawow.answer = 2.5;
        System.out.println(AllWasm.mixed(1, 2L, 3f, 4d, true, (byte) 5, (short) 6, 'c'));
        Lawow.answer = 20L;
        System.out.println(AllWasm.many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
            11, 12, 13, 14, 15, 16, 17, 18, 19, 20));
        Lawow.answer = new Object[] {1, 2L};
        System.out.println(AllWasm.pair(9).length);
        Lawow.answer = "b";
        System.out.println(AllWasm.text("a"));
        int[] ints = {1};
        Lawow.answer = ints;
        System.out.println(AllWasm.arrays(new boolean[0], new byte[0], new char[0], new short[0], ints,
            new long[0], new float[0], new double[0]) == ints);
        Lawow.answer = 0.5;
        System.out.println(AllWasm.boxes(true, (byte) -1, (short) -2, 'A', 4, 5L, 6f, 7d));
        Lawow.answer = 0x1ff;
        System.out.println(AllWasm.boxed_byte((byte) 1));
        Lawow.answer = 256;
        System.out.println(AllWasm.boxed_boolean(false));
        Lawow.answer = 0x10041;
        System.out.println(AllWasm.boxed_char('b'));
        Lawow.answer = 5L;
        System.out.println(AllWasm.boxed_long(4L));
        Lawow.answer = new double[] {1, 2, 3};
        System.out.println(AllWasm.doubles().length);
        try {
            AllWasm.boxed_byte(null);
        } catch (NullPointerException error) {
            System.out.println("null");
        }
    }
}
"""

EXPECTED = """\
all.wasm add ii>i Integer=1 Integer=-2
7
all.wasm nothing >
all.wasm boolean_ i>i Integer=1
true
all.wasm boolean_ i>i Integer=0
false
all.wasm byte_ i>i Integer=-1
-1
all.wasm short_ i>i Integer=-2
-2
all.wasm char_ i>i Integer=66
A
all.wasm long_ I>I Long=9223372036854775807
-9223372036854775808
all.wasm float_ f>f Float=-0.0
1.5
all.wasm double_ F>F Double=1.0E300
NaN
all.wasm mixed iIfFiiii>F Integer=1 Long=2 Float=3.0 Double=4.0 Integer=1 Integer=5 Integer=6 Integer=99
2.5
"""


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The dex file with class a.AllWasm, all of whose methods are proxies."""
    dex = read_dex(assemble(tmp_path_factory.mktemp("smali"), [smali_class("a.AllWasm", NATIVES)]))
    module = bundled_module("all.wasm", wasm(EXPORTS, memory=True))
    bound: dict[str, BoundMethod] = {
        item.method: item for item in bind_methods(dex.class_def("La/AllWasm;"), module)
    }
    assert set(bound) == set(DESCRIPTORS)

    def replace(method: MethodView) -> MethodSource:
        return proxy_method(method, bound[method.name], module)

    builder = DexBuilder()
    builder.add(transplant_class(dex, "La/AllWasm;", replace))
    return builder.build()


def test_a_jvm_that_verifies_runs_proxies_of_all_types(proxies: bytes, tmp_path: Path) -> None:
    dex, jar = tmp_path / "proxies.dex", tmp_path / "proxies.jar"
    dex.write_bytes(proxies)
    enjarify(dex, jar)
    (tmp_path / "Lawow.java").write_text(LAWOW)
    (tmp_path / "Driver.java").write_text(DRIVER)
    classpath = f"{jar}:{tmp_path}"
    run("javac", "-cp", classpath, "-d", tmp_path, tmp_path / "Lawow.java", tmp_path / "Driver.java")
    output = run("java", "-Xverify:all", "-cp", classpath, "Driver").stdout
    assert output.startswith(EXPECTED)
    many = "".join(f" Long={number}" for number in range(1, 21))
    rest = output.removeprefix(EXPECTED).splitlines()
    assert rest[:4] == [f"all.wasm many {'I' * 20}>I{many}", "20", "all.wasm pair i>iI Integer=9", "2"]
    assert "\n".join(rest[4:]) == OBJECTS


OBJECTS = """\
all.wasm text S>S String=a
b
all.wasm arrays &[z&[b&[c&[s&[i&[I&[f&[F>[i boolean[] byte[] char[] short[] int[] long[] float[] double[]
true
all.wasm boxes iiiiiIfF>F Integer=1 Integer=-1 Integer=-2 Integer=65 Integer=4 Long=5 Float=6.0 Double=7.0
0.5
all.wasm boxed_byte i>i Integer=1
-1
all.wasm boxed_boolean i>i Integer=0
true
all.wasm boxed_char i>i Integer=98
A
all.wasm boxed_long I>I Long=4
5
all.wasm doubles >[F
3
null"""


def test_androids_verifier_accepts_the_proxies(proxies: bytes, tmp_path: Path) -> None:
    dex = tmp_path / "proxies.dex"
    dex.write_bytes(proxies)
    assert run("dexdump", "-d", dex).stderr == ""


def test_a_proxy_addresses_its_module_by_name_and_digest(proxies: bytes) -> None:
    digest = hashlib.sha256(wasm(EXPORTS, memory=True)).hexdigest()
    view = read_dex(proxies).class_def("La/AllWasm;")
    assert f"all.wasm@{digest}" in view.dex.references_of(view).strings


def test_a_proxy_is_not_native(proxies: bytes) -> None:
    assert not any(method.is_native for method in read_dex(proxies).class_def("La/AllWasm;").methods)
