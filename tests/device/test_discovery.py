"""Finding edges: given, by environment, by a real announcement on loopback; hostile announcements."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from zeroconf import ServiceInfo, Zeroconf

from lawow.device.discovery import (
    SERVICE_TYPE,
    FoundEdge,
    announced_edges,
    environment_edges,
    given_edge,
    nearest_first,
)
from lawow.errors import UsageError
from lawow.server import announcing
from tests.conftest import lawow
from tests.server.running import running_edge

LOOPBACK = ["127.0.0.1"]
PIN = "ab" * 32
LISTEN = ("--interface", "127.0.0.1", "--seconds", "2.5")
LISTEN_SECONDS = 2.5  # what was announced within the last second is not repeated at once


@contextmanager
def announcements(items: list[tuple[str, int, dict[str, str]]]) -> Iterator[None]:
    """Announce whatever a hostile neighbour likes: labels, ports, properties."""
    zeroconf = Zeroconf(interfaces=LOOPBACK)
    try:
        for label, port, properties in items:
            name, address = f"{label}.{SERVICE_TYPE}", socket.inet_aton("127.0.0.1")
            info = ServiceInfo(
                SERVICE_TYPE, name, port, 0, 0, properties, "hostile.local.", addresses=[address]
            )
            zeroconf.register_service(info, cooperating_responders=True)
        yield
    finally:
        zeroconf.close()


def test_device_and_edge_speak_of_the_same_service() -> None:
    assert SERVICE_TYPE == announcing.SERVICE_TYPE


def test_given_edges_and_those_of_the_environment_are_read() -> None:
    assert given_edge("https://edge.example:8443/") == FoundEdge("https://edge.example:8443", "given")
    text = f"https://192.0.2.1:1#{PIN.upper()} http://127.0.0.1:2"
    assert environment_edges({"LAWOW_EDGES": text}) == [
        FoundEdge("https://192.0.2.1:1", "environment", PIN),
        FoundEdge("http://127.0.0.1:2", "environment"),
    ]
    assert environment_edges({}) == []
    for wrong in ("edge.example", "ftp://edge.example", "https://", "https://edge.example/path"):
        with pytest.raises(UsageError, match="is not an edge"):
            given_edge(wrong)
    with pytest.raises(UsageError, match="64 hex digits"):
        given_edge("https://edge.example#abc")


def test_the_nearest_edge_comes_first_and_an_unreachable_one_last() -> None:
    """A port that nobody listens on cannot be measured; the same edge found twice is measured once."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as gone:
        there = FoundEdge(f"http://127.0.0.1:{listening.getsockname()[1]}", "given")
        gone_url = f"http://127.0.0.1:{gone.getsockname()[1]}"
        gone.close()
        edges = nearest_first([FoundEdge(gone_url, "given"), there, there])
    assert [edge.url for edge in edges] == [there.url, gone_url]
    assert edges[0].round_trip_seconds is not None
    assert 0 < edges[0].round_trip_seconds < 2
    assert edges[1].round_trip_seconds is None
    assert nearest_first([]) == []


def test_an_announced_edge_is_found_with_its_certificate_and_gone_when_it_ends() -> None:
    with announcing.announced("127.0.0.1", 8443, PIN, "garage"):
        found = announced_edges(LISTEN_SECONDS, LOOPBACK)
        assert FoundEdge("https://127.0.0.1:8443", "announced", PIN, "garage-8443") in found
    assert "garage-8443" not in {edge.name for edge in announced_edges(0.5, LOOPBACK)}


def test_announcements_that_are_none_are_left_out_and_no_name_drives_a_terminal() -> None:
    """Neighbours may announce anything; what is an edge among it is found."""
    hostile = [
        {"scheme": "file"},
        {},
        {"scheme": "https", "sha256": "zz"},
        {"scheme": "https", "sha256": "0" * 63},
        {"scheme": "http://192.0.2.1/?"},
    ]
    items = [(f"hostile-{number}", 4711, properties) for number, properties in enumerate(hostile)]
    with announcements([*items, ("turns\u202earound", 4712, {"scheme": "http"})]):
        found = announced_edges(LISTEN_SECONDS, LOOPBACK)
    assert [edge for edge in found if edge.url.endswith((":4711", ":4712"))] == [
        FoundEdge("http://127.0.0.1:4712", "announced", None, "turnsaround")
    ]


def test_the_commands_find_each_other(tmp_path: Path) -> None:
    """A real `lawow serve --announce` is listed by `lawow edges`, with a measured round trip."""
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--announce"]
    command += ["--data", str(tmp_path / "data")]
    with running_edge(tmp_path / "data", command=command) as edge:
        text = lawow("edges", *LISTEN, "--json", LAWOW_EDGES="http://127.0.0.1:1").stdout
        edges = json.loads(text)["edges"]
        (found,) = [item for item in edges if item["url"] == edge.url]
        assert found["source"] == "announced"
        assert 0 < found["round_trip_seconds"] < 2
        (other,) = [item for item in edges if item["url"] == "http://127.0.0.1:1"]
        assert (other["source"], other["round_trip_seconds"]) == ("environment", None)
        assert lawow("edges", "--no-mdns", edge.url).stdout.split()[2:] == [edge.url, "given"]
    assert "no edges" in lawow("edges", "--no-mdns").stdout
