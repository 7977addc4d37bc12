"""Find a module in what the user named: a ``.wasm``, its text form, an offload bundle, an APK, a folder.

The kind is told by the first bytes, never by the name. In an archive a module is named by ``!``:
``app.apk!fibonacci.wasm``; without it, the export's name selects the module if only one has it. In a bundle
the name may be a method, ``FibonacciWasm.fib``, which stands for a module and an export. ``-`` is standard
input. A folder is an OCI image layout with one Wasm layer, or holds one ``.wasm`` file.
"""

from __future__ import annotations

import functools
import mmap
import os
import sys
from functools import partial

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.execution.found import Found
from lawow.formats.interface import is_typed
from lawow.limits import ARCHIVE, MODULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.formats.bundle import OffloadBundle
    from lawow.formats.zip import ZipArchive

    Source = bytes | memoryview | Callable[[], bytes]

__all__ = ["STANDARD_INPUT", "Package", "find_component", "open_package", "split_member"]

STANDARD_INPUT = "-"
_INPUT_LABEL = "standard input"
COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"  # as in `lawow.formats.component`
_WASM = b"\0asm"
_ZIP = b"PK\x03\x04"
_BUNDLE_MANIFEST = b"lawow/manifest.json"
_ASSETS = "assets/"


class Package:
    """A file that holds one module or several, by name; `bundle` if it is an offload bundle."""

    def __init__(self, path: str, modules: dict[str, Found], bundle: OffloadBundle | None = None) -> None:
        self.path = path
        self.modules = modules
        self.bundle = bundle

    def find(self, name: str, member: str = "") -> Found:
        """Return the module that is meant by an export's or method's name, and by the member if one is given.

        Raises `UsageError` if there is none, or several.
        """
        if member:
            return self.member(member)
        if self.bundle is not None and "." in name:
            method = self._method(self.bundle, name)
            if method is not None:
                return method
        from lawow.execution.interfaces import typed_signature

        found = next(iter(self.modules.values())) if len(self.modules) == 1 else self._by_export(name)
        return found.with_export("", typed_signature(found, name))

    def member(self, name: str) -> Found:
        """Return the module by its name in the archive, or by the last part of it."""
        exact = self.modules.get(name)
        if exact is not None:
            return exact
        found = [item for path, item in self.modules.items() if path.rpartition("/")[2] == name]
        if len(found) == 1:
            return found[0]
        what = "several modules are" if found else "no module is"
        raise UsageError(f"{self.path}: {what} named {name!r}; modules: {', '.join(self.modules) or 'none'}")

    def _method(self, bundle: OffloadBundle, target: str) -> Found | None:
        """Return the module and export of ``Class.method``, or None if that is the name of an export."""
        try:
            method = bundle.find_method(target)
        except UsageError as error:
            if any(item.info.export(target) for item in self.modules.values()):
                return None
            raise UsageError(f"{self.path}: {error}") from None
        signature = method.signature if is_typed(method.signature) else ""
        return self.modules[method.module].with_export(method.export, signature)

    def _by_export(self, name: str) -> Found:
        found = [item for item in self.modules.values() if item.info.export(name)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(
                f"{self.path}: no module exports {name!r}; `lawow exec {self.path}` lists what there is"
            )
        labels = ", ".join(path for path, item in self.modules.items() if item in found)
        raise UsageError(
            f"{self.path}: {len(found)} modules export {name!r} ({labels}); name one: {self.path}!MODULE"
        )


def split_member(target: str) -> tuple[str, str]:
    """Split ``app.apk!fibonacci.wasm`` into path and member, unless a file of the whole name exists."""
    if "!" not in target or os.path.exists(target):
        return target, ""
    path, _, member = target.partition("!")
    return path, member


def open_package(path: str) -> Package:
    """Open a file and find its modules.

    Raises `OSError`, `FormatError` for a file of another kind, `LimitExceeded` for one that is too large.
    """
    if path == STANDARD_INPUT:
        return _open_bytes(_INPUT_LABEL, memoryview(_standard_input()))
    if os.path.isdir(path):
        return _open_folder(path)
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > ARCHIVE.archive_bytes:
            raise LimitExceeded("archive_bytes", size, ARCHIVE.archive_bytes, subject=path)
        # Mapped, so that only what is looked at counts as this process's memory. An empty file cannot be.
        data = memoryview(mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)) if size else memoryview(b"")
    return _open_bytes(path, data)


