"""Host functions on the edge: none, unless the operator granted them to that tenant; behind the fences."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from tests.conftest import ROOT
from tests.edge.builders import module_of
from tests.server.offering import interpreter_offering
from tests.server.running import RunningEdge, running_edge

OFFER = """
from lawow.runtime.host_functions import HostFunction

def read(memory, sensor):
    return 20.5 + sensor

def peek(memory):
    with open("/etc/hostname", "rb") as stream:
        return len(stream.read())

def greet(memory, address):
    memory.write(address, b"hello")

FUNCTIONS = [
    HostFunction("thermometer", "read", "i>F", read),
    HostFunction("thermometer", "peek", ">i", peek),
    HostFunction("thermometer", "greet", "i>", greet),
]
"""
READER = module_of(
    """(module
  (import "thermometer" "read" (func $read (param i32) (result f64)))
  (import "thermometer" "peek" (func $peek (result i32)))
  (import "thermometer" "greet" (func $greet (param i32)))
  (memory (export "memory") 1)
  (func (export "temperature") (param i32) (result f64) (call $read (local.get 0)))
  (func (export "peek") (result i32) (call $peek))
  (func (export "greet") (result i32) (call $greet (i32.const 8)) (i32.load8_u (i32.const 8)))
  (func (export "outside") (call $greet (i32.const -1))))"""
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with a distribution that offers host functions, and else all that this one has."""
    return interpreter_offering(tmp_path_factory.mktemp("offer"), "thermometer", OFFER)


@pytest.fixture(scope="module")
def offering(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    data = tmp_path_factory.mktemp("granting") / "data"
    command = [str(python), "-m", "lawow", "serve", "--port", "0", "--json", "--data", str(data)]
    with running_edge(data, command=command) as edge:
        for tenant in ("granted", "plain"):
            edge.token(tenant)
        done = set_grants(python, data, "granted", "thermometer")
        assert done.returncode == 0, done.stderr
        yield edge


def set_grants(python: Path | str, data: Path, tenant: str, grant: str) -> subprocess.CompletedProcess[str]:
    command = [str(python), "-m", "lawow", "tenant", "set", tenant, "--grant", grant, "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_granted_function_is_called_and_reaches_the_guests_memory(offering: RunningEdge) -> None:
    assert offering.put("granted", READER.wasm, READER.digest).status == 201
    assert offering.call("granted", READER.digest, "temperature", 2).json["results"] == [22.5]
    assert offering.call("granted", READER.digest, "greet").json["results"] == [ord("h")]
    session = offering.open_session("granted", READER.digest)
    assert offering.call_in_session("granted", session, "temperature", 1).json["results"] == [21.5]


def test_what_it_may_not_do_ends_the_guest_and_not_the_worker(offering: RunningEdge) -> None:
    """It opens a file, which the worker's kernel filter refuses; or is given an address outside of memory."""
    offering.put("granted", READER.wasm, READER.digest)
    offering.call("granted", READER.digest, "greet")
    worker = offering.workers()["granted"]
    for export in ("peek", "outside"):
        reply = offering.call("granted", READER.digest, export)
        assert reply.refused_with(422, "trap")
        assert reply.json["trap"] == "host-function-failed"
    assert offering.call("granted", READER.digest, "temperature", 0).json["results"] == [20.5]
    assert offering.workers()["granted"] == worker


@pytest.mark.promise("N8")
def test_another_tenant_is_not_offered_it(offering: RunningEdge) -> None:
    reply = offering.put("plain", READER.wasm, READER.digest)
    assert reply.refused_with(422, "bad-module")
    assert "thermometer.read" in str(reply.json["detail"])


def test_a_grant_that_was_taken_back_is_gone_with_the_next_call(offering: RunningEdge, python: Path) -> None:
    offering.token("once")
    assert set_grants(python, offering.data, "once", "thermometer").returncode == 0
    offering.put("once", READER.wasm, READER.digest)
    assert offering.call("once", READER.digest, "greet").status == 200
    assert set_grants(python, offering.data, "once", "none").returncode == 0
    assert offering.call("once", READER.digest, "greet").refused_with(422, "bad-module")


def test_what_cannot_be_granted_is_said_before_anything_changes(tmp_path: Path) -> None:
    database = Database(DataFolder(tmp_path / "data").database)
    Tenants(database).add("acme")
    done = set_grants(sys.executable, tmp_path / "data", "acme", "absent")
    assert done.returncode == 2
    assert "no host functions" in done.stderr
    assert Tenants(database).get("acme").grants == ()
    database.close()
