"""``lawow token``: make, list and revoke the tokens of an edge."""

from __future__ import annotations

import time
from pathlib import Path

import click

from lawow.cli.operator_options import data_option, date_text, json_option, open_database, show
from lawow.edge.policies import DEFAULT_SCOPES, SCOPES, parse_duration
from lawow.edge.tenants import Tenants, TokenRecord, TokenTerms
from lawow.errors import UsageError

__all__ = ["command"]


@click.command("token", short_help="Make, list and revoke tokens of an edge.")
@data_option
@click.option("--tenant", help="Make a token for this tenant, who is created if new.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="NAME",
    help=f"What it is for, of {', '.join(SCOPES)}; may be repeated. Else: {', '.join(DEFAULT_SCOPES)}.",
)
@click.option("--expires", metavar="TIME", help="After 90s, 15m, 12h or 30d; else when it is revoked.")
@click.option(
    "--module", "modules", multiple=True, metavar="DIGEST", help="For this module alone; may be repeated."
)
@click.option("--rate", type=click.IntRange(1), metavar="N", help="At most so many requests in a second.")
@click.option("--list", "lists", is_flag=True, help="List all tokens; their texts are not kept.")
@click.option("--revoke", metavar="ID", help="Make a token invalid, at once.")
@json_option
def command(
    data: Path,
    tenant: str | None,
    scopes: tuple[str, ...],
    expires: str | None,
    modules: tuple[str, ...],
    rate: int | None,
    lists: bool,
    revoke: str | None,
    as_json: bool,
) -> None:
    """Make a token for a tenant of the edge on --data, or list or revoke tokens.

    A new token is printed once and cannot be shown again. The edge may run meanwhile.
    """
    if sum((tenant is not None, lists, revoke is not None)) != 1:
        raise UsageError("give exactly one of --tenant NAME, --list, --revoke ID")
    if tenant is None and (scopes or expires or modules or rate):
        raise UsageError("--scope, --expires, --module and --rate belong to a new token; add --tenant NAME")
    until = None if expires is None else int(time.time()) + parse_duration(expires)
    with open_database(data, make=tenant is not None) as database:
        tenants = Tenants(database)
        if tenant is not None:
            issued = tenants.issue(tenant, TokenTerms(scopes or DEFAULT_SCOPES, modules, until, rate))
            facts = {"id": issued.id, "tenant": issued.tenant, "token": issued.token}
            show(facts | _terms(issued.terms), issued.token, as_json)
            return
        records = tenants.tokens() if revoke is None else [tenants.revoke(revoke)]
    documents = [_document(record) for record in records]
    text = "\n".join(_line(record) for record in records) or "no tokens yet"
    show(documents if revoke is None else documents[0], text, as_json)


def _terms(terms: TokenTerms) -> dict[str, object]:
    return {
        "scopes": list(terms.scopes),
        "modules": [f"sha256:{digest}" for digest in terms.modules],
        "expires": date_text(terms.expires_unix),
        "requests_per_second": terms.requests_per_second,
    }


def _document(record: TokenRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "tenant": record.tenant,
        "created": date_text(record.created_unix),
        "revoked": date_text(record.revoked_unix),
        **_terms(record.terms),
    }


def _line(record: TokenRecord) -> str:
    terms = record.terms
    state = "in force" if record.revoked_unix is None else f"revoked {date_text(record.revoked_unix)}"
    ends = f"  until {date_text(terms.expires_unix)}" if terms.expires_unix is not None else ""
    made = date_text(record.created_unix)
    return f"{record.id}  {record.tenant}  made {made}  {state}  {','.join(terms.scopes)}{ends}"
