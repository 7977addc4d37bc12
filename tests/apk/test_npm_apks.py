"""Real apps with random classes moved, before every judge. `make test-apk SEEDS=5` plays them all.

The normal run plays one seed on the small apps. LAWOW_APK_SEEDS says how many seeds are played on all.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lawow.formats.signing import SigningKey, debug_key, resign_apk
from tests.apk.corpus import CORPUS, RealApk
from tests.apk.rounds import entries_of, judge, judge_file, play

CLASSES = 5
WITHOUT_CANDIDATES = {"unlock"}  # 34 KB without a static method of primitive types
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


@pytest.mark.parametrize("apk", dict.fromkeys(apk for apk, _ in ROUNDS), ids=lambda apk: apk.name)
def test_an_app_of_which_nothing_moves_keeps_everything_but_its_signature(
    apk: RealApk, key: SigningKey, tmp_path: Path
) -> None:
    once = resign_apk(apk.path().read_bytes(), key)
    judge_file(once, tmp_path)
    assert entries_of(tmp_path / "slim.apk", set()) == entries_of(apk.path(), set())
    assert resign_apk(once, key) == once
