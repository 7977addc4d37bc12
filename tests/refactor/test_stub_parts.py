"""What an app carries of the stub library: all that its code leads to, and nothing else."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from lawow.formats.dex.reader import read_dex
from lawow.formats.signing import SigningKey
from lawow.limits import ARCHIVE
from lawow.refactor import stub_parts
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from lawow.refactor.stub_parts import ANY, names_in, needed_classes, types_named_by
from lawow.resources import android_stub
from tests.refactor.builders import (
    FIB,
    MAIN,
    MANIFEST,
    NATIVE_FIB,
    binary_manifest,
    make_zip,
    smali_class,
    smali_method,
)
from tests.refactor.conftest import FIBONACCI, BuildApp

MODULE = {"assets/fibonacci.wasm": FIB}
CHANNEL = "Ldev/lawow/ElasticChannel;"
META = '<meta-data android:name="which" android:value="dev.lawow.ElasticChannel" /></application>'
LOADS = (
    smali_method("go", "()V", '    const-string v0, "dev.lawow.ElasticChannel"\n    return-void'),
    smali_method("go", "()V", '    const-string v0, "dev/lawow/ElasticChannel$Receiver"\n    return-void'),
    smali_method("go", "(Ldev/lawow/ElasticChannel;)V", "    return-void"),
    smali_method("go", "()V", "    const-class v0, [Ldev/lawow/ElasticChannel;\n    return-void"),
)
STUB = read_dex(android_stub("prebuilt", "lawow-stub.dex").read_bytes())
ENDIVE = read_dex(android_stub("prebuilt", "lawow-endive.dex").read_bytes())


def test_generated_classes_need_neither_channels_nor_leases_nor_instances_of_the_apps_own() -> None:
    needed = set(needed_classes(STUB, ()))
    assert {
        "Ldev/lawow/Lawow;",
        "Ldev/lawow/RemoteClient;",
        "Ldev/lawow/Native;",
        "Ldev/lawow/Trap;",
    } <= needed
    unused = ("DataClient", "ClientConnection", "ElasticChannel", "OffloadHandler", "Json", "ElasticFunction")
    assert not needed & {f"Ldev/lawow/{name};" for name in unused}


def test_whatever_a_class_that_is_there_names_is_there() -> None:
    for start in STUB.class_names():
        needed = needed_classes(STUB, [start])
        assert start in needed
        for descriptor in needed:
            named = types_named_by(STUB.references_of(STUB.class_def(descriptor)))
            assert named & set(STUB.class_names()) <= set(needed)


def test_an_array_or_a_nested_class_stands_for_its_class_and_strangers_for_nothing() -> None:
    by_array = needed_classes(STUB, ["[[Ldev/lawow/OffloadHandler;"])
    assert by_array == needed_classes(STUB, ["Ldev/lawow/OffloadHandler;", "Lcom/example/Main;", "I"])
    assert "Ldev/lawow/DataClient;" in by_array
    assert "Ldev/lawow/ElasticFunction$Builder;" in needed_classes(STUB, ["Ldev/lawow/ElasticFunction;"])


def entries_of(apk: bytes, suffix: str = "") -> dict[str, bytes]:
    """The contents of an archive by name, of those that end like this."""
    with zipfile.ZipFile(io.BytesIO(apk)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(suffix)}


def library_of(apk: bytes, key: SigningKey) -> set[str]:
    """The classes of the stub library in the slim APK of an app."""
    slim = refactor_app(apk, "app.apk", PlanOptions(), SplitOptions(), key).apk
    dexes = map(read_dex, entries_of(slim, ".dex").values())
    return {name for dex in dexes for name in dex.class_names()} & set(STUB.class_names())


def test_an_app_that_names_nothing_carries_what_generated_classes_call(
    build_app: BuildApp, key: SigningKey
) -> None:
    assert library_of(build_app(), key) == set(needed_classes(STUB, ()))


@pytest.mark.parametrize("method", LOADS, ids=("name", "nested", "parameter", "array"))
@pytest.mark.parametrize("where", ["a resident", "the moved class"])
def test_what_code_names_stays(build_app: BuildApp, key: SigningKey, where: str, method: str) -> None:
    """As a type, or in a string for reflection; in classes that stay and beside what moves."""
    resident = smali_class("com.example.app.FibonacciWasm", NATIVE_FIB + method)
    user = smali_class("com.example.app.User", method)
    classes = [FIBONACCI, MAIN, user] if where == "a resident" else [resident, MAIN]
    assert library_of(build_app(classes), key) == set(needed_classes(STUB, [CHANNEL]))


def test_what_the_manifest_names_stays(build_app: BuildApp, key: SigningKey, tmp_path: Path) -> None:
    manifest = binary_manifest(tmp_path, text=MANIFEST.replace("</application>", META))
    apk = build_app(entries={**MODULE, "AndroidManifest.xml": manifest})
    assert library_of(apk, key) == set(needed_classes(STUB, [CHANNEL]))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("res/layout/main.xml", "dev.lawow.ElasticChannel".encode("utf-16-le")),
        ("res/xml/a.xml", b"\x18\x18dev.lawow.ElasticChannel\0"),
        ("resources.arsc", b"\x18\x18dev.lawow.ElasticChannel\0"),
        ("META-INF/services/java.lang.AutoCloseable", b"dev.lawow.ElasticChannel\n"),
        ("lib/x86_64/libapp.so", b"\x7fELF\0dev/lawow/ElasticChannel\0"),
    ],
)
def test_what_a_file_names_that_code_may_follow_stays(
    build_app: BuildApp, key: SigningKey, path: str, content: bytes
) -> None:
    apk = build_app(entries={**MODULE, path: content})
    assert library_of(apk, key) == set(needed_classes(STUB, [CHANNEL]))


def test_every_class_stays_where_a_name_is_put_together(build_app: BuildApp, key: SigningKey) -> None:
    maker = smali_method("go", "()V", '    const-string v0, "dev.lawow."\n    return-void')
    apk = build_app([FIBONACCI, MAIN, smali_class("com.example.app.Maker", maker)])
    assert library_of(apk, key) == set(STUB.class_names())


def test_every_class_stays_where_a_file_cannot_be_read(build_app: BuildApp, key: SigningKey) -> None:
    """The split lets the file be, damaged as it is."""
    text = b"<Nothing, and quite a lot of it/>"
    apk = make_zip({**entries_of(build_app()), "res/layout/main.xml": text}, stored=["res/layout/main.xml"])
    assert library_of(apk.replace(text, text[::-1]), key) == set(STUB.class_names())


def test_every_class_stays_where_there_is_too_much_to_look_through(
    build_app: BuildApp, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    apk = build_app(entries={**MODULE, "res/layout/main.xml": b"<a/>" * 100})
    assert library_of(apk, key) == set(needed_classes(STUB, ()))
    monkeypatch.setattr(stub_parts, "ARCHIVE", replace(ARCHIVE, loaded_bytes=400))
    assert library_of(apk, key) == set(STUB.class_names())


def test_an_app_with_the_runtime_in_java_keeps_what_leads_to_it(build_app: BuildApp, key: SigningKey) -> None:
    """Its own copy goes, so this version's comes: each class once, and all that these name of the stub."""
    old = [
        smali_class(f"dev.lawow.{name}", smali_method("old", "()V", "    return-void"))
        for name in ("EndiveEngine", "Lawow")
    ]
    app = build_app([FIBONACCI, MAIN, *old])
    slim = refactor_app(app, "app.apk", PlanOptions(), SplitOptions(), key).apk
    dexes = list(map(read_dex, entries_of(slim, ".dex").values()))
    names = [name for dex in dexes for name in dex.class_names()]
    assert len(names) == len(set(names))
    assert set(ENDIVE.class_names()) <= set(names)
    for dex in dexes:
        for name in set(ENDIVE.class_names()) & set(dex.class_names()):
            references = dex.references_of(dex.class_def(name))
            assert references == ENDIVE.references_of(ENDIVE.class_def(name))
            assert types_named_by(references) & set(STUB.class_names()) <= set(names)


