"""``lawow pack``: embed modules and the WebAssembly runtime into an Android app, a source tree or an APK."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lawow.cli.app_files import app_files, read_source, result_path
from lawow.cli.keys import KeyOptions, load_key, read_file, require_key
from lawow.cli.pack_report import (
    apk_lines,
    apk_record,
    changes_record,
    difference_lines,
    plan_lines,
    plan_record,
    removal_lines,
)
from lawow.cli.pack_sources import source_builder
from lawow.cli.progress import tell
from lawow.durable import made_folders, removed_if_nobody_hears, replace_all
from lawow.errors import Refused, UsageError
from lawow.formats.toml import CONFIG_BYTES, CONFIG_NAME
from lawow.pack import Changes, PackOptions, plan_pack, plan_removal
from lawow.pack.config import NO_CONFIG, read_pack_config
from lawow.pack.layout import is_set_folder
from lawow.pack.options import LARGE_MODULE_BYTES, LOCALS, RUNTIMES
from lawow.pack.wasmedge import read_user_libraries

__all__ = ["command"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("pack", short_help="Put modules and their runtime into an app.")
@click.argument("app", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--wasm",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, path_type=Path),
    help="Module to embed, or source to build, repeatable. [default: all of src/main/wasm]",
)
@click.option("--package", metavar="NAME", help="Java package of the classes. [default: the app's namespace]")
@click.option("--abi", multiple=True, metavar="ABI", help="arm64-v8a or x86_64, repeatable. [default: both]")
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    help="wasmedge: your own build of it; java: an interpreter in Java, hundreds of times slower;"
    " none: the classes call the edge. [default: wasmtime]",
)
@click.option(
    "--runtime-lib",
    "libraries",
    multiple=True,
    metavar="[ABI=]FILE",
    help="With --runtime wasmedge: libwasmedge.so for Android, one for each ABI, repeatable.",
)
@click.option(
    "--local",
    type=click.Choice(LOCALS),
    help="native: C sources run as native code on the device, without a sandbox, and as WebAssembly on the"
    " edge. [default: wasm]",
)
@click.option(
    "--runtime-dir",
    metavar="DIR",
    type=_FOLDER,
    help="Take the runtime from DIR/<abi>/libwasmtime.so instead of fetching it.",
)
@click.option(
    "--wheel", multiple=True, metavar="FILE", type=_FILE, help="Take the runtime from this wheel, repeatable."
)
@click.option(
    "--interpreter/--no-interpreter",
    default=None,
    help="Put code for the device's interpreter beside each module, so that no call waits for a compiler."
    " [default: beside modules of 64 KiB and more]",
)
@click.option("--config", metavar="FILE", type=_FILE, help=f"Settings. [default: {CONFIG_NAME} in the app]")
@click.option("--remove", is_flag=True, help="Take back what an earlier run wrote.")
@click.option("--check", is_flag=True, help="Exit with 4 unless the tree is what would be written.")
@click.option(
    "--force", is_flag=True, help="Replace or remove written files even if they were changed since."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="APK: folder for the result. [default: the APK's]",
)
@click.option("--keystore", metavar="FILE", type=_FILE, help="APK: PKCS#12 or PEM file.")
@click.option("--key-alias", metavar="NAME", help="APK: key in the keystore, if it holds several.")
@click.option("--debug-key", is_flag=True, help="APK: sign with a fresh key; for tests on your own device.")
@click.option("--allow-old-android", is_flag=True, help="APK: accept a minSdkVersion below 21.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    app: Path,
    wasm: tuple[Path, ...],
    package: str | None,
    abi: tuple[str, ...],
    runtime: str | None,
    libraries: tuple[str, ...],
    local: str | None,
    runtime_dir: Path | None,
    wheel: tuple[Path, ...],
    interpreter: bool | None,
    config: Path | None,
    remove: bool,
    check: bool,
    force: bool,
    dry_run: bool,
    out: Path | None,
    keystore: Path | None,
    key_alias: str | None,
    debug_key: bool,
    allow_old_android: bool,
    as_json: bool,
) -> None:
    """Put WebAssembly modules and their runtime into APP: a Gradle module, an Ant project, or a finished app,
    which is an APK or a set of split APKs (.apks, .xapk, a folder).

    For each module the app gets the asset, and a Java class with one static method per exported function:
    insertion_sort.wasm becomes InsertionSortWasm. Existing files are never touched; lawow.lock.json lists
    what was written. An APK is not changed either: the result is NAME-packed.apk, signed. Needs no JDK,
    Android SDK or NDK. The runtime is fetched once and kept in the cache.

    \b
    lawow pack app/
    lawow pack app/ --check
    lawow pack app.apk --wasm fibonacci.wasm --debug-key
    """
    keys = KeyOptions(keystore, key_alias, debug_key)
    asked = PackOptions(
        wasm=wasm,
        package=package,
        abis=abi,
        runtime_dir=runtime_dir,
        wheels=wheel,
        libraries=read_user_libraries(libraries),
        builder=source_builder(tell),
        interpreted=None if interpreter is False else _interpreter_file,
        interpreted_from_bytes=0 if interpreter else LARGE_MODULE_BYTES,
        prepared=_prepared_file,
    )
    _require_consistent(asked, runtime, local, interpreter)
    say = _Output(as_json=as_json)
    if app.is_file() or is_set_folder(app):
        _refuse_options("is an APK", remove=remove, check=check, force=force)
        options = _configured(asked, app.parent, config, runtime, local)
        _pack_apk(app, options, keys, say, out=out, dry_run=dry_run, allow_old_android=allow_old_android)
        return
    _refuse_options(
        "is a source tree",
        out=out,
        keystore=keystore,
        key_alias=key_alias,
        debug_key=debug_key,
        allow_old_android=allow_old_android,
    )
    if remove:
        if (
            asked
            != PackOptions(
                builder=asked.builder,
                interpreted=asked.interpreted,
                interpreted_from_bytes=asked.interpreted_from_bytes,
                prepared=asked.prepared,
            )
            or config
            or runtime
            or local
            or check
        ):
            raise UsageError(
                "--remove takes back all that the lock file lists; it goes with --force and --dry-run only"
            )
        _remove(app, say, force=force, dry_run=dry_run)
        return
    options = _configured(asked, app, config, runtime, local)
    if check:
        if force or dry_run:
            raise UsageError("--check writes nothing; it goes without --force and --dry-run")
        _check(app, options, say)
    else:
        _pack_tree(app, options, say, force=force, dry_run=dry_run)


@dataclass(frozen=True, slots=True)
class _Output:
    """How the result is shown: as lines, or as one object."""

    as_json: bool

    def show(self, lines: Sequence[str], record: dict[str, object]) -> None:
        click.echo(json.dumps(record) if self.as_json else "\n".join(lines))


def _interpreter_file(wasm: bytes, /, *, has_fuel: bool, has_deadlines: bool) -> bytes:
    from lawow.execution.device_code import interpreter_file

    return interpreter_file(wasm, has_fuel=has_fuel, has_deadlines=has_deadlines)


def _prepared_file(wasm: bytes, /) -> bytes:
    from lawow.execution.device_code import prepared_file

    return prepared_file(wasm)


def _refuse_options(kind: str, **given: object) -> None:
    """Raise `UsageError` for options that say nothing about this kind of app."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if names:
        raise UsageError(f"APP {kind}, for which there is no {' and no '.join(names)}")


