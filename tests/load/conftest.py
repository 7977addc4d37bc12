"""One roomy edge for the tests of load, and two tenants on it that have the same module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.builders import all_sorts
from tests.load.traffic import sized
from tests.server.running import RunningEdge, running_edge

WORKERS = sized(40, 120)


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge with room for many connections and workers; victim and greedy have `all_sorts`."""
    limits = {"connections": 12_000, "connections_per_address": 11_000, "connections_per_tenant": 11_000}
    folder = tmp_path_factory.mktemp("roomy")
    limits |= {"workers": WORKERS, "calls_waiting_per_tenant": 16, "head_seconds": 2}
    with running_edge(folder / "data", **limits) as edge:
        for tenant in ("victim", "greedy"):
            assert edge.put(tenant, all_sorts().wasm, all_sorts().digest).status == 201
        yield edge
