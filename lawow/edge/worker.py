"""The process that runs one tenant's modules: ``lawow.edge.worker PARENT``, six limits, then grants.

The supervisor starts it with one end of a socket pair as standard input. It warms its engine up, puts the
fences of `lawow.edge.confinement` around itself, says `Ready`, and then answers one request after the other.
A call runs on a fresh instance, so nothing of it is left for the next one, or on that of a session. From then
on it can open no file, so compiled code comes to it as an open descriptor. It ends when the socket does, and
when it meets anything that it does not expect. After a `Listen` it serves the tenant's data plane as well
(`lawow.edge.plane`).

Four limits are bytes: the tenant's memory, `EdgeLimits.call_bytes` as the limit of a result,
`session_unseen_memory_bytes`, and `state_bytes`. The fifth is the number of threads that run a model, the
last how many connections its data plane has at most, 0 for no data plane. The grants are names of host
functions; they are imported before the fences stand, and run behind them. With ``nn``
(`lawow.edge.inference`) instances share less of the memory.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace

from lawow.edge.allocation import keep_freed_memory
from lawow.edge.confinement import ChildLimits, begin_child, close_filter, limit_child, read_everything
from lawow.edge.messages import (
    DEFECT,
    HEADER,
    Call,
    Close,
    Failure,
    Identity,
    Listen,
    Message,
    Open,
    Provide,
    Ready,
    Request,
    Result,
    Save,
    read_header,
    read_message,
    write_message,
)
from lawow.edge.plane.identity import server_context
from lawow.edge.plane.loop import PlaneLoop
from lawow.edge.plane.parts import PlaneParts
from lawow.edge.worker_guests import Limits, Worker
from lawow.errors import FormatError
from lawow.limits import EDGE
from lawow.runtime import annex, wasi, wasmtime_cells, watchdog
from lawow.runtime.grants import Grants
from lawow.runtime.host_functions import INFERENCE, find_host_functions
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.edge.inference import FencedInference

__all__ = ["main"]

LOADED_BEFORE_THE_FENCES = (annex, wasi, watchdog, wasmtime_cells)  # what a first call would otherwise import
OPEN_FILES = 32  # beside the connections of the data plane
FREED_BYTES = 8 << 20  # kept for the next large call
OWN_DATA_BYTES = 512 << 20  # Python, the engine, compiled code; beside what a guest may have
WARM_UP = bytes.fromhex(
    "0061736d 01000000"  # header
    "01 04 01 60 00 00"  # type 0: no parameter, no result
    "03 03 02 00 00"  # two functions of type 0
    "07 09 02 01 66 00 00 01 74 00 01"  # exports: f and t
    "0a 08 02 02 00 0b 03 00 00 0b"  # f returns, t traps
)
"""A module whose calls load what Python and the engine load on first use, before the fences stand."""


def main(arguments: list[str]) -> None:
    """Set everything up and serve until the supervisor closes the socket."""
    parent, *numbers, threads, connections = (int(item) for item in arguments[:7])
    limits, names = Limits(*numbers), arguments[7:]
    data_bytes = limits.memory_bytes + OWN_DATA_BYTES
    begin_child(parent)
    channel = socket.socket(fileno=0)
    keep_freed_memory(FREED_BYTES)
    engine = WasmtimeEngine(EDGE_PROFILE)
    inference = None
    if INFERENCE in names:
        limits, inference = _with_inference(limits, threads)
    grants = _grants(names, inference)
    parts = _plane_parts(channel, connections) if connections else None
    _warm_up(engine, grants)
    # RLIMIT_AS would count the engine's reservation of 4 GiB for each memory; RLIMIT_DATA counts what is
    # used.
    open_files = OPEN_FILES + connections + EDGE.data_strangers + EDGE.models_per_tenant
    limit_child(ChildLimits(data_bytes=data_bytes, open_files=open_files))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    fences = "limits,filter" if close_filter() else "limits"
    channel.sendall(write_message(Ready(fences)))
    worker = Worker(engine, limits, grants, inference)
    listen = _serve(channel, worker, limits.state_bytes)
    if listen is not None and parts is not None:
        request, listener = listen
        loop = PlaneLoop(
            worker,
            parts,
            channel,
            lambda: _receive_request(channel, limits.state_bytes),
            listener,
            request,
        )
        channel.sendall(write_message(Result(0.0, 0.0, b"")))
        loop.run()


def _with_inference(limits: Limits, threads: int) -> tuple[Limits, FencedInference]:
    """Load what most workers do without, and return what it leaves of the limits."""
    from lawow.edge.inference import FencedInference, limits_within, share_of

    share = share_of(limits.memory_bytes)
    inference = FencedInference(limits_within(share, threads))
    return replace(limits, memory_bytes=limits.memory_bytes - share), inference


def _grants(names: list[str], inference: FencedInference | None) -> Grants | None:
    if not names:
        return None
    found = find_host_functions(name for name in names if name != INFERENCE)
    return Grants(functions=[*found, *(inference.grant.functions if inference is not None else ())])


def _plane_parts(channel: socket.socket, connections: int) -> PlaneParts:
    """Make what the data plane needs and the fences forbid; waits for the worker's identity."""
    received = _receive_message(channel, 0)
    if received is None or not isinstance(received[0], Identity) or received[1] is None:
        raise FormatError("a worker with a data plane is told its identity first, with a socket")
    pem = received[0].pem
    handed = socket.socket(fileno=received[1])
    return PlaneParts.make(server_context(pem) if pem else None, connections, handed)


