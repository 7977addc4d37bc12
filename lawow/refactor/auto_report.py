"""What `lawow refactor --auto` found, for people and programs: candidates by gain, and what is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lawow.refactor.automatic import Ranked, Survey
from lawow.refactor.candidates import Rejection
from lawow.refactor.loop_cost import Polynomial

__all__ = ["survey_lines", "survey_record"]

_MOST_LINES = 12
_DIGITS = str.maketrans("0123456789.", "⁰¹²³⁴⁵⁶⁷⁸⁹·")


def survey_lines(survey: Survey) -> Iterator[str]:
    """Yield the survey as plain text: the first candidates, the most frequent reasons."""
    worth = [item for item in survey.ranked if not item.stays or item.gains_from is not None]
    worth.sort(key=lambda item: bool(item.stays))
    for item in worth[:_MOST_LINES]:
        yield f"candidate {item.label}: {_gain(item)}" + (f"; stays: {item.stays}" if item.stays else "")
    if len(worth) > _MOST_LINES:
        yield f"candidate and {len(worth) - _MOST_LINES:,} more, which gain less (--json lists them)"
    if len(survey.ranked) > len(worth):
        rest = len(survey.ranked) - len(worth)
        yield f"candidate and {rest:,} more, which never pay, however long their arrays"
    reasons = Counter(item.reason for item in survey.rejected).most_common()
    for reason, count in reasons[:_MOST_LINES]:
        yield f"rejected  {count:,} {'method' if count == 1 else 'methods'}: {reason}"
    if len(reasons) > _MOST_LINES:
        rest = sum(count for _, count in reasons[_MOST_LINES:])
        yield f"rejected  {rest:,} methods, each for another reason (--json lists them)"
    yield f"rejected  {survey.others:,} methods: constructors and static initialisers"


def _gain(item: Ranked) -> str:
    gain = item.gain
    verb = "gains" if gain.seconds > 0 else "loses"
    source = "measured" if gain.is_measured else _cost(item.cost)
    from_where = "never pays" if item.gains_from is None else f"pays from {item.gains_from:,} elements on"
    return (
        f"{verb} {_milliseconds(abs(gain.seconds))} a call with arrays of {gain.elements:,}"
        f" ({_milliseconds(gain.local_seconds)} here, {source};"
        f" {_milliseconds(gain.remote_seconds)} by the edge, {gain.bytes_moved:,} bytes); {from_where}"
    )


def _cost(cost: Polynomial) -> str:
    """Return the estimate in nanoseconds, its leading part alone."""
    power = (len(cost) - 1) / 2
    what = "" if power == 0 else " N" if power == 1 else f" N{format(power, 'g').translate(_DIGITS)}"
    return f"about {cost[-1]:,.3g}{what} ns"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.3g} ms" if seconds < 1000 else f"{seconds:,.0f} s"


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
        "measured": item.gain.is_measured,
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
