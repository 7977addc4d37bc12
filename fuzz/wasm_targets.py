"""The parsers on the side of WebAssembly under fire: modules, components, interfaces, values, image layouts.

The invariant is that of `fuzz.targets`; what can be printed again must also come back as the same.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from contextlib import suppress
from pathlib import Path

from lawow.errors import FormatError
from lawow.formats.component import COMPONENT_HEADER, core_modules, require_sound_component
from lawow.formats.oci import find_wasm_layer
from lawow.formats.signature import parse_typed_signature, typed_wit_of
from lawow.formats.state import (
    BLOCK_BYTES,
    NULL,
    GlobalValue,
    InstanceState,
    MemoryImage,
    TableImage,
    decode_delta,
    decode_state,
)
from lawow.formats.wasm import function_names, inspect_module
from lawow.formats.wasm_expose import expose_state, state_findings
from lawow.formats.wave import parse_wave, print_wave, to_json
from lawow.formats.wit import (
    Enumeration,
    Field,
    Flags,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
    parse_wit,
    print_wit,
)
from lawow.limits import MODULE

__all__ = [
    "components",
    "inspect",
    "layouts",
    "modules",
    "open_components",
    "open_layout",
    "read_signature",
    "read_state",
    "read_value",
    "read_wit",
    "signatures",
    "states",
    "values",
    "worlds",
]

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


# ---- modules and components


def modules() -> list[bytes]:
    """Return modules of a compiler, with every kind of section that one has, and the smallest one."""
    paths = ("wasm/arrays.wasm", "wasi/exit_status.wasm", "app/src/main/wasm/fibonacci.wasm")
    return [*((FIXTURES / path).read_bytes() for path in paths), b"\0asm\1\0\0\0"]


def inspect(data: bytes) -> None:
    """Read a module as a command does: the scan, with and without its limits, and names for a backtrace."""
    info = inspect_module(data)
    function_names(data, info)
    inspect_module(memoryview(data), limits=MODULE)
    if not state_findings(data):
        exposed = expose_state(data)
        if expose_state(exposed) != exposed:
            raise AssertionError("an exposed module is exposed once more")


def states() -> list[bytes]:
    """Return a state with every kind of part, and a delta behind it."""
    parts = (GlobalValue(0, "i64", 7),), (TableImage(0, (1, NULL)),)
    state = InstanceState("ab" * 32, *parts, (MemoryImage(0, 2, {3: b"\1" * BLOCK_BYTES}),))
    return [state.encode(), state.delta(InstanceState("ab" * 32)).encode()]


def read_state(data: bytes) -> None:
    """Read a state or a delta, with a right frame around it, so that what is behind the digest is reached."""
    try:
        body = zlib.decompressobj().decompress(data[76:], 1 << 20)
    except zlib.error:
        body = data[76:]
    framed = data[:72].ljust(72, b"\0") + len(body).to_bytes(4, "little")
    whole = framed + zlib.compress(body) + hashlib.sha256(framed + body).digest()
    for decode in (decode_state, decode_delta):
        with suppress(FormatError):
            if decode(decode(whole).encode()) != decode(whole):
                raise AssertionError("a state is another after it was written again")


def components() -> list[bytes]:
    """Return a component with a core module, and one with a component in it."""

    def section(kind: int, content: bytes) -> bytes:
        return bytes((kind, len(content) & 0x7F | 0x80, len(content) >> 7)) + content

    inner = COMPONENT_HEADER + section(1, modules()[1]) + section(0, b"\4name")
    return [inner, COMPONENT_HEADER + section(4, inner) + section(1, modules()[-1])]


def open_components(data: bytes) -> None:
    """Find the core modules; each lies inside of the file."""
    for offset, size in core_modules(data):
        if not 0 <= offset <= offset + size <= len(data):
            raise AssertionError(f"a core module at {offset}, {size} bytes, in {len(data)}")
    require_sound_component(data, MODULE)


# ---- interfaces and values


def worlds() -> list[bytes]:
    """Return WIT documents with every kind of definition that is read."""
    rich = """package a:b@1.0.0;
    /// shapes
    interface shapes {
      record point { x: s32, y: f64 }
      variant shape { circle(f32), %record, none }
      enum colour { red, green }
      flags rights { read, write }
      type points = list<point>;
      move: func(p: point, by: option<tuple<u8, char>>) -> result<points, string>;
      try: func() -> result; forget: func() -> result<_, string>;
    }
    world w { export shapes; export f: func(n: list<u8>, b: bool) -> string; }"""
    return [rich.encode(), b"world w { export fib: func(n: s32) -> s64; }"]


def read_wit(data: bytes) -> None:
    """Read a document; what is printed of it is read, and printed again as the same."""
    text = print_wit(parse_wit(data.decode("utf-8", "surrogateescape")))
    if print_wit(parse_wit(text)) != text:
        raise AssertionError(f"WIT does not come back: {text}")


U8, F32, STRING, CHAR, BOOL = map(Primitive, ("u8", "f32", "string", "char", "bool"))
COLOUR = Enumeration(("red", "green"), "colour")
POINT = Record((Field("x", Primitive("s64")), Field("y", F32), Field("z", Option(U8))), "point")
SHAPE = Variant((Field("circle", F32), Field("none", None), Field("many", ListOf(POINT))), "shape")
TYPES: tuple[WitType, ...] = (
    *(U8, F32, STRING, CHAR, BOOL, COLOUR, POINT, SHAPE, Flags(("read", "write"), "rights")),
    *(ListOf(ListOf(STRING)), Tuple((BOOL, CHAR, Primitive("f64"))), Option(Option(STRING))),
    *(Result(POINT, STRING), Result(None, None), Result(SHAPE, None)),
)


def values() -> list[bytes]:
    """Return values in text, each behind the number of its type in `TYPES`."""
    texts = {
        0: "255",
        1: "-1.5e3",
        2: '"a\\n\\u{1F600}b"',
        3: "'\\''",
        4: "true",
        5: "red",
        8: "{read, write}",
        6: "{x: -5, y: nan, z: some(3)}",
        7: "many([{x: 1, y: inf}, {y: 2, x: 0, z: none}])",
        9: '[["a"], [], ["b", "c"]]',
        10: "(true, 'x', 1)",
        11: 'some(some("a"))',
        12: 'err("no")',
        13: "ok",
        14: "ok(circle(0.5))",
    }
    return [bytes((number,)) + text.encode() for number, text in texts.items()]


def read_value(data: bytes) -> None:
    """Read a value; what is printed of it is read as the same, and it has a form in JSON."""
    item = TYPES[data[0] % len(TYPES)] if data else U8
    value = parse_wave(data[1:].decode("utf-8", "surrogateescape"), item)
    text = print_wave(value, item)
    if print_wave(parse_wave(text, item), item) != text:
        raise AssertionError(f"WAVE does not come back: {text!r}")
    json.dumps(to_json(value, item))


def signatures() -> list[bytes]:
    """Return signatures in letters."""
    return [b"iIfF>F", b"&[i[b>[i", b"SS>S", b">"]


def read_signature(data: bytes) -> None:
    """Read a signature, whose text is kept and which has a declaration in WIT."""
    text = data.decode("utf-8", "surrogateescape")
    signature = parse_typed_signature(text)
    if signature.text != text:
        raise AssertionError(f"a signature has two texts: {text!r}")
    typed_wit_of("f", signature)


# ---- image layouts


def layouts() -> list[bytes]:
    """Return the four files of a layout, with words in place of digests."""
    manifest = {"layers": [{"mediaType": "application/wasm", "digest": "sha256:LAYER", "size": 8}]}
    index = {"manifests": [{"mediaType": "x", "digest": "sha256:MANIFEST", "size": 77}]}
    files = ({"imageLayoutVersion": "1.0.0"}, index, manifest)
    texts = [json.dumps(item).encode() for item in files]
    texts[1] = texts[1].replace(b"77", str(len(texts[2]) + 64 - len("LAYER")).encode())
    return [b"\x1e".join((*texts, b"\0asm\1\0\0\0"))]


def open_layout(data: bytes) -> None:
    """Find the layer. Digests are put in first: they would hide all other faults."""
    layout, index, manifest, layer = (*data.split(b"\x1e"), b"", b"", b"", b"")[:4]
    manifest = manifest.replace(b"LAYER", _digest(layer))
    index = index.replace(b"MANIFEST", _digest(manifest))
    files = {"oci-layout": layout, "index.json": index}
    files |= {f"blobs/sha256/{_digest(blob).decode()}": blob for blob in (manifest, layer)}

    def read(name: str) -> bytes:
        if name not in files:
            raise FormatError("there is no such file", file=name)
        return files[name]

    if find_wasm_layer(read, "layout") != layer:
        raise AssertionError("another layer came back")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
