"""The client of the edge's HTTP API, on a JVM against a server whose answers the test writes."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.android.builders import Jvm, Sample
from tests.android.edge_double import VALUES, Answer, Certificate, EdgeDouble, make_certificate, serve

FIB = ("fib", "i>i", 10)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), "edge")


@pytest.fixture
def edge(certificate: Certificate) -> Iterator[EdgeDouble]:
    with serve(certificate) as running:
        running.answer = Answer(struct.pack("<q", 55))
        yield running


@pytest.fixture
def client(jvm: Jvm, edge: EdgeDouble, certificate: Certificate) -> Jvm:
    """A JVM that knows the edge, its certificate and a token."""
    return jvm.with_properties(
        edge=edge.url, certificate_sha256=certificate.sha256, token="secret-token", timeout_seconds=5
    )


def problem(status: int, code: str, detail: str, **headers: str) -> Answer:
    document = {"type": "about:blank", "nested": {"detail": "not this"}, "title": "T", "detail": detail}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps(document).encode()
    return Answer(body, status, "application/problem+json", {"Lawow-Error": code, **more})


def call(jvm: Jvm, module: Sample, *words: object) -> str:
    (answer,) = jvm.calls(("remote", module.name, *(words or FIB)))
    return answer


def test_a_call_is_one_post_with_raw_values_and_the_token(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    assert call(client, calls_module) == "ok 55"
    (request,) = edge.requests
    assert request.path == f"/v1/modules/sha256:{calls_module.digest}/exports/fib/calls"
    assert request.body == struct.pack("<q", 10)
    assert request.headers["authorization"] == "Bearer secret-token"
    assert request.headers["content-type"] == VALUES
    assert request.headers["lawow-signature"] == "i>i"


def test_bits_of_all_types_are_those_of_the_protocol(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.answer = Answer(struct.pack("<iiqfid", -1, 0, -2, 0.5, 0, -0.25))
    answer = call(client, calls_module, "mix", "iIfF>iIfF", -1, -2, 0.5, -0.25)
    assert answer == "ok [-1, -2, 0.5, -0.25]"
    assert edge.requests[0].body == struct.pack("<IIqfId", 0xFFFFFFFF, 0, -2, 0.5, 0, -0.25)


def test_the_export_is_one_segment_of_the_path(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.answer = Answer(b"")
    assert call(client, calls_module, "a/b c?ü", ">") == "ok null"
    assert edge.requests[0].path.endswith("/exports/a%2Fb%20c%3F%C3%BC/calls")


def test_another_certificate_is_refused_before_anything_is_sent(
    client: Jvm, edge: EdgeDouble, calls_module: Sample, certificate: Certificate
) -> None:
    answer = call(client.with_properties(certificate_sha256="00" * 32), calls_module)
    assert answer.startswith("remote unreachable 0 false 127.0.0.1:")
    assert f"not the pinned one; its SHA-256 is {certificate.sha256}" in answer
    assert edge.requests == []


def test_without_a_pin_a_self_signed_certificate_is_refused(
    jvm: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    answer = call(jvm.with_properties(edge=edge.url), calls_module)
    assert answer.startswith("remote unreachable 0 false")
    assert edge.requests == []


def test_the_pin_binds_the_edge_whatever_its_name(
    jvm: Jvm, calls_module: Sample, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_certificate(tmp_path_factory.mktemp("name"), "named", host="edge.example")
    with serve(other) as edge:
        edge.answer = Answer(struct.pack("<q", 55))
        pin = ":".join(other.sha256[at : at + 2].upper() for at in range(0, 64, 2))
        assert call(jvm.with_properties(edge=f"{edge.url}/", certificate_sha256=pin), calls_module) == "ok 55"


def test_an_expired_certificate_is_refused_even_if_pinned(
    jvm: Jvm, calls_module: Sample, tmp_path_factory: pytest.TempPathFactory
) -> None:
    old = make_certificate(tmp_path_factory.mktemp("old"), "old", expired=True)
    with serve(old) as edge:
        answer = call(jvm.with_properties(edge=edge.url, certificate_sha256=old.sha256), calls_module)
        assert answer.startswith("remote unreachable 0 false")
        assert edge.requests == []


UNFIT_ADDRESSES = (
    "http://10.0.0.1:8443",
    "http://localhost.example",
    "http://127.0.0.1.example",
    "ftp://127.0.0.1",
    "https://user:word@127.0.0.1",
    "https://127.0.0.1/?a=b",
    "127.0.0.1:8443",
    "https://",
)


def test_an_address_that_would_show_the_token_or_is_none_is_refused(jvm: Jvm, calls_module: Sample) -> None:
    lines = []
    for address in UNFIT_ADDRESSES:
        lines += [("set", "edge", address), ("remote", calls_module.name, *FIB)]
    for address, answer in zip(UNFIT_ADDRESSES, jvm.calls(*lines)[1::2], strict=True):
        assert answer.startswith(f"error IllegalStateException edge: found {address}, allowed is ")


def test_plain_http_is_good_on_loopback(jvm: Jvm, calls_module: Sample) -> None:
    with serve(None) as edge:
        edge.answer = Answer(struct.pack("<q", 55))
        assert call(jvm.with_properties(edge=edge.url), calls_module) == "ok 55"


def test_a_trap_on_the_edge_is_the_same_exception_as_here(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.answer = problem(422, "trap", "fib trapped: \u00bb0\u00ab", Lawow_Trap="integer-divide-by-zero")
    answer = call(client, calls_module)
    assert answer.startswith("trap integer-divide-by-zero 127.0.0.1:")
    assert answer.endswith("fib trapped: »0«")


REFUSALS = (
    (401, "unauthorized", "false"),
    (404, "not-found", "false"),
    (409, "signature-mismatch", "false"),
    (413, "too-large", "false"),
    (422, "bad-arguments", "false"),
    (429, "busy", "false"),
    (503, "worker-lost", "true"),
    (504, "deadline", "true"),
)


def test_a_refusal_keeps_the_edges_word_and_says_whether_the_call_may_have_run(
    client: Jvm, edge: EdgeDouble, calls_module: Sample
) -> None:
    edge.queue += [problem(status, code, "the reason") for status, code, _ in REFUSALS]
    answers = client.calls(*[("remote", calls_module.name, *FIB)] * len(REFUSALS))
    for (status, code, may_have_run), answer in zip(REFUSALS, answers, strict=True):
        assert answer.startswith(f"remote {code} {status} {may_have_run} ")
        # The JDK hides the body of a 401 when the request's own body was streamed.
        assert answer.endswith(": unauthorized" if status == 401 else ": the reason")


NO_ANSWERS_OF_AN_EDGE = {
    "type": Answer(b"x" * 8, content_type="text/html"),
    "short": Answer(b"x" * 7),
    "long": Answer(b"x" * 16),
    "empty": Answer(b""),
    "huge": Answer(b"x" * (8 << 20)),
    "proxy": Answer(b"Bad gateway", 502, "text/plain"),
    "redirect": Answer(b"", 302, headers={"Location": "https://127.0.0.1:1/elsewhere"}),
}


@pytest.mark.promise("N12")
def test_what_no_edge_says_is_a_protocol_error(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.queue += NO_ANSWERS_OF_AN_EDGE.values()
    answers = client.calls(*[("remote", calls_module.name, *FIB)] * len(NO_ANSWERS_OF_AN_EDGE))
    for name, answer in zip(NO_ANSWERS_OF_AN_EDGE, answers, strict=True):
        assert answer.startswith("remote protocol 0 true "), name
    assert len(edge.requests) == len(NO_ANSWERS_OF_AN_EDGE)


@pytest.mark.promise("N12")
def test_an_error_text_without_end_is_cut(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.queue += [problem(404, "not-found", "x" * size) for size in (1 << 20, 10_000)]
    endless, long = client.calls(*[("remote", calls_module.name, *FIB)] * 2)
    assert endless.endswith(": not-found")
    assert long.endswith(": " + "x" * 500)


@pytest.mark.promise("F6")
def test_a_lost_connection_is_not_tried_again(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.answer = Answer(cut=True)
    answers = client.calls(*[("remote", calls_module.name, *FIB)] * 3)
    assert [answer.split()[:4] for answer in answers] == [["remote", "lost", "0", "true"]] * 3
    assert len(edge.requests) == 3


def test_a_body_that_breaks_off_is_lost(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    edge.answer = Answer(b"x" * 4, headers={"Content-Length": "8", "Connection": "close"})
    assert call(client, calls_module).startswith(("remote lost 0 true", "remote protocol 0 true"))


@pytest.mark.parametrize(
    "answer", [Answer(delay_seconds=60), Answer(b"x" * 60, trickle=True)], ids=["mute", "slow"]
)
def test_the_time_limit_covers_the_whole_call(
    client: Jvm, edge: EdgeDouble, calls_module: Sample, answer: Answer
) -> None:
    edge.answer = answer
    start = time.monotonic()
    jvm = client.with_properties(timeout_seconds=1)
    assert call(jvm, calls_module, "many", ">" + "I" * 60).startswith(
        ("remote deadline 0 true", "remote lost 0 true")
    )
    assert 0.9 < time.monotonic() - start < 5


def test_nobody_listening_is_unreachable_and_nothing_ran(jvm: Jvm, calls_module: Sample) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        answer = call(jvm.with_properties(edge=f"https://127.0.0.1:{taken.getsockname()[1]}"), calls_module)
    assert answer.startswith("remote unreachable 0 false")


def test_wrong_arguments_are_found_before_any_io(client: Jvm, edge: EdgeDouble, calls_module: Sample) -> None:
    assert call(client, calls_module, "fib", "i>i", "I:1").startswith(
        "error IllegalArgumentException argument 0"
    )
    assert edge.requests == []


def test_the_apps_own_file_configures_it_and_properties_win(
    jvm: Jvm, edge: EdgeDouble, certificate: Certificate, calls_module: Sample, tmp_path: Path
) -> None:
    folder = tmp_path / "assets" / "lawow"
    folder.mkdir(parents=True)
    text = f"edge = {edge.url}\ncertificate.sha256 = {certificate.sha256}\ntoken = of-the-file\n"
    (folder / "edge.properties").write_text(text)
    app = Jvm((*jvm.class_path, tmp_path))
    assert call(app, calls_module) == "ok 55"
    assert call(app.with_properties(token="of-the-owner"), calls_module) == "ok 55"
    sent = [request.headers["authorization"] for request in edge.requests]
    assert sent == ["Bearer of-the-file", "Bearer of-the-owner"]


def test_no_token_no_header_and_a_token_with_a_line_break_is_refused(
    client: Jvm, jvm: Jvm, edge: EdgeDouble, certificate: Certificate, calls_module: Sample
) -> None:
    plain = jvm.with_properties(edge=edge.url, certificate_sha256=certificate.sha256)
    assert call(plain, calls_module) == "ok 55"
    assert "authorization" not in edge.requests[0].headers
    bad = client.with_properties(token="a\r\nX-Other: 1")
    assert call(bad, calls_module) == "error IllegalStateException token: holds characters that no token has"
