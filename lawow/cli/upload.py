"""``lawow upload``: bring a bundle, a module or a model to an edge."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import click

from lawow.device.edge_client import EdgeClient, RemoteModule
from lawow.errors import UsageError

__all__ = ["command", "read_token"]

WASM_MAGIC = b"\0asm"
TOKEN_VARIABLE = "LAWOW_TOKEN"


def read_token(path: Path | None) -> str:
    """Return the token in a file, or in the environment. Raises `UsageError`; never quotes a token."""
    text = path.read_text(errors="replace") if path is not None else os.environ.get(TOKEN_VARIABLE, "")
    if not text.strip():
        source = (
            f"{path} is empty" if path is not None else f"there is neither --token-file nor {TOKEN_VARIABLE}"
        )
        raise UsageError(f"{source}; `lawow token` on the edge makes a token")
    return text.strip()


@click.command("upload", short_help="Bring a bundle, a module or a model to an edge.")
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
@click.option("--model", metavar="NAME", help="FILE is an ONNX model, which modules load by this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: modules with digest, bytes, exports.")
def command(
    file: Path,
    url: str,
    token_file: Path | None,
    certificate_sha256: str | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Upload FILE, an offload bundle (.jar), a module (.wasm) or with --model a model, to an edge.

    Returns when everything is stored, valid and compiled there. Doing it again does no harm. A model needs
    the grant `nn`, and takes the place of one of that name.
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
        if model is not None:
            client.upload_model(model, data)
            digest = hashlib.sha256(data).hexdigest()
            found = {"name": model, "digest": f"sha256:{digest}", "bytes": len(data)}
            print(
                json.dumps({"models": [found]}) if as_json else f"{model}  sha256:{digest}  {len(data)} bytes"
            )
            return
        is_module = data.startswith(WASM_MAGIC)
        modules = [client.upload_module(data)] if is_module else client.upload_bundle(data)
    if as_json:
        print(json.dumps({"modules": [_document(module) for module in modules]}))
        return
    for module in modules:
        print(f"sha256:{module.digest}  {module.size_bytes} bytes")
        for export in module.exports:
            print(f"  {export.wit}")


def _document(module: RemoteModule) -> dict[str, object]:
    exports = [{"name": item.name, "signature": item.signature, "wit": item.wit} for item in module.exports]
    return {"digest": f"sha256:{module.digest}", "bytes": module.size_bytes, "exports": exports}
