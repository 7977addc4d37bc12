"""What `lawow refactor --auto` found, for people and programs: candidates by gain, and what is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lawow.refactor.automatic import LOSES, Ranked, Survey
from lawow.refactor.binding import SCALARS
from lawow.refactor.candidates import Rejection
from lawow.refactor.loop_cost import Polynomial
from lawow.refactor.profit import Basis
from lawow.refactor.readable import in_java

__all__ = ["survey_lines", "survey_record"]

_MOST_LINES = 12
_SOURCES = {Basis.MEASURED: "measured", Basis.BOUNDED: "all its calls together, by the profile"}
_DIGITS = str.maketrans("0123456789.", "⁰¹²³⁴⁵⁶⁷⁸⁹·")


def survey_lines(survey: Survey) -> Iterator[str]:
    """Yield the survey as plain text: what was looked at, the first candidates, the most frequent reasons."""
    yield from _summary_lines(survey)
    worth = [item for item in survey.ranked if not item.stays or item.gains_from is not None]
    worth.sort(key=lambda item: bool(item.stays))
    for item in worth[:_MOST_LINES]:
        yield f"candidate {item.label}: {_gain(item)}{_stays(item)}"
    if len(worth) > _MOST_LINES:
        yield f"candidate and {len(worth) - _MOST_LINES:,} more, which gain less (--json lists them)"
    if len(survey.ranked) > len(worth):
        rest = len(survey.ranked) - len(worth)
        yield f"candidate and {rest:,} more, which never pay, however large N is"
    yield from _rejection_lines(survey)


def _summary_lines(survey: Survey) -> Iterator[str]:
    like, looked_at = survey.options.conditions, len(survey.ranked) + len(survey.rejected)
    yield (
        f"auto      {looked_at:,} methods, candidates among them: {len(survey.ranked):,},"
        f" chosen: {len(survey.chosen):,} (N = {like.elements:,} elements, {like.round_trip_seconds * 1000:g}"
        f" ms to the edge and back, {like.bits_per_second / 1e6:g} Mbit/s, an edge {like.edge_speed:g} times"
        " as fast)"
    )
    if methods := len(survey.options.timings.by_method):
        known = sum(item.measured is not None for item in survey.ranked)
        yield f"profile   methods in it: {methods:,}; candidates among them: {known:,}"
    if survey.ranked and not survey.chosen:
        yield (
            "auto      nothing is offloaded; --elements tells what N is in real calls, --profile how long"
            " they take (`lawow profile` measures it), --rule takes what it names, whatever it gains"
        )


def _rejection_lines(survey: Survey) -> Iterator[str]:
    """Yield the reasons, the most frequent first; one that lies in a callee counts for all its callers."""
    counts = Counter(item.obstacle.reason for item in survey.rejected)
    inherited = Counter(item.obstacle.reason for item in survey.rejected if not item.is_own)
    reasons = counts.most_common()
    for reason, count in reasons[:_MOST_LINES]:
        methods = f"{count:,} {'method' if count == 1 else 'methods'}"
        through = f", {inherited[reason]:,} of them by what they call" if inherited[reason] else ""
        yield f"rejected  {methods}{through}: {in_java(reason)}"
    if len(reasons) > _MOST_LINES:
        rest = sum(count for _, count in reasons[_MOST_LINES:])
        more = f"for {len(reasons) - _MOST_LINES:,} more reasons (--json lists them)"
        yield f"rejected  {rest:,} methods, {more}"
    methods = "method" if survey.others == 1 else "methods"
    yield f"rejected  {survey.others:,} {methods}: constructors and static initialisers"


def _gain(item: Ranked) -> str:
    gain = item.gain
    verb = "gains" if gain.seconds > 0 else "loses"
    source = _SOURCES.get(item.basis) or _cost(item.cost)
    proto = item.candidate.method.proto
    has_lists = any(kind not in SCALARS for kind in (*proto.parameters, proto.return_type) if kind != "V")
    size = f"with arrays of {gain.elements:,}" if has_lists else f"if N is {gain.elements:,}"
    at = "never pays" if item.gains_from is None else f"pays from N = {item.gains_from:,} on"
    return (
        f"{verb} {_milliseconds(abs(gain.seconds))} a call {size}"
        f" ({_milliseconds(gain.local_seconds)} here, {source};"
        f" {_milliseconds(gain.remote_seconds)} by the edge, {gain.bytes_moved:,} bytes); {at}"
    )


def _stays(item: Ranked) -> str:
    return f"; stays: {item.stays}" if item.stays and item.stays != LOSES else ""


def _cost(cost: Polynomial) -> str:
    """Return the estimate in nanoseconds, its leading part alone."""
    power = (len(cost) - 1) / 2
    what = "" if power == 0 else " N" if power == 1 else f" N{format(power, 'g').translate(_DIGITS)}"
    return f"about {_figure(cost[-1])}{what} ns"


def _milliseconds(seconds: float) -> str:
    return f"{_figure(seconds * 1000)} ms" if seconds < 10 else f"{_figure(seconds)} s"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def survey_record(survey: Survey) -> dict[str, object]:
    """Return the survey as JSON data; keys are stable within a major version."""
    return {
        "candidates": [_candidate_record(item) for item in survey.ranked],
        "rejected": [_rejection_record(item) for item in survey.rejected],
        "initializers": survey.others,
    }


def _candidate_record(item: Ranked) -> dict[str, object]:
    return {
        "method": item.label,
        "chosen": not item.stays,
        "stays": item.stays or None,
        "nanoseconds_by_half_power": list(item.cost),
        "measured": item.basis is Basis.MEASURED,
        "basis": item.basis.value,
        "elements": item.gain.elements,
        "local_seconds": item.gain.local_seconds,
        "remote_seconds": item.gain.remote_seconds,
        "gain_seconds": item.gain.seconds,
        "bytes": item.gain.bytes_moved,
        "gains_from_elements": item.gains_from,
        "instructions": item.candidate.examined.instructions,
        "module_methods": [str(ref) for ref in item.candidate.closure],
    }


def _rejection_record(item: Rejection) -> dict[str, object]:
    return {
        "method": str(item.method),
        "reason": item.reason,
        "where": str(item.obstacle.method),
        "instruction": item.obstacle.instruction or None,
        "offset": item.obstacle.offset,
    }
