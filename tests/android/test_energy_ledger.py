"""The energy ledger in Java: what it writes is read by Python's, as energy and as a trace."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from lawow.device.energy import EnergyTotal
from lawow.device.energy_lines import read_energy
from lawow.device.policy import Place
from lawow.device.provenance import Provenance
from lawow.device.simulate.workload import read_trace
from tests.android.builders import Jvm
from tests.android.edge_double import EdgeDouble, serve
from tests.android.test_resilience import number, steady


@pytest.fixture
def edge() -> Iterator[EdgeDouble]:
    with serve(None) as running:
        running.answer = number(144)
        yield running


def test_each_call_is_entered_with_what_it_drew_and_how_that_is_known(jvm: Jvm, edge: EdgeDouble) -> None:
    *lines, unknown, many = steady(jvm.with_properties(edge=edge.url), "ledger")
    assert unknown == "unknown 2 0"  # nothing read yet; charged, and no other meter
    assert many == "f false MODELLED 1200 600.0 600.0 1000"
    text = "".join(f"{line}\n" for line in lines).encode()
    samples = list(read_energy(text, "ledger").samples)
    watts = [round(sample.mwh_per_call * 3.6 / sample.seconds, 6) for sample in samples]
    assert watts == [2.0, 2.0, 2.5, 1.6, 1.6, 3.5]
    kinds = [sample.provenance for sample in samples]
    assert kinds == [Provenance.MODELLED, Provenance.MEASURED, *[Provenance.MODELLED] * 4]
    sources = [sample.source for sample in samples]
    assert re.fullmatch(r'a "battery", \d\.\d s before the call', sources[0])
    assert sources[1] == 'a "battery"'
    assert sources[2].startswith("a meter, ")
    assert set(sources[3:]) == {"a phone: busy, offloaded"}
    assert [sample.place for sample in samples[3:]] == [Place.REMOTE, Place.REMOTE, Place.LOCAL]


def test_the_lines_are_a_trace_for_the_simulator(jvm: Jvm, edge: EdgeDouble) -> None:
    *lines, _, _ = steady(jvm.with_properties(edge=edge.url), "ledger")
    calls = read_trace("\n".join(lines).encode(), "ledger", 1.0)
    sizes = [(call.export, call.size, call.sent_bytes, call.received_bytes) for call in calls]
    assert sizes[1:3] == [("square", 13, 8, 8), ("square", 12, 8, 8)]
    assert sizes[-1] == ("list", 8, 23, 0)
    assert [json.loads(line)["seconds"] for line in lines] == [call.edge_seconds for call in calls]


def test_sums_by_place_and_provenance_are_pythons(jvm: Jvm, edge: EdgeDouble) -> None:
    *lines, _, _ = steady(jvm.with_properties(edge=edge.url), "ledger")
    totals: list[EnergyTotal] = list(read_energy("\n".join(lines).encode(), "ledger").totals())
    assert [(total.export, total.place.value, total.provenance.value, total.calls) for total in totals] == [
        ("square", "local", "modelled", 2),
        ("square", "local", "measured", 1),
        ("square", "remote", "modelled", 2),
        ("list", "local", "modelled", 1),
    ]
