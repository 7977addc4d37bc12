"""The stationary end of an elastic channel: it stays on the device while the other end moves between hosts.

A program keeps this one object. `move` takes the flexible end to another host, or home; a host that drains
moves it by itself. Messages keep their order and come once, before, during and after a move: what the former
host did not take is sent to the next one. Defined by docs/PROTOCOL.md, "Channels" and "Moving".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType

from lawow.channel.events import ChannelEnded, ChannelOpened, Message, Moved, MoveRefused, PeerClosed, Refused
from lawow.channel.payloads import Kind, Policy
from lawow.channel.sequences import ChannelEnd
from lawow.channel.tickets import position_ticket
from lawow.device.data_session import ChannelEvent, DataSession
from lawow.device.edge_client import printable
from lawow.device.message_end import ChannelClosed, MessageEnd
from lawow.errors import HostLost, LawowError, UsageError
from lawow.errors import Refused as RefusedError
from lawow.limits import CHANNEL

__all__ = ["ElasticChannel"]

OPEN_SECONDS = 30.0
REOPEN_TRIES = 5


class ElasticChannel(MessageEnd):
    """A channel to an endpoint (one to one) or a topic (one to many) of a host.

    `hosts` holds the clients of all hosts that the flexible end may be on, by the names that `move` and the
    hosts use; the program may add to it. `refuge` is the one that takes the flexible end when its host sends
    it away and names no other, as an edge that ends does, and when the next host does not take it. `policy`
    says what a topic does while this end is too slow: wait (``BLOCK``), drop the oldest messages
    (``DROP_OLDEST``, counted in `missed`), end the channel (``DISCONNECT``).
    """

    def __init__(
        self,
        name: str,
        type_name: str,
        hosts: Mapping[str, DataSession],
        at: str,
        *,
        kind: Kind = Kind.ENDPOINT,
        policy: Policy = Policy.BLOCK,
        refuge: str = "",
    ) -> None:
        """Open it on the host `at`. Raises `Refused` if the host does, `HostLost`, `FormatError`."""
        super().__init__(name, type_name)
        self.host = at
        self.refuge = refuge
        self._hosts = hosts
        self._steps = threading.Condition()
        self._step = 0
        self._refused: LawowError | None = None
        self._tries = 0
        self._asked = ""
        self._ticket = b""
        self._own_ticket: bytes | None = None  # of an end that is at no host, so that any may take it
        self._turned: LawowError | None = None
        self._end = ChannelEnd(kind, policy, name, type_name, CHANNEL.window_bytes)
        step = self._begin_step()
        self._open()
        self._await(step)

    def __enter__(self) -> ElasticChannel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    def move(self, destination: str) -> None:
        """Take the flexible end to another host, and return when it is there.

        Messages may be sent and received meanwhile by other threads. Raises `Refused` if either host refuses:
        if it was the former one, nothing has changed, if the next one, the end is at its refuge, or the
        channel has ended; `UsageError` for a host that is not in `hosts`.
        """
        self._client_of(destination)
        carried = self._require_carried()
        if carried is None:
            raise HostLost(f"channel {self.name}: it is not open at the moment")
        step = self._begin_step()
        self._asked = destination
        try:
            self._client_of(self.host).move_channel(carried[1], destination)
            self._await(step)
        finally:
            self._asked = ""

    def reset(self) -> None:
        """End the channel in both directions, whatever is on its way."""
        carried = self._carried
        self.end(ChannelClosed(f"channel {self.name}: this end is closed"))
        if carried is not None:
            carrier, channel_id = carried
            with carrier.lock:
                if channel_id in carrier.exchange.session.channels:
                    carrier.exchange.end_channel(channel_id, "closed")
            carrier.wake()

    # inside

    def _client_of(self, host: str) -> DataSession:
        client = self._hosts.get(host)
        if client is None:
            known = ", ".join(sorted(self._hosts)) or "none"
            raise UsageError(f"channel {self.name}: no client for the host {host[:80]!r}; there are {known}")
        return client

    def _open(self) -> None:
        client = self._client_of(self.host)
        with client.lock:
            client.open_channel(self._end, self._ticket, self._take)

    def _take(self, event: ChannelEvent) -> None:
        """Take an event; the client's lock is held."""
        if isinstance(event, Message):
            self.deliver(event)
        elif isinstance(event, ChannelOpened):
            self.attach(self._client_of(self.host), event.id)
            turned, self._turned, self._own_ticket = self._turned, None, None
            self._finish_step(turned)
        elif isinstance(event, Moved):
            self._follow(event)
        elif isinstance(event, MoveRefused):
            self._finish_step(_refusal(self.name, event.code, event.detail))
            self.poke()
        elif isinstance(event, PeerClosed):
            self.peer_closed()
        elif isinstance(event, Refused):
            self._turn_away(_refusal(self.name, event.code, event.detail))
        elif isinstance(event, ChannelEnded):
            self._ended_by(event)
        else:
            self.poke()

    def _follow(self, event: Moved) -> None:
        """Go where the flexible end has gone.

        One that its host sent away goes where it was about to be asked to, or to its refuge.
        """
        self.detach()
        self._end, self._own_ticket = event.channel, position_ticket(event.position)
        host = event.endpoint or self._asked or self.refuge
        if host in self._hosts:
            self._go(host, event.ticket or self._own_ticket)
        else:
            self.host, where = host, f"to {host[:80]!r}" if host else "away"
            text = f"channel {self.name}: its host sent it {where}; there is no client for that"
            self._turn_away(HostLost(text))

    def _turn_away(self, error: LawowError) -> None:
        """No host has the end now, because the next one does not take it: it goes to its refuge."""
        if self._own_ticket is None or self.host == self.refuge or self.refuge not in self._hosts:
            self._fail(error)
        else:
            self._turned = error
            self._go(self.refuge, self._own_ticket)

    def _go(self, host: str, ticket: bytes) -> None:
        """Open the channel there; connecting may take a while, so in a thread."""
        self.host, self._ticket, self._tries = host, ticket, 0
        threading.Thread(target=self._reopen, name="lawow-channel-move", daemon=True).start()

    def _reopen(self) -> None:
        try:
            self._open()
        except LawowError as error:
            self._turn_away(error)

    def _ended_by(self, event: ChannelEnded) -> None:
        if event.code == "not-opened" and self._tries < REOPEN_TRIES:
            self._tries += 1
            threading.Thread(target=self._reopen, name="lawow-channel-move", daemon=True).start()
        elif event.code == "not-opened":
            self._turn_away(HostLost(f"channel {self.name}: {self.host or 'this device'} does not open it"))
        elif event.code == "closed":
            self._fail(ChannelClosed(f"channel {self.name}: the other end has ended it"))
        else:
            reason = f"{printable(event.code)} {printable(event.detail)}".strip()
            self._fail(HostLost(f"channel {self.name} on {self.host or 'this device'} has ended: {reason}"))

    def _fail(self, error: LawowError) -> None:
        self.end(error)
        self._finish_step(error)

    def _begin_step(self) -> int:
        with self._steps:
            self._refused = None
            return self._step

    def _finish_step(self, refused: LawowError | None) -> None:
        with self._steps:
            self._step += 1
            self._refused = refused
            self._steps.notify_all()

    def _await(self, step: int) -> None:
        """Wait until the channel is open, on the first host or the next one. Raises why it is not."""
        with self._steps:
            if not self._steps.wait_for(lambda: self._step != step, OPEN_SECONDS):
                raise HostLost(f"channel {self.name}: {self.host or 'this device'} did not answer")
            if self._refused is not None:
                raise self._refused


def _refusal(name: str, code: str, detail: str) -> RefusedError:
    return RefusedError(f"channel {name}: {printable(detail) or printable(code)}")
