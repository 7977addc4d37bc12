"""Real apps with random classes moved, before every judge. `make test-apk SEEDS=5` plays them all.

The normal run plays one seed on the small apps. LAWOW_APK_SEEDS says how many seeds are played on all.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lawow.formats.signing import SigningKey, debug_key, resign_apk
from lawow.refactor.pipeline import refactor_app
from lawow.refactor.plan import PlanOptions
from lawow.refactor.split import SplitOptions
from tests.apk.anatomy import anatomy
from tests.apk.corpus import CORPUS, RealApk
from tests.apk.rounds import judge, judge_file, play

CLASSES = 5
WITHOUT_CANDIDATES = {"unlock"}  # 34 KB without a static method of primitive types
NEED_V1 = {"unlock", "stf", "apidemos"}  # minSdkVersion 5, 16, 17: Android before 7.0 reads v1 alone
SMALL = ("unlock", "uiautomator2-test", "stf")
SEEDS = int(os.environ.get("LAWOW_APK_SEEDS", "0"))
ROUNDS = [(item, seed) for item in CORPUS for seed in range(SEEDS)] or [
    (item, 0) for item in CORPUS if item.name in SMALL
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return debug_key()


@pytest.mark.parametrize(("apk", "seed"), ROUNDS, ids=[f"{item.name}-{seed}" for item, seed in ROUNDS])
def test_random_classes_move_and_every_judge_is_content(
    apk: RealApk, seed: int, key: SigningKey, tmp_path: Path
) -> None:
    played = play(apk.path(), seed, CLASSES, key)
    if played is None:
        assert apk.name in WITHOUT_CANDIDATES
        return
    print(f"{apk.name} {seed}: moved {len(played.moved)}, refused {len(played.refused)}")
    judge(played, tmp_path)


@pytest.mark.parametrize("apk", CORPUS, ids=lambda apk: apk.name)
def test_an_app_of_which_nothing_moves_keeps_every_byte_but_its_signatures(
    apk: RealApk, key: SigningKey, tmp_path: Path
) -> None:
    """Signature files stand last in all of these; one app has none, and none with another has to move."""
    before = apk.path().read_bytes()
    options = PlanOptions(rules=("no.class.has.this.Name",), allow_empty=True)
    after = refactor_app(before, apk.name, options, SplitOptions(), key).apk
    judge_file(after, tmp_path)
    old, new = anatomy(before), anatomy(after)
    assert new.entries == old.entries
    assert new.records == old.records
    assert new.end == old.end
    assert new.signature_files == (
        ["META-INF/MANIFEST.MF", "META-INF/CERT.SF", "META-INF/CERT.RSA"] if apk.name in NEED_V1 else []
    )
    if not new.signature_files:
        assert new.rest.strip(b"\0") == b""
    if old.has_block and not old.signature_files:
        assert new.rest == old.rest  # the new block stands where the old one stood
    assert resign_apk(after, key) == after
