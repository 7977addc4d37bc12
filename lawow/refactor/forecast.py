"""What a plan would bring, without carrying it out: sizes, ids, costs, picture, advice. For `--plan`.

Reads what the selection needs and nothing else, so that it answers within a second where the split itself
takes several. Exact are the roles, findings, calls, ids and the bundle; estimated are the sizes of dex
files (``about``) and, where a name has several readers, who still needs a module or library.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from lawow.errors import FormatError
from lawow.formats.apk import RUNTIME_LIBRARY, AppDex, AppPackage, read_app
from lawow.formats.bundle import Origin, build_bundle
from lawow.formats.dex.gc import collect_garbage
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reader import Dex, read_dex
from lawow.formats.dex.search import find_uses, string_ids
from lawow.formats.dex.spec import ItemType
from lawow.formats.dex.symbols import FieldRef, MethodRef
from lawow.formats.dex.views import ClassView
from lawow.formats.dex.writer import drop_classes
from lawow.formats.zip import make_entry
from lawow.refactor.advice import Advice, advise
from lawow.refactor.classify import is_library
from lawow.refactor.code_index import CodeIndex, use_target
from lawow.refactor.costs import CallCost, call_costs
from lawow.refactor.edge_properties import DEFAULT_EDGE, PATH, EdgeProperties
from lawow.refactor.graph import ClassGraph, build_graph
from lawow.refactor.plan import PlanOptions, SplitPlan, make_plan, module_entries
from lawow.refactor.rules import java_name
from lawow.refactor.split import ORIGINALS_STAY
from lawow.resources import android_stub

__all__ = ["ID_LIMIT", "DexIds", "Forecast", "ForecastEntry", "forecast_app", "make_forecast"]

ID_LIMIT = 65_536
"""Types, protos, fields and methods of one dex file are counted in 16 bits."""
LIBRARY_STRINGS = ("lawow", "wasmtime", "wasmedge", "liblawow.so", "libwasmtime.so", "libwasmedge.so")
LAWOW = "Ldev/lawow/Lawow;"
LOCAL_CLASSES = tuple(
    f"Ldev/lawow/{name};" for name in ("LocalRuntime", "Native", "LocalModule", "WasmModule")
)
SMALL_DEX_BYTES = 512 << 10
"""Up to this size a dex file is rewritten to see what remains of it; that takes some 0.1 s."""
_CLASS_DEF_BYTES = 32
_CODE_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class ForecastEntry:
    """One entry of the APK that would change; compressed sizes, `is_exact` or estimated.

    `action` is added, removed, rewritten or kept; `reason` says why what could go is kept.
    """

    path: str
    kind: str
    action: str
    bytes_before: int
    bytes_after: int
    is_exact: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DexIds:
    """How many of the 65,536 ids of each kind a dex file uses."""

    name: str
    classes: int
    types: int
    protos: int
    fields: int
    methods: int
    is_new: bool = False

    @property
    def fullest(self) -> int:
        """The largest of the counts that are limited."""
        return max(self.types, self.protos, self.fields, self.methods)


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan and what would come of it."""

    plan: SplitPlan
    graph: ClassGraph
    entries: tuple[ForecastEntry, ...]
    ids: tuple[DexIds, ...]
    costs: tuple[CallCost, ...]
    advice: tuple[Advice, ...]
    bundle_bytes: int

    @property
    def bytes_before(self) -> int:
        """Size of the APK."""
        return len(self.plan.app.data)

    @property
    def bytes_after(self) -> int:
        """Estimated size of the slim APK, signature and alignment as before."""
        return self.bytes_before - sum(entry.bytes_before - entry.bytes_after for entry in self.entries)


def make_forecast(
    plan: SplitPlan, stub: bytes, edge: EdgeProperties | None = None, *, is_elastic: bool = False
) -> Forecast:
    """Return what `plan` would bring. `stub` is the dex file of the stub library.

    Raises `FormatError` for damaged dex files.
    """
    stub_dex = read_dex(stub)
    bundle = build_bundle(
        {module.file: module.data for module in plan.modules},
        plan.methods,
        Origin(plan.app.manifest.package, plan.app.sha256),
    )
    return Forecast(
        plan=plan,
        graph=build_graph(plan),
        entries=tuple(_entries(plan, stub, edge, is_elastic=is_elastic)) if plan.moves else (),
        ids=tuple(_ids(plan, stub_dex)),
        costs=call_costs(plan),
        advice=advise(plan.app, same_key=None, edge=edge, calls_edge=bool(plan.moves)),
        bundle_bytes=len(bundle),
    )


