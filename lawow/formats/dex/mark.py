"""Marks the ids that the classes of a dex file use, and remembers every place where one stands.

One pass: signatures, code, catch clauses, debug information, annotations, constants, call sites. Ids that
used ids are made of are used too. `lawow.formats.dex.gc` takes it from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Protocol, TypeAlias

from lawow.errors import FormatError
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reach import Reach, require_inside
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.scan import CodeScan, Uses, scan_annotations, scan_arrays, scan_code, scan_debug_info
from lawow.formats.dex.spec import NO_INDEX, ItemType, item_name
from lawow.formats.dex.tables import field_columns, handle_rows, method_columns, proto_columns

__all__ = ["ID_TABLES", "Beside", "Later", "Marks", "Pending", "mark_ids"]

# The tables whose rows can go, in the order of IndexKind. Call sites and method handles always stay.
ID_TABLES = (
    ItemType.STRING_ID_ITEM,
    ItemType.TYPE_ID_ITEM,
    ItemType.PROTO_ID_ITEM,
    ItemType.FIELD_ID_ITEM,
    ItemType.METHOD_ID_ITEM,
)


_COLLECTED = tuple(kind for kind in IndexKind if kind < len(ID_TABLES))


class Later:
    """Work that is done when its result is asked for; in the place of work that goes on elsewhere."""

    def __init__(self, work: Callable[[], Uses]) -> None:
        self.result = work

    def __enter__(self) -> Later:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to end."""


class Pending(Protocol):
    """Work of somebody else: a context manager that gives it up at its end."""

    def __enter__(self) -> Pending: ...

    def __exit__(self, *_: object) -> None: ...

    def result(self) -> Uses:
        """Wait for the result."""


Beside: TypeAlias = "Callable[[Callable[[], Uses]], Pending | Later]"


class Marks:
    """Which ids are used (`used[kind][index]` is 1), and where they stand.

    `classes` are the places in class_defs of the classes that count, `reach` is what they reach; its
    type_lists are completed by those that used protos name.
    """

    def __init__(self, dex: Dex, reach: Reach, classes: Sequence[int]) -> None:
        self.dex = dex
        self.reach = reach
        self.classes = classes
        self.used = tuple(bytearray(dex.size_of(item)) for item in ID_TABLES)
        self.uses = Uses()
        self.code = CodeScan(())
        self.protos = proto_columns(dex)
        self.fields = field_columns(dex)
        self.methods = method_columns(dex)

    def use(self, kind: IndexKind, indexes: Iterable[int]) -> None:
        """Mark indexes as used. Raises `FormatError` for one past the end of its table."""
        used = self.used[kind]
        try:
            for index in indexes:
                used[index] = 1
        except IndexError:
            raise FormatError(
                "index is past the end of the table",
                structure=item_name(ID_TABLES[kind]),
                index=index,
                allowed=len(used),
            ) from None


def mark_ids(dex: Dex, reach: Reach, classes: Sequence[int], beside: Beside = Later) -> Marks:
    """Mark what these classes use. Raises `FormatError` for an index or item out of place.

    `beside` may do a half of the work somewhere else meanwhile.
    """
    marks = Marks(dex, reach, classes)
    arrays = reach.of(ItemType.ENCODED_ARRAY_ITEM)
    arrays.update(dex.call_site_offsets)
    require_inside(dex, ItemType.ENCODED_ARRAY_ITEM, arrays)
    with beside(lambda: _scan_texts(dex, reach)) as texts:
        _mark_class_defs(marks)
        marks.use(IndexKind.FIELD, reach.members.fields.indexes)
        marks.use(IndexKind.METHOD, reach.members.methods.indexes)
        marks.code = scan_code(dex, sorted(reach.of(ItemType.CODE_ITEM)), marks.uses)
        for kind in _COLLECTED:
            marks.use(kind, marks.code.values_of(kind))
        marks.uses.extend(texts.result())
    for kind in _COLLECTED:
        marks.use(kind, marks.uses.values_of(kind))
    _mark_directories(marks)
    for row in handle_rows(dex):
        marks.use(IndexKind.FIELD if row.names_field else IndexKind.METHOD, (row.field_or_method_id,))
    _mark_rows(marks)
    return marks


def _mark_class_defs(marks: Marks) -> None:
    definitions = [marks.dex.class_defs[index] for index in marks.classes]
    marks.use(IndexKind.TYPE, [item.class_idx for item in definitions])
    marks.use(IndexKind.TYPE, {item.superclass_idx for item in definitions} - {NO_INDEX})
    marks.use(IndexKind.STRING, {item.source_file_idx for item in definitions} - {NO_INDEX})


def _scan_texts(dex: Dex, reach: Reach) -> Uses:
    """Scan everything but code."""
    uses = Uses()
    scan_debug_info(dex, sorted(reach.of(ItemType.DEBUG_INFO_ITEM)), uses)
    scan_annotations(dex, sorted(reach.of(ItemType.ANNOTATION_ITEM)), uses)
    scan_arrays(dex, sorted(reach.of(ItemType.ENCODED_ARRAY_ITEM)), uses)
    return uses


def _mark_directories(marks: Marks) -> None:
    directories = marks.reach.directories.values()
    marks.use(IndexKind.FIELD, [index for item in directories for index, _ in item.fields])
    marks.use(IndexKind.METHOD, [index for item in directories for index, _ in item.methods])
    marks.use(IndexKind.METHOD, [index for item in directories for index, _ in item.parameters])


def _mark_rows(marks: Marks) -> None:
    """Ids are made of ids: members of protos and types, those of types, all of strings."""
    dex, used = marks.dex, marks.used
    owners, types, names = (set(compress(column, used[IndexKind.FIELD])) for column in marks.fields)
    marks.use(IndexKind.TYPE, owners | types)
    marks.use(IndexKind.STRING, names)
    owners, protos, names = (set(compress(column, used[IndexKind.METHOD])) for column in marks.methods)
    marks.use(IndexKind.TYPE, owners)
    marks.use(IndexKind.PROTO, protos)
    marks.use(IndexKind.STRING, names)
    shorties, returned, parameters = (set(compress(column, used[IndexKind.PROTO])) for column in marks.protos)
    marks.use(IndexKind.STRING, shorties)
    marks.use(IndexKind.TYPE, returned)
    lists = marks.reach.of(ItemType.TYPE_LIST)
    lists.update(parameters - {0})
    for offset in lists:
        marks.use(IndexKind.TYPE, dex.type_list(offset))
    marks.use(IndexKind.STRING, compress(dex.type_ids, used[IndexKind.TYPE]))
