"""The vectors that every implementation must read in the same way; they were made without the code."""

from __future__ import annotations

import json
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from fixtures.channel import make_vectors
from lawow.channel import events
from lawow.channel.client import ClientConnection
from lawow.channel.sequences import ChannelEnd, Position
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
from lawow.channel.states import ConnectionState
from lawow.errors import RemoteProtocolError
from tests.channel.wires import CUTS, Cut, feed

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "fixtures" / "channel" / "vectors.json").read_text())
BYTES = {
    "send_hello": (0,),
    "send_welcome": (0,),
    "send_call": (1,),
    "send_message": (1,),
    "send_result": (1,),
    "send_reopen": (1,),
}
"""Which arguments of a method are hexadecimal in JSON."""


class Player:
    """One end that plays a script."""

    def __init__(self, role: str, cut: Cut) -> None:
        self.end: Any = ClientConnection() if role == "client" else ServerConnection()
        self.cut = cut
        self.moved: ChannelEnd | None = None

    def play(self, step: dict[str, Any]) -> None:
        """Do one step and compare."""
        if "do" in step:
            self.do(step["do"], step["arguments"])
        elif "sends" in step:
            assert self.end.data_to_send().hex() == step["sends"]
        elif step.get("violates"):
            with pytest.raises(RemoteProtocolError):
                feed(self.end, bytes.fromhex(step["receives"]), self.cut)
            assert self.end.state is ConnectionState.CLOSED
            assert b"protocol-error" in self.end.data_to_send()
        else:
            told = feed(self.end, bytes.fromhex(step["receives"]), self.cut)
            assert [self.as_json(event) for event in told] == step["tells"]

    def do(self, method: str, arguments: list[Any]) -> None:
        """Call a method."""
        given = [
            bytes.fromhex(value) if index in BYTES.get(method, ()) else value
            for index, value in enumerate(arguments)
        ]
        if method == "send_welcome":
            given = [ServerSession(given[0])]
        elif method == "send_reopen":
            given[0] = self.moved
        getattr(self.end, method)(*given)

    def as_json(self, event: events.Event) -> dict[str, object]:
        """Return an event as the vectors write it."""
        shown: dict[str, object] = {"event": type(event).__name__}
        for field in fields(event):
            value = getattr(event, field.name)
            if isinstance(value, ChannelEnd):
                self.moved = value
                continue
            shown[field.name] = plain(value)
        return shown


def plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Position):
        return [value.received, value.sent]
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, IntEnum) else value


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "vector", VECTORS["good"] + VECTORS["bad"], ids=lambda item: f"{item['role']}: {item['name']}"
)
def test_every_vector_is_read_as_it_says(vector: dict[str, Any], cut: Cut) -> None:
    player = Player(vector["role"], cut)
    for step in vector["steps"]:
        player.play(step)


def test_the_file_is_what_its_source_makes() -> None:
    assert make_vectors.vectors() == VECTORS
