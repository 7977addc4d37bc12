"""Pack into a finished app, one APK or a set: runtime, modules, their classes and the stub library go in.

New in the base APK are one dex file behind the app's own ones and files below ``assets/lawow/``. Two
libraries for each ABI go there as well, or into the split that a set has for that ABI. Every other entry
keeps its bytes and its place (with calls to the edge, the manifest may have to ask for the Internet).
Refused: an app that holds LAWOW's library already, a class or a file that is in the way, an app whose native
code is for ABIs without a runtime. The result is signed, all APKs with one key, and proven before anybody
sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError, LawowError, Refused
from lawow.formats.apk import (
    MANIFEST,
    AppDex,
    AppPackage,
    manifest_with_internet,
    require_loads_several_dex_files,
)
from lawow.formats.apk_proof import entry_defects, file_defects
from lawow.formats.apk_set import Companion, read_members, sign_members
from lawow.formats.dex.builder import DexBuilder
from lawow.formats.dex.reader import read_dex
from lawow.formats.dex.verify import verify_dex
from lawow.formats.signing import SigningKey, verify_apk
from lawow.formats.zip import ZipEntry, make_entry, read_zip
from lawow.pack.bindings import Binding
from lawow.pack.dex_class import class_descriptor, dex_class
from lawow.pack.java_engine import ENDIVE
from lawow.pack.libraries import (
    AbiLibraries,
    abi_libraries,
    chosen_abis,
    native_libraries,
    sdk_notes,
    tier_of,
)
from lawow.pack.modules import read_bindings
from lawow.pack.naming import require_package
from lawow.pack.options import PackOptions
from lawow.pack.packer import NATIVE_NOTES, common_assets, method_notes, module_assets
from lawow.resources import android_stub

__all__ = ["Addition", "ApkPlan", "PackedApk", "pack_apk", "plan_apk", "signer_note"]

_ASSETS = "assets/lawow"
_LIBRARY_CLASS = "Ldev/lawow/Lawow;"
_OWN_LIBRARY = re.compile(r"lib/([A-Za-z0-9_-]+)/[^/]+\.so")


@dataclass(frozen=True, slots=True)
class Addition:
    """What goes into one APK: `added` is new, `manifest` takes the place of its own if that changes."""

    app: AppPackage
    added: tuple[ZipEntry, ...] = ()
    manifest: ZipEntry | None = None

    @property
    def entries(self) -> tuple[ZipEntry, ...]:
        """All entries of the result: the APK's in their order, then the new ones."""
        own = self.app.archive.entries
        if self.manifest:
            own = tuple(self.manifest if entry.name == MANIFEST else entry for entry in own)
        return own + self.added

    @property
    def made(self) -> tuple[ZipEntry, ...]:
        """The entries that are not the APK's own."""
        return (*self.added, self.manifest) if self.manifest else self.added


@dataclass(frozen=True, slots=True)
class ApkPlan:
    """What will be in the app. `base` is for the APK with the code, `splits` for the others of its set.

    `tier` is how modules run on the device, `uncovered` are ABIs of the app that get no runtime; `places` has
    for each ABI the name of the split that takes its libraries, or nothing for the base.
    """

    base: Addition
    splits: tuple[Addition, ...]
    package: str
    bindings: tuple[Binding, ...]
    abis: tuple[AbiLibraries, ...]
    places: tuple[str, ...]
    tier: str
    uncovered: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def app(self) -> AppPackage:
        """The app as it was: its base APK, with the others."""
        return self.base.app


@dataclass(frozen=True, slots=True)
class PackedApk:
    """The signed base APK, and the other APKs of its set by their path in it."""

    apk: bytes
    companions: dict[str, bytes]


