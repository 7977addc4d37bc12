"""The same tagged functions as shared libraries: for this machine, and for both Android ABIs.

Android's C library is not installed here and must not be copied, so headers and stand-ins serve for it: the
sources see zig's own standard headers, and the library links against stubs that have the names below, which
exist in Android since API 21. So what is allowed is computing: memory, strings, mathematics. A function that
is not in the table is an error of the linker, not a crash on a phone. Of the C++ library there is what its
headers hold, over a runtime of a page (``lawow_cxx.cpp``): algorithms and containers, but neither streams nor
`std::string`, whose compiled part is not here. Exceptions are off, as in the module.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lawow.build.native_glue import native_glue
from lawow.build.prototypes import Prototype
from lawow.build.sources import Sources
from lawow.build.zig import INCLUDE_FOLDER, run_zig, zig_library_folder
from lawow.resources import android_stub

__all__ = ["ANDROID_TARGETS", "HOST", "build_libraries", "build_module_libraries"]

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
    # As in WebAssembly: char is signed, and no product is fused with a sum, which would round once less.
    *("-fsigned-char", "-ffp-contract=off"),
    *("-Wl,--build-id=none", "-Wl,-z,defs", "-Wl,-s", "-Wl,-Bsymbolic"),
)
_CPP_FLAGS = (
    *("-fno-exceptions", "-fno-rtti", "-nostdlib++", "-nostdinc++"),
    "-fno-threadsafe-statics",  # calls of one library wait for each other
    # What libc++'s own build would have written into its configuration.
    *("-D_LIBCPP_ABI_VERSION=1", "-D_LIBCPP_ABI_NAMESPACE=__1", "-D_LIBCPP_HAS_THREADS=0"),
    *("-D_LIBCPP_HAS_LOCALIZATION=0", "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE"),
    "-D_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE",
)
_ANDROID_FLAGS = ("-nostdlib", "-fno-stack-protector", "-Wl,-z,max-page-size=16384")
HOST = "host"


def build_libraries(sources: Sources, name: str) -> dict[str, bytes]:
    """Return ``host/libNAME.so`` and a library for each Android ABI; the functions are the tagged ones.

    Raises `FormatError` for what does not compile or link, with the names that are missing.
    """
    soname = f"lib{name}.so"
    return {f"{place}/{soname}": _library(sources, soname, place) for place in (HOST, *ANDROID_TARGETS)}


def build_module_libraries(
    sources: Sources, name: str, prototypes: Sequence[Prototype], digest: str, places: Sequence[str]
) -> dict[str, bytes]:
    """Return ``liblawow-NAME.so`` for each place, ABIs or ``host``, as ``liblawownative.so`` calls it.

    `prototypes` are the tagged functions, `digest` is the SHA-256 of their WebAssembly module. Raises as
    `build_libraries` does.
    """
    with tempfile.TemporaryDirectory(prefix="lawow-build-") as work:
        glue = Path(work) / "glue.c"
        glue.write_text(native_glue(prototypes, digest))
        more = ("-I", android_stub("native"), "-x", "c", glue, "-x", "none")
        return {place: _library(sources, f"liblawow-{name}.so", place, more) for place in places}


def _library(sources: Sources, soname: str, place: str, more: Sequence[str | Path] = ()) -> bytes:
    """Build one library, for this machine or an ABI; `more` are further files and options."""
    common: list[str | Path] = [*_FLAGS, f"-Wl,-soname,{soname}", "-I", INCLUDE_FOLDER, *more]
    common += [*_cpp_options(place), *sources.files] if sources.is_cpp else sources.files
    with tempfile.TemporaryDirectory(prefix="lawow-build-") as work:
        out = Path(work) / soname
        if place == HOST:
            arguments, label = [*common, "-lm"], "host"
        else:
            target, headers = ANDROID_TARGETS[place]
            includes = zig_library_folder() / "libc" / "include"
            where: list[str | Path] = ["-isystem", includes / headers, "-isystem", includes / "generic-musl"]
            stubs = _stubs(Path(work) / place, target)
            arguments = ["-target", target, *_ANDROID_FLAGS, *common, *where, *stubs]
            label = f"Android {place}"
        subject = f"{sources.label} ({label})"
        run_zig([*arguments, "-o", out], folder=sources.folder, subject=subject, is_cpp=sources.is_cpp)
        return out.read_bytes()


def _cpp_options(place: str) -> list[str | Path]:
    """Return the headers of the C++ library, before those of C, and the runtime that goes along."""
    library = zig_library_folder()
    musl = f"-D_LIBCPP_HAS_MUSL_LIBC={int(place != HOST)}"
    folders = [library / name / "include" for name in ("libcxx", "libcxxabi")]
    headers = [word for folder in folders for word in ("-I", folder)]
    return [*_CPP_FLAGS, musl, *headers, android_stub("native", "lawow_cxx.cpp")]


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