def _entries(
    plan: SplitPlan, stub: bytes, edge: EdgeProperties | None, *, is_elastic: bool
) -> Iterator[ForecastEntry]:
    app = plan.app
    yield from _dex_entries(plan, stub)
    removed: set[str] = set()
    for path in module_entries(plan):
        entry = app.archive.by_name[path.encode()]
        user = ORIGINALS_STAY if is_elastic else _string_user(plan, (path.rpartition("/")[2], path))
        if not user:
            removed.add(path)
        yield _surplus(path, "module", entry.compressed_bytes, user)
    libraries = [entry for entry in app.archive.entries if RUNTIME_LIBRARY.fullmatch(entry.path)]
    user = ORIGINALS_STAY if is_elastic else _runtime_user(plan, removed) if libraries else ""
    for entry in libraries:
        yield _surplus(entry.path, "library", entry.compressed_bytes, user)
    if edge is not None or PATH.encode() not in app.archive.by_name:
        old = app.archive.by_name.get(PATH.encode())
        content = (edge or EdgeProperties(DEFAULT_EDGE)).to_bytes()
        before = old.compressed_bytes if old else 0
        action = "rewritten" if old else "added"
        yield ForecastEntry(PATH, "configuration", action, before, len(content), is_exact=False)


def _surplus(path: str, kind: str, size_bytes: int, user: str) -> ForecastEntry:
    if user:
        return ForecastEntry(path, kind, "kept", size_bytes, size_bytes, reason=user)
    return ForecastEntry(path, kind, "removed", size_bytes, 0)


def _dex_entries(plan: SplitPlan, stub: bytes) -> Iterator[ForecastEntry]:
    moved = {move.descriptor for move in plan.moves}
    gone = {
        item.descriptor for item in plan.classes if item.descriptor in moved or is_library(item.descriptor)
    }
    carried = 0
    for item in plan.app.dexes:
        local = [item.dex.class_def(name) for name in gone if item.dex.class_indexes(name)]
        if not local:
            continue
        ratio = item.entry.compressed_bytes / max(1, len(item.content))
        carried += int(ratio * sum(_class_bytes(view) for view in local if view.descriptor in moved))
        after, is_exact = _rewritten_bytes(plan.app, item, local, ratio)
        yield ForecastEntry(item.name, "dex", "rewritten", item.entry.compressed_bytes, after, is_exact)
    added = len(zlib.compress(stub, 6)) + carried
    yield ForecastEntry(plan.app.next_dex_name, "dex", "added", 0, added, is_exact=False)


def _rewritten_bytes(app: AppPackage, item: AppDex, gone: list[ClassView], ratio: float) -> tuple[int, bool]:
    """Return the compressed size of a dex file without some classes, and whether that was tried out."""
    if len(item.content) > SMALL_DEX_BYTES:
        return int(ratio * (len(item.content) - sum(map(_class_bytes, gone)))), False
    try:
        rest = collect_garbage(drop_classes(item.dex, [view.descriptor for view in gone]))
    except FormatError as error:
        raise error.within(item.name).within(app.name) from None
    return make_entry(item.name, rest, like=item.entry).compressed_bytes, True


def _class_bytes(view: ClassView) -> int:
    """Estimate what a class takes in its dex file: its definition, members and code."""
    code = sum(
        _CODE_HEAD_BYTES + 2 * method.code.insns_size + 8 * method.code.tries_size
        for method in view.methods
        if method.code is not None
    )
    return _CLASS_DEF_BYTES + 6 * len(view.methods) + 3 * len(view.fields) + code


def _moved_or_library(plan: SplitPlan, view: ClassView) -> bool:
    return is_library(view.descriptor) or any(view.descriptor == move.descriptor for move in plan.moves)


