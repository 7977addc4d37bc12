"""Hostile modules that are not held elsewhere: every kind of recursion, and state that could leak."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lawow.errors import GuestTrap
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import wat

MANY_LOCALS = " ".join(["i64"] * 1_000)

RECURSIONS = {
    "deep": '(func $f (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))',
    "many locals": f"""(func $f (export "f") (param i32) (result i32) (local {MANY_LOCALS})
        (local.set 999 (i64.const 1)) (i32.add (call $f (local.get 0)) (i32.wrap_i64 (local.get 999))))""",
    "mutual": """(func $f (export "f") (param i32) (result i32)
          (i32.add (call $g (local.get 0)) (i32.const 1)))
        (func $g (param i32) (result i32) (i32.mul (call $f (local.get 0)) (i32.const 3)))""",
    "indirect": """(type $t (func (param i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $f)
        (func $f (export "f") (param i32) (result i32)
          (i32.add (call_indirect (type $t) (local.get 0) (i32.const 0)) (i32.const 1)))""",
}

SECRET = 0x5EC2E7
KEEPER = """
(module
  (memory (export "memory") 4)
  (global $kept (mut i64) (i64.const 0))
  (table $table 2 funcref) (elem declare func $hide)
  (func $hide (export "hide") (param i64) (result i64) (local $at i32)
    (global.set $kept (local.get 0))
    (table.set $table (i32.const 1) (ref.func $hide))
    (loop $again
      (i64.store (local.get $at) (local.get 0))
      (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 262144))))
    (drop (memory.grow (i32.const 4)))
    (i64.const 0))
  (func (export "seek") (result i64) (local $at i32) (local $found i64)
    (local.set $found (i64.or (global.get $kept)
      (i64.extend_i32_u (i32.eqz (ref.is_null (table.get $table (i32.const 1)))))))
    (drop (memory.grow (i32.const 4)))
    (loop $again
      (local.set $found (i64.or (local.get $found) (i64.load (local.get $at))))
      (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 524288))))
    (local.get $found)))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[WasmtimeEngine]:
    made = WasmtimeEngine(EDGE_PROFILE)
    yield made
    made.close()


@pytest.mark.parametrize("kind", RECURSIONS)
def test_recursion_of_every_kind_is_a_trap(engine: WasmtimeEngine, kind: str) -> None:
    module = engine.compile(wat(f"(module {RECURSIONS[kind]})"))
    for _ in range(20):
        with module.instantiate() as instance, pytest.raises(GuestTrap) as caught:
            instance.call("f", (1,))
        assert caught.value.code == "stack-overflow"


def test_nothing_of_an_instance_is_found_by_the_next_one(engine: WasmtimeEngine) -> None:
    module = engine.compile(wat(KEEPER))
    for _ in range(10_000):
        with module.instantiate() as instance:
            instance.call("hide", (SECRET,))
        with module.instantiate() as instance:
            assert instance.call("seek") == (0,)
