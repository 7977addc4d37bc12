"""The one WebAssembly layer of an OCI image layout, found by digests that are all checked.

``oci-layout`` names the version, ``index.json`` a manifest, the manifest its layers, each by SHA-256; the
files lie in ``blobs/sha256``. Exactly one layer must be WebAssembly. Refused: other digest algorithms, an
index with several manifests or none, content that does not have its digest or size. Source: OCI image
specification 1.1, ``image-layout.md``, ``image-index.md``, ``manifest.md``; media types of the Wasm OCI
artifact guidance.
"""

from __future__ import annotations

import hashlib
import json
import re

from lawow.errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OCI_LAYOUT", "find_wasm_layer"]

OCI_LAYOUT = "oci-layout"
_VERSION = "1.0.0"
_WASM_TYPES = ("application/wasm", "application/vnd.wasm.content.layer.v1+wasm")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_LARGEST_DOCUMENT_BYTES = 1 << 20


def find_wasm_layer(read: Callable[[str], bytes], label: str) -> bytes:
    """Return the layer's content; `read` returns the file of a relative name, `label` is for errors.

    Raises `FormatError`, and what `read` raises.
    """
    layout = _document(read(OCI_LAYOUT), OCI_LAYOUT, label)
    if layout.get("imageLayoutVersion") != _VERSION:
        raise _fail("the layout's version is unknown", label, layout.get("imageLayoutVersion"), _VERSION)
    index = _document(read("index.json"), "index.json", label)
    manifests = _descriptors(index, "manifests", label)
    if len(manifests) != 1:
        raise _fail("the image must be one", label, f"{len(manifests)} manifests", "1")
    manifest = _document(_blob(manifests[0], read, label), "manifest", label)
    layers = [
        item for item in _descriptors(manifest, "layers", label) if item.get("mediaType") in _WASM_TYPES
    ]
    if len(layers) != 1:
        raise _fail("the image must have one layer of WebAssembly", label, f"{len(layers)} such layers", "1")
    return _blob(layers[0], read, label)


def _fail(message: str, label: str, found: object, allowed: object) -> FormatError:
    return FormatError(message, structure="OCI image layout", found=found, allowed=allowed, file=label)


def _document(data: bytes, name: str, label: str) -> dict[str, object]:
    if len(data) > _LARGEST_DOCUMENT_BYTES:
        raise _fail(f"{name} is too long", label, len(data), _LARGEST_DOCUMENT_BYTES)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _fail(f"{name} is no JSON", label, bytes(data[:20]), "an object") from None
    if not isinstance(document, dict):
        raise _fail(f"{name} is no object", label, type(document).__name__, "an object")
    return document


def _descriptors(document: dict[str, object], key: str, label: str) -> list[dict[str, object]]:
    items = document.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _fail(f"{key} is no list of descriptors", label, type(items).__name__, "a list of objects")
    return items


def _blob(descriptor: dict[str, object], read: Callable[[str], bytes], label: str) -> bytes:
    """Return the content of a descriptor, which must have its digest and size."""
    digest = descriptor.get("digest")
    match = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    if match is None:
        raise _fail("a descriptor has no digest that is supported", label, repr(digest)[:100], "sha256:...")
    content = read(f"blobs/sha256/{match.group(1)}")
    if hashlib.sha256(content).hexdigest() != match.group(1) or descriptor.get("size") != len(content):
        raise _fail("a file does not have its digest and size", label, f"{len(content)} bytes", digest)
    return content
