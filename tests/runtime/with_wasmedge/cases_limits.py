"""Limits hold in WasmEdge's library, in a process that must go on."""

from __future__ import annotations

import threading

import pytest

from lawow.errors import (
    LimitExceeded,
    LocalProtocolError,
    Refused,
)
from lawow.limits import CALL
from lawow.runtime.host_functions import GuestMemory
from lawow.runtime.wasmedge_library import LibraryEngine
from tests.runtime.builders import FIBONACCI, SPIN, wat
from tests.runtime.test_grants import host
from tests.runtime.with_wasmedge.helpers import COUNTER, hosted, limit_of, trap_of

RECURSIONS = {
    "plain": '(func $f (export "f") (call $f) (call $f))',
    "as a loop": '(func $f (export "f") (result i32) (i32.add (i32.const 1) (call $f)))',
    "two": '(func $f (export "f") (call $g) (call $g)) (func $g (call $f) (call $f))',
    "many locals": f'(func $f (export "f") (local {"i64 " * 1000}) (call $f) (local.set 7 (i64.const 1)))',
    "large frames": '(func $f (export "f") (param i64) (result i64) '
    + "".join(f"(call $f (i64.add (local.get 0) (i64.const {n})))" for n in range(200))
    + "i64.add " * 199
    + ")",
    "indirect": "(table 1 funcref) (elem (i32.const 0) $f) (type $t (func))"
    '(func $f (export "f") (call_indirect (type $t) (i32.const 0)) (call_indirect (type $t) (i32.const 0)))',
}
SLEEP = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "sleep") (result i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))
"""


def test_a_deadline_stops_endless_loops_wherever_they_are(engine: LibraryEngine) -> None:
    with engine.compile(wat(SPIN)).instantiate() as instance:
        with pytest.raises(LimitExceeded) as caught:
            instance.call("spin", deadline_seconds=0.1)
        assert limit_of(caught) == "deadline_seconds"
        with pytest.raises(LocalProtocolError):
            instance.call("one")
    for text in (
        "(module (func $f (loop (br 0))) (start $f))",
        '(module (func $f (export "_initialize") (loop (br 0))))',
    ):
        with pytest.raises(LimitExceeded) as caught:
            engine.compile(wat(text)).instantiate(deadline_seconds=0.1)
        assert limit_of(caught) == "deadline_seconds"


@pytest.mark.parametrize("kind", RECURSIONS)
def test_endless_recursion_of_any_kind_is_a_trap(engine: LibraryEngine, kind: str) -> None:
    module = engine.compile(wat(f"(module {RECURSIONS[kind]})"))
    arguments = (1,) * len(module.exports["f"].params)
    for _ in range(3):
        assert trap_of(module.instantiate(), "f", *arguments).code == "stack-overflow"


def test_deep_recursion_that_ends_is_no_overflow(engine: LibraryEngine) -> None:
    text = """(module (func $f (export "f") (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
        (else (i32.const 0)))))"""
    with engine.compile(wat(text)).instantiate() as instance:
        assert [instance.call("f", (20_000,)) for _ in range(20)] == [(20_000,)] * 20


def test_memory_and_tables_grow_to_their_limits_and_no_further(engine: LibraryEngine) -> None:
    text = """(module (memory (export "m") 2) (table 1 funcref)
      (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "table") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"""
    module = engine.compile(wat(text))
    with module.instantiate(memory_bytes=4 << 16) as instance:
        assert [instance.call("memory", (pages,)) for pages in (3, 2, 1)] == [(-1,), (2,), (-1,)]
        assert instance.memory_bytes == 4 << 16
        most = CALL.table_elements
        assert [instance.call("table", (count,)) for count in (most, most - 1, 1)] == [(-1,), (1,), (-1,)]
    with module.instantiate(memory_bytes=1 << 34) as instance:
        assert [instance.call("memory", (pages,)) for pages in (65534, 65533)] == [(-1,), (2,)]
        assert instance.memory_bytes == (1 << 32) - (1 << 16)
    with pytest.raises(LimitExceeded) as caught:
        module.instantiate(memory_bytes=1 << 16)
    assert limit_of(caught) == "memory_bytes"
    for text, limit in (
        ("(module (table 100001 funcref))", "table_elements"),
        ("(module" + " (table 1 funcref)" * 5 + ")", "tables"),
    ):
        with pytest.raises(LimitExceeded) as caught:
            engine.compile(wat(text))
        assert limit_of(caught) == limit


def test_limits_that_are_fixed_are_refused_not_ignored(engine: LibraryEngine) -> None:
    module = engine.compile(wat(COUNTER))
    with module.instantiate(memory_bytes=1 << 20) as instance:
        instance.limit_memory(1 << 20)
        with pytest.raises(Refused):
            instance.limit_memory(1 << 21)
    with pytest.raises(Refused):
        module.instantiate(table_elements=5)
    with pytest.raises(LocalProtocolError, match="no fuel"):
        module.instantiate(fuel=5)


@pytest.mark.parametrize("is_compiled", [True, False])
def test_fuel_is_counted_over_all_calls_of_an_instance(is_compiled: bool) -> None:
    engine = LibraryEngine(is_compiled=is_compiled, has_fuel=True)
    module = engine.compile(wat(FIBONACCI))
    with module.instantiate(fuel=20_000) as instance:
        left = [instance.fuel_left or 0]
        for _ in range(3):
            assert instance.call("fib", (10,)) == (55,)
            left.append(instance.fuel_left or 0)
        assert left[0] - left[1] == left[1] - left[2] == left[2] - left[3] > 177  # calls of fib
        with pytest.raises(LimitExceeded) as caught:
            instance.call("fib", (25,))
        assert (limit_of(caught), instance.fuel_left) == ("fuel", 0)
    with module.instantiate() as instance:
        assert instance.call("fib", (15,)) == (610,)


def test_a_guest_that_waits_for_its_host_is_left_behind(engine: LibraryEngine) -> None:
    waiting = threading.Event()

    def wait(memory: GuestMemory, at: int, length: int) -> int:
        waiting.wait(60)
        return 0

    sleeping = engine.compile(wat(SLEEP)).instantiate()
    hanging = hosted(engine).instantiate(grants=host(name=wait))
    for instance, export, arguments in ((sleeping, "sleep", ()), (hanging, "name", (0, 0))):
        with pytest.raises(LimitExceeded, match="left behind") as caught:
            instance.call(export, arguments, deadline_seconds=0.1)
        assert limit_of(caught) == "deadline_seconds"
        with pytest.raises(LocalProtocolError):
            instance.call(export, arguments)
        instance.close()
    waiting.set()
    assert engine.compile(wat(FIBONACCI)).instantiate().call("fib", (10,)) == (55,)
