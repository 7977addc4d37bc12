"""Which module a class belongs to, and which of its methods that module implements.

By convention `FibonacciWasm` belongs to `assets/**/fibonacci.wasm`; the user may say otherwise. A method
belongs to the export of the same name (or the one that its annotation `dev.lawow.Offload` names), if its
types are the export's: int, boolean, byte, short and char are i32 (as in the C and Rust that the module
was made from: arguments are widened as Java does, results cut to their type, and boolean is "not 0"),
long is i64, float is f32, double is f64, boxed types are what they box, ``Object[]`` takes several results.
A String and an array of primitives are an address and a length (`lawow.formats.signature`): contents of
an array come back after the call. A name that fits with types that do not is refused, because half of such
a class would silently stay on the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.bundle import BoundMethod, BundledExport, BundledModule, bundled_module
from lawow.formats.dex.symbols import Annotation, Proto
from lawow.formats.dex.views import ClassView, MethodView
from lawow.formats.interface import parse_signature, signature_letters
from lawow.formats.signature import parse_typed_signature
from lawow.formats.wasm import inspect_module
from lawow.formats.zip import ZipArchive, ZipEntry
from lawow.limits import MODULE
from lawow.refactor.classify import java_name, matches_name, module_file_of
from lawow.refactor.instances import require_own_state
from lawow.refactor.names import PLAIN_NAMES, Names
from lawow.refactor.rules import OFFLOAD

__all__ = [
    "MULTI_VALUE",
    "ModuleBinding",
    "ModuleChoice",
    "bind_methods",
    "expected_module",
    "find_module",
    "signature_of",
]

SCALARS = {"Z": "i", "B": "i", "S": "i", "C": "i", "I": "i", "J": "I", "F": "f", "D": "F"}
ELEMENTS = {"Z": "z", "B": "b", "C": "c", "S": "s", "I": "i", "J": "I", "F": "f", "D": "F"}
BOXED = {
    "Ljava/lang/Boolean;": "i",
    "Ljava/lang/Byte;": "i",
    "Ljava/lang/Short;": "i",
    "Ljava/lang/Character;": "i",
    "Ljava/lang/Integer;": "i",
    "Ljava/lang/Long;": "I",
    "Ljava/lang/Float;": "f",
    "Ljava/lang/Double;": "F",
}
RESULTS = {**SCALARS, **BOXED, **{f"[{kind}": f"[{letter}" for kind, letter in ELEMENTS.items()}}
RESULTS |= {"Ljava/lang/String;": "S", "V": ""}
PARAMETERS = {kind: f"&{text}" if kind[0] == "[" else text for kind, text in RESULTS.items() if kind != "V"}
MULTI_VALUE = "[Ljava/lang/Object;"
ALLOCATOR, ALLOCATOR_TYPE = "cabi_realloc", "iiii>i"


@dataclass(frozen=True, slots=True)
class ModuleChoice:
    """The user's ``--module CLASS=FILE``: `data` is the file's content, or None for a name inside the APK."""

    class_name: str
    file: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class ModuleBinding:
    """The module of a class, and the entries of the APK that hold exactly its bytes."""

    module: BundledModule
    entries: tuple[str, ...]


def signature_of(proto: Proto, core: str) -> str | None:
    """Return a method's types (``&[iS>i``) if they are those of an export of type `core`, or else None."""
    text = _signature(proto, core)
    return text if text is not None and _flat(text) == core else None


def _signature(proto: Proto, core: str) -> str | None:
    """Return a method's types as a signature; None if it has types that no export has."""
    results = RESULTS.get(proto.return_type)
    if proto.return_type == MULTI_VALUE and len(core.partition(">")[2]) > 1:
        results = core.partition(">")[2]
    parameters = [PARAMETERS.get(kind) for kind in proto.parameters]
    if results is None or None in parameters:
        return None
    return f"{''.join(map(str, parameters))}>{results}"


def _flat(signature: str) -> str:
    """Return the type of the export behind a signature."""
    return signature_letters(parse_typed_signature(signature).flat)


