"""A short run of the fuzzer's targets: its seeds are sound, and damage to them raises nothing else."""

from __future__ import annotations

import random
import time

import pytest

from fuzz.run import MAX_SECONDS, damage
from fuzz.targets import TARGETS
from lawow.formats.axml import read_manifest
from lawow.formats.bundle import read_bundle
from lawow.formats.dex import verify_dex
from lawow.formats.mapping import read_mapping
from lawow.formats.signing import verify_apk
from lawow.formats.zip import read_zip


def test_the_seeds_are_sound() -> None:
    seeds = {name: target.seeds()[0] for name, target in TARGETS.items()}
    for name, target in TARGETS.items():
        for seed in target.seeds():
            target.feed(seed)
            assert not (name == "dex" and verify_dex(seed))
    assert read_zip(seeds["zip"]).by_name.keys() == {b"a.txt", b"b/c.bin"}
    for seed in TARGETS["axml"].seeds():
        manifest = read_manifest(seed)
        assert (manifest.package, manifest.min_sdk) == ("com.example", 24)
        assert manifest.permissions == ("android.permission.CAMERA",)
        assert manifest.add_permission("android.permission.INTERNET")
    assert verify_dex(seeds["dex"]) == []
    assert [module.file for module in read_bundle(seeds["bundle"]).modules] == ["f.wasm"]
    assert read_mapping(seeds["mapping"])
    for seed, min_sdk in zip(TARGETS["signing"].seeds(), (24, 21), strict=True):
        assert verify_apk(seed, min_sdk=min_sdk).verifies


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_raise_nothing_but_refusals(name: str) -> None:
    chance = random.Random(name)
    seeds = TARGETS[name].seeds()
    for _ in range(150):
        data = damage(chance.choice(seeds), chance)
        started = time.process_time()
        TARGETS[name].feed(data)
        assert time.process_time() - started < MAX_SECONDS
