"""A client of the edge's HTTP API, version 1, on the standard library alone.

Trust is explicit: a pinned certificate (SHA-256 of its DER form), a CA file, or the system's authorities. The
pin is checked before the token or anything else is sent, and an expired certificate is refused even if its
pin is right. Plain HTTP is spoken to loopback alone. A call is sent at most once: if the connection is lost
after the request went out, `OutcomeUnknown` says so, and nothing is sent again. Threads may share a client:
their requests go one after the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urlsplit

from lawow.channel.bodies import read_returned, write_arguments
from lawow.channel.documents import Value, arguments_of_values, values_of_returned
from lawow.channel.values import decode_slots, encode_slots, require_slots, split_signature
from lawow.device.trust import is_loopback, normal_pin, pinned_context, require_pin
from lawow.errors import (
    FormatError,
    GuestTrap,
    HostLost,
    KeystoreError,
    LawowError,
    LimitExceeded,
    OutcomeUnknown,
    Refused,
    RemoteProtocolError,
    Unauthorized,
    UsageError,
)
from lawow.formats.signature import parse_typed_signature
from lawow.formats.state import InstanceState, decode_state
from lawow.limits import EDGE

__all__ = [
    "CallOutcome",
    "EdgeClient",
    "EdgeProblem",
    "RemoteExport",
    "RemoteModule",
    "RemoteSession",
    "Seconds",
    "printable",
]

VALUES_MEDIA_TYPE = "application/vnd.lawow.values"
STATE_MEDIA_TYPE = "application/vnd.lawow.state"
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
SESSION = re.compile(r"[0-9a-f]{32}")
TOKEN = re.compile(r"[!-~]{1,200}")
ANSWER_BYTES = 64 << 20
LINE_BYTES = 4 << 20
UPLOAD_SECONDS = 300.0
"""An upload is answered when the edge has compiled the module, which may take its time."""


LIMITS_AND_POLICIES = ("busy", "forbidden", "quota-exceeded", "too-large", "too-many-failures")
"""Codes of refusals in which nothing is broken: exit code 4, as for limits and policies of this machine."""


class EdgeProblem(LawowError):
    """The edge refused: `code` is its ``Lawow-Error``, `status` the HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = Refused.exit_code if code in LIMITS_AND_POLICIES else LawowError.exit_code
        self.code = code
        self.status = status

    def details(self) -> dict[str, object]:
        """Return code and status."""
        return {"code": self.code, "status": self.status}


@dataclass(frozen=True, slots=True)
class RemoteExport:
    """A function that a module on the edge exports."""

    name: str
    signature: str
    wit: str


