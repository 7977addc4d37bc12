"""A short run of the fuzzer's targets: its seeds are sound, and damage to them raises nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from fuzz import wasm_targets
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


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (wasm_targets.modules, wasm_targets.inspect),
        (wasm_targets.components, wasm_targets.open_components),
        (wasm_targets.worlds, wasm_targets.read_wit),
        (wasm_targets.values, wasm_targets.read_value),
        (wasm_targets.signatures, wasm_targets.read_signature),
        (wasm_targets.layouts, wasm_targets.open_layout),
        (wasm_targets.states, wasm_targets.read_state),
    ],
)
def test_the_seeds_of_webassembly_are_sound(
    make: Callable[[], list[bytes]], step: Callable[[bytes], None]
) -> None:
    for seed in make():
        step(seed)


@pytest.mark.promise("N3")
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_raise_nothing_but_refusals(name: str) -> None:
    chance = random.Random(name)
    seeds = TARGETS[name].seeds()
    for _ in range(150):
        data = damage(chance.choice(seeds), chance)
        started = time.process_time()
        TARGETS[name].feed(data)
        assert time.process_time() - started < MAX_SECONDS