def find_module(
    view: ClassView, archive: ZipArchive, choices: Sequence[ModuleChoice], names: Names = PLAIN_NAMES
) -> ModuleBinding | None:
    """Return the module of a class: the user's choice, else its annotation's, else the convention's.

    Choices and convention speak of original names. Returns None if there is none of them.

    Raises `UsageError` for a choice that names nothing, `Refused` when the convention finds different
    modules, `FormatError` when the module is malformed.
    """
    class_name = names.of_class(view.descriptor)
    chosen = [item for item in choices if matches_name(class_name, item.class_name)]
    if len({(item.file, item.data) for item in chosen}) > 1:
        raise UsageError(f"--module names {len(chosen)} modules for {class_name}; a class has one")
    if chosen:
        return _chosen_module(chosen[0], archive)
    file, digest = expected_module(view, names)
    found = [entry for entry in _modules_in(archive) if entry.path.rpartition("/")[2] == file]
    if not found:
        return None
    binding = _one_module(found, f"{class_name} has no single module")
    if digest not in ("", binding.module.sha256):
        raise Refused(
            f"{class_name} was made for another {file}: its SHA-256 is {digest}, and that of"
            f" {binding.entries[0]} is {binding.module.sha256}; run lawow pack and build the app again"
        )
    return binding


def expected_module(view: ClassView, names: Names = PLAIN_NAMES) -> tuple[str, str]:
    """Return the file name that a class' module has by annotation or convention, and the digest or ""."""
    annotated, _, digest = _offload(view.annotations).get("module", "").partition("@")
    return annotated or module_file_of(names.of_class(view.descriptor)), digest


def bind_methods(view: ClassView, module: BundledModule, names: Names = PLAIN_NAMES) -> list[BoundMethod]:
    """Return the methods of the class that the module implements, under their names in the dex file.

    Raises `Refused` when a name fits and the types do not, when two overloads fit, or when nothing fits.
    """
    bound: list[BoundMethod] = []
    for export in module.exports:
        named = [method for method in view.methods if _export_of(method, names) == export.name]
        if not named:
            continue
        fitting = [
            (method, signature)
            for method in named
            if (signature := _signature_for(method, export)) is not None
        ]
        if len(fitting) != 1:
            methods = [method for method, _ in fitting] or named
            raise Refused(_misfit(view, module, export, methods, fitting=bool(fitting)))
        bound.append(_bind(view, *fitting[0], module, export))
    if not bound:
        raise Refused(_nothing_fits(view, module, names))
    require_own_state(view, bound, module.file)
    return bound


def _signature_for(method: MethodView, export: BundledExport) -> str | None:
    """Return the signature by which a method calls an export, or None if it cannot.

    Java's types leave open whether the contents of an array come back. They do, unless the annotation says
    that the guest takes the list for its own.
    """
    signature = signature_of(method.proto, export.signature)
    annotated = _offload(method.annotations).get("signature", "")
    if signature is not None and annotated.replace("&", "") == signature.replace("&", ""):
        return annotated
    return signature


def _bind(
    view: ClassView, method: MethodView, signature: str, module: BundledModule, export: BundledExport
) -> BoundMethod:
    """Return the binding. Raises `Refused` when an export cannot be this method."""
    label = f"{java_name(view.descriptor)}.{method.name}{method.descriptor}"
    if method.is_abstract:
        raise Refused(f"{label} is abstract; a method that {module.file} implements needs a body, or native")
    if signature != export.signature and (missing := _missing_for_memory(module, signature)):
        raise Refused(
            f"{label} has a String or an array, so the export {export.wit} of {module.file} takes an address"
            f" and a length, and the module has to export {missing}; build it with them"
        )
    return BoundMethod(
        class_name=java_name(view.descriptor),
        method=method.name,
        descriptor=method.descriptor,
        module=module.file,
        export=export.name,
        signature=signature,
    )


def _missing_for_memory(module: BundledModule, signature: str) -> str:
    """Return what a module lacks for strings and lists; empty if it has everything."""
    has_memory = any(
        item.name == "memory" and item.kind == "memory" for item in inspect_module(module.data).exports
    )
    if not has_memory:
        return "memory"
    takes_any = any(letter in signature.partition(">")[0] for letter in "S[")
    allocator = module.export(ALLOCATOR)
    if takes_any and (allocator is None or allocator.signature != ALLOCATOR_TYPE):
        return f"{ALLOCATOR}: func(p0: s32, p1: s32, p2: s32, p3: s32) -> s32"
    return ""


