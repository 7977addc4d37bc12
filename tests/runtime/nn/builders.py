"""A guest that passes every call on to wasi-nn, so that a test can give any pointer and read any answer.

Needs nothing but the engine: also the tests of a machine with a GPU and few packages use it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lawow.runtime.base import Instance
from lawow.runtime.grants import Grants
from lawow.runtime.nn.grant import InferenceGrant
from lawow.runtime.profiles import EXEC_PROFILE
from lawow.runtime.wasmtime_engine import WasmtimeEngine
from tests.runtime.builders import wat

FIXTURES = Path(__file__).resolve().parent.parent.parent.parent / "fixtures" / "nn"
EDGES = FIXTURES / "edges.onnx"
DETECTOR = FIXTURES / "detector.wasm"

MEMORY_BYTES = 64 << 16
F16, F32, F64, U8, I32, I64 = range(6)
OK, INVALID_ARGUMENT, INVALID_ENCODING, MISSING_MEMORY, BUSY = range(5)
RUNTIME_ERROR, UNSUPPORTED, TOO_LARGE, NOT_FOUND = range(5, 9)

PARAMETERS = {
    "load": 5,
    "load_by_name": 3,
    "init_execution_context": 2,
    "set_input": 3,
    "compute": 1,
    "get_output": 5,
}
RESULT, RECORD, DIMENSIONS, DATA = 8, 64, 128, 1024
"""Where a test puts things in the guest's memory."""


def proxy(memory: str = '(memory (export "memory") 64)') -> bytes:
    """Return the guest."""
    text = ["(module"]
    for name, count in PARAMETERS.items():
        text.append(
            f'(import "wasi_ephemeral_nn" "{name}" (func ${name} (param {"i32 " * count}) (result i32)))'
        )
    for name, count in PARAMETERS.items():
        given = " ".join(f"(local.get {index})" for index in range(count))
        text.append(f'(func (export "{name}") (param {"i32 " * count}) (result i32) (call ${name} {given}))')
    return wat("\n".join([*text, memory, ")"]))


class Guest:
    """The guest's calls with values in place of pointers. Each returns its code, and what came with it."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def call(self, name: str, *arguments: int) -> int:
        code = self.instance.call(name, arguments)[0]
        assert isinstance(code, int)
        return code

    def result(self, name: str, *arguments: int) -> tuple[int, int]:
        code = self.call(name, *arguments, RESULT)
        return code, struct.unpack("<I", self.instance.read_memory(RESULT, 4))[0]

    def load(self, model: bytes, encoding: int = 1, target: int = 0) -> tuple[int, int]:
        self.instance.write_memory(DATA, model)
        self.instance.write_memory(RECORD, struct.pack("<II", DATA, len(model)))
        return self.result("load", RECORD, 1, encoding, target)

    def load_by_name(self, name: bytes) -> tuple[int, int]:
        self.instance.write_memory(DATA, name)
        return self.result("load_by_name", DATA, len(name))

    def set_input(self, context: int, index: int, shape: list[int], kind: int, data: bytes) -> int:
        self.instance.write_memory(DIMENSIONS, struct.pack(f"<{len(shape)}I", *shape))
        self.instance.write_memory(DATA, data)
        record = struct.pack("<IIBxxxII", DIMENSIONS, len(shape), kind, DATA, len(data))
        self.instance.write_memory(RECORD, record)
        return self.call("set_input", context, index, RECORD)

    def get_output(self, context: int, index: int, size: int = 1 << 20) -> tuple[int, bytes]:
        code, written = self.result("get_output", context, index, DATA, size)
        return code, self.instance.read_memory(DATA, written) if code == OK else b""

    def context_of(self, model: bytes) -> int:
        """Return a context of a model, which must be sound."""
        code, graph = self.load(model)
        assert code == OK
        code, context = self.result("init_execution_context", graph)
        assert code == OK
        return context


@contextmanager
def guest(grant: InferenceGrant, wasm: bytes | None = None) -> Iterator[Guest]:
    """Make an engine and an instance of the guest."""
    engine = WasmtimeEngine(EXEC_PROFILE)
    module = engine.compile(wasm or proxy())
    with module.instantiate(grants=Grants(functions=grant.functions)) as instance:
        yield Guest(instance)
    engine.close()


def picture(width: int, height: int, box: tuple[int, int, int, int]) -> bytes:
    """Return a dark PGM picture with one bright box (x, y, width, height)."""
    x, y, across, down = box
    rows = [bytearray([20] * width) for _ in range(height)]
    for row in rows[y : y + down]:
        row[x : x + across] = bytes([220] * across)
    return b"P5\n%d %d\n255\n" % (width, height) + b"".join(rows)
