"""Modules made to cost the edge time or memory before they are ever called."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest

from lawow.limits import MODULE
from tests.edge.builders import compile_bomb, locals_bomb, many_exports, module_of
from tests.server.running import RunningEdge


def test_a_bomb_of_locals_is_refused_by_the_scan(edge: RunningEdge, tenant: str) -> None:
    """21 KiB that would cost the compiler 14 seconds."""
    bomb = locals_bomb()
    started = time.monotonic()
    reply = edge.put(tenant, bomb.wasm, bomb.digest)
    assert reply.refused_with(422, "bad-module")
    assert "locals" in str(reply.json["detail"])
    assert time.monotonic() - started < 3


def test_too_many_functions_are_refused_by_the_scan(edge: RunningEdge, tenant: str) -> None:
    count = MODULE.functions + 1
    module = module_of("(module " + "(func)" * count + ")")
    assert edge.put(tenant, module.wasm, module.digest).refused_with(422, "bad-module")


@pytest.mark.promise("W5")
def test_while_something_costly_compiles_others_are_served(edge: RunningEdge, tenant: str) -> None:
    """A module within all static limits that takes the compiler long; the health is asked meanwhile."""
    bomb = compile_bomb()
    edge.token(tenant)
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(edge.put(tenant, bomb.wasm, bomb.digest).status))
    thread.start()
    slowest, asked = 0.0, 0
    while thread.is_alive():
        started = time.monotonic()
        assert edge.ask("GET", "/v1/health").status == 200
        slowest, asked = max(slowest, time.monotonic() - started), asked + 1
    thread.join()
    assert done in ([201], [422])
    assert asked > 5
    assert slowest < 1.0


def test_exports_that_would_fill_the_answer_are_refused(edge: RunningEdge, tenant: str) -> None:
    wasm = many_exports(1500, 9_000)
    reply = edge.put(tenant, wasm, hashlib.sha256(wasm).hexdigest())
    assert reply.refused_with(422, "bad-module")
