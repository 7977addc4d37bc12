"""Damaged and hostile apps: findings or a refusal, and nothing else escapes."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from lawow.doctor import examine
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.apk_set import read_input
from lawow.formats.zip import make_entry, read_zip, write_zip
from tests.doctor.builders import HEALTHY, dex_of, findings, signing_key
from tests.doctor.test_lawow_checks import MODULE, binding, packed
from tests.formats.builders import RawEntry, build_zip
from tests.formats.test_zip import REFUSED

ROUNDS = 60
VERITY_PADDING = struct.pack("<I", 0x42726577)


def outcome(data: bytes) -> str:
    """Examine a file; whatever is neither a report nor a refusal escapes and fails the test."""
    try:
        return "found" if examine(read_input(data, "app.apk")).findings else "healthy"
    except (FormatError, LimitExceeded, Refused) as error:
        return "refused" if str(error).startswith("app.apk") else f"refused without a name: {error}"


@pytest.fixture(scope="module")
def apk() -> bytes:
    """An app with everything that is looked at, and small."""
    small = {name: data for name, data in packed().entries.items() if not name.startswith("lib/x86_64")}
    return packed().but(entries=small).build()


def padding_of(apk: bytes) -> range:
    """Return where the APK Signing Block is padded to whole pages: the value of the pair with that id."""
    at = apk.index(VERITY_PADDING, apk.rindex(b"APK Sig Block 42") - 8192)
    (pair_bytes,) = struct.unpack_from("<Q", apk, at - 8)
    return range(at + 4, at + pair_bytes)


def test_an_app_cut_off_anywhere_is_refused(apk: bytes) -> None:
    step = len(apk) // ROUNDS
    assert {outcome(apk[:size]) for size in range(0, len(apk), step)} == {"refused"}


def test_random_damage_is_found_or_refused(apk: bytes) -> None:
    """Nothing of a signed file can change unnoticed; only the signing block's padding is not signed."""
    draw = random.Random(1)
    seen: Counter[str] = Counter()
    padding = padding_of(apk)
    places = [place for place in range(len(apk)) if place not in padding]
    for _ in range(ROUNDS):
        data = bytearray(apk)
        for place in draw.sample(places, draw.randint(1, 4)):
            data[place] ^= draw.randint(1, 255)
        seen[outcome(bytes(data))] += 1
    assert seen["healthy"] == 0
    assert seen["found"] > ROUNDS // 2


@pytest.mark.parametrize(
    "name", ["AndroidManifest.xml", "classes.dex", "lib/arm64-v8a/libwasmtime.so", MODULE]
)
def test_a_lying_part_of_a_sound_archive_is_found_or_refused(name: str, apk: bytes) -> None:
    """The archive fits the changed content, so only the part itself can tell."""
    archive = read_zip(apk)
    content = archive.by_name[name.encode()].read()
    draw = random.Random(name)
    for _ in range(ROUNDS):
        changed = bytearray(content)
        at = draw.randrange(max(1, min(len(content), 4096) - 4))
        changed[at : at + 4] = draw.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(content)]).to_bytes(4, "little")
        entries = (
            make_entry(item.name, bytes(changed)) if item.path == name else item for item in archive.entries
        )
        assert outcome(write_zip(entries, align=True)) in ("found", "refused")


def test_a_lying_certificate_is_found_or_refused() -> None:
    """The signer is hostile: the signature fits, the certificate around the key is damaged."""
    key = signing_key()
    draw = random.Random(2)
    start = key.certificate.index(key.public_key)
    outside = [*range(start), *range(start + len(key.public_key), len(key.certificate))]
    seen: Counter[str] = Counter()
    for _ in range(ROUNDS):
        damaged = bytearray(key.certificate)
        damaged[draw.choice(outside)] = draw.randrange(256)
        sample = HEALTHY.but(key=replace(key, certificates=(bytes(damaged),)))
        with suppress(FormatError):  # damaged so that not even signing finds the key in it
            seen.update(item.kind for item in findings(sample.build()))
    assert seen["certificate-unreadable"]


@pytest.mark.parametrize("case", REFUSED)
def test_what_android_refuses_as_an_archive_is_refused_with_the_files_name(case: str) -> None:
    assert outcome(REFUSED[case][0]) == "refused"


def test_an_app_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    huge = {"uncompressed": 1 << 30}
    parts = [RawEntry(name.encode(), data) for name, data in HEALTHY.contents().items()]
    with pytest.raises(LimitExceeded, match="archive_bytes"):
        examine(read_input(build_zip([*parts, RawEntry(b"x", central=huge, local=huge)]), "app.apk"))


@pytest.mark.parametrize(
    "text",
    [
        b"edge=" + b"\\" * 60_000,
        b"=" * 60_000,
        b" " * 60_000,
        b"a" * 60_000,
        b"edge=http://" + b"\xff" * 1000,
        b"x" * 70_000,
        b"edge=https://h\x1b[2J:1\ntoken=\x07",
    ],
    ids=["backslashes", "equals", "blanks", "word", "not-utf8", "too-long", "controls"],
)
def test_hostile_properties_cost_little(text: bytes) -> None:
    findings(HEALTHY.plus({"assets/lawow/edge.properties": text}))


def test_a_class_that_names_a_thousand_modules_is_one_class() -> None:
    strings = "\n".join(f'    const-string v0, "m{n}.wasm@{n:064x}"' for n in range(300))
    crowded = binding().replace("    return v0", f"    move v6, v0\n{strings}\n    return v6")
    found = Counter(item.kind for item in findings(packed(crowded)))
    assert found == {"module-missing": 300}
    assert dex_of((crowded,), 21)


@pytest.mark.parametrize("build", [lambda: b"", lambda: b"PK\5\6" + bytes(18), lambda: b"x" * 1000])
def test_what_is_no_archive_is_refused(build: Callable[[], bytes]) -> None:
    assert outcome(build()) == "refused"
