"""Bars and the break-even chart of a plan's page, as SVG and HTML without any script."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lawow.refactor.costs import BreakEven
from lawow.refactor.forecast import ID_LIMIT, DexIds, Forecast
from lawow.refactor.page_text import number, size, text

__all__ = ["break_even_chart", "id_bars", "size_bars"]

_KINDS = ("dex", "library", "module", "configuration")
_NETWORKS = (
    ("Wi-Fi", 0.005, 100e6),
    ("5G", 0.02, 100e6),
    ("LTE", 0.05, 20e6),
    ("3G", 0.15, 2e6),
    ("satellite", 0.6, 20e6),
)
"""Typical round-trip times in seconds and bandwidths in bits per second: for orientation, not measured."""
_LEFT, _TOP, _WIDTH, _HEIGHT = 64, 14, 560, 260


def size_bars(forecast: Forecast) -> str:
    """Return the sizes before and after, split by what changes, as two bars on one scale."""
    before, after = _by_kind(forecast)
    scale = max(forecast.bytes_before, forecast.bytes_after, 1)
    rows = []
    for label, parts in (("before", before), ("after", after)):
        total = sum(parts.values())
        segments = "".join(
            f'<i class="{kind}" style="width:{100 * value / scale:.3f}%" title="{kind}: {size(value)}"></i>'
            for kind, value in parts.items()
            if value > 0
        )
        rows.append(
            f'<div class="bar"><span>{label}</span><b>{segments}</b>'
            f'<span class="figure">{size(total)}</span></div>'
        )
    legend = "".join(f'<span class="key"><i class="{kind}"></i>{kind}</span>' for kind in before)
    return f'<div class="bars">{"".join(rows)}<p class="legend">{legend}</p></div>'


def _by_kind(forecast: Forecast) -> tuple[dict[str, int], dict[str, int]]:
    sums = {kind: [0, 0] for kind in _KINDS}
    for entry in forecast.entries:
        sums[entry.kind][0] += entry.bytes_before
        sums[entry.kind][1] += entry.bytes_after
    rest = forecast.bytes_before - sum(pair[0] for pair in sums.values())
    kinds = [kind for kind in _KINDS if any(sums[kind])]
    return (
        {**{kind: sums[kind][0] for kind in kinds}, "untouched": rest},
        {**{kind: sums[kind][1] for kind in kinds}, "untouched": rest},
    )


def id_bars(ids: Iterable[DexIds]) -> str:
    """Return how full each dex file is, against the 65,536 ids of its fullest kind."""
    rows = []
    for item in ids:
        share = 100 * item.fullest / ID_LIMIT
        kind = "full" if share > 95 else "dex"
        counts = (
            f"{number(item.methods)} methods, {number(item.fields)} fields, {number(item.types)} types,"
            f" {number(item.classes)} classes"
        )
        new = " (new)" if item.is_new else ""
        rows.append(
            f'<div class="bar" title="{counts}"><span>{text(item.name)}{new}</span>'
            f'<b><i class="{kind}" style="width:{min(share, 100):.2f}%"></i></b>'
            f'<span class="figure">{number(item.fullest)} <small>of {number(ID_LIMIT)}</small></span></div>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'


def break_even_chart(point: BreakEven) -> str:
    """Return the least bandwidth that pays by round-trip time, with typical networks for orientation."""
    if point.round_trip_seconds is None:
        return "<p>Offloading never pays: computing on the edge takes as long as on the device.</p>"
    widest = max(point.round_trip_seconds * 1.25, 0.03)
    decades = _decades(point)
    curve = list(_curve(point, widest, decades))
    area = f"M{curve[0][0]:.1f} {_TOP}" + "".join(f"L{x:.1f} {y:.1f}" for x, y in curve)
    area += f"L{curve[-1][0]:.1f} {_TOP}Z"
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in curve)
    parts = [
        f'<path class="pays" d="{area}"/><path class="limit" d="{line}"/>',
        *_axes(widest, decades),
        *_networks(point, widest, decades),
    ]
    label = "Least bandwidth at which a call pays, by round-trip time"
    return (
        f'<svg class="chart" viewBox="0 0 {_LEFT + _WIDTH + 36} {_TOP + _HEIGHT + 46}" role="img"'
        f' aria-label="{label}">{"".join(parts)}</svg>'
    )


def _decades(point: BreakEven) -> tuple[int, int]:
    """Return the powers of ten between which bandwidths are drawn."""
    least = point.bandwidth_at(0.0) or 1.0
    low = min(4, math.floor(math.log10(least)))
    return low, max(low + 3, 9)


def _x(seconds: float, widest: float) -> float:
    return _LEFT + _WIDTH * seconds / widest


def _y(bits_per_second: float, decades: tuple[int, int]) -> float:
    low, high = decades
    place = (math.log10(max(bits_per_second, 10.0**low)) - low) / (high - low)
    return _TOP + _HEIGHT * (1 - min(place, 1.0))


def _curve(point: BreakEven, widest: float, decades: tuple[int, int]) -> Iterable[tuple[float, float]]:
    longest = point.round_trip_seconds or 0.0
    for step in range(61):
        seconds = longest * (1 - (1 - step / 60) ** 3) * 0.99999
        yield _x(seconds, widest), _y(point.bandwidth_at(seconds) or 10.0 ** decades[1], decades)


def _axes(widest: float, decades: tuple[int, int]) -> Iterable[str]:
    low, high = decades
    names = {3: "1 kbit/s", 4: "10 kbit/s", 5: "100 kbit/s", 6: "1 Mbit/s", 7: "10 Mbit/s", 8: "100 Mbit/s"}
    names[9] = "1 Gbit/s"
    for power in range(low, high + 1):
        y = _y(10.0**power, decades)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_LEFT + _WIDTH}"/>'
        label = names.get(power, f"1e{power}")
        yield f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    for step in range(6):
        seconds = widest * step / 5
        x, bottom = _x(seconds, widest), _TOP + _HEIGHT
        yield f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
        label = f"{seconds * 1000:.3g} ms"
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    yield (
        f'<text class="tick" x="{_LEFT + _WIDTH / 2}" y="{_TOP + _HEIGHT + 38}" text-anchor="middle">'
        "round-trip time</text>"
    )


def _networks(point: BreakEven, widest: float, decades: tuple[int, int]) -> Iterable[str]:
    last_x = -math.inf
    for name, seconds, bits_per_second in _NETWORKS:
        if seconds > widest:
            continue
        needed = point.bandwidth_at(seconds)
        pays = needed is not None and bits_per_second >= needed
        total = point.remote_seconds + seconds + 8 * point.total_bytes / bits_per_second
        x, y = _x(seconds, widest), _y(bits_per_second, decades)
        hint = (
            f"{name}: a call takes {total * 1000:.3g} ms, on the device {point.local_seconds * 1000:.3g} ms"
        )
        yield (
            f'<g class="network {"good" if pays else "bad"}"><title>{text(hint)}</title>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
            f'<text x="{x + 9:.1f}" y="{y + (18 if x - last_x < 60 else 4):.1f}">{name}</text></g>'
        )
        last_x = x
