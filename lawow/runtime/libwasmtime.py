"""A thin binding of wasmtime's C API in the shared library that the `wasmtime` wheel installs.

Importing the `wasmtime` package costs four times the start of Python, and one call through it 32 us; this
module loads the same library in 3 ms and calls in 1 us. It binds only what LAWOW uses, each function at its
first use. Structure layouts and compiled code belong to one release, so the release is checked (`VERSION`)
before anything is called. Definition of the interface: wasmtime's ``wasm.h``, ``wasi.h`` and
``wasmtime.h``.

Rules that keep a misuse from becoming a crash: a pointer that must be freed lives in a `Handle` and nowhere
else; every error and trap that the library returns is turned into a value here and freed at once; functions
that abort the process for legal modules (``wasm_valtype_kind`` on v128) are not bound.

On the start path of ``lawow exec``: nothing but `os`, `sys` and `ctypes` may be imported here.
"""

from __future__ import annotations

import struct
import sys
from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    Structure,
    addressof,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
    string_at,
)

from lawow.errors import FormatError, LawowError, LocalProtocolError
from lawow.runtime.places import VERSION, VERSIONED_SYMBOL, find_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from ctypes import Array
    from typing import TypeVar

    T = TypeVar("T")

__all__ = [
    "VERSION",
    "CloseCallback",
    "EpochCallback",
    "ExternRecord",
    "FrameFacts",
    "Handle",
    "HostCallback",
    "Library",
    "OutputCallback",
    "ValueRecord",
    "ValueTypeRecord",
    "borrowed_elements",
    "borrowed_name",
    "byte_string",
    "library",
    "owned_bytes",
    "read_elements",
    "take_error",
    "take_trap",
    "text_array",
    "value_type_vector",
    "wat_to_wasm",
]

_FRAMES_KEPT = 32
"""Frames of a guest backtrace that are read: a stack overflow has thousands."""


class _Vector(Structure):
    """``wasm_byte_vec_t`` and every other ``wasm_*_vec_t``: a length and a pointer."""

    _fields_ = (("size", c_size_t), ("data", c_void_p))
    size: int
    data: int | None


class ExternRecord(Structure):
    """``wasmtime_extern_t``: the kind and a ``wasmtime_func_t``, ``wasmtime_memory_t`` or another of at
    most 24 bytes.
    """

    _fields_ = (("kind", c_uint8), ("item", c_uint64 * 3))
    kind: int
    item: Array[c_uint64]

    @property
    def address(self) -> int:
        """Address of the item, valid while this record lives."""
        return addressof(self) + _ITEM_OFFSET


_ITEM_OFFSET = 8  # the union is aligned to 8 bytes


class ValueRecord(Structure):
    """``wasmtime_val_t``: the kind, and a value of at most 24 bytes."""

    _fields_ = (("kind", c_uint8), ("value", c_uint64 * 3))
    kind: int
    value: Array[c_uint64]


class ValueTypeRecord(Structure):
    """``wasmtime_valtype_t``: the kind and a reference type, which is only read by its deleter."""

    _fields_ = (("kind", c_uint8), ("reference", c_uint64 * 3))
    kind: int


class FrameFacts:
    """One frame of a guest backtrace: the function's name or index, and the offset in the module."""

    __slots__ = ("function", "module_offset")

    def __init__(self, function: str, module_offset: int) -> None:
        self.function = function
        self.module_offset = module_offset


OutputCallback = CFUNCTYPE(c_ssize_t, c_void_p, POINTER(c_uint8), c_size_t)
"""A guest writes to stdout or stderr: (data, bytes, length) -> bytes taken, or a negative errno."""

CloseCallback = CFUNCTYPE(None, c_void_p)
"""The library drops what it was given: (data)."""

EpochCallback = CFUNCTYPE(c_void_p, c_void_p, c_void_p, POINTER(c_uint64), POINTER(c_uint8))
"""The epoch deadline passed: (context, data, out further ticks, out kind) -> error or null to go on."""

HostCallback = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_size_t)
"""The guest calls a host function: (data, caller, slots, number of slots) -> new trap or null."""

_CODES = {
    "v": None,
    "p": c_void_p,
    "s": c_char_p,
    "z": c_size_t,
    "b": c_bool,
    "B": c_uint8,
    "i": c_int,
    "u": c_uint32,
    "q": c_uint64,
}

