"""Imports point downwards only; formats and channel do no I/O; pack, refactor and doctor load no engine."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "lawow"

COMMON = {"errors", "limits", "resources", "durable", ""}
MAY_IMPORT = {
    "cli": {
        "server",
        "figures",
        "pack",
        "proving",
        "refactor",
        "doctor",
        "build",
        "execution",
        "device",
        "edge",
        "formats",
    },
    "figures": {"device", "execution", "runtime", "channel", "formats"},
    "server": {"edge", "channel", "formats"},
    "edge": {"runtime", "channel", "formats"},
    "device": {"channel", "execution", "formats"},
    "execution": {"runtime", "formats"},
    "pack": {"formats"},
    "proving": {"refactor", "dalvik", "runtime", "formats"},
    "refactor": {"dalvik", "formats"},
    "dalvik": {"formats"},
    "doctor": {"formats"},
    "build": {"formats"},
    "runtime": {"formats"},
    "channel": {"formats"},
    "formats": set(),
}
PURE = {"formats", "channel", "dalvik"}
IMPURE = {
    "os",
    "socket",
    "asyncio",
    "threading",
    "time",
    "subprocess",
    "logging",
    "pathlib",
    "tempfile",
    "shutil",
}


def sources() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        yield (parts[0] if len(parts) > 1 else "", path)


def imports(path: Path) -> Iterator[str]:
    package = list(path.relative_to(PACKAGE.parent).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*stem, node.module or ""]).strip(".")
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("layer", "path"), list(sources()), ids=lambda item: getattr(item, "name", item))
def test_imports_point_downwards_only(layer: str, path: Path) -> None:
    if layer == "":
        return  # the entry points; the common modules are checked below
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "lawow":
            continue
        target = parts[1] if len(parts) > 1 else ""
        if target.startswith("__"):
            target = ""
        assert target in MAY_IMPORT[layer] | COMMON | {layer}, f"{path.name} ({layer}) imports {name}"


@pytest.mark.parametrize("name", ["errors", "limits", "durable", "resources"])
def test_the_common_modules_import_no_layer(name: str) -> None:
    for imported in imports(PACKAGE / f"{name}.py"):
        if imported.startswith("lawow"):
            assert imported.split(".")[1] in COMMON


@pytest.mark.parametrize(("layer", "path"), list(sources()), ids=lambda item: getattr(item, "name", item))
def test_formats_and_channel_do_no_io(layer: str, path: Path) -> None:
    if layer in PURE:
        assert not {name.split(".")[0] for name in imports(path)} & IMPURE


def modules_loaded_by(code: str) -> set[str]:
    """Names that `code` adds to `sys.modules` of a fresh interpreter."""
    report = "print(json.dumps(sorted(set(sys.modules) - before)))"
    script = f"import json, sys\nbefore = set(sys.modules)\n{code}\n{report}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("tool", ["lawow.pack", "lawow.refactor", "lawow.doctor"])
def test_pack_refactor_and_doctor_load_no_engine(tool: str) -> None:
    walk = f"for m in pkgutil.walk_packages(tool.__path__, '{tool}.'): importlib.import_module(m.name)"
    code = f"import importlib, pkgutil, {tool} as tool\n{walk}"
    loaded = modules_loaded_by(code)
    assert not {"wasmtime", "lawow.runtime"} & loaded


def public_modules() -> list[str]:
    names = []
    for _, path in sources():
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if parts[-1] == "__main__":
            continue
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", public_modules())
def test_all_names_what_the_module_really_exports_and_is_sorted(name: str) -> None:
    path = PACKAGE.parent / Path(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text())
    if not tree.body:
        return
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    assert listed, f"{name} has no __all__"
    assert list(listed[0]) == sorted(
        listed[0], key=lambda item: (not item.isupper(), item[0].islower(), item)
    ) or list(listed[0]) == sorted(listed[0])
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    }
    private = {item for item in listed[0] if item.startswith("_") and item != "__version__"}
    assert not private
    assert not {item for item in defined if not item.startswith("_")} - set(listed[0]), (
        "public names missing in __all__"
    )
