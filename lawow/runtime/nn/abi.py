"""wasi-nn as a core module imports it: numbers, records, and what may go wrong with them.

All six functions of ``wasi_ephemeral_nn`` return an error code and write their result through a pointer.
Lists are an address and a length; a tensor is a record of 20 bytes::

    0  u32  address of the dimensions      12  u32  address of the data
    4  u32  number of dimensions           16  u32  bytes of data
    8  u8   type of the elements

Source: ``wasi-nn.witx`` of the wasi-nn proposal as the crate wasi-nn 0.6.0 binds it; later codes, encodings
and ``f64``, ``i64`` included.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import IntEnum

from lawow.limits import NnLimits
from lawow.runtime.host_functions import GuestMemory

__all__ = [
    "AUTO_TARGET",
    "DEVICES",
    "FUNCTIONS",
    "MODULE_NAME",
    "TYPE_NAMES",
    "TYPE_SIZES",
    "Encoding",
    "ErrorCode",
    "NnError",
    "Target",
    "TensorRecord",
    "read_builders",
    "read_list",
    "read_name",
    "read_tensor",
    "unsigned",
]

MODULE_NAME = "wasi_ephemeral_nn"

FUNCTIONS = {
    "load": "iiiii>i",
    "load_by_name": "iii>i",
    "init_execution_context": "ii>i",
    "set_input": "iii>i",
    "compute": "i>i",
    "get_output": "iiiii>i",
}
"""All functions of the interface, with their signatures in letters."""

DEVICES = ("auto", "cpu", "gpu")
"""What users say for targets: ``auto`` is the GPU if the model can use one here, else the CPU."""

TYPE_NAMES = ("f16", "f32", "f64", "u8", "i32", "i64")
"""Types of elements by their numbers in the interface."""

TYPE_SIZES = (2, 4, 8, 1, 4, 8)
"""Bytes of one element, by the same numbers."""

AUTO_TARGET = 3
"""Not in the proposal: the Rust binding's ``AUTO``, any device."""

_PAIR = struct.Struct("<II")
_TENSOR = struct.Struct("<IIBxxxII")


class ErrorCode(IntEnum):
    """What a function returns; the names are the proposal's."""

    SUCCESS = 0
    INVALID_ARGUMENT = 1
    INVALID_ENCODING = 2
    MISSING_MEMORY = 3
    BUSY = 4
    RUNTIME_ERROR = 5
    UNSUPPORTED_OPERATION = 6
    TOO_LARGE = 7
    NOT_FOUND = 8


class Encoding(IntEnum):
    """How a graph is written."""

    OPENVINO = 0
    ONNX = 1
    TENSORFLOW = 2
    PYTORCH = 3
    TENSORFLOWLITE = 4
    AUTODETECT = 5


class Target(IntEnum):
    """Where a graph shall run."""

    CPU = 0
    GPU = 1
    TPU = 2


class NnError(Exception):
    """A call that fails: its code for the guest, and a sentence for the person who runs it."""

    def __init__(self, code: ErrorCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor as the guest gave it; `data` is a copy with exactly the bytes that shape and type need."""

    shape: tuple[int, ...]
    type: int
    data: bytes


def unsigned(value: int) -> int:
    """Return the u32 that arrived as a signed integer."""
    return value & 0xFFFFFFFF


def read_list(memory: GuestMemory, address: int, length: int, limit: int, what: str) -> bytes:
    """Return the bytes of a list of bytes. Raises `NnError` above `limit`, `IndexError` outside of memory."""
    size = unsigned(length)
    if size > limit:
        raise NnError(ErrorCode.TOO_LARGE, f"{what} has {size} bytes, the limit is {limit}")
    return memory.read(address, size)


def read_name(memory: GuestMemory, address: int, length: int, limits: NnLimits) -> str:
    """Return the name of a model. Raises `NnError`, `IndexError`."""
    name = read_list(memory, address, length, limits.name_bytes, "the name of a model (name_bytes)")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise NnError(ErrorCode.INVALID_ARGUMENT, "the name of a model is not UTF-8") from None


def read_builders(memory: GuestMemory, address: int, count: int, limit: int) -> bytes:
    """Return the one part that an ONNX graph has. Raises `NnError`, `IndexError`."""
    if unsigned(count) != 1:
        raise NnError(
            ErrorCode.INVALID_ARGUMENT, f"an ONNX model comes in one part, {unsigned(count)} were given"
        )
    start, length = _PAIR.unpack(memory.read(address, _PAIR.size))
    return read_list(memory, start, length, limit, "the model (model_bytes)")


def read_tensor(memory: GuestMemory, address: int, limits: NnLimits) -> TensorRecord:
    """Return a tensor. Raises `NnError` if it contradicts itself or is too large, `IndexError`."""
    dimensions, rank, kind, start, length = _TENSOR.unpack(memory.read(address, _TENSOR.size))
    if rank > limits.dimensions:
        raise NnError(
            ErrorCode.TOO_LARGE,
            f"the tensor has {rank} dimensions, the limit is {limits.dimensions} (dimensions)",
        )
    if kind >= len(TYPE_NAMES):
        raise NnError(ErrorCode.INVALID_ARGUMENT, f"{kind} is no type of elements")
    shape = struct.unpack(f"<{rank}I", memory.read(dimensions, 4 * rank))
    needed = math.prod(shape) * TYPE_SIZES[kind]
    if needed != length:
        raise NnError(
            ErrorCode.INVALID_ARGUMENT,
            f"{list(shape)} elements of {TYPE_NAMES[kind]} have {needed} bytes, {length} were given",
        )
    return TensorRecord(
        shape, kind, read_list(memory, start, length, limits.tensor_bytes, "tensor_bytes: it")
    )
