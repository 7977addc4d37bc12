"""``lawow offload`` and ``lawow leases``: walk the offload sequence with a module, and see what is held."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from lawow.cli.edge_options import WASM_MAGIC, EdgeOptions, named_if_bad, with_edge
from lawow.device.control_client import ControlClient
from lawow.device.edge_client import printable
from lawow.device.offload_handler import Offer, Offers, Offloaded, OffloadHandler
from lawow.errors import FormatError, Refused, UsageError

__all__ = ["command", "leases"]

KINDS = {
    "cpu_cores": int,
    "memory_bytes": int,
    "latency_seconds": float,
    "price_ceiling": float,
    "engine": str,
    "engine_version": str,
    "accelerator": str,
    "tee": str,
    "currency": str,
}
"""What --require takes, as docs/edge.md describes it."""


@click.command("offload", short_help="Offload a module: request, select, transfer, initialise.")
@click.argument("module", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--require", default="", metavar="KEY=VALUE,...", help="What the host must have.")
@click.option(
    "--choice",
    type=click.Choice(["application", "provider", "mixed"]),
    default="application",
    show_default=True,
    help="Who selects; here the application takes the first offer.",
)
@with_edge
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(module: Path, require: str, choice: str, edge: EdgeOptions, as_json: bool) -> None:
    """Walk the offload sequence with MODULE and print each step; the lease stays until it is not used.

    --require takes cpu_cores, memory_bytes, engine, engine_version, accelerator, tee, latency_seconds,
    price_ceiling and currency.
    """
    requirements, wasm = _requirements(require), module.read_bytes()
    if not wasm.startswith(WASM_MAGIC):
        raise FormatError("is no WebAssembly module", found=wasm[:4], allowed=WASM_MAGIC, file=str(module))
    with edge.client() as client, named_if_bad(module):
        handler = OffloadHandler(client)
        started = time.perf_counter()
        offers = handler.request(wasm, choice=choice, requirements=requirements)
        item = offers.selected or handler.select(offers, _first(offers))
        seconds = time.perf_counter() - started
    if as_json:
        print(json.dumps({**_document(item), "offers": len(offers.offers), "seconds": seconds}))
    else:
        _print_steps(offers, item, seconds)


@click.command("leases", short_help="List the leases of a tenant.")
@with_edge
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leases(edge: EdgeOptions, as_json: bool) -> None:
    """List what the token's tenant holds on an edge, and what ended within the last hour."""
    with edge.client() as client:
        found = ControlClient(client).leases()
    if as_json:
        print(json.dumps({"leases": found}))
        return
    for item in found:
        print(printable("  ".join(str(item.get(key)) for key in ("lease", "state", "host", "module"))))
    if not found:
        print("no leases")


def _requirements(text: str) -> dict[str, object]:
    """Read ``engine=wasmtime,memory_bytes=65536``. Raises `UsageError` with the keys that exist."""
    found: dict[str, object] = {}
    for item in filter(None, text.split(",")):
        key, _, value = item.partition("=")
        if key not in KINDS:
            raise UsageError(f"--require knows no {key!r}; it takes {', '.join(KINDS)}")
        try:
            found[key] = KINDS[key](value)
        except ValueError:
            raise UsageError(f"--require {key}={value}: not a number") from None
    return found


def _first(offers: Offers) -> Offer:
    """Return the first offer of this edge itself. Raises `Refused` with what is not met."""
    for offer in offers.offers:
        if not offer.url:
            return offer
    places = [f"{offer.host} has an edge of its own at {offer.url}" for offer in offers.offers]
    raise Refused(f"this edge offers nothing: {'; '.join([*offers.unmet, *places])}")


def _document(item: Offloaded) -> dict[str, object]:
    return {
        "lease": item.lease,
        "module": f"sha256:{item.digest}",
        "host": item.host,
        "state": item.state,
        "transferred_bytes": item.transferred_bytes,
        "endpoint": item.endpoint,
    }


def _print_steps(offers: Offers, item: Offloaded, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("step", "what came of it", caption=f"{seconds:.3f} s in all")
    names = ", ".join(offer.host for offer in offers.offers) or "none"
    table.add_row("request", f"offers: {names}")
    table.add_row("select", f"lease {item.lease} on {item.host}")
    sent = f"{item.transferred_bytes:,} bytes" if item.transferred_bytes else "nothing: the host has it"
    table.add_row("transfer", sent)
    table.add_row("initialise", item.state)
    Console().print(table)
