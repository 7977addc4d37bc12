"""One edge for all tests that leave it as they find it; every test takes tenants of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

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
