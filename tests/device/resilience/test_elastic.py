"""Elastic functions that hedge, break and compare, on a real edge."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.device.cancel import Cancel
from lawow.device.elastic import ElasticFunction, elastic, functions_of_bundle
from lawow.device.elastic_module import ElasticModule
from lawow.device.energy import EnergyLedger, PowerModel
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Adaptive, Place, Remote
from lawow.device.provenance import Provenance
from lawow.device.resilience import Breaker, Hedge, Resilience, Shadow
from lawow.device.resilience.shadow import bits_of
from lawow.errors import GuestTrap, LimitExceeded, OutcomeUnknown, UsageError
from tests.conftest import ROOT
from tests.edge.builders import all_sorts, bundle_of, module_of
from tests.server.running import RunningEdge, running_edge

ARRAYS = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()
ALWAYS = Resilience(shadow=Shadow(1.0))


@pytest.fixture
def handler(edge: RunningEdge, tenant: str) -> Iterator[OffloadHandler]:
    """The handler of a device of its own tenant."""
    with edge.client(tenant) as client:
        yield OffloadHandler(client)


def test_an_edge_that_hangs_is_not_waited_for(handler: OffloadHandler) -> None:
    """The module loops on the edge for half a minute; natively the call is answered at once."""
    hedge = Hedge()
    module = ElasticModule(all_sorts().wasm)
    module.offload(handler)

    @elastic(module, policy=Remote(), deadline_seconds=30, resilience=Resilience(hedge=hedge))
    def loop() -> None:
        return None

    for _ in range(20):
        hedge.learn((module.digest, "loop"), 0.01)
    assert (loop(), loop.last_place, hedge.hedged) == (None, Place.LOCAL, 1)
    left = [thread for thread in threading.enumerate() if thread.name == "lawow-hedge-remote"]
    for thread in left:
        thread.join(10)
        assert not thread.is_alive()  # it was cancelled there: its thirty seconds are not over
    fib = ElasticFunction(module, "fib", policy=Remote())
    assert (fib(10), fib.last_place) == (55, Place.REMOTE)
    module.recall()


def test_a_run_here_stops_when_it_is_cancelled() -> None:
    module, cancel = ElasticModule(all_sorts().wasm), Cancel()
    timer = threading.Timer(0.3, cancel.set)
    timer.start()
    started = time.monotonic()
    with pytest.raises(LimitExceeded):
        module.call_here("loop", ">", (), 60.0, cancel)
    assert time.monotonic() - started < 30
    with pytest.raises(OutcomeUnknown):
        module.call_here("loop", ">", (), 60.0, cancel)
    timer.join()


def test_calls_run_here_at_once_while_the_breaker_is_open_and_there_again_after_a_probe(
    tmp_path: Path, edge: RunningEdge, tenant: str
) -> None:
    """The edge is lost; another one takes the module, and the losses of the first are not held against it."""
    now = 0.0
    breaker = Breaker(losses=2, clock=lambda: now, dice=lambda: 1.0)
    with running_edge(tmp_path / "data") as lost, lost.client("walker") as client:
        module = ElasticModule(all_sorts().wasm)
        module.offload(OffloadHandler(client))
        fib = ElasticFunction(
            module, "fib", policy=Remote(), idempotent=False, resilience=Resilience(breaker=breaker)
        )
        assert (fib(10), fib.last_place) == (55, Place.REMOTE)
        name = module.edge_name
        assert name is not None
        lost.kill()
        client.close()
        results = []
        while breaker.refusal(name) is None:
            try:
                results.append(fib(10))
            except OutcomeUnknown:  # it was on its way when the edge died
                results.append(55)
            assert len(results) < 10
        assert set(results) == {55}
        assert fib.explain(10).startswith(f"local: {name} was lost 2 times in a row")
        assert (fib(10), fib.last_place) == (55, Place.LOCAL)
        now = 1.0
        assert fib.explain(10) == "as the policy Remote decides"
        module.give_up()
    with edge.client(tenant) as client:
        module.offload(OffloadHandler(client))
        assert (fib(10), fib.last_place) == (55, Place.REMOTE)
        module.recall()


def test_functions_that_must_not_run_twice_are_not_hedged_or_compared() -> None:
    module = ElasticModule(all_sorts().wasm)
    for option in (Resilience(hedge=Hedge()), ALWAYS):
        with pytest.raises(UsageError, match="idempotent=True"):
            ElasticFunction(module, "fib", idempotent=False, resilience=option)
        with pytest.raises(UsageError, match="keeps state"):
            ElasticFunction(
                ElasticModule(all_sorts().wasm, keeps_state=True), "fib", idempotent=True, resilience=option
            )
    ElasticFunction(module, "fib", idempotent=False, resilience=Resilience(breaker=Breaker()))


def test_shadow_mode_finds_nothing_where_both_places_agree(handler: OffloadHandler) -> None:
    """Numbers, strings, lists that are changed, traps."""
    sorts, arrays = ElasticModule(all_sorts().wasm), ElasticModule(ARRAYS)
    sorts.offload(handler)
    arrays.offload(handler)
    mixed = ElasticFunction(sorts, "mixed", policy=Remote(), resilience=ALWAYS)
    divide = ElasticFunction(sorts, "divide", policy=Remote(), resilience=ALWAYS)
    reverse = ElasticFunction(arrays, "reverse", signature="&[i>", policy=Remote(), resilience=ALWAYS)
    concat = ElasticFunction(arrays, "concat", signature="SS>S", policy=Remote(), resilience=ALWAYS)
    numbers = [1, 2, 3]
    assert mixed(-1, 2**63 - 1, 0.5, -0.0) == (-0.0, 0.5, 2**63 - 1, -1)
    assert (reverse(numbers), numbers, concat("a", "ü")) == (None, [3, 2, 1], "aü")
    with pytest.raises(GuestTrap):
        divide(1, 0)
    for function in (mixed, divide, reverse, concat):
        assert (function.mismatch, function.last_place) == (None, Place.REMOTE)
    sorts.recall()
    arrays.recall()


def test_a_mismatch_switches_offloading_off_and_says_so(
    handler: OffloadHandler, caplog: pytest.LogCaptureFixture
) -> None:
    module = ElasticModule(all_sorts().wasm)
    module.offload(handler)

    @elastic(module, policy=Remote(), resilience=ALWAYS)
    def fib(n: int) -> int:
        return n  # right up to 1

    other = ElasticFunction(module, "fib", policy=Adaptive())
    assert (fib(1), fib.mismatch, fib.last_place) == (1, None, Place.REMOTE)
    with caplog.at_level(logging.WARNING, "lawow.device"):
        assert (fib(10), fib.last_place) == (10, Place.LOCAL)
    assert "fib: the same call gave different results here and on the edge, from byte 0 on" in caplog.text
    assert "not offloaded any more" in fib.explain(10)
    assert (fib(20), fib.last_place) == (20, Place.LOCAL)
    assert other.explain(10).startswith("local: never tried here")
    fib.mismatch = None
    assert fib.explain(10) == "as the policy Remote decides"
    module.recall()
    assert fib.explain(10) == "local: the module, or its newest state, is here"


def test_a_result_here_and_a_trap_there_is_a_mismatch(handler: OffloadHandler) -> None:
    module = ElasticModule(all_sorts().wasm)
    module.offload(handler)

    @elastic(module, policy=Remote(), resilience=ALWAYS)
    def divide(a: int, b: int) -> int:
        return a // b if b else 0

    assert divide(1, 0) == 0
    assert divide.mismatch is not None
    assert (divide.mismatch.here, divide.mismatch.there) == (bytes(8), None)
    assert "a result here and no result on the edge" in str(divide.mismatch)
    module.recall()


def test_functions_of_a_bundle_are_hedged_and_compared_where_they_may_run_twice(
    handler: OffloadHandler,
) -> None:
    """A pure method has all of it on a real edge; one with imports, and one with state, the breaker alone."""
    importing = module_of(
        '(module (import "env" "log" (func (param i32))) (func (export "g") (result i32) (i32.const 1)))'
    )
    methods = [("fib", "all.wasm", "fib", "i>i"), ("g", "importing.wasm", "g", ">i")]
    jar = bundle_of({"all.wasm": all_sorts(), "importing.wasm": importing}, methods)
    ledger = EnergyLedger(PowerModel(6.0, 2.0, Provenance.MODELLED, "6 W here, 2 W away"))
    every = Resilience(hedge=Hedge(), breaker=Breaker(), shadow=Shadow(1.0))
    functions = functions_of_bundle(jar, policy=Remote(), resilience=every, ledger=ledger)
    fib, other = (functions[f"com.example.Compute.{name}"] for name in ("fib", "g"))
    assert (fib.resilience, other.resilience) == (every, Resilience(breaker=every.breaker))
    fib.module.offload(handler)
    assert (fib(10), fib.mismatch, fib.last_place) == (55, None, Place.REMOTE)
    assert [item.place for item in ledger.samples] == [Place.REMOTE, Place.LOCAL]
    fib.module.recall()
    kept = functions_of_bundle(
        bundle_of({"all.wasm": all_sorts()}, methods[:1]), keeps_state=True, resilience=every
    )
    assert [item.resilience for item in kept.values()] == [Resilience(breaker=every.breaker)]


def test_bits_are_those_of_the_signatures_types() -> None:
    assert bits_of(">F", 0.0, ()) != bits_of(">F", -0.0, ())
    assert bits_of(">F", float("nan"), ()) == bits_of(">F", -float("nan"), ())
    assert bits_of("&[f>", None, ([float("nan")],)) == bits_of("&[f>", None, ([-float("nan")],))
    assert bits_of(">f", 0.1, ()) == bits_of(">f", 0.10000000149011612, ())
    assert bits_of(">i", -1, ()) == bits_of(">i", 2**32 - 1, ())
    assert bits_of("&[i>", None, ([1],)) != bits_of("&[i>", None, ([2],))
    assert bits_of("[i>", None, ([1],)) == bits_of("[i>", None, ([2],))
    assert bits_of(">i", "text", ()) is None
    assert bits_of(">i", (1, 2), ()) is None
    with pytest.raises(UsageError):
        Shadow(0)
