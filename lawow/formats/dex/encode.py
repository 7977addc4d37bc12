"""Encodes data items whose indexes are known: bodies, values, annotations. The inverse of `items`."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from lawow.errors import LimitExceeded
from lawow.formats.bytes import encode_sleb128, encode_uleb128
from lawow.formats.dex.items import CatchHandler, TryItem
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.pool import SymbolIds
from lawow.formats.dex.source import Body, DebugPiece
from lawow.formats.dex.spec import ValueType
from lawow.formats.dex.symbols import Annotation, EncodedAnnotation, EncodedValue

__all__ = ["encode_annotation_item", "encode_code_item", "encode_debug_info", "encode_value", "encode_values"]

_SIGNED = {ValueType.BYTE, ValueType.SHORT, ValueType.INT, ValueType.LONG}
_FLOAT_BYTES = {ValueType.FLOAT: 4, ValueType.DOUBLE: 8}
_INDEX = {
    ValueType.METHOD_TYPE: IndexKind.PROTO,
    ValueType.STRING: IndexKind.STRING,
    ValueType.TYPE: IndexKind.TYPE,
    ValueType.FIELD: IndexKind.FIELD,
    ValueType.METHOD: IndexKind.METHOD,
    ValueType.ENUM: IndexKind.FIELD,
}


def encode_value(value: EncodedValue, ids: SymbolIds) -> bytes:
    """Encode an encoded_value in its shortest form."""
    kind, payload = value.kind, value.value
    if kind in _INDEX:
        return _scalar(kind, _unsigned(ids.index[_INDEX[kind]][payload]))  # type: ignore[index]
    if isinstance(payload, EncodedAnnotation):
        return bytes((kind,)) + _encode_annotation(payload, ids)
    if isinstance(payload, tuple):
        return bytes((kind,)) + encode_values(payload, ids)  # type: ignore[arg-type]
    if kind == ValueType.BOOLEAN:
        return bytes((kind | bool(payload) << 5,))
    if not isinstance(payload, int):
        return bytes((ValueType.NULL,))
    if kind in _FLOAT_BYTES:
        # Zero-extended to the right: trailing zero bits of the number are leading bytes here.
        raw = payload.to_bytes(_FLOAT_BYTES[kind], "little").lstrip(b"\0") or b"\0"
        return _scalar(kind, raw)
    return _scalar(kind, _signed(payload) if kind in _SIGNED else _unsigned(payload))


def encode_values(values: Sequence[EncodedValue], ids: SymbolIds) -> bytes:
    """Encode an encoded_array."""
    return encode_uleb128(len(values)) + b"".join(encode_value(value, ids) for value in values)


def _scalar(kind: ValueType, raw: bytes) -> bytes:
    return bytes((kind | (len(raw) - 1) << 5,)) + raw


def _unsigned(number: int) -> bytes:
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "little")


def _signed(number: int) -> bytes:
    bits = (number if number >= 0 else ~number).bit_length() + 1
    return number.to_bytes((bits + 7) // 8, "little", signed=True)


def _encode_annotation(annotation: EncodedAnnotation, ids: SymbolIds) -> bytes:
    rows = sorted(((ids.string(name), value) for name, value in annotation.elements), key=lambda row: row[0])
    body = b"".join(encode_uleb128(name) + encode_value(value, ids) for name, value in rows)
    return encode_uleb128(ids.type(annotation.type)) + encode_uleb128(len(rows)) + body


def encode_annotation_item(annotation: Annotation, ids: SymbolIds) -> bytes:
    """Encode an annotation_item; elements are sorted by name index."""
    return bytes((annotation.visibility,)) + _encode_annotation(annotation.annotation, ids)


def encode_debug_info(pieces: Sequence[DebugPiece], ids: SymbolIds) -> bytes:
    """Encode a debug_info_item."""
    return b"".join(
        piece if isinstance(piece, bytes) else encode_uleb128(ids.index[piece[0]][piece[1]] + 1)
        for piece in pieces
    )


def encode_code_item(body: Body, ids: SymbolIds, debug_info_off: int) -> bytes:
    """Encode a code_item. Raises `LimitExceeded` for a string index that a copied const-string can't hold."""
    units = body.units[:]
    for unit, kind, symbol, is_wide in body.fixups:
        index = ids.index[kind][symbol]
        units[unit] = index & 0xFFFF
        if is_wide:
            units[unit + 1] = index >> 16
        elif index > 0xFFFF:
            raise LimitExceeded(
                "string_ids",
                len(ids.strings),
                0x10000,
                hint="move fewer classes at once",
                subject="copied const-string",
            )
    head = struct.pack(
        "<HHHHII",
        body.registers_size,
        body.ins_size,
        body.outs_size,
        len(body.tries),
        debug_info_off,
        len(units),
    )
    code = head + struct.pack(f"<{len(units)}H", *units)
    if not body.tries:
        return code
    return code + bytes(2 * (len(units) & 1)) + _encode_tries(body.tries, ids)


def _encode_tries(tries: Sequence[TryItem], ids: SymbolIds) -> bytes:
    offsets: dict[tuple[CatchHandler, ...], int] = {}
    lists = dict.fromkeys(entry.handlers for entry in tries)
    encoded = bytearray(encode_uleb128(len(lists)))
    for handlers in lists:
        offsets[handlers] = len(encoded)
        encoded += _encode_handlers(handlers, ids)
    if max(offsets.values()) > 0xFFFF:
        raise LimitExceeded("handler_off", max(offsets.values()), 0xFFFF, hint="split the method")
    rows = [
        struct.pack("<IHH", entry.start_addr, entry.insn_count, offsets[entry.handlers]) for entry in tries
    ]
    return b"".join(rows) + bytes(encoded)


def _encode_handlers(handlers: Sequence[CatchHandler], ids: SymbolIds) -> bytes:
    typed = [handler for handler in handlers if handler.type is not None]
    catch_all = [handler for handler in handlers if handler.type is None]
    encoded = encode_sleb128(-len(typed) if catch_all else len(typed))
    for handler in typed:
        encoded += encode_uleb128(ids.type(handler.type or "")) + encode_uleb128(handler.address)
    return encoded + b"".join(encode_uleb128(handler.address) for handler in catch_all)
