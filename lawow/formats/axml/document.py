"""Binary XML as a list of chunks: edited in place, so that everything else stays byte for byte.

Strict: chunks have to nest, to have sizes that are multiples of 4 and to hold what their type says;
elements have to be closed. Unknown chunks are kept. Source: AOSP androidfw ``ResourceTypes.h``,
``ResXMLTree_node`` and what follows it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.axml.pool import NO_STRING, StringPool
from lawow.formats.bytes import ByteReader
from lawow.limits import ARCHIVE

__all__ = [
    "ANDROID_NAMESPACE",
    "Attribute",
    "Document",
    "Element",
    "ValueType",
]

ANDROID_NAMESPACE = "http://schemas.android.com/apk/res/android"

_STRING_POOL = 0x0001
_XML = 0x0003
_RESOURCE_MAP = 0x0180
_START_NAMESPACE, _END_NAMESPACE, _START_ELEMENT, _END_ELEMENT, _CDATA = range(0x0100, 0x0105)

_CHUNK = struct.Struct("<HHI")
_ELEMENT = struct.Struct("<IIHHHHHH")
_ATTRIBUTE = struct.Struct("<IIIHBBI")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")

_MAX_ATTRIBUTES = 0xFFFF
_NODE_HEADER_BYTES = 16
_COMMENT = 12  # of every node, a string index
# What has to follow the header of a node, and which 32-bit words of it are string indices.
_NODE_BYTES = {_START_NAMESPACE: 8, _END_NAMESPACE: 8, _START_ELEMENT: 20, _END_ELEMENT: 8, _CDATA: 12}
_NODE_STRINGS = {
    _START_NAMESPACE: (0, 4),
    _END_NAMESPACE: (0, 4),
    _START_ELEMENT: (0, 4),
    _END_ELEMENT: (0, 4),
    _CDATA: (0,),
}
_HEADER_BYTES = {_STRING_POOL: 28, _RESOURCE_MAP: 8, **dict.fromkeys(_NODE_BYTES, _NODE_HEADER_BYTES)}


class ValueType:
    """``Res_value::dataType``."""

    NULL = 0x00
    REFERENCE = 0x01
    STRING = 0x03
    DYNAMIC_REFERENCE = 0x07
    INT_DEC = 0x10
    INT_HEX = 0x11
    INT_BOOLEAN = 0x12


class Attribute(NamedTuple):
    """One attribute as it stands in its element; `namespace`, `name` and `raw_value` are string indices."""

    namespace: int
    name: int
    raw_value: int
    value_bytes: int
    reserved: int
    value_type: int
    data: int


class _Chunk:
    __slots__ = ("data", "kind")

    def __init__(self, kind: int, data: bytes | bytearray) -> None:
        self.kind = kind
        self.data = bytearray(data)

    @property
    def header_bytes(self) -> int:
        size: int = _U16.unpack_from(self.data, 2)[0]
        return size

    def string_places(self) -> Iterator[int]:
        """Yield the offsets of all string indices of a node."""
        if self.kind not in _NODE_STRINGS:
            return
        start = self.header_bytes
        yield _COMMENT
        for word in _NODE_STRINGS[self.kind]:
            yield start + word
        if self.kind == _CDATA and self.data[start + 7] == ValueType.STRING:
            yield start + 8
        if self.kind == _START_ELEMENT:
            for place in self.attribute_places():
                yield from (place, place + 4, place + 8)
                if self.data[place + 15] == ValueType.STRING:
                    yield place + 16

    def attribute_places(self) -> range:
        """Return the offsets of the attributes of a start element."""
        _, _, first, size, count, *_ = _ELEMENT.unpack_from(self.data, self.header_bytes)
        start = self.header_bytes + first
        return range(start, start + size * count, size) if size else range(0)


class Element:
    """A start element. Stays valid while the document is edited."""

    __slots__ = ("_chunk", "_document")

    def __init__(self, document: Document, chunk: _Chunk) -> None:
        self._document = document
        self._chunk = chunk

    def is_named(self, name: str) -> bool:
        """Whether the element has this name; as in Android its namespace does not count."""
        index = _U32.unpack_from(self._chunk.data, self._chunk.header_bytes + 4)[0]
        return self._document.pool.equals(index, name)

    def attributes(self) -> Iterator[Attribute]:
        """Yield the attributes in their order."""
        for place in self._chunk.attribute_places():
            yield Attribute(*_ATTRIBUTE.unpack_from(self._chunk.data, place))

    def attribute(self, resource_id: int) -> Attribute | None:
        """Return the attribute of this resource id: the framework looks at ids, not at names."""
        wanted = (item for item in self.attributes() if self._document.resource_id(item) == resource_id)
        return next(wanted, None)

    def plain_attribute(self, name: str) -> Attribute | None:
        """Return the attribute of this name that has no resource id, such as ``package``."""
        document = self._document
        for item in self.attributes():
            if not document.resource_id(item) and document.pool.equals(item.name, name):
                return item
        return None

    def set_attribute(self, resource_id: int, name: str, value_type: int, value: int | str) -> None:
        """Set or add ``android:name``. Attributes stay sorted by resource id, which the framework relies
        on."""
        attribute = self._document.make_attribute(resource_id, name, value_type, value)
        packed = _ATTRIBUTE.pack(*attribute)
        data, places = self._chunk.data, self._chunk.attribute_places()
        position = len(places)
        for index, item in enumerate(self.attributes()):
            found = self._document.resource_id(item)
            if found == resource_id:
                data[places[index] + 8 : places[index] + _ATTRIBUTE.size] = packed[8:]
                return
            if position == len(places) and (not found or found > resource_id):
                position = index
        self._insert(position, packed)

    def _insert(self, position: int, packed: bytes) -> None:
        data, start = self._chunk.data, self._chunk.header_bytes
        fields = list(_ELEMENT.unpack_from(data, start))
        first, size, count = fields[2:5]
        if count and size != _ATTRIBUTE.size:
            message = "has attributes of a size that cannot be edited"
            raise FormatError(message, structure="start element", found=size, allowed=_ATTRIBUTE.size)
        # The positions of the id, class and style attributes count from 1.
        if max(fields[5:]) > count or count == _MAX_ATTRIBUTES:
            raise FormatError("has no room for an attribute", structure="start element", found=fields[4:])
        place = start + first + _ATTRIBUTE.size * position
        data[place:place] = packed
        fields[3], fields[4] = _ATTRIBUTE.size, count + 1
        fields[5:] = [index + 1 if index > position else index for index in fields[5:]]
        _ELEMENT.pack_into(data, start, *fields)
        _U32.pack_into(data, 4, len(data))


class Document:
    """A binary XML document. `elements` are the start elements with their depths, the root's being 1."""

    __slots__ = (
        "_chunks",
        "_head",
        "_map",
        "_original",
        "_pool_chunk",
        "_tail",
        "is_edited",
        "pool",
        "resource_ids",
    )

    def __init__(self, data: bytes | memoryview) -> None:
        """Read a document. Raises `FormatError`, and `LimitExceeded` above `ARCHIVE.manifest_bytes`."""
        if len(data) > ARCHIVE.manifest_bytes:
            raise LimitExceeded("manifest_bytes", len(data), ARCHIVE.manifest_bytes)
        self._original = bytes(data)
        self.is_edited = False
        reader = ByteReader(self._original, structure="binary XML")
        kind, header_bytes, size = reader.read_struct(_CHUNK)
        if kind != _XML or not _CHUNK.size <= header_bytes <= size <= len(data) or header_bytes % 4:
            found = f"type {kind:#x}, header {header_bytes}, size {size}"
            message = "is not binary XML, or is cut off"
            raise FormatError(message, offset=0, found=found, allowed=f"type 0x3, size {len(data)}")
        self._head = self._original[:header_bytes]
        self._tail = self._original[size:]
        self._chunks = _read_chunks(self._original, header_bytes, size)
        self._pool_chunk, self.pool = self._read_pool(header_bytes)
        self._map, self.resource_ids = self._read_resource_map()
        _require_nesting(self._chunks)

    def _read_pool(self, base: int) -> tuple[_Chunk, StringPool]:
        pools = [chunk for chunk in self._chunks if chunk.kind == _STRING_POOL]
        if len(pools) != 1 or pools[0] is not self._chunks[0]:
            message = "has to start with its only string pool"
            raise FormatError(message, structure="binary XML", found=f"{len(pools)} string pools")
        return pools[0], StringPool(bytes(pools[0].data), base)

    def _read_resource_map(self) -> tuple[_Chunk | None, list[int]]:
        maps = [chunk for chunk in self._chunks if chunk.kind == _RESOURCE_MAP]
        if len(maps) > 1:
            raise FormatError("has more than one resource map", structure="binary XML")
        if not maps:
            return None, []
        words = bytes(maps[0].data[maps[0].header_bytes :])
        return maps[0], list(struct.unpack(f"<{len(words) // 4}I", words))

    def elements(self) -> Iterator[tuple[int, Element]]:
        """Yield depth and element of every start element, in document order."""
        depth = 0
        for chunk in self._chunks:
            if chunk.kind == _START_ELEMENT:
                depth += 1
                yield depth, Element(self, chunk)
            elif chunk.kind == _END_ELEMENT:
                depth -= 1

    def resource_id(self, attribute: Attribute) -> int:
        """Return the resource id of an attribute's name, or 0."""
        return self.resource_ids[attribute.name] if attribute.name < len(self.resource_ids) else 0

    def make_attribute(self, resource_id: int, name: str, value_type: int, value: int | str) -> Attribute:
        """Make ``android:name``, with its name and its string value in the pool."""
        name_index = self._attribute_name(resource_id, name)
        data = self.string_index(value) if isinstance(value, str) else value & 0xFFFFFFFF
        raw_value = data if isinstance(value, str) else NO_STRING
        self.is_edited = True
        return Attribute(self._android_namespace(), name_index, raw_value, 8, 0, value_type, data)

    def string_index(self, text: str) -> int:
        """Return the index of a string that is not an attribute's name; append it if there is none."""
        index = self.pool.find(text, len(self.resource_ids))
        if index is None:
            index = len(self.pool)
            self.pool.insert(index, text)
            self.is_edited = True
        return index

    def insert_empty_element(self, before: Element, tag: str, attribute: Attribute) -> None:
        """Insert ``<tag attribute/>`` before another element."""
        following = before._chunk
        name = self.string_index(tag)
        line = _U32.unpack_from(following.data, 8)[0]
        node = struct.pack("<II", line, NO_STRING)
        start = _ELEMENT.pack(NO_STRING, name, _ELEMENT.size, _ATTRIBUTE.size, 1, 0, 0, 0)
        body = node + start + _ATTRIBUTE.pack(*attribute)
        end = node + struct.pack("<II", NO_STRING, name)
        index = next(i for i, chunk in enumerate(self._chunks) if chunk is following)
        self._chunks[index:index] = [_make_chunk(_START_ELEMENT, body), _make_chunk(_END_ELEMENT, end)]
        self.is_edited = True

    def to_bytes(self) -> bytes:
        """Return the document; byte for byte what was read if nothing was edited."""
        if not self.is_edited:
            return self._original
        if self.pool.is_edited:
            self._pool_chunk.data = bytearray(self.pool.to_bytes())
        if self._map is not None:
            map_head = self._map.data[: self._map.header_bytes]
            self._map.data = map_head + struct.pack(f"<{len(self.resource_ids)}I", *self.resource_ids)
            _U32.pack_into(self._map.data, 4, len(self._map.data))
        body = b"".join(chunk.data for chunk in self._chunks)
        head = _CHUNK.pack(_XML, len(self._head), len(self._head) + len(body)) + self._head[_CHUNK.size :]
        return b"".join((head, body, self._tail))

    def _attribute_name(self, resource_id: int, name: str) -> int:
        """Return the string index that the resource map gives this id; names with an id stand first in the
        pool."""
        if resource_id in self.resource_ids:
            return self.resource_ids.index(resource_id)
        index = len(self.resource_ids)
        self.pool.insert(index, name)
        for chunk in self._chunks:
            for place in chunk.string_places():
                value = _U32.unpack_from(chunk.data, place)[0]
                if index <= value < NO_STRING:
                    _U32.pack_into(chunk.data, place, value + 1)
        if self._map is None:
            self._map = _make_chunk(_RESOURCE_MAP, b"")
            self._chunks.insert(1, self._map)
        self.resource_ids.append(resource_id)
        return index

    def _android_namespace(self) -> int:
        for chunk in self._chunks:
            if chunk.kind == _START_NAMESPACE:
                index: int = _U32.unpack_from(chunk.data, chunk.header_bytes + 4)[0]
                if self.pool.equals(index, ANDROID_NAMESPACE):
                    return index
        raise FormatError("does not declare the android namespace", structure="binary XML")


