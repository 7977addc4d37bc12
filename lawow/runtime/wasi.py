"""WASI preview 1 with nothing but a way to say something, and what `Grants` add.

A guest gets clocks, random numbers and two output streams, which go to the caller; it gets no arguments and
no sockets, and without a grant no environment, no files, and an empty standard input. The functions
themselves are wasmtime's.
"""

from __future__ import annotations

import errno
import os
from ctypes import byref, c_void_p, string_at
from itertools import count

from lawow.errors import LawowError, UsageError
from lawow.runtime import libwasmtime as lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.runtime.grants import Grants

    Output = Callable[[bytes], object]

__all__ = ["MODULE_NAME", "PREVIEW1_FUNCTIONS", "set_up"]


MODULE_NAME = "wasi_snapshot_preview1"

PREVIEW1_FUNCTIONS = frozenset(
    (
        *("args_get", "args_sizes_get", "environ_get", "environ_sizes_get"),
        *("clock_res_get", "clock_time_get", "random_get", "poll_oneoff", "sched_yield"),
        *("proc_exit", "proc_raise"),
        *("fd_advise", "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_get", "fd_fdstat_set_flags"),
        *("fd_fdstat_set_rights", "fd_filestat_get", "fd_filestat_set_size", "fd_filestat_set_times"),
        *("fd_pread", "fd_prestat_get", "fd_prestat_dir_name", "fd_pwrite", "fd_read", "fd_readdir"),
        *("fd_renumber", "fd_seek", "fd_sync", "fd_tell", "fd_write"),
        *("path_create_directory", "path_filestat_get", "path_filestat_set_times", "path_link", "path_open"),
        *("path_readlink", "path_remove_directory", "path_rename", "path_symlink", "path_unlink_file"),
        *("sock_accept", "sock_recv", "sock_send", "sock_shutdown"),
    )
)
"""All functions of WASI preview 1. Those that need something ungranted exist and answer with an error code.
"""


def set_up(
    context: c_void_p, stdout: Output | None, stderr: Output | None, grants: Grants | None = None
) -> None:
    """Give the store of `context` a WASI state whose output goes to the two callables (None: is dropped).

    Raises `UsageError` if a granted folder cannot be opened.
    """
    functions = lib.library()
    config = lib.Handle(functions.wasi_config_new(), functions.wasi_config_delete)
    for bind, output in (
        (functions.wasi_config_set_stdout_custom, stdout),
        (functions.wasi_config_set_stderr_custom, stderr),
    ):
        bind(config.pointer, _write, _remember(output or _drop), _forget)
    if grants is not None:
        _add(config.pointer, grants)
    error = functions.wasmtime_context_set_wasi(context, config.give_away())
    if error:
        raise LawowError(f"WASI cannot be set up: {lib.take_error(error)[0]}")


def _add(config: int, grants: Grants) -> None:
    """Add granted folders, variables and standard input."""
    functions = lib.library()
    for folder in grants.directories:
        host, guest = os.fsencode(folder.host), folder.guest.encode("utf-8", "surrogateescape")
        if not functions.wasi_config_preopen_dir(config, host, guest, folder.is_writable):
            raise UsageError(f"{folder.host} cannot be granted: it cannot be opened")
    if grants.environment:
        names, values = (lib.text_array(column) for column in zip(*grants.environment, strict=True))
        if not functions.wasi_config_set_env(config, len(names), names, values):
            raise UsageError("the variables cannot be granted: they must be UTF-8")
    if grants.arguments:
        argv = lib.text_array(grants.arguments)
        if not functions.wasi_config_set_argv(config, len(argv), argv):
            raise UsageError("the arguments cannot be passed on: they must be UTF-8")
    if isinstance(grants.stdin, bytes):
        functions.wasi_config_set_stdin_bytes(config, byref(lib.owned_bytes(grants.stdin)))
    elif grants.stdin:
        functions.wasi_config_inherit_stdin(config)


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
