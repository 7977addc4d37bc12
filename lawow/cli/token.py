"""``lawow token``: make, list and revoke the tokens of an edge."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from lawow.edge.data_folder import DataFolder
from lawow.edge.database import Database
from lawow.edge.tenants import Tenants, TokenRecord
from lawow.errors import UsageError

__all__ = ["command"]


@click.command("token", short_help="Make, list and revoke tokens of an edge.")
@click.option(
    "--data", required=True, type=click.Path(file_okay=False, path_type=Path), help="The edge's folder."
)
@click.option("--tenant", help="Make a token for this tenant, who is created if new.")
@click.option("--list", "lists", is_flag=True, help="List all tokens; their texts are not kept.")
@click.option("--revoke", metavar="ID", help="Make a token invalid, at once.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(data: Path, tenant: str | None, lists: bool, revoke: str | None, as_json: bool) -> None:
    """Make a token for a tenant of the edge on --data, or list or revoke tokens.

    A new token is printed once and cannot be shown again. The edge may run meanwhile.
    """
    if sum((tenant is not None, lists, revoke is not None)) != 1:
        raise UsageError("give exactly one of --tenant NAME, --list, --revoke ID")
    database = Database(DataFolder(data).database)
    try:
        tenants = Tenants(database)
        if tenant is not None:
            issued = tenants.issue(tenant)
            facts = {"id": issued.id, "tenant": issued.tenant, "token": issued.token}
            print(json.dumps(facts) if as_json else issued.token)
        else:
            records = tenants.tokens() if revoke is None else [tenants.revoke(revoke)]
            documents = [_document(record) for record in records]
            if as_json:
                print(json.dumps(documents if revoke is None else documents[0]))
            else:
                print("\n".join(_line(record) for record in records) or "no tokens yet")
    finally:
        database.close()


def _document(record: TokenRecord) -> dict[str, object]:
    revoked = None if record.revoked_unix is None else _date(record.revoked_unix)
    return {
        "id": record.id,
        "tenant": record.tenant,
        "created": _date(record.created_unix),
        "revoked": revoked,
    }


def _line(record: TokenRecord) -> str:
    state = "in force" if record.revoked_unix is None else f"revoked {_date(record.revoked_unix)}"
    return f"{record.id}  {record.tenant}  made {_date(record.created_unix)}  {state}"


def _date(unix: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))
