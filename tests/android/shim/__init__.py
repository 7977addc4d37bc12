"""Build stand-ins for Android's libc.so, libdl.so, libm.so and liblog.so on glibc.

Loaded first, they satisfy the Android libraries' needs by SONAME, and the very files that go into an app run
on this machine (or, for arm64, under qemu). Which functions to forward is read from the libraries
themselves, so a new version of wasmtime that needs one more gets it, or a clear link error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lawow.formats.elf import read_elf
from tests.tools import run

__all__ = ["LIBRARIES", "build_shim"]

LIBRARIES = ("libc.so", "libdl.so", "libm.so", "liblog.so")

_SOURCE = Path(__file__).with_name("bionic_shim.c")
_JUMPS = {
    "x86_64": "shim_{0}: jmp *{0}@GOTPCREL(%rip)\n",
    "aarch64": "shim_{0}: adrp x16, :got:{0}\n ldr x16, [x16, :got_lo12:{0}]\n br x16\n",
}
_COMPILERS: dict[str, tuple[str, ...]] = {
    "x86_64": ("gcc",),
    # A later glibc than 2.33, because fstat is no function before it.
    "aarch64": (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.36"),
}


def build_shim(machine: str, android_libraries: Sequence[Path], out: Path) -> Path:
    """Build the stand-ins that the given libraries need into the folder `out`, and return it."""
    out.mkdir(parents=True, exist_ok=True)
    used = set().union(*(_versioned_imports(path) for path in android_libraries))
    written = set(re.findall(r"^EXPORT\((\w+)\) ", _SOURCE.read_text(), re.MULTILINE))
    jumps = sorted(used - written)
    (out / "jumps.S").write_text(_assembly(machine, jumps))
    # GNU ld hides names under `local: *` unless they are listed, whatever .symver says.
    names = "".join(f"{name}; " for name in sorted(written | used))
    (out / "libc.map").write_text(f"LIBC {{ global: {names}local: *; }};\n")
    (out / "empty.map").write_text("LIBC { global: *; };\n")
    compile_ = (*_COMPILERS[machine], "-shared", "-fPIC", "-O2", "-Wall")
    more = () if machine == "x86_64" else ("-Wl,--undefined-version", "-fno-sanitize=undefined")
    flags = ("-Wl,-soname,libc.so", f"-Wl,--version-script={out / 'libc.map'}", *more)
    run(*compile_, *flags, _SOURCE, out / "jumps.S", "-ldl", "-lm", "-lpthread", "-o", out / "libc.so")
    for library in LIBRARIES[1:]:
        source = out / f"{library}.c"
        source.write_text(f"int in_{library.partition('.')[0]};\n")
        flags = (f"-Wl,-soname,{library}", f"-Wl,--version-script={out / 'empty.map'}")
        run(*compile_, *flags, source, "-o", out / library)
    return out


def _versioned_imports(path: Path) -> set[str]:
    symbols = read_elf(path.read_bytes()).symbols()
    return {symbol.name for symbol in symbols if not symbol.defined and symbol.version > 1}


def _assembly(machine: str, names: Sequence[str]) -> str:
    lines = [".text\n"]
    for name in names:
        lines.append(f".type shim_{name}, %function\n.globl shim_{name}\n.symver shim_{name}, {name}@LIBC\n")
        lines.append(_JUMPS[machine].format(name))
    lines.append('.section .note.GNU-stack,"",%progbits\n')
    return "".join(lines)