_PROTOTYPES = {
    # result, then parameters, in the letters of _CODES. Configurations: see _PREFIXES.
    "wasm_byte_vec_delete": "vp",
    "wasm_byte_vec_new": "vpzs",
    "wasm_config_delete": "vp",
    "wasm_config_new": "p",
    "wasm_engine_delete": "vp",
    "wasm_engine_new_with_config": "pp",
    "wasm_exporttype_name": "pp",
    "wasm_exporttype_type": "pp",
    "wasm_exporttype_vec_delete": "vp",
    "wasm_externtype_as_functype_const": "pp",
    "wasm_externtype_as_memorytype_const": "pp",
    "wasm_externtype_kind": "Bp",
    "wasm_frame_func_index": "up",
    "wasm_frame_module_offset": "zp",
    "wasm_frame_vec_delete": "vp",
    "wasm_functype_delete": "vp",
    "wasm_functype_new": "ppp",
    "wasm_functype_params": "pp",
    "wasm_functype_results": "pp",
    "wasm_importtype_module": "pp",
    "wasm_importtype_name": "pp",
    "wasm_importtype_type": "pp",
    "wasm_importtype_vec_delete": "vp",
    "wasm_trap_delete": "vp",
    "wasm_trap_message": "vpp",
    "wasm_trap_trace": "vpp",
    "wasm_valtype_new": "pB",
    "wasm_valtype_vec_new": "vpzp",
    "wasi_config_delete": "vp",
    "wasi_config_inherit_stdin": "vp",
    "wasi_config_new": "p",
    "wasi_config_preopen_dir": "bpssb",
    "wasi_config_set_argv": "bpzp",
    "wasi_config_set_env": "bpzpp",
    "wasi_config_set_stdin_bytes": "vpp",
    "wasi_config_set_stderr_custom": "vpppp",
    "wasi_config_set_stdout_custom": "vpppp",
    "wasmtime_caller_context": "pp",
    "wasmtime_caller_export_get": "bpszp",
    "wasmtime_config_target_set": "pps",
    "wasmtime_context_get_fuel": "ppp",
    "wasmtime_context_set_epoch_deadline": "vpq",
    "wasmtime_context_set_fuel": "ppq",
    "wasmtime_context_set_wasi": "ppp",
    "wasmtime_engine_increment_epoch": "vp",
    "wasmtime_error_delete": "vp",
    "wasmtime_error_exit_status": "bpp",
    "wasmtime_error_message": "vpp",
    "wasmtime_error_new": "ps",
    "wasmtime_error_wasm_trace": "vpp",
    "wasmtime_extern_delete": "vp",
    "wasmtime_frame_func_name": "pp",
    "wasmtime_func_call_unchecked": "ppppzp",
    "wasmtime_func_type": "ppp",
    "wasmtime_global_get": "vppp",
    "wasmtime_global_set": "pppp",
    "wasmtime_instance_export_get": "bppszp",
    "wasmtime_instance_export_nth": "bppzppp",
    "wasmtime_instance_new": "ppppzpp",
    "wasmtime_linker_define_func_unchecked": "ppszszpppp",
    "wasmtime_linker_define_wasi": "pp",
    "wasmtime_linker_delete": "vp",
    "wasmtime_linker_instantiate": "pppppp",
    "wasmtime_linker_new": "pp",
    "wasmtime_memory_data": "ppp",
    "wasmtime_memory_data_size": "zpp",
    "wasmtime_memory_grow": "pppqp",
    "wasmtime_module_delete": "vp",
    "wasmtime_module_deserialize": "ppszp",
    "wasmtime_module_deserialize_file": "ppsp",
    "wasmtime_module_exports": "vpp",
    "wasmtime_module_imports": "vpp",
    "wasmtime_module_new": "ppszp",
    "wasmtime_module_serialize": "ppp",
    "wasmtime_module_validate": "ppsz",
    "wasmtime_store_context": "pp",
    "wasmtime_store_delete": "vp",
    "wasmtime_store_epoch_deadline_callback": "vpppp",
    "wasmtime_store_limiter": "vpqqqqq",
    "wasmtime_store_new": "pppp",
    "wasmtime_table_get": "bppqp",
    "wasmtime_table_grow": "pppqpp",
    "wasmtime_table_set": "pppqp",
    "wasmtime_table_size": "qpp",
    "wasmtime_trap_code": "bpp",
    "wasmtime_trap_new": "psz",
    "wasmtime_valtype_delete": "vp",
    "wasmtime_valtype_new": "vpp",
    "wasmtime_wat2wasm": "pszp",
}

