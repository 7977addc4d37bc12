"""Guests that remember in every place there is, and call sequences for them.

Each program is WebAssembly text with exports that take and return i32, none of which traps.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from hypothesis import strategies as st

from lawow.formats.state import InstanceState, decode_state
from lawow.formats.wasm_expose import expose_state
from lawow.runtime.base import Engine, Instance
from lawow.runtime.state import StateKeeper
from tests.conftest import ROOT
from tests.runtime.builders import wat

Call = tuple[str, int]

GENERATOR = """(module
  (global $seed (mut i64) (i64.const 42)) (global $lanes (mut v128) (v128.const i32x4 1 2 3 4))
  (global $share (mut f64) (f64.const 0.5)) (global $last (mut f32) (f32.const nan:0x200001))
  (func (export "next") (param i32) (result i32)
    (global.set $seed (i64.add (i64.mul (global.get $seed) (i64.const 6364136223846793005))
      (i64.extend_i32_u (local.get 0))))
    (global.set $lanes (i32x4.add (i32x4.mul (global.get $lanes) (i32x4.splat (i32.const 1664525)))
      (i32x4.splat (i32.wrap_i64 (global.get $seed)))))
    (global.set $share (f64.mul (global.get $share) (f64.convert_i32_s (local.get 0))))
    (i32.xor (i32.wrap_i64 (i64.shr_u (global.get $seed) (i64.const 33)))
      (i32x4.extract_lane 2 (global.get $lanes))))
  (func (export "bits") (param i32) (result i32)
    (i32.xor (i32.reinterpret_f32 (global.get $last))
      (i32.wrap_i64 (i64.reinterpret_f64 (global.get $share))))))"""

ALLOCATOR = """(module
  (memory $hidden 1 20) (global $end (mut i32) (i32.const 1024)) (data (i32.const 8) "static")
  (func (export "allocate") (param i32) (result i32) (local $start i32)
    (local.set 0 (i32.and (local.get 0) (i32.const 0x7fff)))
    (local.set $start (global.get $end))
    (if (i32.gt_u (i32.add (local.get $start) (local.get 0)) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (return (i32.const -1))))))
    (memory.fill (local.get $start) (local.get 0) (local.get 0))
    (global.set $end (i32.add (local.get $start) (local.get 0)))
    (local.get $start))
  (func (export "look") (param i32) (result i32)
    (i32.load (i32.rem_u (local.get 0) (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 3)))))
  (func (export "clear") (param i32) (result i32)
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 8192)) (memory.size)))"""

HASH_TABLE = """(module
  (memory (export "memory") 1) (global $count (mut i32) (i32.const 0)) (start $mark)
  (func $mark (i32.store (i32.const 60000) (i32.add (i32.load (i32.const 60000)) (i32.const 1))))
  (func (export "_initialize") (i32.store (i32.const 60004) (i32.const 77)))
  (func $slot (param i32) (result i32)
    (i32.mul (i32.rem_u (i32.mul (local.get 0) (i32.const 0x9e3779b1)) (i32.const 4096)) (i32.const 8)))
  (func (export "put") (param i32) (result i32) (local $at i32)
    (local.set $at (call $slot (local.get 0)))
    (global.set $count (i32.add (global.get $count) (i32.eqz (i32.load offset=4 (local.get $at)))))
    (i32.store (local.get $at) (local.get 0))
    (i32.store offset=4 (local.get $at) (i32.add (i32.load offset=4 (local.get $at)) (i32.const 1)))
    (global.get $count))
  (func (export "get") (param i32) (result i32) (i32.load offset=4 (call $slot (local.get 0))))
  (func (export "starts") (param i32) (result i32) (i32.load (i32.const 60000))))"""

DISPATCHER = """(module
  (type $f (func (param i32) (result i32)))
  (table $hidden 4 64 funcref) (global $kept (mut funcref) (ref.null func))
  (elem (i32.const 0) $add $double $square $negate) (elem declare func $never)
  (func $add (type $f) (i32.add (local.get 0) (i32.const 7)))
  (func $double (type $f) (i32.mul (local.get 0) (i32.const 2)))
  (func $square (type $f) (i32.mul (local.get 0) (local.get 0)))
  (func $negate (type $f) (i32.sub (i32.const 0) (local.get 0)))
  (func $never (type $f) (i32.const -9))
  (func $place (param i32) (result i32) (i32.rem_u (local.get 0) (table.size)))
  (func (export "run") (type $f)
    (if (result i32) (ref.is_null (table.get (call $place (local.get 0))))
      (then (i32.const -1))
      (else (call_indirect (type $f) (local.get 0) (call $place (local.get 0))))))
  (func (export "swap") (type $f)
    (global.set $kept (table.get (call $place (local.get 0))))
    (table.set (call $place (local.get 0)) (table.get (i32.const 0)))
    (table.set (i32.const 0) (global.get $kept))
    (i32.const 0))
  (func (export "grow") (type $f) (table.grow (global.get $kept) (i32.const 3)))
  (func (export "teach") (type $f) (table.set (call $place (local.get 0)) (ref.func $never)) (table.size))
  (func (export "forget") (type $f)
    (table.set (call $place (local.get 0)) (ref.null func)) (table.size)))"""


SPEAKER = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "hello")
  (func (export "say") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"""


