"""Traffic for tests of load: connections that stay, calls at a pace, what the kernel says of processes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.edge.builders import Module
from tests.server.running import RunningEdge

__all__ = [
    "FULL",
    "Answer",
    "Wire",
    "assert_not_slowed",
    "descriptors",
    "paced",
    "quantile",
    "resident_bytes",
    "sized",
]

FULL = os.environ.get("LAWOW_LOAD") == "full"
"""``LAWOW_LOAD=full``: the long forms, whose figures stand in docs/PROMISES.md."""
UNNOTICED_SECONDS = 0.25
"""A tail below this is not called slow, so that a busy machine fails no test."""


def sized(short: int, full: int) -> int:
    """Return the size of a load."""
    return full if FULL else short


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers in lower case, and body; `seconds` from the request's first byte on."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


class Wire:
    """One HTTP connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, edge: RunningEdge, source: str = "127.0.0.1") -> Wire:
        """Connect from an address of loopback, all of which are ours."""
        host, port = edge.address
        return cls(*await asyncio.open_connection(host, port, local_addr=(source, 0)))

    def send(self, method: str, path: str, token: str = "", body: bytes = b"", media_type: str = "") -> None:
        """Write a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: edge", f"Content-Length: {len(body)}"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"Content-Type: {media_type}"] if media_type else []
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def ask(
        self, method: str, path: str, token: str = "", body: bytes = b"", media_type: str = ""
    ) -> Answer:
        """Make a request and read its answer. Raises `OSError`, `EOFError` when the connection is lost."""
        started = time.perf_counter()
        self.send(method, path, token, body, media_type)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {pair[0].lower(): pair[1] for pair in pairs}
        data = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(head[0].split()[1]), headers, data, time.perf_counter() - started)

    async def call(self, edge: RunningEdge, tenant: str, module: Module, export: str, *given: int) -> Answer:
        """Call an export with numbers."""
        path = f"/v1/modules/sha256:{module.digest}/exports/{export}/calls"
        body = json.dumps({"arguments": given}).encode()
        return await self.ask("POST", path, edge.token(tenant), body, "application/json")

    def close(self) -> None:
        """Close at once."""
        self.writer.transport.abort()


async def paced(
    edge: RunningEdge,
    tenant: str,
    module: Module,
    number: int,
    *,
    until: asyncio.Event,
    source: str = "127.0.0.1",
) -> list[float]:
    """Be a well-behaved tenant: ``fib(number)`` 50 times a second until the event; return seconds of each."""
    wire, times = await Wire.open(edge, source), []
    begun = time.perf_counter()
    while not until.is_set() or len(times) < 20:
        answer = await wire.call(edge, tenant, module, "fib", number)
        assert answer.status == 200, answer
        times.append(answer.seconds)
        await asyncio.sleep(max(0.0, begun + len(times) / 50 - time.perf_counter()))
    wire.close()
    return times


def quantile(times: Iterable[float], share: float) -> float:
    """Return the value that this share of all does not exceed."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def assert_not_slowed(
    name: str, alone: list[float], beside: list[float], figures: str, unnoticed: float = UNNOTICED_SECONDS
) -> None:
    """Require the slowest of 100 to take less than thrice as long, or less than anybody notices; print it."""
    before, after = quantile(alone, 0.99), quantile(beside, 0.99)
    print(
        f"{name}: p99 {before * 1000:.1f} ms alone, {after * 1000:.1f} ms beside it "
        f"({after / before:.1f} x), median {quantile(beside, 0.5) * 1000:.1f} ms; "
        f"{len(beside)} calls {figures}"
    )
    assert after < max(3 * before, unnoticed)


def resident_bytes(process: int) -> int:
    """Return the memory that a process has resident."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(process: int) -> int:
    """Return how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{process}/fd"))
