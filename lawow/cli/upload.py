"""``lawow upload``: bring a bundle or a module to an edge."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from lawow.device.edge_client import EdgeClient, EdgeProblem, RemoteModule
from lawow.errors import FormatError, UsageError
from lawow.formats.interface import FOR_THE_CALLER

__all__ = ["command", "read_token"]

WASM_MAGIC = b"\0asm"
TOKEN_VARIABLE = "LAWOW_TOKEN"
BAD_MODULE = "bad-module"
"""The edge's word for a file that is none, or that it does not take."""


def read_token(path: Path | None) -> str:
    """Return the token in a file, or in the environment. Raises `UsageError`; never quotes a token."""
    text = path.read_text(errors="replace") if path is not None else os.environ.get(TOKEN_VARIABLE, "")
    if not text.strip():
        source = (
            f"{path} is empty" if path is not None else f"there is neither --token-file nor {TOKEN_VARIABLE}"
        )
        raise UsageError(f"{source}; `lawow token` on the edge makes a token")
    return text.strip()


@click.command("upload", short_help="Bring a bundle or a module to an edge.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--edge", "url", required=True, metavar="URL", help="https://HOST:PORT of the edge.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"File with the token; else the environment's {TOKEN_VARIABLE}.",
)
@click.option("--certificate-sha256", metavar="HEX", help="Trust the edge by the pin of its certificate.")
@click.option(
    "--ca",
    "ca_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust what the certificates in this PEM file vouch for.",
)
@click.option(
    "--client-cert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificate of the token's tenant, for an edge that asks for one.",
)
@click.option(
    "--client-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its key, PEM."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: modules with digest, bytes, exports.")
def command(
    file: Path,
    url: str,
    token_file: Path | None,
    certificate_sha256: str | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    as_json: bool,
) -> None:
    """Upload FILE, an offload bundle (.jar) or a module (.wasm), to an edge.

    Returns when everything is stored, valid and compiled there. Doing it again does no harm.
    """
    if (client_cert is None) != (client_key is None):
        raise UsageError("--client-cert and --client-key belong together; `lawow certs issue` makes both")
    own = (client_cert, client_key) if client_cert is not None and client_key is not None else None
    data = file.read_bytes()
    with EdgeClient(
        url,
        read_token(token_file),
        certificate_sha256=certificate_sha256,
        ca_file=ca_file,
        client_certificate=own,
    ) as client:
        is_module = data.startswith(WASM_MAGIC)
        try:
            modules = [client.upload_module(data)] if is_module else client.upload_bundle(data)
        except EdgeProblem as problem:
            if problem.code != BAD_MODULE:
                raise
            raise FormatError(str(problem), file=str(file)) from None
    if as_json:
        print(json.dumps({"modules": [_document(module) for module in modules]}))
        return
    for module in modules:
        print(f"sha256:{module.digest}  {module.size_bytes} bytes")
        for export in module.exports:
            if export.name not in FOR_THE_CALLER:
                print(f"  {export.wit}")


def _document(module: RemoteModule) -> dict[str, object]:
    exports = [{"name": item.name, "signature": item.signature, "wit": item.wit} for item in module.exports]
    return {"digest": f"sha256:{module.digest}", "bytes": module.size_bytes, "exports": exports}