def test_an_app_with_another_runtime_gets_nothing_of_the_one_in_java(
    build_app: BuildApp, key: SigningKey
) -> None:
    """Not even where a string names it, as the stub library does."""
    user = smali_method("go", "()V", '    const-string v0, "dev.lawow.EndiveEngine"\n    return-void')
    apk = build_app([FIBONACCI, MAIN, smali_class("com.example.app.User", user)])
    slim = refactor_app(apk, "app.apk", PlanOptions(), SplitOptions(), key).apk
    dexes = map(read_dex, entries_of(slim, ".dex").values())
    assert not {name for dex in dexes for name in dex.class_names()} & set(ENDIVE.class_names())


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"dev.lawow.Trap", {"Ldev/lawow/Trap;"}),
        (b"xdev/lawow/Trap$1;dev.lawow.Json", {"Ldev/lawow/Trap;", "Ldev/lawow/Json;"}),
        (b"dev.lawow.demo.Main", {"Ldev/lawow/demo;"}),
        (b"dev.lawow", set()),
        (b"dev-lawow-Trap, lawow.Trap, DEV.LAWOW.Trap", set()),
        (b"a string that ends: dev.lawow.\0", {ANY}),
        ("dev.lawow.Trap, dev/lawow/Json".encode("utf-16-le"), {"Ldev/lawow/Trap;", "Ldev/lawow/Json;"}),
        (b"odd" + "dev.lawow.".encode("utf-16-le") + b"\0\0", {ANY}),
        (b"dev.lawow.\xff\xfe", {ANY}),
    ],
)
def test_names_are_found_in_bytes(data: bytes, found: set[str]) -> None:
    assert names_in(data) == found