HOLDER = """(module
  (type $write (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (type $write)))
  (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $write)
  (global $kept (mut funcref) (ref.func $write))
  (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "hello")
  (func (export "say") (result i32)
    (table.set (i32.const 1) (global.get $kept))
    (call_indirect (type $write) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 1))))"""
"""Refers to a function of its host: by its own index for it, so that another host's can take the place."""


@dataclass(frozen=True)
class Program:
    """A guest and the exports that calls choose from."""

    wasm: bytes
    exports: tuple[str, ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.wasm).hexdigest()

    def keeper(self, engine: Engine) -> StateKeeper:
        """Return the keeper of this program on an engine."""
        return StateKeeper(engine.compile(expose_state(self.wasm)), self.digest)


PROGRAMS = {
    "generator": Program(wat(GENERATOR), ("next", "bits")),
    "allocator": Program(wat(ALLOCATOR), ("allocate", "look", "clear")),
    "hash table": Program(wat(HASH_TABLE), ("put", "get", "starts")),
    "dispatcher": Program(wat(DISPATCHER), ("run", "swap", "grow", "teach", "forget")),
    "compiled C": Program((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes(), ("accumulate",)),
}


def sequences(program: Program) -> st.SearchStrategy[list[Call]]:
    """Return call sequences of a program."""
    call = st.tuples(st.sampled_from(program.exports), st.integers(-(1 << 31), (1 << 31) - 1))
    return st.lists(call, min_size=1, max_size=12)


def straight(keeper: StateKeeper, calls: list[Call]) -> tuple[list[int | float], InstanceState]:
    """Return the results of all calls in one instance, and the state that it is left in."""
    with keeper.module.instantiate() as instance:
        results = [instance.call(export, (argument,))[0] for export, argument in calls]
        return results, keeper.snapshot(instance)


def hopping(keepers: list[StateKeeper], calls: list[Call]) -> tuple[list[int | float], InstanceState]:
    """Return the same where the instance moves behind every call, from one keeper to the next, as bytes."""
    results = []
    instance: Instance = keepers[0].module.instantiate()
    for turn, (export, argument) in enumerate(calls):
        results.append(instance.call(export, (argument,))[0])
        data = keepers[turn % len(keepers)].snapshot(instance).encode()
        instance.close()
        instance = keepers[(turn + 1) % len(keepers)].restore(decode_state(data))
    with instance:
        return results, keepers[len(calls) % len(keepers)].snapshot(instance)
