"""Which data items a set of classes reaches, and where the offsets stand that lead to them.

This is the first half of "cut and shift": what only dropped classes reach can go, and every offset that is
collected here for the classes that stay is rewritten. One pass, dominated by the code offsets of class_data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lawow.errors import FormatError
from lawow.formats.dex.bulk import u32_view
from lawow.formats.dex.items import AnnotationsDirectory, read_annotations_directory, read_offset_list
from lawow.formats.dex.members import Members, read_members
from lawow.formats.dex.spec import ALIGNMENT, ItemType, item_name

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = ["Reach", "disjoint", "find_reach", "require_inside"]

_CODE_HEAD_BYTES = 16
_DEBUG_INFO_OFF = 8  # in a code_item


@dataclass(slots=True)
class Reach:
    """Offsets of all reached items, by section, and what they point to."""

    members: Members
    debug_info_of: dict[int, int] = field(default_factory=dict)  # by code_item
    directories: dict[int, AnnotationsDirectory] = field(default_factory=dict)
    ref_lists: dict[int, tuple[int, ...]] = field(default_factory=dict)
    sets: dict[int, tuple[int, ...]] = field(default_factory=dict)
    items: dict[ItemType, set[int]] = field(default_factory=dict)

    def of(self, item: ItemType) -> set[int]:
        """Return the offsets of the reached items of a section."""
        return self.items.setdefault(item, set())


def find_reach(dex: Dex, class_indexes: Iterable[int]) -> Reach:
    """Collect what the classes at these places in class_defs reach."""
    reach = Reach(Members(dex))
    definitions = [dex.class_defs[index] for index in class_indexes]
    for item, name in _CLASS_DEF_OFFSETS:
        reach.of(item).update(getattr(definition, name) for definition in definitions)
        reach.of(item).discard(0)
        require_inside(dex, item, reach.of(item))
    _reach_code(dex, reach)
    _reach_annotations(dex, reach)
    return reach


_CLASS_DEF_OFFSETS = (
    (ItemType.TYPE_LIST, "interfaces_off"),
    (ItemType.ANNOTATIONS_DIRECTORY_ITEM, "annotations_off"),
    (ItemType.CLASS_DATA_ITEM, "class_data_off"),
    (ItemType.ENCODED_ARRAY_ITEM, "static_values_off"),
)


def require_inside(dex: Dex, item: ItemType, offsets: Collection[int]) -> None:
    """Raise `FormatError` unless all offsets lie in the section of `item` and are aligned."""
    if offsets:
        dex.require_item(item, min(offsets))
        dex.require_item(item, max(offsets))
        if ALIGNMENT[item] > 1:
            for offset in offsets:
                if offset & 3:
                    dex.require_item(item, offset)


def disjoint(dex: Dex, item: ItemType, offsets: Collection[int], walk: Callable[[int], int]) -> None:
    """Walk over items in file order; `walk` returns an item's end.

    Raises `FormatError` at the first item that reaches into the next one or out of the section. So the
    work is linear in the section's size, however many offsets a hostile file points into one place.
    """
    require_inside(dex, item, offsets)
    end = 0
    for offset in sorted(offsets):
        if offset < end:
            raise FormatError("items overlap", structure=item_name(item), offset=offset)
        end = walk(offset)
        if end > dex.sections[item].end:
            raise FormatError("item runs past its section", structure=item_name(item), offset=offset)


def _reach_code(dex: Dex, reach: Reach) -> None:
    reach.members = members = read_members(dex, reach.of(ItemType.CLASS_DATA_ITEM))
    codes = reach.of(ItemType.CODE_ITEM)
    codes.update(members.code_offs)
    codes.discard(0)
    require_inside(dex, ItemType.CODE_ITEM, codes)
    if codes and max(codes) + _CODE_HEAD_BYTES > dex.sections[ItemType.CODE_ITEM].end:
        raise FormatError("is cut off", structure="code_item", offset=max(codes))
    numbers = u32_view(dex.data)
    reach.debug_info_of = {
        offset: debug_info_off
        for offset in codes
        if (debug_info_off := numbers[(offset + _DEBUG_INFO_OFF) >> 2])
    }
    reach.of(ItemType.DEBUG_INFO_ITEM).update(reach.debug_info_of.values())
    require_inside(dex, ItemType.DEBUG_INFO_ITEM, reach.of(ItemType.DEBUG_INFO_ITEM))


def _reach_annotations(dex: Dex, reach: Reach) -> None:
    sets = reach.of(ItemType.ANNOTATION_SET_ITEM)
    lists = reach.of(ItemType.ANNOTATION_SET_REF_LIST)

    def walk_directory(offset: int) -> int:
        directory, end = read_annotations_directory(dex, offset)
        reach.directories[offset] = directory
        sets.add(directory.class_annotations_off)
        sets.update([place for _, place in directory.fields + directory.methods])
        lists.update([place for _, place in directory.parameters])
        return end

    def walk_list(offset: int) -> int:
        reach.ref_lists[offset] = read_offset_list(dex, ItemType.ANNOTATION_SET_REF_LIST, offset)
        sets.update(reach.ref_lists[offset])
        return offset + 4 + 4 * len(reach.ref_lists[offset])

    def walk_set(offset: int) -> int:
        reach.sets[offset] = read_offset_list(dex, ItemType.ANNOTATION_SET_ITEM, offset)
        items.update(reach.sets[offset])
        return offset + 4 + 4 * len(reach.sets[offset])

    items = reach.of(ItemType.ANNOTATION_ITEM)
    directories = ItemType.ANNOTATIONS_DIRECTORY_ITEM
    disjoint(dex, directories, reach.of(directories), walk_directory)
    disjoint(dex, ItemType.ANNOTATION_SET_REF_LIST, lists, walk_list)
    sets.discard(0)
    disjoint(dex, ItemType.ANNOTATION_SET_ITEM, sets, walk_set)
    require_inside(dex, ItemType.ANNOTATION_ITEM, items)
