"""A thin binding of WasmEdge's C API, for a process that can load ``libwasmedge``.

It binds only what LAWOW uses, each function at its first use. The layout of a value belongs to one line of
releases, so the release is checked (`RELEASE`) before anything else is called. Definition of the interface:
``wasmedge.h`` and ``enum.inc`` of WasmEdge 0.14.1.

``WasmEdge_Value`` is 128 bits of value, 8 bytes of type, and padding: `VALUE_BYTES` in all, aligned to 16.
``WasmEdge_Result`` and ``WasmEdge_ValType`` are structures of 4 and 8 bytes that pass in a register on x86_64
and aarch64, and are integers here. On other machines, and where threads cannot be given a larger stack, the
library is not used.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from contextlib import contextmanager
from ctypes import (
    CDLL,
    CFUNCTYPE,
    Structure,
    addressof,
    byref,
    c_char_p,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
    create_string_buffer,
    memmove,
    string_at,
)
from struct import Struct

from lawow.errors import LawowError
from lawow.runtime.libwasmtime import Handle
from lawow.runtime.libwasmtime import Library as CLibrary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from ctypes import Array, c_char

__all__ = [
    "LIBRARY",
    "RELEASE",
    "Handle",
    "HostCallback",
    "Library",
    "Text",
    "Value",
    "Values",
    "compile_file",
    "library",
    "message_of",
    "pack_values",
    "stack_of_new_threads",
    "text_pointers",
    "unpack_values",
    "value_types",
]

LIBRARY = "LAWOW_WASMEDGE_LIBRARY"
"""Environment variable with the path of the library, where the loader does not find it by itself."""

RELEASE = "0.14.1"
"""The only release whose layouts are known here."""

_FILE_NAME = "libwasmedge.so.0"
_MACHINES = ("x86_64", "aarch64")

_VALUE = Struct("<QQQ8x")
VALUE_BYTES = _VALUE.size


class Text(Structure):
    """``WasmEdge_String``: keeps the bytes alive, owns nothing."""

    _fields_ = (("length", c_uint32), ("data", c_char_p))

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data), data)


class Value(Structure):
    """``WasmEdge_Value``: 128 bits of value (of a function reference: its type, the function), the type."""

    _fields_ = (("low", c_uint64), ("high", c_uint64), ("type", c_uint64), ("padding", c_uint64))
    low: int
    high: int
    type: int


class Values:
    """Memory for so many values, aligned as they must be; `pointer` is valid while this object lives."""

    def __init__(self, count: int) -> None:
        self._memory = create_string_buffer((count + 1) * VALUE_BYTES)
        start = addressof(self._memory)
        self.pointer = start + -start % 16
        self.count = count

    def write(self, data: bytes) -> None:
        """Write values that `pack_values` made; no more than there is memory for."""
        memmove(self.pointer, data, min(len(data), self.count * VALUE_BYTES))

    def read(self) -> bytes:
        """Return all values, for `unpack_values`."""
        return string_at(self.pointer, self.count * VALUE_BYTES)


HostCallback = CFUNCTYPE(c_uint32, c_void_p, c_void_p, c_void_p, c_void_p)
"""The guest calls a host function: (data, frame, parameters, results) -> ``WasmEdge_Result``."""


_CODES = {
    "v": None,
    "p": c_void_p,
    "s": c_char_p,
    "b": c_uint8,  # bool
    "i": c_uint32,
    "q": c_uint64,
    "t": Text,  # by value
    "x": Value,  # by value
    "r": c_uint32,  # WasmEdge_Result
    "y": c_uint64,  # WasmEdge_ValType
}

_PROTOTYPES = {
    # result, then parameters
    "AsyncCancel": "vp",
    "AsyncDelete": "vp",
    "AsyncGet": "rppi",
    "AsyncWaitFor": "bpq",
    "ASTModuleDelete": "vp",
    "CallingFrameGetModuleInstance": "pp",
    "ConfigureCreate": "p",
    "ConfigureDelete": "vp",
    "ConfigureSetForceInterpreter": "vpb",
    "ConfigureSetMaxMemoryPage": "vpi",
    "ConfigureStatisticsSetCostMeasuring": "vpb",
    "Driver_Compiler": "iip",
    "ExecutorAsyncInvoke": "ppppi",
    "ExecutorCreate": "ppp",
    "ExecutorDelete": "vp",
    "ExecutorInstantiate": "rpppp",
    "ExecutorRegisterImport": "rppp",
    "FunctionInstanceCreate": "ppppq",
    "FunctionTypeCreate": "ppipi",
    "FunctionTypeDelete": "vp",
    "GlobalInstanceGetValue": "xp",
    "GlobalInstanceSetValue": "rpx",
    "LoaderCreate": "pp",
    "LoaderDelete": "vp",
    "LoaderParseFromBuffer": "rppsi",
    "LoaderParseFromFile": "rpps",
    "LogOff": "v",
    "MemoryInstanceGetData": "rppii",
    "MemoryInstanceGetPageSize": "ip",
    "MemoryInstanceGetPointer": "ppii",
    "MemoryInstanceGrowPage": "rpi",
    "MemoryInstanceSetData": "rpsii",
    "ModuleInstanceAddFunction": "vptp",
    "ModuleInstanceCreate": "pt",
    "ModuleInstanceCreateWASI": "ppipipi",
    "ModuleInstanceDelete": "vp",
    "ModuleInstanceFindFunction": "ppt",
    "ModuleInstanceFindGlobal": "ppt",
    "ModuleInstanceFindMemory": "ppt",
    "ModuleInstanceFindTable": "ppt",
    "ModuleInstanceWASIGetExitCode": "ip",
    "ModuleInstanceWASIGetNativeHandler": "ipip",
    "ResultGetMessage": "sr",
    "StatisticsCreate": "p",
    "StatisticsDelete": "vp",
    "StatisticsGetTotalCost": "qp",
    "StatisticsSetCostLimit": "vpq",
    "StoreCreate": "p",
    "StoreDelete": "vp",
    "ValidatorCreate": "pp",
    "ValidatorDelete": "vp",
    "ValidatorValidate": "rpp",
    "TableInstanceGetData": "rppi",
    "TableInstanceGetSize": "ip",
    "TableInstanceGrow": "rpi",
    "TableInstanceSetData": "rpxi",
    "ValTypeGenF32": "y",
    "ValTypeGenF64": "y",
    "ValTypeGenFuncRef": "y",
    "ValTypeGenI32": "y",
    "ValTypeGenI64": "y",
    "VersionGet": "s",
}


class Library(CLibrary):
    """The functions of the C API as attributes, without ``WasmEdge_`` before their names."""

    codes = _CODES
    prototypes = _PROTOTYPES

    def _bind(self, name: str, codes: str) -> Callable[..., int]:
        return super()._bind(f"WasmEdge_{name}", codes)


_loaded: list[Library] = []


def library() -> Library:
    """Return the loaded library; load it at the first call.

    Raises `LawowError` with the reason if it is not here, cannot be loaded by this process, or is of another
    release.
    """
    if not _loaded:
        if sys.platform != "linux" or platform.machine() not in _MACHINES:
            raise LawowError("WasmEdge's library is used on Linux on x86_64 and aarch64 only")
        path = os.environ.get(LIBRARY) or _FILE_NAME
        try:
            loaded = Library(path)
            found = loaded.VersionGet()
        except (OSError, AttributeError) as error:
            raise LawowError(f"WasmEdge's library cannot be loaded: {error}") from None
        release = bytes(found).decode("utf-8", "replace")
        if release != RELEASE:
            raise LawowError(f"{path} is WasmEdge {release}; LAWOW knows the layouts of {RELEASE}")
        loaded.LogOff()  # what goes wrong is returned, too
        _loaded.append(loaded)
    return _loaded[0]


def value_types(kinds: Sequence[str]) -> list[int]:
    """Return the ``WasmEdge_ValType`` of each number type."""
    return [getattr(library(), f"ValTypeGen{kind.upper()}")() for kind in kinds]


def pack_values(types: Sequence[int], patterns: Sequence[int]) -> bytes:
    """Return bit patterns as values of these types."""
    pairs = zip(types, patterns, strict=True)
    return b"".join(_VALUE.pack(pattern, 0, kind) for kind, pattern in pairs)


def unpack_values(kinds: Sequence[str], values: bytes) -> list[int]:
    """Return the bit patterns of values, whose number types are `kinds`."""
    patterns = (item[0] for item in _VALUE.iter_unpack(values))
    return [
        pattern & 0xFFFFFFFF if kind in ("i32", "f32") else pattern
        for kind, pattern in zip(kinds, patterns, strict=True)
    ]


def message_of(result: int) -> str:
    """Return WasmEdge's own sentence for a ``WasmEdge_Result``."""
    return bytes(library().ResultGetMessage(result)).decode("utf-8", "replace")


