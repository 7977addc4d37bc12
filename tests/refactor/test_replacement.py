"""Moved classes beside their proxies: originals of elastic methods, library loads, annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import Refused
from lawow.formats.apk import read_app
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.reader import Dex, read_dex
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.plan import PlanOptions, make_plan
from lawow.refactor.replacement import replaced_class
from lawow.refactor.split import Split, SplitOptions, split_app
from lawow.resources import android_stub
from tests.refactor.builders import FIB, MAIN, NATIVE_FIB, smali_class, smali_method, wasm
from tests.refactor.conftest import BuildApp
from tests.tools import enjarify, run

STUB = android_stub("prebuilt", "lawow-stub.dex").read_bytes()
MANY = "J" * 20

ORIGINALS = {
    "fib": smali_method(
        "fib",
        "(I)I",
        """    const/4 v0, 2
    if-ge p0, v0, :more
    return p0
    :more
    add-int/lit8 v1, p0, -1
    invoke-static {v1}, La/ElasticWasm;->fib(I)I
    move-result v1
    add-int/lit8 v2, p0, -2
    invoke-static {v2}, La/ElasticWasm;->fib(I)I
    move-result v2
    add-int v1, v1, v2
    return v1""",
    ),
    "many": smali_method(
        "many",
        f"({MANY})J",
        "    move-wide/from16 v0, p0\n"
        + "".join(f"    move-wide/from16 v2, p{at}\n    add-long/2addr v0, v2\n" for at in range(2, 40, 2))
        + "    return-wide v0",
        registers=46,
    ),
    "guarded": smali_method(
        "guarded",
        "([II)V",
        """    :start
    aput p1, p0, p1
    :end
    .catch Ljava/lang/ArrayIndexOutOfBoundsException; {:start .. :end} :outside
    return-void
    :outside
    move-exception v0
    const/4 v1, 0
    aput p1, p0, v1
    return-void""",
    ),
}
MODULE = wasm(
    {"fib": "i>i", "many": f"{'I' * 20}>I", "guarded": "iii>", "cabi_realloc": "iiii>i"}, memory=True
)

LAWOW = """
package dev.lawow;
public final class Lawow {
    public static final Object LOCAL = new Object();
    public static Object answer = LOCAL;
    public static Object elastic(String module, String export, String signature, Object[] arguments) {
        System.out.println("asked for " + export + " " + signature + " " + arguments.length);
        return answer;
    }
}
"""

DRIVER = f"""
import a.ElasticWasm;
import dev.lawow.Lawow;
public class Driver {{
    public static void main(String[] arguments) {{
        System.out.println(ElasticWasm.fib(10));
        System.out.println(ElasticWasm.many({", ".join(map(str, range(1, 21)))}));
        int[] items = {{5, 6, 7}};
        ElasticWasm.guarded(items, 2);
        ElasticWasm.guarded(items, 3);
        System.out.println(items[0] + " " + items[2]);
        Lawow.answer = 8;
        System.out.println(ElasticWasm.fib(10));
        Lawow.answer = -1L;
        System.out.println(ElasticWasm.many({", ".join(map(str, range(1, 21)))}));
    }}
}}
"""


def elastic_dex(apk: bytes) -> bytes:
    """Return a dex file with the moved class alone."""
    plan = make_plan(read_app(apk, name="app.apk"), PlanOptions())
    builder = DexBuilder()
    for move in plan.moves:
        builder.add(replaced_class(plan.app.dexes[0].dex, move, is_elastic=True))
    return builder.build()


def test_originals_run_when_the_library_says_so_and_a_recursion_asks_once(
    build_app: BuildApp, tmp_path: Path
) -> None:
    apk = build_app(
        [smali_class("a.ElasticWasm", "".join(ORIGINALS.values()))], entries={"assets/elastic.wasm": MODULE}
    )
    (tmp_path / "moved.dex").write_bytes(elastic_dex(apk))
    path = f"{enjarify(tmp_path / 'moved.dex', tmp_path / 'moved.jar')}:{tmp_path}"
    (tmp_path / "Lawow.java").write_text(LAWOW)
    (tmp_path / "Driver.java").write_text(DRIVER)
    run("javac", "-cp", path, "-d", tmp_path, tmp_path / "Lawow.java", tmp_path / "Driver.java")
    many = f"asked for many {'I' * 20}>I 20"
    assert run("java", "-Xverify:all", "-cp", path, "Driver").stdout.splitlines() == [
        "asked for fib i>i 1", "55", many, "210", "asked for guarded &[ii> 2", "asked for guarded &[ii> 2",
        "3 2", "asked for fib i>i 1", "8", many, "-1",
    ]  # fmt: skip


LOAD = """.method static constructor <clinit>()V
    .registers 1
    const-string v0, "wasmtime"
    invoke-static {v0}, Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V
    return-void