def _make_chunk(kind: int, body: bytes) -> _Chunk:
    header_bytes = _HEADER_BYTES[kind]
    return _Chunk(kind, _CHUNK.pack(kind, header_bytes, _CHUNK.size + len(body)) + body)


def _read_chunks(data: bytes, start: int, stop: int) -> list[_Chunk]:
    chunks: list[_Chunk] = []
    reader = ByteReader(data, start, stop, structure="chunk header")
    while reader.remaining:
        position = reader.offset
        kind, header_bytes, size = reader.read_struct(_CHUNK)
        smallest = _HEADER_BYTES.get(kind, _CHUNK.size)
        if not smallest <= header_bytes <= size <= stop - position or (header_bytes | size) % 4:
            found = f"header of {header_bytes} bytes, chunk of {size}"
            allowed = f"multiples of 4, {smallest} to {stop - position}"
            message = f"has an impossible size, for type {kind:#x}"
            raise FormatError(message, structure="chunk", offset=position, found=found, allowed=allowed)
        chunk = _Chunk(kind, data[position : position + size])
        _require_body(chunk, position)
        chunks.append(chunk)
        reader.offset = position + size
    return chunks


def _require_body(chunk: _Chunk, offset: int) -> None:
    """Refuse a node that is too short for its type or for the attributes that it counts."""
    start, size = chunk.header_bytes, len(chunk.data)
    if size < start + _NODE_BYTES.get(chunk.kind, 0):
        raise FormatError(
            "is too short for its type", structure="chunk", offset=offset, found=f"{size} bytes"
        )
    if chunk.kind == _START_ELEMENT:
        _, _, first, attribute_bytes, count, *_ = _ELEMENT.unpack_from(chunk.data, start)
        is_short = count and attribute_bytes < _ATTRIBUTE.size
        if is_short or first < _ELEMENT.size or start + first + attribute_bytes * count > size:
            found = f"{count} attributes of {attribute_bytes} bytes from {first}"
            message = "has attributes that do not fit into it"
            raise FormatError(message, structure="start element", offset=offset, found=found)


def _require_nesting(chunks: list[_Chunk]) -> None:
    depth = roots = 0
    for chunk in chunks:
        if chunk.kind == _START_ELEMENT:
            roots += depth == 0
            depth += 1
        elif chunk.kind == _END_ELEMENT:
            depth -= 1
            if depth < 0:
                break
    if depth or roots != 1:
        message = "has elements that are not closed, or not exactly one root"
        raise FormatError(message, structure="binary XML", found=f"{roots} roots, {depth} open elements")
