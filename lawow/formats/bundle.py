"""The offload bundle: the WebAssembly side of a split app, as a JAR.

::

    META-INF/MANIFEST.MF       so that any JAR tool knows what it holds
    lawow/manifest.json        schema 1: modules with digest and interface, class -> method -> export, origin
    lawow/modules/NAME.wasm    the modules, byte for byte as they were in the app

`build_bundle` is deterministic. `read_bundle` believes nothing: it refuses missing, additional, doubled
and unsafely named entries, lengths and SHA-256 digests that do not match, a manifest that says anything
about a module that the module itself does not say, and modules beyond `lawow.limits`. A method may have a
signature with strings and lists (`lawow.formats.signature`): its core type must be the export's, and the
module must export what such calls need. Defined by docs/refactor.md, "The bundle".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.formats.interface import signature_letters, wit_of
from lawow.formats.signature import ScalarType, parse_typed_signature
from lawow.formats.wasm import inspect_module
from lawow.formats.zip import ZipArchive, make_entry, read_zip, require_total, write_zip
from lawow.limits import ARCHIVE, MODULE

__all__ = [
    "BoundMethod",
    "BundledExport",
    "BundledModule",
    "OffloadBundle",
    "Origin",
    "build_bundle",
    "bundled_module",
    "read_bundle",
]

SCHEMA = 1
JAR_MANIFEST = "META-INF/MANIFEST.MF"
MANIFEST = "lawow/manifest.json"
MODULES = "lawow/modules/"
JAR_MANIFEST_TEXT = b"Manifest-Version: 1.0\r\nCreated-By: LAWOW\r\nLawow-Bundle-Schema: 1\r\n\r\n"

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,120}\.wasm")
"""Module names that mean the same on every file system: no separator, no leading dot, ASCII."""
DIGEST = re.compile(r"[0-9a-f]{64}")
ALLOCATOR, ALLOCATOR_SIGNATURE = "cabi_realloc", "iiii>i"
"""What the canonical ABI gets memory for arguments from."""

Field = TypeVar("Field", str, int, bool, list[object], dict[str, object])


@dataclass(frozen=True, slots=True)
class BundledExport:
    """A function that a module exports: its core signature (``i>i``) and the same as WIT text."""

    name: str
    signature: str
    wit: str


@dataclass(frozen=True, slots=True)
class BundledModule:
    """One module. `sha256` is its identity, in hex. `pure`: it imports nothing, so its calls are
    idempotent.
    """

    file: str
    sha256: str
    data: bytes
    exports: tuple[BundledExport, ...]
    pure: bool

    def export(self, name: str) -> BundledExport | None:
        """Return the exported function called `name`, or None."""
        return next((export for export in self.exports if export.name == name), None)


@dataclass(frozen=True, slots=True)
class BoundMethod:
    """A Java method and the export that it stands for. `class_name` has dots, `descriptor` is ``(I)I``.

    `signature` is the export's own, or one of `lawow.formats.signature` with that core type.
    """

    class_name: str
    method: str
    descriptor: str
    module: str
    export: str
    signature: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The app that the bundle was split from: its package name and the SHA-256 of the original APK, in
    hex.
    """

    package: str
    apk_sha256: str


