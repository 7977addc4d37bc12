"""States that come home: what this device puts back, and what it refuses. Python's keeper makes them."""

from __future__ import annotations

import hashlib
import random
import zlib
from pathlib import Path

import pytest

from lawow.errors import FormatError
from lawow.formats.state import decode_state
from lawow.formats.wasm_expose import expose_state
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.state import StateKeeper
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.android.builders import Jvm, Sample, sample

ENGINE = WasmtimeEngine(EXEC_PROFILE)
KEEPER = """
(module
  (memory (export "memory") 1 8)
  (global $stack (mut i32) (i32.const 65536))
  (global $wide (mut i64) (i64.const -9000000000))
  (global $half (mut f32) (f32.const 0.5))
  (global $real (mut f64) (f64.const -0.25))
  (global $fixed i32 (i32.const 7))
  (data (i32.const 100) "\\05\\00\\00\\00")
  (func (export "set") (i32.store (i32.const 100) (i32.const 77))
    (i32.store8 (i32.const 65535) (i32.const 1)))
  (func (export "move") (global.set $stack (i32.const 1)))
  (func (export "grow") (drop (memory.grow (i32.const 1))))
  (func (export "get") (result i32)
    (i32.add (i32.load (i32.const 100)) (i32.load8_u (i32.const 65535)))))
"""
TABLE = """
(module (memory (export "memory") 1) (table 1 funcref) (func $f) (elem declare func $f)
  (func (export "set") (table.set (i32.const 0) (ref.func $f)))
  (func (export "get") (result i32) (i32.const 1)))
"""


def state_after(module: Sample, *exports: str) -> bytes:
    keeper = StateKeeper(ENGINE.compile(expose_state(module.data)), module.digest)
    with keeper.module.instantiate() as instance:
        for export in exports:
            instance.call(export, ())
        return keeper.snapshot(instance).encode()


@pytest.fixture(scope="module")
def keeper() -> Sample:
    return sample("keeper.wasm", KEEPER)


def restore(jvm: Jvm, folder: Path, module: Sample, *states: bytes) -> list[str]:
    assets = folder / "assets" / "lawow"
    assets.mkdir(parents=True)
    (assets / module.file).write_bytes(module.data)
    for number, state in enumerate(states):
        (folder / f"{number}.state").write_bytes(state)
    files = [str(folder / f"{number}.state") for number in range(len(states))]
    return jvm.with_classes(folder).run("States", module.file, *files).splitlines()


def test_memory_comes_back_as_it_was(local_jvm: Jvm, tmp_path: Path, keeper: Sample) -> None:
    states = [state_after(keeper), state_after(keeper, "set")]
    assert restore(local_jvm, tmp_path, keeper, *states) == ["ok 5", "ok 78"]


def test_what_this_device_cannot_put_back_is_refused_with_the_reason(
    local_jvm: Jvm, tmp_path: Path, keeper: Sample
) -> None:
    other = sample("other.wasm", KEEPER.replace("77", "78"))
    states = [state_after(keeper, "move"), state_after(keeper, "grow"), state_after(other, "set")]
    answers = restore(local_jvm, tmp_path, keeper, *states)
    assert [answer.split(": ", 1)[1] for answer in answers] == [
        "global 0 is not as at the beginning, which this device cannot put back",
        "the state's memory has 2 pages, and has grown or is another one",
        "the state is of another module",
    ]


def test_a_table_is_refused(local_jvm: Jvm, tmp_path: Path) -> None:
    module = sample("table.wasm", TABLE)
    (answer,) = restore(local_jvm, tmp_path, module, state_after(module, "set"))
    assert answer.startswith("refused ")


def test_damaged_states_are_refused_and_nothing_else_happens(
    local_jvm: Jvm, tmp_path: Path, keeper: Sample
) -> None:
    chance, good = random.Random(3), state_after(keeper, "set")
    damaged = [good[:size] for size in (0, 3, 75, 108, len(good) - 1)] + [good + b"x"]
    for _ in range(100):
        data = bytearray(good)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(data))
    answers = restore(local_jvm, tmp_path, keeper, *damaged)
    assert len(answers) == len(damaged)
    # A bit of which nothing depends in zlib's stream leaves the state what it was, to Python as well.
    assert [answer == "ok 78" for answer in answers] == [is_sound(state) for state in damaged]


def is_sound(state: bytes) -> bool:
    try:
        decode_state(state)
    except FormatError:
        return False
    return True


def test_bodies_that_are_none_are_refused_behind_a_right_digest(
    local_jvm: Jvm, tmp_path: Path, keeper: Sample
) -> None:
    good = state_after(keeper, "set")
    head, body = good[:72], zlib.decompress(good[76:-32])
    chance, states = random.Random(4), []
    for _ in range(100):
        data = bytearray(body[: 120 + chance.randrange(40)] + body[160:])
        data[chance.randrange(120)] = chance.randrange(256)
        header = head + len(data).to_bytes(4, "little")
        states.append(header + zlib.compress(bytes(data)) + hashlib.sha256(header + data).digest())
    huge = head + (1 << 30).to_bytes(4, "little")
    states.append(huge + zlib.compress(b"") + hashlib.sha256(huge).digest())
    answers = restore(local_jvm, tmp_path, keeper, *states)
    assert len(answers) == len(states)
    assert {answer.split()[0] for answer in answers} <= {"refused", "ok"}
    assert answers[-1].startswith("refused ")
    assert sum(answer.startswith("refused") for answer in answers) > 60
