"""Sound inputs to damage, small, and with something of everything: a fuzzer seldom invents a structure.

They are built here, so that fuzzing needs neither Android's tools nor a file of somebody else.
"""

from __future__ import annotations

import struct
from pathlib import Path

from lawow.formats.bundle import Origin, build_bundle
from lawow.formats.dex import (
    Assembly,
    ClassSource,
    DexBuilder,
    FieldSource,
    MethodSource,
    read_dex,
    transplant_class,
)
from lawow.formats.dex.mutf8 import encode_mutf8
from lawow.formats.dex.source import Instruction, Try
from lawow.formats.dex.spec import ValueType
from lawow.formats.dex.symbols import Annotation, EncodedAnnotation, EncodedValue, FieldRef
from lawow.formats.signing import debug_key, sign_apk
from lawow.formats.zip import make_entry, write_zip
from lawow.resources import android_stub

__all__ = [
    "PART",
    "apks",
    "app_parts",
    "archives",
    "bundles",
    "dex_files",
    "libraries",
    "manifests",
    "mappings",
    "models",
    "texts",
    "traces",
]

ANDROID = "http://schemas.android.com/apk/res/android"
RESOURCE_IDS = {"name": 0x01010003, "debuggable": 0x0101000F, "minSdkVersion": 0x0101020C}
NONE = 0xFFFFFFFF
IS_STRING, IS_NUMBER, IS_BOOLEAN = 3, 0x10, 0x12
UTF8_POOL = 0x100
PART = b"\n--part--\n"
FROM_STUB = ("Trap", "RemoteCall$Stage", "ValueType")  # code of a compiler: debug_info, switches, an enum


def archives() -> list[bytes]:
    """Return an archive with a compressed and a stored entry."""
    entries = [make_entry("a.txt", b"text" * 100), make_entry("b/c.bin", bytes(50), compress=False)]
    return [write_zip(entries, align=True)]


def apks() -> list[bytes]:
    """Return signed APKs: v2 and v3 alone, and with v1."""
    entries = [
        make_entry("AndroidManifest.xml", manifests()[0]),
        make_entry("classes.dex", dex_files()[0]),
    ]
    return [sign_apk(entries, debug_key(), min_sdk=min_sdk) for min_sdk in (24, 21)]


def libraries() -> list[bytes]:
    """Return the glue for both ABIs, behind the number of bits that a page has, and a header of 32 bits."""
    whole = [android_stub("prebuilt", abi, "liblawow.so").read_bytes() for abi in ("arm64-v8a", "x86_64")]
    return [bytes((14,)) + data for data in (*whole, _small_library())]


def _small_library() -> bytes:
    """Return a 32-bit library of headers, one segment that holds all of it, and a dynamic section."""
    strings, dynamic = b"\0libc.so\0", ((5, 180), (10, 9), (1, 1), (0, 0))  # STRTAB, STRSZ, NEEDED, NULL
    content = b"".join(struct.pack("<II", *row) for row in dynamic) + bytes(32) + strings
    size = 116 + len(content)
    ident = b"\x7fELF\1\1\1" + bytes(9)
    head = struct.pack("<16sHHIIIIIHHHHHH", ident, 3, 40, 1, 0, 52, 0, 0, 52, 32, 2, 40, 0, 0)
    load = struct.pack("<8I", 1, 0, 0, 0, size, size, 5, 0x1000)
    return head + load + struct.pack("<8I", 2, 116, 116, 116, 32, 32, 6, 4) + content


def app_parts() -> list[bytes]:
    """Return what the doctor looks at, with `PART` in between: manifest, code, library, settings, module."""
    properties = b"edge=https://edge.example:8443\ntoken=secret\ntimeout=5\n"
    module = b"\0asm\1\0\0\0"
    return [
        PART.join((manifest, dex, library[1:], properties, module))
        for manifest, dex, library in zip(manifests(), dex_files(), libraries(), strict=False)
    ]


def bundles() -> list[bytes]:
    """Return a bundle of one module."""
    module = b"\0asm\1\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x05\x01\x01f\0\0\x0a\x04\x01\x02\0\x0b"
    return [build_bundle({"f.wasm": module}, (), Origin("com.example", "0" * 64))]


def mappings() -> list[bytes]:
    """Return a mapping of R8."""
    return [b"# compiler: R8\ncom.example.Fib -> a.b:\n    int calls -> a\n    1:3:int fib(int):7:9 -> c\n"]


def traces() -> list[bytes]:
    """Return a method trace of Android as it is written at the end, and one that was streamed."""
    header, size = struct.Struct("<4sHHQH14x"), 14
    method = b"0x4\tcom.example.Fft\trun\t([D)V\tFft.java\n"
    text = b"*version\n3\nclock=dual\nclock-call-overhead-nsec=90\n*threads\n1\tmain\n*methods\n%s*end\n"
    records = b"".join(struct.pack("<HIII", 1, 4 | at & 1, 90 * at, 100 * at) for at in range(8))
    name, end = struct.pack("<HBH", 0, 1, len(method)) + method, text % b""
    return [
        text % method + header.pack(b"SLOW", 3, 32, 0, size) + records,
        header.pack(b"SLOW", 0xF3, 32, 0, size) + name + records + struct.pack("<HBI", 0, 3, len(end)) + end,
    ]


def models() -> list[bytes]:
    """Return an ONNX model."""
    return [(Path(__file__).resolve().parent.parent / "fixtures" / "nn" / "edges.onnx").read_bytes()]


def texts() -> list[bytes]:
    """Return MUTF-8 of one, two and three bytes, of a pair of surrogates, and of half of one."""
    return [encode_mutf8(text) for text in ("", "text", "\0", "\u20ac\U0001f600", "\ud800")]


