"""Threat A2: archives that unpack to far more than they are. A limit stops them, before they fill the memory.

What inflates honestly is as dangerous as what lies, so sums are limited as well as single entries.
"""

from __future__ import annotations

import re
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

from lawow.errors import FormatError, LimitExceeded
from lawow.formats.apk import read_app
from lawow.formats.apk_set import read_folder_input
from lawow.formats.bundle import read_bundle
from lawow.formats.dex import ClassSource, DexBuilder
from lawow.formats.signing import IssueKind, SigningKey, resign_apk, verify_apk
from lawow.limits import ARCHIVE
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.formats.builders import RawEntry, build_zip
from tests.hostile.test_apk import outcome, parts_of
from tests.refactor.builders import binary_manifest, make_zip
from tests.refactor.conftest import BuildApp
from tests.refactor.test_inputs import SPLIT

MOST_BYTES = 16 << 20
MEBIBYTE = 1 << 20


def dex_name(number: int) -> bytes:
    return b"classes%d.dex" % number if number > 1 else b"classes.dex"


def full_overlap() -> bytes:
    """One body under 260 names: 28 KiB that claim 3 GiB."""
    kernel = bytes(12 * MEBIBYTE)
    body = RawEntry(dex_name(1), kernel, local_name=dex_name(1)).local_bytes()
    records = RawEntry(dex_name(1), kernel).central_bytes(0)
    names = (dex_name(number) for number in range(1, 261))
    directory = b"".join(
        records[:28] + struct.pack("<H", len(name)) + records[30:46] + name for name in names
    )
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 260, 260, len(directory), len(body), 0)
    return body + directory + end


def quoted_overlap() -> bytes:
    """Fifield's: each entry's data starts with the next one's local header as a stored block of DEFLATE."""
    kernel = RawEntry(dex_name(20), bytes(MEBIBYTE))
    entries = [kernel]
    for number in range(19, 0, -1):
        following = entries[-1]
        header = following.local_bytes().removesuffix(following.stored_data)
        block = b"\0" + struct.pack("<HH", len(header), len(header) ^ 0xFFFF) + header
        content = header + following.content
        entries.append(RawEntry(dex_name(number), content, data=block + following.stored_data))
    entries.reverse()
    body = entries[0].local_bytes()
    directory = b"".join(
        entry.central_bytes(body.index(b"PK\3\4" + entry.local_bytes()[4:46])) for entry in entries
    )
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 20, 20, len(directory), len(body), 0)
    return body + directory + end


def nested() -> bytes:
    """An archive in an archive in an archive; members of a set are APKs, not archives of those."""
    data = make_zip({"c.apk": bytes(64 * MEBIBYTE)})
    for name in ("b.apk", "a.apk"):
        data = make_zip({name: data})
    return data


def lying(name: bytes, declared: int, real: int) -> Callable[[bytes], bytes]:
    def build(apk: bytes) -> bytes:
        parts = [item for item in parts_of(apk) if item.name != name]
        sizes = {"uncompressed": declared}
        return build_zip([*parts, RawEntry(name, bytes(real), central=sizes, local=sizes)])

    return build


BOMBS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "full overlap": (lambda _: full_overlap(), "is named"),
    "quoted overlap": (lambda _: quoted_overlap(), "overlap"),
    "nested": (lambda _: nested(), "AndroidManifest.xml is missing"),
    "a gigabyte declared": (lying(b"classes.dex", 1 << 30, 0), "entry_bytes|dex_bytes|loaded_bytes"),
    "a dex file that says 100 bytes": (lying(b"classes.dex", 100, 64 * MEBIBYTE), "more than its size"),
    "a manifest that says 100 bytes": (
        lying(b"AndroidManifest.xml", 100, 64 * MEBIBYTE),
        "more than its size",
    ),
    "a manifest of 64 MiB": (
        lying(b"AndroidManifest.xml", 64 * MEBIBYTE, 64 * MEBIBYTE),
        "the limit is 16777216",
    ),
}


