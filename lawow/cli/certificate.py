"""``lawow certificate``: a self-signed certificate for an edge."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lawow.durable import replace_all
from lawow.errors import Refused

__all__ = ["command"]

DAYS = 825


@click.command("certificate", short_help="Make a self-signed certificate for an edge.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
@click.option(
    "--host", "hosts", required=True, multiple=True, help="DNS name or IP address; may be repeated."
)
@click.option("--days", default=DAYS, show_default=True, type=click.IntRange(1, 36_500), help="Validity.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: cert, key, pin, not_after.")
def command(out: Path, hosts: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make an EC P-256 key and a self-signed certificate, edge.key and edge.crt (mode 0600); print its pin.

    Devices trust the edge by the pin, the SHA-256 of the certificate.
    """
    from lawow.server.tls import make_certificate

    certificate, key = out / "edge.crt", out / "edge.key"
    made = make_certificate(hosts, days)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        replace_all([(key, made.key_pem), (certificate, made.certificate_pem)], mode=0o600, overwrite=False)
    except FileExistsError:
        raise Refused(f"{out} holds a certificate already; take another folder, or remove it first") from None
    facts = {
        "cert": str(certificate),
        "key": str(key),
        "pin": made.leaf.pin,
        "not_after": f"{made.leaf.not_after:%Y-%m-%dT%H:%M:%SZ}",
    }
    if as_json:
        print(json.dumps(facts))
    else:
        print(f"{certificate} and {key}, valid until {facts['not_after']}\npin (SHA-256): {made.leaf.pin}")
