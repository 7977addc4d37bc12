"""What `android_stub/prebuilt` holds is what its sources build, and what Android accepts."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest

from lawow.formats.elf import read_elf, verify_android_library
from lawow.resources import android_stub
from tests.tools import run, tool

ABIS = ("arm64-v8a", "x86_64")
GLUES = ("liblawow.so", "wasmedge/liblawow.so")
NATIVE_METHODS = {
    "engineNew",
    "engineTick",
    "instanceArm",
    "instanceCall",
    "instanceExpire",
    "instanceFree",
    "instanceHas",
    "instanceNew",
    "instanceOutput",
    "instanceRead",
    "instanceStart",
    "instanceWrite",
    "instanceMemoryBytes",
    "linkerDefine",
    "linkerFree",
    "linkerNew",
    "moduleFree",
    "moduleLoad",
    "moduleSave",
    "moduleNew",
}


def jdk_headers() -> tuple[str, str]:
    include = Path(tool("javac")).resolve().parents[1] / "include"
    return f"-I{include}", f"-I{include / 'linux'}"


@pytest.mark.slow
def test_a_fresh_build_gives_the_same_bytes() -> None:
    assert run(sys.executable, android_stub("build.py"), "--check").stdout == "up to date\n"


def test_the_manifest_lists_every_file_with_its_digest() -> None:
    folder = android_stub("prebuilt")
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    found = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert listed == found


@pytest.mark.parametrize("glue", GLUES)
@pytest.mark.parametrize("abi", ABIS)
def test_android_has_nothing_against_the_glue(abi: str, glue: str) -> None:
    data = android_stub("prebuilt", abi, glue).read_bytes()
    assert verify_android_library(data, abi, file_name="liblawow.so", min_api=21) == ()


@pytest.mark.parametrize("glue", GLUES)
@pytest.mark.parametrize("abi", ABIS)
def test_the_glue_offers_the_native_methods_and_names_no_path(abi: str, glue: str) -> None:
    data = android_stub("prebuilt", abi, glue).read_bytes()
    exported = {symbol.name for symbol in read_elf(data).symbols() if symbol.defined}
    assert exported == {"JNI_OnLoad", *(f"Java_dev_lawow_Native_{name}" for name in NATIVE_METHODS)}
    assert not re.search(rb"/(home|root|tmp|work|usr)/", data)


def test_java_declares_exactly_the_native_methods_of_the_glue() -> None:
    source = android_stub("java", "dev", "lawow", "Native.java").read_text()
    assert set(re.findall(r"static native \S+ (\w+)\(", source)) == NATIVE_METHODS


def test_the_verifier_of_dexdump_accepts_the_dex_and_finds_the_seam() -> None:
    done = run("dexdump", "-l", "plain", android_stub("prebuilt", "lawow-stub.dex"))
    assert done.stderr == ""
    assert "'Ldev/lawow/Lawow;'" in done.stdout
    parameters = re.escape("(" + 3 * "Ljava/lang/String;" + "[Ljava/lang/Object;)")
    seam = rf"name +: '(local|remote)'\s+type +: '{parameters}Ljava/lang/Object;'"
    assert set(re.findall(seam, done.stdout)) == {"local", "remote"}


def test_jar_and_dex_hold_the_same_classes() -> None:
    with zipfile.ZipFile(android_stub("prebuilt", "lawow-stub.jar")) as archive:
        in_jar = {
            f"L{name.removesuffix('.class')};" for name in archive.namelist() if name.endswith(".class")
        }
    listing = run("dexdump", "-l", "plain", android_stub("prebuilt", "lawow-stub.dex")).stdout
    assert set(re.findall(r"Class descriptor  : '(\S+)'", listing)) == in_jar


def test_our_jni_table_is_that_of_the_jdk(tmp_path: Path) -> None:
    source, include = Path(__file__).parent / "jni_slots.c", f"-I{android_stub('jni')}"
    slots = []
    for name, flags in (("ours", ()), ("jdk", ("-DLAWOW_USE_JNI_H", *jdk_headers()))):
        run("gcc", include, *flags, source, "-o", tmp_path / name)
        slots.append(run(tmp_path / name).stdout)
    assert slots[0] == slots[1]
    assert "ExceptionCheck 228" in slots[0]


@pytest.mark.parametrize("system", [(), ("-D__ANDROID__", "-U__GLIBC__")], ids=["linux", "android"])
def test_the_glue_compiles_without_a_warning_against_the_real_headers(
    tmp_path: Path, system: tuple[str, ...]
) -> None:
    flags = (
        *system,
        "-std=gnu11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fPIC",
        "-shared",
        "-DLAWOW_USE_JNI_H",
    )
    run(
        "gcc",
        *flags,
        *jdk_headers(),
        android_stub("jni", "lawow_jni.c"),
        "-o",
        tmp_path / "liblawow.so",
        "-ldl",
    )


def test_the_stub_carries_the_licence_of_the_project() -> None:
    root = Path(__file__).resolve().parents[2]
    assert android_stub("LICENSE").read_bytes() == (root / "LICENSE").read_bytes()
