"""The app as the doctor sees it: its APKs, each with archive, manifest, dex files and native libraries.

Reading is lenient where a finding can be made of the damage (a dex file, a library, a single entry) and
strict where nothing can be said without: the archive and the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.apk import MANIFEST, dex_name
from lawow.formats.apk_set import AppInput
from lawow.formats.axml import AttributeValue, Manifest, read_manifest
from lawow.formats.dex import Dex, read_dex
from lawow.formats.zip import ZipArchive, ZipEntry, read_zip
from lawow.formats.zip.entry import shown_name
from lawow.limits import ARCHIVE

__all__ = ["Apk", "App", "DexFile", "Library", "read_app"]

_LIBRARY = re.compile(r"lib/([^/]+)/([^/]+)")


@dataclass(frozen=True, slots=True)
class Library:
    """A file in a folder that Android takes native libraries from. `data` is empty for a damaged entry."""

    place: str
    abi: str
    file: str
    entry: ZipEntry
    data: bytes


@dataclass(frozen=True, slots=True)
class DexFile:
    """A dex file that Android loads. `dex` is None if it cannot be opened, `data` empty if not even read."""

    place: str
    data: bytes
    dex: Dex | None


@dataclass(frozen=True)
class Apk:
    """One APK of the app. `name` is its place in a set, and empty for an APK that stands alone."""

    name: str
    data: bytes
    archive: ZipArchive
    manifest: Manifest

    def place(self, entry: str = "") -> str:
        """Return what findings call an entry of this APK; in a set the APK's name stands before it."""
        return ": ".join(part for part in (self.name, entry) if part)

    @cached_property
    def dexes(self) -> tuple[DexFile, ...]:
        """The dex files that Android loads: up to the first number that is missing."""
        return tuple(self._read_dexes())

    @cached_property
    def libraries(self) -> tuple[Library, ...]:
        """The files below ``lib/ABI``, in the archive's order."""
        return tuple(self._read_libraries())

    def _read_dexes(self) -> Iterator[DexFile]:
        number = 1
        while entry := self.archive.by_name.get(dex_name(number).encode()):
            data, dex = _content(entry, ARCHIVE.dex_bytes), None
            with suppress(FormatError):  # `verify_dex` says what is wrong
                dex = read_dex(data)
            yield DexFile(self.place(dex_name(number)), data, dex)
            number += 1

    def _read_libraries(self) -> Iterator[Library]:
        for entry in self.archive.entries:
            if match := _LIBRARY.fullmatch(entry.path):
                place = self.place(shown_name(entry.name))
                yield Library(place, match[1], match[2], entry, _content(entry, ARCHIVE.entry_bytes))


@dataclass(frozen=True)
class App:
    """All APKs of the app, the base first."""

    name: str
    apks: tuple[Apk, ...]

    @property
    def is_set(self) -> bool:
        """Whether there are splits: made for one device, a set has that device's ABI alone."""
        return len(self.apks) > 1

    @property
    def base(self) -> Apk:
        """The APK that is no split."""
        return self.apks[0]

    @cached_property
    def min_sdk(self) -> int:
        """The oldest API level that the app installs on."""
        return self.base.manifest.min_sdk

    @cached_property
    def target_sdk(self) -> int:
        """The API level whose rules the app follows."""
        return self.base.manifest.target_sdk

    def attribute(self, name: str) -> AttributeValue | None:
        """Return ``android:name`` of the base's application, or None; also without an application."""
        manifest = self.base.manifest
        return manifest.application_attribute(name) if manifest.has_application else None

    @property
    def extracts_libraries(self) -> bool:
        """Whether Android unpacks the libraries when it installs the app; else it maps them in the APK."""
        return self.attribute("extractNativeLibs") is not False

    @cached_property
    def dexes(self) -> tuple[DexFile, ...]:
        """The dex files of all APKs."""
        return tuple(item for apk in self.apks for item in apk.dexes)

    @cached_property
    def libraries(self) -> tuple[Library, ...]:
        """The native libraries of all APKs."""
        return tuple(item for apk in self.apks for item in apk.libraries)

    @cached_property
    def files_by_abi(self) -> dict[str, set[str]]:
        """The names of the shared libraries for each ABI."""
        found: dict[str, set[str]] = {}
        for library in self.libraries:
            if library.file.endswith(".so"):
                found.setdefault(library.abi, set()).add(library.file)
        return found


def read_app(source: AppInput) -> App:
    """Read the APKs of an app.

    Raises `FormatError` for an archive or a manifest that cannot be read, `LimitExceeded` for an APK that
    would unpack to more than `ARCHIVE.archive_bytes`; both name the file.
    """
    members = [(source.base_path, source.base), *((item.path, item.data) for item in source.companions)]
    apks = []
    for path, data in members:
        name = f"{source.name}: {path}" if path else source.name
        try:
            apks.append(_read_apk(path, data, name))
        except FormatError as error:
            raise error.within(name) from None
    return App(source.name, tuple(apks))


def _read_apk(path: str, data: bytes, name: str) -> Apk:
    archive = read_zip(data)
    entry = archive.by_name.get(MANIFEST)
    if entry is None:
        raise FormatError("AndroidManifest.xml is missing; this is not an APK")
    unpacked = sum(item.uncompressed_bytes for item in archive.entries)
    if unpacked > ARCHIVE.archive_bytes:
        raise LimitExceeded("archive_bytes", unpacked, ARCHIVE.archive_bytes, subject=name)
    content = entry.read(ARCHIVE.manifest_bytes)
    try:
        return Apk(path, data, archive, read_manifest(content))
    except FormatError as error:
        raise error.within(MANIFEST.decode()) from None


def _content(entry: ZipEntry, limit_bytes: int) -> bytes:
    """Return an entry's content, or nothing if it cannot be read, which is a finding of the archive's."""
    try:
        return entry.read(limit_bytes)
    except (FormatError, LimitExceeded):
        return b""