def _export_of(method: MethodView, names: Names) -> str:
    """Return the export that a method stands for: that of its annotation, or that of its original name."""
    return _offload(method.annotations).get("export") or names.of_method(method)


def _offload(annotations: Iterable[Annotation]) -> dict[str, str]:
    """Return the elements of dev.lawow.Offload, with which `lawow pack` marks what it makes."""
    return {
        name: value.value
        for item in annotations
        if item.type == OFFLOAD
        for name, value in item.annotation.elements
        if isinstance(value.value, str)
    }


def _modules_in(archive: ZipArchive) -> Iterable[ZipEntry]:
    """Return the archive's WebAssembly assets."""
    return (
        entry
        for entry in archive.entries
        if entry.name.startswith(b"assets/") and entry.name.endswith(b".wasm")
    )


def _chosen_module(choice: ModuleChoice, archive: ZipArchive) -> ModuleBinding:
    if choice.data is not None:
        module = bundled_module(choice.file, choice.data)
        return ModuleBinding(module, tuple(_copies(module, archive)))
    found = [entry for entry in _modules_in(archive) if _is_named(entry.path, choice.file)]
    if not found:
        held = ", ".join(entry.path for entry in _modules_in(archive)) or "none"
        raise UsageError(f"{choice.file} is neither a file nor a module in the APK; modules in it: {held}")
    return _one_module(found, f"--module {choice.class_name}={choice.file} is ambiguous")


def _is_named(path: str, asked: str) -> bool:
    return path == asked or path.endswith(f"/{asked}")


def _one_module(entries: Sequence[ZipEntry], complaint: str) -> ModuleBinding:
    """Return the module that all `entries` hold. Raises `Refused` if their contents differ."""
    contents = {entry.path: entry.read(MODULE.module_bytes) for entry in entries}
    if len(set(contents.values())) > 1:
        paths = " and ".join(contents)
        raise Refused(f"{complaint}: {paths} differ; choose one with --module CLASS=FILE")
    path, content = next(iter(contents.items()))
    try:
        module = bundled_module(path.rpartition("/")[2], content)
    except FormatError as error:
        error.file = ""  # the entry's path says more than the module's name
        raise error.within(path) from None
    return ModuleBinding(module, tuple(contents))


def _copies(module: BundledModule, archive: ZipArchive) -> Iterable[str]:
    """Yield the assets that hold the same bytes as a module that came from elsewhere."""
    for entry in _modules_in(archive):
        same_size = entry.uncompressed_bytes == len(module.data)
        if same_size and hashlib.sha256(entry.read(MODULE.module_bytes)).hexdigest() == module.sha256:
            yield entry.path


def _misfit(
    view: ClassView,
    module: BundledModule,
    export: BundledExport,
    methods: Sequence[MethodView],
    *,
    fitting: bool,
) -> str:
    label = f"{java_name(view.descriptor)}.{export.name}"
    found = " and ".join(f"{method.name}{method.descriptor}" for method in methods)
    if fitting:
        return f"{label}: {found} both fit the export {export.wit} of {module.file}; rename one of them"
    return (
        f"{label}: the types of {found} are not those of the export {export.wit} of {module.file};"
        f" it is {parse_signature(export.signature)}, and {' and '.join(_as_wasm(item) for item in methods)}"
    )


def _as_wasm(method: MethodView) -> str:
    """Return what a method's types would be in WebAssembly, or which type has none."""
    for kind in (*method.proto.parameters, method.proto.return_type):
        if kind == MULTI_VALUE:
            return f"{method.name}{method.descriptor} has several results"
        if kind not in RESULTS:
            return f"{kind} of {method.name}{method.descriptor} has no counterpart"
    signature = _signature(method.proto, "")
    return f"{method.name}{method.descriptor} is {parse_signature(_flat(signature or '>'))}"


def _nothing_fits(view: ClassView, module: BundledModule, names: Names) -> str:
    methods = sorted({names.of_method(method) for method in view.methods if not method.is_initializer})
    exports = sorted(export.name for export in module.exports)
    return (
        f"{names.shown(view.descriptor)}: no method has the name of an export of {module.file};"
        f" methods: {', '.join(methods[:20]) or 'none'}; exports: {', '.join(exports[:20]) or 'none'}"
    )
