"""``lawow tenant``: the tenants of an edge, their quotas and grants."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from lawow.cli.operator_options import data_option, date_text, json_option, open_database, show
from lawow.edge.database import Database
from lawow.edge.meter import read_usage
from lawow.edge.policies import QUOTAS, Quota, current_day, parse_quota, require_grants, size_text
from lawow.edge.tenants import TenantRecord, Tenants
from lawow.errors import UsageError
from lawow.limits import EDGE

__all__ = ["command"]

DEFAULT = "default"
NONE = "none"


@click.group("tenant", short_help="Add, change and remove tenants of an edge.")
def command() -> None:
    """Add, list, show, change and remove tenants of the edge on --data, which may run meanwhile.

    Each prints JSON with --json.
    """


def _policy_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each quota, and --grant."""
    grant = click.option(
        "--grant",
        "grants",
        multiple=True,
        metavar="NAME",
        help="Host functions that its modules may import; may be repeated. `none` takes all back.",
    )
    function = grant(function)
    for name, quota in reversed(QUOTAS.items()):
        default = getattr(EDGE, quota.limit)
        text = f"Most {quota.meaning}; `{DEFAULT}`: {int(default)}, unless the edge says otherwise."
        function = click.option(quota.option, name, metavar="N", help=text)(function)
    return function


@command.command("add")
@click.argument("name")
@_policy_options
@data_option
@json_option
def _add(name: str, grants: tuple[str, ...], data: Path, as_json: bool, **quotas: str | None) -> None:
    """Make a tenant NAME; a token for it comes from `lawow token`."""
    values, granted = _values(quotas), _grants(grants)
    with open_database(data, make=True) as database:
        tenants = Tenants(database)
        tenants.add(name)
        _show(database, tenants.change(name, values, granted), as_json)


@command.command("set")
@click.argument("name")
@_policy_options
@data_option
@json_option
def _change(name: str, grants: tuple[str, ...], data: Path, as_json: bool, **quotas: str | None) -> None:
    """Change quotas and grants of the tenant NAME, in force with its next request."""
    values, granted = _values(quotas), _grants(grants)
    if not values and granted is None:
        raise UsageError("nothing to change: give a quota, such as --calls 1000, or --grant")
    with open_database(data) as database:
        _show(database, Tenants(database).change(name, values, granted), as_json)


@command.command("show")
@click.argument("name")
@data_option
@json_option
def _show_one(name: str, data: Path, as_json: bool) -> None:
    """Show quotas, grants, and what the tenant NAME used today."""
    with open_database(data) as database:
        _show(database, Tenants(database).get(name), as_json)


@command.command("list")
@data_option
@json_option
def _list_all(data: Path, as_json: bool) -> None:
    """List all tenants, removed ones too."""
    with open_database(data) as database:
        documents = [_document(database, record) for record in Tenants(database).all()]
    lines = [f"{item['tenant']}  {_state(item)}  modules: {item['modules_kept']}" for item in documents]
    show(documents, "\n".join(lines) or "no tenants yet", as_json)


@command.command("remove")
@click.argument("name")
@data_option
@json_option
def _remove(name: str, data: Path, as_json: bool) -> None:
    """Remove the tenant NAME for good: its tokens and modules. The name is not used again."""
    with open_database(data) as database:
        _show(database, Tenants(database).remove(name), as_json)


def _values(quotas: dict[str, str | None]) -> dict[str, int | None]:
    """Return what is to change; None stands for the default."""
    given = {name: text for name, text in quotas.items() if text is not None}
    return {name: None if text == DEFAULT else parse_quota(name, text) for name, text in given.items()}


def _grants(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return what is granted from now on, None for no change. Raises `UsageError` for what cannot be."""
    if not names:
        return None
    if NONE in names:
        if len(names) > 1:
            raise UsageError(f"--grant {NONE} takes all grants back; give it alone")
        return ()
    require_grants(names)
    return names


def _document(database: Database, record: TenantRecord) -> dict[str, object]:
    usage = read_usage(database, record.name, current_day())
    rows = database.query(
        "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM modules WHERE tenant = ?", (record.name,)
    )
    return {
        "tenant": record.name,
        "created": date_text(record.created_unix),
        "removed": date_text(record.removed_unix),
        "quotas": {name: record.quotas.get(name) for name in QUOTAS},
        "grants": list(record.grants),
        "modules_kept": rows[0][0],
        "module_bytes_kept": rows[0][1],
        "calls_today": usage.calls,
        "cpu_seconds_today": round(usage.cpu_seconds, 2),
    }


def _state(document: dict[str, object]) -> str:
    return f"removed {document['removed']}" if document["removed"] else f"since {document['created']}"


def _show(database: Database, record: TenantRecord, as_json: bool) -> None:
    document = _document(database, record)
    lines = [f"{record.name}  {_state(document)}"]
    lines += [_quota_line(quota, record.quotas.get(name)) for name, quota in QUOTAS.items()]
    lines.append(f"  grants: {', '.join(record.grants) or NONE}")
    lines.append(
        f"  kept: {document['modules_kept']} modules, {document['module_bytes_kept']:,} bytes; "
        f"today {document['calls_today']:,} calls, {document['cpu_seconds_today']} s"
    )
    show(document, "\n".join(lines), as_json)


def _quota_line(quota: Quota, value: int | None) -> str:
    """Return a quota as the option that changes it, its value, and what it limits."""
    number = int(getattr(EDGE, quota.limit)) if value is None else value
    shown = size_text(number) if quota.in_bytes else f"{number:,}"
    return f"  {quota.option:14} {shown:>12}  {DEFAULT if value is None else '':7}  {quota.meaning}"
