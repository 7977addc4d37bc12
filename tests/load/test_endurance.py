"""L1, L2, L3, L5, L6: much, for long, too much, and peers that do not read: nothing is left behind."""

from __future__ import annotations

import asyncio
import resource
import struct
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.edge.builders import all_sorts, module_of
from tests.load.traffic import Wire, descriptors, quantile, resident_bytes, sized
from tests.server.running import RunningEdge, running_edge, until

SORTS = all_sorts()
MIB = 1 << 20
LISTS = module_of(
    """(module (memory (export "memory") 40)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
  (func (export "many") (param i32) (result i32)
    (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (local.get 0)) (i32.const 0)))"""
)
"""``many(n)``: a list of n bytes."""


@pytest.mark.promise("L1")
def test_calls_that_go_on_for_long_leave_memory_and_descriptors_as_they_are(roomy: RunningEdge) -> None:
    """Mixed calls on four connections; after a first part the server grows no more."""
    server = roomy.process.pid
    seconds, times, samples = sized(2, 300), list[float](), list[tuple[float, int]]()

    async def use(number: int, end: float) -> None:
        wire = await Wire.open(roomy)
        while time.monotonic() < end:
            export, given = (("fib", (number + 5,)), ("echo_i64", (number,)), ("count", ()))[len(times) % 3]
            answer = await wire.call(roomy, "victim", SORTS, export, *given)
            assert answer.status == 200
            times.append(answer.seconds)
        wire.close()

    async def run(seconds: float) -> None:
        end = time.monotonic() + seconds
        users = asyncio.gather(*(use(number, end) for number in range(4)))
        while time.monotonic() < end:
            samples.append((time.monotonic(), resident_bytes(server)))
            await asyncio.sleep(seconds / 40)
        await users

    asyncio.run(run(1))
    worker = roomy.workers()["victim"]
    before = (descriptors(server), resident_bytes(worker))
    samples.clear()
    asyncio.run(run(seconds))
    half = samples[len(samples) // 2 :]
    slope = (half[-1][1] - half[0][1]) / MIB / (half[-1][0] - half[0][0]) * 3600
    assert half[-1][1] - half[0][1] < 8 * MIB
    assert resident_bytes(worker) - before[1] < 8 * MIB
    until(lambda: descriptors(server) <= before[0])
    shares = ", ".join(
        f"p{share * 100:g} {quantile(times, share) * 1000:.1f} ms" for share in (0.5, 0.99, 0.999)
    )
    print(
        f"L1: {len(times)} calls in {seconds} s, {len(times) / (seconds + 1):.0f} a second, {shares}; "
        f"server {half[0][1] >> 20} to {half[-1][1] >> 20} MiB over its last half, {slope:.1f} MiB an hour"
    )


@pytest.mark.promise("L2")
def test_more_than_the_edge_can_do_is_refused_early_and_the_rest_is_done(roomy: RunningEdge) -> None:
    """Arrivals at twice and ten times the capacity, whether answers have come or not."""

    async def capacity() -> float:
        wires, done = [await Wire.open(roomy) for _ in range(4)], 0
        end = time.monotonic() + 1

        async def use(wire: Wire) -> None:
            nonlocal done
            while time.monotonic() < end:
                assert (await wire.call(roomy, "greedy", SORTS, "fib", 30)).status == 200
                done += 1

        await asyncio.gather(*map(use, wires))
        for wire in wires:
            wire.close()
        return done

    async def offer(rate: float, seconds: float) -> tuple[Counter[int], list[float]]:
        idle, statuses, refused = list[Wire](), Counter[int](), list[float]()

        async def arrive() -> None:
            wire = idle.pop() if idle else await Wire.open(roomy)
            answer = await wire.call(roomy, "greedy", SORTS, "fib", 30)
            statuses[answer.status] += 1
            if answer.status == 429:
                assert int(answer.headers["retry-after"]) >= 1
                refused.append(answer.seconds)
            idle.append(wire)

        begun, tasks = time.monotonic(), list[asyncio.Task[None]]()
        while (elapsed := time.monotonic() - begun) < seconds:
            tasks += [asyncio.create_task(arrive()) for _ in range(int(elapsed * rate) - len(tasks))]
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
        for wire in idle:
            wire.close()
        return statuses, refused

    able, seconds = max(asyncio.run(capacity()) for _ in range(3)), sized(1, 20)
    for times in (2, 10):
        begun = time.monotonic()
        statuses, refused = asyncio.run(offer(times * able, seconds))
        good = statuses[200] / (time.monotonic() - begun)
        assert set(statuses) == {200, 429}
        assert good > 0.1 * able  # the generator takes its part of the same processors
        print(
            f"L2: {able:.0f} calls a second are possible; at {times} x {good:.0f} a second are done, "
            f"{statuses[429]} refused, in {quantile(refused, 0.5) * 1000:.0f} ms (median)"
        )


@pytest.mark.promise("L3")
def test_a_peer_that_does_not_read_holds_little_and_is_let_go(tmp_path: Path) -> None:
    """Each asks eight times for a megabyte and reads none of it: cut off by the clock, its memory freed."""
    peers = sized(10, 100)
    with running_edge(tmp_path / "data", body_seconds=1, calls_waiting_per_tenant=500) as edge:
        server = edge.process.pid
        assert edge.put("greedy", LISTS.wasm, LISTS.digest).status == 201
        request = many_bytes(edge, 1_000_000)

        async def stall() -> None:
            wires = [await Wire.open(edge) for _ in range(peers)]
            for wire in wires:
                assert (await wire.ask("GET", "/v1/health")).status == 200
            before, idle = resident_bytes(server), descriptors(server) - peers
            for wire in wires:
                wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
                wire.writer.write(request * 8)
            most, begun = 0, time.monotonic()
            while descriptors(server) > idle + 4:  # its worker is new
                most = max(most, resident_bytes(server) - before)
                assert time.monotonic() - begun < 60, "peers that do not read are never let go"
                await asyncio.sleep(0.05)
            for wire in wires:
                wire.close()
            assert most / peers < 6 * MIB
            took = time.monotonic() - begun
            each = most / peers / MIB
            print(f"L3: {peers} peers that do not read, {each:.1f} MiB each, gone after {took:.1f} s")

        asyncio.run(stall())
        log = edge.log.read_text()
        assert " defect " not in log
        assert " library " not in log
        assert edge.ask("GET", "/v1/health").status == 200


@pytest.mark.promise("L3")
def test_a_peer_that_reads_slowly_and_keeps_a_pace_gets_its_whole_answer(tmp_path: Path) -> None:
    """Four megabytes over more than twice the time that nobody may stand still."""

    async def read(edge: RunningEdge) -> tuple[int, float]:
        reader, writer = await asyncio.open_connection(*edge.address, limit=1 << 14)
        writer.write(many_bytes(edge, 1_000_000) * 4)
        received, begun = 0, time.monotonic()
        while received < 4_000_000 and (data := await reader.read(1 << 14)):
            received += len(data)
            await asyncio.sleep(0.004)
        writer.close()
        return received, time.monotonic() - begun

    with running_edge(tmp_path / "data", body_seconds=0.4) as edge:
        assert edge.put("greedy", LISTS.wasm, LISTS.digest).status == 201
        received, seconds = asyncio.run(read(edge))
        assert received >= 4_000_000
        assert seconds > 0.8


def many_bytes(edge: RunningEdge, count: int) -> bytes:
    """Return a request for a list of so many bytes."""
    head = (
        f"POST /v1/modules/sha256:{LISTS.digest}/exports/many/calls HTTP/1.1",
        "Host: edge",
        f"Authorization: Bearer {edge.token('greedy')}",
        "Content-Type: application/vnd.lawow.values",
        "Lawow-Signature: i>[b",
        "Content-Length: 8",
    )
    return "\r\n".join([*head, "", ""]).encode() + struct.pack("<q", count)


@pytest.mark.promise("L5")
def test_idle_connections_cost_little_and_delay_nobody(roomy: RunningEdge) -> None:
    count, server = sized(500, 9_000), roomy.process.pid
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

    async def idle() -> None:
        before, wires = resident_bytes(server), list[Wire]()
        for _ in range(count):
            wires.append(await Wire.open(roomy))
            assert (await wires[-1].ask("GET", "/v1/health")).status == 200
        each = (resident_bytes(server) - before) / count / 1024
        times = [(await wire.ask("GET", "/v1/health")).seconds for wire in wires[:: max(count // 200, 1)]]
        for wire in wires:
            wire.close()
        assert each < 64
        slowest = quantile(times, 0.99) * 1000
        print(f"L5: {count} idle connections, {each:.1f} KiB each; one in turn p99 {slowest:.1f} ms")

    asyncio.run(idle())


@pytest.mark.promise("L6")
def test_connections_that_come_and_go_leave_nothing_behind(roomy: RunningEdge) -> None:
    """Closed after an answer, before it, within a header, at once."""
    server, count = roomy.process.pid, sized(1_000, 60_000)
    before, begun = descriptors(server), time.monotonic()

    async def churn(number: int) -> None:
        wire = await Wire.open(roomy)
        if number % 4 == 0:
            assert (await wire.ask("GET", "/v1/health")).status == 200
        elif number % 4 == 1:
            wire.send("GET", "/v1/modules", roomy.token("victim"))
            await wire.writer.drain()
        elif number % 4 == 2:
            wire.writer.write(b"GET /v1/he")
        wire.close()

    async def run() -> None:
        for first in range(0, count, 50):
            await asyncio.gather(*(churn(number) for number in range(first, first + 50)))

    asyncio.run(run())
    rate = count / (time.monotonic() - begun)
    middle = resident_bytes(server)
    until(lambda: descriptors(server) <= before, 20)
    asyncio.run(run())
    until(lambda: descriptors(server) <= before, 20)
    grown = resident_bytes(server) - middle
    assert grown < 8 * MIB
    more = f"{grown / MIB:.1f} MiB more over the last half"
    print(f"L6: {2 * count} connections, {rate:.0f} a second, 0 descriptors left, {more}")