_CONFIG_PREFIX = "wasmtime_config_"
"""Setters of the configuration take it and one value; `EngineProfile` says which value."""


class Library:
    """The functions of the C API as attributes, bound at first use.

    Pointers are integers; a null pointer comes back as None. Who calls one passes what the header says:
    nothing is checked here. Another library's binding brings its own tables.
    """

    codes: Mapping[str, type | None] = _CODES
    prototypes: Mapping[str, str] = _PROTOTYPES

    def __init__(self, path: str) -> None:
        self._dll = CDLL(path)
        self.path = path

    def __getattr__(self, name: str) -> Callable[..., int]:
        function: Callable[..., int] = self._bind(name, self.prototypes[name])
        setattr(self, name, function)
        return function

    def configure(self, config: int, setting: str, code: str, value: int) -> None:
        """Call ``wasmtime_config_<setting>_set(config, value)``, `value` having the type named by `code`."""
        self._bind(f"{_CONFIG_PREFIX}{setting}_set", f"vp{code}")(config, value)

    def has(self, symbol: str) -> bool:
        """Return whether the library exports `symbol`."""
        return hasattr(self._dll, symbol)

    def _bind(self, name: str, codes: str) -> Callable[..., int]:
        function = getattr(self._dll, name)
        function.restype = self.codes[codes[0]]
        function.argtypes = [self.codes[code] for code in codes[1:]]
        bound: Callable[..., int] = function
        return bound


_loaded: list[Library] = []


def library() -> Library:
    """Return the loaded library; load it at the first call.

    Raises `LawowError` with the command that repairs the installation if it is missing, of another release,
    or built for another machine.
    """
    if not _loaded:
        path, problem = find_library(sys.path)
        if problem:
            raise LawowError(f"{problem}; {_REPAIR}")
        try:
            loaded = Library(path)
        except OSError as error:
            raise LawowError(f"the WebAssembly engine cannot be loaded: {error}; {_REPAIR}") from None
        if not loaded.has(VERSIONED_SYMBOL):
            raise LawowError(f"{path} is not wasmtime {VERSION}; {_REPAIR}")
        _loaded.append(loaded)
    return _loaded[0]


_REPAIR = f"install it again: pip install --force-reinstall wasmtime=={VERSION}"


class Handle:
    """The one owner of a pointer that must be freed. After `close` nobody can reach it any more."""

    __slots__ = ("_free", "_pointer")

    def __init__(self, pointer: int, free: Callable[[int], object]) -> None:
        self._pointer: int | None = pointer or None
        self._free = free
        if not pointer:
            raise LawowError("the WebAssembly engine is out of memory")

    @property
    def pointer(self) -> int:
        """The pointer, to pass to the library at once and never to keep."""
        if self._pointer is None:
            raise LocalProtocolError("this engine object was used after it had been closed")
        return self._pointer

    def give_away(self) -> int:
        """Return the pointer to a function that takes over ownership; the handle is closed by it."""
        pointer, self._pointer = self.pointer, None
        return pointer

    def close(self) -> None:
        """Free the pointer; a second call does nothing."""
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            self._free(pointer)

    def __del__(self) -> None:
        self.close()


def byte_string(write: Callable[..., object], *arguments: int) -> bytes:
    """Call a function whose last parameter is a ``wasm_byte_vec_t`` to fill; return its bytes and free it."""
    vector = _Vector()
    write(*arguments, byref(vector))
    try:
        return string_at(vector.data, vector.size) if vector.data else b""
    finally:
        library().wasm_byte_vec_delete(byref(vector))


def owned_bytes(data: bytes) -> _Vector:
    """Return a ``wasm_byte_vec_t`` with a copy of `data`, for a function that takes it over."""
    vector = _Vector()
    library().wasm_byte_vec_new(byref(vector), len(data), data)
    return vector


def borrowed_name(pointer: int) -> str:
    """Return the text of a ``wasm_name_t`` that somebody else owns."""
    vector = _Vector.from_address(pointer)
    data = string_at(vector.data, vector.size) if vector.data else b""
    return data.decode("utf-8", "replace")


def borrowed_elements(pointer: int) -> list[int]:
    """Return the element pointers of a vector that somebody else owns; they live as long as it does."""
    return _elements(_Vector.from_address(pointer))


