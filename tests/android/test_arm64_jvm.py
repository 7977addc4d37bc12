"""Every check of the local runtime once more, on an arm64 JVM under qemu, with the very arm64 libraries.

Nightly, by ``make test-nightly``: each JVM takes seconds to start there. The tests are those of the host
build and of the x86_64 libraries; only the JVM below them is another one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.android import (
    test_android_binaries,
    test_code_cache,
    test_local_runtime,
    test_local_values,
    test_modules,
)
from tests.android.builders import Jvm
from tests.conftest import ROOT
from tests.tools import run

pytestmark = pytest.mark.nightly

SOURCES = (test_android_binaries, test_local_runtime, test_local_values, test_modules, test_code_cache)
JVMS = {"local_jvm", "android_jvm", "caching"}
# It takes more than five minutes there.
LEFT_OUT = {"test_ten_thousand_traps_leave_no_memory_behind"}
JAVA = "usr/lib/jvm/java-17-openjdk-arm64/bin/java"

arm64 = test_android_binaries.arm64
assets = test_local_values.assets
caching = test_code_cache.caching


@pytest.fixture(scope="session")
def android_jvm(jvm: Jvm, arm64: Path) -> Jvm:
    """An arm64 JVM that runs the Android libraries over the stand-ins."""
    root = Path(run(ROOT / ".ci" / "arm64-jvm").stdout.strip())
    found = ("-E", f"LD_LIBRARY_PATH={arm64 / 'shim'}")
    emulated = replace(jvm, launcher=("qemu-aarch64", "-L", root, *found, root / JAVA))
    return emulated.with_properties(library=arm64 / "liblawow.so", wasmtime=arm64 / "libwasmtime.so")


@pytest.fixture(scope="session")
def local_jvm(android_jvm: Jvm) -> Jvm:
    """The same JVM, where the other tests have the host build."""
    return android_jvm


def _checks() -> Iterator[tuple[str, object]]:
    """Yield the tests that need nothing but a JVM with a runtime, under names that tell their origin."""
    for source in SOURCES:
        for name, test in inspect.getmembers(source, inspect.isfunction):
            uses_jvm = JVMS & {*inspect.signature(test).parameters}
            if name.startswith("test_") and name not in LEFT_OUT and uses_jvm:
                yield f"{name}__of_{source.__name__.rpartition('.')[2]}", test


globals().update(_checks())
