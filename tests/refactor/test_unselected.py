"""`--allow-empty`: an app of which nothing moves comes back as it was, but for its signature."""

from __future__ import annotations

from pathlib import Path

import pytest

from lawow.errors import Refused
from lawow.formats.apk_set import read_folder_input
from lawow.formats.bundle import read_bundle
from lawow.formats.signing import SigningKey, resign_apk, verify_apk
from lawow.formats.zip import find_misaligned, read_zip
from lawow.refactor.edge_properties import EdgeProperties
from lawow.refactor.forecast import forecast_app
from lawow.refactor.picture import plan_page
from lawow.refactor.pipeline import Refactored, refactor_app
from lawow.refactor.plan import NOTHING_MOVES, PlanOptions
from lawow.refactor.plan_report import plan_lines
from lawow.refactor.split import SplitOptions
from tests.conftest import lawow
from tests.refactor.builders import MAIN, binary_manifest, make_zip
from tests.refactor.conftest import FIBONACCI, BuildApp
from tests.refactor.test_inputs import SPLIT

EMPTY = PlanOptions(rules=("NoSuchClass",), annotations=(), allow_empty=True)
PLAIN = SplitOptions()


def refactored(apk: bytes, key: SigningKey, options: SplitOptions = PLAIN) -> Refactored:
    return refactor_app(apk, "app.apk", EMPTY, options, key)


def before_the_block(apk: bytes) -> bytes:
    block = read_zip(apk).signing_block
    return apk[: block.offset if block else read_zip(apk).central_directory_offset]


def directory_of(apk: bytes) -> bytes:
    archive = read_zip(apk)
    return apk[archive.central_directory_offset : archive.end_offset]


@pytest.mark.parametrize(
    "options", [PLAIN, SplitOptions(EdgeProperties("https://e:1"), keep_orphan_ids=True, is_elastic=True)]
)
def test_nothing_but_the_signing_block_differs_whatever_else_is_asked_for(
    build_app: BuildApp, key: SigningKey, options: SplitOptions
) -> None:
    before = build_app()
    done = refactored(before, key, options)
    entries, rest = (
        before_the_block(before),
        before_the_block(done.apk).removeprefix(before_the_block(before)),
    )
    assert before_the_block(done.apk) == entries + rest
    assert rest == bytes(-len(entries) % 4096)
    assert directory_of(done.apk) == directory_of(before)
    assert verify_apk(done.apk).certificates_sha256 == (key.certificate_sha256,)
    assert (done.report.split.changes, done.report.split.permission_added) == ((), False)
    assert NOTHING_MOVES in done.report.warnings
    assert not any("edge" in warning for warning in done.report.warnings if warning != NOTHING_MOVES)


def test_a_new_block_takes_the_place_of_the_old_one(build_app: BuildApp, key: SigningKey) -> None:
    """Also off the pages, where older tools leave it: the file keeps its size and every other byte."""
    entries, padded = before_the_block(build_app()), refactored(build_app(), key).apk
    block = read_zip(padded).signing_block
    assert block is not None
    assert block.offset > len(entries)
    directory = len(entries) + block.size_bytes
    signed = bytearray(entries + padded[block.offset :])
    signed[-6:-2] = directory.to_bytes(4, "little")
    after = refactored(bytes(signed), key).apk
    assert len(after) == len(signed)
    assert after[: len(entries)] == entries
    assert after[directory:] == signed[directory:]
    assert verify_apk(after).verifies
    assert refactored(after, key).apk == after


def test_a_library_that_android_15_cannot_map_is_aligned_and_what_stands_before_it_stays(
    build_app: BuildApp, key: SigningKey
) -> None:
    library = "lib/arm64-v8a/libx.so"
    before = build_app(entries={library: b"\x7fELF" + bytes(5000), "assets/z.txt": b"z"}, stored=[library])
    assert list(find_misaligned(read_zip(before)))
    after = refactored(before, key).apk
    assert list(find_misaligned(read_zip(after))) == []
    start = read_zip(before).by_name[library.encode()].header_offset
    assert after[:start] == before[:start]
    assert read_zip(after).by_name[b"assets/z.txt"].read() == b"z"


