"""Carry out a plan: the entries of the slim APK and the offload bundle. Nothing is signed or written here.

Entries that the split does not concern are the very objects that were read, so their compressed bytes stay.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lawow.errors import FormatError
from lawow.formats.apk import MANIFEST, AppPackage, manifest_with_internet
from lawow.formats.bundle import Origin, build_bundle
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.spec import ItemType
from lawow.formats.zip import ZipEntry, make_entry
from lawow.limits import ARCHIVE
from lawow.refactor.baseline import METADATA, PROFILE, patch_profile
from lawow.refactor.dexes import DexSplit, split_dexes
from lawow.refactor.edge_properties import DEFAULT_EDGE, EdgeProperties, with_mode
from lawow.refactor.edge_properties import PATH as EDGE_PROPERTIES
from lawow.refactor.plan import SplitPlan, module_entries
from lawow.refactor.residents import RUNTIME_LIBRARY, module_user, runtime_user

__all__ = [
    "ORIGINALS_STAY",
    "CompanionSplit",
    "EntryChange",
    "KeptEntry",
    "Split",
    "SplitOptions",
    "assemble",
    "split_app",
    "split_code",
]

AUTO = "auto"
ORIGINALS_STAY = "the app is elastic: the original methods stay and may need it"
PROFILED_IDS = (ItemType.TYPE_ID_ITEM, ItemType.METHOD_ID_ITEM)
_INTERPRETABLE = ".pulley"
"""Code for the interpreter, which may lie beside a module (`lawow.runtime.device_code`)."""


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How to carry out a plan. Without `edge` the app keeps its address, or gets the library's default.

    An elastic app keeps originals, modules and runtime, and decides for each call where it runs. `shadow` is
    the share of the calls of translated methods, up to 1, that it runs in both places and compares.
    """

    edge: EdgeProperties | None = None
    keep_orphan_ids: bool = False
    is_elastic: bool = False
    shadow: float | None = None


@dataclass(frozen=True, slots=True)
class EntryChange:
    """One entry that differs; sizes are compressed.

    `kind` is dex, module, library, manifest or configuration; `action` is added, removed or rewritten.
    """

    path: str
    kind: str
    action: str
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry that a split would remove, and why it stays."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class CompanionSplit:
    """What stays of another APK of the set, unsigned; `removed` are the paths of entries that go."""

    app: AppPackage
    entries: tuple[ZipEntry, ...]
    removed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Split:
    """Both results, unsigned. `dexes` holds the new contents of all dex files that differ, by name.

    `profile_removal` says why the baseline profile had to go, if it had.
    """

    plan: SplitPlan
    entries: tuple[ZipEntry, ...]
    bundle: bytes
    changes: tuple[EntryChange, ...]
    kept: tuple[KeptEntry, ...]
    dexes: dict[str, bytes]
    permission_added: bool
    companions: tuple[CompanionSplit, ...] = ()
    profile_removal: str | None = None


def split_app(plan: SplitPlan, stub: bytes, options: SplitOptions) -> Split:
    """Return the two halves of the app. `stub` is the dex file of the stub library.

    Where nothing moves, nothing changes. Raises `Refused` and `FormatError` as `split_dexes` does.
    """
    return assemble(plan, split_code(plan, stub, options), options)


def split_code(plan: SplitPlan, stub: bytes, options: SplitOptions) -> DexSplit:
    """Return the dex files of the slim APK: the first half of `split_app`."""
    if not plan.moves:
        return DexSplit({}, plan.app.next_dex_name, b"", (), ())
    return split_dexes(
        plan,
        stub,
        keep_orphan_ids=options.keep_orphan_ids,
        is_elastic=options.is_elastic,
        is_shadowed=options.shadow is not None,
    )


