"""What the API promises to a tenant with a valid token."""

from __future__ import annotations

import hashlib
import json
import math
import struct

import pytest

from tests.edge.builders import all_sorts, bundle_of, module_of, numbered
from tests.server.running import RunningEdge

SORTS = all_sorts()
VALUES = {"Content-Type": "application/vnd.lawow.values"}


@pytest.fixture(scope="module")
def tenant(edge: RunningEdge) -> str:
    """A tenant who has the module with all sorts of functions; the tests here add modules and take none."""
    assert edge.put("api", SORTS.wasm, SORTS.digest).status == 201
    return "api"


def values_path(export: str) -> str:
    return f"/v1/modules/sha256:{SORTS.digest}/exports/{export}/calls"


def test_health_needs_no_token_and_names_the_version(edge: RunningEdge) -> None:
    assert edge.ask("GET", "/v1/health").json == {"status": "ok", "version": "0.1.0"}


def test_an_upload_answers_with_digest_size_and_interface(edge: RunningEdge, tenant: str) -> None:
    module = numbered(1)
    reply = edge.put(tenant, module.wasm, module.digest)
    assert reply.status == 201
    assert reply.json == {
        "digest": f"sha256:{module.digest}",
        "bytes": len(module.wasm),
        "exports": [{"name": "number", "signature": ">i", "wit": "number: func() -> s32"}],
    }
    assert edge.ask("GET", f"/v1/modules/sha256:{module.digest}", tenant).json == reply.json


def test_a_second_upload_of_the_same_module_answers_200(edge: RunningEdge, tenant: str) -> None:
    before = edge.ask("GET", "/v1/modules", tenant).json
    again = edge.put(tenant, SORTS.wasm, SORTS.digest)
    assert again.status == 200
    assert edge.ask("GET", "/v1/modules", tenant).json == before


def test_a_body_that_is_not_what_its_digest_says_is_refused(edge: RunningEdge, tenant: str) -> None:
    module = numbered(2)
    assert edge.put(tenant, module.wasm + b"\0", module.digest).refused_with(422, "bad-module")
    assert edge.ask("GET", f"/v1/modules/sha256:{module.digest}", tenant).refused_with(404, "not-found")


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (b"", "not a WebAssembly module"),
        (b"\0asm", "ends too early"),
        (b"\0asm\x0d\0\x01\0", "component"),
        (SORTS.wasm[:-1], ""),
        (module_of('(module (import "env" "secret" (func)))').wasm, "env.secret"),
    ],
    ids=["empty", "cut", "component", "truncated", "import"],
)
def test_bytes_that_are_no_module_for_this_edge_are_refused(
    edge: RunningEdge, tenant: str, wasm: bytes, reason: str
) -> None:
    reply = edge.put(tenant, wasm, hashlib.sha256(wasm).hexdigest())
    assert reply.refused_with(422, "bad-module")
    assert reason in str(reply.json["detail"])


def test_a_module_that_does_not_validate_is_refused(edge: RunningEdge, tenant: str) -> None:
    """The frame is right, the code is not: only the compiler sees it."""
    good = module_of('(module (func (export "f") (result i32) (i32.const 7)))').wasm
    bad = good.replace(b"\x41\x07\x0b", b"\x1a\x07\x0b")
    assert bad != good
    assert edge.put(tenant, bad, hashlib.sha256(bad).hexdigest()).refused_with(422, "bad-module")


def test_a_call_returns_results_and_the_three_parts_of_time(edge: RunningEdge, tenant: str) -> None:
    reply = edge.call(tenant, SORTS.digest, "fib", 10)
    assert reply.status == 200
    assert reply.json["results"] == [55]
    seconds = reply.json["seconds"]
    assert isinstance(seconds, dict)
    assert set(seconds) == {"transfer", "prepare", "run"}
    assert all(0 <= value < 10 for value in seconds.values())
    names = [item.split(";")[0].strip() for item in reply.headers["Server-Timing"].split(",")]
    assert names == ["transfer", "prepare", "run"]
    assert 10 << 20 < int(reply.headers["Lawow-Peak-Memory-Bytes"]) < 1 << 30


