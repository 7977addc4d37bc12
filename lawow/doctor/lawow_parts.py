"""What of LAWOW an app carries: the runtime's libraries, the modules, the code that calls them, the edge.

All of it is where `lawow pack` and `lawow refactor` put it; an app without any of it is somebody else's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lawow.doctor.app import App, DexFile, Library
from lawow.errors import FormatError, LimitExceeded
from lawow.formats.dex import Dex
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.search import annotated_classes, find_uses, member_ids
from lawow.formats.dex.spec import ItemType
from lawow.formats.zip.entry import shown_name
from lawow.limits import MODULE

__all__ = ["GLUE", "NATIVE", "RUNTIME", "RUNTIMES", "Caller", "LawowParts", "lawow_parts"]

_STUB_CLASS = re.compile(r"Ldev/lawow/[^/]+;")
"""A class of the library; dev.lawow.demo and the like are apps."""
GLUE, RUNTIME = "liblawow.so", "libwasmtime.so"
RUNTIMES = frozenset({RUNTIME, "libwasmedge.so"})
"""The glue goes with one of these."""
NATIVE = "liblawownative.so"
"""In an app whose modules are native code, in place of both."""
_ENTRY = "Ldev/lawow/Lawow;"
_OFFLOAD = "Ldev/lawow/Offload;"
_LOCAL = frozenset({"local"})
_EDGE = frozenset({"elastic", "elasticInstance", "remote", "remoteInstance"})
_ASSETS = "assets/lawow/"
_PROPERTIES = b"assets/lawow/edge.properties"
_MODULE = re.compile(r"([\w.+-]+\.wasm)@([0-9a-f]{64})", re.ASCII)
_PROPERTY = re.compile(r"\s*([^\s=:#!][^\s=:]*)\s*[=:\s]\s*(.*)")
_PROPERTIES_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Caller:
    """A class of the app that calls modules. `modules` are pairs of file name and SHA-256."""

    descriptor: str
    place: str
    calls_local: bool
    calls_edge: bool
    is_marked: bool
    modules: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LawowParts:
    """Everything of LAWOW in one app. `stub` are the classes of dev.lawow that some dex file defines.

    `modules` maps the path of each module to its SHA-256, or to "" for one that cannot be read; `edge` is
    None without an ``edge.properties``.
    """

    stub: frozenset[str]
    callers: tuple[Caller, ...]
    modules: dict[str, str]
    libraries: tuple[Library, ...]
    edge: dict[str, str] | None

    @property
    def is_there(self) -> bool:
        """Whether the app has anything of LAWOW."""
        return bool(self.stub or self.callers or self.modules or self.libraries or self.edge is not None)


def lawow_parts(app: App) -> LawowParts:
    """Find what of LAWOW the app carries. Damaged dex files are passed over; they have findings already."""
    stub: set[str] = set()
    callers: list[Caller] = []
    for item in app.dexes:
        if item.dex is None:
            continue
        try:
            stub.update(name for name in item.dex.class_names() if _STUB_CLASS.fullmatch(name))
            callers += _callers(item, item.dex)
        except FormatError:
            continue
    return LawowParts(
        stub=frozenset(stub),
        callers=tuple(callers),
        modules=dict(_modules(app)),
        libraries=tuple(item for item in app.libraries if item.file in {GLUE, NATIVE, *RUNTIMES}),
        edge=_edge(app),
    )


def _callers(item: DexFile, dex: Dex) -> Iterator[Caller]:
    """Yield the classes that name a function of `dev.lawow.Lawow`, or carry its annotation."""
    marked = annotated_classes(dex, [_OFFLOAD])
    seams: dict[str, set[str]] = {descriptor: set() for descriptor in marked}
    functions = {
        index: dex.method(index).name for index in member_ids(dex, ItemType.METHOD_ID_ITEM, [_ENTRY])
    }
    for use in find_uses(dex, {IndexKind.METHOD: functions.keys()}):
        seams.setdefault(use.method.owner.descriptor, set()).add(functions[use.target])
    for descriptor, names in sorted(seams.items()):
        if _STUB_CLASS.fullmatch(descriptor):
            continue
        strings = dex.references_of(dex.class_def(descriptor)).strings
        modules = tuple(sorted((m[1], m[2]) for text in strings if (m := _MODULE.fullmatch(text))))
        yield Caller(
            descriptor,
            item.place,
            calls_local=bool(names & _LOCAL),
            calls_edge=bool(names & _EDGE),
            is_marked=descriptor in marked,
            modules=modules,
        )


def _modules(app: App) -> Iterator[tuple[str, str]]:
    for apk in app.apks:
        for entry in apk.archive.entries:
            if entry.path.startswith(_ASSETS) and entry.path.endswith(".wasm"):
                try:
                    digest = hashlib.sha256(entry.read(MODULE.module_bytes)).hexdigest()
                except (FormatError, LimitExceeded):
                    digest = ""
                yield apk.place(shown_name(entry.name)), digest


def _edge(app: App) -> dict[str, str] | None:
    """Return the settings of ``edge.properties``: `java.util.Properties` as far as LAWOW writes it."""
    entry = app.base.archive.by_name.get(_PROPERTIES)
    if entry is None:
        return None
    try:
        text = entry.read(_PROPERTIES_BYTES).decode("utf-8", "replace")
    except (FormatError, LimitExceeded):
        return {}
    lines = (match for line in text.splitlines() if (match := _PROPERTY.fullmatch(line)))
    return {match[1]: match[2].replace("\\\\", "\\").replace("\\:", ":") for match in lines}