def assemble(plan: SplitPlan, dexes: DexSplit, options: SplitOptions) -> Split:
    """Return both halves with these dex files: the second half of `split_app`."""
    if not plan.moves:
        return _unchanged(plan)
    app = plan.app
    try:
        removed, kept, needs_no_runtime = _everything(plan) if options.is_elastic else _surplus(plan, dexes)
        profile = _profile(app, dexes)
    except FormatError as error:
        raise error.within(app.name) from None
    contents = dexes.contents
    if profile.content is not None:
        contents[PROFILE] = profile.content
    removed.update(profile.removed)
    manifest = manifest_with_internet(app)
    if manifest is not None:
        contents[MANIFEST.decode()] = manifest
    properties = _edge_properties(plan, options)
    if properties is not None:
        contents[EDGE_PROPERTIES] = properties
    replaced = _make_entries(app, contents)
    companions = [_companion(item, needs_no_runtime=needs_no_runtime) for item in app.companions]
    return Split(
        plan=plan,
        entries=tuple(_assemble(app, replaced, removed)),
        bundle=_bundle(plan),
        changes=(*_changes(app, replaced, removed), *_companion_changes(companions)),
        kept=tuple(kept),
        dexes=dexes.contents,
        permission_added=manifest is not None,
        companions=tuple(companions),
        profile_removal=profile.reason,
    )


def _unchanged(plan: SplitPlan) -> Split:
    """Return the app as it is, and a bundle that holds nothing."""
    companions = [CompanionSplit(item, item.archive.entries, frozenset()) for item in plan.app.companions]
    return Split(
        plan=plan,
        entries=plan.app.archive.entries,
        bundle=_bundle(plan),
        changes=(),
        kept=(),
        dexes={},
        permission_added=False,
        companions=tuple(companions),
    )


def _bundle(plan: SplitPlan) -> bytes:
    modules = {module.file: module.data for module in plan.modules}
    return build_bundle(modules, plan.methods, Origin(plan.app.manifest.package, plan.app.sha256))


def _surplus(plan: SplitPlan, dexes: DexSplit) -> tuple[set[str], list[KeptEntry], bool]:
    """Return the paths of the modules and libraries that nobody on the device needs, the others, and whether
    nobody there needs the runtime."""
    removed, kept = set(), []
    for path in module_entries(plan):
        if user := module_user(dexes, path.rpartition("/")[2]):
            kept.append(KeptEntry(path, user))
        else:
            compiled = f"{path}{_INTERPRETABLE}"
            removed.update({path, compiled} if compiled.encode() in plan.app.archive.by_name else {path})
    libraries = _runtime_libraries(plan.app)
    elsewhere = [f"{item.name}: {path}" for item in plan.app.companions for path in _runtime_libraries(item)]
    user = runtime_user(dexes, plan.app, removed) if libraries or elsewhere else None
    if user is None:
        removed.update(libraries)
    else:
        kept += [KeptEntry(path, user) for path in (*libraries, *elsewhere)]
    return removed, kept, user is None


def _everything(plan: SplitPlan) -> tuple[set[str], list[KeptEntry], bool]:
    """Return that nothing goes, because the originals may run."""
    libraries = [path for item in (plan.app, *plan.app.companions) for path in _runtime_libraries(item)]
    return set(), [KeptEntry(path, ORIGINALS_STAY) for path in (*module_entries(plan), *libraries)], False


def _edge_properties(plan: SplitPlan, options: SplitOptions) -> bytes | None:
    """Return the file that tells the app where its edge is, or None if its own stays."""
    entry = plan.app.archive.by_name.get(EDGE_PROPERTIES.encode())
    pure = tuple(module.sha256 for module in plan.modules if module.pure)
    if options.edge is None and entry is not None:
        if not options.is_elastic:
            return None
        return with_mode(entry.read(ARCHIVE.manifest_bytes), AUTO, pure, options.shadow)
    properties = options.edge or EdgeProperties(DEFAULT_EDGE)
    if options.is_elastic:
        properties = replace(properties, mode=AUTO, pure=pure, shadow=options.shadow)
    return properties.to_bytes()


