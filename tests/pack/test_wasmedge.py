"""Apps with the user's own WasmEdge: what of a library is looked at, and what goes into the app.

The libraries here are made by zig: they have the names that the glue takes, and no engine behind them. That
the glue works with the real library is tested in tests/android.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lawow.errors import FormatError, Refused, UsageError
from lawow.execution.device_code import prepared_file
from lawow.pack.config import NO_CONFIG, read_pack_config
from lawow.pack.options import PackOptions
from lawow.pack.wasmedge import UserLibrary, read_user_libraries, require_wasmedge
from lawow.resources import android_stub
from tests.conftest import lawow
from tests.pack.builders import FIBONACCI, app_tree, plan_pack, wat

TARGETS = {
    "arm64-v8a": "aarch64-linux-musl",
    "x86_64": "x86_64-linux-musl",
    "armeabi-v7a": "arm-linux-musleabihf",
}
API = android_stub("jni", "wasmedge_api.h").read_text()
NAMES = [f"WasmEdge_{name}" for name in re.findall(r"X\([^,()]+, (\w+), \(", API)]


def library(folder: Path, abi: str, *, without: str = "", version: str = "0.14.1") -> Path:
    """Link a shared library for an ABI that offers the functions, and holds the version's number."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in NAMES if name != without]
    source = folder / "wasmedge.c"
    source.write_text(
        f'const char *WasmEdge_VersionGet(void) {{ return "{version}"; }}\n'
        + "".join(f"void {name}(void) {{}}\n" for name in names if name != "WasmEdge_VersionGet")
    )
    out = folder / "libwasmedge.so"
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        TARGETS[abi],
        "-nostdlib",
        "-shared",
        "-fPIC",
    ]
    command += [
        "-O1",
        "-Wl,-soname,libwasmedge.so",
        "-Wl,-z,max-page-size=16384",
        str(source),
        "-o",
        str(out),
    ]
    subprocess.run(command, check=True)
    return out


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wasmedge")
    return {abi: library(folder / abi, abi) for abi in TARGETS}


def options(*found: UserLibrary) -> dict[str, object]:
    return {"runtime": "wasmedge", "libraries": found, "prepared": prepared_file}


def test_the_list_of_functions_is_the_glues() -> None:
    assert len(NAMES) > 50
    assert "WasmEdge_ExecutorInvoke" in NAMES


def test_a_librarys_abi_is_read_from_it_and_what_is_said_of_it_must_fit(libraries: dict[str, Path]) -> None:
    arm, intel = libraries["arm64-v8a"], libraries["x86_64"]
    found = read_user_libraries([str(intel), f"arm64-v8a={arm}"])
    assert found == (UserLibrary("arm64-v8a", arm), UserLibrary("x86_64", intel))
    with pytest.raises(UsageError, match="is for x86_64, not for arm64-v8a"):
        read_user_libraries([f"arm64-v8a={intel}"])
    with pytest.raises(UsageError, match="two files for arm64-v8a"):
        read_user_libraries([str(arm), str(arm)])
    with pytest.raises(FormatError, match="a machine that there is no glue for"):
        read_user_libraries([str(libraries["armeabi-v7a"])])
    with pytest.raises(UsageError, match="no such file"):
        read_user_libraries(["x86_64=nowhere.so"])


def test_another_build_is_refused_with_what_it_lacks(tmp_path: Path, libraries: dict[str, Path]) -> None:
    require_wasmedge(libraries["x86_64"].read_bytes())
    lacking = library(tmp_path / "a", "x86_64", without="WasmEdge_AsyncCancel").read_bytes()
    with pytest.raises(FormatError, match="does not export WasmEdge_AsyncCancel; build that version"):
        require_wasmedge(lacking)
    with pytest.raises(FormatError, match=r"does not say that it is WasmEdge 0\.14\.1"):
        require_wasmedge(library(tmp_path / "b", "x86_64", version="0.13.5").read_bytes())


def test_the_app_gets_glue_library_and_prepared_modules(tmp_path: Path, libraries: dict[str, Path]) -> None:
    app, wasm = app_tree(tmp_path, {"fibonacci.wasm": wat(FIBONACCI)}), wat(FIBONACCI)
    arm = UserLibrary("arm64-v8a", libraries["arm64-v8a"])
    plan = plan_pack(app, **options(arm))
    files = {path.rpartition("/")[2]: data for path, data in plan.changes.write.items()}
    assert [item.abi for item in plan.abis] == ["arm64-v8a"]
    assert plan.tier == "interpreter (WasmEdge)"
    assert (
        files["liblawow.so"] == android_stub("prebuilt", "arm64-v8a", "wasmedge", "liblawow.so").read_bytes()
    )
    assert "libwasmedge.so" in files
    assert "libwasmtime.so" not in files
    assert files["fibonacci.wasm"] == wasm  # what the edge runs
    assert files["fibonacci.wasm.pulley"] == prepared_file(wasm)
    assert b"engine=pulley\n" in files["local.properties"]
    assert any("licence" in note for note in plan.notes)


def test_what_contradicts_it_is_refused(tmp_path: Path, libraries: dict[str, Path]) -> None:
    app = app_tree(tmp_path, {"fibonacci.wasm": wat(FIBONACCI)})
    arm = UserLibrary("arm64-v8a", libraries["arm64-v8a"])
    with pytest.raises(UsageError, match="there is no WasmEdge for x86_64"):
        plan_pack(app, abis=("x86_64",), **options(arm))
    with pytest.raises(UsageError, match="give --runtime-lib FILE for each ABI"):
        NO_CONFIG.completed(PackOptions(), tmp_path, "wasmedge")
    config = read_pack_config(b'[pack.profile]\nengine = "native"\n', name="lawow.toml")
    with pytest.raises(Refused, match="signal handlers"):
        config.completed(PackOptions(libraries=(arm,)), tmp_path, "wasmedge")


def test_the_configuration_names_runtime_and_libraries(tmp_path: Path, libraries: dict[str, Path]) -> None:
    text = f'[pack]\nruntime = "wasmedge"\nruntime-libs = ["{libraries["x86_64"]}"]\n'
    found = read_pack_config(text.encode(), name="lawow.toml").completed(PackOptions(), tmp_path, None)
    assert found.is_wasmedge
    assert [item.abi for item in found.libraries] == ["x86_64"]


def test_a_tree_is_packed_checked_and_cleared_by_the_command(
    tmp_path: Path, libraries: dict[str, Path]
) -> None:
    app = app_tree(tmp_path, {"fibonacci.wasm": wat(FIBONACCI)})
    before = sorted(path for path in app.rglob("*") if path.is_file())
    given = (
        "--runtime",
        "wasmedge",
        "--runtime-lib",
        libraries["arm64-v8a"],
        "--runtime-lib",
        libraries["x86_64"],
    )
    lawow("pack", app, *given)
    lawow("pack", app, *given, "--check")
    assert len(list(app.rglob("libwasmedge.so"))) == 2
    lawow("pack", app, "--remove")
    assert sorted(path for path in app.rglob("*") if path.is_file()) == before
    done = lawow("pack", app, "--runtime-lib", libraries["x86_64"], "--runtime", "none", check=False)
    assert done.returncode == 2
    assert "goes with --runtime wasmedge" in done.stderr
