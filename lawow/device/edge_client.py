"""A client of the edge's HTTP API, version 1.

Whom it trusts is the business of `lawow.device.edge_connection`. A call is sent at most once: if the
connection is lost after the request went out, `OutcomeUnknown` says so, and nothing is sent again. Threads
may share a client: their requests go one after the other.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from lawow.channel.bodies import read_returned, write_arguments
from lawow.channel.documents import Value, arguments_of_values, values_of_returned
from lawow.channel.values import decode_slots, encode_slots, require_slots, split_signature
from lawow.device.edge_answers import (
    Answer,
    EdgeProblem,
    RemoteExport,
    RemoteModule,
    Seconds,
    digest_of,
    error_of,
    json_object,
    list_of,
    module_of,
    peak_memory_of,
    printable,
    seconds_of,
    text_of,
)
from lawow.device.edge_connection import EdgeConnection
from lawow.errors import FormatError, RemoteProtocolError
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
SESSION = re.compile(r"[0-9a-f]{32}")
UPLOAD_SECONDS = 300.0
"""An upload is answered when the edge has compiled the module, which may take its time."""


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
        key: str | None = None,
    ) -> CallOutcome:
        """Call an export, as `EdgeClient.call_under`; `EdgeProblem` ``session-lost``: it is gone."""
        path = f"/v1/sessions/{self.name}"
        return self.client.call_under(
            path, export, signature, arguments, deadline_seconds=deadline_seconds, key=key
        )

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
        self._connection = EdgeConnection(
            url,
            token,
            certificate_sha256=certificate_sha256,
            ca_file=ca_file,
            client_certificate=client_certificate,
            timeout_seconds=timeout_seconds,
        )

    def __enter__(self) -> EdgeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._connection.close()

    def connect(self) -> socket.socket:
        """Return a new connection to the edge, trusted as the others are, for the caller to speak over.

        Raises `HostLost`, `Refused` (certificate).
        """
        return self._connection.connect()

    def health(self) -> str:
        """Return the edge's version."""
        return text_of(self.document("GET", "/v1/health"), "version")

    def modules(self) -> list[str]:
        """Return the digests of the tenant's modules, in hex, oldest first."""
        listed = list_of(self.document("GET", "/v1/modules"), "modules")
        return [digest_of(item) for item in listed]

    def module(self, digest: str) -> RemoteModule:
        """Return one of the tenant's modules."""
        return module_of(self.document("GET", f"/v1/modules/sha256:{digest}"))

    def upload_module(self, wasm: bytes) -> RemoteModule:
        """Upload a module; returns when it is stored, valid and compiled. May be repeated."""
        digest = hashlib.sha256(wasm).hexdigest()
        path = f"/v1/modules/sha256:{digest}"
        return module_of(self.document("PUT", path, wasm, "application/wasm", UPLOAD_SECONDS))

    def remove_module(self, digest: str) -> None:
        """Take a module away. `EdgeProblem` "conflict" while a lease or a session is for it."""
        self._connection.repeatable("DELETE", f"/v1/modules/sha256:{digest}", None, {}, None)

    def upload_model(self, name: str, onnx: bytes) -> None:
        """Upload a model for inference, in the place of one of that name; returns when it is stored."""
        self.document("PUT", f"/v1/models/{quote(name, safe='')}", onnx, "application/onnx", UPLOAD_SECONDS)

    def models(self) -> dict[str, str]:
        """Return the SHA-256 of the tenant's models, in hex, by name."""
        listed = list_of(self.document("GET", "/v1/models"), "models")
        return {text_of(item, "name"): digest_of(item) for item in listed}

    def remove_model(self, name: str) -> None:
        """Take a model away; instances go on with what they have loaded."""
        self._connection.repeatable("DELETE", f"/v1/models/{quote(name, safe='')}", None, {}, None)

    def upload_bundle(self, jar: bytes) -> list[RemoteModule]:
        """Upload an offload bundle: all its modules are stored, or none. May be repeated."""
        media_type = "application/java-archive"
        document = self.document("POST", "/v1/bundles", jar, media_type, UPLOAD_SECONDS)
        return [module_of(item) for item in list_of(document, "modules")]

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
        key: str | None = None,
    ) -> CallOutcome:
        """Call an export of what `path` names: a module, a session or a lease. Raises as `call`.

        With a `key`, 16 to 128 characters that nobody can guess, the same call may be made again after
        `OutcomeUnknown`: it runs once, and its outcome is told again (docs/edge.md, "Calls made again").
        """
        parsed = parse_typed_signature(signature)
        if parsed.is_core:
            slots = encode_slots(signature.partition(">")[0], arguments)  # type: ignore[arg-type]  # it checks
            return self._call_slots(path, export, signature, slots, deadline_seconds, key)
        given = arguments_of_values(parsed, arguments)
        answer = self._call(path, export, signature, write_arguments(given), deadline_seconds, key)
        try:
            returned = read_returned(parsed, given, answer.body)
        except FormatError as error:
            raise _other_results(signature, error) from None
        results, changed = values_of_returned(parsed, returned)
        return CallOutcome(results, answer.body, seconds_of(answer), peak_memory_of(answer), changed)

    def call_slots(
        self, digest: str, export: str, signature: str, slots: bytes, *, deadline_seconds: float | None = None
    ) -> CallOutcome:
        """Call an export that takes numbers, as slots of `lawow.channel.values`. Raises as `call`."""
        return self._call_slots(f"/v1/modules/sha256:{digest}", export, signature, slots, deadline_seconds)

    def open_session(
        self,
        digest: str,
        *,
        state: InstanceState | None = None,
        deadline_seconds: float | None = None,
        key: str | None = None,
    ) -> RemoteSession:
        """Make an instance of a module that stays until it is closed; with a `state` it goes on from there.

        `key` as for `call_under`: opened again, it is the same session. Raises as `call`; `EdgeProblem`
        ``bad-state`` for a state that is not one of the module.
        """
        headers = _call_headers(deadline_seconds, key)
        path = f"/v1/modules/sha256:{digest}/sessions"
        body = None if state is None else state.encode()
        if body is not None:
            headers["Content-Type"] = STATE_MEDIA_TYPE
        answer = self._connection.exchange("POST", path, body, headers, is_call=True)
        if answer.status != 201:
            raise error_of(answer)
        name = text_of(json_object(answer.body), "session")
        if not SESSION.fullmatch(name):
            raise RemoteProtocolError("the edge's answer has a session that is none")
        return RemoteSession(self, name)

    def state_of_session(self, name: str) -> InstanceState:
        """Return the state of an open session. Raises as `RemoteSession.state`."""
        path = f"/v1/sessions/{name}/state"
        answer = self._connection.exchange("GET", path, None, {}, most_bytes=EDGE.state_bytes)
        if answer.status != 200:
            raise error_of(answer)
        try:
            return decode_state(answer.body)
        except FormatError as error:
            raise RemoteProtocolError(f"the edge's answer is no state: {error}") from None

    def close_session(self, name: str) -> None:
        """End a session; one that has ended already is no error."""
        answer = self._connection.exchange("DELETE", f"/v1/sessions/{name}", None, {})
        if answer.status not in (204, 404, 410):
            raise error_of(answer)

    def _call_slots(
        self,
        path: str,
        export: str,
        signature: str,
        slots: bytes,
        deadline_seconds: float | None,
        key: str | None = None,
    ) -> CallOutcome:
        parameters, results = split_signature(signature)
        require_slots(parameters, slots)
        answer = self._call(path, export, signature, slots, deadline_seconds, key)
        try:
            require_slots(results, answer.body)
        except FormatError as error:
            raise _other_results(signature, error) from None
        values = decode_slots(results, answer.body)
        return CallOutcome(values, answer.body, seconds_of(answer), peak_memory_of(answer))

    def _call(
        self,
        path: str,
        export: str,
        signature: str,
        body: bytes,
        deadline_seconds: float | None,
        key: str | None,
    ) -> Answer:
        headers = {"Content-Type": VALUES_MEDIA_TYPE, "Lawow-Signature": signature}
        headers |= _call_headers(deadline_seconds, key)
        path = f"{path}/exports/{quote(export, safe='')}/calls"
        answer = self._connection.exchange("POST", path, body, headers, is_call=True)
        if answer.status != 200:
            raise error_of(answer)
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
        return json_object(self._connection.repeatable(method, path, body, sent, timeout_seconds).body)

    def headers(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPMessage:
        """Make a request that may be repeated, and return the headers of its answer."""
        seconds = UPLOAD_SECONDS if body else None
        return self._connection.repeatable(method, path, body, dict(headers or {}), seconds).headers

    def data(self, method: str, path: str) -> bytes:
        """Make a request that may be repeated, and return the bytes of its answer."""
        return self._connection.repeatable(method, path, None, {}, None).body

    def lines(self, path: str) -> Iterator[bytes]:
        """GET what has no end, and return its lines as they come, each at most `LINE_BYTES`.

        Raises as `call_slots` before the first, and `HostLost` when the connection is lost or nothing comes
        for the client's time. The connection is closed with the iterator.
        """
        return self._connection.lines(path)

    @property
    def address(self) -> str:
        """The edge's host and port, as texts name it."""
        return self._connection.name


def _call_headers(seconds: float | None, key: str | None) -> dict[str, str]:
    deadline = {} if seconds is None else {"Lawow-Deadline-Seconds": repr(float(seconds))}
    return deadline if key is None else {**deadline, "Idempotency-Key": key}


def _other_results(signature: str, error: FormatError) -> RemoteProtocolError:
    return RemoteProtocolError(f"the edge answered with other results than {signature}: {error}")
