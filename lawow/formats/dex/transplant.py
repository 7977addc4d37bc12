"""Copies a class out of a dex file as symbols, so that it can be built into another one.

Everything comes along: constructors, static initialiser, annotations (those of dalvik.annotation.* too),
static values, catch clauses, switch tables, debug information. Instructions are copied unit by unit, only
their indexes become symbols. What has no symbol is refused: call sites (invoke-custom) and method
handles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lawow.errors import FormatError, Refused
from lawow.formats.dex.code import IndexPlaces, find_indexes
from lawow.formats.dex.opcodes import OPCODES, IndexKind
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.source import Body, ClassSource, DebugPiece, FieldSource, Fixup, MethodSource, Symbol
from lawow.formats.dex.spec import ItemType, ValueType
from lawow.formats.dex.symbols import Annotation, EncodedAnnotation, EncodedValue, MethodRef
from lawow.formats.dex.views import ClassView, FieldView, MethodView
from lawow.formats.dex.walk import Place, walk_debug_info

__all__ = ["copy_body", "copy_method", "transplant_class"]

_MNEMONICS = {opcode.value: opcode.name for opcode in OPCODES.values()}
_UNMOVABLE = {IndexKind.CALL_SITE: "a call site", IndexKind.METHOD_HANDLE: "a method handle"}


def transplant_class(
    dex: Dex,
    descriptor: str,
    replace_method: Callable[[MethodView], MethodSource | None] | None = None,
    *,
    redirect: Mapping[MethodRef, MethodRef] | None = None,
) -> ClassSource:
    """Return a symbolic copy of a class.

    `replace_method` is asked for every method. What it returns stands in for the method, with the original's
    annotations where it brings none; None copies the method. `redirect` exchanges methods that copied code
    calls; both must have the same descriptor.

    Raises `UsageError` for an unknown class and `Refused`, naming class, method and instruction, for code
    that can't be moved.
    """
    view = dex.class_def(descriptor)
    for name, value in _all_values(view):
        _require_movable(view, name, value)
    return ClassSource(
        descriptor=descriptor,
        access_flags=view.access_flags,
        superclass=view.superclass,
        interfaces=view.interfaces,
        fields=_copy_fields(view),
        methods=tuple(_copy_or_replace(method, replace_method, redirect or {}) for method in view.methods),
        source_file=view.source_file,
        annotations=view.annotations,
    )


def _copy_fields(view: ClassView) -> tuple[FieldSource, ...]:
    values = view.static_values
    static = [field for field in view.fields if field.is_static]
    if len(values) > len(static):
        raise FormatError(
            f"{view.descriptor} has more static values than static fields",
            structure="encoded_array_item",
            found=len(values),
            allowed=len(static),
        )
    value_of = dict(zip((field.index for field in static), values, strict=False))
    return tuple(_copy_field(field, value_of.get(field.index)) for field in view.fields)


def _copy_field(field: FieldView, value: EncodedValue | None) -> FieldSource:
    return FieldSource(
        field.name, field.type, field.access_flags, value if field.is_static else None, field.annotations
    )


def _copy_or_replace(
    method: MethodView,
    replace_method: Callable[[MethodView], MethodSource | None] | None,
    redirect: Mapping[MethodRef, MethodRef],
) -> MethodSource:
    replacement = replace_method(method) if replace_method else None
    if replacement is None:
        return copy_method(method, redirect)
    return replace(
        replacement,
        annotations=replacement.annotations or method.annotations,
        parameter_annotations=replacement.parameter_annotations or method.parameter_annotations,
    )


def copy_method(method: MethodView, redirect: Mapping[MethodRef, MethodRef] | None = None) -> MethodSource:
    """Return a symbolic copy of one method."""
    return MethodSource(
        name=method.name,
        descriptor=method.descriptor,
        access_flags=method.access_flags,
        code=copy_body(method, redirect),
        annotations=method.annotations,
        parameter_annotations=method.parameter_annotations,
    )


def copy_body(method: MethodView, redirect: Mapping[MethodRef, MethodRef] | None = None) -> Body | None:
    """Return a symbolic copy of a method's code; None without code."""
    code = method.code
    if code is None:
        return None
    dex = method.owner.dex
    units = dex.code_units(code)
    places = IndexPlaces()
    find_indexes(units, 0, len(units), places)
    fixups = [
        Fixup(at, IndexKind.STRING, dex.string(units[at] | units[at + 1] << 16), True) for at in places.jumbo
    ]
    for kind, positions in zip(IndexKind, places.by_kind, strict=True):
        if positions and kind in _UNMOVABLE:
            at = positions[0] - 1
            instruction = _MNEMONICS[units[at] & 0xFF]
            raise Refused(
                f"{method.ref}: {instruction} at {at:#x} uses {_UNMOVABLE[kind]}, which can't be moved"
            )
        fixups += [Fixup(at, kind, dex.symbol(kind, units[at])) for at in positions]
    if redirect:
        fixups = [_redirected(fixup, redirect) for fixup in fixups]
    return Body(
        registers_size=code.registers_size,
        ins_size=code.ins_size,
        outs_size=code.outs_size,
        units=units,
        fixups=tuple(fixups),
        tries=method.tries,
        debug_info=_copy_debug_info(dex, code.debug_info_off),
    )


def _redirected(fixup: Fixup, redirect: Mapping[MethodRef, MethodRef]) -> Fixup:
    symbol: Symbol = fixup.symbol
    if isinstance(symbol, MethodRef):
        return fixup._replace(symbol=redirect.get(symbol, symbol))
    return fixup


def _copy_debug_info(dex: Dex, offset: int) -> tuple[DebugPiece, ...]:
    return dex.decoded(ItemType.DEBUG_INFO_ITEM, offset, _read_debug_info) if offset else ()


def _read_debug_info(dex: Dex, offset: int) -> tuple[tuple[DebugPiece, ...], int]:
    """Cut a debug_info_item into stretches of bytes and symbols; addresses and lines need no change."""
    places: list[Place] = []
    end = walk_debug_info(dex.data, offset, places)
    pieces: list[DebugPiece] = []
    position = offset
    for start, length, kind, index, _ in places:
        pieces.append(dex.data[position:start])
        pieces.append((kind, str(dex.symbol(kind, index))))
        position = start + length
    pieces.append(dex.data[position:end])
    return tuple(piece for piece in pieces if piece), end


def _all_values(view: ClassView) -> Iterable[tuple[str, EncodedValue]]:
    """Yield every constant of the class, with the name of its place."""
    yield from (("static values", value) for value in view.static_values)
    for name, listed in _annotated_places(view):
        for annotation in listed:
            yield name, EncodedValue(ValueType.ANNOTATION, annotation.annotation)


def _annotated_places(view: ClassView) -> Iterable[tuple[str, tuple[Annotation, ...]]]:
    if not view.has_annotations:
        return
    yield view.descriptor, view.annotations
    yield from ((field.name, field.annotations) for field in view.fields)
    for method in view.methods:
        yield method.name, method.annotations
        yield from ((method.name, listed) for listed in method.parameter_annotations)


def _require_movable(view: ClassView, name: str, value: EncodedValue) -> None:
    if value.kind == ValueType.METHOD_HANDLE:
        raise Refused(f"{view.descriptor}: {name} holds a method handle, which can't be moved")
    inner: Iterable[object] = ()
    if isinstance(value.value, EncodedAnnotation):
        inner = [element for _, element in value.value.elements]
    elif isinstance(value.value, tuple) and value.kind == ValueType.ARRAY:
        inner = value.value
    for element in inner:
        if isinstance(element, EncodedValue):
            _require_movable(view, name, element)
