"""A stand-in for the edge: an HTTP(S) server on loopback whose answers a test writes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["VALUES", "Answer", "Certificate", "EdgeDouble", "make_certificate", "serve"]

VALUES = "application/vnd.lawow.values"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate in a PEM file together with its key."""

    pem: Path
    sha256: str


def make_certificate(
    folder: Path, name: str, *, host: str | None = None, expired: bool = False
) -> Certificate:
    """Make a certificate for a host name, or for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternative = x509.DNSName(host) if host else x509.IPAddress(ip_address("127.0.0.1"))
    start = datetime.now(UTC) - timedelta(days=2)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1 if expired else 30))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return Certificate(path, sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest())


@dataclass(slots=True)
class Answer:
    """What the server says. `cut` closes the connection without a word; `delay_seconds` comes before all."""

    body: bytes = b""
    status: int = 200
    content_type: str = VALUES
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    delay_seconds: float = 0
    trickle: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What the client sent; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


@dataclass(slots=True)
class EdgeDouble:
    """A running server. `queue` is answered first, then `answer`; `requests` collects what came."""

    url: str
    answer: Answer
    stop: threading.Event
    requests: list[Request] = field(default_factory=list)
    queue: list[Answer] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    edge: EdgeDouble

    def do_DELETE(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.edge.requests.append(Request(self.path, headers, b"", "DELETE"))
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.edge.requests.append(Request(self.path, headers, body))
        answer = self.edge.queue.pop(0) if self.edge.queue else self.edge.answer
        self.edge.stop.wait(answer.delay_seconds)
        if answer.cut:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self._send_body(answer)

    def _send_body(self, answer: Answer) -> None:
        try:
            if not answer.trickle:
                self.wfile.write(answer.body)
            for byte in answer.body if answer.trickle else b"":
                self.wfile.write(bytes((byte,)))
                self.edge.stop.wait(0.3)
        except OSError:
            self.close_connection = True  # the client has gone, as the test wants

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that breaks off its handshake is what some tests want."""


@contextmanager
def serve(certificate: Certificate | None) -> Iterator[EdgeDouble]:
    """Run a server on a free port of loopback; plain HTTP without a certificate."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.pem)
        # The handshake belongs to the connection's own thread, not to the accepting one.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if certificate else "http"
    edge = EdgeDouble(f"{scheme}://127.0.0.1:{server.server_port}", Answer(), threading.Event())
    server.RequestHandlerClass = type("Handler", (_Handler,), {"edge": edge})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield edge
    finally:
        edge.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