def _require_consistent(
    asked: PackOptions, runtime: str | None, local: str | None, interpreter: bool | None
) -> None:
    """Raise `UsageError` for options that contradict each other."""
    if asked.runtime_dir and asked.wheels:
        raise UsageError("give --runtime-dir or --wheel, not both")
    if runtime == "none" and (asked.abis or asked.runtime_dir or asked.wheels):
        raise UsageError("--runtime none packs no runtime; leave out --abi, --runtime-dir and --wheel")
    if runtime == "java" and (asked.abis or asked.runtime_dir or asked.wheels or interpreter):
        raise UsageError(
            "--runtime java packs no native library and no compiled code; leave out --abi, --runtime-dir,"
            " --wheel and --interpreter"
        )
    if asked.libraries and runtime not in (None, "wasmedge"):
        raise UsageError("--runtime-lib goes with --runtime wasmedge")
    if runtime == "wasmedge" and (asked.runtime_dir or asked.wheels or interpreter is not None):
        raise UsageError(
            "--runtime wasmedge takes --runtime-lib, and always interprets; leave out --runtime-dir, --wheel"
            " and --interpreter"
        )
    if local == "native" and (asked.runtime_dir or asked.wheels or interpreter):
        raise UsageError(
            "--local native packs no runtime; leave out --runtime-dir, --wheel and --interpreter"
        )