def dex_files() -> list[bytes]:
    """Return a file of two plain classes, one with every other kind of item, and compiled classes."""
    plain, rich, compiled = DexBuilder("039"), DexBuilder("035"), DexBuilder("035")
    body = Assembly(2, [("const-string", 0, "text"), ("return-void",)])
    plain.add(ClassSource("Lcom/example/A;", methods=(MethodSource("run", "()V", 0x9, body),)))
    plain.add(ClassSource("Lcom/example/B;", superclass="Lcom/example/A;", interfaces=("Lcom/example/I;",)))
    rich.add(_rich_class())
    stub = read_dex(android_stub("prebuilt", "lawow-stub.dex").read_bytes())
    for name in FROM_STUB:
        compiled.add(transplant_class(stub, f"Ldev/lawow/{name};"))
    return [plain.build(), rich.build(), compiled.build()]


def _rich_class() -> ClassSource:
    """Return a class with annotations everywhere, initial values of all kinds, and a caught exception."""
    values = [
        ("I", EncodedValue(ValueType.INT, -5)),
        ("J", EncodedValue(ValueType.LONG, 1 << 40)),
        ("D", EncodedValue(ValueType.DOUBLE, 0x3FE0 << 48)),
        ("Z", EncodedValue(ValueType.BOOLEAN, value=True)),
        ("Ljava/lang/String;", EncodedValue(ValueType.STRING, "text")),
        ("Ljava/lang/Class;", EncodedValue(ValueType.TYPE, "La;")),
    ]
    array = EncodedValue(ValueType.ARRAY, tuple(value for _, value in values[:2]))
    enum = EncodedValue(ValueType.ENUM, FieldRef("La;", "f0", "I"))
    elements = (("array", array), ("enum", enum), ("none", EncodedValue(ValueType.NULL, None)))
    mark = Annotation(1, EncodedAnnotation("Lb;", elements))
    fields = tuple(
        FieldSource(f"f{number}", kind, 0x9, value, (mark,) if not number else ())
        for number, (kind, value) in enumerate(values)
    )
    code: list[Instruction] = [
        ":start",
        ("const-string", 0, "text"),
        ":end",
        ("return-void",),
        ":caught",
        ("return-void",),
    ]
    body = Assembly(2, code, (Try(":start", ":end", (("Ljava/lang/Error;", ":caught"), (None, ":caught"))),))
    method = MethodSource("run", "(I)V", 0x9, body, (mark,), ((mark,),))
    return ClassSource("La;", fields=fields, methods=(method,), source_file="A.java", annotations=(mark,))


def manifests() -> list[bytes]:
    """Return a manifest with what LAWOW reads and edits, with strings in UTF-16 and in UTF-8."""
    return [_manifest(is_utf8=is_utf8) for is_utf8 in (False, True)]


def _manifest(*, is_utf8: bool) -> bytes:
    words = ("manifest", "package", "com.example", "android", ANDROID, "uses-sdk", "application")
    texts = (*RESOURCE_IDS, *words, "uses-permission", "android.permission.CAMERA")
    at = {text: number for number, text in enumerate(texts)}

    def attribute(name: str, kind: int, value: int, *, is_plain: bool = False) -> bytes:
        raw = value if kind == IS_STRING else NONE
        namespace = NONE if is_plain else at[ANDROID]
        return struct.pack("<IIIHBBI", namespace, at[name], raw, 8, 0, kind, value)

    def element(tag: str, *attributes: bytes, inner: bytes = b"") -> bytes:
        head = struct.pack("<IIHHHHHH", NONE, at[tag], 20, 20, len(attributes), 0, 0, 0)
        start = _node(0x102, head + b"".join(attributes))
        return start + inner + _node(0x103, struct.pack("<II", NONE, at[tag]))

    namespace = struct.pack("<II", at["android"], at[ANDROID])
    children = (
        element("uses-sdk", attribute("minSdkVersion", IS_NUMBER, 24)),
        element("uses-permission", attribute("name", IS_STRING, at["android.permission.CAMERA"])),
        element("application", attribute("debuggable", IS_BOOLEAN, 0)),
    )
    package = attribute("package", IS_STRING, at["com.example"], is_plain=True)
    root = element("manifest", package, inner=b"".join(children))
    ids = struct.pack(f"<{len(RESOURCE_IDS)}I", *RESOURCE_IDS.values())
    body = _string_pool(texts, is_utf8=is_utf8) + struct.pack("<HHI", 0x180, 8, 8 + len(ids)) + ids
    body += _node(0x100, namespace) + root + _node(0x101, namespace)
    return struct.pack("<HHI", 3, 8, 8 + len(body)) + body


def _node(kind: int, body: bytes) -> bytes:
    return struct.pack("<HHIII", kind, 16, 16 + len(body), 1, NONE) + body


def _string_pool(texts: tuple[str, ...], *, is_utf8: bool) -> bytes:
    if is_utf8:
        items = [bytes((len(text), len(text))) + text.encode() + b"\0" for text in texts]
    else:
        items = [struct.pack("<H", len(text)) + text.encode("utf-16-le") + b"\0\0" for text in texts]
    data = b"".join(items)
    data += bytes(-len(data) % 4)
    offsets = [sum(map(len, items[:number])) for number in range(len(items))]
    start = 28 + 4 * len(items)
    flags = UTF8_POOL if is_utf8 else 0
    head = struct.pack("<HHIIIIII", 1, 28, start + len(data), len(items), 0, flags, start, 0)
    return head + struct.pack(f"<{len(items)}I", *offsets) + data
