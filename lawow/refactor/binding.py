"""Which module a class belongs to, and which of its methods that module implements.

By convention `FibonacciWasm` belongs to `assets/**/fibonacci.wasm`; the user may say otherwise. A method
belongs to the export of the same name (or the one that its annotation `dev.lawow.Offload` names), if its
types are the export's: int, boolean, byte, short and char are i32 (as in the C and Rust that the module
was made from: arguments are widened as Java does, results cut to their type, and boolean is "not 0"),
long is i64, float is f32, double is f64, ``Object[]`` takes several results. A name that fits with types
that do not is refused, because half of such a class would silently stay on the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.bundle import BoundMethod, BundledExport, BundledModule, bundled_module
from lawow.formats.dex.symbols import Annotation, Proto
from lawow.formats.dex.views import ClassView, MethodView
from lawow.formats.zip import ZipArchive, ZipEntry
from lawow.limits import MODULE
from lawow.refactor.classify import java_name, matches_name, module_file_of
from lawow.refactor.names import PLAIN_NAMES, Names
from lawow.refactor.rules import OFFLOAD

__all__ = [
    "MULTI_VALUE",
    "ModuleBinding",
    "ModuleChoice",
    "bind_methods",
    "expected_module",
    "find_module",
    "fits",
]

CORE_LETTERS = {"Z": "i", "B": "i", "S": "i", "C": "i", "I": "i", "J": "I", "F": "f", "D": "F"}
CORE_NAMES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
MULTI_VALUE = "[Ljava/lang/Object;"


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


def fits(proto: Proto, signature: str) -> bool:
    """Tell whether a method's types are those of an export's signature (``iI>F``)."""
    parameters, _, results = signature.partition(">")
    if "".join(CORE_LETTERS.get(kind, "?") for kind in proto.parameters) != parameters:
        return False
    if proto.return_type == MULTI_VALUE:
        return len(results) > 1
    return results == ("" if proto.return_type == "V" else CORE_LETTERS.get(proto.return_type, "?"))


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
        fitting = [method for method in named if fits(method.proto, export.signature)]
        if len(fitting) != 1:
            raise Refused(_misfit(view, module, export, fitting or named, fitting=bool(fitting)))
        _require_movable(view, fitting[0], module)
        bound.append(
            BoundMethod(
                class_name=java_name(view.descriptor),
                method=fitting[0].name,
                descriptor=fitting[0].descriptor,
                module=module.file,
                export=export.name,
                signature=export.signature,
            )
        )
    if not bound:
        raise Refused(_nothing_fits(view, module, names))
    return bound


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


def _require_movable(view: ClassView, method: MethodView, module: BundledModule) -> None:
    """Refuse methods whose meaning an export cannot have."""
    label = f"{java_name(view.descriptor)}.{method.name}{method.descriptor}"
    if method.is_abstract:
        raise Refused(f"{label} is abstract; a method that {module.file} implements needs a body, or native")
    if method.is_static:
        return
    stateful = [field.name for field in view.fields if not field.is_static]
    if stateful or view.superclass != "Ljava/lang/Object;":
        superclass = java_name(view.superclass or "")
        state = f"the field {stateful[0]}" if stateful else f"the superclass {superclass}"
        raise Refused(
            f"{label} is an instance method and its class has {state}, which {module.file} cannot see;"
            " make the method static, or exclude the class from --rule"
        )


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
        f" it takes ({_core(export.signature, 0)}) and returns ({_core(export.signature, 2)})"
    )


def _core(signature: str, part: int) -> str:
    return ", ".join(CORE_NAMES[letter] for letter in signature.partition(">")[part])


def _nothing_fits(view: ClassView, module: BundledModule, names: Names) -> str:
    methods = sorted({names.of_method(method) for method in view.methods if not method.is_initializer})
    exports = sorted(export.name for export in module.exports)
    return (
        f"{names.shown(view.descriptor)}: no method has the name of an export of {module.file};"
        f" methods: {', '.join(methods[:20]) or 'none'}; exports: {', '.join(exports[:20]) or 'none'}"
    )
