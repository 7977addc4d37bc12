"""The quick half of verification: is a dex file beyond doubt?

Reads every byte of the file, as the thorough half does, but by columns instead of by items: a condition holds
for all members or it does not, and the few combinations of flags that occur are looked at once. A sound file,
and nearly all are, needs no more. At the first doubt the answer is no, without a reason: finding that is for
`verify_dex`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, compress, pairwise, repeat
from operator import add, ge

from lawow.errors import FormatError
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reach import Reach, find_reach
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.scan import Uses, scan_annotations, scan_arrays
from lawow.formats.dex.sound_code import check_code, check_debug_info
from lawow.formats.dex.sound_tables import (
    Doubt,
    Tables,
    check_tables,
    require,
    require_ascending,
    require_gapless,
)
from lawow.formats.dex.spec import (
    ACC_ABSTRACT,
    ACC_CONSTRUCTOR,
    ACC_FINAL,
    ACC_INTERFACE,
    ACC_NATIVE,
    ACC_PRIVATE,
    ACC_PUBLIC,
    ACC_STATIC,
    HEADER_BYTES,
    ID_BYTES,
    NO_INDEX,
    ItemType,
)
from lawow.formats.dex.tables import handle_rows
from lawow.formats.dex.verify_classes import JAVA_FLAGS, KINDS_OF, REFERENCE_KINDS

__all__ = ["is_sound"]

_TABLES = {
    IndexKind.STRING: ItemType.STRING_ID_ITEM,
    IndexKind.TYPE: ItemType.TYPE_ID_ITEM,
    IndexKind.PROTO: ItemType.PROTO_ID_ITEM,
    IndexKind.FIELD: ItemType.FIELD_ID_ITEM,
    IndexKind.METHOD: ItemType.METHOD_ID_ITEM,
    IndexKind.CALL_SITE: ItemType.CALL_SITE_ID_ITEM,
    IndexKind.METHOD_HANDLE: ItemType.METHOD_HANDLE_ITEM,
}
_LAST_HANDLE_TYPE = 8
_STRICT_INTERFACES = "037"


def is_sound(dex: Dex) -> bool:
    """Tell whether nothing is wrong behind the header and the map. False may mean anything else."""
    try:
        _check_padding(dex)
        tables = check_tables(dex)
        reach = find_reach(dex, range(len(dex.class_defs)))
        ins_sizes, values = _check_items(dex, reach)
        _check_annotations(tables, reach)
        _check_class_defs(tables)
        _check_members(tables, reach, ins_sizes)
        _check_static_values(tables, reach, values)
        _check_handles(dex)
    except (Doubt, FormatError, LookupError):  # an index past a table is one reason for doubt
        return False
    return True


def _check_padding(dex: Dex) -> None:
    """Require zeros behind everything whose length the map tells."""
    for section in dex.map_list:
        if section.item == ItemType.HEADER_ITEM:
            end = HEADER_BYTES
        elif section.item == ItemType.MAP_LIST:
            end = section.offset + 4 + 12 * len(dex.map_list)
        elif section.item in ID_BYTES:
            end = section.offset + ID_BYTES[section.item] * section.size
        else:
            continue
        require(not any(dex.data[end : section.end]))


def _check_items(dex: Dex, reach: Reach) -> tuple[dict[int, int], dict[int, bytes]]:
    """Scan the data items; require that indexes fit their tables, and that sections hold nothing else."""
    uses = Uses()
    starts = {item: sorted(offsets) for item, offsets in reach.items.items()}
    item = ItemType.CLASS_DATA_ITEM
    require_gapless(dex, item, starts[item], [reach.members.ends[offset] for offset in starts[item]])
    item = ItemType.CODE_ITEM
    code = check_code(dex, starts[item], uses)
    require_gapless(dex, item, starts[item], list(code.ends.values()))
    item = ItemType.DEBUG_INFO_ITEM
    require_gapless(dex, item, starts[item], check_debug_info(dex, starts[item], uses))
    item = ItemType.ANNOTATION_ITEM
    ends, type_of = scan_annotations(dex, starts[item], uses)
    require_gapless(dex, item, starts[item], ends)
    for listed in reach.sets.values():
        require_ascending([type_of[offset] for offset in listed])
    item = ItemType.ENCODED_ARRAY_ITEM
    arrays = sorted(reach.of(item).union(dex.call_site_offsets))
    for offset in dex.call_site_offsets:
        dex.require_item(item, offset)
    ends, values = scan_arrays(dex, arrays, uses)
    require_gapless(dex, item, arrays, ends)
    for kind, table in _TABLES.items():
        used = code.odd.values_of(kind) | uses.values_of(kind)
        require(max(used, default=-1) < dex.size_of(table))
    return code.ins_sizes, values


def _check_annotations(tables: Tables, reach: Reach) -> None:
    dex = tables.dex
    for item, lists in (
        (ItemType.ANNOTATION_SET_ITEM, reach.sets),
        (ItemType.ANNOTATION_SET_REF_LIST, reach.ref_lists),
    ):
        starts = sorted(lists)
        require_gapless(dex, item, starts, [offset + 4 + 4 * len(lists[offset]) for offset in starts])
    item = ItemType.ANNOTATIONS_DIRECTORY_ITEM
    starts = sorted(reach.directories)
    require_gapless(dex, item, starts, [offset + reach.directories[offset].size_bytes for offset in starts])
    for definition in dex.class_defs:
        if definition.annotations_off:
            directory = reach.directories[definition.annotations_off]
            for rows, owners in (
                (directory.fields, tables.fields[0]),
                (directory.methods, tables.methods[0]),
                (directory.parameters, tables.methods[0]),
            ):
                if rows:
                    require_ascending([index for index, _ in rows])
                    require({owners[index] for index, _ in rows} == {definition.class_idx})
                    require(all(target for _, target in rows))


def _check_class_defs(tables: Tables) -> None:
    dex, types = tables.dex, tables.types
    place = {definition.class_idx: index for index, definition in enumerate(dex.class_defs)}
    require(len(place) == len(dex.class_defs))
    data_offsets = [item.class_data_off for item in dex.class_defs if item.class_data_off]
    require(len(set(data_offsets)) == len(data_offsets))
    for index, definition in enumerate(dex.class_defs):
        parents = tables.type_lists[definition.interfaces_off]
        require(len(set(parents)) == len(parents))
        if definition.superclass_idx != NO_INDEX:
            parents = (*parents, definition.superclass_idx)
        require(types[definition.class_idx][0] == "L" and not definition.access_flags & ~JAVA_FLAGS)
        require(definition.source_file_idx == NO_INDEX or definition.source_file_idx < len(tables.strings))
        for parent in parents:
            require(types[parent][0] == "L" and place.get(parent, -1) < index)


def _check_members(tables: Tables, reach: Reach, ins_sizes: Mapping[int, int]) -> None:
    """Check fields and methods of all classes: owners, order, and each combination of flags once."""
    dex, members = tables.dex, reach.members
    by_offset = {item.class_data_off: item for item in dex.class_defs}
    classes = [by_offset[offset] for offset in members.ends]  # file order, as the columns
    bounds = [*members.bounds, (len(members.fields.indexes), len(members.methods.indexes))]
    sizes = [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(bounds)]
    for which, column, table in ((0, members.fields, tables.fields), (1, members.methods, tables.methods)):
        counts = [size[which] for size in sizes]
        owners = chain.from_iterable(map(repeat, [item.class_idx for item in classes], counts))
        require(list(map(table[0].__getitem__, column.indexes)) == list(owners))
        require(not any(map(ge, column.previous, column.indexes)))
    strict = dex.version >= _STRICT_INTERFACES
    is_interface = [strict and bool(item.access_flags & ACC_INTERFACE) for item in classes]
    for_field = chain.from_iterable(map(repeat, is_interface, [size[0] for size in sizes]))
    for_method = chain.from_iterable(map(repeat, is_interface, [size[1] for size in sizes]))
    fields, methods = members.fields, members.methods
    require(all(map(_field_fits, set(zip(fields.flags, fields.group, for_field, strict=False)))))
    names = map(tables.methods[2].__getitem__, methods.indexes)
    special = {"<init>": 1, "<clinit>": 2}
    initialisers = [special.get(text, 0) for text in tables.strings]
    has_code = list(map(bool, members.code_offs))
    kinds = map(initialisers.__getitem__, names)
    shapes = set(zip(methods.flags, methods.group, has_code, kinds, for_method, strict=True))
    require(all(map(_method_fits, shapes)))
    _check_argument_words(tables, reach, ins_sizes, has_code)


def _field_fits(shape: tuple[int, int, bool]) -> bool:
    flags, group, in_interface = shape
    constant = ACC_PUBLIC | ACC_STATIC | ACC_FINAL
    return bool(flags & ACC_STATIC) == (group == 0) and (not in_interface or flags & constant == constant)


def _method_fits(shape: tuple[int, int, bool, int, bool]) -> bool:
    flags, group, has_code, initialiser, in_interface = shape
    is_constructor = bool(flags & ACC_CONSTRUCTOR)
    is_direct = is_constructor or bool(flags & (ACC_STATIC | ACC_PRIVATE))
    if is_direct != (group == 0) or is_constructor != bool(initialiser):
        return False
    if bool(flags & (ACC_ABSTRACT | ACC_NATIVE)) == has_code:
        return False
    if initialiser and bool(flags & ACC_STATIC) != (initialiser == 2):
        return False
    if in_interface:
        declared = ACC_PUBLIC | ACC_ABSTRACT
        if not has_code and flags & declared != declared:
            return False
        return bool(flags & (ACC_PUBLIC | ACC_PRIVATE | ACC_STATIC))
    return True


def _check_argument_words(
    tables: Tables, reach: Reach, ins_sizes: Mapping[int, int], has_code: list[bool]
) -> None:
    """Require that each method takes as many registers as its descriptor says."""
    members = reach.members
    words = [len(text) - 1 + text.count("J", 1) + text.count("D", 1) for text in tables.shorties]
    protos = map(tables.methods[1].__getitem__, compress(members.methods.indexes, has_code))
    receivers = [not flags & ACC_STATIC for flags in compress(members.methods.flags, has_code)]
    found = map(ins_sizes.__getitem__, filter(None, members.code_offs))
    require(list(map(add, map(words.__getitem__, protos), receivers)) == list(found))


def _check_static_values(tables: Tables, reach: Reach, values: dict[int, bytes]) -> None:
    """Require that no initial value is of a kind that its field cannot hold."""
    dex, members = tables.dex, reach.members
    first_field = {offset: fields for offset, (fields, _) in zip(members.ends, members.bounds, strict=True)}
    fields = members.fields
    for definition in dex.class_defs:
        if not definition.static_values_off:
            continue
        first = first_field.get(definition.class_data_off, len(fields.indexes))
        for place, kind in enumerate(values[definition.static_values_off], start=first):
            index = fields.indexes[place]
            require(tables.fields[0][index] == definition.class_idx and fields.group[place] == 0)
            letter = tables.types[tables.fields[1][index]][0]
            require(kind in KINDS_OF.get(letter, REFERENCE_KINDS))


def _check_handles(dex: Dex) -> None:
    for row in handle_rows(dex):
        require(row.method_handle_type <= _LAST_HANDLE_TYPE)
        table = ItemType.FIELD_ID_ITEM if row.names_field else ItemType.METHOD_ID_ITEM
        require(row.field_or_method_id < dex.size_of(table))
