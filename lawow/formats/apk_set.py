"""What an app comes as: one APK, or a set of split APKs as an archive (``.apks``, ``.xapk``) or as a folder.

One APK of a set is the base, the others are splits of it; Android installs a set only under one key. What is
in the archive beside the APKs (``toc.pb``, ``manifest.json``, icons, expansion files) stays as it is, and so
does the order.

Refused: an Android App Bundle, which is no app yet; a set for several kinds of devices, which has several
APKs for one place; APKs of different packages. Sources: developer.android.com, "bundletool" and "Split APKs".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.apk import MANIFEST, AppPackage, read_app, read_companion
from lawow.formats.axml import Manifest, read_manifest
from lawow.formats.signing import SigningKey, resign_apk, sign_apk
from lawow.formats.zip import ZipArchive, ZipEntry, make_entry, read_zip, write_zip
from lawow.limits import ARCHIVE

__all__ = [
    "AppInput",
    "Companion",
    "InputKind",
    "read_folder_input",
    "read_input",
    "read_members",
    "sign_members",
]

_BUNDLE_MARKS = (b"BundleConfig.pb", b"base/manifest/AndroidManifest.xml")
_APK_SUFFIX = b".apk"
_EXTRACT = (
    "bundletool extract-apks --device-spec, or build it anew with bundletool build-apks --mode=universal"
)


class InputKind(Enum):
    """What the input is, and so what the result will be."""

    APK = "apk"
    ARCHIVE = "archive"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Companion:
    """One APK of a set beside the base. `path` is its place in the set."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class AppInput:
    """An app, whatever it came as. `base` is the APK that is no split; `base_path` its place in a set.

    `archive` is the set as an archive, `data` that archive's bytes.
    """

    name: str
    kind: InputKind
    base_path: str
    base: bytes
    companions: tuple[Companion, ...] = ()
    archive: ZipArchive | None = None
    data: bytes = b""

    @property
    def base_name(self) -> str:
        """What messages call the base APK."""
        return self.name if self.kind is InputKind.APK else f"{self.name}: {self.base_path}"

    def replaced(self, apks: Mapping[str, bytes]) -> bytes:
        """Return the archive of the set with new contents for its APKs, by path; the rest as it was.

        Entries that are no APKs keep their compressed bytes. Only for `InputKind.ARCHIVE`.
        """
        assert self.archive is not None
        entries = (
            make_entry(entry.name, apks[entry.path], like=entry) if entry.path in apks else entry
            for entry in self.archive.entries
        )
        return write_zip(entries, align=False)


def read_input(data: bytes, name: str) -> AppInput:
    """Tell an APK from a set, and find the base of a set. `name` is what messages call the file.

    What is neither is taken for an APK, whose reader then says what is wrong. Raises `FormatError`, `Refused`
    for what the module refuses, `LimitExceeded` for a set that would unpack to more than
    `ARCHIVE.archive_bytes`.
    """
    try:
        archive = read_zip(data)
    except FormatError as error:
        raise error.within(name) from None
    if MANIFEST in archive.by_name:
        return AppInput(name, InputKind.APK, "", data)
    if any(mark in archive.by_name for mark in _BUNDLE_MARKS):
        raise Refused(
            f"{name} is an Android App Bundle, from which APKs are made first:"
            f" bundletool build-apks --mode=universal --bundle={name} --output=app.apks"
        )
    members = _members(archive, name)
    if not members:
        return AppInput(name, InputKind.APK, "", data)
    base, companions = _find_base(members, name)
    return AppInput(name, InputKind.ARCHIVE, base.path, base.data, companions, archive, data)


def read_folder_input(files: Mapping[str, bytes], name: str) -> AppInput:
    """Find the base among the APKs of a folder, by file name. Raises as `read_input`."""
    _require_sizes(map(len, files.values()), name)
    base, companions = _find_base([Companion(path, files[path]) for path in sorted(files)], name)
    return AppInput(name, InputKind.FOLDER, base.path, base.data, companions)


def read_members(base: bytes, name: str, companions: Sequence[Companion]) -> AppPackage:
    """Parse a base APK, which messages call `name`, with the other APKs of its set. Raises as `read_app`."""
    others: list[AppPackage] = []
    for item in companions:
        others.append(read_companion(item.data, name=item.path, others=others))
    return read_app(base, name=name, companions=others)


def sign_members(
    members: Iterable[tuple[AppPackage, Sequence[ZipEntry]]], key: SigningKey, min_sdk: int, *, name: str
) -> list[bytes]:
    """Sign what came of each APK of an app, all with one key and for the base's `min_sdk`.

    Of an APK that keeps all entries, whatever can stay where it is stays. Raises `FormatError` naming `name`,
    and `LimitExceeded`.
    """
    try:
        return [
            resign_apk(app.data, key, min_sdk=min_sdk)
            if tuple(entries) == app.archive.entries
            else sign_apk(entries, key, min_sdk=min_sdk)
            for app, entries in members
        ]
    except FormatError as error:
        raise error.within(name) from None


def _members(archive: ZipArchive, name: str) -> list[Companion]:
    """Return the APKs in an archive, unpacked."""
    entries = [entry for entry in archive.entries if entry.name.lower().endswith(_APK_SUFFIX)]
    _require_sizes((entry.uncompressed_bytes for entry in entries), name)
    try:
        return [Companion(entry.path, entry.read()) for entry in entries]
    except FormatError as error:
        raise error.within(name) from None


def _require_sizes(sizes: Iterable[int], name: str) -> None:
    total = sum(sizes)
    if total > ARCHIVE.archive_bytes:
        raise LimitExceeded("archive_bytes", total, ARCHIVE.archive_bytes, subject=f"the APKs of {name}")


def _find_base(members: list[Companion], name: str) -> tuple[Companion, tuple[Companion, ...]]:
    """Return the one APK that is no split of another, and the splits."""
    manifests = [(_manifest_of(member, name), member) for member in members]
    bases = [member for manifest, member in manifests if manifest.split is None]
    if not bases:
        raise Refused(f"{name}: there is no base APK, only splits; give the whole set")
    if len(bases) > 1:
        paths = ", ".join(member.path for member in bases)
        raise Refused(f"{name}: several APKs are a base ({paths}); take one device's set with {_EXTRACT}")
    _require_one_set(manifests, name)
    return bases[0], tuple(member for member in members if member is not bases[0])


def _require_one_set(manifests: list[tuple[Manifest, Companion]], name: str) -> None:
    packages = sorted({manifest.package for manifest, _ in manifests})
    if len(packages) > 1:
        raise Refused(f"{name}: its APKs are of different packages ({', '.join(packages)})")
    splits = sorted((manifest.split, member.path) for manifest, member in manifests if manifest.split)
    for split, group in groupby(splits, key=lambda item: item[0]):
        paths = [path for _, path in group]
        if len(paths) > 1:
            raise Refused(
                f"{name}: several APKs are the split {split} ({', '.join(paths)}); take one device's set with"
                f" {_EXTRACT}"
            )


def _manifest_of(member: Companion, name: str) -> Manifest:
    try:
        entry = read_zip(member.data).by_name.get(MANIFEST)
        if entry is None:
            raise FormatError("AndroidManifest.xml is missing; this is not an APK")
        return read_manifest(entry.read(ARCHIVE.manifest_bytes))
    except FormatError as error:
        raise error.within(member.path).within(name) from None
