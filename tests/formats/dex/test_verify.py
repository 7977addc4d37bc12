"""One fault in a sound file, one issue that names it."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from lawow.formats.dex import Dex, read_dex, verify_dex
from lawow.formats.dex.spec import ID_BYTES, ItemType
from tests.formats.dex.builders import reseal

Change = Callable[[bytearray, Dex], None]


def row(dex: Dex, item: ItemType, index: int) -> int:
    return dex.sections[item].offset + ID_BYTES[item] * index


def swap_rows(item: ItemType) -> Change:
    def change(out: bytearray, dex: Dex) -> None:
        first, second, third = (row(dex, item, index) for index in range(3))
        out[first:second], out[second:third] = out[second:third], out[first:second]

    return change


def put(item: ItemType, index: int, place: int, layout: str, value: int) -> Change:
    def change(out: bytearray, dex: Dex) -> None:
        struct.pack_into(layout, out, row(dex, item, index) + place, value)

    return change


def misalign_string(out: bytearray, dex: Dex) -> None:
    place = row(dex, ItemType.STRING_ID_ITEM, 3)
    struct.pack_into("<I", out, place, dex.string_offsets[3] + 1)


def index_past_table(out: bytearray, dex: Dex) -> None:
    method = dex.class_def("Lsample/Secret;").method("fib", "(I)I")
    assert method is not None
    assert method.code is not None
    units = dex.code_units(method.code)
    place = next(at for at, unit in enumerate(units) if unit & 0xFF == 0x71)
    struct.pack_into("<H", out, method.code.insns_off + 2 * place + 2, 0x7FFF)


def unused_opcode(out: bytearray, dex: Dex) -> None:
    method = dex.class_def("Lsample/Secret;").method("fib", "(I)I")
    assert method is not None
    assert method.code is not None
    out[method.code.insns_off] = 0x3E


def share_class_data(out: bytearray, dex: Dex) -> None:
    struct.pack_into("<I", out, row(dex, ItemType.CLASS_DEF_ITEM, 0) + 24, dex.class_defs[1].class_data_off)


def forget_class_data(out: bytearray, dex: Dex) -> None:
    index = dex.class_def("Lsample/Secret;").index
    struct.pack_into("<I", out, row(dex, ItemType.CLASS_DEF_ITEM, index) + 24, 0)


def dirty_padding(out: bytearray, dex: Dex) -> None:
    for section in dex.map_list:
        if section.item == ItemType.TYPE_LIST and out[section.end - 2 : section.end] == b"\0\0":
            out[section.end - 1] = 1
            return
    section = dex.sections[ItemType.STRING_DATA_ITEM]
    out[section.end - 1] = out[section.end - 1] or 1


CHANGES = {
    "type_ids out of order": (swap_rows(ItemType.TYPE_ID_ITEM), "type_ids"),
    "string_ids out of order": (swap_rows(ItemType.STRING_ID_ITEM), "string_ids"),
    "proto_ids out of order": (swap_rows(ItemType.PROTO_ID_ITEM), "proto_ids"),
    "method_ids out of order": (swap_rows(ItemType.METHOD_ID_ITEM), "method_ids"),
    "field_ids out of order": (swap_rows(ItemType.FIELD_ID_ITEM), "field_ids"),
    "string offset into a string": (misalign_string, "string_ids"),
    "type index past the table": (put(ItemType.FIELD_ID_ITEM, 0, 2, "<H", 0x7FFF), "type_ids"),
    "class without its data": (forget_class_data, "class_data_item"),
    "class data shared": (share_class_data, "class_d"),
    "method index in code past the table": (index_past_table, "code_item"),
    "unused opcode": (unused_opcode, "code_item"),
    "padding": (dirty_padding, ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_planted_fault_is_found_where_it_is(sample: bytes, name: str) -> None:
    change, place = CHANGES[name]
    dex = read_dex(sample)
    out = bytearray(sample)
    change(out, dex)
    issues = verify_dex(reseal(out))
    assert issues
    assert any(place in issue.structure for issue in issues), [str(issue) for issue in issues]


def test_a_sound_file_has_no_issues(sample: bytes, dynamic: bytes) -> None:
    assert verify_dex(sample) == []
    assert verify_dex(dynamic) == []


def test_stale_checksum_and_signature_are_two_issues(sample: bytes) -> None:
    out = bytearray(sample)
    out[sample.index(b"the key")] ^= 0x20
    kinds = [issue.kind for issue in verify_dex(bytes(out))]
    assert kinds[:2] == ["checksum", "signature"]


def test_an_issue_reads_as_a_sentence_with_its_place(sample: bytes) -> None:
    out = bytearray(sample)
    misalign_string(out, read_dex(sample))
    texts = [str(issue) for issue in verify_dex(reseal(out))]
    assert any(
        text.startswith("string_ids[3]: does not hit a string_data_item (at offset 0x") for text in texts
    )


def test_no_more_than_a_hundred_issues_are_listed() -> None:
    assert len(verify_dex(b"")) == 1
    assert verify_dex(b"dex\n035\0" + bytes(200))[0].structure == "header"
