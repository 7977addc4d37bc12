"""OCI image layouts: hostile documents give a format error and nothing else."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError
from lawow.formats.oci import OCI_LAYOUT, find_wasm_layer

LAYER = b"\0asm\1\0\0\0"


def files(layers: list[dict[str, object]] | None = None) -> dict[str, bytes]:
    """Return a layout by file name; `layers` are added to the one that is right."""

    def put(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        found[f"blobs/sha256/{digest}"] = content
        return f"sha256:{digest}"

    found: dict[str, bytes] = {OCI_LAYOUT: b'{"imageLayoutVersion": "1.0.0"}'}
    layer = {"mediaType": "application/wasm", "digest": put(LAYER), "size": len(LAYER)}
    manifest = json.dumps({"layers": [layer, *(layers or [])]}).encode()
    index = {"manifests": [{"digest": put(manifest), "size": len(manifest)}]}
    found["index.json"] = json.dumps(index).encode()
    return found


def test_the_layer_is_found_among_others() -> None:
    assert find_wasm_layer(files([{"mediaType": "text/plain"}]).__getitem__, "image") == LAYER


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (OCI_LAYOUT, b"{}"),
        (OCI_LAYOUT, b"["),
        ("index.json", b"[]"),
        ("index.json", b'{"manifests": []}'),
        ("index.json", b'{"manifests": [1]}'),
        ("index.json", b'{"manifests": [{"digest": "sha512:00", "size": 1}]}'),
        ("index.json", b'{"manifests": [{"digest": "sha256:../../../../etc/passwd"}]}'),
        ("index.json", b"[" * 100_000),
    ],
)
def test_what_is_no_layout_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(FormatError, match="image"):
        find_wasm_layer((files() | {name: content}).__getitem__, "image")


def test_two_modules_are_refused() -> None:
    with pytest.raises(FormatError, match="one layer"):
        find_wasm_layer(files([{"mediaType": "application/wasm"}]).__getitem__, "image")


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["layers", "digest"]), inner),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(JSON, st.sampled_from([OCI_LAYOUT, "index.json"]))
def test_any_document_gives_a_format_error(document: object, name: str) -> None:
    with pytest.raises(FormatError):
        find_wasm_layer((files() | {name: json.dumps(document).encode()}).__getitem__, "image")