@pytest.mark.parametrize(
    ("export", "arguments", "results"),
    [
        ("nothing", [], []),
        ("echo_i32", [-(2**31)], [-(2**31)]),
        ("echo_i32", [2**32 - 1], [-1]),
        ("echo_i64", [2**53], [2**53]),
        ("echo_i64", [str(2**63 - 1)], [str(2**63 - 1)]),
        ("echo_i64", [-(2**63)], [str(-(2**63))]),
        ("echo_f32", [0.5], [0.5]),
        ("echo_f64", [0.1], [0.1]),
        ("echo_f64", [7], [7.0]),
        ("echo_f64", ["NaN"], ["NaN"]),
        ("echo_f64", ["-Infinity"], ["-Infinity"]),
        ("echo_f32", ["Infinity"], ["Infinity"]),
        ("mixed", [1, 2, 3.5, 4.25], [4.25, 3.5, 2, 1]),
    ],
)
def test_json_values_come_back_exactly(
    edge: RunningEdge, tenant: str, export: str, arguments: list[object], results: list[object]
) -> None:
    assert edge.call(tenant, SORTS.digest, export, *arguments).json["results"] == results


@pytest.mark.parametrize(
    ("export", "slots"),
    [
        ("echo_i32", struct.pack("<Q", 0xFFFF_FFFF)),
        ("echo_i64", struct.pack("<q", -(2**63))),
        ("echo_f32", struct.pack("<Q", 0x7FA0_0001)),
        ("echo_f32", struct.pack("<Q", 0xFFC1_2345)),
        ("echo_f64", struct.pack("<Q", 0x7FF0_0000_DEAD_BEEF)),
        ("echo_f64", struct.pack("<Q", 0xFFF8_0000_0000_0001)),
        ("echo_f64", struct.pack("<d", -0.0)),
    ],
)
def test_slots_keep_every_bit(edge: RunningEdge, tenant: str, export: str, slots: bytes) -> None:
    """Signalling NaNs, their payloads and negative zero pass through guest and edge unchanged."""
    reply = edge.ask("POST", values_path(export), tenant, slots, VALUES)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == VALUES["Content-Type"]
    assert reply.body == slots