def _configured(
    options: PackOptions, folder: Path, config: Path | None, runtime: str | None, local: str | None
) -> PackOptions:
    """Return the options with what they leave open taken from the configuration file, if there is one."""
    path = config or folder / CONFIG_NAME
    if not path.is_file():
        return NO_CONFIG.completed(options, folder, runtime, local)
    found = read_pack_config(read_file(path, CONFIG_BYTES), name=str(path))
    options = found.completed(options, path.parent, runtime, local)
    for item in options.wasm:
        if not item.exists():
            raise UsageError(f"{path}: pack.modules: {item} does not exist")
    return options


def _remove(app: Path, say: _Output, *, force: bool, dry_run: bool) -> None:
    changes = plan_removal(app, force=force)
    _apply(changes, dry_run=dry_run)
    say.show(removal_lines(changes, dry_run=dry_run), changes_record(changes, dry_run=dry_run))


def _pack_tree(app: Path, options: PackOptions, say: _Output, *, force: bool, dry_run: bool) -> None:
    plan = plan_pack(app, options, force=force, tell=tell)
    lines = plan_lines(app, plan, dry_run=dry_run)  # before the changes: they say what there is to do
    _apply(plan.changes, dry_run=dry_run)
    say.show(lines, plan_record(plan) | changes_record(plan.changes, dry_run=dry_run))


def _apply(changes: Changes, *, dry_run: bool) -> None:
    if not dry_run:
        changes.apply()


def _check(app: Path, options: PackOptions, say: _Output) -> None:
    """Say what differs from what would be written; exit with 4 if anything does."""
    differences = plan_pack(app, options, check=True, tell=tell).changes.differences()
    say.show(difference_lines(differences, app), {"differences": differences})
    if differences:
        sys.exit(Refused.exit_code)


def _pack_apk(
    apk: Path,
    options: PackOptions,
    keys: KeyOptions,
    say: _Output,
    *,
    out: Path | None,
    dry_run: bool,
    allow_old_android: bool,
) -> None:
    from lawow.pack.apk import pack_apk, plan_apk, signer_note

    require_key(keys, subject="the packed APK must be signed", optional=dry_run)
    if not options.wasm:
        raise UsageError(f"{apk}: name the modules with --wasm, or in {CONFIG_NAME} ([pack] modules)")
    target = result_path(apk, out, "packed")
    source = read_source(apk)
    plan = plan_apk(
        source.base,
        source.base_name,
        options,
        companions=source.companions,
        allow_old_android=allow_old_android,
        tell=tell,
    )
    if dry_run:
        say.show(apk_lines(plan, target, plan.notes, None), apk_record(plan, target, plan.notes, None))
        return
    key = load_key(keys)
    packed = pack_apk(plan, key)
    files = app_files(source, target, packed.apk, packed.companions)
    with made_folders(target.parent, *{path.parent for path, _ in files}):
        replace_all(files)
    notes = [*plan.notes, *filter(None, [signer_note(source.base, key)])]
    size = len(packed.apk) + sum(map(len, packed.companions.values()))
    record = apk_record(plan, target, notes, size) | {"certificate_sha256": key.certificate_sha256}
    with removed_if_nobody_hears([path for path, _ in files], target.parent):
        say.show(apk_lines(plan, target, notes, size), record)