def _serve(channel: socket.socket, worker: Worker, state_bytes: int) -> tuple[Listen, socket.socket] | None:
    """Answer until the end, or until the data plane is to be served, too."""
    while (received := _receive(channel, state_bytes)) is not None:
        request, descriptor = received
        if isinstance(request, Listen) and descriptor is not None:
            return request, socket.socket(fileno=descriptor)
        try:
            request, code = _with_cargo(request, descriptor)
            if code is not None:
                worker.load(request.digest, code)
            reply = worker.answer(request)
        except (FormatError, MemoryError) as error:
            reply = Failure(DEFECT, f"{type(error).__name__}: {error}")
        channel.sendall(write_message(reply))
        if isinstance(reply, Failure) and reply.kind == DEFECT:
            return None
    return None


def _receive_request(channel: socket.socket, state_bytes: int) -> tuple[Request, bytes | None] | None:
    """Return the next request and the compiled code that came with it, or None at the end."""
    received = _receive(channel, state_bytes)
    if received is None:
        return None
    return _with_cargo(*received)


def _with_cargo(request: Request, descriptor: int | None) -> tuple[Request, bytes | None]:
    """Return a request and what came along: a model stays an open file, compiled code is read."""
    if isinstance(request, Provide):
        return replace(request, descriptor=descriptor), None
    return request, None if descriptor is None else _read_code(descriptor)


def _receive(channel: socket.socket, state_bytes: int) -> tuple[Request, int | None] | None:
    """Return the next request and the descriptor that came with it, or None at the end."""
    received = _receive_message(channel, state_bytes)
    if received is None:
        return None
    message, descriptor = received
    if not isinstance(message, Request):
        raise FormatError("a worker takes requests alone", found=type(message).__name__)
    return message, descriptor


def _receive_message(channel: socket.socket, state_bytes: int) -> tuple[Message, int | None] | None:
    header, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 1)
    if not header:
        return None
    header += _receive_exactly(channel, HEADER.size - len(header))
    length, kind = read_header(header, state_bytes)
    message = read_message(kind, _receive_exactly(channel, length))
    return message, next(iter(descriptors), None)


def _read_code(descriptor: int) -> bytes:
    """Return what the file holds, and close it."""
    try:
        return read_everything(descriptor)
    finally:
        os.close(descriptor)


def _receive_exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    view = memoryview(data)
    while view:
        received = channel.recv_into(view)
        if not received:
            raise FormatError("the supervisor closed the socket within a frame")
        view = view[received:]
    return bytes(data)


def _warm_up(engine: WasmtimeEngine, grants: Grants | None) -> None:
    """Go through all that a call may touch, a trap and an interruption-free end included."""
    worker = Worker(engine, Limits(1 << 20, 1 << 20, 1 << 16, 1 << 20), grants)
    with engine.compile(WARM_UP) as module:
        worker.load("warm-up", module.serialize())
    for export in ("f", "t"):
        worker.answer(Call("warm-up", False, export, ">", 1.0, b""))
    write_message(worker.answer(Call("warm-up", False, "absent", ">", 1.0, b"")))
    worker.answer(Open("warm-up", False, "s", 1.0))
    worker.answer(Call("warm-up", False, "f", "S>", 1.0, bytes(8), "s"))
    worker.answer(Save("warm-up", False, "s", 1.0))
    worker.answer(Close("warm-up", "s"))


if __name__ == "__main__":
    main(sys.argv[1:])
