"""Leases with an instance on the data plane, and their clients, for tests."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

from lawow.channel.client import ClientConnection
from lawow.channel.sessions import ClientSession
from lawow.device.data_client import DataClient
from lawow.device.data_session import DataSession, dial
from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from tests.edge.builders import Module, module_of
from tests.server.running import JSON, RunningEdge

__all__ = ["COUNTER", "CuttingProxy", "Plane", "grant_channels", "greeted", "number", "open_plane", "slots"]

COUNTER = module_of(
    """(module (memory (export "memory") 1 64) (global $n (mut i32) (i32.const 0))
  (global $free (mut i32) (i32.const 1024))
  (func (export "add") (param i32) (result i32)
    (global.set $n (i32.add (global.get $n) (local.get 0))) (global.get $n))
  (func (export "mix") (param i32 i64 f32 f64) (result f64)
    (f64.add (f64.add (f64.convert_i32_s (local.get 0)) (f64.convert_i64_s (local.get 1)))
             (f64.add (f64.promote_f32 (local.get 2)) (local.get 3))))
  (func (export "spin") (loop $l (br $l)))
  (func (export "work") (param i32) (result i32)
    (loop $l (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if $l (local.get 0))) (local.get 0))
  (func (export "unreachable") unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local i32)
    (local.set 4 (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
    (global.set $free (i32.add (local.get 4) (local.get 3)))
    (block $enough
      (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1)))))
    (local.get 4))
  (func (export "echo") (param i32 i32) (result i32)
    (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
  (func (export "cabi_post_echo") (param i32) (global.set $free (i32.const 1024))))"""
)


@dataclass(frozen=True, slots=True)
class Plane:
    """A lease with an instance, and where it is reached."""

    lease: str
    token: str
    host: str
    port: int
    pin: str

    def client(self, token: str | None = None, timeout_seconds: float = 20.0) -> DataClient:
        """Return the product's client, not connected yet."""
        token = self.token if token is None else token
        return DataClient(
            self.host, self.port, token, certificate_sha256=self.pin, timeout_seconds=timeout_seconds
        )

    def session(self) -> DataSession:
        """Return a device's session, connected."""
        return DataSession(lambda: dial(self.host, self.port, self.pin or None), self.token.encode())

    @property
    def target(self) -> str:
        """The instance, as BIND names it."""
        return f"session:{self.lease}"


def open_plane(edge: RunningEdge, tenant: str, module: Module = COUNTER) -> Plane:
    """Go through the offload sequence up to an instance."""
    edge.put(tenant, module.wasm, module.digest)
    body = json.dumps({"module": f"sha256:{module.digest}", "choice": "provider"}).encode()
    lease = edge.ask("POST", "/v1/offload-requests", tenant, body, JSON).json["lease"]
    assert isinstance(lease, dict)
    reply = edge.ask("PUT", f"/v1/leases/{lease['lease']}/instance", tenant)
    assert reply.status == 200, reply.body
    endpoint = reply.json["endpoint"]
    assert isinstance(endpoint, dict), reply.json
    return Plane(
        str(lease["lease"]),
        str(lease["token"]),
        str(endpoint["host"]),
        int(endpoint["port"]),
        str(endpoint["certificate_sha256"]),
    )


def grant_channels(edge: RunningEdge, tenant: str) -> None:
    """Let the tenant's guests take and send messages, from its next worker on."""
    edge.token(tenant)
    database = Database(DataFolder(edge.data).database)
    Tenants(database).change(tenant, {}, ("channel",))
    database.close()


def greeted(
    connection: socket.socket, plane: Plane, session: ClientSession | None = None
) -> ClientConnection:
    """Say hello, for a session that goes on if there is one."""
    link = ClientConnection(session)
    link.send_hello(plane.token.encode())
    connection.sendall(link.data_to_send())
    link.receive_data(connection.recv(65536))
    connection.sendall(link.data_to_send())
    return link


def slots(*numbers: int) -> bytes:
    """Return 32-bit arguments."""
    return b"".join(struct.pack("<Ixxxx", item) for item in numbers)


def number(results: bytes | bytearray | memoryview) -> int:
    """Return the one 32-bit result."""
    return int(struct.unpack("<Ixxxx", results)[0])


class CuttingProxy:
    """Passes bytes to a plane and back, and cuts one connection when so many bytes have gone one way.

    `cuts` is how often it has.
    """

    def __init__(self, plane: Plane) -> None:
        self._behind = (plane.host, plane.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._left = [1 << 60, 1 << 60]
        self.cuts = 0
        self.plane = replace(plane, port=self._listener.getsockname()[1])

    def cut_after(self, count: int, *, is_inward: bool) -> None:
        """Cut when `count` more bytes have gone to the edge, or to the client."""
        self._left[int(not is_inward)] = count

    def __enter__(self) -> CuttingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._behind) as edge:
            ends = [client, edge]
            while True:
                for source in select.select(ends, [], [])[0]:
                    way = ends.index(source)
                    data = source.recv(min(65536, max(1, self._left[way])))
                    if not data:
                        return
                    ends[1 - way].sendall(data)
                    self._left[way] -= len(data)
                    if self._left[way] <= 0:  # below, if `cut_after` came in between
                        self._left[way] = 1 << 60
                        self.cuts += 1
                        return
