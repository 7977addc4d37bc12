"""The same JVM over WasmEdge's glue and the real library for this machine, with prepared modules."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lawow.execution.device_code import prepared_file
from lawow.resources import android_stub
from tests.android.builders import Jvm, Sample, sample
from tests.android.test_local_values import ARRAYS, BARE, TROUBLE
from tests.runtime.wasmedge import wasmedge
from tests.tools import run


@pytest.fixture(scope="session")
def host_glue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """liblawow.so over WasmEdge for this machine."""
    out = tmp_path_factory.mktemp("glue") / "liblawow.so"
    run(sys.executable, android_stub("build.py"), "--runtime", "wasmedge", "--host", out)
    return out


@pytest.fixture(scope="session")
def host_wasmtime() -> Path:
    """libwasmedge.so.0 of this machine, under the name by which the stub library asks for the runtime."""
    return next(_root().rglob("libwasmedge.so.0"))


@pytest.fixture(scope="session")
def local_jvm(
    jvm: Jvm,
    host_glue: Path,
    host_wasmtime: Path,
    calls_module: Sample,
    wasi_module: Sample,
    host_module: Sample,
    tmp_path_factory: pytest.TempPathFactory,
) -> Jvm:
    """A JVM with these libraries, started by the loader and with the C library that came with WasmEdge."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "assets" / "lawow").mkdir(parents=True)
    more = (ARRAYS, sample("trouble.wasm", TROUBLE), sample("bare.wasm", BARE))
    for module in (calls_module, wasi_module, host_module, *more):
        path = folder / "assets" / "lawow" / f"{module.file}.pulley"
        path.write_bytes(prepared_file(module.data))
    java = Path(shutil.which("java") or "java").resolve()
    places = [host_wasmtime.parent, java.parent.parent / "lib"]
    loader = next(_root().rglob("ld-linux*.so*"))
    launcher = (loader, "--library-path", os.pathsep.join(map(str, places)), "--argv0", java, java)
    started = replace(jvm.with_classes(folder), launcher=launcher)
    return started.with_properties(library=host_glue, wasmtime=host_wasmtime, engine="pulley")


def _root() -> Path:
    """Return where Debian's packages were unpacked."""
    return Path(wasmedge()).resolve().parent.parent / "root"
