"""A plan for people and programs: what `lawow refactor --plan` prints, as text and as JSON data.

Sizes are compressed bytes. Estimated ones say ``about`` in the text and ``"exact": false`` in the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lawow.refactor.classify import ClassRole
from lawow.refactor.costs import BreakEven, CallCost, break_even
from lawow.refactor.findings import Finding
from lawow.refactor.forecast import ID_LIMIT, Forecast, ForecastEntry
from lawow.refactor.graph import CallSite
from lawow.refactor.plan import NOTHING_MOVES, move_record, move_rows, residents_by_reason
from lawow.refactor.rules import java_name

__all__ = ["Timing", "plan_lines", "plan_record", "plan_warnings"]

_MOST_CALLERS = 20


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a call takes on the device, and computing on the edge; and how long its arrays are."""

    local_seconds: float
    remote_seconds: float
    elements: int = 0

    def of(self, cost: CallCost) -> BreakEven:
        """Return from when on a call of this cost pays."""
        return break_even(cost, self.local_seconds, self.remote_seconds, elements=self.elements)


def plan_warnings(forecast: Forecast) -> list[str]:
    """Return notes on the moved classes and their callers."""
    plan = forecast.plan
    warnings = [] if plan.moves else [NOTHING_MOVES]
    warnings += [f"{move.classified.shown}: {note}" for move in plan.moves for note in move.notes]
    warnings += [
        f"{item.shown} stays on the device: {item.reason}"
        for item in plan.classes
        if item.role is ClassRole.RESIDENT and "--allow-unbound" in item.reason
    ]
    for site in forecast.graph.call_sites:
        if site.on_main_thread:
            warnings.append(
                f"{site.caller} calls {site.callee.name} at {site.offset:#x} on the main thread, which waits"
                " for the edge; Android reports an app that does not answer for 5 s"
            )
        elif site.in_loop:
            warnings.append(
                f"{site.caller} calls {site.callee.name} at {site.offset:#x} in a loop: every turn is a"
                " round trip"
            )
    warnings += [
        f"{plan.names.shown(item.descriptor)}: {item.kind} that only offloaded methods use; it stays in the"
        " slim APK, where its code can be read"
        for item in plan.closure.followers
    ]
    for acceptance in plan.corrections.accepted:
        if not any(acceptance.covers(item.method, item.kind) for item in plan.closure.findings):
            warnings.append(
                f"{plan.corrections.name} accepts {acceptance.finding} for {acceptance.method}, which nothing"
                " finds"
            )
    return warnings


def plan_lines(
    forecast: Forecast, timing: Timing | None = None, *, with_classes: bool = True
) -> Iterator[str]:
    """Yield the plan as plain text; `with_classes` says whether the moved classes are part of it."""
    plan = forecast.plan
    if with_classes:
        yield from (f"moved     {name}: {methods} -> {module}" for name, methods, module in move_rows(plan))
    yield from (f"refused   {item.method}: {item.kind}: {item.sentence}" for item in plan.refusals)
    for reason, names in residents_by_reason(plan).items():
        yield f"resident  {len(names):,} {'class' if len(names) == 1 else 'classes'}: {reason}"
    yield from _call_lines(forecast)
    yield from _cost_lines(forecast, timing)
    yield from map(_entry_line, forecast.entries)
    for item in forecast.ids:
        counts = f"{item.methods:,} methods, {item.fields:,} fields, {item.types:,} types"
        yield f"ids       {item.name}: {counts} of {ID_LIMIT:,} each ({_percent(item.fullest)} used)"
    yield from (f"note      {warning}" for warning in plan_warnings(forecast))
    yield from (f"phone     {advice}" for advice in forecast.advice)
    saved = forecast.bytes_before - forecast.bytes_after
    yield f"saved     about {saved:,} of {forecast.bytes_before:,} bytes"
    yield f"slim APK  (not written) (about {forecast.bytes_after:,} bytes)"
    yield f"bundle    (not written) ({forecast.bundle_bytes:,} bytes)"


def _call_lines(forecast: Forecast) -> Iterator[str]:
    sites = forecast.graph.call_sites
    for site in sites[:_MOST_CALLERS]:
        where = ", in a loop" if site.in_loop else ""
        where += ", on the main thread" if site.on_main_thread else ""
        yield (f"caller    {site.caller} at {site.offset:#x} calls {_called(site)}{where}")
    if len(sites) > _MOST_CALLERS:
        yield f"caller    and {len(sites) - _MOST_CALLERS:,} more calls"


def _called(site: CallSite) -> str:
    return f"{java_name(site.callee.class_name)}.{site.callee.name}"


def _cost_lines(forecast: Forecast, timing: Timing | None) -> Iterator[str]:
    for cost in forecast.costs:
        per_element = f", and {cost.per_element_bytes} for each element" if cost.per_element_bytes else ""
        yield (
            f"call      {cost.method}{cost.types}: {cost.request_bytes:,} bytes there,"
            f" {cost.response_bytes:,} back{per_element}"
        )
        if timing is not None:
            yield f"pays      {_break_even_sentence(timing.of(cost))}"


