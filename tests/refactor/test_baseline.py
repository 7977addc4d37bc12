"""Baseline profiles: patched where ids stay, removed where they go or where the format is unknown."""

from __future__ import annotations

import struct
import zlib

import pytest

from lawow.errors import FormatError
from lawow.formats.signing import SigningKey
from lawow.formats.zip import read_zip
from lawow.refactor.baseline import METADATA, PROFILE, patch_profile, read_profile
from lawow.refactor.pipeline import Refactored, refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.formats.builders import survives
from tests.refactor.builders import FIB, MAIN, REAL_FIB, smali_class
from tests.refactor.conftest import BuildApp

FIBONACCI = smali_class("com.example.app.FibonacciWasm", REAL_FIB)


def profile(*crcs: int, methods: int = 9, classes: int = 2, version: bytes = b"010\0") -> bytes:
    """A profile as profgen writes it: a line for each dex file, then its method region, classes, bitmap."""
    names = [b"classes.dex", b"classes2.dex", b"classes3.dex"]
    lines, regions = b"", b""
    for name, crc in zip(names, crcs, strict=False):
        lines += struct.pack("<HHIII", len(name), classes, 4, crc, methods) + name
        regions += b"\1\0\2\0" + bytes(2 * classes) + b"\xff" * ((2 * methods + 7) // 8)
    body = lines + regions
    packed = zlib.compress(body)
    return b"pro\0" + version + struct.pack("<BII", len(crcs), len(body), len(packed)) + packed


def crc_of(apk: bytes, name: str) -> int:
    return read_zip(apk).by_name[name.encode()].crc32


def refactored(build_app: BuildApp, key: SigningKey, data: bytes, *, gc: bool) -> tuple[bytes, Refactored]:
    entries = {"assets/fibonacci.wasm": FIB, PROFILE: data, METADATA: b"prm\0002\0\0"}
    apk = build_app([FIBONACCI, MAIN], entries=entries, stored=[PROFILE, METADATA])
    patched = data or profile(crc_of(apk, "classes.dex"), 77)
    apk = build_app([FIBONACCI, MAIN], entries={**entries, PROFILE: patched}, stored=[PROFILE, METADATA])
    return apk, refactor_app(apk, "app.apk", PlanOptions(), SplitOptions(keep_orphan_ids=not gc), key)


def test_where_ids_stay_the_crc_is_patched_and_nothing_else(build_app: BuildApp, key: SigningKey) -> None:
    before, done = refactored(build_app, key, b"", gc=False)
    archive = read_zip(done.apk)
    lines = read_profile(archive.by_name[PROFILE.encode()].read())
    assert [(line.name, line.crc32) for line in lines] == [
        ("classes.dex", crc_of(done.apk, "classes.dex")),
        ("classes2.dex", 77),
    ]
    assert lines[0].crc32 != crc_of(before, "classes.dex")
    assert archive.by_name[METADATA.encode()].read() == b"prm\0002\0\0"
    assert archive.by_name[PROFILE.encode()].method == 0


def test_where_ids_were_collected_the_profile_goes_and_the_report_says_so(
    build_app: BuildApp, key: SigningKey
) -> None:
    _, done = refactored(build_app, key, b"", gc=True)
    assert not {PROFILE.encode(), METADATA.encode()} & set(read_zip(done.apk).by_name)
    (warning,) = (item for item in done.report.warnings if PROFILE in item)
    assert "names methods by ids that were collected (classes.dex; --no-gc keeps them)" in warning
    actions = {change.path: (change.kind, change.action) for change in done.report.split.changes}
    assert actions[PROFILE] == actions[METADATA] == ("profile", "removed")


def test_an_unknown_profile_goes_and_one_about_others_stays(build_app: BuildApp, key: SigningKey) -> None:
    _, done = refactored(build_app, key, profile(1, version=b"015\0"), gc=False)
    assert PROFILE.encode() not in read_zip(done.apk).by_name
    assert any("is of another format" in item for item in done.report.warnings)
    _, done = refactored(build_app, key, profile(1, 2), gc=True)
    assert read_zip(done.apk).by_name[PROFILE.encode()].read() == profile(1, 2)


def test_a_profile_is_patched_dex_file_by_dex_file() -> None:
    patched = patch_profile(profile(10, 20, 30), {20: 21}, ())
    assert patched is not None
    assert [line.crc32 for line in read_profile(patched)] == [10, 21, 30]
    assert patch_profile(profile(10), {20: 21}, ()) is None
    with pytest.raises(FormatError, match=r"classes2\.dex"):
        patch_profile(profile(10, 20), {20: 21}, (20,))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (profile(1) + b"x", "goes on after its end"),
        (b"pro\x00010\0" + struct.pack("<BII", 1, 1 << 31, 5) + b"12345", "is too large"),
        (b"pro\x00010\0" + struct.pack("<BII", 1, 9, 5) + b"12345", "not valid zlib"),
        (b"pro\x00010\0" + struct.pack("<BII", 0, 1, 8) + zlib.compress(b""), "another size"),
        (profile(1, methods=9)[:8] + b"\0" + profile(1)[9:], "regions of another size"),
    ],
)
def test_what_is_no_whole_profile_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(FormatError, match=sentence):
        read_profile(data)


def test_a_profile_cut_off_or_changed_anywhere_raises_nothing_but_format_errors() -> None:
    data = profile(1, 2, 3)
    assert not any(survives(read_profile, data[:size]) for size in range(len(data)))
    for place in range(len(data)):
        survives(read_profile, data[:place] + bytes((data[place] ^ 0xFF,)) + data[place + 1 :])