def read_elements(
    fill: Callable[..., object],
    free: Callable[..., object],
    owner: int,
    read: Callable[[int], T],
    most: int | None = None,
) -> list[T]:
    """Let `fill(owner, vector)` make a vector, `read` its first `most` elements, and free it."""
    vector = _Vector()
    fill(owner, byref(vector))
    try:
        return [read(element) for element in _elements(vector)[:most]]
    finally:
        free(byref(vector))


def value_type_vector(kinds: Iterable[int]) -> _Vector:
    """Return a ``wasm_valtype_vec_t`` with new value types; who gets it by value or reference owns them."""
    functions = library()
    types = [functions.wasm_valtype_new(kind) for kind in kinds]
    vector = _Vector()
    functions.wasm_valtype_vec_new(byref(vector), len(types), (c_void_p * len(types))(*types))
    return vector


def text_array(texts: Sequence[str]) -> Array[c_char_p]:
    """Return a C array of pointers to the texts as UTF-8, which lives as long as the object."""
    return (c_char_p * len(texts))(*(text.encode("utf-8", "surrogateescape") for text in texts))


def _elements(vector: _Vector) -> list[int]:
    if not vector.data:
        return []
    # Not by an array type: ctypes takes a millisecond to make the first one of pointers.
    return list(struct.unpack(f"{vector.size}Q", string_at(vector.data, 8 * vector.size)))


def take_error(error: int) -> tuple[str, int | None, list[FrameFacts]]:
    """Read and free a ``wasmtime_error_t``: its text in one line, the WASI exit status if any, and frames."""
    functions = library()
    status = c_int()
    exited = functions.wasmtime_error_exit_status(error, byref(status))
    text = byte_string(functions.wasmtime_error_message, error)
    frames = _take_frames(functions.wasmtime_error_wasm_trace, error)
    functions.wasmtime_error_delete(error)
    return _one_line(text), status.value if exited else None, frames


def take_trap(trap: int) -> tuple[str, int | None, list[FrameFacts]]:
    """Read and free a ``wasm_trap_t``: its text in one line, its trap code if it has one, and frames."""
    functions = library()
    code = c_uint8()
    coded = functions.wasmtime_trap_code(trap, byref(code))
    text = byte_string(functions.wasm_trap_message, trap)
    frames = _take_frames(functions.wasm_trap_trace, trap)
    functions.wasm_trap_delete(trap)
    return _one_line(text), code.value if coded else None, frames


def _take_frames(trace: Callable[..., object], owner: int) -> list[FrameFacts]:
    return read_elements(trace, library().wasm_frame_vec_delete, owner, _frame_facts, _FRAMES_KEPT)


def _frame_facts(frame: int) -> FrameFacts:
    functions = library()
    name = functions.wasmtime_frame_func_name(frame)
    function = borrowed_name(name) if name else f"function[{functions.wasm_frame_func_index(frame)}]"
    return FrameFacts(function, functions.wasm_frame_module_offset(frame))


_BACKTRACE = "error while executing at wasm backtrace"
_CAUSES = "Caused by:"


def _one_line(text: bytes) -> str:
    """Return wasmtime's lines ("failed to ..., Caused by: 0: ...") as a sentence.

    A backtrace before the causes is left out: the frames are read separately.
    """
    message = text.decode("utf-8", "replace").rstrip("\0")
    head, found, causes = message.partition(_CAUSES)
    if found and not head.startswith(_BACKTRACE):
        causes = head + causes
    lines = (line.strip() for line in (causes if found else head).splitlines())
    return ": ".join(_without_number(line) for line in lines if line)


def _without_number(line: str) -> str:
    """Return ``out of bounds`` of ``1: out of bounds``."""
    number, found, rest = line.partition(": ")
    return rest if found and number.isdecimal() else line


def wat_to_wasm(text: bytes) -> bytes:
    """Translate the WebAssembly text format to the binary one. Raises `FormatError` with line and column."""
    functions = library()
    vector = _Vector()
    error = functions.wasmtime_wat2wasm(text, len(text), byref(vector))
    if error:
        raise FormatError(f"is not WebAssembly text: {take_error(error)[0]}")
    try:
        return string_at(vector.data or 0, vector.size)
    finally:
        functions.wasm_byte_vec_delete(byref(vector))
