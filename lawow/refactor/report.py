"""What a split did or would do, as data (`--json`) and as plain text, with the reasons.

Sizes are bytes in the archive, compressed. `savings` counts a removed or rewritten entry's difference, so
that the sum over kinds is what the entries account for; the rest of the file's difference is signature
and alignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lawow.formats.apk import INTERNET
from lawow.refactor.advice import advise
from lawow.refactor.baseline import PROFILE
from lawow.refactor.classify import ClassRole
from lawow.refactor.plan import NOTHING_MOVES, ClassMove, move_record, move_rows, residents_by_reason
from lawow.refactor.split import Split, SplitOptions
from lawow.refactor.translated import trial_records

__all__ = ["Report", "make_report", "report_lines", "report_record"]

NOT_SIGNED_BEFORE = "the original is not signed, or its signature does not verify"
ELASTIC = (
    "--mode elastic: originals, modules and runtime stay in the app; a call runs on the edge, or on the"
    " device when the edge is out of reach (mode=auto in assets/lawow/edge.properties)"
)
SHADOWED = (
    "--shadow {:g}: this share of the calls runs on the edge and on the device, and a method whose results"
    " differ stays on the device (shadow= in assets/lawow/edge.properties)"
)
PLAIN_HTTP = (
    "the edge's address is plain http: it reaches only a server on the device itself (adb reverse),"
    " and from targetSdkVersion 28 on the app must allow clear text"
)


@dataclass(frozen=True, slots=True)
class Report:
    """A split and what came of it. What is None has not been made: nothing is written while planning."""

    split: Split
    warnings: tuple[str, ...]
    apk_bytes: int | None = None
    apk_path: str | None = None
    bundle_path: str | None = None
    certificate_sha256: str | None = None

    @property
    def savings(self) -> dict[str, int]:
        """Bytes saved by kind of entry (dex, library, module, ...); negative where something was added."""
        saved: dict[str, int] = {}
        for change in self.split.changes:
            saved[change.kind] = saved.get(change.kind, 0) + change.bytes_before - change.bytes_after
        return saved


def make_report(
    split: Split,
    options: SplitOptions,
    *,
    original_certificates: Iterable[str] = (),
    certificate_sha256: str | None = None,
    apk_bytes: int | None = None,
) -> Report:
    """Put the report together. Certificates are SHA-256 digests in hex; `apk_bytes` is the signed file's."""
    return Report(
        split=split,
        warnings=tuple(_warnings(split, options, set(original_certificates), certificate_sha256)),
        apk_bytes=apk_bytes,
        certificate_sha256=certificate_sha256,
    )


def _warnings(split: Split, options: SplitOptions, before: set[str], after: str | None) -> Iterator[str]:
    for move in split.plan.moves:
        yield from (f"{move.classified.shown}: {note}" for note in move.notes)
    for item in split.plan.classes:
        if item.role is ClassRole.RESIDENT and "--allow-unbound" in item.reason:
            yield f"{item.shown} stays on the device: {item.reason}"
    moves = bool(split.plan.moves)
    if not moves:
        yield NOTHING_MOVES
    if after is not None and not before:
        yield NOT_SIGNED_BEFORE
    is_same = None if after is None else not before or after in before
    yield from map(str, advise(split.plan.app, same_key=is_same, edge=options.edge, calls_edge=moves))
    if not moves:
        return
    if options.edge is not None and options.edge.is_plain:
        yield PLAIN_HTTP
    if split.profile_removal is not None:
        yield f"{PROFILE} was removed, so Android compiles less ahead: {split.profile_removal}"
    if options.is_elastic:
        yield ELASTIC
    if options.shadow is not None:
        yield SHADOWED.format(options.shadow)
    if options.keep_orphan_ids:
        yield "--no-gc: names and strings of the offloaded code can still be read in the slim APK"


def report_record(report: Report) -> dict[str, object]:
    """Return the report as JSON data; keys are stable within a major version."""
    split, app = report.split, report.split.plan.app
    return {
        "input": {"path": app.name, "bytes": len(app.data), "sha256": app.sha256},
        "package": app.manifest.package,
        "apk": {"path": report.apk_path, "bytes": report.apk_bytes},
        "bundle": {"path": report.bundle_path, "bytes": len(split.bundle)},
        "certificate_sha256": report.certificate_sha256,
        "moved": [_move_record(move) for move in split.plan.moves],
        "resident": residents_by_reason(split.plan),
        "modules": [
            {"file": module.file, "sha256": module.sha256, "bytes": len(module.data), "pure": module.pure}
            for module in split.plan.modules
        ],
        "changes": [
            {
                "path": change.path,
                "kind": change.kind,
                "action": change.action,
                "bytes_before": change.bytes_before,
                "bytes_after": change.bytes_after,
            }
            for change in split.changes
        ],
        "kept": [{"path": item.path, "reason": item.reason} for item in split.kept],
        "saved_bytes": report.savings,
        "permission_added": INTERNET if split.permission_added else None,
        "warnings": list(report.warnings),
    }


def _move_record(move: ClassMove) -> dict[str, object]:
    trials = {} if move.translation is None else {"trials": trial_records(move.translation)}
    return move_record(move) | trials


def report_lines(report: Report, *, with_classes: bool = True) -> Iterator[str]:
    """Yield the report as plain text; `with_classes` says whether the moved classes are part of it."""
    plan = report.split.plan
    if with_classes:
        for name, methods, module in move_rows(plan):
            yield f"moved     {name}: {methods} -> {module}"
    for reason, names in residents_by_reason(plan).items():
        yield f"resident  {_counted(len(names), 'class', 'classes')}: {reason}"
    for change in report.split.changes:
        yield f"{change.action:9} {change.path} ({_sizes(change.bytes_before, change.bytes_after)})"
    for kept in report.split.kept:
        yield f"kept      {kept.path}: {kept.reason}"
    if report.split.permission_added:
        yield f"added     permission {INTERNET}"
    yield from (f"note      {warning}" for warning in report.warnings)
    yield f"saved     {_saved(report)}"
    for label, path, size in _results(report):
        yield f"{label:9} {path or '(not written)'}{'' if size is None else f' ({size:,} bytes)'}"


def _results(report: Report) -> Iterator[tuple[str, str | None, int | None]]:
    yield "slim APK", report.apk_path, report.apk_bytes
    yield "bundle", report.bundle_path, len(report.split.bundle)


def _saved(report: Report) -> str:
    parts = [f"{kind} {saved:,}" for kind, saved in sorted(report.savings.items()) if saved]
    before = len(report.split.plan.app.data)
    if report.apk_bytes is None:
        total = sum(report.savings.values())
        return f"about {total:,} of {before:,} bytes ({', '.join(parts)})"
    total = before - report.apk_bytes
    rest = "the rest is signature and alignment" if parts else "signature and alignment"
    return f"{total:,} of {before:,} bytes ({'; '.join(filter(None, (', '.join(parts), rest)))})"


def _sizes(before: int, after: int) -> str:
    if not before or not after:
        return f"{before or after:,} bytes"
    return f"{before:,} -> {after:,} bytes"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
