"""F5: one bit of any file of the data folder flips while the edge is down. It is found, or does no harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.edge.builders import Module, module_of, numbered
from tests.server.running import JSON, Reply, RunningEdge, running_edge

HALF = module_of('(module (func (export "number") (result i32) (i32.const 77)) (memory 1))')
UPLOAD = {"Content-Type": "application/partial-upload"}


def flip(path: Path, position: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(position * (len(data) - 1))] ^= 4
    path.write_bytes(data)


def begun_upload(edge: RunningEdge) -> str:
    asked = json.dumps({"module": f"sha256:{HALF.digest}", "choice": "provider"}).encode()
    granted = edge.ask("POST", "/v1/offload-requests", "acme", asked, JSON).json["lease"]
    assert isinstance(granted, dict)
    lease = str(granted["lease"])
    assert send(edge, lease, HALF.wasm[:30], 0).status == 204
    return lease


def send(edge: RunningEdge, lease: str, data: bytes, offset: int, *, last: bool = False) -> Reply:
    headers = {**UPLOAD, "Upload-Offset": str(offset), "Upload-Complete": "?1" if last else "?0"}
    return edge.ask("PATCH", f"/v1/leases/{lease}/module", "acme", data, headers)


@pytest.mark.promise("F5")
def test_a_bit_that_flips_in_any_module_code_or_upload_is_found(tmp_path: Path) -> None:
    """Compiled code is made again, modules are set aside, an upload begins again: each file, one bit."""
    data, modules = tmp_path / "data", [numbered(number) for number in range(6)]
    with running_edge(data) as edge:
        for module in modules:
            assert edge.put("acme", module.wasm, module.digest).status == 201
        lease = begun_upload(edge)
    rotten, intact = modules[:3], modules[3:]
    for number, path in enumerate(sorted((data / "compiled").glob("*/*"))):
        flip(path, number / 6)
    for number, module in enumerate(rotten):
        flip(data / "blobs" / module.digest[:2] / module.digest, number / 2)
    flip(data / "partial" / lease)
    with running_edge(data) as edge:
        for module in intact:
            assert edge.call("acme", module.digest, "number").status == 200
        for module in rotten:
            assert_set_aside(edge, module)
        assert send(edge, lease, HALF.wasm[30:], 30, last=True).refused_with(422, "bad-module")
        assert send(edge, lease, HALF.wasm, 0, last=True).status == 204
        assert " defect " not in edge.log.read_text()


def assert_set_aside(edge: RunningEdge, module: Module) -> None:
    assert edge.call("acme", module.digest, "number").refused_with(404, "not-found")
    assert (edge.data / "damaged" / module.digest).exists()
    assert edge.put("acme", module.wasm, module.digest).status == 201
    assert edge.call("acme", module.digest, "number").status == 200


@pytest.mark.promise("F5")
@pytest.mark.parametrize("damage", ["header", "cut", "other file"])
def test_a_database_that_is_none_any_more_is_said_in_one_sentence(tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    with running_edge(data) as edge:
        edge.token("acme")
    path = data / "edge.sqlite"
    content = path.read_bytes()
    damaged = {"header": b"x" + content[1:], "cut": content[:5000], "other file": b"no database" * 500}
    path.write_bytes(damaged[damage])
    done = subprocess.run(
        [sys.executable, "-m", "lawow", "serve", "--data", data, "--port", "0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "edge.sqlite" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.promise("F5")
def test_a_damaged_page_of_the_database_is_no_traceback_and_no_false_answer(tmp_path: Path) -> None:
    """Every page in turn, its header overwritten: the edge says that its database fails, or serves on."""
    data, module = tmp_path / "data", numbered(1)
    with running_edge(data) as edge:
        assert edge.put("acme", module.wasm, module.digest).status == 201
        token = edge.token("acme")
    path = data / "edge.sqlite"
    content = path.read_bytes()
    with running_edge(data) as edge:
        edge.tokens["acme"] = token
        for page in range(1, len(content) // 4096):
            path.write_bytes(content[: page * 4096] + b"\xff" * 16 + content[page * 4096 + 16 :])
            for reply in (edge.ask("GET", "/v1/modules", "acme"), edge.call("acme", module.digest, "number")):
                assert reply.status in (200, 401, 404, 429, 507), (page, reply.body)
        path.write_bytes(content)
        assert " defect " not in edge.log.read_text()
