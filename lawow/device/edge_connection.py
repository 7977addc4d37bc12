"""One HTTP connection to one edge, on the standard library alone: trust, one exchange at a time, losses.

Trust is explicit: a pinned certificate (SHA-256 of its DER form), a CA file, or the system's authorities. The
pin is checked before the token or anything else is sent, and an expired certificate is refused even if its
pin is right. Plain HTTP is spoken to loopback alone.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from lawow.device.edge_answers import Answer, error_of
from lawow.device.trust import is_loopback, normal_pin, pinned_context, require_pin
from lawow.errors import (
    FormatError,
    HostLost,
    KeystoreError,
    LawowError,
    OutcomeUnknown,
    Refused,
    RemoteProtocolError,
    UsageError,
)

__all__ = ["LINE_BYTES", "EdgeConnection"]

TOKEN = re.compile(r"[!-~]{1,200}")
ANSWER_BYTES = 64 << 20
LINE_BYTES = 4 << 20


class EdgeConnection:
    """A connection that is made when it is needed, and again when it is lost. For threads by turns."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        certificate_sha256: str | None,
        ca_file: Path | None,
        client_certificate: tuple[Path, Path] | None,
        timeout_seconds: float,
    ) -> None:
        """As `lawow.device.edge_client.EdgeClient`."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise UsageError(f"{url!r} is not the URL of an edge; write https://HOST:PORT")
        if not TOKEN.fullmatch(token):
            raise UsageError("the token is empty or holds characters that no token has")
        self._is_tls = parts.scheme == "https"
        if not self._is_tls and not is_loopback(parts.hostname):
            raise Refused(f"{url}: plain HTTP would send the token in clear; use https://")
        self._host = parts.hostname
        self._port = parts.port or (443 if self._is_tls else 80)
        self._shows_certificate = client_certificate is not None
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._pin = None if certificate_sha256 is None else normal_pin(certificate_sha256)
        self._context = _context(self._pin, ca_file, client_certificate) if self._is_tls else None
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def connect(self) -> socket.socket:
        """Return a new connection, trusted as the others are, for the caller to speak over.

        Raises `HostLost`, `Refused` (certificate).
        """
        sock: socket.socket = self._open().sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    @property
    def name(self) -> str:
        """The edge's host and port, as texts name it."""
        return f"{self._host}:{self._port}"

    def repeatable(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float | None,
    ) -> Answer:
        """Make a request, again if an idle connection turns out to be closed. Raises what a refusal means."""
        was_idle = self._connection is not None
        try:
            answer = self.exchange(method, path, body, headers, timeout_seconds)
        except HostLost:
            if not was_idle:
                raise
            # An edge may close an idle connection at the moment it is used again; this request may be
            # repeated.
            answer = self.exchange(method, path, body, headers, timeout_seconds)
        if answer.status not in (200, 201, 204):
            raise error_of(answer)
        return answer

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float | None = None,
        *,
        is_call: bool = False,
        most_bytes: int = ANSWER_BYTES,
    ) -> Answer:
        """Send one request, once, and read its answer, whatever it is.

        Raises `HostLost`, and for a call `OutcomeUnknown`, when the connection was lost after it was sent.
        """
        seconds = timeout_seconds or self._timeout_seconds
        with self._lock:
            return self._exchange_alone(method, path, body, headers, seconds, is_call, most_bytes)

    def _exchange_alone(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float,
        is_call: bool,
        most_bytes: int,
    ) -> Answer:
        connection = self._connected()
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # An edge that refuses a body early may stop reading; its answer is there to be read.
                connection.request(method, path, body, {**headers, "Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            if response.length is None and not response.chunked:
                # The standard library takes a head that breaks off for one that is complete.
                raise http.client.IncompleteRead(b"")
            data = response.read(most_bytes + 1)
            if response.length and len(data) <= most_bytes:
                raise http.client.IncompleteRead(data, response.length)  # as it does only without a limit
        except (OSError, http.client.HTTPException) as error:
            self.close()
            lost = f"{self.name}: the connection was lost after the request was sent ({_reason(error)})"
            if not self._is_tls and isinstance(error, http.client.RemoteDisconnected):
                lost += "; an edge with a certificate wants https:// in its URL"
            if isinstance(error, ssl.SSLError) and not self._shows_certificate:
                # With TLS 1.3 a client learns that it should have shown one when it reads.
                lost += "; an edge may ask for a certificate of its clients: --client-cert and --client-key"
            if is_call:
                raise OutcomeUnknown(f"{lost}; the call may have run and was not sent again") from None
            raise HostLost(lost) from None
        if len(data) > most_bytes:
            self.close()
            raise RemoteProtocolError(f"{self.name}: the answer has more than {most_bytes} bytes")
        if response.will_close:
            self.close()
        return Answer(response.status, response.headers, data)

    def lines(self, path: str) -> Iterator[bytes]:
        """GET what has no end, and return its lines as they come, each at most `LINE_BYTES`.

        Raises what a refusal means before the first, and `HostLost` when the connection is lost or nothing
        comes for the client's time. The connection is closed with the iterator.
        """
        connection = self._connected()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            if response.status != 200:
                raise error_of(Answer(response.status, response.headers, response.read(LINE_BYTES)))
            while line := response.readline(LINE_BYTES + 1):
                if len(line) > LINE_BYTES:
                    raise RemoteProtocolError(f"{self.name}: a line has more than {LINE_BYTES} bytes")
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise HostLost(f"{self.name}: the connection was lost ({_reason(error)})") from None
        except (AttributeError, ValueError):
            # What the standard library says when `close` is called by another thread meanwhile.
            if self._connection is not None:
                raise
            raise HostLost(f"{self.name}: the connection was closed here") from None
        finally:
            self.close()

    def _connected(self) -> http.client.HTTPConnection:
        """Return a connection that is open as far as can be seen without sending on it."""
        if self._connection is not None and not _was_closed(self._connection.sock):
            return self._connection
        self.close()
        self._connection = self._open()
        return self._connection

    def _open(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._context is not None:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_seconds, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.connect()
            if isinstance(connection.sock, ssl.SSLSocket) and self._pin is not None:
                require_pin(connection.sock, self._pin, self.name)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Refused(
                f"{self.name}: the certificate is not trusted: {error.verify_message}; "
                "give the SHA-256 that the edge prints when it starts, or the file of its authority"
            ) from None
        except OSError as error:
            connection.close()
            raise HostLost(f"{self.name}: cannot be reached ({_reason(error)})") from error
        except LawowError:
            connection.close()
            raise
        return connection


def _context(
    pin: str | None, ca_file: Path | None, client_certificate: tuple[Path, Path] | None
) -> ssl.SSLContext:
    """Return the trust of a connection: by pin (checked right after the handshake), or by authorities."""
    if pin is not None and ca_file is None:
        context = pinned_context()
    else:
        try:
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        except ssl.SSLError:
            raise FormatError("holds no PEM certificate", file=str(ca_file)) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_certificate is not None:
        certificate, key = client_certificate
        try:
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            reason = error.reason or str(error)
            raise KeystoreError(f"cannot be used with {certificate}: {reason}", file=str(key)) from None
    return context


def _was_closed(connection: socket.socket | None) -> bool:
    """Tell whether the edge has closed an idle connection: then it is readable, with nothing to read."""
    if connection is None:
        return True
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable)


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
