"""The process that runs one tenant's modules: ``python -m lawow.edge.worker PARENT MEMORY_BYTES``.

The supervisor starts it with one end of a socket pair as standard input. It warms its engine up, puts the
fences of `lawow.edge.confinement` around itself, says `Ready`, and then answers one `Call` after the other:
each on a fresh instance, so nothing of a call is left for the next one. From then on it can open no file, so
compiled code comes to it as an open descriptor. It ends when the socket does, and when it meets anything that
it does not expect.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import OrderedDict

from lawow.edge.confinement import ChildLimits, begin_child, close_filter, limit_child, read_everything
from lawow.edge.messages import (
    BAD_MODULE,
    DEADLINE,
    DEFECT,
    HEADER,
    NEEDS_CODE,
    Call,
    Failure,
    Message,
    Ready,
    Result,
    Trap,
    read_header,
    read_message,
    write_message,
)
from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded
from lawow.runtime import wasi, watchdog
from lawow.runtime.base import CompiledModule
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["Worker", "main"]

LOADED_BEFORE_THE_FENCES = (wasi, watchdog)  # what the engine would otherwise import at a first call
MODULES_LOADED = 16
OWN_DATA_BYTES = 512 << 20  # Python, the engine, compiled code; beside what a guest may have
WARM_UP = bytes.fromhex(
    "0061736d 01000000"  # header
    "01 04 01 60 00 00"  # type 0: no parameter, no result
    "03 03 02 00 00"  # two functions of type 0
    "07 09 02 01 66 00 00 01 74 00 01"  # exports: f and t
    "0a 08 02 02 00 0b 03 00 00 0b"  # f returns, t traps
)
"""A module whose calls load what Python and the engine load on first use, before the fences stand."""


class Worker:
    """Answers calls. Holds the modules it was given last; never an instance between two calls."""

    def __init__(self, engine: WasmtimeEngine, memory_bytes: int) -> None:
        self._engine = engine
        self._memory_bytes = memory_bytes
        self._modules: OrderedDict[str, CompiledModule] = OrderedDict()

    def load(self, digest: str, code: bytes) -> None:
        """Keep a compiled module; the one unused for longest goes when there are too many."""
        self._modules[digest] = self._engine.load_bytes(code)
        if len(self._modules) > MODULES_LOADED:
            _, oldest = self._modules.popitem(last=False)
            oldest.close()

    def answer(self, call: Call) -> Message:
        """Run one call and return what to say about it."""
        started = time.perf_counter()
        module = self._modules.get(call.digest)
        if module is None:
            return Failure(NEEDS_CODE, "")
        self._modules.move_to_end(call.digest)
        try:
            return self._run(module, call, started)
        except GuestTrap as trap:
            return Trap(trap.code, trap.args[0], trap.frames)
        except LimitExceeded as error:
            kind = DEADLINE if error.limit == "deadline_seconds" else BAD_MODULE
            return Failure(kind, str(error))
        except LawowError as error:
            return Failure(BAD_MODULE, str(error))

    def _run(self, module: CompiledModule, call: Call, started: float) -> Message:
        with module.instantiate(
            memory_bytes=self._memory_bytes, deadline_seconds=call.deadline_seconds
        ) as instance:
            prepared = time.perf_counter()
            left = max(call.deadline_seconds - (prepared - started), 0.001)
            results = instance.call_raw(call.export, call.arguments, deadline_seconds=left)
            return Result(prepared - started, time.perf_counter() - prepared, results)


def main(arguments: list[str]) -> None:
    """Set everything up and serve until the supervisor closes the socket."""
    parent, memory_bytes = (int(item) for item in arguments)
    begin_child(parent)
    channel = socket.socket(fileno=0)
    engine = WasmtimeEngine(EDGE_PROFILE)
    _warm_up(engine)
    # RLIMIT_AS would count the engine's reservation of 4 GiB for each memory; RLIMIT_DATA counts what is
    # used.
    limit_child(ChildLimits(data_bytes=memory_bytes + OWN_DATA_BYTES))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    fences = "limits,filter" if close_filter() else "limits"
    channel.sendall(write_message(Ready(fences)))
    _serve(channel, Worker(engine, memory_bytes))


def _serve(channel: socket.socket, worker: Worker) -> None:
    while (received := _receive(channel)) is not None:
        call, code = received
        try:
            if code is not None:
                worker.load(call.digest, code)
            reply = worker.answer(call)
        except (FormatError, MemoryError) as error:
            reply = Failure(DEFECT, f"{type(error).__name__}: {error}")
        channel.sendall(write_message(reply))
        if isinstance(reply, Failure) and reply.kind == DEFECT:
            return


def _receive(channel: socket.socket) -> tuple[Call, bytes | None] | None:
    """Return the next call and the compiled code that came with it, or None at the end."""
    header, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 1)
    if not header:
        return None
    header += _receive_exactly(channel, HEADER.size - len(header))
    length, kind = read_header(header)
    message = read_message(kind, _receive_exactly(channel, length))
    if not isinstance(message, Call):
        raise FormatError("a worker takes calls alone", found=type(message).__name__)
    code = None
    for descriptor in descriptors:
        code = read_everything(descriptor)
        os.close(descriptor)
    return message, code


def _receive_exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        received = channel.recv_into(view)
        if not received:
            raise FormatError("the supervisor closed the socket within a frame")
        view = view[received:]
    return bytes(data)


def _warm_up(engine: WasmtimeEngine) -> None:
    """Go through all that a call may touch, a trap and an interruption-free end included."""
    worker = Worker(engine, 1 << 20)
    with engine.compile(WARM_UP) as module:
        worker.load("warm-up", module.serialize())
    for export in ("f", "t"):
        worker.answer(Call("warm-up", False, export, ">", 1.0, b""))
    write_message(worker.answer(Call("warm-up", False, "absent", ">", 1.0, b"")))


if __name__ == "__main__":
    main(sys.argv[1:])
