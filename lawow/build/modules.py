"""C and C++ sources to one WebAssembly module: a reactor for WASI, with its interface in it and beside it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lawow.build.prototypes import Prototype, find_prototypes
from lawow.build.sections import with_wit, without_debug_sections
from lawow.build.sources import CPP_SUFFIXES, Sources
from lawow.build.zig import INCLUDE_FOLDER, run_zig
from lawow.errors import FormatError, LawowError
from lawow.formats.interface import kebab_name
from lawow.formats.wit import World, print_wit

__all__ = ["BuiltModule", "build_module", "compile_module", "scan_prototypes"]

WASM_FLAGS = (
    *("-target", "wasm32-wasi", "-mexec-model=reactor", "-O3", "-msimd128", "-g0"),
    # Four vectors a turn, as clang does for other machines: the engine unrolls no loop. 1.4 times faster
    # on matrices.
    *("-mllvm", "-force-vector-interleave=4"),
    *("-Wall", "-Wextra", "-Wl,-z,stack-size=65536"),
)
_CPP_FLAGS = ("-fno-exceptions", "-fno-rtti")  # the engine does not run the exceptions that zig would compile
_OPTIMIZER = "wasm-opt"
_OPTIMIZER_SECONDS = 300


@dataclass(frozen=True, slots=True)
class BuiltModule:
    """A module and its interface as WIT; `optimizer` names the tool that ran over it, or is empty."""

    wasm: bytes
    wit: str
    prototypes: tuple[Prototype, ...]
    optimizer: str = ""


def scan_prototypes(sources: Sources) -> list[Prototype]:
    """Return the tagged functions of all files. Raises `FormatError`, also if there are none."""
    texts = [
        run_zig(
            ("-E", "-P", "-w", "-target", "wasm32-wasi", "-DLAWOW_SCAN", "-I", INCLUDE_FOLDER, name),
            folder=sources.folder,
            subject=sources.label,
            is_cpp=Path(name).suffix in CPP_SUFFIXES,
        )
        for name in sources.files
    ]
    try:
        found = find_prototypes("\n".join(text.decode("utf-8", "replace") for text in texts))
    except FormatError as error:
        raise error.within(sources.label) from None
    if not found:
        raise FormatError(
            'no function is tagged; write #include "lawow.h", and LAWOW_OFFLOAD before each function',
            file=sources.label,
        )
    return found


def compile_module(folder: Path, files: Sequence[str], name: str, flags: Sequence[str | Path] = ()) -> bytes:
    """Compile sources to a reactor, whatever they export; debug sections are removed.

    `name` stays in the section ``name``, as the module's.
    """
    sources = Sources(folder, tuple(files), ", ".join(files))
    with tempfile.TemporaryDirectory(prefix="lawow-build-") as work:
        out = Path(work) / f"{name}.wasm"
        language = _CPP_FLAGS if sources.is_cpp else ()
        arguments = (*WASM_FLAGS, *language, *flags, "-o", out, *files)
        run_zig(arguments, folder=folder, subject=sources.label, is_cpp=sources.is_cpp)
        return without_debug_sections(out.read_bytes())


def build_module(sources: Sources, name: str) -> BuiltModule:
    """Build the module of some sources: tagged functions are its exports, and `name` names its world.

    Equal sources give equal bytes with the same compiler (and wasm-opt). Raises `FormatError`, `UsageError`.
    """
    prototypes = tuple(scan_prototypes(sources))
    flags: list[str | Path] = ["-fvisibility=hidden", "-I", INCLUDE_FOLDER]
    flags += [f"-Wl,--export={item.c_name}" for item in prototypes]
    if any(item.needs_memory for item in prototypes):
        flags.append(INCLUDE_FOLDER / "canonical_abi.c")
    wasm = compile_module(sources.folder, sources.files, name, flags)
    wit = print_wit(World(kebab_name(name), tuple(item.function for item in prototypes)))
    wasm, optimizer = _optimize(wasm)
    return BuiltModule(with_wit(wasm, wit), wit, prototypes, optimizer)


def _optimize(wasm: bytes) -> tuple[bytes, str]:
    """Return the module as wasm-opt leaves it, if that is installed, and the tool's version."""
    tool = shutil.which(_OPTIMIZER)
    if tool is None:
        return wasm, ""
    with tempfile.TemporaryDirectory(prefix="lawow-build-") as work:
        before, after = Path(work) / "before.wasm", Path(work) / "after.wasm"
        before.write_bytes(wasm)
        command = (tool, "-O3", "--all-features", "-g", str(before), "-o", str(after))
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_OPTIMIZER_SECONDS, check=False
        )
        if done.returncode:
            raise LawowError(
                f"{_OPTIMIZER} failed with status {done.returncode}: {done.stderr.strip()[:500]}"
            )
        return without_debug_sections(after.read_bytes()), _OPTIMIZER