def text_pointers(texts: Sequence[str]) -> Array[c_char_p]:
    """Return a C array of pointers to the texts as UTF-8, which lives as long as the object."""
    return (c_char_p * max(len(texts), 1))(*(text.encode("utf-8", "surrogateescape") for text in texts))


def compile_file(arguments: Sequence[str]) -> int:
    """Run the ahead-of-time compiler with the arguments of ``wasmedge compile``; return its exit status."""
    argv = text_pointers(["wasmedge compile", *arguments])
    return library().Driver_Compiler(len(argv), argv)


_C = CDLL(None)
_ATTRIBUTE_BYTES = 64  # sizeof(pthread_attr_t): 56 on x86_64, 64 on aarch64
_attributes_lock = threading.Lock()


@contextmanager
def stack_of_new_threads(stack_bytes: int) -> Iterator[None]:
    """Let threads that the library starts meanwhile have a stack of that size.

    Raises `LawowError` where the C library cannot do that.
    """
    attributes, size = create_string_buffer(_ATTRIBUTE_BYTES), c_size_t()
    with _attributes_lock:
        try:
            _C.pthread_getattr_default_np(attributes)
            _C.pthread_attr_getstacksize(attributes, byref(size))
            _set_stack(attributes, stack_bytes)
        except AttributeError as error:
            raise LawowError(f"threads cannot be given a larger stack: {error}") from None
        try:
            yield
        finally:
            _set_stack(attributes, size.value)


def _set_stack(attributes: Array[c_char], stack_bytes: int) -> None:
    _C.pthread_attr_setstacksize(attributes, c_size_t(stack_bytes))
    if _C.pthread_setattr_default_np(attributes):
        raise LawowError(f"threads cannot be given a stack of {stack_bytes} bytes")
