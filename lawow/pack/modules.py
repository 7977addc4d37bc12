"""The WebAssembly modules of an app: found, built where they are sources, read, and known to run there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lawow.errors import FormatError, LimitExceeded, Refused, UsageError
from lawow.formats.bundle import bundled_module
from lawow.formats.toml import nearest
from lawow.formats.wasm import inspect_module
from lawow.limits import MODULE
from lawow.pack.bindings import Binding, binding_of
from lawow.pack.options import Builder, PackOptions
from lawow.pack.runtimes import require_abis

__all__ = ["find_modules", "read_bindings"]

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


def find_modules(folder: Path, options: PackOptions) -> list[Path]:
    """Return the chosen modules and sources, or else all of `folder`. Raises `UsageError` without any."""
    found = list(options.wasm) or sorted(_listed(folder, options.builder))
    if not found:
        raise UsageError(f"{folder}: holds no .wasm file; put modules there or name them with --wasm")
    return found


def _listed(folder: Path, builder: Builder | None) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix == ".wasm" or (builder and builder.is_source(path)):
            yield path


def read_bindings(files: Sequence[Path], options: PackOptions) -> list[Binding]:
    """Read or build the modules and plan their classes, in the order of their names.

    Raises `FormatError` for a file that is no valid core module, `LimitExceeded` for one that is too large,
    `Refused` for one that cannot run in an app, `UsageError` for two that would have the same name, and what
    the builder raises.
    """
    bindings: dict[str, tuple[Path, Binding]] = {}
    for path in files:
        binding = _read_binding(path, options)
        earlier = bindings.get(binding.class_name.lower())
        if earlier:
            both = f"{earlier[0]} and {path}"
            raise UsageError(f"{both} would both become the class {binding.class_name}; rename one")
        bindings[binding.class_name.lower()] = (path, binding)
    found = sorted((binding for _, binding in bindings.values()), key=lambda item: item.module.file)
    _require_packed(options.class_names, [item.module.file for item in found])
    return found


def _read_binding(path: Path, options: PackOptions) -> Binding:
    builder = options.builder
    if builder and builder.is_source(path):
        name, data = f"{path.stem}.wasm", builder.build(path)
    else:
        name, data = path.name, _read_bounded(path)
    try:
        binding = binding_of(bundled_module(name, data))
    except FormatError as error:
        error.file = str(path)  # the user's spelling says more than the bare name
        raise
    _require_imports(path, data)
    if not binding.methods:
        raise Refused(f"{path}: exports no function that Java could call; a class for it would be empty")
    native = _native(path, data, options) if options.is_native else {}
    return replace(binding, class_name=options.class_names.get(name, binding.class_name), native=native)


def _native(path: Path, data: bytes, options: PackOptions) -> dict[str, bytes]:
    """Return the library of a source's functions for each ABI. Raises `Refused` for a finished module."""
    builder = options.builder
    if builder is None or builder.native is None or not builder.is_source(path):
        raise Refused(
            f"{path}: is no source, so there is nothing to compile to native code; pack its C source"
        )
    return builder.native(path, data, require_abis(options.abis))


def _require_packed(class_names: Mapping[str, str], files: Sequence[str]) -> None:
    """Raise `UsageError` for a class name that is given to a module which is not packed."""
    for file in class_names:
        if file not in files:
            known = f"{nearest(file, files)}; packed: {', '.join(files)}"
            raise UsageError(f"pack.classes: no module {file} is packed{known}")


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
