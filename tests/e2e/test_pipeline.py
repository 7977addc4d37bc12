"""The whole of LAWOW on the demo app: packed, split, judged by Android's own tools, and run."""

from __future__ import annotations

import os
import struct
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, lawow
from tests.tools import run

LIBRARIES = {
    f"lib/{abi}/{name}" for abi in ("arm64-v8a", "x86_64") for name in ("libwasmtime.so", "liblawow.so")
}
MODULES = {f"assets/lawow/{name}.wasm" for name in ("fibonacci", "matrix", "insertion_sort")}
PASSWORD = {"LAWOW_KEYSTORE_PASSWORD": "lawow-debug"}


@pytest.fixture(scope="module")
def split(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with app-slim.apk and app-offload.jar, made by `lawow refactor` with the app's own key."""
    out = tmp_path_factory.mktemp("split")
    signing = ("--keystore", demo / "debug.p12", "--key-alias", "debug")
    lawow("refactor", demo / "app.apk", "--out", out, *signing, **PASSWORD)
    return out


def stored_bytes(apk: Path) -> dict[str, bytes]:
    """Return the compressed form of every entry, read by the standard library alone."""
    data, found = apk.read_bytes(), {}
    with zipfile.ZipFile(apk) as archive:
        for info in archive.infolist():
            name_bytes, extra_bytes = struct.unpack_from("<HH", data, info.header_offset + 26)
            start = info.header_offset + 30 + name_bytes + extra_bytes
            found[info.filename] = data[start : start + info.compress_size]
    return found


def test_apksigner_accepts_the_slim_apk_with_v2_and_v3(split: Path) -> None:
    text = run("apksigner", "verify", "--verbose", "--min-sdk-version", "24", split / "app-slim.apk").stdout
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in text
    assert "Verified using v3 scheme (APK Signature Scheme v3): true" in text


def test_the_slim_apk_has_the_signer_of_the_input(split: Path, demo_apk: Path) -> None:
    digests = [
        [
            line
            for line in run("apksigner", "verify", "--print-certs", apk).stdout.splitlines()
            if "SHA-256" in line
        ]
        for apk in (demo_apk, split / "app-slim.apk")
    ]
    assert digests[0] == digests[1] != []


def test_zipalign_accepts_the_slim_apk(split: Path) -> None:
    run("zipalign", "-c", "-p", "4", split / "app-slim.apk")


def test_aapt_reads_the_slim_apk_and_finds_the_internet_permission(split: Path) -> None:
    badging = run("aapt", "dump", "badging", split / "app-slim.apk").stdout
    assert "package: name='dev.lawow.demo'" in badging
    assert "uses-permission: name='android.permission.INTERNET'" in badging
    assert "launchable-activity: name='dev.lawow.demo.MainActivity'" in badging


def test_the_verifier_of_dexdump_accepts_every_dex(split: Path) -> None:
    done = run("dexdump", split / "app-slim.apk")
    assert done.stderr == ""
    assert "classes2.dex" in done.stdout


def test_entries_without_a_reason_to_change_keep_their_compressed_bytes(split: Path, demo_apk: Path) -> None:
    before, after = stored_bytes(demo_apk), stored_bytes(split / "app-slim.apk")
    changed = {name for name in before if before[name] != after.get(name)}
    signature = {name for name in before if name.startswith("META-INF/")}
    assert changed - signature == LIBRARIES | MODULES | {"classes.dex"}
    assert {"classes2.dex", "assets/lawow/edge.properties"} <= set(after) - set(before)


def test_the_slim_apk_is_smaller_by_at_least_the_runtime_libraries(split: Path, demo_apk: Path) -> None:
    before = stored_bytes(demo_apk)
    libraries = sum(len(before[name]) for name in LIBRARIES)
    assert libraries > 30_000_000
    assert demo_apk.stat().st_size - (split / "app-slim.apk").stat().st_size >= libraries


def test_jar_lists_the_bundle_and_it_runs_by_class_and_method(split: Path) -> None:
    listing = run("jar", "tf", split / "app-offload.jar").stdout.splitlines()
    assert {"META-INF/MANIFEST.MF", "lawow/manifest.json", "lawow/modules/fibonacci.wasm"} <= set(listing)
    assert lawow("exec", split / "app-offload.jar", "FibonacciWasm.fib", "10").stdout == "55\n"


def test_the_demo_agrees_with_itself_in_all_four_places() -> None:
    done = run(sys.executable, ROOT / "fixtures" / "demo.py", env={"PATH": os.environ["PATH"]})
    assert done.stdout.rstrip().endswith("All results are equal in all four places.")
    for result in ("55", "2178309", "219720941.5", "1967111423707082566"):
        assert done.stdout.count(result) >= 3
