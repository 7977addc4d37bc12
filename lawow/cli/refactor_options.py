"""Options of `lawow refactor` that select classes and show the plan, and what they read from disk."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.keys import read_file
from lawow.cli.option_groups import option_group
from lawow.cli.refactor_auto import translated_plan, unproved_classes
from lawow.errors import FormatError, UsageError
from lawow.limits import MODULE

if TYPE_CHECKING:
    from lawow.formats.apk_set import AppInput
    from lawow.refactor.automatic import Survey
    from lawow.refactor.binding import ModuleChoice
    from lawow.refactor.correction import Corrections
    from lawow.refactor.edge_properties import EdgeProperties
    from lawow.refactor.forecast import Forecast
    from lawow.refactor.plan import PlanOptions, SplitPlan
    from lawow.refactor.plan_report import Timing

__all__ = [
    "EdgeArguments",
    "PlanView",
    "SelectionArguments",
    "draw_classes",
    "edge_options",
    "plan_view_options",
    "selection_options",
    "show_forecast",
]

LIST_BYTES = 64 << 20
TOKEN_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class SelectionArguments:
    """The options as they stand on the command line."""

    rules: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    classes: Path | None = None
    mapping: Path | None = None
    config: Path | None = None
    modules: tuple[str, ...] = ()
    allow_unbound: bool = False
    allow_empty: bool = False
    allow_old_android: bool = False

    @property
    def not_automatic(self) -> tuple[tuple[str, object], ...]:
        """The options that choose classes in another way than ``--auto`` does, with their values."""
        return (("--module", self.modules), ("--annotation", self.annotations), ("--classes", self.classes))

    def plan_options(self, apk: Path, *, show_refused: bool) -> PlanOptions:
        """Read the files and return the options. Raises `LawowError` naming the file."""
        from lawow.formats.mapping import read_mapping
        from lawow.refactor.classify import DEFAULT_RULES
        from lawow.refactor.plan import PlanOptions
        from lawow.refactor.rules import OFFLOAD, annotation_descriptor, read_class_list

        selects = bool(self.rules or self.annotations or self.classes)
        annotations = tuple(annotation_descriptor(text) for text in self.annotations)
        corrections = self._corrections(apk)
        try:
            mapping = read_mapping(read_file(self.mapping, 512 << 20)) if self.mapping else None
        except FormatError as error:
            raise error.within(str(self.mapping)) from None
        listed: tuple[str, ...] = ()
        if self.classes:
            listed = read_class_list(read_file(self.classes, LIST_BYTES), name=str(self.classes))
        return PlanOptions(
            rules=self.rules if selects else DEFAULT_RULES,
            modules=tuple(map(_module_choice, self.modules)) + self._configured_modules(apk, corrections),
            allow_unbound=self.allow_unbound,
            allow_empty=self.allow_empty,
            allow_old_android=self.allow_old_android,
            exclude=self.exclude,
            annotations=annotations if selects else (OFFLOAD,),
            classes=listed,
            mapping=mapping,
            corrections=corrections,
            show_refused=show_refused,
        )

    def _config_path(self, apk: Path) -> Path | None:
        from lawow.formats.toml import CONFIG_NAME

        if self.config:
            return self.config
        folder = apk if apk.is_dir() else apk.parent
        return path if (path := folder / CONFIG_NAME).is_file() else None

    def _corrections(self, apk: Path) -> Corrections:
        from lawow.formats.toml import CONFIG_BYTES
        from lawow.refactor.correction import NO_CORRECTIONS, read_corrections
        from lawow.refactor.effects import ACCEPTABLE

        path = self._config_path(apk)
        if path is None:
            return NO_CORRECTIONS
        return read_corrections(read_file(path, CONFIG_BYTES), name=str(path), findings=ACCEPTABLE)

    def _configured_modules(self, apk: Path, corrections: Corrections) -> tuple[ModuleChoice, ...]:
        """Return the modules of the correction file, whose paths start in its folder."""
        path = self._config_path(apk)
        folder = path.parent if path else Path()
        return tuple(
            _choice(class_name, folder / file, file, f"{corrections.name}: modules")
            for class_name, file in corrections.modules
        )


_file = click.Path(path_type=Path, dir_okay=False)
selection_options = option_group(
    "selection",
    SelectionArguments,
    click.option(
        "--rule",
        "rules",
        multiple=True,
        metavar="RULE",
        help="Classes to move: a glob, or re:EXPRESSION [default: *Wasm].",
    ),
    click.option("--exclude", multiple=True, metavar="RULE", help="Classes to leave, whatever selects them."),
    click.option(
        "--annotation",
        "annotations",
        multiple=True,
        metavar="NAME",
        help="Move what carries it [default: dev.lawow.Offload].",
    ),
    click.option("--classes", type=_file, help="Move the classes in this list, one a line."),
    click.option("--mapping", type=_file, help="R8's mapping.txt: rules speak of original names."),
    click.option("--config", type=_file, help="Corrections [default: lawow.toml beside APK]."),
    click.option(
        "--module", "modules", multiple=True, metavar="CLASS=FILE", help="Bind a class to a module."
    ),
    click.option("--allow-unbound", is_flag=True, help="Leave classes without a module on the device."),
    click.option("--allow-empty", is_flag=True, help="If nothing moves, sign the app as it is."),
    click.option("--allow-old-android", is_flag=True, help="Accept a minSdkVersion below 21."),
)
"""Adds the options that select classes and bind them, as one `SelectionArguments` called `selection`."""


def _module_choice(text: str) -> ModuleChoice:
    """Read ``CLASS=FILE``: a file on disk, or else a name for `refactor` to look up in the APK."""
    class_name, separator, file = text.partition("=")
    if not (class_name and separator and file):
        raise UsageError(f"--module: found {text!r}, allowed is CLASS=FILE.wasm")
    return _choice(class_name, Path(file), file, "--module")


def _choice(class_name: str, path: Path, file: str, option: str) -> ModuleChoice:
    from lawow.formats.bundle import bundled_module
    from lawow.refactor.binding import ModuleChoice

    if not path.is_file():
        return ModuleChoice(class_name, file)
    data = read_file(path, MODULE.module_bytes)
    try:
        bundled_module(path.name, data)
    except FormatError as error:
        error.file = str(path)  # the place on disk, not the one in a bundle
        raise
    return ModuleChoice(class_name, path.name, data)


@dataclass(frozen=True, slots=True)
class PlanView:
    """How a plan is shown. Times are milliseconds."""

    html: Path | None = None
    local_ms: float | None = None
    remote_ms: float | None = None
    elements: int | None = None

    def require_plan(self, *, planning: bool) -> None:
        """Raise `UsageError` for options without effect, and for one time without the other."""
        given = (self.html, self.local_ms, self.remote_ms, self.elements)
        if not planning and any(item is not None for item in given):
            raise UsageError("--html, --local-ms, --remote-ms and --elements need --plan")
        if (self.local_ms is None) != (self.remote_ms is None):
            raise UsageError("give both --local-ms and --remote-ms, the time of one call here and there")

    @property
    def timing(self) -> Timing | None:
        """The times in seconds, or None."""
        from lawow.refactor.plan_report import Timing

        if self.local_ms is None or self.remote_ms is None:
            return None
        return Timing(self.local_ms / 1000, self.remote_ms / 1000, self.elements or 0)


plan_view_options = option_group(
    "view",
    PlanView,
    click.option("--html", type=_file, help="With --plan: write the plan as a page with a picture."),
    click.option("--local-ms", type=float, help="With --plan: time of one call on the device."),
    click.option("--remote-ms", type=float, help="With --plan: the same call, computing on the edge."),
    click.option("--elements", type=click.IntRange(0, 1 << 30), help="Array elements in such a call."),
)
"""Adds the options that say how a plan is shown, as one `PlanView` called `view`."""


@dataclass(frozen=True, slots=True)
class EdgeArguments:
    """Where the slim app finds its edge, as it stands on the command line."""

    edge: str | None = None
    certificate_sha256: str | None = None
    token_file: Path | None = None
    timeout: int | None = None

    def properties(self) -> EdgeProperties | None:
        """Read the token and return what the app is told; None without an edge. Raises `LawowError`."""
        from lawow.refactor.edge_properties import EdgeProperties

        if self.edge is None:
            if self.certificate_sha256 or self.token_file or self.timeout is not None:
                raise UsageError("--certificate-sha256, --token-file and --timeout need --edge URL")
            return None
        token = None
        if self.token_file is not None:
            token = read_file(self.token_file, TOKEN_BYTES).decode("ascii", "replace").strip()
        return EdgeProperties(self.edge, self.certificate_sha256, token, self.timeout)


edge_options = option_group(
    "edge",
    EdgeArguments,
    click.option("--edge", metavar="URL", help="Address of the edge, https://HOST:PORT."),
    click.option(
        "--certificate-sha256", metavar="HEX", help="Trust this certificate of the edge and no other."
    ),
    click.option("--token-file", type=_file, help="File with the edge's token."),
    click.option("--timeout", type=int, metavar="SECONDS", help="Longest time for one call."),
)
"""Adds the options about the edge, as one `EdgeArguments` called `edge`."""


def show_forecast(
    source: AppInput,
    options: PlanOptions,
    edge: EdgeProperties | None,
    view: PlanView,
    survey: Survey | None,
    *,
    as_json: bool,
    is_elastic: bool,
) -> None:
    """Print the plan, write its page, then raise `Refused` if it can't be carried out.

    With ``--auto`` the survey comes first, and alone if nothing is to be offloaded.
    """
    from lawow.refactor.forecast import forecast_app

    if survey is not None and not survey.chosen:
        _print_survey(survey, as_json=as_json)
        return
    if survey is not None:
        options = translated_plan(options, unproved_classes(survey))
    forecast = forecast_app(source.base, source.base_name, options, edge, is_elastic=is_elastic)
    if view.html is None:
        _print_plan(forecast, view, survey, as_json=as_json)
    else:
        from lawow.durable import removed_if_nobody_hears, write_file
        from lawow.refactor.picture import plan_page

        write_file(view.html, plan_page(forecast, view.timing).encode("utf-8", "replace"))
        with removed_if_nobody_hears([view.html], view.html.parent):
            _print_plan(forecast, view, survey, as_json=as_json)
    if as_json and forecast.plan.refusals:
        sys.exit(4)  # the JSON says what is refused
    forecast.plan.require_allowed()


def _print_survey(survey: Survey, *, as_json: bool) -> None:
    from lawow.refactor.auto_report import survey_lines

    if as_json:
        click.echo(json.dumps(_survey_document(survey), indent=2, ensure_ascii=False))
        return
    for line in survey_lines(survey):
        click.echo(line)


def _survey_document(survey: Survey) -> dict[str, object]:
    from lawow.refactor.auto_report import survey_record

    return {"auto": survey_record(survey)}


def _print_plan(forecast: Forecast, view: PlanView, survey: Survey | None, *, as_json: bool) -> None:
    from lawow.refactor.plan_report import plan_lines, plan_record

    if as_json:
        record = plan_record(forecast, view.timing)
        if survey is not None:
            record |= _survey_document(survey)
        click.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    if survey is not None:
        _print_survey(survey, as_json=False)
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        draw_classes(forecast.plan)
    for line in plan_lines(forecast, view.timing, with_classes=not on_terminal):
        click.echo(line)
    if view.html is not None:
        click.echo(f"page      {view.html}")


def draw_classes(plan: SplitPlan) -> None:
    """Draw the moved classes as a table, on which no name is cut off."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from lawow.refactor.plan import move_rows

    table = Table()
    for heading in ("moved class", "methods that call the edge", "module"):
        table.add_column(heading, overflow="fold")
    for row in move_rows(plan):
        table.add_row(*map(Text, row))  # not markup: the app's author chose these names
    Console().print(table)