@dataclass(frozen=True, slots=True)
class _Profile:
    """What becomes of the baseline profile: new content, or removed paths and why, or nothing."""

    content: bytes | None = None
    removed: frozenset[str] = frozenset()
    reason: str | None = None


def _profile(app: AppPackage, dexes: DexSplit) -> _Profile:
    """Keep the baseline profile fitting the rewritten dex files, or let it go."""
    entry = app.archive.by_name.get(PROFILE.encode())
    if entry is None:
        return _Profile()
    rewritten = [item for item in app.dexes if item.name in dexes.rewritten]
    crcs = {item.entry.crc32: zlib.crc32(dexes.rewritten[item.name]) for item in rewritten}
    renumbered = [
        item.entry.crc32 for item in rewritten if not _has_same_ids(item.dex, dexes.rewritten[item.name])
    ]
    data = entry.read()
    try:
        return _Profile(patch_profile(data, crcs, renumbered))
    except FormatError as error:
        paths = (path for path in (PROFILE, METADATA) if path.encode() in app.archive.by_name)
        return _Profile(removed=frozenset(paths), reason=str(error))


def _has_same_ids(before: Dex, content: bytes) -> bool:
    """Whether no row of the types and methods went; rows are never added."""
    after = read_dex(content)
    return all(before.size_of(item) == after.size_of(item) for item in PROFILED_IDS)


def _runtime_libraries(app: AppPackage) -> list[str]:
    return [entry.path for entry in app.archive.entries if RUNTIME_LIBRARY.fullmatch(entry.path)]


def _companion(app: AppPackage, *, needs_no_runtime: bool) -> CompanionSplit:
    """Return another APK of the set without the runtime libraries, if nobody needs them."""
    removed = frozenset(_runtime_libraries(app) if needs_no_runtime else ())
    entries = tuple(entry for entry in app.archive.entries if entry.path not in removed)
    return CompanionSplit(app, entries, removed)


def _companion_changes(companions: Iterable[CompanionSplit]) -> Iterable[EntryChange]:
    for item in companions:
        for path in sorted(item.removed):
            size = item.app.archive.by_name[path.encode()].compressed_bytes
            yield EntryChange(f"{item.app.name}: {path}", "library", "removed", size, 0)


def _make_entries(app: AppPackage, contents: dict[str, bytes]) -> dict[str, ZipEntry]:
    by_name = app.archive.by_name
    return {path: make_entry(path, data, like=by_name.get(path.encode())) for path, data in contents.items()}


def _assemble(app: AppPackage, replaced: dict[str, ZipEntry], removed: set[str]) -> Iterable[ZipEntry]:
    """Yield the entries in their old order, new ones at the end."""
    for entry in app.archive.entries:
        if entry.path not in removed:
            yield replaced.get(entry.path, entry)
    for path, entry in replaced.items():
        if path.encode() not in app.archive.by_name:
            yield entry


def _changes(app: AppPackage, replaced: dict[str, ZipEntry], removed: set[str]) -> Iterable[EntryChange]:
    for path in sorted({*replaced, *removed}, key=_by_kind):
        old, new = app.archive.by_name.get(path.encode()), replaced.get(path)
        action = "removed" if new is None else "added" if old is None else "rewritten"
        sizes = [0 if entry is None else entry.compressed_bytes for entry in (old, new)]
        yield EntryChange(path, _kind(path), action, *sizes)


KINDS: Sequence[tuple[str, str]] = (
    (".dex", "dex"),
    (".wasm", "module"),
    (".so", "library"),
    (".xml", "manifest"),
    (".prof", "profile"),
    (".profm", "profile"),
)


def _kind(path: str) -> str:
    return next((kind for suffix, kind in KINDS if path.endswith(suffix)), "configuration")


def _by_kind(path: str) -> tuple[str, int, str]:
    return _kind(path), len(path), path
