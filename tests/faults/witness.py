"""An edge whose guests leave a mark where the test can see it: how often each call was really run.

The marks lie in a file that the worker maps into its memory before its fences stand, as the operator's host
functions may. So they outlive the worker, whatever ends it, and cost no system call.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants
from tests.edge.builders import module_of
from tests.server.offering import interpreter_offering
from tests.server.running import RunningEdge, running_edge

__all__ = ["CALLS", "TENANT", "WORK", "Witness", "witnessed_edge"]

CALLS = 1 << 16
TENANT = "acme"
OFFER = """
import ctypes
import mmap
import os

from lawow.runtime.host_functions import HostFunction

with open({path!r}, "r+b") as stream:
    marks = mmap.mmap(stream.fileno(), 0)

def mark(memory, number):
    marks[number] += 1

def crash(memory, how):
    (lambda: ctypes.string_at(0), os.abort, lambda: os._exit(0))[how]()

FUNCTIONS = [HostFunction("witness", "mark", "i>", mark), HostFunction("witness", "crash", "i>", crash)]
"""
WORK = module_of(
    """(module
  (import "witness" "mark" (func $mark (param i32)))
  (import "witness" "crash" (func $crash (param i32)))
  (func (export "crash") (param i32) (call $crash (local.get 0)))
  (func (export "work") (param i32 i32) (result i32)
    (call $mark (local.get 0))
    (loop $again
      (br_if $again (i32.gt_s (local.tee 1 (i32.sub (local.get 1) (i32.const 1))) (i32.const 0))))
    (local.get 0)))"""
)
"""``work(number, rounds)``: marks its number, computes for about a nanosecond a round, returns its number.
``crash(how)`` ends the worker from within: 0 by a null pointer, 1 by abort, 2 by a silent exit."""


class Witness:
    """An edge and its marks."""

    def __init__(self, edge: RunningEdge, marks: Path) -> None:
        self.edge = edge
        with marks.open("r+b") as stream:
            self._marks = mmap.mmap(stream.fileno(), 0)

    def runs(self, number: int) -> int:
        """Return how often the call with this number was begun."""
        return self._marks[number]


@contextmanager
def witnessed_edge(folder: Path, **limits: float) -> Iterator[Witness]:
    """Run an edge whose tenant may leave marks, and has the module that does."""
    data, marks = folder / "data", folder / "marks"
    marks.write_bytes(bytes(CALLS))
    python = interpreter_offering(folder, "witness", OFFER.format(path=str(marks)))
    database = Database(DataFolder(data).database)
    tenants = Tenants(database)
    tenants.add(TENANT)
    tenants.change(TENANT, {}, ("witness",))
    database.close()
    command = [str(python), "-m", "tests.server.small_edge", str(data), json.dumps(limits)]
    with running_edge(data, command=command) as edge:
        assert edge.put(TENANT, WORK.wasm, WORK.digest).status == 201
        yield Witness(edge, marks)