def _break_even_sentence(point: BreakEven) -> str:
    if point.round_trip_seconds is None or point.bits_per_second is None:
        return "never: computing on the edge takes as long as on the device"
    half = point.round_trip_seconds / 2
    return (
        f"below a round trip of {point.round_trip_seconds * 1000:,.4g} ms;"
        f" at {half * 1000:,.4g} ms from {_bandwidth(point.bits_per_second)} on"
    )


def _bandwidth(bits_per_second: float) -> str:
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits_per_second >= size:
            return f"{bits_per_second / size:.3g} {unit}"
    return f"{bits_per_second:.3g} bit/s"


def _entry_line(entry: ForecastEntry) -> str:
    if entry.action == "kept":
        return f"kept      {entry.path}: {entry.reason}"
    about = "" if entry.is_exact else "about "
    if not entry.bytes_before or not entry.bytes_after:
        return f"{entry.action:9} {entry.path} ({about}{entry.bytes_before or entry.bytes_after:,} bytes)"
    return f"{entry.action:9} {entry.path} ({entry.bytes_before:,} -> {about}{entry.bytes_after:,} bytes)"


def _percent(count: int) -> str:
    return f"{100 * count / ID_LIMIT:.1f} %"


def plan_record(forecast: Forecast, timing: Timing | None = None) -> dict[str, object]:
    """Return the plan as JSON data; keys are stable within a major version, and those of the report where
    both have them.
    """
    plan, app = forecast.plan, forecast.plan.app
    return {
        "input": {"path": app.name, "bytes": len(app.data), "sha256": app.sha256},
        "package": app.manifest.package,
        "apk": {"path": None, "bytes": None},
        "bundle": {"path": None, "bytes": forecast.bundle_bytes},
        "certificate_sha256": None,
        "moved": [move_record(move) for move in plan.moves],
        "refused": [_finding_record(item) for item in plan.refusals],
        "findings": [_finding_record(item) for item in plan.closure.findings],
        "resident": residents_by_reason(plan),
        "followers": [
            {"class": plan.names.shown(item.descriptor), "kind": item.kind} for item in plan.closure.followers
        ],
        "modules": [
            {"file": module.file, "sha256": module.sha256, "bytes": len(module.data), "pure": module.pure}
            for module in plan.modules
        ],
        "changes": [_entry_record(entry) for entry in forecast.entries if entry.action != "kept"],
        "kept": [
            {"path": entry.path, "reason": entry.reason}
            for entry in forecast.entries
            if entry.action == "kept"
        ],
        "bytes": {"before": forecast.bytes_before, "after": forecast.bytes_after, "exact": False},
        "calls": [_cost_record(cost, timing) for cost in forecast.costs],
        "call_sites": [_site_record(site) for site in forecast.graph.call_sites],
        "graph": _graph_record(forecast),
        "ids": [
            {
                "dex": item.name,
                "new": item.is_new,
                "classes": item.classes,
                "types": item.types,
                "protos": item.protos,
                "fields": item.fields,
                "methods": item.methods,
                "limit": ID_LIMIT,
            }
            for item in forecast.ids
        ],
        "warnings": plan_warnings(forecast),
        "advice": [
            {"topic": item.topic, "text": item.text, "because": item.because} for item in forecast.advice
        ],
    }


def _finding_record(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind,
        "severity": finding.severity.value,
        "method": finding.method,
        "place": finding.place,
        "why": finding.why,
        "remedy": finding.remedy,
    }


def _entry_record(entry: ForecastEntry) -> dict[str, object]:
    return {
        "path": entry.path,
        "kind": entry.kind,
        "action": entry.action,
        "bytes_before": entry.bytes_before,
        "bytes_after": entry.bytes_after,
        "exact": entry.is_exact,
    }


def _cost_record(cost: CallCost, timing: Timing | None) -> dict[str, object]:
    record: dict[str, object] = {
        "method": cost.method,
        "descriptor": cost.types,
        "request_bytes": cost.request_bytes,
        "response_bytes": cost.response_bytes,
        "per_element_bytes": cost.per_element_bytes,
    }
    if timing is not None:
        point = timing.of(cost)
        record["break_even"] = {
            "local_seconds": point.local_seconds,
            "remote_seconds": point.remote_seconds,
            "round_trip_seconds": point.round_trip_seconds,
            "bits_per_second_at_half": point.bits_per_second,
        }
    return record


def _site_record(site: CallSite) -> dict[str, object]:
    return {
        "caller": site.caller,
        "callee": _called(site),
        "offset": site.offset,
        "in_loop": site.in_loop,
        "main_thread": site.on_main_thread,
    }


def _graph_record(forecast: Forecast) -> dict[str, object]:
    graph = forecast.graph
    return {
        "nodes": [
            {"class": java_name(node.descriptor), "name": node.name, "role": node.role, "why": node.why}
            for node in graph.nodes
        ],
        "edges": [
            {
                "from": java_name(edge.source),
                "to": java_name(edge.target),
                "calls": edge.calls,
                "methods": sorted(edge.methods),
                "remote": edge.is_remote,
                "gone": edge.is_gone,
            }
            for edge in graph.edges
        ],
    }
