"""A Python source to a WebAssembly component, by componentize-py: interpreter, source, interface in one file.

The functions and their types come from the type hints (`lawow.build.type_hints`); a small module written
here hands the calls on. Modules beside the source can be imported by it and become part of the component.
The result is about 18 MB and takes half a minute; it is a snapshot after the imports, so calls start at once.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lawow.build.type_hints import HintedFunction, find_functions
from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.formats.interface import kebab_name
from lawow.formats.wit import World, print_wit

__all__ = ["BuiltComponent", "build_component"]

_TOOL = "componentize_py"
_WRAPPER = "lawow_exports"
_SECONDS = 600
_LARGEST_SOURCE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class BuiltComponent:
    """A component and its interface as WIT."""

    wasm: bytes
    wit: str


def build_component(path: Path) -> BuiltComponent:
    """Build a component of the functions with type hints in a source.

    Raises `FormatError` with the tool's own words if it fails, `UsageError` if it is not installed.
    """
    source = path.read_bytes()
    if len(source) > _LARGEST_SOURCE_BYTES:
        raise LimitExceeded("source_bytes", len(source), _LARGEST_SOURCE_BYTES, subject=str(path))
    functions = find_functions(source, str(path))
    if not path.stem.isidentifier():
        raise FormatError("is no name of a Python module", file=str(path), found=path.stem)
    if importlib.util.find_spec(_TOOL) is None:
        raise UsageError("lawow build needs componentize-py for Python: pip install 'lawow[build]'")
    world = f"{kebab_name(path.stem)}-world"  # must differ from the module's name
    wit = print_wit(World(world, tuple(item.function for item in functions)))
    with tempfile.TemporaryDirectory(prefix="lawow-build-") as folder:
        work = Path(folder)
        (work / "app.wit").write_text(wit)
        (work / f"{_WRAPPER}.py").write_text(_wrapper(path.stem, functions))
        return BuiltComponent(_run_tool(work, path, world), wit)


def _wrapper(module: str, functions: list[HintedFunction]) -> str:
    """Return a module with the class that componentize-py calls; methods have the names of its bindings."""
    lines = [f"import {module} as _app", "", "", "class WitWorld:"]
    for item in functions:
        names = [f"p{index}" for index in range(len(item.parameters))]
        method = item.function.name.replace("-", "_")
        lines += [
            f"    def {method}(self{''.join(f', {name}' for name in names)}):",
            f"        return _app.{item.name}({', '.join(names)})",
            "",
        ]
    return "\n".join(lines)


def _run_tool(work: Path, path: Path, world: str) -> bytes:
    out = work / "app.wasm"
    command = [
        *(sys.executable, "-c", f"from {_TOOL} import script; script()"),
        *("-d", str(work / "app.wit"), "-w", world, "-q", "componentize", _WRAPPER),
        *("-p", str(work), "-p", str(path.resolve().parent), "-o", str(out)),
    ]
    # Packages of this environment are for this machine's interpreter: they stay outside. Without VIRTUAL_ENV
    # the tool would ask the `pipenv` and the `python3` of the path for theirs.
    none = work / "environment"
    (none / "lib" / "site-packages").mkdir(parents=True)
    environment = {**os.environ, "VIRTUAL_ENV": str(none)}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        said = (done.stderr + done.stdout).strip()
        raise FormatError(f"no component can be made of it:\n{said[-20_000:]}", file=str(path))
    return out.read_bytes()
