"""Which classes of the stub library an app needs: what the app names, and what these name in turn.

An app that only calls generated classes has no use for channels or leases, and need not carry them. Besides
its code, whatever reflection may take a name from counts: strings, the manifest and other XML, resources,
services, the app's own native libraries. Where that cannot be read, or a name is put together ("dev.lawow."
and the rest), every class stays. Names in assets are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lawow.errors import FormatError
from lawow.formats.apk import RUNTIME_LIBRARY, AppPackage
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.symbols import References, parse_method_descriptor
from lawow.formats.zip import ZipEntry
from lawow.limits import ARCHIVE

__all__ = ["ANY", "named_by_resources", "names_in", "needed_classes", "types_named_by"]

ANY = "Ldev/lawow/;"
"""Stands for every class of the library."""
_ALWAYS = "Ldev/lawow/Lawow;"  # what generated classes call
_NAME = re.compile(rb"dev[./]lawow[./](\w*)")
_WIDE_NAME = re.compile(
    b"".join(b"[./]\0" if c == "." else c.encode() + b"\0" for c in "dev.lawow.") + rb"((?:\w\0)*)"
)
_NAMING_ENTRY = re.compile(r".*\.xml|resources\.arsc|META-INF/services/.*|lib/.*\.so", re.DOTALL)


def needed_classes(stub: Dex, named: Iterable[str]) -> list[str]:
    """Return the descriptors of the stub's classes that `named` types lead to, in the stub's order.

    A class comes with those that it is nested in and that are nested in it.
    """
    families: dict[str, list[str]] = {}
    for descriptor in stub.class_names():
        families.setdefault(_family(descriptor), []).append(descriptor)
    waiting = {_family(name) for name in (_ALWAYS, *named)}
    waiting = set(families) if _family(ANY) in waiting else waiting & families.keys()
    found: set[str] = set()
    while waiting:
        family = waiting.pop()
        found.add(family)
        for descriptor in families[family]:
            types = types_named_by(stub.references_of(stub.class_def(descriptor)))
            waiting |= ({_family(name) for name in types} & families.keys()) - found
    return [descriptor for descriptor in stub.class_names() if _family(descriptor) in found]


def names_in(data: bytes) -> set[str]:
    """Return the descriptors that bytes hold names of, Java's or the JVM's, in UTF-8 or UTF-16; or `ANY`."""
    names: set[bytes] = set()
    if b"lawow" in data:  # far faster than the pattern
        names.update(match[1] for match in _NAME.finditer(data))
    if b"l\0a\0w\0o\0w\0" in data:
        names.update(match[1].replace(b"\0", b"") for match in _WIDE_NAME.finditer(data))
    return {f"Ldev/lawow/{name.decode()};" for name in names}


def named_by_resources(app: AppPackage) -> set[str]:
    """Return the descriptors that the app's files beside its code hold names of, of all APKs of its set.

    `ANY` if these files are more than `ARCHIVE.loaded_bytes` together.
    """
    entries = list(_naming_entries(app))
    if sum(entry.uncompressed_bytes for entry in entries) > ARCHIVE.loaded_bytes:
        return {ANY}
    return {name for entry in entries for name in _names_in_entry(entry)}


def types_named_by(references: References) -> set[str]:
    """Return the descriptors of all classes that code names, as types or by their members."""
    types = set(references.types)
    for field in references.fields:
        types.update((field.class_name, field.type))
    for method in references.methods:
        proto = parse_method_descriptor(method.descriptor)
        types.update((method.class_name, *proto.parameters, proto.return_type))
    return {descriptor.lstrip("[") for descriptor in types}


def _naming_entries(app: AppPackage) -> Iterator[ZipEntry]:
    for item in (app, *app.companions):
        for entry in item.archive.entries:
            if _NAMING_ENTRY.fullmatch(entry.path) and not RUNTIME_LIBRARY.fullmatch(entry.path):
                yield entry


def _names_in_entry(entry: ZipEntry) -> set[str]:
    """Return the names in one entry; `ANY` for one that is damaged, which the split lets be."""
    try:
        return names_in(entry.read(ARCHIVE.loaded_bytes))
    except FormatError:
        return {ANY}


def _family(descriptor: str) -> str:
    """Return the outermost class: ``[La/B$C;`` is of ``La/B``."""
    return descriptor.lstrip("[").removesuffix(";").split("$", 1)[0]
