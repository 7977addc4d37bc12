"""What Gradle's build scripts say of an app, as far as it can be told without running them.

Scripts are programs, so a value is looked for where people write it: as a number, in the version catalog
(``libs.versions.minSdk``), as a property of the root project (``rootProject.ext.minSdkVersion``), as the
second argument of ``safeExtGet``. Product flavours may each have a value; the lowest minimum counts. What is
not found is unknown, never guessed. Source: docs.gradle.org, "Version catalogs".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from lawow.formats.toml import CONFIG_BYTES

__all__ = ["abi_filters", "min_sdk_of", "script_text"]

_COMMENTS = re.compile(r"/\*.*?(?:\*/|\Z)|(?<![:\"'])//[^\n]*|^[ \t]*#[^\n]*", re.DOTALL | re.MULTILINE)
_MIN_SDK = re.compile(r"\bminSdk(?:Version)?(?:\.set)?\s*(?:=|\s|\()\s*([^\n;}]+)")
_CATALOG = re.compile(r"\b(\w+)\.versions\.([\w.]+?)\.get\(\)")
_FALLBACK = re.compile(r"[\"'](\w+)[\"']\s*,\s*([0-9]{1,3})\b")
_QUOTED = re.compile(r"[\"'](\w+)[\"']")
_DOTTED = re.compile(r"(?:\w+\.)*(\w+)")
_FILTERS = re.compile(r"\babiFilters\b(?:[^\n(}]*\([^)]{0,1000}\)|[^\n}]*)")
_ABI = re.compile(r"[\"']((?:arm|x86|mips|riscv)[\w-]*)[\"']")
_SCRIPTS = ("build.gradle", "build.gradle.kts", "gradle.properties")
_SETTINGS = ("settings.gradle", "settings.gradle.kts")
_LEVELS = 4  # a module lies in its project, or in a folder or two of it


def script_text(path: Path) -> str:
    """Return a script without its comments; nothing for one that is missing or above `CONFIG_BYTES`."""
    if not path.is_file() or path.stat().st_size > CONFIG_BYTES:
        return ""
    return _COMMENTS.sub(" ", path.read_text("utf-8", "replace"))


def min_sdk_of(folder: Path, script: str) -> int | None:
    """Return the lowest minSdk that the module's script sets, or None if it cannot be told."""
    levels = [_level(folder, script, match[1]) for match in _MIN_SDK.finditer(script)]
    return min((level for level in levels if level is not None), default=None)


def abi_filters(script: str) -> frozenset[str]:
    """Return the ABIs that ``abiFilters`` leaves in the app, of all flavours; empty if there is no filter."""
    return frozenset(abi for match in _FILTERS.finditer(script) for abi in _ABI.findall(match[0]))


def _level(folder: Path, script: str, expression: str) -> int | None:
    """Return the number that an expression stands for."""
    if number := re.match(r"[0-9]{1,3}\b", expression):
        return int(number[0])
    if catalog := _CATALOG.search(expression):
        return _catalog_version(folder, catalog[1], catalog[2])
    fallback = _FALLBACK.search(expression)
    reference = fallback or _QUOTED.search(expression) or _DOTTED.match(expression)
    name = reference[1] if reference else ""
    assigned = re.compile(rf"\b{re.escape(name)}(?:[\"']\])?\s*(?:=|:|,)\s*[\"']?([0-9]{{1,3}})\b")
    for text in (script, *_root_texts(folder)) if name else ():
        if found := assigned.search(text):
            return int(found[1])
    return int(fallback[2]) if fallback else None


def _root(folder: Path) -> Path | None:
    """Return the folder of the whole project: the nearest one with Gradle's settings."""
    here = folder.resolve()
    for place in (here, *here.parents)[:_LEVELS]:
        if any((place / name).is_file() for name in _SETTINGS):
            return place
    return None


def _root_texts(folder: Path) -> Iterator[str]:
    if root := _root(folder):
        yield from (script_text(root / name) for name in _SCRIPTS)


def _catalog_version(folder: Path, catalog: str, accessor: str) -> int | None:
    """Return a version of the catalog, whose names Gradle reads with dots for dashes and underscores."""
    root = _root(folder)
    path = root / "gradle" / f"{catalog}.versions.toml" if root else None
    if path is None or not path.is_file() or path.stat().st_size > CONFIG_BYTES:
        return None
    try:
        versions = tomllib.loads(path.read_text("utf-8")).get("versions")
    except (ValueError, RecursionError):  # Gradle will say what is wrong with it
        return None
    for key, value in versions.items() if isinstance(versions, dict) else ():
        if re.sub("[-_]", ".", key) == accessor and isinstance(value, str) and value.isdecimal():
            return int(value[:3])
    return None
