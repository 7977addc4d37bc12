"""The process that runs one tenant's modules: ``lawow.edge.worker PARENT MEMORY CALL UNSEEN [GRANT...]``.

The supervisor starts it with one end of a socket pair as standard input. It warms its engine up, puts the
fences of `lawow.edge.confinement` around itself, says `Ready`, and then answers one request after the other.
A call runs on a fresh instance, so nothing of it is left for the next one, or on that of a session. From then
on it can open no file, so compiled code comes to it as an open descriptor. It ends when the socket does, and
when it meets anything that it does not expect.

The numbers are bytes: what all instances share, `EdgeLimits.call_bytes` as the limit of a result, and
`session_unseen_memory_bytes`. The grants are names of host functions; they are imported before the fences
stand, and run behind them.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from lawow.channel.bodies import read_arguments, write_returned
from lawow.edge.confinement import ChildLimits, begin_child, close_filter, limit_child, read_everything
from lawow.edge.messages import (
    BAD_MODULE,
    DEADLINE,
    DEFECT,
    HEADER,
    NEEDS_CODE,
    NO_ROOM,
    NO_SESSION,
    TOO_LARGE,
    Call,
    Close,
    Failure,
    Message,
    Open,
    Ready,
    Request,
    Result,
    Trap,
    read_header,
    read_message,
    write_message,
)
from lawow.errors import FormatError, GuestTrap, LawowError, LimitExceeded, LocalProtocolError
from lawow.formats.signature import parse_typed_signature
from lawow.runtime import wasi, watchdog
from lawow.runtime.base import CompiledModule, Instance
from lawow.runtime.grants import Grants
from lawow.runtime.host_functions import find_host_functions
from lawow.runtime.lowering import TypedCaller
from lawow.runtime.profiles import EDGE_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine

__all__ = ["Limits", "Worker", "main"]

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


@dataclass(frozen=True, slots=True)
class Limits:
    """What instances share, what a result may be, what a memory that nobody sees may be; all in bytes."""

    memory_bytes: int
    call_bytes: int
    unseen_memory_bytes: int


class _Session:
    """An instance that stays."""

    def __init__(self, instance: Instance, caller: TypedCaller, unseen_bytes: int) -> None:
        self.instance = instance
        self.caller = caller
        self._unseen_bytes = unseen_bytes
        self.held_bytes = 0
        self.measure()

    def measure(self) -> None:
        """See what it holds of the memory that all instances share; to be called when its guest has run."""
        self.held_bytes = self._unseen_bytes or self.instance.memory_bytes

    def may_hold(self, memory_bytes: int) -> None:
        """Let it grow to so much in its next call."""
        if not self._unseen_bytes:
            self.instance.limit_memory(memory_bytes)


class Worker:
    """Answers requests. Holds the modules it was given last, and the instances of open sessions."""

    def __init__(self, engine: WasmtimeEngine, limits: Limits, grants: Grants | None = None) -> None:
        self._engine = engine
        self._limits = limits
        self._grants = grants
        self._modules: OrderedDict[str, CompiledModule] = OrderedDict()
        self._sessions: dict[str, _Session] = {}

    def load(self, digest: str, code: bytes) -> None:
        """Keep a compiled module; the one unused for longest goes when there are too many."""
        self._modules[digest] = self._engine.load_bytes(code)
        if len(self._modules) > MODULES_LOADED:
            _, oldest = self._modules.popitem(last=False)
            oldest.close()

    def answer(self, request: Request) -> Message:
        """Do what is asked and return what to say about it."""
        started = time.perf_counter()
        if isinstance(request, Close):
            self._drop(request.session)
            return Result(0.0, time.perf_counter() - started, b"")
        if isinstance(request, Call) and request.session:
            return self._answered(request, lambda: self._call_in_session(request, started))
        module = self._modules.get(request.digest)
        if module is None:
            return Failure(NEEDS_CODE, "")
        self._modules.move_to_end(request.digest)
        if isinstance(request, Open):
            return self._answered(request, lambda: self._open(module, request, started))
        return self._answered(request, lambda: self._call_afresh(module, request, started))

    def _answered(self, request: Call | Open, work: Callable[[], Message]) -> Message:
        """Turn what a guest or its module did wrong into an answer; a guest that was stopped is dropped."""
        try:
            return work()
        except GuestTrap as trap:
            self._drop(request.session)
            return Trap(trap.code, trap.args[0], trap.frames)
        except LocalProtocolError as error:  # the guest of a session ended itself in an earlier call
            self._drop(request.session)
            return Failure(NO_SESSION, str(error))
        except LimitExceeded as error:
            if error.limit == "result_bytes":
                return Failure(TOO_LARGE, f"{error}, which is call_bytes")
            if error.limit == "deadline_seconds":
                self._drop(request.session)
                return Failure(DEADLINE, str(error))
            return Failure(self._kind_of(error), str(error))
        except LawowError as error:
            return Failure(BAD_MODULE, str(error))

    def _kind_of(self, error: LimitExceeded) -> str:
        """Tell a module that needs too much from one that would have room if sessions did not have it."""
        if error.limit != "memory_bytes" or not self._sessions or not isinstance(error.value, int):
            return BAD_MODULE
        return NO_ROOM if error.value <= self._limits.memory_bytes else BAD_MODULE

    def _call_afresh(self, module: CompiledModule, call: Call, started: float) -> Message:
        with module.instantiate(
            memory_bytes=self._room_bytes(), deadline_seconds=call.deadline_seconds, grants=self._grants
        ) as instance:
            return self._run(instance, None, call, started)

    def _call_in_session(self, call: Call, started: float) -> Message:
        session = self._sessions.get(call.session)
        if session is None:
            return Failure(NO_SESSION, "")
        session.may_hold(session.held_bytes + self._room_bytes())
        try:
            return self._run(session.instance, session.caller, call, started)
        finally:
            session.measure()

    def _run(self, instance: Instance, caller: TypedCaller | None, call: Call, started: float) -> Message:
        prepared = time.perf_counter()
        left = max(call.deadline_seconds - (prepared - started), 0.001)
        signature = parse_typed_signature(call.signature)
        if signature.is_core:
            results = instance.call_raw(call.export, call.arguments, deadline_seconds=left)
        else:
            caller = caller or self._caller(instance)
            arguments = read_arguments(signature, call.arguments)
            results = write_returned(caller.call(call.export, signature, arguments, deadline_seconds=left))
        return Result(prepared - started, time.perf_counter() - prepared, results)

    def _open(self, module: CompiledModule, request: Open, started: float) -> Message:
        unseen_bytes = 0 if module.exports_memory else self._limits.unseen_memory_bytes
        room_bytes = self._room_bytes()
        if unseen_bytes > room_bytes:
            return Failure(NO_ROOM, f"sessions of this tenant left {room_bytes} bytes of memory")
        instance = module.instantiate(
            memory_bytes=unseen_bytes or room_bytes,
            deadline_seconds=request.deadline_seconds,
            grants=self._grants,
        )
        self._sessions[request.session] = _Session(instance, self._caller(instance), unseen_bytes)
        return Result(time.perf_counter() - started, 0.0, b"")

    def _caller(self, instance: Instance) -> TypedCaller:
        return TypedCaller(instance, result_bytes=self._limits.call_bytes)

    def _room_bytes(self) -> int:
        """Return what sessions leave of the memory that all instances share."""
        held = sum(session.held_bytes for session in self._sessions.values())
        return max(self._limits.memory_bytes - held, 0)

    def _drop(self, name: str) -> None:
        """Free a session's instance, if there is one."""
        session = self._sessions.pop(name, None)
        if session is not None:
            session.instance.close()


