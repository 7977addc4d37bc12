"""A process with two hosts of flexible ends over TLS: ``python -m tests.e2e.channel_hosts FOLDER``.

Prints one line of JSON with port and pin of each host, and serves until its standard input is closed. Clients
may take ends home, or carry them to a host ``edge``, which this process does not know.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from lawow.device.channel_host import CarriedByClient, ChannelHost, ClientHome, FlexibleEnd, NextHost
from tests.device.channels import TOKEN, tls_host

__all__ = ["main"]


def doubling(end: FlexibleEnd) -> None:
    """Answer each number with itself, doubled, and the host that it met, as its last digit."""
    while True:
        end.answer(lambda value: int(str(value)) * 20 + int(end.host[-1]))


def main(folder: str) -> None:
    """Serve ``edge-1`` and ``edge-2``."""
    next_hosts: dict[str, NextHost] = {"": ClientHome(), "edge": CarriedByClient()}
    hosts = {name: ChannelHost(name, TOKEN, next_hosts) for name in ("edge-1", "edge-2")}
    next_hosts.update(hosts)
    with contextlib.ExitStack() as stack:
        said = {}
        for name, host in hosts.items():
            host.offer("numbers", "s64", doubling)
            served = stack.enter_context(tls_host(host, Path(folder)))
            said[name] = {"port": served.port, "pin": served.pin}
        print(json.dumps(said), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
