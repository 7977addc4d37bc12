"""What is wrong with the archive itself."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from lawow.doctor import Severity
from lawow.formats.signing import resign_apk
from tests.doctor.builders import HEALTHY, findings, kinds, only, signing_key
from tests.formats.builders import RawEntry, build_zip
from tests.formats.elf_samples import shared_library
from tests.tools import run

LIBRARY = "lib/arm64-v8a/libsample.so"
MAPPED = 'android:extractNativeLibs="false"'


def unaligned(parts: dict[str, bytes]) -> bytes:
    """Return the archive with every entry stored, the data of each at a place that nobody chose."""
    return build_zip([RawEntry(name.encode(), data, method=0) for name, data in parts.items()])


def at_offset(name: str, data: bytes, offset: int) -> RawEntry:
    """Return a stored entry, the first of its archive, whose data starts at an offset."""
    return RawEntry(name.encode(), data, method=0, local_extra=bytes(offset - 30 - len(name)))


def archive_with(first: RawEntry, *, application: str = "", target_sdk: int = 36) -> bytes:
    """Return the unsigned healthy app behind an entry whose place the test chooses."""
    rest = HEALTHY.but(application=application, target_sdk=target_sdk).contents()
    return build_zip([first, *(RawEntry(name.encode(), data) for name, data in rest.items())])


def archive_kinds(data: bytes) -> dict[str, Severity]:
    """Return what is found beside the missing signature and the low target."""
    return {
        item.kind: item.severity
        for item in findings(data)
        if not item.kind.startswith(("signing-", "target-sdk"))
    }


def test_resources_have_to_be_stored_and_aligned() -> None:
    resources = b"\2\0\x0c\0 a table of resources"
    packed = HEALTHY.plus({"resources.arsc": resources * 9}).but(compressed=frozenset({"resources.arsc"}))
    assert only(packed, "resources-compressed").severity is Severity.ERROR
    assert kinds(HEALTHY.plus({"resources.arsc": resources * 9})) == set()
    moved = archive_with(at_offset("resources.arsc", resources, 65))
    assert archive_kinds(moved) == {"resources-misaligned": Severity.ERROR}
    assert kinds(resign_apk(moved, signing_key())) == set()
    older = archive_with(at_offset("resources.arsc", resources, 65), target_sdk=29)
    assert archive_kinds(older) == {"resources-misaligned": Severity.WARNING}


def test_loose_entries_are_one_finding_and_zipalign_counts_as_many(tmp_path: Path) -> None:
    data = unaligned({**HEALTHY.contents(), "assets/a": b"123", "assets/b": b"1", "assets/c": b"2"})
    (found,) = [item for item in findings(data) if item.kind == "misaligned-entry"]
    assert found.severity is Severity.WARNING
    path = tmp_path / "loose.apk"
    path.write_bytes(data)
    bad = run("zipalign", "-c", "-v", "4", path, check=False).stdout.count("(BAD")
    assert f"({bad} in all)" in found.found
    assert bad
    assert "misaligned-entry" not in kinds(resign_apk(data, signing_key()))


@pytest.mark.parametrize(
    ("offset", "target_sdk", "severity"),
    [(4098, 36, Severity.ERROR), (8192, 36, Severity.ERROR), (8192, 34, Severity.WARNING)],
)
def test_libraries_that_are_mapped_stand_at_borders_of_pages(
    offset: int, target_sdk: int, severity: Severity
) -> None:
    """4 KB for everybody, 16 KB for 64 bits; without extraction, that is."""
    library = at_offset(LIBRARY, shared_library(), offset)
    mapped = archive_with(library, application=MAPPED, target_sdk=target_sdk)
    assert archive_kinds(mapped) == {"library-misaligned": severity}
    assert "library-misaligned" not in kinds(resign_apk(mapped, signing_key()))
    extracted = archive_with(library, target_sdk=target_sdk)
    assert "library-misaligned" not in archive_kinds(extracted)


def test_32_bit_libraries_need_borders_of_4_kb_only() -> None:
    entry = at_offset("lib/armeabi-v7a/libsample.so", b"no library", 8192)
    assert "library-misaligned" not in archive_kinds(archive_with(entry, application=MAPPED))


def test_libraries_that_are_mapped_cannot_be_compressed() -> None:
    sample = HEALTHY.plus({LIBRARY: shared_library()}).but(compressed=frozenset({LIBRARY}))
    assert kinds(sample) == set()
    assert only(sample.but(application=MAPPED), "library-compressed").severity is Severity.ERROR
    assert kinds(sample.but(application=MAPPED, compressed=frozenset())) == set()


def test_names_that_leave_a_folder_and_names_that_differ_in_case() -> None:
    assert only(HEALTHY.plus({"assets/../../evil": b"1"}), "unsafe-name").severity is Severity.WARNING
    assert only(HEALTHY.plus({"res/a.png": b"1", "res/A.png": b"2"}), "case-clash").severity is Severity.NOTE


@pytest.mark.parametrize(
    "entry",
    [
        RawEntry(b"assets/secret", b"data", flags=1),
        RawEntry(b"assets/strange", b"data", method=93),
        RawEntry(b"assets/wrong", b"data", central={"crc": 1}, local={"crc": 1}),
        RawEntry(b"assets/cut", b"data" * 100, data=zlib.compress(b"data" * 100, wbits=-15)[:-2]),
    ],
    ids=lambda entry: entry.name.decode(),
)
def test_an_entry_that_cannot_be_read_is_named(entry: RawEntry) -> None:
    data = archive_with(entry)
    (found,) = [item for item in findings(data) if item.kind == "unreadable-entry"]
    assert found.place == entry.name.decode()
    assert found.severity is Severity.ERROR


def test_many_entries_that_cannot_be_read_are_one_finding() -> None:
    parts = [RawEntry(name.encode(), data) for name, data in HEALTHY.contents().items()]
    hidden = [RawEntry(f"assets/{number}".encode(), flags=1) for number in range(50)]
    (found,) = [item for item in findings(build_zip([*parts, *hidden])) if item.kind == "unreadable-entry"]
    assert found.place == "assets/0"
    assert "(and 49 more entries)" in found.found