def main(arguments: list[str]) -> None:
    """Set everything up and serve until the supervisor closes the socket."""
    parent, *numbers = (int(item) for item in arguments[:4])
    limits = Limits(*numbers)
    begin_child(parent)
    channel = socket.socket(fileno=0)
    engine = WasmtimeEngine(EDGE_PROFILE)
    grants = Grants(functions=find_host_functions(arguments[4:])) if arguments[4:] else None
    _warm_up(engine, grants)
    # RLIMIT_AS would count the engine's reservation of 4 GiB for each memory; RLIMIT_DATA counts what is
    # used.
    limit_child(ChildLimits(data_bytes=limits.memory_bytes + OWN_DATA_BYTES))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    fences = "limits,filter" if close_filter() else "limits"
    channel.sendall(write_message(Ready(fences)))
    _serve(channel, Worker(engine, limits, grants))


def _serve(channel: socket.socket, worker: Worker) -> None:
    while (received := _receive(channel)) is not None:
        request, code = received
        try:
            if code is not None:
                worker.load(request.digest, code)
            reply = worker.answer(request)
        except (FormatError, MemoryError) as error:
            reply = Failure(DEFECT, f"{type(error).__name__}: {error}")
        channel.sendall(write_message(reply))
        if isinstance(reply, Failure) and reply.kind == DEFECT:
            return


def _receive(channel: socket.socket) -> tuple[Request, bytes | None] | None:
    """Return the next request and the compiled code that came with it, or None at the end."""
    header, descriptors, _, _ = socket.recv_fds(channel, HEADER.size, 1)
    if not header:
        return None
    header += _receive_exactly(channel, HEADER.size - len(header))
    length, kind = read_header(header)
    message = read_message(kind, _receive_exactly(channel, length))
    if not isinstance(message, Request):
        raise FormatError("a worker takes requests alone", found=type(message).__name__)
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


def _warm_up(engine: WasmtimeEngine, grants: Grants | None) -> None:
    """Go through all that a call may touch, a trap and an interruption-free end included."""
    worker = Worker(engine, Limits(1 << 20, 1 << 20, 1 << 16), grants)
    with engine.compile(WARM_UP) as module:
        worker.load("warm-up", module.serialize())
    for export in ("f", "t"):
        worker.answer(Call("warm-up", False, export, ">", 1.0, b""))
    write_message(worker.answer(Call("warm-up", False, "absent", ">", 1.0, b"")))
    worker.answer(Open("warm-up", False, "s", 1.0))
    worker.answer(Call("warm-up", False, "f", "S>", 1.0, bytes(8), "s"))
    worker.answer(Close("warm-up", "s"))


if __name__ == "__main__":
    main(sys.argv[1:])