def _string_user(plan: SplitPlan, texts: tuple[str, ...]) -> str:
    """Return who loads one of these strings besides moved classes and LAWOW's library."""
    for item in plan.app.dexes:
        for use in find_uses(item.dex, {IndexKind.STRING: string_ids(item.dex, texts)}):
            if not _moved_or_library(plan, use.method.owner):
                owner = java_name(use.method.owner.descriptor)
                return f'{owner} holds the string "{item.dex.string(use.target)}"'
    return ""


def _runtime_user(plan: SplitPlan, removed: set[str]) -> str:
    """Return who still needs the Wasm runtime on the device."""
    for entry in plan.app.archive.entries:
        if entry.name.endswith(b".wasm") and entry.path not in removed:
            return f"the module {entry.path} stays"
    index = CodeIndex(plan.app)
    replaced = {
        MethodRef(move.descriptor, bound.method, bound.descriptor)
        for move in plan.moves
        for bound in move.methods
    }
    for use in index.uses_of_classes((LAWOW, *LOCAL_CLASSES)):
        if is_library(use.method.owner.descriptor) or use.method.ref in replaced:
            continue
        if _runs_locally(use_target(use)):
            return f"{java_name(use.method.owner.descriptor)} runs modules on the device"
    return _string_user(plan, LIBRARY_STRINGS)


def _runs_locally(target: str | FieldRef | MethodRef) -> bool:
    """Tell whether code that names this member, or class, may run a module on the device."""
    if isinstance(target, str) or target.class_name != LAWOW:
        return True
    return isinstance(target, MethodRef) and target.name == "local"


def _ids(plan: SplitPlan, stub: Dex) -> Iterator[DexIds]:
    for item in plan.app.dexes:
        types, protos, fields, methods = _limited_sizes(item.dex)
        yield DexIds(item.name, len(item.dex.class_defs), types, protos, fields, methods)
    if plan.moves:
        yield _new_ids(plan, stub)


LIMITED = (
    ItemType.TYPE_ID_ITEM,
    ItemType.PROTO_ID_ITEM,
    ItemType.FIELD_ID_ITEM,
    ItemType.METHOD_ID_ITEM,
)


def _limited_sizes(dex: Dex) -> list[int]:
    return [dex.size_of(item) for item in LIMITED]


def _new_ids(plan: SplitPlan, stub: Dex) -> DexIds:
    """Count the ids of the new dex file: what the stub names and what the moved classes still name."""
    sizes = dict(zip(LIMITED, _limited_sizes(stub), strict=True))
    types = {stub.type(index) for index in range(sizes[ItemType.TYPE_ID_ITEM])}
    protos = {stub.proto(index) for index in range(sizes[ItemType.PROTO_ID_ITEM])}
    fields: set[FieldRef] = {stub.field(index) for index in range(sizes[ItemType.FIELD_ID_ITEM])}
    methods: set[MethodRef] = {stub.method(index) for index in range(sizes[ItemType.METHOD_ID_ITEM])}
    for move in plan.moves:
        bound = {(item.method, item.descriptor) for item in move.methods}
        kept = [item for item in move.view.methods if (item.name, item.descriptor) not in bound]
        parts = [move.view.dex.references_of(method) for method in kept]
        types.update(chain(move.view.signature_types(), *(part.types for part in parts)), [move.descriptor])
        fields.update(chain((item.ref for item in move.view.fields), *(part.fields for part in parts)))
        named: Iterable[MethodRef] = chain(
            (item.ref for item in move.view.methods), *(part.methods for part in parts)
        )
        named = list(named)
        methods.update(named)
        protos.update(ref.descriptor for ref in named)
        types.update(ref.class_name for ref in named)
    classes = len(stub.class_defs) + len(plan.moves)
    return DexIds(
        plan.app.next_dex_name, classes, len(types), len(protos), len(fields), len(methods), is_new=True
    )


def forecast_app(
    data: bytes,
    name: str,
    options: PlanOptions,
    edge: EdgeProperties | None = None,
    *,
    is_elastic: bool = False,
) -> Forecast:
    """Read, plan and forecast an APK. `name` is what messages call it; raises as `make_plan`."""
    stub = android_stub("prebuilt", "lawow-stub.dex").read_bytes()
    try:
        plan = make_plan(read_app(data, name=name), options)
        return make_forecast(plan, stub, edge, is_elastic=is_elastic)
    except FormatError as error:
        raise error if error.file.startswith(name) else error.within(name) from None
