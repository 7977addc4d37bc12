"""A bound on how slowly a peer may read: what it does not take waits in the server's memory."""

from __future__ import annotations

import asyncio

from lawow.limits import EdgeLimits

__all__ = ["ReadingPace"]


class ReadingPace:
    """Watches one connection while its write buffer is full, and cuts it off if it is not read."""

    def __init__(self, transport: asyncio.Transport, limits: EdgeLimits) -> None:
        self._transport = transport
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The buffer is full: the peer has to keep a pace from now on."""
        self.end()
        unread = self._transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.body_seconds, self._require_reading, unread)

    def end(self) -> None:
        """The peer has read, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _require_reading(self, unread_before: int) -> None:
        """Cut a peer off that read less than `body_bytes_per_second`: it would hold its answer for ever."""
        read = unread_before - self._transport.get_write_buffer_size()
        if read < self._limits.body_seconds * self._limits.body_bytes_per_second:
            self._transport.abort()
        else:
            self.begin()