@dataclass(frozen=True, slots=True)
class OffloadBundle:
    """Everything in one bundle, checked."""

    modules: tuple[BundledModule, ...]
    methods: tuple[BoundMethod, ...]
    origin: Origin

    def module(self, file: str) -> BundledModule:
        """Return the module called `file`. Raises `UsageError` with the names that exist."""
        for module in self.modules:
            if module.file == file:
                return module
        names = ", ".join(item.file for item in self.modules) or "none"
        raise UsageError(f"the bundle holds no module {file}; modules: {names}")

    def find(self, target: str) -> tuple[BundledModule, str]:
        """Return module and export of ``Class.method``. Raises as `find_method`."""
        found = self.find_method(target)
        return self.module(found.module), found.export

    def find_method(self, target: str) -> BoundMethod:
        """Return what ``Class.method`` is bound to; the class may be simple or fully qualified.

        Raises `UsageError` when nothing matches, or when several classes do (it lists them).
        """
        class_name, _, method = target.rpartition(".")
        named = [bound for bound in self.methods if bound.method == method]
        found = [bound for bound in named if _is_called(bound.class_name, class_name)]
        if not found:
            known = ", ".join(sorted({f"{bound.class_name}.{bound.method}" for bound in self.methods}))
            raise UsageError(f"the bundle holds no method {target}; methods: {known or 'none'}")
        if len({(bound.module, bound.export) for bound in found}) > 1:
            classes = " and ".join(sorted({bound.class_name for bound in found}))
            raise UsageError(f"{target} is ambiguous: {classes} both have it; give the full class name")
        return found[0]


def bundled_module(file: str, data: bytes) -> BundledModule:
    """Return the module with the interface read from `data`.

    Raises `FormatError` for an unsafe name, a component or a malformed module, `LimitExceeded` beyond
    `MODULE`.
    """
    if not FILE_NAME.fullmatch(file):
        raise FormatError(
            "unsafe module name", found=repr(file), allowed="letters, digits, '_.+-', ending in .wasm"
        )
    try:
        info = inspect_module(data, limits=MODULE)
        if info.is_component:
            raise FormatError("is a component; a bundle holds core modules")
    except FormatError as error:
        raise error.within(file) from None
    exports = [
        BundledExport(export.name, signature_letters(export.type), wit_of(export.name, export.type))
        for export in info.callable_exports
        if export.type is not None
    ]
    digest = hashlib.sha256(data).hexdigest()
    return BundledModule(file, digest, data, tuple(exports), pure=not info.imports)


