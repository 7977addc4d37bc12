"""``lawow certs``: an authority for development, and the certificates of edge and tenants that it signs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.operator_options import data_option, date_text, json_option, open_database, show
from lawow.edge.policies import DEFAULT_SCOPES, require_scopes
from lawow.edge.tenants import Tenants
from lawow.errors import UsageError

__all__ = ["command"]

if TYPE_CHECKING:
    from collections.abc import Callable

    from lawow.server.authority import Issued

FOLDER = click.Path(file_okay=False, path_type=Path)
SERIAL_DIGITS = 40
LEAF_DAYS = 30


def _ca_option(function: Callable[..., None]) -> Callable[..., None]:
    return click.option("--ca", required=True, type=FOLDER, help="The authority's folder; keep it private.")(
        function
    )


@click.group("certs", short_help="A development authority: certificates for an edge and its tenants.")
def command() -> None:
    """Make an authority, have it sign certificates, list and revoke them.

    For one edge whose devices know its pin, `lawow certificate` is enough.
    Each prints JSON with --json.
    """


@command.command("init")
@_ca_option
@click.option("--host", "hosts", multiple=True, help="DNS name, address or network it may sign for.")
@json_option
def _init(ca: Path, hosts: tuple[str, ...], as_json: bool) -> None:
    """Make an authority that may sign for the hosts, loopback and tenants alone; for a year."""
    from lawow.server.authority import init_authority

    issued = init_authority(ca, hosts)
    _show(issued, {"ca": str(ca / "ca.crt")}, as_json)


@command.command("issue")
@_ca_option
@click.option("--host", "hosts", multiple=True, help="For an edge under this name; may be repeated.")
@click.option("--tenant", help="For a client of this tenant.")
@click.option("--scope", "scopes", multiple=True, metavar="NAME", help="As for `lawow token`.")
@click.option("--out", required=True, type=FOLDER, help="Folder to write to.")
@click.option("--days", default=LEAF_DAYS, show_default=True, help="Validity; 90 at most.")
@json_option
def _issue(
    ca: Path,
    hosts: tuple[str, ...],
    tenant: str | None,
    scopes: tuple[str, ...],
    out: Path,
    days: int,
    as_json: bool,
) -> None:
    """Sign a certificate for an edge (edge.crt, edge.key) or a tenant (client.crt, client.key); mode 0600."""
    from lawow.server.authority import Authority
    from lawow.server.client_certificates import tenant_uri

    if bool(hosts) == (tenant is not None) or (hosts and scopes):
        raise UsageError("give either --host NAME for an edge, or --tenant NAME, perhaps with --scope")
    authority = Authority(ca)
    if tenant is None:
        issued, stem = authority.issue_server(out, hosts, days), "edge"
    else:
        uri = tenant_uri(tenant, require_scopes(scopes or DEFAULT_SCOPES))
        issued, stem = authority.issue_client(out, tenant, uri, days), "client"
    _show(issued, {"cert": str(out / f"{stem}.crt"), "key": str(out / f"{stem}.key")}, as_json)


@command.command("list")
@_ca_option
@json_option
def _list_issued(ca: Path, as_json: bool) -> None:
    """List the certificates that the authority signed."""
    from lawow.server.authority import Authority

    listed = Authority(ca).issued()
    documents = [_document(issued) for issued in listed]
    lines = [
        f"{item['serial']}  until {item['not_after']}  {', '.join(issued.names)}"
        for issued, item in zip(listed, documents, strict=True)
    ]
    show(documents, "\n".join(lines) or "no certificates yet", as_json)


@command.command("revoke")
@click.argument("serial")
@data_option
@json_option
def _revoke(serial: str, data: Path, as_json: bool) -> None:
    """Have the edge on --data refuse the client certificate SERIAL, from the next request on."""
    digits = serial.lower().replace(":", "").lstrip("0")
    if not digits or len(digits) > SERIAL_DIGITS or set(digits) - set("0123456789abcdef"):
        raise UsageError(f"{serial!r} is no serial number in hex; `lawow certs list` shows them")
    with open_database(data) as database:
        tenants = Tenants(database)
        tenants.revoke_certificate(digits)
        since = date_text(tenants.revoked_certificates()[digits])
    show({"serial": digits, "revoked": since}, f"{digits}  revoked {since}", as_json)


def _document(issued: Issued) -> dict[str, object]:
    return {
        "serial": issued.serial,
        "names": list(issued.names),
        "not_after": date_text(int(issued.not_after.timestamp())),
    }


def _show(issued: Issued, files: dict[str, str], as_json: bool) -> None:
    from lawow.server.tls import pin_of_pem

    document = {**files, **_document(issued), "pin": pin_of_pem(issued.certificate_pem)}
    written = " and ".join(files.values())
    text = f"{written}, valid until {document['not_after']}\nserial {issued.serial}\npin {document['pin']}"
    show(document, text, as_json)
