"""WASI preview 1 with nothing granted but a way to say something.

A guest gets clocks, random numbers and two output streams, which go to the caller; it gets no arguments, no
environment, no files, no sockets, and an empty standard input. The functions themselves are wasmtime's.
"""

from __future__ import annotations

import errno
from ctypes import string_at
from itertools import count

from lawow.errors import LawowError
from lawow.runtime import libwasmtime as lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Output = Callable[[bytes], object]

__all__ = ["BoundedOutput", "grant_output"]


class BoundedOutput:
    """An output that passes the first `limit_bytes` on and drops the rest; `cut` says whether it dropped
    any.
    """

    __slots__ = ("cut", "left_bytes", "write")

    def __init__(self, write: Output, limit_bytes: int) -> None:
        self.write = write
        self.left_bytes = limit_bytes
        self.cut = False

    def __call__(self, data: bytes) -> None:
        """Take what the guest wrote."""
        kept = data[: self.left_bytes]
        self.cut = self.cut or len(kept) < len(data)
        self.left_bytes -= len(kept)
        if kept:
            self.write(kept)


def grant_output(context: int | None, stdout: Output | None, stderr: Output | None) -> None:
    """Give the store of `context` a WASI state whose output goes to the two callables (None: is dropped)."""
    functions = lib.library()
    config = lib.Handle(functions.wasi_config_new(), functions.wasi_config_delete)
    for bind, output in (
        (functions.wasi_config_set_stdout_custom, stdout),
        (functions.wasi_config_set_stderr_custom, stderr),
    ):
        bind(config.pointer, _write, _remember(output or _drop), _forget)
    error = functions.wasmtime_context_set_wasi(context, config.give_away())
    if error:
        raise LawowError(f"WASI cannot be set up: {lib.take_error(error)[0]}")


def _drop(data: bytes) -> None:
    """Take output that nobody wants."""


_outputs: dict[int, Output] = {}
"""Token -> output, until the library says that the stream is gone."""

_tokens = count(1)


def _remember(output: Output) -> int:
    token = next(_tokens)
    _outputs[token] = output
    return token


def _on_write(token: int | None, data: object, length: int) -> int:
    """The guest wrote. An error of ours must not unwind into the library: it becomes an I/O error."""
    try:
        _outputs[token or 0](string_at(data, length) if length else b"")  # type: ignore[arg-type]
    except (OSError, KeyError):
        return -errno.EIO
    return length


def _on_close(token: int | None) -> None:
    _outputs.pop(token or 0, None)


_write = lib.OutputCallback(_on_write)
_forget = lib.CloseCallback(_on_close)