def build_bundle(modules: Mapping[str, bytes], methods: Iterable[BoundMethod], origin: Origin) -> bytes:
    """Return the bundle's JAR; the same input gives the same bytes.

    `modules` maps file names to contents. Raises `FormatError` as `bundled_module` and when a method names
    a module or an export that is not there.
    """
    bundled = [bundled_module(file, modules[file]) for file in sorted(modules)]
    bound = tuple(sorted(set(methods), key=lambda item: (item.class_name, item.method, item.descriptor)))
    _require_bound(bundled, bound)
    document = {
        "schema": SCHEMA,
        "origin": {"package": origin.package, "apk_sha256": origin.apk_sha256},
        "modules": [_module_document(module) for module in bundled],
        "classes": _class_documents(bound),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    contents = [(JAR_MANIFEST, JAR_MANIFEST_TEXT), (MANIFEST, text.encode())]
    contents += [(MODULES + module.file, module.data) for module in bundled]
    return write_zip([make_entry(name, content) for name, content in contents], align=False)


def read_bundle(data: bytes) -> OffloadBundle:
    """Return the bundle in `data`, with every promise of its manifest checked against its contents.

    Raises `FormatError` for anything that is not exactly what `build_bundle` writes, `LimitExceeded` beyond
    the limits for archives and modules.
    """
    archive = read_zip(data)
    document = _parse_manifest(_content(archive, MANIFEST, ARCHIVE.manifest_bytes))
    schema = _get(document, "schema", int, MANIFEST)
    if schema != SCHEMA:
        raise FormatError(
            "unknown schema of the bundle; update lawow", found=schema, allowed=SCHEMA, file=MANIFEST
        )
    records = _objects(document, "modules", MANIFEST)
    if len(records) > ARCHIVE.bundle_modules:
        raise LimitExceeded("bundle_modules", len(records), ARCHIVE.bundle_modules)
    _require_entries(archive, records)
    require_total(archive.entries, "loaded_bytes", ARCHIVE.loaded_bytes, subject="the bundle's entries")
    modules = tuple(_read_module(archive, record) for record in records)
    methods = tuple(_read_methods(document))
    _require_bound(modules, methods)
    return OffloadBundle(modules, methods, _read_origin(document))


def _is_called(class_name: str, asked: str) -> bool:
    """Tell whether `asked` is the full name, or the part behind the last dot or dollar sign."""
    return asked in (class_name, class_name.rpartition(".")[2], re.split(r"[.$]", class_name)[-1])


def _module_document(module: BundledModule) -> dict[str, object]:
    return {
        "file": module.file,
        "sha256": module.sha256,
        "bytes": len(module.data),
        "pure": module.pure,
        "exports": [_export_document(export) for export in module.exports],
    }


def _export_document(export: BundledExport) -> dict[str, object]:
    return {"name": export.name, "signature": export.signature, "wit": export.wit}


def _class_documents(methods: Iterable[BoundMethod]) -> list[dict[str, object]]:
    """Group methods by class and module, in the order given."""
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for bound in methods:
        record: dict[str, object] = {
            "name": bound.method,
            "descriptor": bound.descriptor,
            "export": bound.export,
            "signature": bound.signature,
        }
        groups.setdefault((bound.class_name, bound.module), []).append(record)
    return [{"name": name, "module": file, "methods": found} for (name, file), found in groups.items()]


def _require_bound(modules: Iterable[BundledModule], methods: Iterable[BoundMethod]) -> None:
    """Check that each method's module and export exist, with the signature it names, and none is doubled."""
    by_file = {module.file: module for module in modules}
    seen: set[tuple[str, str, str]] = set()
    for bound in methods:
        label = f"{bound.class_name}.{bound.method}{bound.descriptor}"
        key = (bound.class_name, bound.method, bound.descriptor)
        if key in seen:
            raise FormatError(f"{label} is listed twice", file=MANIFEST)
        seen.add(key)
        module = by_file.get(bound.module)
        if module is None:
            raise FormatError(
                f"{label} is bound to a module that is missing", found=bound.module, file=MANIFEST
            )
        _require_export(module, bound, label)


def _require_export(module: BundledModule, bound: BoundMethod, label: str) -> None:
    """Check that the module exports what a method is bound to, and what its strings and lists need."""
    export = module.export(bound.export)
    found = export.signature if export else "no such function"
    if found == bound.signature:
        return
    try:
        signature = parse_typed_signature(bound.signature)
    except FormatError as error:
        raise error.within(f"{MANIFEST}: {label}") from None
    if found != signature_letters(signature.flat):
        message = f"{label}: export {bound.export} of {bound.module} has another signature"
        raise FormatError(message, found=found, allowed=bound.signature, file=MANIFEST)
    allocator = module.export(ALLOCATOR)
    needs_allocator = not all(isinstance(item, ScalarType) for item in signature.params)
    if needs_allocator and (allocator is None or allocator.signature != ALLOCATOR_SIGNATURE):
        found = allocator.signature if allocator else "no such function"
        message = f"{label}: strings and lists need the export {ALLOCATOR} of {bound.module}"
        raise FormatError(message, found=found, allowed=ALLOCATOR_SIGNATURE, file=MANIFEST)


def _content(archive: ZipArchive, name: str, limit_bytes: int) -> bytes:
    entry = archive.by_name.get(name.encode())
    if entry is None:
        raise FormatError(f"{name} is missing; this is not an offload bundle")
    return entry.read(limit_bytes)


def _parse_manifest(content: bytes) -> dict[str, object]:
    """Parse JSON that may be hostile: refuses doubled keys, deep nesting, invalid UTF-8 and non-objects."""
    try:
        document: object = json.loads(content.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not valid JSON: {error}", file=MANIFEST) from None
    if not isinstance(document, dict):
        raise FormatError("not a JSON object", found=type(document).__name__, file=MANIFEST)
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key occurs twice in one object")
    return dict(pairs)


def _get(record: Mapping[str, object], key: str, kind: type[Field], where: str) -> Field:
    """Return ``record[key]``, which must exist and be exactly of type `kind`."""
    value = record.get(key)
    if type(value) is not kind:
        found = type(value).__name__ if key in record else "nothing"
        raise FormatError(f"{key!r} must be a {kind.__name__}", found=found, file=where)
    return value


def _objects(record: Mapping[str, object], key: str, where: str) -> list[dict[str, object]]:
    """Return the list ``record[key]``, all of whose items must be objects."""
    items: list[dict[str, object]] = []
    for index, item in enumerate(_get(record, key, list, where)):
        if not isinstance(item, dict):
            raise FormatError("must be an object", structure=key, index=index, file=where)
        items.append(item)
    return items


def _require_entries(archive: ZipArchive, records: Iterable[Mapping[str, object]]) -> None:
    """Check that the archive holds the two manifests and the listed modules, and nothing else."""
    expected = {JAR_MANIFEST.encode(), MANIFEST.encode()}
    for record in records:
        file = _get(record, "file", str, MANIFEST)
        if not FILE_NAME.fullmatch(file):
            raise FormatError("unsafe module name", found=repr(file), file=MANIFEST)
        name = (MODULES + file).encode()
        if name in expected:
            raise FormatError("a module is listed twice", found=file, file=MANIFEST)
        expected.add(name)
    names = {entry.name for entry in archive.entries if not entry.name.endswith(b"/")}
    if names != expected:
        missing, extra = sorted(expected - names), sorted(names - expected)
        found = f"missing {_shown(missing)}" if missing else f"unexpected {_shown(extra)}"
        raise FormatError("the entries of the bundle are not those of its manifest", found=found)


def _shown(names: list[bytes]) -> str:
    listed = ", ".join(repr(name.decode(errors="replace")) for name in names[:3])
    return f"{listed} and {len(names) - 3} more" if len(names) > 3 else listed


def _read_module(archive: ZipArchive, record: Mapping[str, object]) -> BundledModule:
    """Read one module; its length, digest, purity and exports must be what the manifest says."""
    file = _get(record, "file", str, MANIFEST)
    module = bundled_module(file, _content(archive, MODULES + file, MODULE.module_bytes))
    promised: list[tuple[str, object, object]] = [
        ("bytes", _get(record, "bytes", int, MANIFEST), len(module.data)),
        ("sha256", _get(record, "sha256", str, MANIFEST), module.sha256),
        ("pure", _get(record, "pure", bool, MANIFEST), module.pure),
    ]
    for key, said, true in promised:
        if said != true:
            raise FormatError(f"{key} is not what the manifest says", found=true, allowed=said, file=file)
    exports = _objects(record, "exports", MANIFEST)
    if exports != [_export_document(export) for export in module.exports]:
        raise FormatError("the interface in the manifest is not the module's", file=file)
    return module


def _read_methods(document: Mapping[str, object]) -> Iterable[BoundMethod]:
    for record in _objects(document, "classes", MANIFEST):
        for method in _objects(record, "methods", MANIFEST):
            yield BoundMethod(
                class_name=_get(record, "name", str, MANIFEST),
                method=_get(method, "name", str, MANIFEST),
                descriptor=_get(method, "descriptor", str, MANIFEST),
                module=_get(record, "module", str, MANIFEST),
                export=_get(method, "export", str, MANIFEST),
                signature=_get(method, "signature", str, MANIFEST),
            )


def _read_origin(document: Mapping[str, object]) -> Origin:
    record = _get(document, "origin", dict, MANIFEST)
    digest = _get(record, "apk_sha256", str, MANIFEST)
    if not DIGEST.fullmatch(digest):
        raise FormatError("apk_sha256 is not a SHA-256 in hex", found=repr(digest[:80]), file=MANIFEST)
    return Origin(_get(record, "package", str, MANIFEST), digest)
