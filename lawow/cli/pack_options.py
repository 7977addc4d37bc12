"""What ``lawow pack`` is to put into an app, as it stands on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from lawow.cli.keys import read_file
from lawow.cli.option_groups import option_group
from lawow.cli.pack_sources import source_builder
from lawow.cli.progress import tell
from lawow.errors import UsageError
from lawow.formats.toml import CONFIG_BYTES, CONFIG_NAME
from lawow.pack import PackOptions
from lawow.pack.config import NO_CONFIG, read_pack_config
from lawow.pack.options import LARGE_MODULE_BYTES, LOCALS, RUNTIMES
from lawow.pack.wasmedge import read_user_libraries

__all__ = ["PackArguments", "pack_options"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def _interpreter_file(wasm: bytes, /, *, has_fuel: bool, has_deadlines: bool) -> bytes:
    from lawow.execution.device_code import interpreter_file

    return interpreter_file(wasm, has_fuel=has_fuel, has_deadlines=has_deadlines)


def _prepared_file(wasm: bytes, /) -> bytes:
    from lawow.execution.device_code import prepared_file

    return prepared_file(wasm)


@dataclass(frozen=True, slots=True)
class PackArguments:
    """Modules, runtime and names. What is left open, the configuration file decides, or else the defaults."""

    wasm: tuple[Path, ...] = ()
    package: str | None = None
    abi: tuple[str, ...] = ()
    runtime: str | None = None
    libraries: tuple[str, ...] = ()
    local: str | None = None
    runtime_dir: Path | None = None
    wheel: tuple[Path, ...] = ()
    interpreter: bool | None = None
    config: Path | None = None

    def require_consistent(self) -> None:
        """Raise `UsageError` for options that contradict each other."""
        if self.runtime_dir and self.wheel:
            raise UsageError("give --runtime-dir or --wheel, not both")
        if self.runtime == "none" and (self.abi or self.runtime_dir or self.wheel):
            raise UsageError("--runtime none packs no runtime; leave out --abi, --runtime-dir and --wheel")
        if self.runtime == "java" and (self.abi or self.runtime_dir or self.wheel or self.interpreter):
            raise UsageError(
                "--runtime java packs no native library and no compiled code; leave out --abi, --runtime-dir,"
                " --wheel and --interpreter"
            )
        if self.libraries and self.runtime not in (None, "wasmedge"):
            raise UsageError("--runtime-lib goes with --runtime wasmedge")
        if self.runtime == "wasmedge" and (self.runtime_dir or self.wheel or self.interpreter is not None):
            raise UsageError(
                "--runtime wasmedge takes --runtime-lib, and always interprets; leave out --runtime-dir,"
                " --wheel and --interpreter"
            )
        if self.local == "native" and (self.runtime_dir or self.wheel or self.interpreter):
            raise UsageError(
                "--local native packs no runtime; leave out --runtime-dir, --wheel and --interpreter"
            )

    def options(self, folder: Path) -> PackOptions:
        """Return all that is asked for; `folder` is where the configuration file lies unless it is named.

        Raises `LawowError`, which names the file that is at fault.
        """
        asked = PackOptions(
            wasm=self.wasm,
            package=self.package,
            abis=self.abi,
            runtime_dir=self.runtime_dir,
            wheels=self.wheel,
            libraries=read_user_libraries(self.libraries),
            builder=source_builder(tell),
            interpreted=None if self.interpreter is False else _interpreter_file,
            interpreted_from_bytes=0 if self.interpreter else LARGE_MODULE_BYTES,
            prepared=_prepared_file,
        )
        path = self.config or folder / CONFIG_NAME
        if not path.is_file():
            return NO_CONFIG.completed(asked, folder, self.runtime, self.local)
        found = read_pack_config(read_file(path, CONFIG_BYTES), name=str(path))
        options = found.completed(asked, path.parent, self.runtime, self.local)
        for item in options.wasm:
            if not item.exists():
                raise UsageError(f"{path}: pack.modules: {item} does not exist")
        return options


pack_options = option_group(
    "asked",
    PackArguments,
    click.option(
        "--wasm",
        multiple=True,
        metavar="FILE",
        type=click.Path(exists=True, path_type=Path),
        help="Module to embed, or source to build, repeatable. [default: all of src/main/wasm]",
    ),
    click.option(
        "--package", metavar="NAME", help="Java package of the classes. [default: the app's namespace]"
    ),
    click.option(
        "--abi", multiple=True, metavar="ABI", help="arm64-v8a or x86_64, repeatable. [default: both]"
    ),
    click.option(
        "--runtime",
        type=click.Choice(RUNTIMES),
        help="wasmedge: your own build of it; java: an interpreter in Java, hundreds of times slower;"
        " none: the classes call the edge. [default: wasmtime]",
    ),
    click.option(
        "--runtime-lib",
        "libraries",
        multiple=True,
        metavar="[ABI=]FILE",
        help="With --runtime wasmedge: libwasmedge.so for Android, one for each ABI, repeatable.",
    ),
    click.option(
        "--local",
        type=click.Choice(LOCALS),
        help="native: C sources run as native code on the device, without a sandbox, and as WebAssembly on"
        " the edge. [default: wasm]",
    ),
    click.option(
        "--runtime-dir",
        metavar="DIR",
        type=_FOLDER,
        help="Take the runtime from DIR/<abi>/libwasmtime.so instead of fetching it.",
    ),
    click.option(
        "--wheel",
        multiple=True,
        metavar="FILE",
        type=_FILE,
        help="Take the runtime from this wheel, repeatable.",
    ),
    click.option(
        "--interpreter/--no-interpreter",
        default=None,
        help="Put code for the device's interpreter beside each module, so that no call waits for a compiler."
        " [default: beside modules of 64 KiB and more]",
    ),
    click.option(
        "--config", metavar="FILE", type=_FILE, help=f"Settings. [default: {CONFIG_NAME} in the app]"
    ),
)
"""Adds these options, which reach the command as one `PackArguments` called `asked`."""
