"""Elastic functions on a real edge: the same call here and there, fallback, state that comes home."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.device.elastic import ElasticFunction, elastic, functions_of_bundle
from lawow.device.elastic_module import ElasticModule
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Automatic, ElasticCall, Local, Place, Remote
from lawow.errors import (
    FormatError,
    GuestTrap,
    HostLost,
    LimitExceeded,
    LocalProtocolError,
    OutcomeUnknown,
    Refused,
    UsageError,
)
from tests.conftest import ROOT
from tests.edge.builders import all_sorts, bundle_of, module_of
from tests.server.running import RunningEdge, running_edge, until

COUNTER = module_of(
    """(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0)))
    (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
    (global.get $n))
  (func (export "calls") (result i32) (i32.load (i32.const 64)))
  (func (export "trap") unreachable)
  (func (export "spin") (loop (br 0))))"""
)
IMPORTING = '(module (import "env" "log" (func (param i32))) (func (export "f") (result i32) (i32.const 1)))'
ARRAYS = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()


@pytest.fixture
def handler(edge: RunningEdge, tenant: str) -> Iterator[OffloadHandler]:
    """The handler of a device of its own tenant."""
    with edge.client(tenant) as client:
        yield OffloadHandler(client)


def lose(edge: RunningEdge, module: ElasticModule) -> None:
    """Kill the edge, and wait until the device knows: then the next call is not even sent."""
    edge.kill()
    away = module._away
    assert away is not None
    assert away.data is not None
    session = away.data
    until(lambda: not session.is_connected)


def counter(policy: Local | Remote | Automatic | None = None) -> tuple[ElasticModule, ElasticFunction]:
    module = ElasticModule(COUNTER.wasm, keeps_state=True)
    return module, ElasticFunction(module, "add", policy=policy or Remote())


def test_a_call_looks_the_same_here_and_there(handler: OffloadHandler) -> None:
    """Every kind of number, several results and none, and traps: by the same object, in both places."""
    module = ElasticModule(all_sorts().wasm)
    mixed = ElasticFunction(module, "mixed", policy=Remote())
    nothing = ElasticFunction(module, "nothing", policy=Remote())
    divide = ElasticFunction(module, "divide", policy=Remote())
    for place in Place:
        assert mixed(-1, 2**63 - 1, 0.5, math.pi) == (math.pi, 0.5, 2**63 - 1, -1)
        assert nothing() is None
        assert divide(-7, 2) == -3
        with pytest.raises(GuestTrap) as trap:
            divide(1, 0)
        assert trap.value.code == "integer-divide-by-zero"
        with pytest.raises(FormatError):
            divide(1)
        assert mixed.last_place is place
        if place is Place.LOCAL:
            module.offload(handler)
    module.recall()
    assert handler.offloaded == []
    assert divide(9, 3) == 3
    assert divide.last_place is Place.LOCAL


def test_strings_and_lists_are_the_same_here_and_there(handler: OffloadHandler) -> None:
    """A list that the function changes is changed for the caller, wherever the call ran."""
    module = ElasticModule(ARRAYS)
    reverse = ElasticFunction(module, "reverse", signature="&[i>", policy=Remote())
    concat = ElasticFunction(module, "concat", signature="SS>S", policy=Remote())
    squares = ElasticFunction(module, "squares", signature="i>[i", policy=Remote())
    for place in Place:
        numbers = [1, 2, 3]
        assert reverse(numbers) is None
        assert numbers == [3, 2, 1]
        assert (concat("grüße, ", "Welt"), squares(4)) == ("grüße, Welt", [0, 1, 4, 9])
        assert squares.last_place is place
        if place is Place.LOCAL:
            module.offload(handler)
    module.recall()


def test_a_decorated_function_runs_natively_here_and_as_webassembly_there(handler: OffloadHandler) -> None:
    natively: list[int] = []
    module = ElasticModule(all_sorts().wasm)

    @elastic(module, policy=Remote())
    def fib(n: int) -> int:
        natively.append(n)
        return n if n < 2 else int(str(fib(n - 1))) + int(str(fib(n - 2)))

    assert fib(10) == 55
    assert len(natively) == 177
    module.offload(handler)
    assert fib(20) == 6765
    assert len(natively) == 177
    module.recall()


def test_decorator_takes_files_and_refuses_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "sorts.wasm"
    path.write_bytes(all_sorts().wasm)

    @elastic(path, export="divide")
    def quotient(a: int, b: int) -> int:
        return a // b

    assert quotient(8, 2) == 4
    with pytest.raises(UsageError, match="functions exported: fib, echo_i32"):
        elastic(path.read_bytes())(absent)
    with pytest.raises(UsageError, match="native version"):
        elastic(ElasticModule(COUNTER.wasm, keeps_state=True), export="add")(absent)
    with pytest.raises(FormatError):
        ElasticModule(b"\0asm\1\0\0")


def absent() -> None:
    """A function whose module has no export of its name."""


def test_a_bundle_gives_its_methods_as_elastic_functions(handler: OffloadHandler) -> None:
    jar = bundle_of({"all.wasm": all_sorts()}, [("fib", "all.wasm", "fib", "i>i")])
    (name, fib) = next(iter(functions_of_bundle(jar, policy=Remote()).items()))
    assert (name, fib(10)) == ("com.example.Compute.fib", 55)
    fib.module.offload(handler)
    assert (fib(10), fib.last_place) == (55, Place.REMOTE)
    fib.module.recall()


def test_calls_from_an_event_loop_run_side_by_side(handler: OffloadHandler) -> None:
    module = ElasticModule(all_sorts().wasm)
    module.offload(handler)
    fib = ElasticFunction(module, "fib", policy=Remote())

    async def program() -> list[object]:
        return await asyncio.gather(*(fib.call_async(number) for number in range(12)))

    assert asyncio.run(program()) == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
    module.recall()


def test_a_deadline_holds_here_and_there(handler: OffloadHandler) -> None:
    module = ElasticModule(COUNTER.wasm)
    spin = ElasticFunction(module, "spin", policy=Remote(), deadline_seconds=0.2)
    for _ in Place:
        started = time.monotonic()
        with pytest.raises(LimitExceeded):
            spin()
        assert time.monotonic() - started < 5
        if module.offloaded is None:
            module.offload(handler)
    module.recall()


def test_state_goes_out_comes_home_and_goes_on(handler: OffloadHandler) -> None:
    """The sequence of the paper with what an instance remembers: here, there, synchronised, here again."""
    module, add = counter()
    assert [add(1), add(2)] == [1, 3]
    module.offload(handler)
    assert (add(10), add.last_place) == (13, Place.REMOTE)
    module.synchronise()
    add.policy = Local()
    assert (add(100), add.last_place) == (113, Place.LOCAL)
    add.policy = Remote()
    assert (add(1), add.last_place) == (114, Place.LOCAL)  # the edge's state is behind: it is not asked
    module.synchronise()
    assert (add(1000), add.last_place) == (1114, Place.REMOTE)
    module.recall()
    assert (add(1), add.last_place) == (1115, Place.LOCAL)
    assert ElasticFunction(module, "calls")() == 7


def test_state_moves_from_one_edge_to_another(
    edge: RunningEdge, tenant: str, handler: OffloadHandler, tmp_path: Path
) -> None:
    module, add = counter()
    module.offload(handler)
    assert add(5) == 5
    with running_edge(tmp_path / "second") as second, second.client("walker") as client:
        other = OffloadHandler(client)
        module.migrate(other)
        assert handler.offloaded == []
        assert (add(6), add.last_place) == (11, Place.REMOTE)
        module.recall()
    assert add(7) == 18


def test_a_migration_that_fails_leaves_the_module_where_it_was(handler: OffloadHandler) -> None:
    module, add = counter()
    module.offload(handler)
    assert add(5) == 5
    with pytest.raises(Refused, match="offers nothing"):
        module.migrate(handler, requirements={"tee": "sev-snp"})
    assert (add(6), add.last_place) == (11, Place.REMOTE)
    module.recall()
    assert handler.offloaded == []


def test_a_call_that_was_not_started_runs_here(tmp_path: Path) -> None:
    """Also for functions that are not idempotent: the edge is gone before it could have run."""
    with running_edge(tmp_path / "data") as edge, edge.client("walker") as client:
        module = ElasticModule(all_sorts().wasm)
        module.offload(OffloadHandler(client))
        fib = ElasticFunction(module, "fib", policy=Remote(), idempotent=False)
        assert (fib(10), fib.last_place) == (55, Place.REMOTE)
        lose(edge, module)
        client.close()
        assert (fib(10), fib.last_place) == (55, Place.LOCAL)


@pytest.mark.parametrize("is_idempotent", [True, False])
def test_a_call_with_unknown_outcome_runs_again_only_if_it_is_idempotent(
    tmp_path: Path, is_idempotent: bool
) -> None:
    """The edge dies while the call runs there."""
    with running_edge(tmp_path / "data") as edge, edge.client("walker") as client:
        module = ElasticModule(all_sorts().wasm)
        module.offload(OffloadHandler(client))
        loop = ElasticFunction(
            module, "loop", policy=Remote(), idempotent=is_idempotent, deadline_seconds=2.0
        )
        killer = threading.Timer(0.5, edge.kill)
        killer.start()
        expected = (
            (LimitExceeded, "deadline") if is_idempotent else (OutcomeUnknown, "not declared idempotent")
        )
        with pytest.raises(expected[0], match=expected[1]):
            loop()
        assert loop.last_place is (Place.LOCAL if is_idempotent else Place.REMOTE)
        killer.join()


def test_calls_go_to_the_edge_again_after_its_worker_died(
    edge: RunningEdge, tenant: str, handler: OffloadHandler
) -> None:
    """Nothing was remembered, so nothing is lost: at first calls run here, then there again."""
    module = ElasticModule(all_sorts().wasm)
    module.offload(handler)
    fib = ElasticFunction(module, "fib", policy=Remote())
    assert (fib(10), fib.last_place) == (55, Place.REMOTE)
    os.kill(edge.workers()[tenant], signal.SIGKILL)
    until(lambda: tenant not in edge.workers())
    assert fib(10) == 55
    until(lambda: (fib(10), fib.last_place) == (55, Place.REMOTE))
    module.recall()


def test_a_lost_worker_takes_the_state_with_it_and_says_so(
    edge: RunningEdge, tenant: str, handler: OffloadHandler
) -> None:
    module, add = counter()
    module.offload(handler)
    assert add(5) == 5
    os.kill(edge.workers()[tenant], signal.SIGKILL)
    until(lambda: tenant not in edge.workers())
    with pytest.raises((HostLost, OutcomeUnknown)):
        add(6)
    with pytest.raises(HostLost, match="give_up"):
        add(7)
    module.give_up()
    assert (add(8), add.last_place) == (8, Place.LOCAL)


def test_state_that_is_lost_with_its_edge_is_not_replaced_in_silence(tmp_path: Path) -> None:
    """The device knows only an older state; it goes on with it when it is told to."""
    with running_edge(tmp_path / "data") as edge, edge.client("walker") as client:
        module, add = counter()
        add(1)
        module.offload(OffloadHandler(client))
        add(10)
        module.synchronise()
        add(100)
        lose(edge, module)
        client.close()
        with pytest.raises(HostLost, match="give_up"):
            add(1000)
        with pytest.raises(HostLost):
            module.recall()
        assert module.newest is Place.REMOTE
        module.give_up()
        assert (add(1000), add.last_place) == (1011, Place.LOCAL)


def test_a_host_that_is_lost_in_the_synchronised_state_loses_nothing(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge, edge.client("walker") as client:
        module, add = counter()
        module.offload(OffloadHandler(client))
        add(10)
        module.synchronise()
        lose(edge, module)
        client.close()
        assert (add(1), add.last_place) == (11, Place.LOCAL)
        assert (add(1), add.last_place) == (12, Place.LOCAL)


def test_idempotent_is_what_imports_nothing_and_keeps_nothing() -> None:
    assert ElasticFunction(ElasticModule(all_sorts().wasm), "fib").is_idempotent
    assert not ElasticFunction(ElasticModule(COUNTER.wasm, keeps_state=True), "add").is_idempotent
    assert not ElasticFunction(ElasticModule(module_of(IMPORTING).wasm), "f").is_idempotent


def test_a_module_is_offloaded_once_and_recalled_once(handler: OffloadHandler) -> None:
    module, _ = counter()
    for early in (module.recall, module.synchronise, lambda: module.migrate(handler)):
        with pytest.raises(LocalProtocolError, match="at home"):
            early()
    module.offload(handler)
    with pytest.raises(LocalProtocolError, match="migrate or recall"):
        module.offload(handler)
    module.recall()


def test_a_trap_here_ends_the_instance_and_the_next_call_begins_anew() -> None:
    module, add = counter()
    assert add(5) == 5
    with pytest.raises(GuestTrap):
        ElasticFunction(module, "trap")()
    assert add(1) == 1
    module.close()


CALL = ElasticCall("00", "f", 1, None)


def test_automatic_takes_the_quicker_place_and_looks_again_now_and_then() -> None:
    policy = Automatic(probe_every=10)
    seconds = {Place.LOCAL: 1.0, Place.REMOTE: 0.1}

    def places(count: int) -> list[Place]:
        taken = []
        for _ in range(count):
            taken.append(policy.decide(CALL))
            policy.learn(CALL, taken[-1], seconds[taken[-1]])
        return taken

    assert places(2) == [Place.LOCAL, Place.REMOTE]
    assert places(10) == [Place.REMOTE] * 9 + [Place.LOCAL]
    seconds.update({Place.LOCAL: 0.01})
    assert places(100)[-8:].count(Place.LOCAL) >= 7
    assert policy.decide(ElasticCall("00", "g", 1, None)) is Place.LOCAL


def test_a_policy_of_the_program_is_asked_only_where_there_is_a_choice(handler: OffloadHandler) -> None:
    asked: list[ElasticCall] = []

    class Watching(Remote):
        def decide(self, call: ElasticCall) -> Place:
            asked.append(call)
            return Place.LOCAL

    module = ElasticModule(all_sorts().wasm)
    fib = ElasticFunction(module, "fib", policy=Watching(), deadline_seconds=3)
    assert fib(1) == 1
    assert asked == []
    module.offload(handler)
    assert (fib(7), fib.last_place) == (13, Place.LOCAL)
    assert asked == [ElasticCall(module.digest, "fib", 1, 3, size=7.0, sent_bytes=8)]
    module.recall()
