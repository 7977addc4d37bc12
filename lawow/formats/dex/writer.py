"""Drops classes from a dex file and leaves everything else as it is.

"Cut and shift": class_defs of the dropped classes go, and with them the data items that only they used. Ids
stay as they are, so not one instruction changes. Leaving the data would not do: Android's verifier refuses a
class_data_item without its class_def_item. `collect_garbage` removes the ids that nobody uses afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lawow.errors import UsageError
from lawow.formats.dex.gc import orphan_cuts, renumber
from lawow.formats.dex.layout import Cuts, item_cuts, proto_type_lists, row_cuts, shift
from lawow.formats.dex.mark import Beside, Later, mark_ids
from lawow.formats.dex.reach import Reach, find_reach
from lawow.formats.dex.spec import ItemType

if TYPE_CHECKING:
    from lawow.formats.dex.reader import Dex

__all__ = ["drop_classes"]

_OWNED = (
    ItemType.TYPE_LIST,
    ItemType.ANNOTATION_SET_REF_LIST,
    ItemType.ANNOTATION_SET_ITEM,
    ItemType.CODE_ITEM,
    ItemType.DEBUG_INFO_ITEM,
    ItemType.ANNOTATION_ITEM,
    ItemType.ENCODED_ARRAY_ITEM,
    ItemType.ANNOTATIONS_DIRECTORY_ITEM,
)


def drop_classes(
    dex: Dex, descriptors: Iterable[str], *, keep_orphan_ids: bool = True, beside: Beside = Later
) -> bytes:
    """Return the dex file without these classes (all definitions of each, should a faulty file have several).

    Without `keep_orphan_ids` the ids that nobody uses any more go in the same pass; `beside` may do a part of
    that work meanwhile (`lawow.formats.dex.mark`). Raises `UsageError` for a class that the file doesn't
    define, `FormatError` if the file's items overlap.
    """
    dropped: set[int] = set()
    for descriptor in descriptors:
        indexes = dex.class_indexes(descriptor)
        if not indexes:
            raise UsageError(f"the dex file defines no class {descriptor}")
        dropped.update(indexes)
    kept = [index for index in range(len(dex.class_defs)) if index not in dropped]
    live = find_reach(dex, kept)
    marks = None if keep_orphan_ids else mark_ids(dex, live, kept, beside)
    orphans = orphan_cuts(marks) if marks else {}
    dead = find_reach(dex, dropped)
    # Lists of parameters belong to protos, of which some may go.
    (dead if orphans else live).of(ItemType.TYPE_LIST).update(proto_type_lists(dex))
    cuts = {**orphans, **_class_cuts(dex, live, dead, dropped)}
    return shift(dex, live, cuts, renumber(marks) if marks and orphans else None)


def _class_cuts(dex: Dex, live: Reach, dead: Reach, dropped: Iterable[int]) -> Cuts:
    """Return the ranges that are dead and not live."""
    live.of(ItemType.ENCODED_ARRAY_ITEM).update(dex.call_site_offsets)
    cuts: Cuts = {item: item_cuts(dex, item, dead.of(item), live.of(item)) for item in _OWNED}
    data_item = ItemType.CLASS_DATA_ITEM
    cuts[data_item] = item_cuts(dex, data_item, dead.of(data_item), live.of(data_item), dead.members.ends)
    cuts[ItemType.CLASS_DEF_ITEM] = row_cuts(dex, ItemType.CLASS_DEF_ITEM, dropped)
    return cuts
