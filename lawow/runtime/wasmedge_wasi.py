"""WASI preview 1 of WasmEdge's library, with a guest's own streams in place of this process's.

The functions are WasmEdge's, and so are their limits; but its WASI reads and writes the process's own
descriptors 0, 1 and 2. So before the guest exists a small module of ours opens, through a folder that only it
is granted, an empty file as the guest's input and two pipes as its output; then it takes that folder away.
Nothing of the process's streams is changed, and nothing but the two pipes stays open.

`drain` must be called while the guest runs: a guest that fills a pipe waits until somebody reads.
"""

from __future__ import annotations

import os
import tempfile
from ctypes import byref, c_uint64

from lawow.errors import LawowError, Refused, UsageError
from lawow.runtime import libwasmedge as lib
from lawow.runtime.grants import NOTHING, Directory, Grants
from lawow.runtime.wasmedge_base import preopened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lawow.runtime.wasmedge_store import Program

    Output = Callable[[bytes], object]

__all__ = ["HELPER", "GuestStreams"]

HELPER = b"""
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory 1)
  (data (i32.const 0) "012")
  ;; Put the files of a folder named "0" (or "1"), "1" and "2" in place of these descriptors, with the right
  ;; to read the first and to write the others; then take the folder away, and close the gap among folders.
  (func (export "move_in") (param $folder i32) (param $last i32) (param $next i32) (result i32)
    (local $error i32)
    (loop $again
      (local.set $error (call $open (local.get $folder) (i32.const 0) (local.get $next) (i32.const 1)
        (i32.const 0) (select (i64.const 2) (i64.const 64) (i32.eqz (local.get $next))) (i64.const 0)
        (i32.const 0) (i32.const 16)))
      (if (local.get $error) (then (return (local.get $error))))
      (local.set $error (call $renumber (i32.load (i32.const 16)) (local.get $next)))
      (if (local.get $error) (then (return (local.get $error))))
      (local.set $next (i32.add (local.get $next) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $next) (i32.const 3))))
    (if (result i32) (i32.eq (local.get $folder) (local.get $last))
      (then (call $close (local.get $folder)))
      (else (call $renumber (local.get $last) (local.get $folder))))))
"""

_INPUT, _OUTPUT = 0, 1
_FIRST_FOLDER = 3
_CHUNK_BYTES = 1 << 16
_HELPER_SECONDS = 10.0


class GuestStreams:
    """The WASI module of one instance; `pointer` is the ``WasmEdge_ModuleInstanceContext``.

    Output goes to the callbacks, in the thread that calls `drain`; None drops it. Raises `UsageError` if a
    granted folder cannot be opened.
    """

    def __init__(self, helper: Program, grants: Grants | None, outputs: Sequence[Output | None]) -> None:
        self._outputs = list(outputs)
        self._pipes: list[int] = []
        self._handle: lib.Handle | None = None
        granted = grants or NOTHING
        if isinstance(granted.stdin, bytes):
            raise Refused("WasmEdge's library takes no bytes as standard input; grant this process's")
        try:
            with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
                self._make_files(folder)
                folders = [*granted.directories, Directory(folder, "/lawow", True)]
                self._handle = _new_module(granted, [_opened(item) for item in folders])
                self._move_in(helper, folder, keeps_input=granted.stdin)
        except BaseException:
            self.close()
            raise

    @property
    def pointer(self) -> int:
        """The module, for this package only."""
        assert self._handle is not None  # only `__init__` leaves it so, and then it raises
        return self._handle.pointer

    @property
    def exit_status(self) -> int:
        """The status with which the guest ended itself."""
        return lib.library().ModuleInstanceWASIGetExitCode(self.pointer)

    def drain(self) -> bool:
        """Pass on some of what the guest has written; return whether that was anything."""
        found = False
        for position, pipe in enumerate(self._pipes):
            chunk = _read(pipe)
            if chunk:
                found = True
                self._give(position, chunk)
        return found

    def close(self) -> None:
        """Free the module and the pipes."""
        if self._handle is not None:
            self._handle.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the pipes alone: a guest that still writes is told that nobody reads."""
        while self._pipes:
            os.close(self._pipes.pop())

    def abandon(self) -> None:
        """Leave the module to a guest that cannot be stopped; only the pipes are closed."""
        if self._handle is not None:
            self._handle.give_away()
        self.hang_up()

    def _give(self, position: int, chunk: bytes) -> None:
        output = self._outputs[position]
        try:
            if output is not None:
                output(chunk)
        except OSError:  # nobody reads any more: the guest's words are lost, its results are not
            self._outputs[position] = None

    def _make_files(self, folder: str) -> None:
        """Make files named like the guest's descriptors, and open the pipes' ends that we read."""
        with open(f"{folder}/{_INPUT}", "xb"):
            pass
        for descriptor in (1, 2):
            os.mkfifo(f"{folder}/{descriptor}", 0o600)
            self._pipes.append(os.open(f"{folder}/{descriptor}", os.O_RDONLY | os.O_NONBLOCK))

    def _move_in(self, helper: Program, folder: str, *, keeps_input: bool) -> None:
        """Let the helper put the files in place of the process's streams, and remove the folder."""
        native = self._native_descriptors()
        place = next(guest for guest, own in native.items() if _is_folder(own, folder))
        first = _OUTPUT if keeps_input else _INPUT
        with helper.new_store(page_limit=1) as store:
            store.register(self.pointer)
            store.instantiate(helper)
            arguments = (place, max(native), first)
            (error,) = store.invoke("move_in", ("i32",) * 3, arguments, ("i32",), _HELPER_SECONDS)
        if error:
            raise LawowError(f"the guest's streams cannot be set up: WASI error {error}")

    def _native_descriptors(self) -> dict[int, int]:
        """Return the guest's folders: its descriptor -> the process's."""
        found: dict[int, int] = {}
        native = c_uint64()
        ask = lib.library().ModuleInstanceWASIGetNativeHandler
        while ask(self.pointer, _FIRST_FOLDER + len(found), byref(native)) == 0:
            found[_FIRST_FOLDER + len(found)] = native.value
        return found


def _opened(directory: Directory) -> str:
    """Return a folder that can be opened as WasmEdge reads it."""
    try:
        os.close(os.open(directory.host, os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        raise UsageError(
            f"{directory.host} cannot be granted: it cannot be opened: {error.strerror}"
        ) from None
    return preopened(directory)


def _new_module(grants: Grants, folders: Sequence[str]) -> lib.Handle:
    functions = lib.library()
    variables = [f"{name}={value}" for name, value in grants.environment]
    lists = (grants.arguments, variables, folders)
    arguments: list[object] = []
    for texts in lists:
        arguments += [lib.text_pointers(texts), len(texts)]
    pointer = functions.ModuleInstanceCreateWASI(*arguments)
    return lib.Handle(pointer or 0, functions.ModuleInstanceDelete)


def _is_folder(descriptor: int, folder: str) -> bool:
    return os.path.samestat(os.fstat(descriptor), os.stat(folder))


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, _CHUNK_BYTES)
    except BlockingIOError:
        return b""
