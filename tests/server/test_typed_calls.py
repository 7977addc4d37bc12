"""Strings and lists over HTTP: the shared vectors, hostile guests, hostile bodies; nothing ends a worker."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import pytest

from lawow.channel.documents import Value
from lawow.device.edge_client import EdgeClient
from tests.conftest import ROOT
from tests.edge.builders import Module, module_of, named
from tests.server.running import JSON, Reply, RunningEdge

ARRAYS = named((ROOT / "fixtures" / "wasm" / "arrays.wasm").read_bytes())
VALUES = "application/vnd.lawow.values"


@pytest.fixture(scope="module")
def client(edge: RunningEdge) -> Iterator[EdgeClient]:
    with edge.client("typed") as client:
        client.upload_module(ARRAYS.wasm)
        yield client


def call(edge: RunningEdge, export: str, signature: str, document: object, module: Module = ARRAYS) -> Reply:
    """Call with JSON, whatever it is."""
    path = f"/v1/modules/sha256:{module.digest}/exports/{export}/calls"
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return edge.ask("POST", path, "typed", body, {**JSON, "Lawow-Signature": signature})


def call_with_bytes(edge: RunningEdge, export: str, signature: str, body: bytes) -> Reply:
    path = f"/v1/modules/sha256:{ARRAYS.digest}/exports/{export}/calls"
    return edge.ask("POST", path, "typed", body, {"Content-Type": VALUES, "Lawow-Signature": signature})


def test_lists_and_strings_go_there_and_back(client: EdgeClient) -> None:
    def both(export: str, signature: str, *arguments: Value) -> tuple[object, object]:
        outcome = client.call(ARRAYS.digest, export, signature, arguments)
        return outcome.results, outcome.changed

    assert both("sum", "&[i>i", [1, 2, 3]) == ((6,), {0: [1, 2, 3]})
    assert both("reverse", "&[i>", [1, 2, 3]) == ((), {0: [3, 2, 1]})
    assert both("concat", "SS>S", "grüße, ", "\U0001f30d") == (("grüße, \U0001f30d",), {})
    assert both("squares", "i>[i", 4) == (([0, 1, 4, 9],), {})
    items = [0, 9]
    assert both("both", "&[i&[i>i", items, items) == ((1,), {0: [2, 9]})


@pytest.mark.usefixtures("client")
def test_json_says_what_changed(edge: RunningEdge) -> None:
    reply = call(edge, "scale", "&[FF>", {"arguments": [[1.5, "Infinity"], 2]})
    assert reply.json["results"] == []
    assert reply.json["changed"] == {"0": [3.0, "Infinity"]}
    reply = call(edge, "both", "&[i&[i>i", {"arguments": [[7], {"same_as": 0}]})
    assert (reply.json["results"], reply.json["changed"]) == ([1], {"0": [2]})
    assert "changed" not in call(edge, "accumulate", "i>i", {"arguments": [7]}).json


@pytest.mark.usefixtures("client")
def test_a_list_as_large_as_a_body_may_be_comes_back_whole(edge: RunningEdge) -> None:
    count = ((1 << 20) - 8) // 4
    body = struct.pack("<II", count, 0) + struct.pack(f"<{count}i", *range(count))
    reply = call_with_bytes(edge, "reverse", "&[i>", body + bytes(-len(body) % 8))
    assert reply.status == 200
    assert reply.body[8:12] == struct.pack("<i", count - 1)
    assert call_with_bytes(edge, "reverse", "&[i>", body + bytes(8)).refused_with(413, "too-large")


@pytest.mark.usefixtures("client")
def test_a_result_beyond_the_limit_is_too_large(edge: RunningEdge) -> None:
    assert call(edge, "squares", "i>[i", {"arguments": [1_000_000]}).refused_with(413, "too-large")


@pytest.mark.parametrize("signature", ["S>i", "[i>i", "&[b>i", "ii>i", "[F>i"])
@pytest.mark.usefixtures("client")
def test_a_signature_with_the_exports_core_type_is_taken(edge: RunningEdge, signature: str) -> None:
    arguments = {"S": [""], "i": [64, 0]}.get(signature[0], [[]])
    assert call(edge, "sum", signature, {"arguments": arguments}).json["results"] == [0]


@pytest.mark.parametrize(
    "signature",
    ["S>", "[i>I", "[i[i>i", "i>i", "", "x", "&[i", "[[i>i", "S>S>", "i" * 10_000 + ">i", "S" * 900 + ">i"],
)
@pytest.mark.usefixtures("client")
def test_any_other_signature_is_a_mismatch(edge: RunningEdge, signature: str) -> None:
    reply = call(edge, "sum", signature, {"arguments": [[]]})
    if signature == "":
        assert reply.refused_with(409, "signature-mismatch")
    else:
        assert reply.status == 409
        assert reply.code == "signature-mismatch"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [[1], [2]],
        [1],
        ["1"],
        [None],
        [{"a": 1}],
        [[1.5]],
        [[True]],
        [["x"]],
        [[None]],
        [[[1]]],
        [[2**40]],
        [{"same_as": 0}],
        {"0": [1]},
        "x",
        None,
    ],
)
@pytest.mark.usefixtures("client")
def test_json_of_the_wrong_kind_is_refused_by_name(edge: RunningEdge, arguments: object) -> None:
    assert call(edge, "sum", "[i>i", {"arguments": arguments}).refused_with(422, "bad-arguments")


@pytest.mark.usefixtures("client")
def test_text_with_half_of_a_pair_is_refused(edge: RunningEdge) -> None:
    assert call(edge, "upper", "S>S", b'{"arguments": ["\\ud800"]}').refused_with(422, "bad-arguments")


VECTORS = json.loads((ROOT / "fixtures" / "values" / "vectors.json").read_text())


@pytest.mark.usefixtures("client")
def test_bodies_that_are_none_are_refused_before_any_guest_runs(edge: RunningEdge) -> None:
    """Every refused request of the vectors whose signature an export of the module has."""
    signatures = ("[i>", "&[i>", "[b>", "[I>", "[z>", "S>")
    refused = [vector for vector in VECTORS["refused_requests"] if vector["signature"] in signatures]
    assert len(refused) > 8
    for vector in refused:
        body, signature = bytes.fromhex(vector["request"]), vector["signature"]
        assert call_with_bytes(edge, "reverse", signature, body).refused_with(422, "bad-arguments"), vector


REALLOC = '(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const {}))'


def hostile(
    realloc: int, area: int, pair: tuple[int, int], memory: str = '(memory (export "memory") 1)'
) -> Module:
    """A guest whose allocator and result say what a test wants."""
    data = "".join(f"\\{byte:02x}" for byte in struct.pack("<II", *pair))
    return module_of(
        f"""(module {memory} (data (i32.const 64) "{data}") (data (i32.const 128) "\\ff")
        {REALLOC.format(realloc)}
        (func (export "f") (param i32 i32) (result i32) (i32.const {area})))"""
    )


HOSTILE = {
    "allocator beyond the memory": (hostile(65536, 64, (0, 0)), 422, "memory-out-of-bounds"),
    "allocator below zero": (hostile(-1, 64, (0, 0)), 422, "memory-out-of-bounds"),
    "allocator without memory": (hostile(0, 64, (0, 0)), 422, "out-of-memory"),
    "area beyond the memory": (hostile(256, 65533, (0, 0)), 422, "memory-out-of-bounds"),
    "area not aligned": (hostile(256, 65, (0, 0)), 422, "memory-out-of-bounds"),
    "length of 2^32-1": (hostile(256, 64, (0, 2**32 - 1)), 422, "memory-out-of-bounds"),
    "address of 2^32-1": (hostile(256, 64, (2**32 - 1, 2**32 - 1)), 422, "memory-out-of-bounds"),
    "text that is none": (hostile(256, 64, (128, 1)), 422, "bad-result"),
    "exit instead of a result": (
        module_of(
            """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8))
            (func (export "f") (param i32 i32) (result i32) (call $exit (i32.const 0)) unreachable))"""
        ),
        422,
        "exit",
    ),
    "no memory": (hostile(256, 64, (0, 0), "(memory 1)"), 422, None),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_guest_is_answered_with_a_problem_and_keeps_its_worker(
    edge: RunningEdge, client: EdgeClient, case: str
) -> None:
    module, status, trap = HOSTILE[case]
    client.upload_module(module.wasm)
    client.call(ARRAYS.digest, "accumulate", "i>i", [1])
    worker = edge.workers()["typed"]
    reply = call(edge, "f", "S>S", {"arguments": ["x"]}, module)
    assert reply.refused_with(status, "bad-module" if trap is None else "trap")
    assert reply.headers["Lawow-Trap"] == trap
    assert edge.workers()["typed"] == worker


@pytest.mark.usefixtures("client")
def test_a_trap_in_a_call_with_lists_is_a_trap(edge: RunningEdge) -> None:
    reply = call(edge, "change_and_trap", "&[i>i", {"arguments": [[1]]})
    assert reply.refused_with(422, "trap")
    assert reply.headers["Lawow-Trap"] == "unreachable"


def test_large_documents_do_not_hold_up_others(edge: RunningEdge, client: EdgeClient) -> None:
    """A megabyte of JSON is worked on beside the loop; whatever its result is, the edge answers."""
    numbers = json.dumps({"arguments": [[1] * 340_000]}).encode()
    reply = call(edge, "invert", "&[z>", numbers)
    assert reply.status == 200
    assert len(reply.json["changed"]["0"]) == 340_000  # type: ignore[index]
