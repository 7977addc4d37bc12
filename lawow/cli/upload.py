"""``lawow upload``: bring a bundle, a module or a model to an edge."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from lawow.cli.edge_options import WASM_MAGIC, EdgeOptions, named_if_bad, with_edge
from lawow.device.edge_client import RemoteModule
from lawow.formats.interface import FOR_THE_CALLER

__all__ = ["command"]


@click.command("upload", short_help="Bring a bundle, a module or a model to an edge.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_edge
@click.option("--model", metavar="NAME", help="FILE is an ONNX model, which modules load by this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: modules with digest, bytes, exports.")
def command(file: Path, edge: EdgeOptions, model: str | None, as_json: bool) -> None:
    """Upload FILE, an offload bundle (.jar), a module (.wasm) or with --model a model, to an edge.

    Returns when everything is stored, valid and compiled there. Doing it again does no harm. A model needs
    the grant `nn`, and takes the place of one of that name.
    """
    data = file.read_bytes()
    with edge.client() as client:
        if model is not None:
            client.upload_model(model, data)
            _show_model(model, data, as_json=as_json)
            return
        is_module = data.startswith(WASM_MAGIC)
        with named_if_bad(file):
            modules = [client.upload_module(data)] if is_module else client.upload_bundle(data)
    if as_json:
        print(json.dumps({"modules": [_document(module) for module in modules]}))
        return
    for module in modules:
        print(f"sha256:{module.digest}  {module.size_bytes} bytes")
        for export in module.exports:
            if export.name not in FOR_THE_CALLER:
                print(f"  {export.wit}")


def _show_model(name: str, data: bytes, *, as_json: bool) -> None:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    found = {"name": name, "digest": digest, "bytes": len(data)}
    print(json.dumps({"models": [found]}) if as_json else f"{name}  {digest}  {len(data)} bytes")


def _document(module: RemoteModule) -> dict[str, object]:
    exports = [{"name": item.name, "signature": item.signature, "wit": item.wit} for item in module.exports]
    return {"digest": f"sha256:{module.digest}", "bytes": module.size_bytes, "exports": exports}