.end method
"""
LIBRARY = "lib/arm64-v8a/libwasmtime.so"
LOADS = smali_class("com.example.app.FibonacciWasm", NATIVE_FIB + LOAD)


def library_split(build_app: BuildApp, *classes: str) -> Split:
    apk = build_app(classes, entries={"assets/fibonacci.wasm": FIB, LIBRARY: b"\x7fELF"})
    return split_app(make_plan(read_app(apk, name="app.apk"), PlanOptions()), STUB, SplitOptions())


def called(dex: Dex, descriptor: str) -> set[str]:
    references = dex.references_of(dex.class_def(descriptor))
    return {str(item) for item in references.methods if item.name == "loadLibrary"}


def test_a_moved_class_loads_a_library_that_is_gone_by_the_stub(build_app: BuildApp) -> None:
    split = library_split(build_app, LOADS, MAIN)
    assert LIBRARY not in {entry.path for entry in split.entries}
    moved = read_dex(split.dexes["classes2.dex"])
    assert called(moved, "Lcom/example/app/FibonacciWasm;") == {
        "Ldev/lawow/Lawow;->loadLibrary(Ljava/lang/String;)V"
    }


def test_a_library_that_a_resident_loads_stays(build_app: BuildApp) -> None:
    other = smali_class("com.example.app.Other", LOAD)
    split = library_split(build_app, LOADS, other, MAIN)
    assert [item.reason for item in split.kept if item.path == LIBRARY] == [
        'com.example.app.Other holds the string "wasmtime"'
    ]


def test_an_elastic_class_loads_its_libraries_as_before(build_app: BuildApp) -> None:
    classes = smali_class("a.ElasticWasm", ORIGINALS["fib"] + LOAD)
    dex = read_dex(elastic_dex(build_app([classes], entries={"assets/elastic.wasm": MODULE})))
    assert called(dex, "La/ElasticWasm;") == {"Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V"}


def test_a_name_that_the_class_has_is_not_taken_twice(build_app: BuildApp) -> None:
    taken = ORIGINALS["fib"].replace("static fib(I)I", "static fib$local(I)I")
    classes = smali_class("a.ElasticWasm", ORIGINALS["fib"] + taken)
    dex = read_dex(elastic_dex(build_app([classes], entries={"assets/elastic.wasm": MODULE})))
    names = {method.name for method in dex.class_def("La/ElasticWasm;").methods}
    assert names == {"fib", "fib$local", "fib$local$"}


SUM = ".method public static native sum([I)I\n.end method\n"
OWNED = """.method public static native sum([I)I
    .annotation build Ldev/lawow/Offload;
        export = "sum"
        signature = "[i>i"
    .end annotation
.end method
"""


@pytest.mark.parametrize(("method", "signature"), [(SUM, "&[i>i"), (OWNED, "[i>i")])
def test_contents_come_back_unless_the_annotation_gives_the_list_away(
    build_app: BuildApp, method: str, signature: str
) -> None:
    module = wasm({"sum": "ii>i", "cabi_realloc": "iiii>i"}, memory=True)
    apk = build_app([smali_class("a.ListWasm", method)], entries={"assets/list.wasm": module})
    (bound,) = make_plan(read_app(apk, name="app.apk"), PlanOptions()).methods
    assert bound.signature == signature


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        (wasm({"sum": "ii>i", "cabi_realloc": "iiii>i"}), "has to export memory"),
        (wasm({"sum": "ii>i"}, memory=True), "has to export cabi_realloc: func(p0: s32"),
        (wasm({"sum": "ii>i", "cabi_realloc": "iii>i"}, memory=True), "has to export cabi_realloc: func("),
    ],
    ids=["memory", "allocator", "type"],
)
def test_a_module_without_memory_for_arrays_is_refused(
    build_app: BuildApp, module: bytes, missing: str
) -> None:
    apk = build_app([smali_class("a.ListWasm", SUM)], entries={"assets/list.wasm": module})
    with pytest.raises(Refused) as caught:
        make_plan(
            read_app(apk, name="app.apk"), PlanOptions(modules=(ModuleChoice("ListWasm", "list.wasm"),))
        )
    assert missing in str(caught.value)
