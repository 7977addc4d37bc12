"""``lawow pack``: embed modules and the WebAssembly runtime into an Android app's Gradle module."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from lawow.errors import UsageError
from lawow.pack import Changes, PackPlan, plan_pack, plan_removal

__all__ = ["command"]

_MIB = 1 << 20


@click.command("pack")
@click.argument("app", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--wasm",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Module to embed, repeatable. [default: all of src/main/wasm]",
)
@click.option("--package", metavar="NAME", help="Java package of the classes. [default: the app's namespace]")
@click.option("--abi", multiple=True, metavar="ABI", help="arm64-v8a or x86_64, repeatable. [default: both]")
@click.option(
    "--runtime-dir",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take the runtime from DIR/<abi>/libwasmtime.so instead of fetching it.",
)
@click.option("--remove", is_flag=True, help="Take back what an earlier run wrote.")
@click.option(
    "--force", is_flag=True, help="Replace or remove written files even if they were changed since."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    app: Path,
    wasm: tuple[Path, ...],
    package: str | None,
    abi: tuple[str, ...],
    runtime_dir: Path | None,
    *,
    remove: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put WebAssembly modules and their runtime into APP, the folder of an Android app's Gradle module.

    For each module the app gets the asset, and a Java class with one static method per exported function:
    insertion_sort.wasm becomes InsertionSortWasm. Existing files are never touched; lawow.lock.json lists
    what was written. Needs no JDK, Android SDK or NDK. The runtime is fetched once and kept in the cache.
    """
    if remove:
        if wasm or package or abi or runtime_dir:
            raise UsageError(
                "--remove takes back all that the lock file lists; it goes with --force and --dry-run only"
            )
        changes = plan_removal(app, force=force)
        lines = [] if as_json else _removal_lines(changes, dry_run)
        report: dict[str, object] = _changes_report(changes, dry_run)
    else:
        plan = plan_pack(
            app, wasm=wasm, package=package, abis=abi, runtime_dir=runtime_dir, force=force, tell=_tell
        )
        changes = plan.changes
        lines = [] if as_json else _plan_lines(app, plan, dry_run)
        report = _plan_report(plan) | _changes_report(changes, dry_run)
    if not dry_run:
        changes.apply()
    click.echo(json.dumps(report) if as_json else "\n".join(lines))


def _tell(sentence: str) -> None:
    """Say what takes a while, to a person who waits."""
    if sys.stderr.isatty():
        click.echo(sentence, err=True)


def _plan_lines(app: Path, plan: PackPlan, dry_run: bool) -> list[str]:
    lines = [f"{app}: package {plan.package}"]
    for binding in plan.bindings:
        size = len(binding.module.data)
        lines.append(f"  {binding.class_name}: {binding.module.file}, {size:,} bytes")
        lines += [f"    {method.declaration}" for method in binding.methods]
    for item in plan.abis:
        download = (
            "" if item.download_bytes is None else f", about {item.download_bytes / 1e6:.1f} MB of download"
        )
        lines.append(f"  {item.abi}: {item.folder}, {item.installed_bytes / 1e6:.1f} MB installed{download}")
    lines.append(_outcome(plan.changes, dry_run))
    return lines + [f"note: {note}" for note in plan.notes]


def _outcome(changes: Changes, dry_run: bool) -> str:
    if changes.is_empty:
        return "nothing to do"
    size = sum(len(data) for data in changes.write.values())
    parts = [f"{'would write' if dry_run else 'wrote'} {len(changes.write)} files, {size / _MIB:.1f} MiB"]
    if changes.remove:
        parts.append(f"{'would remove' if dry_run else 'removed'} {len(changes.remove)}")
    return ", ".join([*parts, f"{len(changes.unchanged)} unchanged"])


def _removal_lines(changes: Changes, dry_run: bool) -> list[str]:
    if changes.is_empty:
        return ["nothing to do"]
    return [f"{'would remove' if dry_run else 'removed'} {len(changes.remove)} files"]


def _plan_report(plan: PackPlan) -> dict[str, object]:
    return {
        "package": plan.package,
        "modules": [
            {
                "file": binding.module.file,
                "sha256": binding.module.sha256,
                "bytes": len(binding.module.data),
                "class": binding.class_name,
                "methods": [
                    {"name": method.name, "export": method.export.name, "signature": method.export.signature}
                    for method in binding.methods
                ],
            }
            for binding in plan.bindings
        ],
        "abis": [
            {
                "abi": item.abi,
                "folder": item.folder,
                "installed_bytes": item.installed_bytes,
                "download_bytes": item.download_bytes,
            }
            for item in plan.abis
        ],
        "notes": list(plan.notes),
    }


def _changes_report(changes: Changes, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "written": sorted(changes.write),
        "removed": list(changes.remove),
        "unchanged": list(changes.unchanged),
    }
