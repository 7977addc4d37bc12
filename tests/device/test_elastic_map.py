"""A batch over two real edges and the device: order, losses, errors, and nothing done twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.device.elastic import ElasticFunction, elastic
from lawow.device.elastic_module import ElasticModule
from lawow.device.offload_handler import OffloadHandler
from lawow.device.policy import Adaptive, Local, Place, Remote
from lawow.device.resilience import Breaker, Resilience
from lawow.errors import GuestTrap, OutcomeUnknown, UsageError
from tests.conftest import ROOT
from tests.edge.builders import all_sorts
from tests.server.running import RunningEdge, running_edge, until

WASM = all_sorts().wasm
ARRAYS = (ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes()


def fib(number: int) -> int:
    """The judge."""
    first, second = 0, 1
    for _ in range(number):
        first, second = second, first + second
    return first


@pytest.fixture
def first(edge: RunningEdge, tenant: str) -> Iterator[ElasticModule]:
    """A module on the edge that all tests share."""
    with edge.client(tenant) as client:
        module = ElasticModule(WASM)
        module.offload(OffloadHandler(client))
        yield module
        module.recall()


def calls_at(edge: RunningEdge, tenant: str) -> int:
    """Return how many calls the edge says that it ran for the tenant; its workers tell it now and then."""
    overview = edge.ask("GET", "/v1/overview", tenant).json
    (found,) = [item for item in overview["tenants"] if item["tenant"] == tenant]  # type: ignore[attr-defined]
    return int(found["outcomes"].get("ok", 0))


def test_a_batch_is_split_over_two_edges_and_its_results_are_in_order(
    first: ElasticModule, tmp_path: Path
) -> None:
    with running_edge(tmp_path / "second") as second, second.client("walker") as client:
        other = ElasticModule(WASM)
        other.offload(OffloadHandler(client))
        function = ElasticFunction(first, "fib", policy=Remote())
        numbers = [(number % 24,) for number in range(200)]
        assert function.map(numbers, also=[other]) == [fib(number) for (number,) in numbers]
        outcomes = function.map_outcomes(numbers, also=[other])
        assert [item.result for item in outcomes] == [fib(number) for (number,) in numbers]
        edges = [item.edge for item in outcomes]
        assert set(edges) == {first.edge_name, other.edge_name}
        assert min(edges.count(name) for name in set(edges)) >= 10  # how many is a matter of the machine
        other.recall()


@pytest.mark.parametrize("is_idempotent", [True, False])
def test_what_a_lost_edge_leaves_is_done_elsewhere_and_what_may_have_run_there_is_not_done_twice(
    first: ElasticModule, edge: RunningEdge, tenant: str, tmp_path: Path, is_idempotent: bool
) -> None:
    """The second edge is killed in mid-batch. The first one says itself how many calls it ran."""
    with running_edge(tmp_path / "second") as second, second.client("walker") as client:
        other = ElasticModule(WASM)
        other.offload(OffloadHandler(client))
        function = ElasticFunction(first, "fib", policy=Remote(), idempotent=is_idempotent)
        killer = threading.Timer(0.3, second.kill)
        killer.start()
        outcomes = function.map_outcomes([(27,)] * 400, also=[other])
        killer.join()
        client.close()
        lost = [item for item in outcomes if item.error is not None]
        assert all(item.result == fib(27) for item in outcomes if item.error is None)
        assert all(isinstance(item.error, OutcomeUnknown) for item in lost)
        assert len(lost) <= (0 if is_idempotent else 4)
        ran = [item.edge for item in outcomes if item.error is None]
        assert ran.count(other.edge_name) > 0
        assert None not in ran
        until(lambda: calls_at(edge, tenant) == ran.count(first.edge_name))
        other.give_up()


def test_what_no_lease_takes_runs_here(tmp_path: Path) -> None:
    """The only edge is gone, the breaker knows it, and the policy would not run anything here."""
    with running_edge(tmp_path / "data") as only, only.client("walker") as client:
        module = ElasticModule(WASM)
        module.offload(OffloadHandler(client))
        function = ElasticFunction(
            module, "fib", policy=Remote(), resilience=Resilience(breaker=Breaker(losses=1))
        )
        assert function.map([(5,)] * 8) == [5] * 8
        only.kill()
        client.close()
        outcomes = function.map_outcomes([(number,) for number in range(20)])
        assert [item.result for item in outcomes] == [fib(number) for number in range(20)]
        assert {item.edge for item in outcomes} == {None}
        module.give_up()


def test_a_batch_at_home_runs_here() -> None:
    function = ElasticFunction(ElasticModule(WASM), "fib", policy=Local())
    assert function.map((number,) for number in range(20)) == [fib(number) for number in range(20)]
    assert function.map([]) == []


def test_the_version_here_takes_part_where_the_policy_would_run_calls_here(first: ElasticModule) -> None:
    """Natively the call is nothing; the policy learns that from the batch itself."""
    natively: list[int] = []

    @elastic(first, export="fib", policy=Adaptive())
    def quick(number: int) -> int:
        natively.append(number)
        return fib(number)

    assert quick.map([(21,)] * 50) == [fib(21)] * 50
    assert natively
    before = len(natively)
    quick.policy = Remote()
    assert quick.map([(21,)] * 50) == [fib(21)] * 50
    assert len(natively) == before


def test_the_first_error_ends_a_batch_and_outcomes_have_all_of_them(first: ElasticModule) -> None:
    divide = ElasticFunction(first, "divide", policy=Remote())
    pairs = [(index, index % 10) for index in range(40)]
    with pytest.raises(GuestTrap, match="divide"):
        divide.map(pairs)
    outcomes = divide.map_outcomes(pairs)
    assert [item.error is not None for item in outcomes] == [index % 10 == 0 for index in range(40)]
    assert outcomes[37].result == 5

    @elastic(first, export="divide", policy=Local())
    def broken(left: int, right: int) -> int:
        raise ValueError("of its own")

    assert any(isinstance(item.error, ValueError) for item in broken.map_outcomes(pairs) if item.edge is None)


def test_lists_are_changed_in_place_in_a_batch_as_in_a_call(edge: RunningEdge, tenant: str) -> None:
    with edge.client(tenant) as client:
        module = ElasticModule(ARRAYS)
        module.offload(OffloadHandler(client))
        reverse = ElasticFunction(module, "reverse", signature="&[i>", policy=Remote())
        batch = [([index, 1, 2],) for index in range(20)]
        assert reverse.map(batch) == [None] * 20
        assert [numbers for (numbers,) in batch] == [[2, 1, index] for index in range(20)]
        module.recall()


def test_other_bytes_and_state_are_refused() -> None:
    function = ElasticFunction(ElasticModule(WASM), "fib")
    with pytest.raises(UsageError, match="same bytes"):
        function.map([(1,)], also=[ElasticModule(ARRAYS)])
    with pytest.raises(UsageError, match="in_flight from 1"):
        function.map([(1,)], in_flight=0)
    with pytest.raises(UsageError, match="no state"):
        ElasticFunction(ElasticModule(WASM, keeps_state=True), "fib").map([(1,)])
    assert function.last_place in (None, Place.LOCAL)