def find_component(path: str, member: str) -> Found | None:
    """Return the component that a file or a member of an archive is; None for anything else, and for nothing.

    Raises what `open_package` raises.
    """
    if not member and os.path.isfile(path):
        with open(path, "rb") as stream:
            if not stream.read(8).startswith(COMPONENT_HEADER):
                return None
    package = open_package(path)
    if member:
        found = package.member(member)
    elif len(package.modules) == 1:
        found = next(iter(package.modules.values()))
    else:
        return None
    return found if bytes(found.data[:8]) == COMPONENT_HEADER else None


@functools.cache
def _standard_input() -> bytes:
    """Read standard input, once: it may be asked for again to explain a trap. Raises `LimitExceeded`."""
    content = sys.stdin.buffer.read(MODULE.module_bytes + 1)
    if len(content) > MODULE.module_bytes:
        raise LimitExceeded("module_bytes", "more", MODULE.module_bytes, subject="standard input")
    return content


def _open_folder(path: str) -> Package:
    """Return the one module of an OCI image layout, or the one ``.wasm`` file of a folder."""
    from lawow.formats.oci import OCI_LAYOUT, find_wasm_layer

    if os.path.exists(os.path.join(path, OCI_LAYOUT)):
        return Package(path, {"layer": Found(path, find_wasm_layer(partial(_read_blob, path), path))})
    names = sorted(name for name in os.listdir(path) if name.endswith(".wasm"))
    if len(names) != 1:
        raise FormatError(
            "holds no single module", file=path, found=", ".join(names[:10]) or "none", allowed="one .wasm"
        )
    content = _read_blob(path, names[0])
    return Package(path, {names[0]: Found(os.path.join(path, names[0]), content)})


def _read_blob(folder: str, name: str) -> bytes:
    """Read a file of an image layout. Raises `OSError`, `LimitExceeded`."""
    with open(os.path.join(folder, name), "rb") as stream:
        content = stream.read(MODULE.module_bytes + 1)
    if len(content) > MODULE.module_bytes:
        raise LimitExceeded("module_bytes", "more", MODULE.module_bytes, subject=f"{folder}/{name}")
    return content


def _open_bytes(path: str, data: memoryview) -> Package:
    """Find the modules in the content of a file."""
    head = bytes(data[:4])
    try:
        if head == _WASM:
            content = bytes(data) if path == _INPUT_LABEL else data  # a view stands for the mapped file
            return Package(path, {os.path.basename(path): Found(path, content)})
        if head == _ZIP:
            return _open_archive(path, data)
        return Package(path, {os.path.basename(path): Found(path, _translate(data))})
    except FormatError as error:
        if not error.file.startswith(path):
            raise error.within(path) from None
        raise


def _translate(text: memoryview) -> bytes:
    """Translate the text format. Raises `FormatError` for a file that is nothing we know."""
    if len(text) > MODULE.module_bytes:
        raise LimitExceeded("module_bytes", len(text), MODULE.module_bytes)
    content = bytes(text)
    if not content.lstrip().startswith((b"(", b";;")):
        raise FormatError(
            "is no WebAssembly module",
            found=content[:4] or "an empty file",
            allowed="a .wasm, WebAssembly text, an offload bundle or an APK",
        )
    from lawow.runtime.libwasmtime import wat_to_wasm

    return wat_to_wasm(content)


def _open_archive(path: str, data: memoryview) -> Package:
    from lawow.formats.zip import read_zip

    archive = read_zip(data)
    if _BUNDLE_MANIFEST in archive.by_name:
        return _open_bundle(path, bytes(data))
    return Package(path, _assets(path, archive))


def _open_bundle(path: str, data: bytes) -> Package:
    from lawow.formats.bundle import read_bundle

    bundle = read_bundle(data)
    modules = {item.file: Found(f"{path}!{item.file}", item.data) for item in bundle.modules}
    return Package(path, modules, bundle)


def _assets(path: str, archive: ZipArchive) -> dict[str, Found]:
    """Return the modules among an APK's assets."""
    modules = {}
    for entry in archive.entries:
        name = entry.path
        if name.startswith(_ASSETS) and name.endswith(".wasm"):
            modules[name] = Found(f"{path}!{name}", partial(entry.read, MODULE.module_bytes))
    if not modules:
        raise FormatError(
            "holds no module", file=path, allowed="an offload bundle, or an APK with assets/**.wasm"
        )
    if len(modules) > ARCHIVE.bundle_modules:
        raise LimitExceeded("bundle_modules", len(modules), ARCHIVE.bundle_modules, subject=path)
    return modules
