"""``lawow profile``: a profile for ``lawow refactor --auto``, from a phone's trace or by running a method."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.keys import read_file
from lawow.cli.negative_numbers import CommandWithNumbers, plain_arguments
from lawow.errors import FormatError, UsageError
from lawow.limits import TRACE

if TYPE_CHECKING:
    from lawow.refactor.timings import MethodTime

__all__ = ["command"]

_MOST_LINES = 12
_PLATFORM = ("android.", "com.android.", "dalvik.", "java.", "jdk.", "libcore.", "sun.")
"""Classes that no app can offload; they stand in the file, and not in the table."""
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Result:
    """Times of methods, what else there is to say, and the same as data."""

    times: tuple[MethodTime, ...]
    notes: tuple[str, ...]
    facts: dict[str, object] = field(default_factory=dict)


@click.command("profile", cls=CommandWithNumbers, short_help="Measure methods, for lawow refactor --auto.")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.argument("arguments", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The profile to write.")
@click.option("--append", is_flag=True, help="Keep what the profile says of other methods.")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Only classes that match this.")
@click.option("--sampling-us", type=click.IntRange(0), help="How a trace was sampled; 0: it has every call.")
@click.option("--run", "method", metavar="CLASS.METHOD", help="Run this static method of an APK on a JVM.")
@click.option("--seconds", type=click.FloatRange(0.01, 60), help="With --run: for how long [default: 1].")
@click.option(
    "--slowdown",
    type=click.FloatRange(0.001, 1e5),
    help="With --run: how much slower the device is than this machine [default: 3].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    source: Path,
    arguments: tuple[str, ...],
    output: Path | None,
    append: bool,
    rules: tuple[str, ...],
    sampling_us: int | None,
    method: str | None,
    seconds: float | None,
    slowdown: float | None,
    as_json: bool,
) -> None:
    """Measure how long methods of an app take, and write the profile that `lawow refactor --auto` reads.

    SOURCE is a method trace of Android (Debug.startMethodTracing, am profile start, Android Studio), or an
    APK of which --run names a static method that only computes. ARGUMENTS are its own: numbers, true, lists
    such as [1, 2.5], random:1000 for that many elements, or @FILE for bytes.

    \b
    lawow profile app.trace -o profile.csv
    lawow profile app.apk --run Fft.run random:4096 random:4096 -o profile.csv
    lawow refactor app.apk --auto --plan --profile profile.csv
    """
    if append and output is None:
        raise UsageError("--append needs --output FILE")
    if method is None:
        _require_none("--run", arguments=arguments, seconds=seconds, slowdown=slowdown)
        result = _of_trace(source, sampling_us)
    else:
        _require_none("a trace", sampling_us=sampling_us)
        result = _of_run(source, method, arguments, seconds or 1.0, slowdown or 3.0)
    times = _selected(result.times, rules)
    written = None if output is None else _write(output, times, append=append)
    if as_json:
        methods = [asdict(item) for item in times]
        click.echo(json.dumps({**result.facts, "methods": methods}, indent=2, ensure_ascii=False))
        return
    for line in _lines(times, result.notes):
        click.echo(line)
    if written is not None:
        click.echo(f"wrote  {output}, methods: {written:,}")


def _require_none(needed: str, **options: object) -> None:
    """Raise `UsageError` for options that mean nothing without what is needed."""
    for name, value in options.items():
        if value not in (None, ()):
            option = "ARGUMENTS" if name == "arguments" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{option} needs {needed}")


def _of_trace(path: Path, sampling_us: int | None) -> _Result:
    from lawow.formats.method_trace import is_method_trace, read_method_trace
    from lawow.refactor.traced_times import traced_times

    if path.is_dir() or not is_method_trace(_read_head(path)):
        raise UsageError(f"{path}: is no method trace; of an APK, --run CLASS.METHOD names what to measure")
    try:
        trace = read_method_trace(read_file(path, TRACE.trace_bytes))
        found = traced_times(trace, sampling_us)
    except FormatError as error:
        raise error.within(str(path)) from None
    notes = [f"clock: {trace.clock}" + (" (times are the processor's)" if trace.clock == "dual" else "")]
    if found.sampled_us is None:
        notes.append("every call was recorded, which slows down methods that call many others")
    else:
        notes.append(
            f"sampled every {found.sampled_us:,} us, so calls are not known: trace again without --sampling,"
            " or write into the profile those that you know"
        )
    if trace.is_cut:
        notes.append("the trace is cut: its buffer was full, or tracing was not ended")
    facts = {"clock": trace.clock, "sampled_us": found.sampled_us, "is_cut": trace.is_cut}
    return _Result(found.times, tuple(notes), {"source": str(path), **facts})


def _read_head(path: Path) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _of_run(path: Path, method: str, texts: tuple[str, ...], seconds: float, slowdown: float) -> _Result:
    from lawow.cli.app_files import read_source
    from lawow.cli.java_arguments import parse_arguments
    from lawow.formats.apk_set import read_members
    from lawow.proving.measurement import measure
    from lawow.refactor.static_methods import find_static_method

    source = read_source(path)
    app = read_members(source.base, source.base_name, source.companions)
    view = find_static_method(app, method)
    arguments = parse_arguments(view, plain_arguments(texts))
    if sys.stderr.isatty():
        click.echo(f"runs {method} on a JVM, about {4 * seconds + 6:.0f} s", err=True)
    measured = measure([item.dex for item in app.dexes], view, arguments, seconds=seconds)
    times = (replace(item, seconds=item.seconds * slowdown) for item in measured)
    notes = (f"measured on a JVM here; seconds are {slowdown:g} times that, for the device (--slowdown)",)
    return _Result(tuple(times), notes, {"source": str(path), "slowdown": slowdown})


def _selected(times: tuple[MethodTime, ...], rules: tuple[str, ...]) -> tuple[MethodTime, ...]:
    """Return the methods of classes that match one of the rules; all without rules."""
    from lawow.refactor.rules import parse_rules

    parsed = parse_rules(rules)
    kept = tuple(item for item in times if not parsed or any(rule.matches(_owner(item)) for rule in parsed))
    if not kept:
        of = f" of a class {' or '.join(rules)}" if rules else ""
        raise UsageError(f"there is no method{of} that was called and left again")
    return kept


def _owner(item: MethodTime) -> str:
    return item.method.partition("(")[0].rpartition(".")[0]


def _write(path: Path, times: tuple[MethodTime, ...], *, append: bool) -> int:
    """Write the profile, and return how many methods it has."""
    from lawow.cli.refactor_auto import PROFILE_BYTES
    from lawow.durable import write_file
    from lawow.refactor.timings import profile_text, read_timings

    merged: dict[str, MethodTime] = {}
    if append and path.exists():
        merged.update(read_timings(read_file(path, PROFILE_BYTES), name=str(path)).by_method)
    merged.update({item.method: item for item in times})
    text = profile_text(merged.values())
    write_file(path, text.encode())
    return text.count("\n") - 1


def _lines(times: tuple[MethodTime, ...], notes: tuple[str, ...]) -> Iterator[str]:
    """Yield a table of what took longest, and the notes."""
    own = [item for item in times if not item.method.startswith(_PLATFORM)]
    yield "     calls      a call     seconds    elements  method"
    for item in own[:_MOST_LINES]:
        each = item.seconds_each
        calls = "?" if item.calls is None else f"{item.calls:,}"
        elements = "" if item.elements is None else f"{item.elements:,}"
        shown = "?" if each is None else f"{1e3 * each:,.4g} ms"
        yield f"{calls:>10} {shown:>11} {item.seconds:>11,.4g} {elements:>11}  {item.method}"
    if len(own) > _MOST_LINES:
        yield f"and more, shorter ones: {len(own) - _MOST_LINES:,}"
    if len(times) > len(own):
        yield f"and of classes of Android itself: {len(times) - len(own):,}"
    yield from (f"note   {text}" for text in notes)
