"""`lawow refactor --auto`: its options, the choice of methods, and the proof of their translations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.keys import read_file
from lawow.cli.option_groups import option_group
from lawow.errors import Refused, UsageError
from lawow.limits import PROVING

if TYPE_CHECKING:
    from lawow.formats.apk_set import AppInput
    from lawow.proving.app import ProvedApp
    from lawow.refactor.automatic import AutoOptions, Survey
    from lawow.refactor.plan import PlanOptions
    from lawow.refactor.profit import Conditions
    from lawow.refactor.translated import TranslatedClass

__all__ = ["AutoArguments", "auto_options", "proved_classes", "survey", "translated_plan", "unproved_classes"]

PROFILE_BYTES = 64 << 20
DEFAULT_CASES = 400
_file = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class AutoArguments:
    """The options as they stand on the command line."""

    auto: bool = False
    profile: Path | None = None
    round_trip_ms: float | None = None
    mbit: float | None = None
    edge_speed: float | None = None
    shadow: float | None = None
    unproved: bool = False
    cases: int | None = None
    seed: int | None = None

    def require_sound(self, *, others: Sequence[tuple[str, object]], mode: str | None) -> None:
        """Raise `UsageError` for options that mean nothing without ``--auto``, or nothing with it.

        `others` are options that choose classes in another way, with their values; `mode` what was asked for.
        """
        if not self.auto:
            given = [item.name for item in fields(self) if getattr(self, item.name) not in (None, False)]
            if given:
                raise UsageError(f"--{given[0].replace('_', '-')} needs --auto")
            return
        for name, value in others:
            if value:
                raise UsageError(
                    f"{name} does not go with --auto, which finds classes and makes their modules"
                )
        if self.shadow is not None and not 0 < self.shadow <= 1:
            raise UsageError(f"--shadow: found {self.shadow:g}, allowed is more than 0 and at most 1")
        if mode == "slim":
            raise UsageError("--auto keeps the originals beside their translations: leave out --mode slim")

    def shadow_rate(self, plan: PlanOptions) -> float | None:
        """Return which share of the calls is compared, by the command line or else the correction file."""
        if not self.auto:
            return None
        return plan.corrections.shadow if self.shadow is None else self.shadow

    def options(self, plan: PlanOptions, rules: Sequence[str], elements: int | None) -> AutoOptions:
        """Return what is asked for. Raises `LawowError`."""
        from lawow.refactor.automatic import AutoOptions
        from lawow.refactor.rules import parse_rules
        from lawow.refactor.timings import Timings, read_timings

        timings = Timings()
        if self.profile is not None:
            timings = read_timings(read_file(self.profile, PROFILE_BYTES), name=str(self.profile))
        return AutoOptions(
            self._conditions(elements),
            rules=(*parse_rules(rules), *plan.corrections.offloadable),
            exclude=(*parse_rules(plan.exclude, option="--exclude"), *plan.corrections.resident),
            timings=timings,
            names=plan.names,
        )

    def _conditions(self, elements: int | None) -> Conditions:
        from lawow.refactor.profit import Conditions

        known = Conditions()
        for name, value in (("--round-trip-ms", self.round_trip_ms), ("--mbit", self.mbit)):
            if value is not None and not 0 < value < 1e6:
                raise UsageError(f"{name}: found {value:g}, allowed is more than 0 and less than 1,000,000")
        if self.edge_speed is not None and not 0 < self.edge_speed < 1e6:
            raise UsageError(f"--edge-speed: found {self.edge_speed:g}, allowed is more than 0")
        return Conditions(
            known.elements if elements is None else elements,
            known.round_trip_seconds if self.round_trip_ms is None else self.round_trip_ms / 1e3,
            known.bits_per_second if self.mbit is None else self.mbit * 1e6,
            known.edge_speed if self.edge_speed is None else self.edge_speed,
        )


auto_options = option_group(
    "automatic",
    AutoArguments,
    click.option(
        "--auto", is_flag=True, help="Translate what pays; with --rule, what it names, to WebAssembly."
    ),
    click.option("--profile", type=_file, help="With --auto: times that lawow profile measured."),
    click.option("--round-trip-ms", type=float, help="With --auto: round trip to the edge [default: 10]."),
    click.option("--mbit", type=float, help="With --auto: bandwidth to the edge, in Mbit/s [default: 50]."),
    click.option("--edge-speed", type=float, help="With --auto: how much faster the edge is [default: 3]."),
    click.option(
        "--shadow",
        type=float,
        metavar="RATE",
        help="With --auto: on the device, compare this share of the calls with the original.",
    ),
    click.option("--unproved", is_flag=True, help="With --auto: compare nothing with the original."),
    click.option(
        "--cases", type=click.IntRange(1, PROVING.cases), help="Calls for each proof [default: 400]."
    ),
    click.option("--seed", type=int, help="What the calls of the proofs are made from [default: 1]."),
)
"""Adds the options of ``--auto``, which reach the command as one `AutoArguments` called `automatic`."""


def survey(source: AppInput, options: AutoOptions) -> Survey:
    """Find and rank the candidates of the base APK. Raises `LawowError`; a rule must name a class."""
    from lawow.formats.apk_set import read_members
    from lawow.refactor.automatic import survey_app
    from lawow.refactor.rules import did_you_mean

    app = read_members(source.base, source.base_name, source.companions)
    names = [options.names.of_class(name) for item in app.dexes for name in item.dex.class_names()]
    for rule in options.rules:
        if not any(map(rule.matches, names)):
            raise UsageError(f"--rule {rule.text}: the app has no such class{did_you_mean(rule.text, names)}")
    return survey_app(app, options)


def _require_chosen(found: Survey) -> None:
    """Raise `Refused` if nothing is to be offloaded, with the reason of what came nearest."""
    if found.chosen:
        return
    nearest = next(iter(found.ranked), None)
    best = "" if nearest is None else f"; the best is {nearest.label}: {nearest.stays}"
    raise Refused(
        f"{found.app.name}: none of its {len(found.ranked)} candidates is worth offloading{best};"
        " --plan shows them, --elements and --profile tell what calls are like, --rule overrules the estimate"
    )


def unproved_classes(found: Survey) -> tuple[TranslatedClass, ...]:
    """Translate the chosen methods, and compare nothing."""
    from lawow.refactor.automatic import translate_chosen
    from lawow.refactor.translated import TranslatedClass

    return tuple(
        TranslatedClass(
            item.descriptor,
            item.module,
            item.bound(item.translation.exports),
            shapes=item.shapes(item.translation.exports),
        )
        for item in translate_chosen(found, found.chosen)
    )


def proved_classes(found: Survey, arguments: AutoArguments) -> ProvedApp:
    """Translate the chosen methods and keep those that do the same as the original. Raises `LawowError`."""
    from lawow.proving.app import ProvedApp, prove_app
    from lawow.refactor.automatic import translate_chosen

    _require_chosen(found)
    if arguments.unproved:
        return ProvedApp(unproved_classes(found), ())
    seed = 1 if arguments.seed is None else arguments.seed
    made = translate_chosen(found, found.chosen)
    return prove_app(found, made, cases=arguments.cases or DEFAULT_CASES, seed=seed)


def translated_plan(plan: PlanOptions, classes: tuple[TranslatedClass, ...]) -> PlanOptions:
    """Return the options of a plan that moves these classes and no others."""
    corrections = replace(plan.corrections, offloadable=(), modules=())
    return replace(
        plan, rules=(), annotations=(), classes=(), modules=(), corrections=corrections, translated=classes
    )