def test_android_before_7_gets_its_v1_signature_behind_the_entries(
    build_app: BuildApp, key: SigningKey
) -> None:
    """It needs no --allow-old-android: no dex file is added, so all Androids that could load it still can."""
    before = build_app(min_sdk=16)
    after = refactored(before, key).apk
    last = read_zip(before).entries[-1].header_offset
    assert after[:last] == before[:last]
    assert [entry.path for entry in read_zip(after).entries] == [
        *(entry.path for entry in read_zip(before).entries),
        "META-INF/MANIFEST.MF",
        "META-INF/CERT.SF",
        "META-INF/CERT.RSA",
    ]
    assert verify_apk(after, min_sdk=16).verifies
    assert resign_apk(after, key) == after


def test_every_apk_of_a_set_comes_back_as_it_was(
    build_app: BuildApp, key: SigningKey, tmp_path: Path
) -> None:
    manifest = binary_manifest(tmp_path, min_sdk=24, text=SPLIT.replace("{split}", "config.en"))
    files = {"base.apk": build_app(), "en.apk": make_zip({"AndroidManifest.xml": manifest, "res/x": b"x"})}
    source = read_folder_input(files, "app")
    done = refactor_app(source.base, "base.apk", EMPTY, PLAIN, key, source.companions)
    for name, apk in {"base.apk": done.apk, **done.companions}.items():
        assert before_the_block(apk).rstrip(b"\0") == before_the_block(files[name]).rstrip(b"\0")
        assert directory_of(apk) == directory_of(files[name])
        assert verify_apk(apk, min_sdk=24).verifies


def test_the_bundle_holds_nothing_and_says_of_which_app(build_app: BuildApp, key: SigningKey) -> None:
    bundle = read_bundle(refactored(build_app(), key).bundle)
    assert (bundle.modules, bundle.methods) == ((), ())
    assert bundle.origin.package == "com.example.app"


def test_the_plan_promises_no_change(build_app: BuildApp) -> None:
    forecast = forecast_app(build_app(), "app.apk", EMPTY, EdgeProperties("https://e:1"))
    assert forecast.bytes_after == forecast.bytes_before
    assert [item.name for item in forecast.ids] == ["classes.dex"]
    lines = list(plan_lines(forecast))
    assert f"note      {NOTHING_MOVES}" in lines
    assert not [line for line in lines if line.startswith(("added", "removed", "rewritten", "moved"))]
    assert "--allow-empty" in plan_page(forecast)


def test_what_moves_moves_with_the_option_too(build_app: BuildApp, key: SigningKey) -> None:
    done = refactor_app(build_app(), "app.apk", PlanOptions(allow_empty=True), PLAIN, key)
    assert len(done.report.split.plan.moves) == 1
    old = build_app([FIBONACCI, MAIN], min_sdk=19)
    with pytest.raises(Refused, match="minSdkVersion is 19"):
        refactor_app(old, "app.apk", PlanOptions(allow_empty=True), PLAIN, key)


def test_without_the_option_nothing_to_move_is_refused_and_the_option_named(
    build_app: BuildApp, tmp_path: Path
) -> None:
    app = tmp_path / "app.apk"
    app.write_bytes(build_app(entries={}))
    for arguments in (["--rule", "NoSuchClass"], ["--allow-unbound"]):
        done = lawow("refactor", app, "--debug-key", *arguments, check=False)
        assert done.returncode == 4
        assert "with --allow-empty the app is signed as it is" in done.stderr
        assert ("--auto finds methods in an app without WebAssembly" in done.stderr) == (
            "--rule" in arguments
        )
        assert list(tmp_path.iterdir()) == [app]
        done = lawow("refactor", app, "--debug-key", *arguments, "--allow-empty")
        assert "(signature and alignment)" in done.stdout
        assert (tmp_path / "app-slim.apk").exists()
        for path in set(tmp_path.iterdir()) - {app}:
            path.unlink()
