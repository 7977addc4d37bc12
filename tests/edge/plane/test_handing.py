"""Connections that are handed over: they work, carry their address, and fail without harm."""

from __future__ import annotations

import os
import resource
import socket
from contextlib import suppress

import pytest

from lawow.edge.plane.handing import hand_over, handing_pair, take_handed


def test_what_is_handed_over_is_connected_and_has_its_address() -> None:
    ours, theirs = handing_pair()
    with ours, theirs:
        for address in ("192.0.2.7", "2001:db8::7"):
            with hand_over(ours, address) as kept:
                taken = take_handed(theirs)
                assert taken is not None
                connection, told = taken
                with connection:
                    assert told == address
                    connection.sendall(b"there")
                    kept.setblocking(True)
                    assert kept.recv(10) == b"there"
                    kept.sendall(b"back")
                    assert connection.recv(10) == b"back"
        assert take_handed(theirs) is None


def test_a_worker_that_takes_none_is_full_and_loses_none() -> None:
    ours, theirs = handing_pair()
    waiting: list[socket.socket] = []
    with ours, theirs:
        with suppress(BlockingIOError):
            for index in range(100_000):
                waiting.append(hand_over(ours, str(index)))
        assert 0 < len(waiting) < 100_000
        for index, kept in enumerate(waiting):
            taken = take_handed(theirs)
            assert taken is not None
            assert taken[1] == str(index)
            taken[0].close()
            kept.close()
        assert take_handed(theirs) is None


def test_a_worker_that_is_gone_is_an_error() -> None:
    ours, theirs = handing_pair()
    theirs.close()
    with ours, pytest.raises(OSError):
        hand_over(ours, "192.0.2.7")


def test_a_connection_for_which_there_is_no_descriptor_is_closed() -> None:
    ours, theirs = handing_pair()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ours, theirs, hand_over(ours, "192.0.2.7") as kept:
        taken = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
        fillers = [os.dup(0) for _ in range(taken - len(os.listdir("/proc/self/fd")) + 1)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(fillers) + 1, limits[1]))
        try:
            assert take_handed(theirs) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for filler in fillers:
                os.close(filler)
        kept.setblocking(True)
        assert kept.recv(10) == b""
