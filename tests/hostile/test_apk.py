"""Threats A1 to A12: hostile APKs, archives, manifests, signatures and bundles against the whole of the tool.

The readers' own tests go field by field; here the same inputs meet what users run. Whatever comes in, a value
comes out or one of LAWOW's errors, and nothing is written anywhere else than asked.
"""

from __future__ import annotations

import io
import random
import unicodedata
import zipfile
from pathlib import Path

import pytest

from lawow.errors import FormatError, LawowError, LimitExceeded
from lawow.formats.apk import INTERNET, read_app
from lawow.formats.apk_set import read_input
from lawow.formats.axml import read_manifest
from lawow.formats.bundle import read_bundle
from lawow.formats.signing import SigningKey, verify_apk
from lawow.formats.zip import read_zip
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.conftest import lawow
from tests.formats.builders import RawEntry, build_zip, mutated_fields
from tests.formats.test_zip import REFUSED
from tests.refactor.builders import FIB, MAIN, binary_manifest, make_zip, smali_class
from tests.refactor.conftest import FIBONACCI, BuildApp

MODULE = {"assets/fibonacci.wasm": FIB}


def outcome(data: bytes) -> LawowError | None:
    """Read a file as `lawow refactor` does; whatever is no error of ours escapes and fails the test."""
    try:
        source = read_input(data, "app.apk")
        read_app(source.base, name=source.base_name)
    except LawowError as error:
        return error
    return None


def parts_of(apk: bytes) -> list[RawEntry]:
    with zipfile.ZipFile(io.BytesIO(apk)) as archive:
        return [RawEntry(info.filename.encode(), archive.read(info)) for info in archive.infolist()]


@pytest.fixture(scope="module")
def apk(build_app: BuildApp) -> bytes:
    return build_app()


