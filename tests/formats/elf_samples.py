"""Shared libraries for the tests, made by zig: small, for Android, with the faults that a test asks for."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.tools import run

__all__ = ["TARGETS", "TARGETS_32", "VERSION_MARK", "shared_library"]

TARGETS = {"arm64-v8a": "aarch64-linux-android", "x86_64": "x86_64-linux-android"}
TARGETS_32 = {"armeabi-v7a": "arm-linux-androideabi", "x86": "x86-linux-android"}
VERSION_MARK = "resolve_vmctx_memory_ptr_50_0_0"

SOURCE = f"""
int table[3000] = {{1, 2, 3}};
int zeroes[5000];
static int hidden = 7;
int *const pointers[] = {{&hidden, table, zeroes}};
const char text[] = "some text";
int {VERSION_MARK}(int n) {{ return table[n] + *pointers[n] + text[n] + zeroes[n]; }}
__attribute__((visibility("hidden"))) int not_exported(void) {{ return hidden++; }}
"""


@cache
def shared_library(
    abi: str = "arm64-v8a", *flags: str, page_bytes: int = 16384, source: str = SOURCE
) -> bytes:
    """Compile and link a library that stands alone. `flags` are more arguments for the compiler."""
    target = {**TARGETS, **TARGETS_32}[abi]
    options = ("-nostdlib", "-shared", "-fPIC", "-O1", "-g", f"-Wl,-z,max-page-size={page_bytes}")
    with TemporaryDirectory() as folder:
        c, so = Path(folder, "sample.c"), Path(folder, "sample.so")
        c.write_text(source)
        run(sys.executable, "-m", "ziglang", "cc", "-target", target, *options, *flags, c, "-o", so)
        return so.read_bytes()