@pytest.fixture(scope="module")
def apk(build_app: BuildApp) -> bytes:
    return build_app()


@pytest.mark.parametrize("bomb", BOMBS)
def test_a2_bombs_are_refused_and_cost_no_memory(apk: bytes, bomb: str) -> None:
    build, sentence = BOMBS[bomb]
    data = build(apk)
    assert len(data) < MEBIBYTE
    tracemalloc.start()
    error = outcome(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(error, FormatError | LimitExceeded)
    assert re.search(sentence, str(error)), error
    assert peak < MOST_BYTES


def large_dex() -> bytes:
    """A sound dex file of a mebibyte, of which DEFLATE leaves 2 KiB."""
    builder = DexBuilder()
    builder.add(ClassSource("La;", source_file="a" * MEBIBYTE))
    return builder.build()


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches without gigabytes."""
    limits = replace(ARCHIVE, loaded_bytes=2 * MEBIBYTE, inflated_bytes=2 * MEBIBYTE)
    for module in ("formats.apk", "formats.bundle", "formats.signing.v1", "formats.signing.v1_verify"):
        monkeypatch.setattr(f"lawow.{module}.ARCHIVE", limits)


@pytest.mark.usefixtures("small_limits")
def test_a2_dex_files_that_are_sound_but_too_many_are_refused(apk: bytes) -> None:
    dex = large_dex()
    more = {dex_name(number).decode(): dex for number in range(2, 5)}
    data = make_zip({**{item.name.decode(): item.content for item in parts_of(apk)}, **more})
    assert len(data) < 20_000
    with pytest.raises(LimitExceeded, match=r"dex files up to classes3\.dex: loaded_bytes"):
        read_app(data, name="app.apk")


@pytest.mark.usefixtures("small_limits")
def test_a2_the_dex_files_of_a_set_count_together(
    apk: bytes, key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files, dex = {"base.apk": apk}, large_dex()
    for name in ("one", "two"):
        manifest = binary_manifest(
            tmp_path_factory.mktemp("split"), min_sdk=24, text=SPLIT.replace("{split}", name)
        )
        files[f"{name}.apk"] = make_zip({"AndroidManifest.xml": manifest, "classes.dex": dex})
    source = read_folder_input(files, "app")
    with pytest.raises(LimitExceeded, match="loaded_bytes"):
        refactor_app(source.base, "base.apk", PlanOptions(), SplitOptions(), key, source.companions)


@pytest.mark.usefixtures("small_limits")
def test_a2_the_modules_of_a_bundle_count_together() -> None:
    data = make_zip(
        {
            "META-INF/MANIFEST.MF": b"",
            "lawow/manifest.json": b'{"schema": 1, "modules": [{"file": "a.wasm"}]}',
            "lawow/modules/a.wasm": bytes(3 * MEBIBYTE),
        }
    )
    with pytest.raises(LimitExceeded, match="loaded_bytes"):
        read_bundle(data)


def test_a2_entries_that_v1_would_have_to_read_are_summed_before(
    build_app: BuildApp, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = build_app(entries={"assets/zeros": bytes(3 * MEBIBYTE)}, min_sdk=21)
    signed = resign_apk(data, key)
    limits = replace(ARCHIVE, inflated_bytes=2 * MEBIBYTE)
    for module in ("v1", "v1_verify"):
        monkeypatch.setattr(f"lawow.formats.signing.{module}.ARCHIVE", limits)
    with pytest.raises(LimitExceeded, match="inflated_bytes"):
        resign_apk(data, key)
    kinds = [issue.kind for issue in verify_apk(signed, min_sdk=21).issues]
    assert kinds == [IssueKind.JAR_ENTRIES_TOO_LARGE]
    assert resign_apk(data, key, min_sdk=24)  # reads no entry, so it does without the limit