NAMES = [
    b"../escaped", b"assets/../../escaped", b"/tmp/escaped", b"//escaped", b"C:\\escaped", b"c:escaped",
    b"..\\escaped", b"a\\..\\..\\escaped", b".", b"..", b"./escaped", b"assets//escaped", b"~/escaped",
    b"CON", b"aux.txt", b"a\nb", b"\x1b[2J", "\u202egnp.apk".encode(), b"CLASSES.DEX", b"androidmanifest.xml",
    unicodedata.normalize("NFC", "é").encode(), unicodedata.normalize("NFD", "é").encode(), b"x" * 5000,
]  # fmt: skip
REFUSED_NAMES = [b"a\0b", b"\0", b"", b"\xc0\xaf..", b"\xff", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"]


def test_a1_hostile_names_are_names_and_never_places(apk: bytes, tmp_path: Path) -> None:
    place = tmp_path / "watched" / "in"
    place.mkdir(parents=True)
    (place / "app.apk").write_bytes(build_zip([*parts_of(apk), *(RawEntry(name, b"evil") for name in NAMES)]))
    before = set(tmp_path.rglob("*"))
    lawow("refactor", place / "app.apk", "--debug-key", "--no-report")
    after = set(tmp_path.rglob("*")) - before
    assert after == {place / "app-slim.apk", place / "app-offload.jar"}
    assert not Path("/tmp/escaped").exists()
    slim = read_zip((place / "app-slim.apk").read_bytes())
    assert all(slim.by_name[name].read() == b"evil" for name in NAMES)


def test_a1_hostile_names_in_a_set_are_names_too_and_links_are_entries(apk: bytes, tmp_path: Path) -> None:
    place = tmp_path / "watched" / "in"
    place.mkdir(parents=True)
    link = RawEntry(b"assets/link", b"/etc/passwd", attributes=0o120777 << 16)
    base = RawEntry(b"../../base.apk", build_zip([*parts_of(apk), link]))
    others = [RawEntry(name, b"evil") for name in NAMES if not name.endswith(b".apk")]
    (place / "app.apks").write_bytes(build_zip([base, *others]))
    before = set(tmp_path.rglob("*"))
    lawow("refactor", place / "app.apks", "--debug-key", "--no-report")
    after = set(tmp_path.rglob("*")) - before
    assert after == {place / "app-slim.apks", place / "app-offload.jar"}
    assert not any(path.is_symlink() for path in after)
    slim = read_zip((place / "app-slim.apks").read_bytes())
    assert [entry.name for entry in slim.entries] == [base.name, *(entry.name for entry in others)]
    kept = read_zip(slim.by_name[base.name].read()).by_name[link.name]
    assert (kept.read(), kept.external_attributes) == (link.content, link.attributes)


def test_a1_names_that_android_refuses_are_refused(apk: bytes) -> None:
    for name in REFUSED_NAMES:
        assert isinstance(outcome(build_zip([*parts_of(apk), RawEntry(name, b"evil")])), FormatError), name


@pytest.mark.parametrize("case", REFUSED)
def test_a3_a4_what_two_readers_could_take_differently_is_refused_by_name(case: str) -> None:
    error = outcome(REFUSED[case][0])
    assert isinstance(error, FormatError)
    assert str(error).startswith("app.apk: ")


LIES = {
    "size too small": {"uncompressed": 100},
    "size too large": {"uncompressed": 1 << 20},
    "wrong crc": {"crc": 1},
    "unknown method": {"method": 99},
    "encrypted": {"flags": 1},
    "zip64": {"uncompressed": 0xFFFFFFFF},
    "stored with two sizes": {"method": 0},
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", [b"AndroidManifest.xml", b"classes.dex"])
def test_a4_an_entry_that_lies_is_refused_where_it_is_needed(apk: bytes, name: bytes, lie: str) -> None:
    parts = parts_of(apk)
    victim = next(item for item in parts if item.name == name)
    victim.central, victim.local = dict(LIES[lie]), dict(LIES[lie])
    error = outcome(build_zip(parts))
    assert isinstance(error, FormatError | LimitExceeded)
    assert name.decode() in str(error)


def test_a5_a_file_cut_off_anywhere_is_refused(apk: bytes, tmp_path: Path) -> None:
    small = make_zip(
        {item.name.decode(): item.content for item in parts_of(apk) if not item.name.startswith(b"res/")}
    )
    assert outcome(small) is None
    assert [size for size in range(len(small)) if outcome(small[:size]) is None] == []
    contents = {item.name: item.content for item in parts_of(small)}
    for name in (b"classes.dex", b"AndroidManifest.xml"):
        whole = contents[name]
        for size in range(len(whole)):
            cut = make_zip({key.decode(): data for key, data in {**contents, name: whole[:size]}.items()})
            assert isinstance(outcome(cut), FormatError), (name, size)


def test_a8_a_manifest_with_lying_fields_is_edited_soundly_or_refused(tmp_path: Path) -> None:
    manifest = binary_manifest(tmp_path)
    edited = 0
    for data in mutated_fields(manifest, range(0, len(manifest), 4)):
        try:
            document = read_manifest(data)
            assert document.to_bytes() == data
            document.add_permission(INTERNET)
            again = read_manifest(document.to_bytes())
            package = document.package
        except (FormatError, LimitExceeded):
            continue
        assert INTERNET in again.permissions
        assert again.package == package
        edited += 1
    assert edited > 100


def test_a9_any_changed_place_of_a_slim_apk_gets_a_verdict(apk: bytes, key: SigningKey) -> None:
    slim = refactor_app(apk, "app.apk", PlanOptions(), SplitOptions(), key).apk
    rng = random.Random(9)
    block = slim.rindex(b"APK Sig Block 42")
    for _ in range(300):
        data = bytearray(slim)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(max(0, block - 8000), len(data))] = rng.randrange(256)
        verify_apk(bytes(data))  # never raises
        outcome(bytes(data))


def test_a11_an_inheritance_cycle_ends(build_app: BuildApp, key: SigningKey) -> None:
    cycle = [
        smali_class(f"com.example.app.C{number}").replace(
            "Ljava/lang/Object;", f"Lcom/example/app/C{1 - number};"
        )
        for number in (0, 1)
    ]
    data = build_app([FIBONACCI, MAIN], cycle[:1], cycle[1:], entries=MODULE)
    done = refactor_app(data, "app.apk", PlanOptions(), SplitOptions(), key)
    assert verify_apk(done.apk).verifies


def test_a12_a_changed_bundle_is_refused_or_says_the_same(apk: bytes, key: SigningKey) -> None:
    bundle = refactor_app(apk, "app.apk", PlanOptions(), SplitOptions(), key).bundle
    original = read_bundle(bundle)
    same = []
    for place in range(len(bundle)):
        data = bytearray(bundle)
        data[place] ^= 0x10
        try:
            read = read_bundle(bytes(data))
        except (FormatError, LimitExceeded):
            continue
        assert (read.modules, read.methods, read.origin) == (
            original.modules,
            original.methods,
            original.origin,
        )
        same.append(place)
    assert len(same) < len(bundle) // 4  # times, versions and attributes in ZIP headers, which mean nothing
