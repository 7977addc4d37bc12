"""The source tree of an Android app, as far as packing needs it: read, never edited.

Build scripts are programs; nothing here runs or fully parses them. What is looked for (``namespace``,
``minSdk``, the name of our rule file) is found where people write it, and may also be given by option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.limits import ARCHIVE
from lawow.pack.gradle import abi_filters, min_sdk_of, script_text
from lawow.pack.layout import Layout, find_layout
from lawow.pack.naming import require_package

__all__ = ["AppTree", "read_app_tree"]

_ANDROID = "http://schemas.android.com/apk/res/android"
_NAME = f"{{{_ANDROID}}}name"
_NAMESPACE = re.compile(r"\bnamespace\s*(?:=|\s|\()\s*[\"']([^\"'\n]+)[\"']")


@dataclass(frozen=True, slots=True)
class AppTree:
    """The app's folder, its layout, its build script (its name may be empty) and what they say.

    `built_abis` is empty if the script leaves none out.
    """

    folder: Path
    layout: Layout
    script_name: str
    script: str
    package: str
    min_sdk: int | None
    built_abis: frozenset[str]
    permissions: frozenset[str]

    def mentions(self, text: str) -> bool:
        """Tell whether the build script names something outside of its comments."""
        return text in self.script


def read_app_tree(folder: Path, package: str | None) -> AppTree:
    """Read an app's tree; `package` wins over ``namespace``, which wins over the manifest's ``package``.

    Raises `UsageError` if the folder is no such tree or names no package, `FormatError` for a manifest
    that is not XML.
    """
    layout = find_layout(folder)
    manifest = folder / layout.manifest
    script_name, script = _read_script(folder, layout)
    root = _read_manifest(manifest)
    namespace = _NAMESPACE.search(script)
    name = package or (namespace.group(1) if namespace else root.get("package", ""))
    if not name:
        raise UsageError(
            f"{folder}: neither {layout.usual_script} nor the manifest names a package; give --package"
        )
    return AppTree(
        folder=folder,
        layout=layout,
        script_name=script_name,
        script=script,
        package=require_package(name),
        min_sdk=_min_sdk(folder, script, root),
        built_abis=abi_filters(script),
        permissions=frozenset(item.get(_NAME, "") for item in root.findall("uses-permission")),
    )


def _read_script(folder: Path, layout: Layout) -> tuple[str, str]:
    for name in layout.scripts:
        path = folder / name
        if path.is_file():
            return name, script_text(path)
    return "", ""


def _read_manifest(path: Path) -> ElementTree.Element:
    size = path.stat().st_size
    if size > ARCHIVE.manifest_bytes:
        raise LimitExceeded("manifest_bytes", size, ARCHIVE.manifest_bytes, subject=str(path))
    data = path.read_bytes()
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise FormatError("declares entities, which Android's manifests do not", file=str(path))
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise FormatError(f"is not XML: {error}", file=str(path)) from None
    if root.tag != "manifest":
        raise FormatError("is not a manifest", file=str(path), found=f"<{root.tag}>", allowed="<manifest>")
    return root


def _min_sdk(folder: Path, script: str, root: ElementTree.Element) -> int | None:
    found = min_sdk_of(folder, script)
    if found is not None:
        return found
    element = root.find("uses-sdk")
    text = "" if element is None else element.get(f"{{{_ANDROID}}}minSdkVersion", "")
    return int(text) if text.isascii() and text.isdigit() else None
