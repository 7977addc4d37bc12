"""A plan as one page: no script, no font, no address outside of itself; as readable in the dark as in print.

Bounded: the neighbourhood of the moved classes, not the app; long lists are cut and say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from lawow.refactor.charts import break_even_chart, id_bars, size_bars
from lawow.refactor.costs import CallCost
from lawow.refactor.diagram import class_diagram
from lawow.refactor.findings import Finding
from lawow.refactor.forecast import Forecast
from lawow.refactor.page_style import STYLE
from lawow.refactor.page_text import number, size, text
from lawow.refactor.plan import residents_by_reason
from lawow.refactor.plan_report import Timing, plan_warnings

__all__ = ["plan_page"]

_MOST_ROWS = 100
_MOST_NAMES = 200


def plan_page(forecast: Forecast, timing: Timing | None = None) -> str:
    """Return the page as HTML text. Characters that UTF-8 can't hold are shown as their codes."""
    plan = forecast.plan
    name = text(PurePath(plan.app.name).name, 80)
    sections = [
        _summary(forecast),
        _section("Who calls what", _legend() + class_diagram(forecast), "graph"),
        _section("What would be refused", _findings(plan.refusals), "refused") if plan.refusals else "",
        _section("Calls over the network", _costs(forecast.costs, timing), "costs"),
        _section("When a call pays", _break_even(forecast.costs, timing), "pays"),
        _section("Size", size_bars(forecast) + _entries(forecast), "size"),
        _section("Ids in each dex file", id_bars(forecast.ids), "ids"),
        _section("Before it goes to a phone", _advice(forecast), "phone"),
        _section("Notes", _notes(plan_warnings(forecast)), "notes"),
        _section("What stays", _residents(forecast), "residents"),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Plan: {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + f"\n<footer>SHA-256 of the input: <code>{plan.app.sha256}</code></footer>\n"
        + "</main>\n</body>\n</html>\n"
    )


def _section(title: str, content: str, name: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>{content}</section>'


def _summary(forecast: Forecast) -> str:
    plan = forecast.plan
    moved, residents = len(plan.moves), len(plan.classes) - len(plan.moves)
    saved = forecast.bytes_before - forecast.bytes_after
    verdict = (
        ("refused", f"{len(plan.refusals)} refused") if plan.refusals else ("ready", "can be carried out")
    )
    change = f"{size(saved)} less on the device" if saved > 0 else f"{size(-saved)} more on the device"
    methods = len(plan.methods)
    facts = (
        (number(moved), "class moves" if moved == 1 else "classes move"),
        (number(methods), "method calls the edge" if methods == 1 else "methods call the edge"),
        (number(residents), "classes stay"),
        (size(forecast.bytes_after), f"slim APK, {change}"),
        (size(forecast.bundle_bytes), "offload bundle"),
    )
    cards = "".join(f'<div class="card"><b>{value}</b><span>{label}</span></div>' for value, label in facts)
    return (
        f'<header><p class="kicker">Plan of a split <span class="badge {verdict[0]}">{verdict[1]}</span></p>'
        f"<h1>{text(plan.app.manifest.package, 120)}</h1>"
        f'<p class="path">{text(plan.app.name)}</p><div class="cards">{cards}</div></header>'
    )


def _legend() -> str:
    keys = (
        ("remote", "goes over the network"),
        ("slow", "over the network, in a loop ↻ or on the main thread"),
        ("plain", "stays a call on the device"),
        ("gone", "no longer made on the device"),
    )
    items = "".join(
        f'<span class="key"><svg viewBox="0 0 26 8"><g class="edge {kind}"><path d="M0 4H26"/></g></svg>'
        f"{label}</span>"
        for kind, label in keys
    )
    return f'<p class="legend">{items}</p>'


def _costs(costs: Sequence[CallCost], timing: Timing | None) -> str:
    head = ["method", "bytes there", "back", "each element"]
    if timing is not None:
        head += ["pays below a round trip of", "and at half of it from"]
    rows = [_cost_row(cost, timing) for cost in costs[:_MOST_ROWS]]
    return _table(head, rows, len(costs)) + (
        "<p class=hint>Bytes of one call over an open connection: values, HTTP heads and TLS records.</p>"
    )


def _cost_row(cost: CallCost, timing: Timing | None) -> list[str]:
    row = [
        f"<code>{text(cost.method)}{text(cost.types)}</code>",
        number(cost.request_bytes),
        number(cost.response_bytes),
        f"+ {cost.per_element_bytes}" if cost.per_element_bytes else "–",
    ]
    if timing is not None:
        point = timing.of(cost)
        if point.round_trip_seconds is None or point.bits_per_second is None:
            row += ["never", "–"]
        else:
            row += [
                f"{point.round_trip_seconds * 1000:,.4g} ms",
                f"{point.bits_per_second / 1e6:,.3g} Mbit/s",
            ]
    return row


def _break_even(costs: Sequence[CallCost], timing: Timing | None) -> str:
    if timing is None or not costs:
        return (
            "<p>Measure one call on the device and one on the edge, and give"
            " <code>--local-ms</code> and <code>--remote-ms</code>: this chart then shows which networks are"
            " fast enough.</p>"
        )
    largest = max(costs, key=lambda cost: cost.total_bytes + cost.per_element_bytes * timing.elements)
    point = timing.of(largest)
    caption = (
        f"<p><code>{text(largest.method)}</code>, the largest call: {number(point.total_bytes)} bytes,"
        f" {timing.local_seconds * 1000:,.4g} ms on the device, {timing.remote_seconds * 1000:,.4g} ms on the"
        " edge. It pays in the coloured area. The networks are typical figures, not measured.</p>"
    )
    return caption + break_even_chart(point)


def _entries(forecast: Forecast) -> str:
    rows = []
    for entry in forecast.entries[:_MOST_ROWS]:
        about = "" if entry.is_exact else "about "
        rows.append(
            [
                f'<span class="badge {entry.action}">{entry.action}</span>',
                f"<code>{text(entry.path)}</code>"
                + (f"<br><small>{text(entry.reason)}</small>" if entry.reason else ""),
                f"{number(entry.bytes_before)}" if entry.bytes_before else "–",
                f"{about}{number(entry.bytes_after)}" if entry.bytes_after else "–",
            ]
        )
    return _table(["", "entry", "bytes before", "bytes after"], rows, len(forecast.entries))


def _findings(findings: Sequence[Finding]) -> str:
    rows = [
        [
            f'<span class="badge {finding.severity.value}">{finding.kind}</span>',
            f"<code>{text(finding.method)}</code>",
            f"{text(finding.place)} {text(finding.why)}<br><small>{text(finding.remedy, 500)}</small>",
        ]
        for finding in findings[:_MOST_ROWS]
    ]
    return _table(["finding", "method", "why, and what to do"], rows, len(findings))


def _advice(forecast: Forecast) -> str:
    if not forecast.advice:
        return "<p>Nothing in this app's manifest, files and code speaks against it.</p>"
    items = (
        f"<li>{text(item.text, 500)} <small>{text(item.because)}</small></li>" for item in forecast.advice
    )
    return f"<ul>{''.join(items)}</ul>"


def _notes(warnings: Sequence[str]) -> str:
    if not warnings:
        return "<p>None.</p>"
    items = "".join(f"<li>{text(item, 500)}</li>" for item in warnings[:_MOST_ROWS])
    return f"<ul>{items}</ul>{_more(len(warnings) - _MOST_ROWS, 'notes')}"


def _residents(forecast: Forecast) -> str:
    parts = []
    for reason, names in residents_by_reason(forecast.plan).items():
        listed = ", ".join(text(name, 120) for name in names[:_MOST_NAMES])
        parts.append(
            f"<details><summary><b>{number(len(names))}</b> {'class' if len(names) == 1 else 'classes'}:"
            f" {text(reason)}</summary><p class=names>{listed}</p>"
            f"{_more(len(names) - _MOST_NAMES, 'classes')}</details>"
        )
    return "".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], total: int) -> str:
    cells = "".join(f"<th>{title}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    table = f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'
    return table + _more(total - _MOST_ROWS, "rows")


def _more(count: int, what: str) -> str:
    return f"<p class=hint>and {number(count)} more {what}; --json has all.</p>" if count > 0 else ""
