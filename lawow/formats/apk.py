"""A finished app: archive, manifest, the dex files that Android loads, in loading order.

Refuses what a change of its code could not leave working: no code, a gap in the numbers of the dex files
(Android stops at the first missing one, so a new file in the gap would bring classes to life that are dead
today).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lawow.errors import FormatError, Refused
from lawow.formats.axml import Manifest, read_manifest
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.zip import ZipArchive, ZipEntry, read_zip, require_total
from lawow.limits import ARCHIVE

__all__ = [
    "DEX_NAME",
    "INTERNET",
    "MANIFEST",
    "AppDex",
    "AppPackage",
    "dex_name",
    "manifest_with_internet",
    "read_app",
    "read_companion",
    "require_loads_several_dex_files",
]

MANIFEST = b"AndroidManifest.xml"
RUNTIME_LIBRARY = re.compile(r"lib/[^/]+/lib(?:wasmtime|wasmedge|lawow|lawownative|lawow-[^/]+)\.so")
"""What runs modules on the device, which `lawow pack` puts into an app."""
INTERNET = "android.permission.INTERNET"
FIRST_NATIVE_MULTIDEX = 21
"""Android 5.0 (ART) loads classes2.dex and so on by itself; Dalvik loads classes.dex alone."""
DEX_NAME = re.compile(rb"classes([2-9]|[1-9][0-9]+)?\.dex")


@dataclass(frozen=True, slots=True)
class AppDex:
    """One dex file that Android loads. `name` is its entry's name (``classes2.dex``)."""

    name: str
    entry: ZipEntry
    content: bytes
    dex: Dex


@dataclass(frozen=True)
class AppPackage:
    """One APK, parsed. `name` is what messages call it; `companions` are the other APKs of its set."""

    name: str
    data: bytes
    archive: ZipArchive
    manifest: Manifest
    dexes: tuple[AppDex, ...]
    companions: tuple[AppPackage, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the whole file, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def next_dex_name(self) -> str:
        """The name of the dex file that Android would load next, if it existed."""
        return dex_name(len(self.dexes) + 1)

    def entries_below(self, prefix: str, suffix: str) -> list[ZipEntry]:
        """Return the file entries whose path starts and ends like this, in archive order."""
        return [
            entry
            for entry in self.archive.entries
            if entry.name.startswith(prefix.encode()) and entry.name.endswith(suffix.encode())
        ]


def dex_name(number: int) -> str:
    """Return the name of the dex file that Android loads as the `number`-th, counted from 1."""
    return "classes.dex" if number == 1 else f"classes{number}.dex"


def read_app(data: bytes, *, name: str, companions: Sequence[AppPackage] = ()) -> AppPackage:
    """Parse an APK. Raises `FormatError`, `LimitExceeded` or `Refused`, all naming `name` and the entry."""
    app = read_companion(data, name=name, others=companions)
    _require_loadable(app)
    return replace(app, companions=tuple(companions))


def read_companion(data: bytes, *, name: str, others: Iterable[AppPackage] = ()) -> AppPackage:
    """Parse an APK that need not hold code, such as a split. `others` of its set count for the limits.

    Raises `FormatError`, `LimitExceeded`.
    """
    held_bytes = sum(len(item.content) for other in others for item in other.dexes)
    try:
        archive = read_zip(data)
        manifest = _read_manifest(archive)
        dexes = tuple(_read_dexes(archive, held_bytes))
    except FormatError as error:
        raise error.within(name) from None
    return AppPackage(name, data, archive, manifest, dexes)


def _read_manifest(archive: ZipArchive) -> Manifest:
    entry = archive.by_name.get(MANIFEST)
    if entry is None:
        raise FormatError("AndroidManifest.xml is missing; this is not an APK")
    content = entry.read(ARCHIVE.manifest_bytes)
    try:
        return read_manifest(content)
    except FormatError as error:
        raise error.within(MANIFEST.decode()) from None


def _read_dexes(archive: ZipArchive, held_bytes: int) -> Iterator[AppDex]:
    number = 1
    while entry := archive.by_name.get(dex_name(number).encode()):
        name = dex_name(number)
        held_bytes = require_total(
            [entry],
            "loaded_bytes",
            ARCHIVE.loaded_bytes,
            subject="the dex files up to " + name,
            held_bytes=held_bytes,
        )
        content = entry.read(ARCHIVE.dex_bytes)
        try:
            yield AppDex(name, entry, content, read_dex(content))
        except FormatError as error:
            raise error.within(name) from None
        number += 1


def _require_loadable(app: AppPackage) -> None:
    if not app.dexes:
        raise Refused(f"{app.name}: there is no classes.dex, so there is no code; give the base APK")
    loaded = {item.name.encode() for item in app.dexes}
    dead = [n for n in app.archive.by_name if DEX_NAME.fullmatch(n) and n not in loaded]
    if dead:
        raise Refused(
            f"{app.name}: {app.next_dex_name} is missing but {dead[0].decode()} exists; Android does not"
            " load it today and would when a file is added; remove it or close the gap"
        )


def require_loads_several_dex_files(app: AppPackage, *, allow_old_android: bool) -> None:
    """Refuse an app that also installs on Android without native multidex, unless the user knows better."""
    if app.manifest.min_sdk < FIRST_NATIVE_MULTIDEX and not allow_old_android:
        raise Refused(
            f"{app.name}: minSdkVersion is {app.manifest.min_sdk}; Android before {FIRST_NATIVE_MULTIDEX}"
            f" does not load {app.next_dex_name}, where the new classes go; raise minSdkVersion, or give"
            " --allow-old-android if the app loads several dex files itself or never runs there"
        )


def manifest_with_internet(app: AppPackage) -> bytes | None:
    """Return the manifest with the permission to use the network, or None if it has that already."""
    entry = app.archive.by_name[MANIFEST]
    try:
        manifest = read_manifest(entry.read())
        return manifest.to_bytes() if manifest.add_permission(INTERNET) else None
    except FormatError as error:
        raise error.within(MANIFEST.decode()).within(app.name) from None
