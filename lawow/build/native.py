"""The same tagged functions as shared libraries: for this machine, and for both Android ABIs.

Android's C library is not installed here and must not be copied, so headers and stand-ins serve for it: the
sources see zig's own standard headers, and the library links against stubs that have the names below, which
exist in Android since API 21. So what is allowed is computing: memory, strings, mathematics. A function that
is not in the table is an error of the linker, not a crash on a phone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from lawow.build.sources import Sources
from lawow.build.zig import INCLUDE_FOLDER, run_zig, zig_library_folder
from lawow.errors import FormatError

__all__ = ["ANDROID_TARGETS", "build_libraries"]

ANDROID_TARGETS: Mapping[str, tuple[str, str]] = {
    "arm64-v8a": ("aarch64-linux-android", "aarch64-linux-musl"),
    "x86_64": ("x86_64-linux-android", "x86_64-linux-musl"),
}
"""ABI -> (target of the compiler, its headers). Musl's headers and bionic agree on what is allowed here."""

_LIBC = """
__cxa_atexit __cxa_finalize abort abs bsearch calloc free isalnum isalpha isdigit isspace malloc memchr memcmp
memcpy memmove memset posix_memalign qsort realloc strchr strcmp strcpy strlen strncmp strncpy strrchr strstr
strtod strtol strtoul tolower toupper
"""
_LIBM = """
acos asin atan atan2 cbrt ceil cos cosh erf exp exp2 expm1 fabs floor fma fmax fmin fmod hypot ldexp log log10
log1p log2 nearbyint pow remainder rint round sin sinh sqrt tan tanh tgamma trunc
"""
_BIONIC = {
    "libc.so": _LIBC.split(),
    "libm.so": [name + suffix for name in _LIBM.split() for suffix in ("", "f")],
}
_FLAGS = (
    *("-shared", "-fPIC", "-O3", "-g0", "-fvisibility=hidden", "-fno-sanitize=undefined"),
    *("-Wl,--build-id=none", "-Wl,-z,defs", "-Wl,-s"),
)
_ANDROID_FLAGS = ("-nostdlib", "-fno-stack-protector", "-Wl,-z,max-page-size=16384")


def build_libraries(sources: Sources, name: str) -> dict[str, bytes]:
    """Return ``host/libNAME.so`` and a library for each Android ABI; the functions are the tagged ones.

    Raises `FormatError` for C++ (Android's runtime library for it is not here) and what does not link.
    """
    if sources.is_cpp:
        raise FormatError("--native is for C: a C++ library needs its platform's runtime", file=sources.label)
    soname = f"lib{name}.so"
    common: list[str | Path] = [*_FLAGS, f"-Wl,-soname,{soname}", "-I", INCLUDE_FOLDER]
    built = {}
    with tempfile.TemporaryDirectory(prefix="lawow-build-") as work:
        out = Path(work) / soname
        run_zig(
            [*common, *sources.files, "-lm", "-o", out],
            folder=sources.folder,
            subject=f"{sources.label} (host)",
        )
        built[f"host/{soname}"] = out.read_bytes()
        for abi, (target, headers) in ANDROID_TARGETS.items():
            stubs = _stubs(Path(work) / abi, target)
            includes = zig_library_folder() / "libc" / "include"
            where: list[str | Path] = ["-isystem", includes / headers, "-isystem", includes / "generic-musl"]
            run_zig(
                ["-target", target, *_ANDROID_FLAGS, *common, *where, *sources.files, *stubs, "-o", out],
                folder=sources.folder,
                subject=f"{sources.label} (Android {abi})",
            )
            built[f"{abi}/{soname}"] = out.read_bytes()
    return built


def _stubs(folder: Path, target: str) -> list[Path]:
    """Build stand-ins for bionic's libraries to link against; they never leave the folder."""
    folder.mkdir()
    stubs = []
    for name, symbols in _BIONIC.items():
        source = folder / f"{name}.c"
        source.write_text("".join(f"void {symbol}(void) {{}}\n" for symbol in symbols))
        (folder / "versions.map").write_text("LIBC { global: *; };\n")
        flags = ("-nostdlib", "-shared", "-fPIC", "-fno-builtin", "-w", f"-Wl,-soname,{name}")
        version = "-Wl,--version-script=versions.map"
        run_zig(
            ["-target", target, *flags, version, source.name, "-o", folder / name],
            folder=folder,
            subject=name,
        )
        stubs.append(folder / name)
    return stubs
