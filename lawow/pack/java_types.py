"""The Java types of a module's functions: by the interface that the module carries, else by its core types.

Numbers keep their Java type where Java has one (``s16`` is short); unsigned ones below 32 bits are ints,
since a byte or a short would change their value. Strings and lists of numbers are String and arrays of
primitives. A list is the guest's own copy, as in WIT: what the guest writes into it does not come back.
Refused: an interface that contradicts the module, or that needs an allocator or a memory which the module
does not export.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.bundle import BundledExport, BundledModule
from lawow.formats.interface import is_typed, kebab_name, parse_signature, signature_letters
from lawow.formats.signature import parse_typed_signature
from lawow.formats.wasm import WIT_SECTION, inspect_module
from lawow.formats.wit import (
    Field,
    Function,
    ListOf,
    Primitive,
    Tuple,
    WitType,
    World,
    parse_wit,
    signature_of,
)

__all__ = ["JavaType", "TypedExport", "java_type", "typed_exports"]

_CORE = {"i32": "s32", "i64": "s64", "f32": "f32", "f64": "f64"}
_ALLOCATOR, _ALLOCATOR_SIGNATURE = "cabi_realloc", "iiii>i"


@dataclass(frozen=True, slots=True)
class JavaType:
    """A type, and how it passes `dev.lawow.Target.call`: patterns with ``{}`` for a parameter or the call."""

    name: str
    give: str
    take: str

    @property
    def slots(self) -> int:
        """How many of a method's 255 parameter slots a value takes."""
        return 2 if self.name in ("long", "double") else 1

    @property
    def descriptor(self) -> str:
        """The type as class files and dex files write it: ``[B`` for ``byte[]``."""
        return "[" * self.name.count("[]") + _DESCRIPTORS[self.name.removesuffix("[]")]


_DESCRIPTORS = {
    "boolean": "Z",
    "byte": "B",
    "char": "C",
    "double": "D",
    "float": "F",
    "int": "I",
    "long": "J",
    "short": "S",
    "void": "V",
    "Object": "Ljava/lang/Object;",
    "String": "Ljava/lang/String;",
}
_BOOLEAN = JavaType("boolean", "{} ? 1 : 0", "(Integer) {} != 0")
_INT = JavaType("int", "{}", "(Integer) {}")
_SCALARS = {
    "bool": _BOOLEAN,
    "s8": JavaType("byte", "(int) {}", "((Integer) {}).byteValue()"),
    "s16": JavaType("short", "(int) {}", "((Integer) {}).shortValue()"),
    **dict.fromkeys(("s32", "u8", "u16", "u32", "char"), _INT),
    **dict.fromkeys(("s64", "u64"), JavaType("long", "{}", "(Long) {}")),
    "f32": JavaType("float", "{}", "(Float) {}"),
    "f64": JavaType("double", "{}", "(Double) {}"),
    "string": JavaType("String", "{}", "(String) {}"),
}
_ELEMENTS = {
    "bool": "boolean",
    **dict.fromkeys(("s8", "u8"), "byte"),
    "u16": "char",
    "s16": "short",
    **dict.fromkeys(("s32", "u32"), "int"),
    **dict.fromkeys(("s64", "u64"), "long"),
    "f32": "float",
    "f64": "double",
}
_VOID = JavaType("void", "", "{}")
_SEVERAL = JavaType("Object[]", "", "(Object[]) {}")


@dataclass(frozen=True, slots=True)
class TypedExport:
    """An export with the interface by which Java calls it, and its signature in the stub's letters.

    `refusal` says why there is no such signature; empty if there is one.
    """

    export: BundledExport
    function: Function
    signature: str
    refusal: str = ""


def java_type(item: WitType | None) -> JavaType:
    """Return the Java type of a parameter or result whose signature exists (`signature_of`)."""
    match item:
        case None:
            return _VOID
        case Primitive(name):
            return _SCALARS[name]
        case ListOf(Primitive(name)):
            array = f"{_ELEMENTS[name]}[]"
            return JavaType(array, "{}", f"({array}) {{}}")
        case Tuple(()):
            return _VOID
        case Tuple((single,)):  # one result of a core module, however it is written
            return java_type(single)
    return _SEVERAL


def typed_exports(module: BundledModule, exports: Iterable[BundledExport]) -> list[TypedExport]:
    """Return some functions of a module with their types. Raises `FormatError` for an interface that is none
    or not theirs.
    """
    world = _world(module)
    found = [_typed(module, export, world) for export in exports]
    _require_memory(module, found)
    return found


def _world(module: BundledModule) -> World | None:
    section = inspect_module(module.data).interface
    if section is None:
        return None
    try:
        return parse_wit(module.data[section.offset : section.offset + section.size_bytes].decode())
    except FormatError as error:
        raise error.within(f"{module.file}: section {WIT_SECTION}") from None
    except UnicodeDecodeError:
        raise FormatError("is not UTF-8", file=f"{module.file}: section {WIT_SECTION}") from None


def _typed(module: BundledModule, export: BundledExport, world: World | None) -> TypedExport:
    function = world.find(kebab_name(export.name)) if world else None
    if function is None:
        return TypedExport(export, _core_function(export), export.signature)
    try:
        signature = signature_of(function)
    except FormatError as error:
        return TypedExport(export, function, "", refusal=f"{error.found} has no Java type")
    if signature_letters(parse_typed_signature(signature).flat) != export.signature:
        raise FormatError(
            f"the WIT of export {export.name} is not the export's type; build the module again",
            found=signature,
            allowed=f"a signature with the core type {export.signature}",
            file=f"{module.file}: section {WIT_SECTION}",
        )
    return TypedExport(export, function, signature)


def _core_function(export: BundledExport) -> Function:
    kind = parse_signature(export.signature)
    params = tuple(Field(f"p{index}", Primitive(_CORE[name])) for index, name in enumerate(kind.params))
    results = tuple(Primitive(_CORE[name]) for name in kind.results)
    result = None if not results else results[0] if len(results) == 1 else Tuple(results)
    return Function(kebab_name(export.name), params, result)


def _require_memory(module: BundledModule, found: list[TypedExport]) -> None:
    typed = [item for item in found if is_typed(item.signature)]
    if not typed:
        return
    label, exports = typed[0].export.name, inspect_module(module.data).exports
    if not any(item.name == "memory" and item.kind == "memory" for item in exports):
        raise FormatError(f"{label}: strings and lists need the exported memory 'memory'", file=module.file)
    takes = any(is_typed(item.signature.partition(">")[0]) for item in typed)
    allocator = module.export(_ALLOCATOR)
    if takes and (allocator is None or allocator.signature != _ALLOCATOR_SIGNATURE):
        raise FormatError(
            f"{label}: strings and lists need the export {_ALLOCATOR}",
            found=allocator.signature if allocator else "no such function",
            allowed=_ALLOCATOR_SIGNATURE,
            file=module.file,
        )
