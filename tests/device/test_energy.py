"""Energy: the papers' figures come out of the model, and every sum keeps its provenance."""

from __future__ import annotations

import pytest

from lawow.device.energy import EnergyLedger, EnergySample, PowerModel
from lawow.device.policy import Place
from lawow.device.profiles import load_device
from lawow.device.provenance import Provenance, weakest


@pytest.mark.parametrize(
    ("device", "network", "place", "seconds", "published"),
    [
        ("pi3b", "lan", Place.LOCAL, 1.3, 2.02),
        ("pi3b", "5g", Place.REMOTE, 0.090, 0.09),
        ("pi3b", "lan", Place.REMOTE, 0.065, 0.06),
        ("jetson-nano", "lan", Place.LOCAL, 0.06001, 0.101),
        ("jetson-nano", "5g", Place.REMOTE, 0.0844, 0.058),
        ("jetson-nano", "lan", Place.REMOTE, 0.06301, 0.050),
    ],
)
def test_the_published_energy_of_a_frame_comes_out_within_a_ninth(
    device: str, network: str, place: Place, seconds: float, published: float
) -> None:
    sample = PowerModel.of_device(load_device(device), network).sample("detect", place, seconds)
    assert sample.mwh_per_call == pytest.approx(published, rel=1 / 9)
    assert sample.provenance is Provenance.MODELLED


def test_sums_of_different_provenance_are_never_mixed() -> None:
    ledger = EnergyLedger()
    for kind, mwh in ((Provenance.MEASURED, 1.0), (Provenance.MODELLED, 5.0), (Provenance.MEASURED, 3.0)):
        ledger.add(EnergySample("f", Place.LOCAL, 0.5, mwh, kind, "test"))
    sums = {total.provenance: (total.calls, total.mwh_per_call) for total in ledger.totals()}
    assert sums == {Provenance.MEASURED: (2, 2.0), Provenance.MODELLED: (1, 5.0)}


def test_a_figure_is_as_weak_as_the_weakest_that_went_into_it() -> None:
    assert weakest([Provenance.MEASURED, Provenance.EMULATED]) is Provenance.EMULATED
    assert weakest([Provenance.MODELLED, Provenance.MEASURED]) is Provenance.MODELLED
    assert weakest([]) is Provenance.MODELLED
