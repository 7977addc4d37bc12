"""`lawow refactor`: split an APK into a slim APK and an offload bundle."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from lawow.cli.app_files import read_source
from lawow.cli.keys import KeyOptions, key_options, load_key, require_key
from lawow.cli.refactor_auto import AutoArguments, auto_options, proved_classes, survey, translated_plan
from lawow.cli.refactor_files import Results, command_line, result_paths, with_warnings
from lawow.cli.refactor_options import (
    EdgeArguments,
    PlanView,
    SelectionArguments,
    draw_classes,
    edge_options,
    plan_view_options,
    selection_options,
    show_forecast,
)

if TYPE_CHECKING:
    from lawow.refactor.report import Report

__all__ = ["command"]


@click.command(name="refactor", short_help="Split an APK into a slim one and a bundle.")
@click.argument("apk", type=click.Path(path_type=Path, exists=True))
@selection_options
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for the results.")
@click.option("--plan", is_flag=True, help="Show what would be done; write nothing.")
@plan_view_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@key_options()
@edge_options
@click.option(
    "--mode",
    type=click.Choice(["slim", "elastic"]),
    default="slim",
    show_default=True,
    help="elastic: the originals stay, too, and the app decides for each call where it runs.",
)
@auto_options
@click.option("--gc/--no-gc", default=True, help="Remove names that only the offloaded code used.")
@click.option("--report/--no-report", default=True, help="Write a certificate as .report.json and .html.")
@click.option("--judges", is_flag=True, help="Ask Android's tools on the PATH, too; refuse what they refuse.")
@click.pass_context
def command(
    context: click.Context,
    selection: SelectionArguments,
    view: PlanView,
    keys: KeyOptions,
    edge: EdgeArguments,
    automatic: AutoArguments,
    apk: Path,
    out: Path | None,
    plan: bool,
    as_json: bool,
    mode: str,
    gc: bool,
    report: bool,
    judges: bool,
) -> None:
    """Split APK into a slim APK, whose WebAssembly classes call the edge, and an offload bundle.

    APK may be a set of split APKs, too: an .apks or .xapk file, or a folder. Its base is split, all are
    signed with one key, and the result is of the same kind.

    Writes NAME-slim.apk, NAME-offload.jar and the certificate NAME-slim.report.json and .html, all or none.
    Passwords come from LAWOW_KEYSTORE_PASSWORD and LAWOW_KEY_PASSWORD, or are asked for on a terminal.

    \b
    lawow refactor app.apk --plan --html plan.html
    lawow refactor app.apk --debug-key --edge https://192.168.1.10:8443
    lawow refactor app.apk --rule 'com.example.Fib' --module Fib=fib.wasm --keystore release.p12
    lawow refactor app.apk --auto --plan
    """
    require_key(keys, subject="the slim APK must be signed", optional=plan)
    explicit = context.get_parameter_source("mode") is not ParameterSource.DEFAULT
    automatic.require_sound(others=selection.not_automatic, mode=mode if explicit else None)
    elements = view.elements
    view = replace(view, elements=None) if automatic.auto else view
    view.require_plan(planning=plan)
    plan_options = selection.plan_options(apk, show_refused=plan)
    properties = edge.properties()
    source = read_source(apk)
    is_elastic = automatic.auto or mode == "elastic"
    found = (
        survey(source, automatic.options(plan_options, selection.rules, elements)) if automatic.auto else None
    )
    if plan:
        show_forecast(source, plan_options, properties, view, found, as_json=as_json, is_elastic=is_elastic)
        return

    from lawow.refactor.pipeline import refactor_app
    from lawow.refactor.split import SplitOptions

    shadow = automatic.shadow_rate(plan_options)
    split_options = SplitOptions(properties, keep_orphan_ids=not gc, is_elastic=is_elastic, shadow=shadow)
    paths = result_paths(apk, out)
    key = load_key(keys)
    proved = None if found is None else proved_classes(found, automatic)
    if proved is not None:
        plan_options = translated_plan(plan_options, proved.classes)
    done = refactor_app(source.base, source.base_name, plan_options, split_options, key, source.companions)
    if proved is not None:
        done = with_warnings(done, proved.refused)
    results = Results(source, paths, done)
    judged = results.judged() if judges else ()
    results.write(results.certificate(command_line(context), key, judged) if report else ())
    with results.removed_if_nobody_hears():
        _show(replace(done.report, apk_path=str(paths.slim), bundle_path=str(paths.bundle)), as_json=as_json)


def _show(report: Report, *, as_json: bool) -> None:
    from lawow.refactor.report import report_lines, report_record

    if as_json:
        click.echo(json.dumps(report_record(report), indent=2, ensure_ascii=False))
        return
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        draw_classes(report.split.plan)
    for line in report_lines(report, with_classes=not on_terminal):
        click.echo(line)
