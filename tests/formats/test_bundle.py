"""The offload bundle: what is written can be read, and nothing else can."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.formats.bundle import BoundMethod, OffloadBundle, Origin, build_bundle, read_bundle
from lawow.limits import ARCHIVE
from tests.conftest import ROOT
from tests.refactor.builders import FIB, make_zip, wasm
from tests.tools import run

ORIGIN = Origin("com.example.app", "ab" * 32)
FIB_METHOD = BoundMethod("com.example.FibonacciWasm", "fib", "(I)I", "fibonacci.wasm", "fib", "i>i")
MATRIX = wasm({"multiply": "i>F", "size": ">i"}, imports=True)
MATRIX_METHOD = BoundMethod("com.example.MatrixWasm", "multiply", "(I)D", "matrix.wasm", "multiply", "i>F")
MODULES = {"matrix.wasm": MATRIX, "fibonacci.wasm": FIB}

Manifest = dict[str, object]


@pytest.fixture(scope="module")
def bundle() -> bytes:
    return build_bundle(MODULES, [MATRIX_METHOD, FIB_METHOD], ORIGIN)


def contents(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(bundle)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def with_manifest(bundle: bytes, change: Callable[[Manifest], None]) -> bytes:
    """Return the bundle with a changed manifest."""
    entries = contents(bundle)
    manifest = json.loads(entries["lawow/manifest.json"])
    change(manifest)
    return make_zip({**entries, "lawow/manifest.json": json.dumps(manifest).encode()})


def test_a_bundle_reads_back_what_was_built(bundle: bytes) -> None:
    found = read_bundle(bundle)
    assert found.origin == ORIGIN
    assert found.methods == (FIB_METHOD, MATRIX_METHOD)
    assert {module.file: module.data for module in found.modules} == MODULES
    fibonacci = found.module("fibonacci.wasm")
    assert fibonacci.sha256 == hashlib.sha256(FIB).hexdigest()
    assert [(item.name, item.signature, item.wit) for item in fibonacci.exports] == [
        ("fib", "i>i", "fib: func(p0: s32) -> s32")
    ]


def test_a_module_without_imports_is_pure(bundle: bytes) -> None:
    assert {module.file: module.pure for module in read_bundle(bundle).modules} == {
        "fibonacci.wasm": True,
        "matrix.wasm": False,
    }


def test_the_same_input_gives_the_same_bytes(bundle: bytes) -> None:
    again = build_bundle(dict(reversed(MODULES.items())), [FIB_METHOD, MATRIX_METHOD], ORIGIN)
    assert again == bundle


def test_the_jdk_lists_the_bundle_as_a_jar(bundle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "app-offload.jar"
    path.write_bytes(bundle)
    assert run("jar", "tf", path).stdout.split() == [
        "META-INF/MANIFEST.MF",
        "lawow/manifest.json",
        "lawow/modules/fibonacci.wasm",
        "lawow/modules/matrix.wasm",
    ]


def test_the_manifest_maps_classes_to_modules_and_methods_to_exports(bundle: bytes) -> None:
    manifest = json.loads(contents(bundle)["lawow/manifest.json"])
    assert manifest["schema"] == 1
    assert manifest["origin"] == {"package": "com.example.app", "apk_sha256": "ab" * 32}
    assert manifest["classes"][0] == {
        "name": "com.example.FibonacciWasm",
        "module": "fibonacci.wasm",
        "methods": [{"name": "fib", "descriptor": "(I)I", "export": "fib", "signature": "i>i"}],
    }


@pytest.mark.parametrize("target", ["FibonacciWasm.fib", "com.example.FibonacciWasm.fib"])
def test_a_method_is_found_by_simple_and_by_full_class_name(bundle: bytes, target: str) -> None:
    module, export = read_bundle(bundle).find(target)
    assert (module.file, export) == ("fibonacci.wasm", "fib")


def test_an_unknown_method_is_answered_with_those_that_exist(bundle: bytes) -> None:
    with pytest.raises(UsageError, match=r"no method Fib.fib; methods: com.example.FibonacciWasm.fib, com"):
        read_bundle(bundle).find("Fib.fib")


def test_a_simple_name_of_two_classes_is_ambiguous() -> None:
    other = BoundMethod("org.other.FibonacciWasm", "fib", "(I)I", "other.wasm", "fib", "i>i")
    modules = {"fibonacci.wasm": FIB, "other.wasm": wasm({"fib": "i>i"})}
    found = read_bundle(build_bundle(modules, [FIB_METHOD, other], ORIGIN))
    with pytest.raises(UsageError, match=r"com\.example\.FibonacciWasm and org\.other\.FibonacciWasm"):
        found.find("FibonacciWasm.fib")
    assert found.find("org.other.FibonacciWasm.fib")[0].file == "other.wasm"


def test_a_bundle_without_methods_says_so() -> None:
    empty = OffloadBundle((), (), ORIGIN)
    with pytest.raises(UsageError, match="methods: none"):
        empty.find("A.b")
    with pytest.raises(UsageError, match="modules: none"):
        empty.module("a.wasm")


@pytest.mark.parametrize(
    "name", ["../fib.wasm", "a/b.wasm", ".wasm", "fib.so", "f\0.wasm", "con\\fib.wasm", "é.wasm"]
)
def test_unsafe_module_names_are_not_built(name: str) -> None:
    with pytest.raises(FormatError, match="unsafe module name"):
        build_bundle({name: FIB}, [], ORIGIN)


def test_a_method_bound_to_nothing_is_not_built() -> None:
    with pytest.raises(FormatError, match="module that is missing"):
        build_bundle({}, [FIB_METHOD], ORIGIN)
    with pytest.raises(FormatError, match="another signature"):
        build_bundle({"fibonacci.wasm": wasm({"fib": "I>I"})}, [FIB_METHOD], ORIGIN)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda m: m.update(schema=2), "unknown schema"),
        (lambda m: m.update(schema=True), "'schema' must be a int"),
        (lambda m: m.pop("modules"), "'modules' must be a list"),
        (lambda m: m["modules"].append(1), r"modules\[2\]: must be an object"),
        (lambda m: m["modules"].append(m["modules"][0]), "a module is listed twice"),
        (lambda m: m["modules"].pop(), "unexpected 'lawow/modules/matrix.wasm'"),
        (lambda m: m["modules"][0].update(file="../fibonacci.wasm"), "unsafe module name"),
        (lambda m: m["modules"][0].update(file="other.wasm"), "missing 'lawow/modules/other.wasm'"),
        (lambda m: m["modules"][0].update(sha256="0" * 64), "sha256 is not what the manifest says"),
        (lambda m: m["modules"][0].update(bytes=1), "bytes is not what the manifest says"),
        (lambda m: m["modules"][1].update(pure=True), "pure is not what the manifest says"),
        (lambda m: m["modules"][0]["exports"][0].update(signature="i>I"), "interface in the manifest"),
        (lambda m: m["modules"][0]["exports"].clear(), "interface in the manifest"),
        (lambda m: m["classes"][0]["methods"][0].update(export="fob"), "another signature"),
        (lambda m: m["classes"][0]["methods"][0].update(signature="i>I"), "another signature"),
        (lambda m: m["classes"].append(m["classes"][0]), "listed twice"),
        (lambda m: m["classes"][0].update(module="other.wasm"), "module that is missing"),
        (lambda m: m["classes"][0]["methods"][0].pop("descriptor"), "'descriptor' must be a str"),
        (lambda m: m["origin"].update(apk_sha256="AB"), "apk_sha256 is not a SHA-256"),
        (lambda m: m.pop("origin"), "'origin' must be a dict"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    bundle: bytes, change: Callable[[Manifest], None], sentence: str
) -> None:
    with pytest.raises(FormatError, match=sentence):
        read_bundle(with_manifest(bundle, change))


def test_a_changed_module_is_refused(bundle: bytes) -> None:
    entries = contents(bundle)
    entries["lawow/modules/fibonacci.wasm"] = wasm({"fib": "i>i"})
    with pytest.raises(FormatError, match=r"bytes is not|sha256 is not"):
        read_bundle(make_zip(entries))


def test_an_additional_entry_is_refused(bundle: bytes) -> None:
    with pytest.raises(FormatError, match=r"unexpected 'evil\.class'"):
        read_bundle(make_zip({**contents(bundle), "evil.class": b""}))


def test_a_bundle_without_a_manifest_is_refused(bundle: bytes) -> None:
    entries = contents(bundle)
    del entries["lawow/manifest.json"]
    with pytest.raises(FormatError, match=r"lawow/manifest.json is missing"):
        read_bundle(make_zip(entries))


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b'{"schema":1,"schema":1}', b"1" * 5000],
    ids=["empty", "list", "number", "cut", "not-utf-8", "deep", "doubled-key", "huge-number"],
)
def test_a_manifest_that_is_not_a_json_object_is_refused(bundle: bytes, text: bytes) -> None:
    with pytest.raises(FormatError, match=r"lawow/manifest.json"):
        read_bundle(make_zip({**contents(bundle), "lawow/manifest.json": text}))


def test_more_modules_than_the_limit_are_refused(bundle: bytes) -> None:
    def many(manifest: Manifest) -> None:
        manifest["modules"] = [{}] * (ARCHIVE.bundle_modules + 1)

    with pytest.raises(LimitExceeded, match="bundle_modules"):
        read_bundle(with_manifest(bundle, many))


def test_a_bundle_cut_off_anywhere_is_refused(bundle: bytes) -> None:
    for length in range(len(bundle)):
        with pytest.raises(FormatError):
            read_bundle(bundle[:length])


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_changed_byte_is_harmless_or_refused(data: st.DataObject) -> None:
    bundle = bytearray(build_bundle(MODULES, [FIB_METHOD, MATRIX_METHOD], ORIGIN))
    bundle[data.draw(st.integers(0, len(bundle) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = read_bundle(bytes(bundle))
    except (FormatError, LimitExceeded):
        return
    assert found.module("fibonacci.wasm").data == FIB


ARRAYS = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()


def arrays_bundle(export: str, signature: str, module: bytes = ARRAYS) -> OffloadBundle:
    method = BoundMethod("com.example.Arrays", "run", "([I)I", "arrays.wasm", export, signature)
    return read_bundle(build_bundle({"arrays.wasm": module}, [method], ORIGIN))


@pytest.mark.parametrize(
    ("export", "signature"), [("sum", "&[i>i"), ("concat", "SS>S"), ("squares", "i>[i"), ("scale", "&[FF>")]
)
def test_a_method_with_lists_is_bound_to_an_export_of_the_core_type(export: str, signature: str) -> None:
    bundle = arrays_bundle(export, signature)
    assert bundle.find_method("Arrays.run").signature == signature
    assert bundle.find("Arrays.run")[1] == export


@pytest.mark.parametrize(
    ("export", "signature"),
    [("sum", "&[i>"), ("sum", "[i[i>i"), ("concat", "SS>SS"), ("scale", "&[Ff>"), ("sum", "["), ("sum", "")],
)
def test_a_method_with_a_signature_of_another_core_type_is_refused(export: str, signature: str) -> None:
    with pytest.raises(FormatError, match=r"Arrays\.run"):
        arrays_bundle(export, signature)


def test_a_method_with_lists_needs_a_module_with_an_allocator() -> None:
    for exports in ({"f": "ii>i"}, {"f": "ii>i", "cabi_realloc": "ii>i"}):
        with pytest.raises(FormatError, match="need the export cabi_realloc"):
            arrays_bundle("f", "[i>i", wasm(exports))
    assert arrays_bundle("f", ">S", wasm({"f": ">i"})).methods