@dataclass(frozen=True, slots=True)
class RemoteModule:
    """A module on the edge. `digest` is SHA-256 in hex."""

    digest: str
    size_bytes: int
    exports: tuple[RemoteExport, ...]


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where the edge's time went: receiving the request, preparing an instance, running the function."""

    transfer: float
    prepare: float
    run: float


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a call returned. `slots` is the answer's body, exact to the bit; `results` the same as values.

    `changed` holds in-out lists as they are after the call, by the parameter's index.
    """

    results: tuple[Value, ...]
    slots: bytes
    seconds: Seconds
    peak_memory_bytes: int | None
    changed: Mapping[int, Sequence[int | float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteSession:
    """A live instance on the edge, with its state. Use as a context manager: it ends with it."""

    client: EdgeClient
    name: str

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(
        self,
        export: str,
        signature: str,
        arguments: Sequence[Value],
        *,
        deadline_seconds: float | None = None,
    ) -> CallOutcome:
        """Call an export, as `EdgeClient.call`; `EdgeProblem` ``session-lost`` when the instance is gone."""
        path = f"/v1/sessions/{self.name}"
        return self.client.call_under(path, export, signature, arguments, deadline_seconds=deadline_seconds)

    def state(self) -> InstanceState:
        """Return the state that the instance has now; the session goes on.

        It can be restored on another edge (`EdgeClient.open_session`) or on this device
        (`lawow.runtime.state`). Raises `EdgeProblem`: ``bad-state`` where it cannot be captured,
        ``too-large``.
        """
        return self.client.state_of_session(self.name)

    def close(self) -> None:
        """End the session; a second call does no harm."""
        self.client.close_session(self.name)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class EdgeClient:
    """One connection to one edge, made when it is needed. Use as a context manager."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        certificate_sha256: str | None = None,
        ca_file: Path | None = None,
        client_certificate: tuple[Path, Path] | None = None,
        timeout_seconds: float = 60.0,
    ) -> None:
        """Check everything that can be checked without a connection. Raises `UsageError`, `Refused`.

        `client_certificate` are the PEM files of a certificate and its key, for an edge that asks for one;
        it must be of the token's tenant. Raises `KeystoreError` if they do not fit.
        """
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
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._pin = None if certificate_sha256 is None else normal_pin(certificate_sha256)
        self._context = _context(self._pin, ca_file, client_certificate) if self._is_tls else None
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def connect(self) -> socket.socket:
        """Return a new connection to the edge, trusted as the others are, for the caller to speak over.

        Raises `HostLost`, `Refused` (certificate).
        """
        sock: socket.socket = self._open().sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def health(self) -> str:
        """Return the edge's version."""
        return str(_field(self.document("GET", "/v1/health"), "version", str))

    def modules(self) -> list[str]:
        """Return the digests of the tenant's modules, in hex, oldest first."""
        listed = _list(self.document("GET", "/v1/modules"), "modules")
        return [_digest(item) for item in listed]

    def module(self, digest: str) -> RemoteModule:
        """Return one of the tenant's modules."""
        return _module(self.document("GET", f"/v1/modules/sha256:{digest}"))

    def upload_module(self, wasm: bytes) -> RemoteModule:
        """Upload a module; returns when it is stored, valid and compiled. May be repeated."""
        digest = hashlib.sha256(wasm).hexdigest()
        path = f"/v1/modules/sha256:{digest}"
        return _module(self.document("PUT", path, wasm, "application/wasm", UPLOAD_SECONDS))

    def remove_module(self, digest: str) -> None:
        """Take a module away. `EdgeProblem` "conflict" while a lease or a session is for it."""
        self._repeatable("DELETE", f"/v1/modules/sha256:{digest}", None, {}, None)

    def upload_bundle(self, jar: bytes) -> list[RemoteModule]:
        """Upload an offload bundle: all its modules are stored, or none. May be repeated."""
        media_type = "application/java-archive"
        document = self.document("POST", "/v1/bundles", jar, media_type, UPLOAD_SECONDS)
        return [_module(item) for item in _list(document, "modules")]

    def call(
        self,
        digest: str,
        export: str,
        signature: str,
        arguments: Sequence[Value],
        *,
        deadline_seconds: float | None = None,
    ) -> CallOutcome:
        """Call an export of the module with this SHA-256 on a fresh instance.

        A list that is given twice, as the same object, is one list for the guest, too. Raises `FormatError`
        (arguments that do not fit), `GuestTrap`, `LimitExceeded` (``deadline_seconds``), `EdgeProblem` (any
        other refusal), `Unauthorized`, `HostLost` (the call was not sent) and `OutcomeUnknown` (it was, and
        may have run).
        """
        path = f"/v1/modules/sha256:{digest}"
        return self.call_under(path, export, signature, arguments, deadline_seconds=deadline_seconds)

    def call_under(
        self,
        path: str,
        export: str,
        signature: str,
        arguments: Sequence[Value],
        *,
        deadline_seconds: float | None = None,
    ) -> CallOutcome:
        """Call an export of what `path` names, a module or a session. Raises as `call`."""
        parsed = parse_typed_signature(signature)
        if parsed.is_core:
            slots = encode_slots(signature.partition(">")[0], arguments)  # type: ignore[arg-type]  # it checks
            return self._call_slots(path, export, signature, slots, deadline_seconds)
        given = arguments_of_values(parsed, arguments)
        answer = self._call(path, export, signature, write_arguments(given), deadline_seconds)
        try:
            returned = read_returned(parsed, given, answer.body)
        except FormatError as error:
            raise _other_results(signature, error) from None
        results, changed = values_of_returned(parsed, returned)
        return CallOutcome(results, answer.body, _seconds(answer), _peak_memory(answer), changed)

    def call_slots(
        self, digest: str, export: str, signature: str, slots: bytes, *, deadline_seconds: float | None = None
    ) -> CallOutcome:
        """Call an export that takes numbers, as slots of `lawow.channel.values`. Raises as `call`."""
        return self._call_slots(f"/v1/modules/sha256:{digest}", export, signature, slots, deadline_seconds)

    def open_session(
        self, digest: str, *, state: InstanceState | None = None, deadline_seconds: float | None = None
    ) -> RemoteSession:
        """Make an instance of a module that stays until it is closed; with a `state` it goes on from there.

        Raises as `call`; `EdgeProblem` ``bad-state`` for a state that is not one of the module.
        """
        headers = _deadline_header(deadline_seconds)
        path = f"/v1/modules/sha256:{digest}/sessions"
        body = None if state is None else state.encode()
        if body is not None:
            headers["Content-Type"] = STATE_MEDIA_TYPE
        answer = self._exchange("POST", path, body, headers, self._timeout_seconds, is_call=True)
        if answer.status != 201:
            raise _error(answer)
        name = str(_field(_json_object(answer.body), "session", str))
        if not SESSION.fullmatch(name):
            raise RemoteProtocolError("the edge's answer has a session that is none")
        return RemoteSession(self, name)

    def state_of_session(self, name: str) -> InstanceState:
        """Return the state of an open session. Raises as `RemoteSession.state`."""
        path, seconds = f"/v1/sessions/{name}/state", self._timeout_seconds
        answer = self._exchange("GET", path, None, {}, seconds, most_bytes=EDGE.state_bytes)
        if answer.status != 200:
            raise _error(answer)
        try:
            return decode_state(answer.body)
        except FormatError as error:
            raise RemoteProtocolError(f"the edge's answer is no state: {error}") from None

    def close_session(self, name: str) -> None:
        """End a session; one that has ended already is no error."""
        answer = self._exchange("DELETE", f"/v1/sessions/{name}", None, {}, self._timeout_seconds)
        if answer.status not in (204, 404, 410):
            raise _error(answer)

    def _call_slots(
        self, path: str, export: str, signature: str, slots: bytes, deadline_seconds: float | None
    ) -> CallOutcome:
        parameters, results = split_signature(signature)
        require_slots(parameters, slots)
        answer = self._call(path, export, signature, slots, deadline_seconds)
        try:
            require_slots(results, answer.body)
        except FormatError as error:
            raise _other_results(signature, error) from None
        values = decode_slots(results, answer.body)
        return CallOutcome(values, answer.body, _seconds(answer), _peak_memory(answer))

    def _call(
        self, path: str, export: str, signature: str, body: bytes, deadline_seconds: float | None
    ) -> _Answer:
        headers = {"Content-Type": VALUES_MEDIA_TYPE, "Lawow-Signature": signature}
        headers |= _deadline_header(deadline_seconds)
        path = f"{path}/exports/{quote(export, safe='')}/calls"
        answer = self._exchange("POST", path, body, headers, self._timeout_seconds, is_call=True)
        if answer.status != 200:
            raise _error(answer)
        return answer

    def document(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        media_type: str | None = None,
        timeout_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """Make a request that may be repeated, and return its JSON. Raises as `call_slots`."""
        sent = {**(headers or {}), **({} if media_type is None else {"Content-Type": media_type})}
        return _json_object(self._repeatable(method, path, body, sent, timeout_seconds).body)

    def headers(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPMessage:
        """Make a request that may be repeated, and return the headers of its answer."""
        seconds = UPLOAD_SECONDS if body else None
        return self._repeatable(method, path, body, dict(headers or {}), seconds).headers

    def data(self, method: str, path: str) -> bytes:
        """Make a request that may be repeated, and return the bytes of its answer."""
        return self._repeatable(method, path, None, {}, None).body

    def lines(self, path: str) -> Iterator[bytes]:
        """GET what has no end, and return its lines as they come, each at most `LINE_BYTES`.

        Raises as `call_slots` before the first, and `HostLost` when the connection is lost or nothing comes
        for the client's time. The connection is closed with the iterator.
        """
        connection = self._connected()
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            if response.status != 200:
                raise _error(_Answer(response.status, response.headers, response.read(LINE_BYTES)))
            while line := response.readline(LINE_BYTES + 1):
                if len(line) > LINE_BYTES:
                    raise RemoteProtocolError(f"{self._name}: a line has more than {LINE_BYTES} bytes")
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise HostLost(f"{self._name}: the connection was lost ({_reason(error)})") from None
        except (AttributeError, ValueError):
            # What the standard library says when `close` is called by another thread meanwhile.
            if self._connection is not None:
                raise
            raise HostLost(f"{self._name}: the connection was closed here") from None
        finally:
            self.close()

    def _repeatable(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float | None,
    ) -> _Answer:
        """Make a request, again if an idle connection turns out to be closed."""
        seconds = timeout_seconds or self._timeout_seconds
        was_idle = self._connection is not None
        try:
            answer = self._exchange(method, path, body, headers, seconds)
        except HostLost:
            if not was_idle:
                raise
            # An edge may close an idle connection at the moment it is used again; this request may be
            # repeated.
            answer = self._exchange(method, path, body, headers, seconds)
        if answer.status not in (200, 201, 204):
            raise _error(answer)
        return answer

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float,
        *,
        is_call: bool = False,
        most_bytes: int = ANSWER_BYTES,
    ) -> _Answer:
        """Send one request, once, and read its answer."""
        with self._lock:
            return self._exchange_alone(method, path, body, headers, timeout_seconds, is_call, most_bytes)

    def _exchange_alone(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout_seconds: float,
        is_call: bool,
        most_bytes: int,
    ) -> _Answer:
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
            lost = f"{self._name}: the connection was lost after the request was sent ({_reason(error)})"
            if not self._is_tls and isinstance(error, http.client.RemoteDisconnected):
                lost += "; an edge with a certificate wants https:// in its URL"
            if is_call:
                raise OutcomeUnknown(f"{lost}; the call may have run and was not sent again") from None
            raise HostLost(lost) from None
        if len(data) > most_bytes:
            self.close()
            raise RemoteProtocolError(f"{self._name}: the answer has more than {most_bytes} bytes")
        if response.will_close:
            self.close()
        return _Answer(response.status, response.headers, data)

    @property
    def address(self) -> str:
        """The edge's host and port, as texts name it."""
        return self._name

    @property
    def _name(self) -> str:
        return f"{self._host}:{self._port}"

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
                require_pin(connection.sock, self._pin, self._name)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise Refused(
                f"{self._name}: the certificate is not trusted: {error.verify_message}; "
                "give the SHA-256 that the edge prints when it starts, or the file of its authority"
            ) from None
        except OSError as error:
            connection.close()
            raise HostLost(f"{self._name}: cannot be reached ({_reason(error)})") from error
        except LawowError:
            connection.close()
            raise
        return connection


def _deadline_header(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Lawow-Deadline-Seconds": repr(float(seconds))}


def _other_results(signature: str, error: FormatError) -> RemoteProtocolError:
    return RemoteProtocolError(f"the edge answered with other results than {signature}: {error}")


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


def _error(answer: _Answer) -> LawowError:
    """Return the error that a refusal stands for."""
    code = answer.headers.get("Lawow-Error", "unknown")
    try:
        detail = str(_json_object(answer.body).get("detail", ""))
    except RemoteProtocolError:
        detail = ""
    message = printable(detail) or f"the edge answered with status {answer.status} ({printable(code)})"
    if code == "trap":
        return GuestTrap(printable(answer.headers.get("Lawow-Trap", "unknown")), message)
    if code == "unauthorized":
        return Unauthorized(message)
    if code == "deadline":
        return LimitExceeded("deadline_seconds", "more than that", "the edge's", subject=message)
    return EdgeProblem(printable(code), answer.status, message)


def printable(text: str) -> str:
    """Return at most 2,000 characters that cannot drive a terminal, of a text that an edge chose."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:2_000])


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _seconds(answer: _Answer) -> Seconds:
    """Read ``Server-Timing``; what is missing counts as 0."""
    found = {}
    for item in answer.headers.get("Server-Timing", "").split(","):
        name, _, rest = item.strip().partition(";dur=")
        with contextlib.suppress(ValueError):
            found[name] = float(rest) / 1000
    return Seconds(*(found.get(name, 0.0) for name in ("transfer", "prepare", "run")))


def _peak_memory(answer: _Answer) -> int | None:
    value = answer.headers.get("Lawow-Peak-Memory-Bytes", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None


def _json_object(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RemoteProtocolError("the edge's answer is not a JSON object")
    return document


def _field(document: dict[str, object], key: str, kind: type) -> object:
    value = document.get(key)
    if type(value) is not kind:
        raise RemoteProtocolError(f"the edge's answer has no {key!r} of the kind {kind.__name__}")
    return value


def _list(document: dict[str, object], key: str) -> list[dict[str, object]]:
    items = _field(document, key, list)
    assert isinstance(items, list)  # `_field` has checked it
    if not all(isinstance(item, dict) for item in items):
        raise RemoteProtocolError(f"the edge's answer has something else than objects in {key!r}")
    return items


def _module(document: dict[str, object]) -> RemoteModule:
    exports = tuple(
        RemoteExport(*(str(_field(item, key, str)) for key in ("name", "signature", "wit")))
        for item in _list(document, "exports")
    )
    return RemoteModule(_digest(document), int(str(_field(document, "bytes", int))), exports)


def _digest(document: dict[str, object]) -> str:
    """Return ``digest`` in hex, without its prefix."""
    match = DIGEST.fullmatch(str(_field(document, "digest", str)))
    if match is None:
        raise RemoteProtocolError("the edge's answer has a digest that is none")
    return match[1]
