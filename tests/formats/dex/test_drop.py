"""Dropped classes are gone with their strings, everything else is as it was, Android accepts the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import FormatError, UsageError
from lawow.formats.dex import collect_garbage, drop_classes, read_dex, verify_dex
from lawow.formats.dex.spec import ItemType
from tests.formats.dex.builders import baksmali, dexdump, reseal, smali

SECRET = "Lsample/Secret;"


@pytest.fixture(scope="module")
def slim(sample: bytes) -> bytes:
    return drop_classes(read_dex(sample), [SECRET])


def test_all_other_classes_stay_as_they_are(sample_text: dict[str, str], slim: bytes, tmp_path: Path) -> None:
    assert verify_dex(slim) == []
    assert dexdump(tmp_path, slim) == ""
    assert baksmali(tmp_path, slim) == {name: text for name, text in sample_text.items() if name != SECRET}


def test_ids_stay_until_garbage_is_collected(sample: bytes, slim: bytes) -> None:
    before, after = read_dex(sample), read_dex(slim)
    assert after.type_ids == before.type_ids
    assert [after.string(i) for i in range(after.size_of(ItemType.STRING_ID_ITEM))] == [
        before.string(i) for i in range(before.size_of(ItemType.STRING_ID_ITEM))
    ]


def test_no_string_of_a_dropped_class_stays_readable(
    sample_text: dict[str, str], slim: bytes, tmp_path: Path
) -> None:
    clean = collect_garbage(slim)
    for text in (
        b"secret-library",
        b"the key of the secret",
        b"only here",
        b"hidden",
        b"Lsample/Secret;",
        b"depth",
    ):
        assert text in slim
        assert text not in clean
    assert verify_dex(clean) == []
    assert dexdump(tmp_path, clean) == ""
    assert baksmali(tmp_path, clean) == {name: text for name, text in sample_text.items() if name != SECRET}


def test_a_file_that_uses_all_its_ids_comes_back_as_it_is(sample: bytes) -> None:
    assert collect_garbage(sample) == sample


def test_markers_of_compilers_stay(tmp_path: Path) -> None:
    marked = smali(
        tmp_path / "in",
        ".class La;\n.super Ljava/lang/Object;\n",
        """.class Lb;
.super Ljava/lang/Object;
.method static m()V
    .registers 1
    const-string v0, "~~D8{\\"compilation-mode\\":\\"release\\"}"
    const-string v0, "~~~{\\"Lb;\\":\\"b5d7\\"}"
    return-void
.end method
""",
    )
    clean = collect_garbage(drop_classes(read_dex(marked), ["Lb;"]))
    assert b"~~D8{" in clean
    assert b"~~~{" not in clean


@pytest.mark.parametrize("kept", range(5))
def test_any_set_of_classes_can_go(sample: bytes, tmp_path: Path, kept: int) -> None:
    """Sections become empty on the way: their entries in map_list have to go too."""
    dex = read_dex(sample)
    names = dex.class_names()
    slim = drop_classes(dex, names[kept:])
    assert read_dex(slim).class_names() == names[:kept]
    for data in (slim, collect_garbage(slim)):
        assert verify_dex(data) == []
        assert dexdump(tmp_path, data) == ""


def test_call_sites_and_method_handles_are_carried_through(dynamic: bytes, tmp_path: Path) -> None:
    slim = drop_classes(read_dex(dynamic), [SECRET, "Lsample/Main;"])
    clean = collect_garbage(slim)
    assert verify_dex(clean) == []
    assert dexdump(tmp_path, clean) == ""
    before, after = baksmali(tmp_path / "before", dynamic), baksmali(tmp_path / "after", clean)
    assert after == {name: text for name, text in before.items() if name not in (SECRET, "Lsample/Main;")}


def test_an_unknown_class_is_a_usage_error(sample: bytes) -> None:
    with pytest.raises(UsageError, match="Lno/Such;"):
        drop_classes(read_dex(sample), ["Lno/Such;"])


def test_a_live_item_inside_of_a_dead_one_is_refused(sample: bytes) -> None:
    dex = read_dex(sample)
    secret, main = dex.class_def(SECRET), dex.class_def("Lsample/Main;")
    out = bytearray(sample)
    row = dex.sections[ItemType.CLASS_DEF_ITEM].offset + 32 * main.index + 24
    out[row : row + 4] = (secret.definition.class_data_off + 1).to_bytes(4, "little")
    with pytest.raises(FormatError):
        drop_classes(read_dex(reseal(out)), [SECRET])


def test_padded_uleb128_is_read_by_everybody(sample: bytes, slim: bytes, tmp_path: Path) -> None:
    """Code offsets shrink below 2^14 and keep their two or three bytes."""
    again = drop_classes(read_dex(slim), ["Lsample/Mark;"])
    assert dexdump(tmp_path, again) == ""
    assert len(again) < len(slim) < len(sample)
