"""The ledger of elastic functions: every run is entered, nothing counted twice, each figure tagged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.device.elastic import ElasticFunction, elastic, functions_of_bundle
from lawow.device.elastic_module import ElasticModule
from lawow.device.energy import EnergyLedger, PowerModel
from lawow.device.energy_counter import PackageCounter
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Place, Remote
from lawow.device.profiles import load_device
from lawow.device.provenance import Provenance
from lawow.device.resilience import Hedge, Resilience, Shadow
from lawow.errors import GuestTrap, UsageError
from tests.edge.builders import all_sorts, bundle_of
from tests.server.running import RunningEdge, until

WATTS = PowerModel(6.0, 2.0, Provenance.MODELLED, "6 W here, 2 W away")


class Clock:
    """A clock that the test turns, and an instrument that shows what it is told."""

    provenance = Provenance.MEASURED
    source = "the test's meter"

    def __init__(self) -> None:
        self.now = 0.0
        self.shown: float | None = 0.0

    def __call__(self) -> float:
        return self.now

    def joules(self) -> float | None:
        return self.shown


@pytest.fixture
def handler(edge: RunningEdge, tenant: str) -> Iterator[OffloadHandler]:
    """The handler of a device of its own tenant."""
    with edge.client(tenant) as client:
        yield OffloadHandler(client)


def sums(ledger: EnergyLedger) -> dict[tuple[str, Place], tuple[int, float, float]]:
    return {(item.export, item.place): (item.calls, item.seconds, item.mwh) for item in ledger.totals()}


def test_a_run_costs_what_the_device_draws_while_it_lasts() -> None:
    clock = Clock()
    ledger = EnergyLedger(WATTS, clock=clock)
    for place, seconds in ((Place.LOCAL, 3.0), (Place.REMOTE, 1.8)):
        with ledger.run("f", place):
            clock.now += seconds
        clock.now += 100.0  # between two runs nothing is charged
    assert sums(ledger) == {
        ("f", Place.LOCAL): (1, 3.0, pytest.approx(5.0)),
        ("f", Place.REMOTE): (1, pytest.approx(1.8), pytest.approx(1.0)),
    }
    assert ledger.summary() == (
        "f here: 5 mWh a call (1 calls, modelled)\nf on the edge: 1 mWh a call (1 calls, modelled)"
    )


def test_runs_at_the_same_time_share_what_the_device_draws() -> None:
    """Four seconds, of which the run here is alone for one, at 6 W: 24 J, and not 36."""
    clock = Clock()
    ledger = EnergyLedger(WATTS, clock=clock)
    with ledger.run("here", Place.LOCAL):
        clock.now += 1.0
        inside, over = threading.Event(), threading.Event()

        def other() -> None:
            with ledger.run("away", Place.REMOTE):
                inside.set()
                assert over.wait(30)

        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(30)
        clock.now += 3.0
        over.set()
        thread.join()
    assert sums(ledger) == {
        ("here", Place.LOCAL): (1, 2.5, pytest.approx(15 / 3.6)),
        ("away", Place.REMOTE): (1, 1.5, pytest.approx(9 / 3.6)),
    }


def test_a_call_within_a_call_is_charged_once() -> None:
    clock = Clock()
    ledger = EnergyLedger(WATTS, clock=clock)
    with ledger.run("outer", Place.LOCAL):
        clock.now += 1.0
        with ledger.run("inner", Place.REMOTE):
            clock.now += 9.0
        clock.now += 2.0
    assert sums(ledger) == {
        ("inner", Place.REMOTE): (1, 9.0, pytest.approx(5.0)),
        ("outer", Place.LOCAL): (1, 3.0, pytest.approx(5.0)),
    }


def test_an_instrument_measures_runs_that_are_alone_and_its_shares_are_modelled() -> None:
    clock = Clock()
    ledger = EnergyLedger(clock, clock=clock)
    with ledger.run("alone", Place.LOCAL):
        clock.shown = 7.2
    with ledger.run("f", Place.LOCAL):
        thread = threading.Thread(target=lambda: _run_with(ledger, clock))
        thread.start()
        thread.join()
    found = {item.export: (item.provenance, item.mwh_per_call, item.source) for item in ledger.samples}
    assert found["alone"] == (Provenance.MEASURED, pytest.approx(2.0), "the test's meter")
    for name in ("f", "other"):
        assert found[name][:2] == (Provenance.MODELLED, pytest.approx(1.0))
        assert "shared evenly" in found[name][2]


def _run_with(ledger: EnergyLedger, clock: Clock) -> None:
    with ledger.run("other", Place.LOCAL):
        clock.shown = 14.4


def test_what_the_instrument_cannot_tell_is_missed_and_not_made_up() -> None:
    clock = Clock()
    ledger = EnergyLedger(clock, clock=clock)
    with ledger.run("f", Place.LOCAL):
        clock.shown = None
    clock.shown = 5.0
    with ledger.run("f", Place.LOCAL):
        clock.shown = 8.6
    assert (ledger.missed, [item.mwh_per_call for item in ledger.samples]) == (1, [pytest.approx(1.0)])


def test_the_packages_are_counted_over_their_range_and_their_absence_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"powercap.*give the ledger a PowerModel"):
        PackageCounter(tmp_path)
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "max_energy_range_uj").write_text("10000000")
    (zone / "energy_uj").write_text("9000000")
    counter = PackageCounter(tmp_path)
    assert counter.joules() == 0.0
    (zone / "energy_uj").write_text("500000")
    assert counter.joules() == pytest.approx(1.5)
    (zone / "energy_uj").write_text("nonsense")
    assert counter.joules() is None
    assert (counter.provenance, "alone" in counter.source) == (Provenance.MEASURED, True)


def test_elastic_functions_enter_every_run_here_and_on_an_edge(handler: OffloadHandler) -> None:
    """Calls that trap draw energy as well, and functions of a bundle go by their class."""
    model = PowerModel.of_device(load_device("pi3b"), "5g")
    ledger = EnergyLedger(model)
    jar = bundle_of({"all.wasm": all_sorts()}, [("divide", "all.wasm", "divide", "ii>i")])
    (divide,) = functions_of_bundle(jar, policy=Remote(), ledger=ledger).values()
    assert divide(8, 2) == 4
    divide.module.offload(handler)
    assert [divide(8, 2), divide(9, 3)] == [4, 3]
    with pytest.raises(GuestTrap):
        divide(1, 0)
    divide.module.recall()
    found = {item.place: item for item in ledger.totals("com.example.Compute.divide")}
    assert {place: item.calls for place, item in found.items()} == {Place.LOCAL: 1, Place.REMOTE: 3}
    for place, item in found.items():
        assert item.provenance is Provenance.MODELLED
        assert item.mwh == pytest.approx(model.mwh(place, item.seconds))
    assert list(ledger.totals("other")) == []


def test_runs_in_both_places_are_both_entered(handler: OffloadHandler) -> None:
    """Shadow mode, and a hedge whose edge does not answer: what was drawn twice stands there twice."""
    module, ledger = ElasticModule(all_sorts().wasm), EnergyLedger(WATTS)
    module.offload(handler)
    shadowed = ElasticFunction(
        module, "fib", policy=Remote(), resilience=Resilience(shadow=Shadow(1.0)), ledger=ledger
    )
    assert shadowed(15) == 610
    assert [item.place for item in ledger.samples] == [Place.REMOTE, Place.LOCAL]
    hedge = Hedge()
    for _ in range(20):
        hedge.learn((module.digest, "loop"), 0.001)

    @elastic(module, policy=Remote(), resilience=Resilience(hedge=hedge), ledger=ledger)
    def loop() -> None:
        return None

    loop()
    until(lambda: len(list(ledger.totals("loop"))) == 2)
    module.recall()


def test_a_ledger_without_a_source_is_refused_where_it_is_given() -> None:
    with pytest.raises(UsageError, match="no source"):
        elastic(all_sorts().wasm, ledger=EnergyLedger())(fib)


def fib(n: int) -> int:
    """A native version."""
    return n
