"""The quick half of verification, part one: are the id tables beyond doubt?

Works on whole columns. It never says what is wrong: at the first doubt it raises `Doubt`, and the thorough
verifier looks again, item by item.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import accumulate, compress, islice

from lawow.formats.bytes import align_up
from lawow.formats.dex.bulk import u16_view
from lawow.formats.dex.leb128 import read_uleb128
from lawow.formats.dex.mutf8 import decode_mutf8, utf16_length
from lawow.formats.dex.names import class_descriptor, member_name
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.spec import ALIGNMENT, ItemType
from lawow.formats.dex.symbols import is_type_descriptor
from lawow.formats.dex.tables import Columns, field_columns, method_columns, proto_columns

__all__ = ["Doubt", "Tables", "check_tables", "require", "require_ascending", "require_gapless"]

_NUL_AS_TWO_BYTES = b"\xc0\x80"


class Doubt(Exception):
    """Something may be wrong."""


class Tables:
    """What the id tables say, by index. `shorties` has return type and parameters, references as ``L``."""

    def __init__(self, dex: Dex) -> None:
        self.dex = dex
        self.strings = _strings(dex)
        self.types = [self.strings[index] for index in dex.type_ids]
        self.protos = proto_columns(dex)
        self.fields = field_columns(dex)
        self.methods = method_columns(dex)
        self.type_lists: dict[int, tuple[int, ...]] = {0: ()}
        self.shorties: list[str] = []


def require(holds: bool) -> None:
    """Raise `Doubt` unless it holds."""
    if not holds:
        raise Doubt


def require_gapless(dex: Dex, item: ItemType, starts: Sequence[int], ends: Sequence[int]) -> None:
    """Require that these items, ascending, are all that the section holds, with zeros between and behind.

    So every offset that led here hits the start of an item, as a scan through the section would meet them.
    """
    section = dex.sections.get(item)
    if section is None or not starts:
        require(section is None and not starts)
        return
    data, alignment = dex.data, ALIGNMENT[item]
    require(starts[0] == section.offset and len(starts) == section.size and ends[-1] <= section.end)
    if alignment == 1:
        require(list(ends[:-1]) == list(starts[1:]))
    else:
        aligned = [align_up(end, alignment) for end in ends]
        require(aligned[:-1] == list(starts[1:]))
        require(not any(any(data[end : align_up(end, alignment)]) for end in ends[:-1] if end % alignment))
    require(not any(data[ends[-1] : section.end]))


def check_tables(dex: Dex) -> Tables:
    """Check strings, types, protos, fields and methods. Raises `Doubt`."""
    tables = Tables(dex)
    _check_types(tables)
    _check_type_lists(tables)
    _check_protos(tables)
    _check_members(tables, tables.fields, "L")
    require("V" not in {tables.types[index] for index in set(tables.fields[1])})
    _, protos, names = tables.methods
    _check_members(tables, tables.methods, "L[")
    require(not protos or max(protos) < len(tables.shorties))
    special = {name for name in set(names) if tables.strings[name].startswith("<")}
    require({tables.strings[name] for name in special} <= {"<init>", "<clinit>"})
    for proto in compress(protos, map(special.__contains__, names)):
        require(tables.shorties[proto][0] == "V")
    return tables


def require_ascending(keys: Sequence[int] | Sequence[bytes] | Sequence[tuple[object, ...]]) -> None:
    """Require that each key is above the one before it."""
    require(all(map(operator.lt, keys, islice(keys, 1, None))))  # type: ignore[arg-type]


def _strings(dex: Dex) -> list[str]:
    """Return all strings; require that they fill their section, are well-formed and ascending."""
    starts = sorted(dex.string_offsets)
    section = dex.sections.get(ItemType.STRING_DATA_ITEM)
    if not starts or section is None:
        require_gapless(dex, ItemType.STRING_DATA_ITEM, starts, ())
        return []
    pieces = _string_pieces(dex.data[section.offset : section.end], len(starts))
    ends = list(accumulate([len(piece) + 1 for piece in pieces], initial=section.offset))
    require_gapless(dex, ItemType.STRING_DATA_ITEM, starts, ends[1:])
    if tuple(starts) != dex.string_offsets:
        by_offset = dict(zip(ends, pieces, strict=False))
        pieces = list(map(by_offset.__getitem__, dex.string_offsets))
    contents = [piece[1:] for piece in pieces]
    texts = b"\0".join(map(_if_ascii, contents)).decode("ascii").split("\0")
    odd = [index for index, piece in enumerate(pieces) if not piece.isascii()]
    for index in odd:
        size, start = read_uleb128(pieces[index], 0)
        contents[index] = pieces[index][start:].replace(_NUL_AS_TWO_BYTES, b"\0")
        texts[index] = decode_mutf8(pieces[index][start:])
        require(utf16_length(texts[index]) == size)
        pieces[index] = b""  # its size has been compared
    require(all(len(piece) == piece[0] + 1 for piece in pieces if piece))
    require_ascending(contents)  # MUTF-8 keeps the order of UTF-16, but for U+0000
    return texts


def _string_pieces(data: bytes, count: int) -> list[bytes]:
    """Return size and content of the `count` strings of a section: one NUL behind each, and none inside."""
    pieces = data.split(b"\0", count + 1)
    # The only other zero is the size of the empty string, of which there is one at most: they are ascending.
    if b"" in pieces[:count]:
        place = pieces.index(b"")
        require(pieces[place + 1] == b"")
        pieces[place : place + 2] = [b"\0"]
    require(len(pieces) > count)
    return pieces[:count]


def _if_ascii(content: bytes) -> bytes:
    return content if content.isascii() else b""


def _check_types(tables: Tables) -> None:
    dex = tables.dex
    require_ascending(dex.type_ids)
    is_class = class_descriptor(dex.version).fullmatch
    for descriptor in tables.types:
        require(is_type_descriptor(descriptor))
        element = descriptor.lstrip("[")
        require(element[0] != "L" or is_class(element) is not None)


def _check_type_lists(tables: Tables) -> None:
    dex = tables.dex
    offsets = {definition.interfaces_off for definition in dex.class_defs}
    starts = sorted(offsets.union(tables.protos[2]) - {0})
    ends = []
    data, units = dex.data, u16_view(dex.data)
    for offset in starts:
        dex.require_item(ItemType.TYPE_LIST, offset)
        first = (offset >> 1) + 2
        size = units[first - 2] | units[first - 1] << 16
        require(offset + 4 + 2 * size <= len(data))
        tables.type_lists[offset] = tuple(units[first : first + size])
        ends.append(offset + 4 + 2 * size)
        if len(ends) > 1:
            require(ends[-2] <= offset)
    require_gapless(dex, ItemType.TYPE_LIST, starts, ends)
    require(max(map(max, filter(None, tables.type_lists.values())), default=-1) < len(tables.types))


def _check_protos(tables: Tables) -> None:
    shorties, returned, parameters = tables.protos
    letters = ["L" if descriptor[0] in "L[" else descriptor for descriptor in tables.types]
    lists = [tables.type_lists[offset] for offset in parameters]
    for shorty, return_type, listed in zip(shorties, returned, lists, strict=True):
        text = letters[return_type] + "".join(map(letters.__getitem__, listed))
        require(text == tables.strings[shorty] and "V" not in text[1:])
        tables.shorties.append(text)
    require_ascending(list(zip(returned, lists, strict=True)))


def _check_members(tables: Tables, columns: Columns, kinds: str) -> None:
    owners, types, names = columns
    require({tables.types[index][0] for index in set(owners)} <= set(kinds))
    is_name = member_name(tables.dex.version).fullmatch
    require(all(map(is_name, [tables.strings[index] for index in set(names)])))
    require_ascending(list(zip(owners, names, types, strict=True)))
