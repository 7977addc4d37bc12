"""The stub library on a JVM of this machine: compiled once, with modules as resources."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lawow.resources import android_stub
from tests.android.builders import CALLS, HOST, WASI, Jvm, Sample, sample
from tests.server.conftest import new_tenant, tenant
from tests.tools import run

__all__ = ["new_tenant", "tenant"]

SOURCES = Path(__file__).parent / "java"


@pytest.fixture(scope="session")
def calls_module() -> Sample:
    return sample("calls.wasm", CALLS)


@pytest.fixture(scope="session")
def wasi_module() -> Sample:
    return sample("wasi.wasm", WASI)


@pytest.fixture(scope="session")
def host_module() -> Sample:
    return sample("host.wasm", HOST)


@pytest.fixture(scope="session")
def samples(
    tmp_path_factory: pytest.TempPathFactory, calls_module: Sample, wasi_module: Sample, host_module: Sample
) -> tuple[Path, ...]:
    """The three modules as files, in the order that `fake_jvm` takes them."""
    folder = tmp_path_factory.mktemp("samples")
    for module in (calls_module, wasi_module, host_module):
        (folder / module.file).write_bytes(module.data)
    return tuple(folder / module.file for module in (calls_module, wasi_module, host_module))


@pytest.fixture(scope="session")
def host_glue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """liblawow.so for this machine."""
    out = tmp_path_factory.mktemp("glue") / "liblawow.so"
    run(sys.executable, android_stub("build.py"), "--host", out)
    return out


@pytest.fixture(scope="session")
def host_wasmtime() -> Path:
    """libwasmtime.so of this machine, out of the installed package."""
    import wasmtime

    return next(Path(wasmtime.__file__).parent.glob("linux-*/_libwasmtime.so"))


@pytest.fixture(scope="session")
def jvm(
    tmp_path_factory: pytest.TempPathFactory, calls_module: Sample, wasi_module: Sample, host_module: Sample
) -> Jvm:
    """A JVM that knows no native library yet; the modules are where an app has its assets."""
    folder = tmp_path_factory.mktemp("jvm")
    stub = android_stub("prebuilt", "lawow-stub.jar")
    run("javac", "-Xlint:all", "-Werror", "-cp", stub, "-d", folder / "classes", *SOURCES.glob("*.java"))
    assets = folder / "resources" / "assets" / "lawow"
    assets.mkdir(parents=True)
    for module in (calls_module, wasi_module, host_module):
        (assets / module.file).write_bytes(module.data)
    return Jvm((stub, folder / "classes", folder / "resources"))


@pytest.fixture(scope="session")
def local_jvm(jvm: Jvm, host_glue: Path, host_wasmtime: Path) -> Jvm:
    """A JVM with the native libraries of this machine."""
    return jvm.with_properties(library=host_glue, wasmtime=host_wasmtime)
