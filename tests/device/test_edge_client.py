"""The client: trust before anything is sent, at most one sending, and no belief in what an edge answers."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lawow.device.edge_client import EdgeClient, EdgeProblem
from lawow.errors import (
    FormatError,
    GuestTrap,
    HostLost,
    LawowError,
    LimitExceeded,
    OutcomeUnknown,
    Refused,
    RemoteProtocolError,
    Unauthorized,
    UsageError,
)
from lawow.server.tls import make_certificate
from tests.edge.builders import all_sorts, bundle_of, numbered
from tests.server.running import RunningEdge, running_edge

SORTS = all_sorts()
DIGEST = "0" * 64


@pytest.fixture(scope="module")
def client(edge: RunningEdge) -> Iterator[EdgeClient]:
    with edge.client("device") as client:
        client.upload_module(SORTS.wasm)
        yield client


def test_uploads_and_calls_return_what_the_edge_says(client: EdgeClient) -> None:
    assert client.health() == "0.1.0"
    module = client.upload_module(numbered(9000).wasm)
    assert module.digest == numbered(9000).digest
    assert [export.wit for export in module.exports] == ["number: func() -> s32"]
    assert numbered(9000).digest in client.modules()
    assert client.module(numbered(9000).digest) == module
    outcome = client.call(SORTS.digest, "fib", "i>i", [20])
    assert outcome.results == (6765,)
    assert 0 < outcome.seconds.run < 5
    assert outcome.peak_memory_bytes is not None


def test_a_bundle_is_uploaded_whole(client: EdgeClient) -> None:
    modules = client.upload_bundle(bundle_of({"a.wasm": numbered(9001), "b.wasm": numbered(9002)}))
    assert [module.digest for module in modules] == [numbered(9001).digest, numbered(9002).digest]


def test_slots_keep_the_payload_of_a_nan(client: EdgeClient) -> None:
    slots = struct.pack("<Q", 0x7FA0_0001)
    assert client.call_slots(SORTS.digest, "echo_f32", "f>f", slots).slots == slots


def test_several_results_come_back_in_order(client: EdgeClient) -> None:
    outcome = client.call(SORTS.digest, "mixed", "iIfF>FfIi", [1, -2, 0.5, 0.25])
    assert outcome.results == (0.25, 0.5, -2, 1)


def test_refusals_become_the_errors_that_a_local_call_would_raise(client: EdgeClient) -> None:
    with pytest.raises(GuestTrap) as trap:
        client.call(SORTS.digest, "divide", "ii>i", [1, 0])
    assert trap.value.code == "integer-divide-by-zero"
    with pytest.raises(LimitExceeded) as limit:
        client.call(SORTS.digest, "loop", ">", [], deadline_seconds=0.1)
    assert limit.value.limit == "deadline_seconds"
    with pytest.raises(EdgeProblem) as conflict:
        client.call(SORTS.digest, "fib", "I>I", [1])
    assert (conflict.value.code, conflict.value.status) == ("signature-mismatch", 409)
    with pytest.raises(EdgeProblem, match="no module"):
        client.call(DIGEST, "fib", "i>i", [1])
    with pytest.raises(EdgeProblem, match="not a WebAssembly module"):
        client.upload_module(b"nothing")


def test_arguments_are_checked_before_anything_is_sent() -> None:
    with EdgeClient("http://127.0.0.1:1", "token") as client, pytest.raises(FormatError):
        client.call(DIGEST, "f", "i>i", [1 << 40])


def test_a_wrong_token_is_unauthorized(edge: RunningEdge) -> None:
    with EdgeClient(edge.url, "lawow_" + "A" * 43) as client, pytest.raises((Unauthorized, EdgeProblem)):
        client.modules()


def test_a_body_that_the_edge_refuses_early_still_gives_its_reason(client: EdgeClient) -> None:
    with pytest.raises(EdgeProblem) as problem:
        client.upload_module(b"\0asm" + bytes(17 << 20))
    assert problem.value.code == "too-large"


@pytest.mark.parametrize("url", ["http://192.0.2.1:80", "http://edge.example", "http://10.0.0.1"])
def test_plain_http_beyond_loopback_is_refused_without_a_connection(url: str) -> None:
    with pytest.raises(Refused, match="in clear"):
        EdgeClient(url, "token")


@pytest.mark.parametrize(
    "url", ["", "edge:8443", "ftp://edge", "https://", "https://edge/path", "https:///x"]
)
def test_what_is_no_url_of_an_edge_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        EdgeClient(url, "token")


@pytest.mark.parametrize("token", ["", "a b", "a\r\nX: y", "é", "x" * 300])
def test_what_cannot_be_a_token_is_never_sent(token: str) -> None:
    with pytest.raises(UsageError):
        EdgeClient("https://edge", token)


def test_an_edge_that_is_not_there_is_lost_and_nothing_ran() -> None:
    with (
        EdgeClient("http://127.0.0.1:1", "token") as client,
        pytest.raises(HostLost, match="cannot be reached"),
    ):
        client.call(DIGEST, "f", ">", [])


# --- TLS
# ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEdge, str, Path]]:
    """An edge with TLS, its pin and its certificate."""
    folder = tmp_path_factory.mktemp("secure")
    made = make_certificate(["127.0.0.1"], 30)
    (folder / "c").write_bytes(made.certificate_pem)
    (folder / "k").write_bytes(made.key_pem)
    command = [sys.executable, "-m", "tests.server.small_edge", str(folder / "data"), "{}"]
    with running_edge(folder / "data", command=[*command, str(folder / "c"), str(folder / "k")]) as edge:
        yield edge, made.leaf.pin, folder / "c"


def test_the_pinned_certificate_is_trusted_in_any_spelling(secure: tuple[RunningEdge, str, Path]) -> None:
    edge, pin, _ = secure
    with_colons = ":".join(pin[at : at + 2] for at in range(0, 64, 2)).upper()
    for spelling in (pin, with_colons):
        with EdgeClient(edge.url, edge.token("a"), certificate_sha256=spelling) as client:
            assert client.modules() == []


@pytest.mark.promise("N6")
def test_a_wrong_pin_is_refused_before_the_token_is_sent(secure: tuple[RunningEdge, str, Path]) -> None:
    edge, pin, _ = secure
    wrong = ("0" if pin[0] != "0" else "1") + pin[1:]
    with (
        EdgeClient(edge.url, edge.token("careful"), certificate_sha256=wrong) as client,
        pytest.raises(Refused, match="not the pinned"),
    ):
        client.modules()
    with EdgeClient(edge.url, edge.token("a"), certificate_sha256=pin) as client:
        client.modules()
    assert "tenant=careful" not in edge.log.read_text()


@pytest.mark.promise("N6")
def test_a_ca_file_vouches_for_the_host_and_others_do_not(
    secure: tuple[RunningEdge, str, Path], tmp_path: Path
) -> None:
    edge, _, certificate = secure
    with EdgeClient(edge.url, edge.token("a"), ca_file=certificate) as client:
        assert client.modules() == []
    other = tmp_path / "other.pem"
    other.write_bytes(make_certificate(["127.0.0.1"], 30).certificate_pem)
    for trust in (other, None):
        with (
            EdgeClient(edge.url, edge.token("a"), ca_file=trust) as client,
            pytest.raises(Refused, match="trusted"),
        ):
            client.modules()


@pytest.mark.parametrize("pin", ["", "00", "z" * 64, "0" * 63])
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with pytest.raises(UsageError):
        EdgeClient("https://edge", "token", certificate_sha256=pin)


# --- edges that misbehave
# ----------------------------------------------------------------------------------------------


def test_a_stream_that_is_closed_by_another_thread_ends_as_a_lost_connection() -> None:
    """`lawow top` leaves while its reader waits; what the standard library says then is no error of ours."""
    reading, closing = threading.Event(), threading.Event()
    ended: list[Exception] = []

    def serve(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n")
        assert closing.wait(20)
        connection.sendall(b"2\r\nb\n\r\n2\r\nc\n\r\n")

    def read(client: EdgeClient) -> None:
        try:
            for _ in client.lines("/v1/overview/events"):
                reading.set()
        except (LawowError, AttributeError, ValueError) as error:
            ended.append(error)

    with listening(serve) as address:
        client = EdgeClient(f"http://{address}", "token")
        reader = threading.Thread(target=read, args=(client,))
        reader.start()
        assert reading.wait(20)
        closer = threading.Thread(target=client.close)
        closer.start()
        closer.join(0.5)  # it waits for the reader, who has the file, until something comes
        closing.set()
        reader.join(20)
        closer.join(20)
    assert [type(error) for error in ended] == [HostLost]


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run `serve` on each connection, until the end."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                serve(connection)
            except OSError:
                pass
            finally:
                connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    return data


@pytest.mark.promise("F6")
def test_a_connection_lost_after_the_request_leaves_the_outcome_unknown_and_is_not_repeated() -> None:
    requests: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        requests.append(read_request(connection))

    with listening(serve) as address, EdgeClient(f"http://{address}", "token") as client:
        with pytest.raises(OutcomeUnknown, match="may have run and was not sent again"):
            client.call(DIGEST, "f", ">", [])
        assert len(requests) == 1
        with pytest.raises(HostLost):
            client.modules()


def test_an_edge_that_never_answers_is_given_up_in_time() -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.settimeout(5)
        connection.recv(1)

    with (
        listening(serve) as address,
        EdgeClient(f"http://{address}", "token", timeout_seconds=0.3) as client,
        pytest.raises(OutcomeUnknown, match="timed out"),
    ):
        client.call(DIGEST, "f", ">", [])


def test_an_idle_connection_that_the_edge_closed_is_replaced_before_a_call() -> None:
    answer, closed = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)
        closed.release()

    with listening(serve) as address, EdgeClient(f"http://{address}", "token") as client:
        for _ in range(3):
            client.call(DIGEST, "f", ">", [])
            assert closed.acquire(timeout=20)


@pytest.mark.promise("N12")
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n1234567",
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\0\0\0\0\0\0\0\1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + bytes(16),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + bytes(100),
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes((16 << 20) + 2),
        b"HTTP/1.1 200 OK\r\nServer-Timing: run;dur=x, =\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 422 X\r\nLawow-Error: trap\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"garbage",
        b"",
    ],
)
def test_any_answer_to_a_call_is_an_error_of_ours(answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    with (
        listening(serve) as address,
        EdgeClient(f"http://{address}", "token", timeout_seconds=2) as client,
        pytest.raises(LawowError),
    ):
        client.call(DIGEST, "f", ">i", [])


@pytest.mark.promise("N12")
@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"modules": 1},
        {"modules": [1]},
        {"modules": [{"digest": 1, "bytes": 1}]},
        {"modules": [{"digest": "x", "bytes": 1}]},
    ],
)
def test_documents_of_another_shape_are_protocol_errors(document: object) -> None:
    body = json.dumps(document).encode()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with (
        listening(serve) as address,
        EdgeClient(f"http://{address}", "token") as client,
    ):
        with pytest.raises(RemoteProtocolError):
            client.modules()
        with pytest.raises(RemoteProtocolError):
            client.module(DIGEST)


def test_an_error_text_cannot_drive_the_terminal() -> None:
    body = json.dumps({"detail": "\x1b[2Jgone\r\nlawow: all is well"}).encode()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 404 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with (
        listening(serve) as address,
        EdgeClient(f"http://{address}", "token") as client,
        pytest.raises(EdgeProblem) as problem,
    ):
        client.modules()
    assert str(problem.value).isprintable()


def expired_certificate(folder: Path) -> tuple[Path, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now - datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "expired.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path, certificate.fingerprint(hashes.SHA256()).hex()


@pytest.mark.promise("N6")
def test_an_expired_certificate_is_refused_even_when_it_is_pinned(tmp_path: Path) -> None:
    pem, pin = expired_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    sent: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            sent.append(secure.recv(100))

    with (
        listening(serve) as address,
        EdgeClient(f"https://{address}", "token", certificate_sha256=pin) as client,
        pytest.raises(Refused, match="not now"),
    ):
        client.modules()
    assert b"".join(sent) == b""
