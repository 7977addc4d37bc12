"""A module is found in a file of any kind, by the file's content and the names that the user gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.execution.extractor import open_package, split_member
from lawow.formats.bundle import BoundMethod, Origin, build_bundle
from lawow.formats.zip import make_entry, write_zip
from tests.runtime.builders import FIBONACCI, many_locals, wat

DOUBLE = '(module (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))'
ORIGIN = Origin("com.example", "0" * 64)


def write(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def bundle(folder: Path) -> str:
    methods = [
        BoundMethod("com.example.FibonacciWasm", "fib", "(I)I", "fibonacci.wasm", "fib", "i>i"),
        BoundMethod("com.example.DoubleWasm", "twice", "(I)I", "double.wasm", "double", "i>i"),
    ]
    modules = {"fibonacci.wasm": wat(FIBONACCI), "double.wasm": wat(DOUBLE)}
    return write(folder, "app-offload.jar", build_bundle(modules, methods, ORIGIN))


def apk(folder: Path, assets: dict[str, bytes]) -> str:
    entries = [make_entry("AndroidManifest.xml", b"\3\0\x08\0")]
    entries += [make_entry(name, data) for name, data in assets.items()]
    return write(folder, "app.apk", write_zip(entries, align=True))


@pytest.mark.parametrize("name", ["m.wasm", "m.jar", "m"])
def test_a_module_is_recognised_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, wat(FIBONACCI))
    found = open_package(path).find("fib")
    assert (bytes(found.data), found.label, found.export) == (wat(FIBONACCI), path, "")


@pytest.mark.parametrize("text", [FIBONACCI, ";; a comment\n" + FIBONACCI, "(; one ;)" + FIBONACCI])
def test_the_text_form_is_translated(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "m.wat", text.encode())
    assert open_package(path).find("fib").info.export("fib") is not None


def test_a_method_of_a_bundle_stands_for_a_module_and_an_export(tmp_path: Path) -> None:
    package = open_package(bundle(tmp_path))
    for name in ("FibonacciWasm.fib", "com.example.FibonacciWasm.fib"):
        found = package.find(name)
        assert (bytes(found.data), found.export) == (wat(FIBONACCI), "fib")
    assert package.find("DoubleWasm.twice").export == "double"


def test_an_unknown_method_is_refused_with_the_ones_there_are(tmp_path: Path) -> None:
    package = open_package(bundle(tmp_path))
    with pytest.raises(UsageError, match=r"no method FibonacciWasm\.nope.*DoubleWasm\.twice"):
        package.find("FibonacciWasm.nope")


def test_an_export_selects_the_module_that_alone_has_it(tmp_path: Path) -> None:
    package = open_package(bundle(tmp_path))
    assert bytes(package.find("double").data) == wat(DOUBLE)
    with pytest.raises(UsageError, match="no module exports 'nope'"):
        package.find("nope")


def test_modules_of_an_apk_are_found_anywhere_below_assets(tmp_path: Path) -> None:
    path = apk(
        tmp_path,
        {
            "assets/lawow/fibonacci.wasm": wat(FIBONACCI),
            "assets/deep/er/double.wasm": wat(DOUBLE),
            "x.wasm": b"",
        },
    )
    package = open_package(path)
    assert list(package.modules) == ["assets/lawow/fibonacci.wasm", "assets/deep/er/double.wasm"]
    assert bytes(package.find("fib").data) == wat(FIBONACCI)
    assert bytes(package.find("anything", "double.wasm").data) == wat(DOUBLE)
    assert bytes(package.find("anything", "assets/deep/er/double.wasm").data) == wat(DOUBLE)
    with pytest.raises(UsageError, match=r"no module is named 'x\.wasm'; modules: assets/lawow"):
        package.find("fib", "x.wasm")


def test_a_name_that_means_several_modules_is_refused(tmp_path: Path) -> None:
    path = apk(tmp_path, {"assets/a/fib.wasm": wat(FIBONACCI), "assets/b/fib.wasm": wat(FIBONACCI)})
    package = open_package(path)
    with pytest.raises(UsageError, match=r"2 modules export 'fib' \(assets/a/fib.wasm, assets/b/fib.wasm\)"):
        package.find("fib")
    with pytest.raises(UsageError, match=r"several modules are named 'fib\.wasm'"):
        package.find("fib", "fib.wasm")


def test_an_archive_without_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"app\.apk: holds no module"):
        open_package(apk(tmp_path, {}))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is no WebAssembly module .found an empty file"),
        (b"# text", "is no WebAssembly module"),
        (b"\x7fELF", "is no WebAssembly module"),
        (b"PK\3\4garbage", "broken.file"),
        (b"(module (func (export", "is not WebAssembly text"),
        (b"(module \xff)", "is not WebAssembly text"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = write(tmp_path, "broken.file", data)
    with pytest.raises(FormatError, match=sentence) as caught:
        open_package(path)
    assert str(caught.value).startswith(path)
    assert str(caught.value).count(path) == 1


def test_a_damaged_module_is_reported_with_its_place_in_the_archive(tmp_path: Path) -> None:
    path = apk(tmp_path, {"assets/half.wasm": wat(FIBONACCI)[:-5]})
    with pytest.raises(FormatError, match=r"app\.apk!assets/half\.wasm: \w+: ends too early"):
        _ = open_package(path).find("fib").info


def test_a_component_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "c.wasm", b"\0asm\x0d\0\1\0")
    with pytest.raises(FormatError, match=r"c\.wasm: is a WebAssembly component"):
        _ = open_package(path).find("f").info


def test_a_compile_bomb_is_refused_with_the_limit_and_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "bomb.wasm", many_locals(2_000, 50_000))
    with pytest.raises(LimitExceeded, match=r"bomb\.wasm: locals_per_function is 50000, the limit is 5000"):
        _ = open_package(path).find("f").info


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_package(str(tmp_path / "missing"))


def test_a_member_is_split_off_unless_such_a_file_exists(tmp_path: Path) -> None:
    assert split_member("app.apk!fib.wasm") == ("app.apk", "fib.wasm")
    assert split_member("app.apk") == ("app.apk", "")
    odd = write(tmp_path, "odd!name.wasm", wat(FIBONACCI))
    assert split_member(odd) == (odd, "")
