"""An edge that is told to end sends the flexible ends home, or to another edge; no message is lost.

The stationary ends are in this process. Who answers a number says so by a mark: a guest on an edge 4 or 5,
the host on the device 3.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lawow.device.channel_host import ChannelHost, FlexibleEnd
from lawow.device.data_session import DataSession, dial
from lawow.device.elastic_channel import ElasticChannel
from lawow.errors import HostLost
from tests.e2e.conftest import serving_edge
from tests.e2e.moving import SECONDS, Flow, plane_of
from tests.server.planes import CuttingProxy, Plane, greeted
from tests.server.running import RunningEdge

TOKEN = b"token-of-the-phone"
HOME, EDGE, OTHER = 3, 4, 5


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is to be closed."""
    with ExitStack() as made:
        yield made


@pytest.fixture
def phone(stack: ExitStack) -> DataSession:
    """A session with the host on the device."""

    def answer_all(end: FlexibleEnd) -> None:
        while True:
            end.answer(lambda value: int(str(value)) * 20 + HOME)

    host = ChannelHost("phone", TOKEN)
    host.offer("numbers", "s64", answer_all)
    stack.callback(host.close)
    return stack.enter_context(DataSession(host.connect, TOKEN))


@pytest.fixture
def plane(edge: RunningEdge, stack: ExitStack) -> Plane:
    """A lease with a relay on the edge that will end."""
    return plane_of(edge, EDGE, stack)


def end_it(edge: RunningEdge) -> None:
    """Tell it to end, and go on."""
    edge.process.send_signal(signal.SIGTERM)


def test_ends_come_home_while_messages_flow_and_one_without_a_refuge_says_that_it_is_lost(
    edge: RunningEdge, plane: Plane, phone: DataSession, stack: ExitStack
) -> None:
    hosts = {"edge": stack.enter_context(plane.session()), "phone": phone}
    homeless = ElasticChannel("numbers", "s64", hosts, "edge")
    channels = [ElasticChannel("numbers", "s64", hosts, "edge", refuge="phone") for _ in range(3)]
    flows = [stack.enter_context(Flow(channel)) for channel in channels]
    for flow in flows:
        flow.await_answer_of(EDGE)
    end_it(edge)
    for flow in flows:
        flow.await_answer_of(HOME)
        flow.end()
        flow.require_all_in_order()
    assert {channel.host for channel in channels} == {"phone"}
    with pytest.raises(HostLost, match="sent it away"):
        homeless.receive(timeout_seconds=SECONDS)
    assert edge.process.wait(SECONDS) == 0
    assert (
        "graceful shutdown exceeded" not in edge.log.read_text()
    )  # though an idle client kept its connection


def test_an_end_goes_on_at_another_edge(
    edge: RunningEdge, plane: Plane, stack: ExitStack, tmp_path: Path
) -> None:
    other = plane_of(stack.enter_context(serving_edge(tmp_path / "other")), OTHER, stack)
    hosts = {"edge": stack.enter_context(plane.session()), "other": stack.enter_context(other.session())}
    channel = stack.enter_context(ElasticChannel("numbers", "s64", hosts, "edge", refuge="other"))
    with Flow(channel) as flow:
        flow.await_answer_of(EDGE)
        end_it(edge)
        flow.await_answer_of(OTHER)
    flow.require_all_in_order()
    assert edge.process.wait(SECONDS) == 0


@pytest.mark.parametrize(("count", "is_inward"), [(60, False), (30, True)])
def test_a_client_that_is_lost_meanwhile_still_learns_where_its_end_is(
    edge: RunningEdge, plane: Plane, phone: DataSession, stack: ExitStack, count: int, is_inward: bool
) -> None:
    """The connection is cut after so many bytes of what the edge says when it ends, or of what it is told."""
    proxy = stack.enter_context(CuttingProxy(plane))
    hosts = {"edge": stack.enter_context(proxy.plane.session()), "phone": phone}
    channel = stack.enter_context(ElasticChannel("numbers", "s64", hosts, "edge", refuge="phone"))
    channel.send(0)
    assert channel.receive(timeout_seconds=SECONDS) == EDGE
    proxy.cut_after(count, is_inward=is_inward)
    end_it(edge)
    for number in itertools.count(1):
        channel.send(number, timeout_seconds=SECONDS)
        answer = int(str(channel.receive(timeout_seconds=SECONDS)))
        assert answer // 20 == number
        if answer % 20 == HOME:
            break
    assert proxy.cuts == 1
    assert edge.process.wait(SECONDS) == 0


def test_an_edge_does_not_wait_for_a_client_that_does_not_come_back(edge: RunningEdge, plane: Plane) -> None:
    with dial(plane.host, plane.port, plane.pin) as connection:
        link = greeted(connection, plane)
        channel_id = link.send_open("numbers", "s64")
        connection.sendall(link.data_to_send())
        while not link.can_send(channel_id, 8):
            link.receive_data(connection.recv(65536))
    end_it(edge)
    assert edge.process.wait(SECONDS) == 0
