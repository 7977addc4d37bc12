"""A channel whose flexible end moves between two hosts while its program goes on with the same object.

    python examples/elastic_channel.py

Both hosts are in this process; over a network `dial` takes the place of `connect` (docs/device.md).
"""

from __future__ import annotations

from lawow.device.channel_host import ChannelHost, FlexibleEnd, NextHost
from lawow.device.data_session import DataSession
from lawow.device.elastic_channel import ElasticChannel

TOKEN = b"the token of this example"


def shout(end: FlexibleEnd) -> None:
    """The flexible end's program: it knows nothing of moves, and keeps its count over them."""
    for number, text in enumerate(end, start=1):
        end.send(f"{number}: {str(text).upper()} from {end.host}")


def main() -> None:
    """Open a channel, use it, move it twice."""
    next_hosts: dict[str, NextHost] = {}
    hosts = {name: ChannelHost(name, TOKEN, next_hosts) for name in ("phone", "edge")}
    next_hosts.update(hosts)
    for host in hosts.values():
        host.offer("shout", "string", shout)
    sessions = {name: DataSession(host.connect, TOKEN) for name, host in hosts.items()}
    with ElasticChannel("shout", "string", sessions, "phone") as channel:
        for destination, text in [("", "one"), ("edge", "two"), ("phone", "three")]:
            if destination:
                channel.move(destination)
            channel.send(text)
            print(channel.receive(timeout_seconds=10))
    for session in sessions.values():
        session.close()


if __name__ == "__main__":
    main()