def plan_apk(
    data: bytes,
    name: str,
    options: PackOptions,
    *,
    companions: Sequence[Companion] = (),
    allow_old_android: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> ApkPlan:
    """Plan to pack into the APK `data`, which messages call `name`; `companions` are the rest of its set.

    `tell` hears of downloads. Raises `Refused` for what is in the way, `FormatError` for a damaged APK or
    module, `UsageError`, `LimitExceeded`, `HostLost` as `plan_pack` does.
    """
    if options.is_java:
        raise Refused(
            f"{name}: a finished APK takes dex code; nothing here makes any of {ENDIVE}, whose class files"
            " are of Java 11; pack the Gradle module with --runtime java, or take wasmtime here"
        )
    app = read_members(data, name, companions)
    try:
        _require_packable(app, allow_old_android=allow_old_android)
        package = require_package(options.package or app.manifest.package)
        # What the installer does not extract is mapped out of the APK, and so must not be compressed.
        compress = app.manifest.application_attribute("extractNativeLibs") is not False
        splits = {item.manifest.split: item for item in app.companions}
    except FormatError as error:
        raise error.within(name) from None
    bindings = read_bindings(options.wasm, options)
    _require_free_classes(app, package, bindings)
    own = _own_abis(app)
    abis = [] if options.is_remote else _abis(app, own, options)
    libraries = [
        native_libraries(bindings, abi) if options.is_native else abi_libraries(options, abi, tell)
        for abi in abis
    ]
    homes = {abi: splits.get(f"config.{abi.replace('-', '_')}", app) for abi in abis}
    added = {item.name: list(_new_libraries(item, app, homes, libraries, compress)) for item in _members(app)}
    new = [
        make_entry(app.next_dex_name, _new_dex(package, bindings, options.seam)),
        *_new_assets(app, bindings, options),
        *added[app.name],
    ]
    return ApkPlan(
        base=Addition(app, tuple(new), _manifest(app) if options.is_remote else None),
        splits=tuple(Addition(item, tuple(added[item.name])) for item in app.companions),
        package=package,
        bindings=tuple(bindings),
        abis=tuple(libraries),
        places=tuple("" if homes[abi] is app else homes[abi].name for abi in abis),
        tier=tier_of(app.manifest.min_sdk, options),
        uncovered=tuple(sorted(own - set(abis))),
        notes=tuple(_notes(app, own, bindings, libraries, options)),
    )


def pack_apk(plan: ApkPlan, key: SigningKey) -> PackedApk:
    """Return the packed app, signed and proven.

    Raises `FormatError` and `LimitExceeded` as `sign_apk` does, `LawowError` for a defect of LAWOW's own.
    """
    additions = (plan.base, *plan.splits)
    min_sdk = plan.app.manifest.min_sdk
    members = [(item.app, item.entries) for item in additions]
    signed = sign_members(members, key, min_sdk, name=plan.app.name)
    for item, apk in zip(additions, signed, strict=True):
        for defect in _defects(item, apk, min_sdk):
            raise LawowError(
                f"{item.app.name}, packed, did not pass LAWOW's own check, so nothing was written: {defect}"
            )
    paths = [item.app.name for item in plan.splits]
    return PackedApk(signed[0], dict(zip(paths, signed[1:], strict=True)))


def _members(app: AppPackage) -> tuple[AppPackage, ...]:
    return (app, *app.companions)


def _require_packable(app: AppPackage, *, allow_old_android: bool) -> None:
    if app.manifest.split:
        raise Refused(f"{app.name} is the split {app.manifest.split}; give the base APK")
    require_loads_several_dex_files(app, allow_old_android=allow_old_android)
    for member, item in _dexes(app):
        if _LIBRARY_CLASS in item.dex.class_names():
            raise Refused(
                f"{member.name}: {item.name} holds LAWOW's library, so this app has been packed; give the APK"
                " from before, or run lawow pack on its sources"
            )


def _dexes(app: AppPackage) -> Iterator[tuple[AppPackage, AppDex]]:
    """Yield all dex files of the app, each with the APK that holds it."""
    return ((member, item) for member in _members(app) for item in member.dexes)


def _require_free_classes(app: AppPackage, package: str, bindings: Sequence[Binding]) -> None:
    wanted = {class_descriptor(package, item.class_name): item for item in bindings}
    for member, item in _dexes(app):
        for descriptor in wanted.keys() & set(item.dex.class_names()):
            binding = wanted[descriptor]
            raise Refused(
                f"{member.name}: {item.name} has a class {package}.{binding.class_name} already; give"
                f" --package, or another name for {binding.module.file} in lawow.toml ([pack.classes])"
            )


def _own_abis(app: AppPackage) -> set[str]:
    """Return the ABIs that the app has libraries for, in whichever of its APKs."""
    entries = [entry for member in _members(app) for entry in member.entries_below("lib/", ".so")]
    found = (_OWN_LIBRARY.fullmatch(entry.path) for entry in entries)
    return {match.group(1) for match in found if match}


def _abis(app: AppPackage, own: set[str], options: PackOptions) -> list[str]:
    """Return the ABIs to pack: a runtime alone in an ABI would hide the app's own libraries there."""
    wanted = chosen_abis(options)
    usable = [abi for abi in wanted if abi in own or not own]
    if options.abis and usable != wanted:
        missing = next(abi for abi in wanted if abi not in usable)
        raise Refused(
            f"{app.name}: has no libraries of its own for {missing}, and a device of that ABI would load the"
            f" runtime's and miss the app's; its ABIs: {', '.join(sorted(own))}"
        )
    if not usable:
        raise Refused(
            f"{app.name}: its native code is for {', '.join(sorted(own))}, for which there is no runtime;"
            " --runtime none makes classes that call the edge"
        )
    return usable


def _new_assets(app: AppPackage, bindings: Sequence[Binding], options: PackOptions) -> Iterator[ZipEntry]:
    """Yield the modules and what lies beside them."""
    assets = common_assets(options)
    for item in bindings:
        assets |= module_assets(item, options)
    for name, data in sorted(assets.items()):
        if not _is_there(app, app, f"{_ASSETS}/{name}", data):
            yield make_entry(f"{_ASSETS}/{name}", data)


def _new_libraries(
    member: AppPackage,
    app: AppPackage,
    homes: Mapping[str, AppPackage],
    libraries: Sequence[AbiLibraries],
    compress: bool,
) -> Iterator[ZipEntry]:
    """Yield the libraries of the ABIs whose home is this APK of the app."""
    for item in libraries:
        for name, data in item.files.items():
            path = f"lib/{item.abi}/{name}"
            if homes[item.abi] is member and not _is_there(member, app, path, data):
                yield make_entry(path, data, compress=compress)


def _new_dex(package: str, bindings: Sequence[Binding], seam: str) -> bytes:
    stub = read_dex(android_stub("prebuilt", "lawow-stub.dex").read_bytes())
    builder = DexBuilder(stub.version)
    for binding in bindings:
        builder.add(dex_class(binding, package, seam))
    builder.add_all(stub)
    return builder.build()


def _is_there(home: AppPackage, app: AppPackage, path: str, data: bytes) -> bool:
    """Tell whether this very file is in its `home`. Raises `Refused` if any APK has another of that name."""
    for member in _members(app):
        entry = member.archive.by_name.get(path.encode())
        if entry is None:
            continue
        try:
            is_same = entry.uncompressed_bytes == len(data) and entry.read() == data
        except FormatError as error:
            raise error.within(path).within(member.name) from None
        if not is_same:
            raise Refused(
                f"{member.name}: has another {path} already; rename the module, or remove that file"
            )
    return path.encode() in home.archive.by_name


def _manifest(app: AppPackage) -> ZipEntry | None:
    """Return the manifest's entry with the permission to use the network, or None if it has that."""
    content = manifest_with_internet(app)
    if content is None:
        return None
    return make_entry(MANIFEST, content, like=app.archive.by_name[MANIFEST])


def _notes(
    app: AppPackage,
    own: set[str],
    bindings: Sequence[Binding],
    libraries: Sequence[AbiLibraries],
    options: PackOptions,
) -> list[str]:
    """Return what the user has to do or should know, each as one sentence."""
    notes = method_notes(bindings)
    notes += [f"{item.abi}: {item.reason}" for item in libraries if item.reason]
    notes += sdk_notes(app.manifest.min_sdk) if libraries and not options.is_native else []
    notes += NATIVE_NOTES if options.is_native else []
    if libraries and not own:
        abis = " and ".join(item.abi for item in libraries)
        notes.append(f"the app had no native code; from now on Android installs it on {abis} only")
    if options.is_remote:
        notes.append("calls go to the edge; say where it is by lawow refactor --edge")
    return notes


def _defects(addition: Addition, signed: bytes, min_sdk: int) -> Iterator[str]:
    """Yield what is wrong with the signed APK, by readers that know nothing of how it was made."""
    archive = read_zip(signed)
    yield from file_defects(signed, archive, min_sdk)
    changed = {entry.name for entry in addition.made}
    kept = (entry for entry in addition.app.archive.entries if entry.name not in changed)
    yield from entry_defects(kept, (entry for entry in archive.entries if entry.name not in changed))
    for entry in addition.made:
        found = archive.by_name.get(entry.name)
        if found is None or found.read() != entry.read():
            yield f"{entry.path}: content differs from what was made"
        elif entry.path.endswith(".dex"):
            yield from (f"{entry.path}: {issue}" for issue in verify_dex(found.read()))


def signer_note(data: bytes, key: SigningKey) -> str:
    """Return what a change of the signing key means for who has the app installed; empty without one."""
    before = verify_apk(data).certificates_sha256
    if not before or key.certificate_sha256 in before:
        return ""
    return "the APK is signed with another key than before: Android does not install it over the old one"
