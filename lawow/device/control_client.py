"""The control plane of an edge as a device speaks it: requests, leases, transfer, instances, state.

On top of `EdgeClient`, whose trust and errors hold. A POST carries an ``Idempotency-Key``, so it may be sent
again after a lost connection; a transfer goes on where the edge says that it stopped. What an edge answers is
believed in nothing but its kinds.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from http.client import HTTPMessage
from urllib.parse import quote

from lawow.device.edge_client import EdgeClient
from lawow.errors import HostLost, RemoteProtocolError

__all__ = ["ControlClient", "Document"]

PART_BYTES = 1 << 20
TRANSFER_TRIES = 5
Document = dict[str, object]


class ControlClient:
    """One edge's control plane."""

    def __init__(self, edge: EdgeClient) -> None:
        self.edge = edge

    def request(self, asked: Mapping[str, object]) -> Document:
        """Announce a pending offload and return the answer with its offers."""
        return self._post("/v1/offload-requests", asked)

    def select(self, offer: str) -> Document:
        """Accept an offer and return the lease."""
        return self._post("/v1/leases", {"offer": offer})

    def leases(self) -> list[Document]:
        """Return the tenant's leases."""
        found = self.edge.document("GET", "/v1/leases").get("leases")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise RemoteProtocolError("the edge's answer has no list of leases")
        return found

    def lease(self, lease: str) -> Document:
        """Return one lease."""
        return self.edge.document("GET", _path(lease))

    def renew(self, lease: str) -> Document:
        """Let its time begin anew."""
        return self.edge.document("PUT", _path(lease))

    def end(self, lease: str) -> Document:
        """End it."""
        return self.edge.document("DELETE", _path(lease))

    def initialise(self, lease: str) -> Document:
        """Give it an instance."""
        return self.edge.document("PUT", f"{_path(lease)}/instance")

    def rest(self, lease: str) -> Document:
        """End its instance."""
        return self.edge.document("DELETE", f"{_path(lease)}/instance")

    def transfer(self, lease: str, wasm: bytes) -> int:
        """Bring the module, from where an earlier try ended, and return the number of bytes that were sent.

        0 if the host has it already. Raises `HostLost` if the connection is lost again and again.
        """
        path, sent = f"{_path(lease)}/module", 0
        for tries_left in reversed(range(TRANSFER_TRIES)):
            try:
                headers = self.edge.headers("HEAD", path)
                while headers.get("Upload-Complete") != "?1":
                    offset = _offset(headers, len(wasm))
                    part = wasm[offset : offset + PART_BYTES]
                    headers = self.edge.headers("PATCH", path, part, _upload_headers(offset, part, wasm))
                    sent += len(part)
                return sent
            except HostLost:
                if not tries_left:
                    raise
        raise AssertionError  # the last try returned or raised

    def state(self, lease: str) -> bytes:
        """Return the state of the instance."""
        return self.edge.data("GET", f"{_path(lease)}/state")

    def replace_state(self, lease: str, state: bytes) -> None:
        """Replace the state of the instance."""
        headers = {"Content-Type": "application/vnd.lawow.state"}
        self.edge.headers("PUT", f"{_path(lease)}/state", state, headers)

    def show(self, lease: str, export: str) -> None:
        """Let an export that returns a PNG be the picture that the edge's dashboard shows of the instance."""
        body, headers = json.dumps({"export": export}).encode(), {"Content-Type": "application/json"}
        self.edge.headers("PUT", f"{_path(lease)}/view", body, headers)

    def share(self, name: str, lease: str, tenants: tuple[str, ...] = ()) -> Document:
        """Share the instance of a lease under a name with other tenants, too."""
        body = json.dumps({"lease": lease, "tenants": list(tenants)}).encode()
        return self.edge.document(
            "PUT", f"/v1/shared-modules/{quote(name, safe='')}", body, "application/json"
        )

    def _post(self, path: str, document: Mapping[str, object]) -> Document:
        body, key = json.dumps(document).encode(), secrets.token_urlsafe(24)
        headers = {"Idempotency-Key": key}
        try:
            return self.edge.document("POST", path, body, "application/json", headers=headers)
        except HostLost:  # the answer was lost; the same key has its effect once
            return self.edge.document("POST", path, body, "application/json", headers=headers)


def _path(lease: str) -> str:
    return f"/v1/leases/{quote(lease, safe='')}"


def _upload_headers(offset: int, part: bytes, wasm: bytes) -> dict[str, str]:
    return {
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1" if offset + len(part) == len(wasm) else "?0",
    }


def _offset(headers: HTTPMessage, size_bytes: int) -> int:
    """Return where the upload continues. Raises `RemoteProtocolError` for what is no place in the module."""
    text = headers.get("Upload-Offset", "")
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= size_bytes):
        raise RemoteProtocolError(f"the edge says that the upload continues at {text[:40]!r}")
    return int(text)
