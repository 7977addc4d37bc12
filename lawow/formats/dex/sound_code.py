"""The quick half of verification, part two: are code and debug information beyond doubt?

Most items match one expression that knows the sizes of the tables (`lawow.formats.dex.patterns`). The others
are odd: they are scanned, and whoever calls compares the indexes in them with the tables. No byte is looked
at for two items, however a hostile file lays them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lawow.errors import FormatError
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.patterns import code_pattern, debug_info_pattern
from lawow.formats.dex.reader import Dex
from lawow.formats.dex.scan import CodeScan, Uses, code_end, scan_code, scan_debug_info, scan_tries
from lawow.formats.dex.spec import CODE_ITEM, ItemType

__all__ = ["CheckedCode", "check_code", "check_debug_info"]


class CheckedCode:
    """By offset of a code_item, ascending: its end, and its words of arguments. `odd` has what the odd ones
    hold."""

    __slots__ = ("ends", "ins_sizes", "odd")

    def __init__(self, offsets: Sequence[int]) -> None:
        self.ends = dict.fromkeys(offsets, 0)
        self.ins_sizes = dict.fromkeys(offsets, 0)
        self.odd = CodeScan(())


def check_code(dex: Dex, offsets: Sequence[int], uses: Uses) -> CheckedCode:
    """Check code_items at these offsets, ascending; catch types go to `uses`.

    Raises `FormatError` as `scan_code` does.
    """
    checked = CheckedCode(offsets)
    odd = []
    match, unpack, data = code_pattern(dex).match, CODE_ITEM.unpack_from, dex.data
    limit = dex.sections[ItemType.CODE_ITEM].end if offsets else 0
    end = 0
    for offset in offsets:
        if offset < end or offset + CODE_ITEM.size > limit:
            raise FormatError("items overlap or are cut off", structure="code_item", offset=offset)
        head = unpack(data, offset)
        end = code_end(head, offset, limit)
        matched = match(data, offset + CODE_ITEM.size, end)
        if matched is None or matched.end() != end:
            odd.append(offset)
            continue
        if head[3]:
            end = scan_tries(data, end, head, uses.plain[IndexKind.TYPE])
        checked.ins_sizes[offset] = head[1]
        checked.ends[offset] = end
    checked.odd = scan_code(dex, odd, uses)
    checked.ends.update(zip(odd, checked.odd.ends, strict=True))
    checked.ins_sizes.update(zip(odd, checked.odd.ins_sizes, strict=True))
    return checked


def check_debug_info(dex: Dex, offsets: Sequence[int], uses: Uses) -> list[int]:
    """Check debug_info_items at these offsets, ascending; return their ends. Raises `FormatError` as
    `scan_debug_info` does.
    """
    if not offsets:
        return []
    match, data, limit = debug_info_pattern(dex).match, dex.data, dex.sections[ItemType.DEBUG_INFO_ITEM].end
    ends: dict[int, int] = {}
    odd = []
    for offset, following in pairwise([*offsets, limit]):
        matched = match(data, offset, following)  # an item may not reach into the next one
        if matched is None:
            odd.append(offset)
        ends[offset] = matched.end() if matched else 0
    ends.update(zip(odd, scan_debug_info(dex, odd, uses), strict=True))
    return list(ends.values())
