"""The fields and methods of many classes as columns of numbers, decoded at once.

A class_data_item holds nothing but ULEB128 numbers. An object for each member would cost more than everything
that cutting, renumbering and verifying do with them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING

from lawow.errors import FormatError
from lawow.formats.dex.spec import ItemType

if TYPE_CHECKING:
    from lawow.formats.dex.bulk import Numbers
    from lawow.formats.dex.reader import Dex

__all__ = ["Column", "Members", "read_members"]


class Column:
    """Fields or methods of all classes, one after the other.

    `places` are the file offsets of the index differences, `previous` the member that each counts from, -1
    for none; `group` is 0 for the first list of a class (static, direct), 1 for the second (instance,
    virtual).
    """

    __slots__ = ("flags", "group", "indexes", "places", "previous", "table_size")

    def __init__(self, table_size: int) -> None:
        self.table_size = table_size
        self.places = array("I")
        self.indexes = array("I")
        self.previous = array("i")
        self.flags = array("I")
        self.group = bytearray()

    def extend(self, numbers: Numbers, first: int, count: int, end: int, step: int) -> None:
        """Append the members whose numbers stand from `first` to `end`, `step` for each: `count` of the first
        list of a class, and its second list.
        """
        if first == end:
            return
        differences = numbers.values[first:end:step]
        self.places.extend(numbers.starts[first:end:step])
        self.flags.extend(numbers.values[first + 1 : end : step].tolist())
        self.group.extend(b"\0" * count + b"\1" * (len(differences) - count))
        for listed in (differences[:count], differences[count:]):
            if listed:
                self._extend_indexes(list(accumulate(listed)))

    def _extend_indexes(self, indexes: list[int]) -> None:
        if indexes[-1] >= self.table_size:
            raise FormatError("member is past its table", structure="class_data_item", found=indexes[-1])
        self.previous.append(-1)
        self.previous.extend(indexes[:-1])
        self.indexes.extend(indexes)


class Members:
    """Columns of all classes read; `code_offs` and `code_places` go with `methods`.

    `ends` has the end of each class_data_item by its offset. `bounds` has for each, in file order, how many
    fields and methods there were before it.
    """

    __slots__ = ("bounds", "code_offs", "code_places", "ends", "fields", "methods")

    def __init__(self, dex: Dex) -> None:
        self.fields = Column(dex.size_of(ItemType.FIELD_ID_ITEM))
        self.methods = Column(dex.size_of(ItemType.METHOD_ID_ITEM))
        self.code_offs = array("I")
        self.code_places = array("I")
        self.ends: dict[int, int] = {}
        self.bounds: list[tuple[int, int]] = []


def read_members(dex: Dex, offsets: Iterable[int]) -> Members:
    """Decode class_data_items. Raises `FormatError` when they overlap, or name members past their tables."""
    members = Members(dex)
    end = 0
    for offset in sorted(offsets):
        if offset < end:
            raise FormatError("items overlap", structure="class_data_item", offset=offset)
        try:
            end = members.ends[offset] = _read_item(dex.class_data_numbers, offset, members)
        except OverflowError:  # of a column: the number has more than 32 bits
            raise FormatError("malformed number", structure="class_data_item", offset=offset) from None
    return members


def _read_item(numbers: Numbers, offset: int, members: Members) -> int:
    members.bounds.append((len(members.fields.indexes), len(members.methods.indexes)))
    values = numbers.values
    first = numbers.index_at(offset) + 4
    if first > len(values):
        raise FormatError("is cut off", structure="class_data_item", offset=offset)
    static, instance, direct, virtual = values[first - 4 : first]
    directs = first + 2 * (static + instance)
    end = directs + 3 * (direct + virtual)
    if end > len(values):
        raise FormatError("too many members", structure="class_data_item", offset=offset)
    members.fields.extend(numbers, first, static, directs, 2)
    members.methods.extend(numbers, directs, direct, end, 3)
    members.code_offs.extend(values[directs + 2 : end : 3].tolist())
    members.code_places.extend(numbers.starts[directs + 2 : end : 3])
    return numbers.starts[end]
