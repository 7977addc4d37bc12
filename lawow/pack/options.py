"""What a user may ask of `lawow pack`, for a source tree and for a finished APK alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lawow.pack.profile import NO_PROFILE, Profile
from lawow.pack.wasmedge import UserLibrary

__all__ = ["LARGE_MODULE_BYTES", "LOCALS", "RUNTIMES", "Builder", "Interpreted", "PackOptions", "Preparer"]

RUNTIMES = ("wasmtime", "wasmedge", "java", "none")
LOCALS = ("wasm", "native")
LARGE_MODULE_BYTES = 64 << 10
"""From here on a phone compiles for a tenth of a second and more. A smaller module is compiled before a call
could gain by an interpreter, which is 14 to 90 times slower.
"""


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes modules of sources: of files with these suffixes, and of folders that hold such files.

    `build` returns a core module, with its interface in it; `native` returns the library of the same
    functions for each ABI, given the source, that module and the ABIs. Raise `LawowError` naming the source.
    """

    suffixes: frozenset[str]
    build: Callable[[Path], bytes]
    native: Callable[[Path, bytes, Sequence[str]], dict[str, bytes]] | None = None

    def is_source(self, path: Path) -> bool:
        """Tell whether this is a source, or a folder with one directly in it."""
        if path.is_dir():
            return any(item.suffix in self.suffixes for item in path.iterdir())
        return path.suffix in self.suffixes


class Interpreted(Protocol):
    """Makes the file that the device interprets until it has compiled the module itself."""

    def __call__(self, wasm: bytes, /, *, has_fuel: bool, has_deadlines: bool) -> bytes:
        """Return it for an app that limits fuel or time so. Raises `LawowError`."""


class Preparer(Protocol):
    """Writes the limits that WasmEdge lacks into a module, and returns the file that the device runs."""

    def __call__(self, wasm: bytes, /) -> bytes:
        """Raises `LawowError` for a module that cannot have them."""


@dataclass(frozen=True, slots=True)
class PackOptions:
    """What to put into an app, and under which names.

    `wasm`: modules and sources, by default those of the app's folder for them. `abis`: all that there is a
    runtime for, if empty. `runtime` is one of `RUNTIMES`; with ``none`` the classes call the edge. `local`
    is one of `LOCALS`: with ``native`` the sources' functions run as native code on the device. A runtime
    comes from `runtime_dir`, from the `wheels` on disk, or else through pip. `class_names` maps file names of
    modules to simple class names. With `interpreted` the app starts modules of `interpreted_from_bytes` and
    more without waiting for a compiler. `libraries` are the user's own of the runtime ``wasmedge``, for which
    `prepared` makes a file of each module.
    """

    wasm: tuple[Path, ...] = ()
    package: str | None = None
    abis: tuple[str, ...] = ()
    runtime: str = RUNTIMES[0]
    local: str = LOCALS[0]
    runtime_dir: Path | None = None
    wheels: tuple[Path, ...] = ()
    libraries: tuple[UserLibrary, ...] = ()
    class_names: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = NO_PROFILE
    builder: Builder | None = None
    interpreted: Interpreted | None = None
    interpreted_from_bytes: int = LARGE_MODULE_BYTES
    prepared: Preparer | None = None

    @property
    def is_remote(self) -> bool:
        """Whether there is no runtime on the device, so that calls go to the edge."""
        return self.runtime == "none"

    @property
    def is_wasmedge(self) -> bool:
        """Whether the runtime on the device is the user's WasmEdge."""
        return self.runtime == "wasmedge"

    @property
    def is_java(self) -> bool:
        """Whether the runtime on the device is written in Java (`lawow.pack.java_engine`)."""
        return self.runtime == "java"

    @property
    def is_native(self) -> bool:
        """Whether calls on the device run native code, without a WebAssembly runtime."""
        return self.local == "native"

    @property
    def seam(self) -> str:
        """The function of ``dev.lawow.Lawow`` that the classes call."""
        return "remote" if self.is_remote else "local"
