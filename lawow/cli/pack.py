"""``lawow pack``: embed modules and the WebAssembly runtime into an Android app, a source tree or an APK."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lawow.cli.app_files import app_files, read_source, result_path
from lawow.cli.keys import KeyOptions, key_options, load_key, require_key
from lawow.cli.pack_options import PackArguments, pack_options
from lawow.cli.pack_report import (
    apk_lines,
    apk_record,
    changes_record,
    difference_lines,
    plan_lines,
    plan_record,
    removal_lines,
)
from lawow.cli.progress import tell
from lawow.durable import made_folders, removed_if_nobody_hears, replace_all
from lawow.errors import Refused, UsageError
from lawow.formats.toml import CONFIG_NAME
from lawow.pack import Changes, PackOptions, plan_pack, plan_removal
from lawow.pack.layout import is_set_folder

__all__ = ["command"]


@click.command("pack", short_help="Put modules and their runtime into an app.")
@click.argument("app", type=click.Path(exists=True, path_type=Path))
@pack_options
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
@key_options("APK: ")
@click.option("--allow-old-android", is_flag=True, help="APK: accept a minSdkVersion below 21.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    app: Path,
    asked: PackArguments,
    keys: KeyOptions,
    remove: bool,
    check: bool,
    force: bool,
    dry_run: bool,
    out: Path | None,
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
    asked.require_consistent()
    say = _Output(as_json=as_json)
    if app.is_file() or is_set_folder(app):
        _refuse_options("is an APK", remove=remove, check=check, force=force)
        options = asked.options(app.parent)
        _pack_apk(app, options, keys, say, out=out, dry_run=dry_run, allow_old_android=allow_old_android)
        return
    _refuse_options(
        "is a source tree",
        out=out,
        keystore=keys.keystore,
        key_alias=keys.alias,
        debug_key=keys.debug,
        allow_old_android=allow_old_android,
    )
    if remove:
        if asked != PackArguments() or check:
            raise UsageError(
                "--remove takes back all that the lock file lists; it goes with --force and --dry-run only"
            )
        _remove(app, say, force=force, dry_run=dry_run)
        return
    options = asked.options(app)
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


def _refuse_options(kind: str, **given: object) -> None:
    """Raise `UsageError` for options that say nothing about this kind of app."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if names:
        raise UsageError(f"APP {kind}, for which there is no {' and no '.join(names)}")


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
