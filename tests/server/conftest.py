"""One edge for all tests that leave it as they find it; every test takes tenants of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from lawow.device.data_client import DataClient
from tests.server.planes import Plane, open_plane
from tests.server.running import RunningEdge, running_edge

_numbers = itertools.count()


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """A running edge; its streams end soon, since tests ask every route for the whole of its answer."""
    data = tmp_path_factory.mktemp("edge") / "data"
    with running_edge(data, overview_stream_seconds=0.3) as running:
        yield running


@pytest.fixture
def new_tenant() -> Callable[[], str]:
    """A function that returns a name that no other test has."""
    return lambda: f"tenant-{next(_numbers)}"


@pytest.fixture
def tenant(new_tenant: Callable[[], str]) -> str:
    """A tenant that no other test has."""
    return new_tenant()


@pytest.fixture(scope="module", params=["plain", "tls"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEdge]:
    """An edge whose data plane has TLS, or not."""
    data = tmp_path_factory.mktemp("plane") / "data"
    with running_edge(data, data_tls=request.param == "tls", deadline_seconds=1.5) as running:
        yield running


@pytest.fixture
def plane(serving: RunningEdge, tenant: str) -> Iterator[Plane]:
    """A lease of a new tenant, with an instance of the counter."""
    opened = open_plane(serving, tenant)
    yield opened
    serving.ask("DELETE", f"/v1/leases/{opened.lease}", tenant)  # so that its worker may give way


@pytest.fixture
def client(plane: Plane) -> Iterator[DataClient]:
    """A client of that lease."""
    with plane.client() as connected:
        yield connected