@pytest.mark.parametrize(
    ("export", "body"),
    [
        ("echo_i32", b'{"arguments": []}'),
        ("echo_i32", b'{"arguments": [1, 2]}'),
        ("echo_i32", b'{"arguments": [1.5]}'),
        ("echo_i32", b'{"arguments": [true]}'),
        ("echo_i32", b'{"arguments": [4294967296]}'),
        ("echo_i32", b'{"arguments": ["1e3"]}'),
        ("echo_i64", b'{"arguments": [' + b"9" * 400 + b"]}"),
        ("echo_i64", b'{"arguments": [' + b"9" * 5000 + b"]}"),
        ("echo_f64", b'{"arguments": [NaN]}'),
        ("echo_f64", b'{"arguments": [1e999]}'),
        ("echo_f64", b'{"arguments": [null]}'),
        ("echo_f32", b'{"arguments": [1e39]}'),
        ("echo_i32", b'{"arguments": "1"}'),
        ("echo_i32", b'{"argument": [1]}'),
        ("echo_i32", b'{"arguments": [1], "deadline_seconds": "1"}'),
        ("echo_i32", b'{"arguments": [1], "deadline_seconds": -1}'),
        ("echo_i32", b'{"arguments": [1], "deadline_seconds": 0}'),
        ("echo_i32", b"[" * 200_000),
        ("echo_i32", b"\xff\xfe"),
        ("echo_i32", b""),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    edge: RunningEdge, tenant: str, export: str, body: bytes
) -> None:
    reply = edge.ask("POST", values_path(export), tenant, body, {"Content-Type": "application/json"})
    assert reply.refused_with(422, "bad-arguments")


@pytest.mark.parametrize("slots", [b"", b"\0" * 7, b"\0" * 16, b"\0\0\0\0\x01\0\0\0"])
def test_slots_that_do_not_fit_are_refused(edge: RunningEdge, tenant: str, slots: bytes) -> None:
    assert edge.ask("POST", values_path("echo_i32"), tenant, slots, VALUES).refused_with(422, "bad-arguments")


def test_another_signature_than_expected_is_a_conflict(edge: RunningEdge, tenant: str) -> None:
    headers = {**VALUES, "Lawow-Signature": "I>I"}
    reply = edge.ask("POST", values_path("echo_i32"), tenant, bytes(8), headers)
    assert reply.refused_with(409, "signature-mismatch")
    right = edge.ask("POST", values_path("echo_i32"), tenant, bytes(8), {**VALUES, "Lawow-Signature": "i>i"})
    assert right.body == bytes(8)


@pytest.mark.parametrize(
    ("export", "arguments", "trap"),
    [
        ("divide", [1, 0], "integer-divide-by-zero"),
        ("divide", [-(2**31), -1], "integer-overflow"),
        ("unreachable", [], "unreachable"),
        ("outside", [], "memory-out-of-bounds"),
        ("null_call", [], "indirect-call-to-null"),
        ("recurse", [], "stack-overflow"),
    ],
)
def test_a_trap_is_a_422_that_names_it_and_the_worker_lives(
    edge: RunningEdge, tenant: str, export: str, arguments: list[int], trap: str
) -> None:
    edge.call(tenant, SORTS.digest, "nothing")
    worker = edge.workers()[tenant]
    reply = edge.call(tenant, SORTS.digest, export, *arguments)
    assert reply.refused_with(422, "trap")
    assert reply.headers["Lawow-Trap"] == trap == reply.json["trap"]
    assert edge.call(tenant, SORTS.digest, "fib", 5).json["results"] == [5]
    assert edge.workers()[tenant] == worker


def test_nothing_of_a_call_is_left_for_the_next_one(edge: RunningEdge, tenant: str) -> None:
    for _ in range(5):
        assert edge.call(tenant, SORTS.digest, "count").json["results"] == [1001]


@pytest.mark.promise("W2")
def test_a_memory_bomb_gets_its_limit_and_no_more(edge: RunningEdge, tenant: str) -> None:
    reply = edge.call(tenant, SORTS.digest, "grow")
    assert reply.json["results"] == [4081]  # pages: the last step of 16 that fits into 256 MiB
    assert int(reply.headers["Lawow-Peak-Memory-Bytes"]) < (256 + 60) << 20


def test_a_module_that_starts_with_too_much_memory_is_refused_at_the_call(
    edge: RunningEdge, tenant: str
) -> None:
    module = module_of('(module (memory 20000) (func (export "f")))')
    assert edge.put(tenant, module.wasm, module.digest).status == 201
    assert edge.call(tenant, module.digest, "f").refused_with(422, "bad-module")


def test_an_export_may_have_any_name(edge: RunningEdge, tenant: str) -> None:
    reply = edge.call(tenant, SORTS.digest, "odd%2Fname%20with%20%252F")
    assert reply.json["results"] == [7]


def test_an_unknown_export_is_not_found_and_the_known_ones_are_named(edge: RunningEdge, tenant: str) -> None:
    reply = edge.call(tenant, SORTS.digest, "fibb", 1)
    assert reply.refused_with(404, "not-found")
    assert "fib" in str(reply.json["detail"])


def test_a_shorter_deadline_is_kept_in_either_form(edge: RunningEdge, tenant: str) -> None:
    reply = edge.call(tenant, SORTS.digest, "loop", deadline_seconds=0.1)
    assert reply.refused_with(504, "deadline")
    headers = {**VALUES, "Lawow-Deadline-Seconds": "0.1"}
    assert edge.ask("POST", values_path("loop"), tenant, b"", headers).refused_with(504, "deadline")
    headers["Lawow-Deadline-Seconds"] = "nan"
    assert edge.ask("POST", values_path("loop"), tenant, b"", headers).refused_with(422, "bad-arguments")


def test_a_deadline_of_any_length_is_cut_to_the_edges(edge: RunningEdge, tenant: str) -> None:
    assert edge.call(tenant, SORTS.digest, "fib", 3, deadline_seconds=10**400).json["results"] == [2]


def test_a_bundle_brings_all_its_modules(edge: RunningEdge, tenant: str) -> None:
    one, two = numbered(11), numbered(12)
    jar = bundle_of({"one.wasm": one, "two.wasm": two}, [("one", "one.wasm", "number", ">i")])
    reply = edge.ask("POST", "/v1/bundles", tenant, jar, {"Content-Type": "application/java-archive"})
    assert reply.status == 201
    assert reply.json["methods"] == [
        {
            "class": "com.example.Compute",
            "method": "one",
            "descriptor": "(I)I",
            "digest": f"sha256:{one.digest}",
            "export": "number",
            "signature": ">i",
        }
    ]
    assert edge.call(tenant, one.digest, "number").json["results"] == [11]
    assert edge.call(tenant, two.digest, "number").json["results"] == [12]


def test_a_bundle_with_one_bad_module_leaves_none(edge: RunningEdge, tenant: str) -> None:
    good, bad = numbered(13), module_of('(module (import "env" "secret" (func)))')
    jar = bundle_of({"bad.wasm": bad, "good.wasm": good})
    reply = edge.ask("POST", "/v1/bundles", tenant, jar, {"Content-Type": "application/java-archive"})
    assert reply.refused_with(422, "bad-module")
    assert edge.ask("GET", f"/v1/modules/sha256:{good.digest}", tenant).status == 404


@pytest.mark.parametrize("jar", [b"", b"PK", bundle_of({"a.wasm": numbered(14)})[:-1], b"\0" * 5000])
def test_a_damaged_bundle_is_refused(edge: RunningEdge, tenant: str, jar: bytes) -> None:
    reply = edge.ask("POST", "/v1/bundles", tenant, jar, {"Content-Type": "application/java-archive"})
    assert reply.refused_with(422, "bad-module")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}],
)
def test_other_media_types_are_refused(edge: RunningEdge, tenant: str, headers: dict[str, str]) -> None:
    reply = edge.ask("POST", values_path("fib"), tenant, b'{"arguments": [1]}', headers)
    assert reply.refused_with(415, "unsupported-media-type")


def test_every_answer_has_its_request_id_and_is_not_to_be_cached(edge: RunningEdge, tenant: str) -> None:
    for reply in (edge.ask("GET", "/v1/modules", tenant), edge.ask("GET", "/v1/modules")):
        assert len(reply.headers["Lawow-Request-Id"]) == 16
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Server"] is None


def test_json_results_are_valid_json_for_every_float(edge: RunningEdge, tenant: str) -> None:
    def refuse(text: str) -> float:
        raise AssertionError(text)

    for value in (math.pi, 5e-324, 1.7976931348623157e308, "NaN"):
        reply = edge.call(tenant, SORTS.digest, "echo_f64", value)
        assert json.loads(reply.body, parse_constant=refuse)["results"] == [value]


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/v1/modules"), ("POST", "/v1/health")])
def test_a_wrong_method_is_a_problem_too(edge: RunningEdge, tenant: str, method: str, path: str) -> None:
    assert edge.ask(method, path, tenant).refused_with(405, "method-not-allowed")


def test_an_unknown_path_is_a_problem_too(edge: RunningEdge, tenant: str) -> None:
    assert edge.ask("GET", "/v2/anything", tenant).refused_with(404, "not-found")
