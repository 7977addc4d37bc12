"""The table ``[pack]`` of ``lawow.toml``: what an app packs, so that `lawow pack` needs no options.

::

    [pack]
    package = "com.example.app"                      # of the classes; default: the app's own
    modules = ["native/fft.wasm", "native/blur.c"]   # modules and sources; default: the app's wasm folder
    abis = ["arm64-v8a"]                             # default: all that there is a runtime for
    runtime = "wasmtime"                             # or "wasmedge", "java", "none"
    runtime-libs = ["libs/libwasmedge.so"]           # of the runtime "wasmedge", one for each ABI
    local = "wasm"                                   # or "native": C sources run as native code

    [pack.classes]
    "fft.wasm" = "Fourier"                           # default: FftWasm

    [pack.profile]                                   # goes into assets/lawow/edge.properties
    engine = "pulley"                                # or "native"; default: what the Android release can do
    mode = "auto"                                    # or "local", "remote": where elastic methods run
    memory-bytes = 67_108_864
    fuel = 1_000_000_000
    timeout-seconds = 5

Paths start in the folder of the file. What the command line says wins over what stands here. Refused: any
other key, with the nearest one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lawow.errors import FormatError, Refused, UsageError
from lawow.formats.toml import read_config, require_keys, table_of, text_of, texts_of
from lawow.pack.naming import is_class_name, require_package
from lawow.pack.options import LOCALS, RUNTIMES, PackOptions
from lawow.pack.profile import NO_PROFILE, Profile, read_profile
from lawow.pack.runtimes import ABIS
from lawow.pack.wasmedge import UserLibrary, read_user_libraries

__all__ = ["NO_CONFIG", "PackConfig", "read_pack_config"]

_KEYS = ("abis", "classes", "local", "modules", "package", "profile", "runtime", "runtime-libs")
_PREFIX = "pack."


@dataclass(frozen=True, slots=True)
class PackConfig:
    """The content of the table; what it does not say is None or empty. `modules` are relative paths."""

    package: str | None = None
    modules: tuple[str, ...] = ()
    abis: tuple[str, ...] = ()
    runtime: str | None = None
    libraries: tuple[str, ...] = ()
    local: str | None = None
    classes: tuple[tuple[str, str], ...] = ()
    profile: Profile = NO_PROFILE

    def completed(
        self, options: PackOptions, folder: Path, runtime: str | None, local: str | None = None
    ) -> PackOptions:
        """Return the options of a command line with what they leave open taken from here.

        Paths start in `folder`; `runtime` and `local` are what the command line says. Raises `Refused` for
        settings that native code or the runtime in Java cannot keep, `UsageError` for a runtime beside native
        code.
        """
        chosen = local or self.local or LOCALS[0]
        if chosen == "native":
            _require_native(self.profile, runtime or self.runtime)
        engine = runtime or self.runtime or RUNTIMES[0]
        libraries = options.libraries or read_user_libraries([str(folder / item) for item in self.libraries])
        if engine == "wasmedge":
            _require_wasmedge(self.profile, libraries)
        if engine == "java":
            _require_one_engine(self.profile)
        return replace(
            options,
            wasm=options.wasm or tuple(folder / item for item in self.modules),
            package=options.package or self.package,
            abis=options.abis or self.abis,
            runtime=engine,
            libraries=libraries if engine == "wasmedge" else (),
            local=chosen,
            class_names=dict(self.classes),
            profile=self.profile,
        )


NO_CONFIG = PackConfig()


def read_pack_config(data: bytes, *, name: str) -> PackConfig:
    """Read a configuration file. Raises `FormatError` naming `name` and the key, `UsageError`."""
    table = table_of(read_config(data, name=name), "pack", name)
    require_keys(table, _KEYS, name, _PREFIX)
    package = text_of(table, "package", name, _PREFIX)
    return PackConfig(
        package=None if package is None else require_package(package),
        modules=tuple(texts_of(table, "modules", name, _PREFIX, of="files", example="native/fft.wasm")),
        abis=_abis(table, name),
        runtime=_choice(table, "runtime", RUNTIMES, name),
        libraries=tuple(
            texts_of(table, "runtime-libs", name, _PREFIX, of="files", example="libs/libwasmedge.so")
        ),
        local=_choice(table, "local", LOCALS, name),
        classes=tuple(_classes(table_of(table, "classes", name, _PREFIX), name)),
        profile=read_profile(table_of(table, "profile", name, _PREFIX), name),
    )


def _abis(table: Mapping[str, object], name: str) -> tuple[str, ...]:
    abis = texts_of(table, "abis", name, _PREFIX, of="ABIs", example="arm64-v8a")
    for abi in abis:
        if abi not in ABIS:
            message = f"{_PREFIX}abis: there is no WebAssembly runtime for it"
            raise FormatError(message, file=name, found=abi[:80], allowed=", ".join(ABIS))
    return tuple(abis)


def _choice(table: Mapping[str, object], key: str, allowed: tuple[str, ...], name: str) -> str | None:
    text = text_of(table, key, name, _PREFIX)
    if text is not None and text not in allowed:
        shown = " or ".join(allowed)
        raise FormatError(f"{_PREFIX}{key} is unknown", file=name, found=text[:80], allowed=shown)
    return text


def _require_native(profile: Profile, runtime: str | None) -> None:
    if runtime is not None:
        raise UsageError(
            "native code needs no runtime; leave out --runtime, and [pack] runtime in lawow.toml"
        )
    for key, _ in profile.settings:
        if key != "mode":
            raise Refused(
                f"pack.profile.{key.replace('.', '-')}: native code has no sandbox that could keep it;"
                " leave it out, or pack with --local wasm"
            )


def _require_one_engine(profile: Profile) -> None:
    if "engine" in dict(profile.settings):
        raise Refused("pack.profile.engine: the runtime in Java has one engine; leave it out")


def _require_wasmedge(profile: Profile, libraries: Sequence[UserLibrary]) -> None:
    if not libraries:
        raise UsageError(
            "--runtime wasmedge packs your own build: give --runtime-lib FILE for each ABI, or"
            " [pack] runtime-libs in lawow.toml"
        )
    if dict(profile.settings).get("engine") == "native":
        raise Refused(
            "pack.profile.engine: WasmEdge's compiled code takes the signal handlers of the whole app, so its"
            " glue interprets; leave it out, or pack --runtime wasmtime"
        )


def _classes(table: Mapping[str, object], name: str) -> list[tuple[str, str]]:
    pairs = []
    for file in table:
        text = text_of(table, file, name, "pack.classes.")
        if text is None or not is_class_name(text):
            message = f"pack.classes.{file} must be the name of a Java class, without its package"
            raise FormatError(message, file=name, found=repr(text)[:80])
        pairs.append((file, text))
    return pairs
