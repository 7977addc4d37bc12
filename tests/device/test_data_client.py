"""The data plane's client against an edge that turns it away."""

from __future__ import annotations

import socket
import threading

import pytest

from lawow.channel.server import ServerConnection
from lawow.device.data_client import DataClient
from lawow.device.edge_client import EdgeProblem
from lawow.errors import HostLost, LawowError, Unauthorized


def say_goodbye(listener: socket.socket, code: str) -> None:
    """Answer each HELLO with GOODBYE."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        with connection:
            server = ServerConnection()
            while not server.has_to_send:
                if server.receive_data(connection.recv(65536)):
                    server.send_goodbye(code)
            connection.sendall(server.data_to_send())


@pytest.mark.parametrize(
    ("code", "error"), [("draining", HostLost), ("unauthorized", Unauthorized), ("busy", EdgeProblem)]
)
def test_a_goodbye_in_the_place_of_a_welcome_is_said_as_what_it_means(
    code: str, error: type[LawowError]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=say_goodbye, args=(listener, code), daemon=True).start()
        with DataClient(*listener.getsockname(), "token") as client, pytest.raises(error):
            client.bind("session:" + "0" * 32, "add", "i>i")
        listener.shutdown(socket.SHUT_RDWR)
