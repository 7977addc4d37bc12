"""W1, W2, W5, N1, N4, L4, L7: whatever one peer does, another tenant's calls stay as quick as they were."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.edge.builders import Module, all_sorts, compile_bomb, numbered
from tests.load.traffic import UNNOTICED_SECONDS, Wire, assert_not_slowed, paced, resident_bytes, sized
from tests.server.running import RunningEdge

FIB = 20
SORTS = all_sorts()


def beside(
    name: str,
    edge: RunningEdge,
    load: Callable[[], Awaitable[str]],
    unnoticed: float = UNNOTICED_SECONDS,
) -> None:
    """Measure the victim alone, then during the load, and compare."""

    async def both() -> None:
        quiet = asyncio.Event()
        asyncio.get_running_loop().call_later(sized(1, 3), quiet.set)
        alone = await paced(edge, "victim", SORTS, FIB, until=quiet, source="127.0.0.2")
        is_over = asyncio.Event()
        victim = asyncio.create_task(paced(edge, "victim", SORTS, FIB, until=is_over, source="127.0.0.2"))
        try:
            figures = await load()
        finally:
            is_over.set()
        assert_not_slowed(name, alone, await victim, figures, unnoticed)

    asyncio.run(both())


@pytest.mark.promise("W1")
def test_spinning_guests_end_at_their_deadline_while_others_are_served(roomy: RunningEdge) -> None:
    """Endless loops of many tenants, also in start functions: 504 each, and the worker is used again."""
    tenants = [f"spinner-{number}" for number in range(sized(3, 32))]
    for tenant in tenants:
        assert roomy.put(tenant, SORTS.wasm, SORTS.digest).status == 201
        assert roomy.call(tenant, SORTS.digest, "nothing").status == 200
    before = {tenant: roomy.workers()[tenant] for tenant in tenants}
    late: list[float] = []

    async def spin(tenant: str) -> None:
        wire = await Wire.open(roomy)
        path = f"/v1/modules/sha256:{SORTS.digest}/exports/loop/calls"
        body = b'{"arguments": [], "deadline_seconds": 0.5}'
        for _ in range(3):
            answer = await wire.ask("POST", path, roomy.token(tenant), body, "application/json")
            assert answer.status == 504
            late.append(answer.seconds - 0.5)
        wire.close()

    async def load() -> str:
        await asyncio.gather(*(spin(tenant) for tenant in tenants))
        return f"beside {len(tenants)} spinners, late by {max(late) * 1000:.0f} ms at most"

    # 32 processes of one priority share two processors, where the tests themselves run at the lowest one.
    beside("W1", roomy, load, 1.0)
    assert all(roomy.call(tenant, SORTS.digest, "fib", 5).status == 200 for tenant in tenants)
    kept = [tenant for tenant in tenants if roomy.workers()[tenant] == before[tenant]]
    assert len(kept) >= len(tenants) / 2  # on a busy machine some are killed after the grace


@pytest.mark.promise("W2")
def test_memory_hogs_get_their_limit_and_no_more(roomy: RunningEdge) -> None:
    peaks: list[int] = []

    async def load() -> str:
        wire = await Wire.open(roomy)
        for _ in range(sized(5, 100)):
            answer = await wire.call(roomy, "greedy", SORTS, "grow")
            assert answer.status == 200
            peaks.append(int(answer.headers["lawow-peak-memory-bytes"]) >> 20)
        wire.close()
        return f"beside a memory hog, limit 256 MiB, its worker's peak {max(peaks)} MiB"

    beside("W2", roomy, load)
    assert max(peaks) <= 256 + 48


@pytest.mark.promise("W5")
def test_compile_bombs_of_one_tenant_delay_no_calls_of_another(roomy: RunningEdge) -> None:
    """Modules within all static limits that take the compiler long; each once, then remembered or kept."""
    bombs = [compile_bomb(functions=30 + number) for number in range(sized(1, 6))]
    statuses: Counter[int] = Counter()

    async def load() -> str:
        wire = await Wire.open(roomy)
        for bomb in bombs:
            statuses[(await upload(wire, roomy, "greedy", bomb))] += 1
        wire.close()
        return f"beside {len(bombs)} compile bombs"

    beside("W5", roomy, load)
    assert set(statuses) <= {201, 422}


async def upload(wire: Wire, edge: RunningEdge, tenant: str, module: Module) -> int:
    """Upload a module, again after a while as long as the edge is busy."""
    while True:
        path = f"/v1/modules/sha256:{module.digest}"
        answer = await wire.ask("PUT", path, edge.token(tenant), module.wasm, "application/wasm")
        if answer.status != 429:
            return answer.status
        await asyncio.sleep(min(float(answer.headers["retry-after"]), 0.5))


@pytest.mark.promise("L7")
def test_a_storm_of_cold_starts_delays_no_warm_tenant(roomy: RunningEdge) -> None:
    """Distinct modules of as many tenants at once: compiled, started, called; then all are warm together."""
    modules = {f"cold-{number}": numbered(90_000 + number) for number in range(sized(6, 100))}
    ready: list[float] = []
    for tenant in modules:
        roomy.token(tenant)

    async def start_cold(tenant: str, module: Module, begun: float) -> None:
        wire = await Wire.open(roomy)
        assert await upload(wire, roomy, tenant, module) == 201
        answer = await wire.call(roomy, tenant, module, "number")
        assert answer.status == 200, answer
        ready.append(time.perf_counter() - begun)
        wire.close()

    async def load() -> str:
        begun = time.perf_counter()
        await asyncio.gather(*(start_cold(*item, begun) for item in modules.items()))
        return f"beside {len(modules)} cold starts, the last ready after {max(ready):.1f} s"

    beside("L7", roomy, load)
    workers = roomy.workers()
    assert modules.keys() <= workers.keys()
    begun = time.perf_counter()
    for tenant, module in modules.items():
        assert roomy.call(tenant, module.digest, "number").status == 200
    assert {tenant: roomy.workers()[tenant] for tenant in modules} == {
        tenant: workers[tenant] for tenant in modules
    }
    resident = sum(resident_bytes(workers[tenant]) for tenant in modules) >> 20
    each = (time.perf_counter() - begun) / len(modules)
    print(f"L7: {len(modules)} warm tenants, {resident} MiB resident, {each * 1000:.1f} ms a call in turn")


@pytest.mark.promise("L4")
def test_a_greedy_tenant_waits_for_itself_alone(roomy: RunningEdge) -> None:
    """Many calls at once of one tenant, who comes back as soon as it may; one at a time of the other."""
    statuses: Counter[int] = Counter()
    end = time.monotonic() + sized(2, 20)

    async def greedy() -> None:
        wire = await Wire.open(roomy)
        while time.monotonic() < end:
            answer = await wire.call(roomy, "greedy", SORTS, "fib", 22)
            statuses[answer.status] += 1
            if answer.status == 429:
                await asyncio.sleep(float(answer.headers["retry-after"]))
        wire.close()

    async def load() -> str:
        await asyncio.gather(*(greedy() for _ in range(sized(100, 1_000))))
        return f"beside {sized(100, 1_000)} connections of a greedy tenant, answers {dict(statuses)}"

    beside("L4", roomy, load)
    assert set(statuses) == {200, 429}


@pytest.mark.promise("N1")
def test_slow_clients_are_cut_off_and_others_do_not_notice(roomy: RunningEdge) -> None:
    """A byte of a header now and then: closed by the clock, however many they are."""
    count, closed = sized(200, 2_000), []

    async def trickle() -> None:
        wire, begun = await Wire.open(roomy), time.perf_counter()
        wire.writer.write(b"GET /v1/health HTTP/1.1\r\nX: ")
        while not wire.reader.at_eof():
            try:
                wire.writer.write(b"a")
                await asyncio.wait_for(wire.reader.read(100), 1)
            except TimeoutError:
                continue
            except OSError:
                break
        closed.append(time.perf_counter() - begun)
        wire.close()

    async def load() -> str:
        before = resident_bytes(roomy.process.pid)
        slow = asyncio.gather(*(trickle() for _ in range(count)))
        await asyncio.sleep(1)
        each = (resident_bytes(roomy.process.pid) - before) / count / 1024
        assert each < 256
        await slow
        return f"beside {count} slow clients, {each:.0f} KiB each, closed after {max(closed):.1f} s at most"

    beside("N1", roomy, load)
    assert max(closed) < 20  # head_seconds is 2


@pytest.mark.promise("N4")
def test_a_flood_of_guesses_is_slowed_and_fills_no_log(roomy: RunningEdge) -> None:
    """From several addresses: five tries a minute of each are judged, all others are told to wait."""
    addresses, tries = sized(4, 40), sized(100, 2_500)
    statuses: Counter[int] = Counter()
    begun, lines = time.monotonic(), roomy.log.read_text().count("\n")

    async def guess(address: str) -> None:
        wire = await Wire.open(roomy, address)
        for number in range(tries):
            answer = await wire.ask("GET", "/v1/modules", f"lawow_{number:043}")
            statuses[answer.status] += 1
        wire.close()

    async def load() -> str:
        await asyncio.gather(*(guess(f"127.0.1.{number + 1}") for number in range(addresses)))
        return f"beside {addresses * tries} guesses from {addresses} addresses, {dict(statuses)}"

    beside("N4", roomy, load)
    judged = addresses * (5 + (time.monotonic() - begun) / 12 + 1)
    assert statuses[401] <= judged
    assert statuses[401] + statuses[429] == addresses * tries
    log = roomy.log.read_text().splitlines()[lines:]
    assert sum("status=401" in line for line in log) == statuses[401]
    assert not [line for line in log if "status=429" in line]
