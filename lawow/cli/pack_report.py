"""What `lawow pack` prints: lines for a person, data for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lawow.pack import Changes, PackPlan
from lawow.pack.bindings import Binding
from lawow.pack.libraries import AbiLibraries

if TYPE_CHECKING:
    from lawow.formats.zip import ZipEntry
    from lawow.pack.apk import ApkPlan

__all__ = [
    "apk_lines",
    "apk_record",
    "changes_record",
    "difference_lines",
    "plan_lines",
    "plan_record",
    "removal_lines",
]

_MIB = 1 << 20
_SCREEN_LINES = 20


def plan_lines(app: Path, plan: PackPlan, *, dry_run: bool) -> list[str]:
    """Return what was, or would be, done to a source tree."""
    lines = [f"{app}: package {plan.package}", *_binding_lines(plan.bindings)]
    for item, folder in zip(plan.abis, plan.folders, strict=True):
        lines.append(_abi_line(item, folder, plan.tier))
    lines += _uncovered_lines(plan)
    lines.append(_outcome(plan.changes, dry_run))
    return lines + [f"note: {note}" for note in plan.notes]


def apk_lines(plan: ApkPlan, result: Path, notes: Sequence[str], packed_bytes: int | None) -> list[str]:
    """Return what was put into an APK; `packed_bytes` is the result's size, None if it is only planned."""
    lines = [f"{plan.app.name}: package {plan.package}", *_binding_lines(plan.bindings)]
    lines += [_abi_line(item, folder, plan.tier) for item, folder in _abi_folders(plan)]
    lines += _uncovered_lines(plan)
    dex_bytes = plan.base.added[0].compressed_bytes
    lines.append(f"  {plan.app.next_dex_name}: classes and the stub library, {dex_bytes:,} bytes")
    if packed_bytes is None:
        more = sum(entry.compressed_bytes for _, entry in _additions(plan))
        lines.append(f"would write {result} (about {more:,} bytes more than before)")
    else:
        more = packed_bytes - _bytes_before(plan)
        lines.append(f"wrote {result} ({packed_bytes:,} bytes, {more:,} more than before)")
    return lines + [f"note: {note}" for note in notes]


def _bytes_before(plan: ApkPlan) -> int:
    """Return the size of the app's APKs together."""
    return sum(len(item.app.data) for item in (plan.base, *plan.splits))


def _abi_folders(plan: ApkPlan) -> Iterator[tuple[AbiLibraries, str]]:
    """Yield the libraries of each ABI with the folder that they go to, behind the name of its split."""
    for item, place in zip(plan.abis, plan.places, strict=True):
        yield item, _inside(place, f"lib/{item.abi}")


def _additions(plan: ApkPlan) -> Iterator[tuple[str, ZipEntry]]:
    """Yield all new entries with their paths, those of a split behind its name."""
    for entry in plan.base.added:
        yield entry.path, entry
    for item in plan.splits:
        for entry in item.added:
            yield _inside(item.app.name, entry.path), entry


def _inside(split: str, path: str) -> str:
    return f"{split}: {path}" if split else path


def _binding_lines(bindings: Sequence[Binding]) -> list[str]:
    lines = []
    for binding in bindings:
        size = len(binding.module.data)
        lines.append(f"  {binding.class_name}: {binding.module.file}, {size:,} bytes")
        lines += [f"    {method.declaration}" for method in binding.methods]
    return lines


def _abi_line(item: AbiLibraries, folder: str, tier: str) -> str:
    kilobytes = item.installed_bytes / 1e3
    size = f"{kilobytes:.1f} kB installed" if kilobytes < 1000 else f"{kilobytes / 1e3:.1f} MB installed"
    if item.download_bytes is not None:
        size += f", about {item.download_bytes / 1e6:.1f} MB of download"
    return f"  {item.abi}: {folder}, {size}; {tier}"


def _uncovered_lines(plan: PackPlan | ApkPlan) -> list[str]:
    if not plan.abis:
        return [f"  {plan.tier}"]
    return [f"  {abi}: no runtime, calls on such a device fail" for abi in plan.uncovered]


def difference_lines(differences: Sequence[str], app: Path) -> list[str]:
    """Return the verdict of ``--check``; behind more than a screen of differences, what to do about them."""
    if not differences:
        return ["the tree is what lawow pack writes"]
    if len(differences) <= _SCREEN_LINES:
        return list(differences)
    return [
        *differences,
        f"{len(differences)} differences; lawow pack {app} writes what the tree should be",
    ]


def _outcome(changes: Changes, dry_run: bool) -> str:
    if changes.is_empty:
        return "nothing to do"
    size = sum(len(data) for data in changes.write.values())
    parts = [f"{'would write' if dry_run else 'wrote'} {len(changes.write)} files, {size / _MIB:.1f} MiB"]
    if changes.remove:
        parts.append(f"{'would remove' if dry_run else 'removed'} {len(changes.remove)}")
    return ", ".join([*parts, f"{len(changes.unchanged)} unchanged"])


def removal_lines(changes: Changes, *, dry_run: bool) -> list[str]:
    """Return what was, or would be, taken back."""
    if changes.is_empty:
        return ["nothing to do"]
    return [f"{'would remove' if dry_run else 'removed'} {len(changes.remove)} files"]


def plan_record(plan: PackPlan) -> dict[str, object]:
    """Return the plan for a source tree as data."""
    return {
        "package": plan.package,
        "modules": _module_records(plan.bindings),
        "abis": [
            _abi_record(item, folder, plan.tier) for item, folder in zip(plan.abis, plan.folders, strict=True)
        ],
        "abis_without_runtime": list(plan.uncovered),
        "tier": plan.tier,
        "notes": list(plan.notes),
    }


def apk_record(
    plan: ApkPlan, result: Path, notes: Sequence[str], packed_bytes: int | None
) -> dict[str, object]:
    """Return the plan for an APK, and its result, as data."""
    return {
        "path": str(result),
        "dry_run": packed_bytes is None,
        "bytes_before": _bytes_before(plan),
        "bytes": packed_bytes,
        "package": plan.package,
        "modules": _module_records(plan.bindings),
        "abis": [_abi_record(item, folder, plan.tier) for item, folder in _abi_folders(plan)],
        "abis_without_runtime": list(plan.uncovered),
        "added": [{"path": path, "bytes": entry.compressed_bytes} for path, entry in _additions(plan)],
        "permission_added": plan.base.manifest is not None,
        "notes": list(notes),
    }


def _module_records(bindings: Sequence[Binding]) -> list[dict[str, object]]:
    return [
        {
            "file": binding.module.file,
            "sha256": binding.module.sha256,
            "bytes": len(binding.module.data),
            "class": binding.class_name,
            "methods": [
                {"name": method.name, "export": method.export.name, "signature": method.signature}
                for method in binding.methods
            ],
        }
        for binding in bindings
    ]


def _abi_record(item: AbiLibraries, folder: str, tier: str) -> dict[str, object]:
    return {
        "abi": item.abi,
        "folder": folder,
        "tier": tier,
        "installed_bytes": item.installed_bytes,
        "download_bytes": item.download_bytes,
    }


def changes_record(changes: Changes, *, dry_run: bool) -> dict[str, object]:
    """Return what was, or would be, changed in a source tree as data."""
    return {
        "dry_run": dry_run,
        "written": sorted(changes.write),
        "removed": list(changes.remove),
        "unchanged": list(changes.unchanged),
    }
