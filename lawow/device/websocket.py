"""A connection of the data plane in binary messages of a WebSocket, through the edge's own port.

For networks that let nothing but HTTP pass: the frames are those of the worker's port, cut into messages
anywhere. The connection is opened, and the edge trusted, as all others of an `EdgeClient`. Text and
compression are refused. Needs the `websockets` package (extra `device`), of which the protocol is used
without its sockets; whoever can do without a WebSocket imports this module late.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections import deque

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from lawow.channel.frames import SUBPROTOCOL
from lawow.device.edge_client import EdgeClient, printable
from lawow.errors import HostLost, LawowError, RemoteProtocolError
from lawow.limits import CHANNEL

__all__ = ["WebSocketWire", "dial_websocket"]

RECEIVE_BYTES = 64 << 10
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
UNSENT_ITEMS = 1_024  # mostly answers to pings: whoever sends them and takes no answer has another intention
PATH = re.compile(r"/[!-~]{1,200}")


def dial_websocket(edge: EdgeClient, path: str) -> WebSocketWire:
    """Open a WebSocket at the edge's own port; `path` is what a lease's endpoint calls ``websocket``.

    Raises `HostLost`, `Refused` (certificate), `RemoteProtocolError`.
    """
    if not PATH.fullmatch(path):
        raise RemoteProtocolError("the lease's endpoint has a path that is none")
    host, _, port = edge.address.rpartition(":")
    shown = f"[{host}]" if ":" in host else host
    protocol = ClientProtocol(
        parse_uri(f"wss://{shown}:{port}{path}"),
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        max_size=CHANNEL.websocket_bytes,
    )
    connected = edge.connect()
    try:
        _shake_hands(connected, protocol, edge.address)
    except OSError as error:
        connected.close()
        raise HostLost(f"{edge.address}: the connection was lost ({error})") from error
    except LawowError:
        connected.close()
        raise
    return WebSocketWire(connected, protocol)


def _shake_hands(connected: socket.socket, protocol: ClientProtocol, name: str) -> None:
    """Ask for the WebSocket and wait for the answer. Raises `OSError`, `HostLost`, `RemoteProtocolError`."""
    protocol.send_request(protocol.connect())
    connected.sendall(b"".join(protocol.data_to_send()))
    answers: list[object] = []
    while not answers and protocol.handshake_exc is None:
        data = connected.recv(RECEIVE_BYTES)
        protocol.receive_data(data) if data else protocol.receive_eof()
        answers = list(protocol.events_received())
        if not data and not answers:
            raise ConnectionResetError("the edge has closed it")
    answer = next(iter(answers), None)
    if isinstance(answer, Response) and answer.status_code != 101:
        code = printable(answer.headers.get("Lawow-Error", "unknown"))
        nobody = ConnectionRefusedError(code) if answer.status_code == 404 else None
        raise HostLost(f"{name}: no WebSocket ({answer.status_code}, {code})") from nobody
    if protocol.handshake_exc is not None or protocol.subprotocol != SUBPROTOCOL or len(answers) > 1:
        # A worker says nothing before HELLO.
        raise RemoteProtocolError(f"{name}: the answer opens no WebSocket with {SUBPROTOCOL}")


class WebSocketWire:
    """The bytes in the messages of a WebSocket; a `lawow.device.wire.Wire`."""

    def __init__(self, connected: socket.socket, protocol: ClientProtocol) -> None:
        """Go on behind the handshake."""
        self._socket = connected
        self._protocol = protocol
        self._received = bytearray()
        self._unsent: deque[memoryview] = deque()
        self._promised = 0  # bytes that the caller gave, and gives again, whose message is on its way
        self._is_over = False

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def setblocking(self, flag: bool, /) -> None:
        """Choose whether to wait."""
        self._socket.setblocking(flag)

    def pending(self) -> int:
        """Return how many bytes can be received without the socket; one for the end."""
        return len(self._received) or int(self._is_over)

    def send(self, data: bytes | memoryview, /) -> int:
        """Send the first of the bytes as one message, and return how many they were."""
        self._flush()
        if not self._promised:
            self._begin_message(bytes(data[: CHANNEL.websocket_bytes]))
            self._flush()
        sent, self._promised = self._promised, 0
        return sent

    def recv(self, count: int, /) -> bytes:
        """Return bytes of messages, empty once the edge has closed the WebSocket."""
        self._answer()
        while not self._received and not self._is_over:
            data = self._socket.recv(RECEIVE_BYTES)
            self._is_over = not data
            if data:
                self._protocol.receive_data(data)
                self._take_frames()
                self._answer()
        piece = bytes(self._received[:count])
        del self._received[:count]
        return piece

    def close(self) -> None:
        """Say that this is the end, if that goes at once, and close the socket."""
        with contextlib.suppress(OSError, InvalidState):
            self._protocol.send_close(1000)
            self._flush()
        self._socket.close()

    def _begin_message(self, data: bytes) -> None:
        try:
            self._protocol.send_binary(data)
        except InvalidState:
            raise BrokenPipeError("the edge has closed the WebSocket") from None
        self._promised = len(data)

    def _take_frames(self) -> None:
        """Take in what has come. Raises `RemoteProtocolError` for what is no WebSocket, or text."""
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame)  # the response came before
            if frame.opcode in (Opcode.BINARY, Opcode.CONT):
                self._received += frame.data
            elif frame.opcode is Opcode.TEXT:
                raise RemoteProtocolError("the edge sent a text message; frames travel in binary ones")
            elif frame.opcode is Opcode.CLOSE:
                self._is_over = True
        broken = self._protocol.parser_exc
        if broken is not None and not isinstance(broken, EOFError):
            raise RemoteProtocolError(f"the edge broke the WebSocket protocol: {printable(str(broken))}")

    def _answer(self) -> None:
        """Answer pings, as far as that goes at once."""
        with contextlib.suppress(*NOT_NOW):
            self._flush()
        if len(self._unsent) > UNSENT_ITEMS:
            raise RemoteProtocolError("the edge sends pings and takes no answers")

    def _flush(self) -> None:
        """Send what is due. Raises what the socket raises when it takes no more."""
        self._unsent.extend(memoryview(item) for item in self._protocol.data_to_send() if item)
        while self._unsent:
            sent = self._socket.send(self._unsent[0])
            self._unsent[0] = self._unsent[0][sent:]
            if not self._unsent[0]:
                self._unsent.popleft()
