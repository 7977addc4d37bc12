"""The data plane's client against edges of a few lines."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from lawow.channel.events import FunctionAsked, Greeted
from lawow.channel.frames import HEAD, Op
from lawow.channel.server import ServerConnection
from lawow.channel.sessions import ServerSession
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


def test_a_client_that_looks_answers_pings() -> None:
    is_bound, has_ponged, is_over = threading.Event(), threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            server = ServerConnection()
            server.tick(0.0)
            while not is_bound.is_set():
                for event in server.receive_data(connection.recv(65536)):
                    if isinstance(event, Greeted):
                        server.send_welcome(ServerSession(b"session"))
                    elif isinstance(event, FunctionAsked):
                        server.send_bound(event.id)
                        connection.sendall(server.data_to_send())
                        assert is_bound.wait(20)
                connection.sendall(server.data_to_send())
            server.tick(1.0)
            server.tick(1_000.0)
            connection.sendall(server.data_to_send())
            answer = connection.recv(HEAD.size, socket.MSG_WAITALL)
            if HEAD.unpack(answer)[2] == Op.PONG:
                has_ponged.set()
            assert is_over.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with DataClient(*listener.getsockname(), "token") as client:
            client.bind("session:" + "0" * 32, "add", "i>i")
            is_bound.set()
            end = time.monotonic() + 20
            while not has_ponged.is_set():
                assert time.monotonic() < end
                client.look()
                time.sleep(0.01)
            is_over.set()
            thread.join(20)
