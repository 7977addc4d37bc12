"""The WebAssembly modules of an app: found, read, and known to run there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lawow.errors import FormatError, LimitExceeded, Refused, UsageError
from lawow.formats.bundle import bundled_module
from lawow.formats.wasm import inspect_module
from lawow.limits import MODULE
from lawow.pack.bindings import Binding, binding_of

__all__ = ["find_modules", "read_bindings"]

FOLDER = Path("src", "main", "wasm")
_WASI = "wasi_snapshot_preview1"
# Every function of WASI preview 1, which is what the runtime on the device offers.
_WASI_TEXT = """
    args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise
    fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get
    fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read
    fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write path_create_directory path_filestat_get
    path_filestat_set_times path_link path_open path_readlink path_remove_directory path_rename path_symlink
    path_unlink_file poll_oneoff proc_exit proc_raise random_get sched_yield sock_accept sock_recv sock_send
    sock_shutdown
"""
_WASI_FUNCTIONS = frozenset(_WASI_TEXT.split())


def find_modules(app: Path, chosen: Sequence[Path]) -> list[Path]:
    """Return the chosen files, or else all of ``src/main/wasm``. Raises `UsageError` if there is none."""
    found = list(chosen) or sorted((app / FOLDER).glob("*.wasm"))
    if not found:
        raise UsageError(f"{app / FOLDER}: holds no .wasm file; put modules there or name them with --wasm")
    return found


def read_bindings(files: Sequence[Path]) -> list[Binding]:
    """Read the modules and plan their classes, in the order of their names.

    Raises `FormatError` for a file that is no valid core module, `LimitExceeded` for one that is too large,
    `Refused` for one that cannot run in an app, `UsageError` for two that would have the same name.
    """
    bindings: dict[str, tuple[Path, Binding]] = {}
    for path in files:
        binding = _read_binding(path)
        earlier = bindings.get(binding.class_name.lower())
        if earlier:
            both = f"{earlier[0]} and {path}"
            raise UsageError(f"{both} would both become the class {binding.class_name}; rename one")
        bindings[binding.class_name.lower()] = (path, binding)
    return sorted((binding for _, binding in bindings.values()), key=lambda item: item.module.file)


def _read_binding(path: Path) -> Binding:
    data = _read_bounded(path)
    try:
        binding = binding_of(bundled_module(path.name, data))
    except FormatError as error:
        error.file = str(path)  # the user's spelling says more than the bare name
        raise
    _require_imports(path, data)
    if not binding.methods:
        raise Refused(f"{path}: exports no function that Java could call; a class for it would be empty")
    return binding


def _read_bounded(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MODULE.module_bytes:
        raise LimitExceeded("module_bytes", size, MODULE.module_bytes, subject=str(path))
    return path.read_bytes()


def _require_imports(path: Path, data: bytes) -> None:
    for item in inspect_module(data).imports:
        if item.module != _WASI or item.name not in _WASI_FUNCTIONS or item.kind != "func":
            raise Refused(
                f"{path}: imports {item.module}.{item.name} ({item.kind}), which no app offers;"
                f" an app offers the functions of {_WASI} and nothing else"
            )
