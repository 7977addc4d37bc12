"""Inputs of the refactor tests, built by others: dex by smali, manifests by aapt, archives by zipfile.

Modules are written out byte by byte here; each function's body is given as instructions.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.tools import run

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")

TYPES = {"i": 0x7F, "I": 0x7E, "f": 0x7D, "F": 0x7C}
ZERO = {"i": b"\x41\x00", "I": b"\x42\x00", "f": b"\x43" + bytes(4), "F": b"\x44" + bytes(8)}

MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.example.app"
    android:versionCode="1" android:versionName="1.0">
    <uses-sdk android:minSdkVersion="{min_sdk}" android:targetSdkVersion="29" />
    <application android:label="example"><activity android:name=".Main" /></application>
</manifest>
"""


def leb(number: int) -> bytes:
    """Encode an unsigned LEB128."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def vector(items: Sequence[bytes]) -> bytes:
    """Encode a WebAssembly vector."""
    return leb(len(items)) + b"".join(items)


def section(number: int, content: bytes) -> bytes:
    """Encode a WebAssembly section."""
    return bytes((number,)) + leb(len(content)) + content


def wasm(
    exports: Mapping[str, str],
    *,
    bodies: Mapping[str, bytes] | None = None,
    imports: bool = False,
    memory: bool = False,
) -> bytes:
    """Return a module with these functions (name -> signature); bodies default to zeros."""
    kinds, codes, names = [], [], []
    first = 1 if imports else 0
    for index, (name, signature) in enumerate(exports.items()):
        params, _, results = signature.partition(">")
        kinds.append(
            b"\x60"
            + vector([bytes((TYPES[p],)) for p in params])
            + vector([bytes((TYPES[r],)) for r in results])
        )
        body = (bodies or {}).get(name, b"".join(ZERO[r] for r in results))
        codes.append(leb(len(body) + 2) + b"\0" + body + b"\x0b")
        names.append(leb(len(name.encode())) + name.encode() + b"\0" + leb(first + index))
    parts = [section(1, vector(kinds))]
    if imports:
        parts.append(section(2, vector([b"\x03env\x04tick\x00" + leb(0)])))
    parts += [section(3, vector([leb(index) for index in range(len(kinds))]))]
    if memory:
        parts.append(section(5, vector([b"\0\1"])))
        names.append(b"\6memory\2\0")
    parts += [section(7, vector(names)), section(10, vector(codes))]
    return b"\0asm\x01\0\0\0" + b"".join(parts)


ADD = bytes.fromhex("2000 2001 6a".replace(" ", ""))
"""local.get 0, local.get 1, i32.add."""

FIB = wasm({"fib": "i>i"}, bodies={"fib": bytes.fromhex("2000 4102 6c")})
"""A stand-in for fibonacci.wasm: fib(n) = 2 n, which no implementation of the app's own computes."""


def smali_method(
    name: str, descriptor: str, body: str, *, flags: str = "public static", registers: int = 8
) -> str:
    """Return one method as smali text."""
    return f".method {flags} {name}{descriptor}\n    .registers {registers}\n{body}\n.end method\n"


def smali_class(name: str, members: str = "", *, flags: str = "public", extra: str = "") -> str:
    """Return one class as smali text; `name` has dots."""
    head = f".class {flags} L{name.replace('.', '/')};\n.super Ljava/lang/Object;\n"
    return head + extra + members


CONSTRUCTOR = """.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Ljava/lang/Object;-><init>()V
    return-void
.end method
"""

NATIVE_FIB = ".method public static native fib(I)I\n.end method\n"

REAL_FIB = smali_method(
    "fib",
    "(I)I",
    """    const-string v0, "the secret of fibonacci"
    invoke-virtual {v0}, Ljava/lang/String;->length()I
    move-result v1
    add-int v1, v1, p0
    return v1""",
)

MAIN = smali_class(
    "com.example.app.Main",
    CONSTRUCTOR
    + smali_method(
        "compute",
        "(I)I",
        """    invoke-static {p0}, Lcom/example/app/FibonacciWasm;->fib(I)I
    move-result v0
    return v0""",
    ),
)


def assemble(folder: Path, classes: Iterable[str], *, api: int = 21) -> bytes:
    """Return the dex file that Debian's smali makes of these classes."""
    source = folder / "smali"
    source.mkdir(parents=True, exist_ok=True)
    for old in source.glob("*.smali"):
        old.unlink()
    for number, text in enumerate(classes):
        (source / f"{number}.smali").write_text(text)
    run("smali", "a", "-a", str(api), "-o", folder / "out.dex", source)
    return (folder / "out.dex").read_bytes()


def binary_manifest(folder: Path, *, min_sdk: int = 21, text: str = MANIFEST) -> bytes:
    """Return the binary manifest that aapt makes."""
    folder.mkdir(parents=True, exist_ok=True)
    source, package = folder / "AndroidManifest.xml", folder / "base.apk"
    source.write_text(text.format(min_sdk=min_sdk))
    run("aapt", "package", "-f", "-M", source, "-I", FRAMEWORK, "-F", package)
    with zipfile.ZipFile(package) as archive:
        return archive.read("AndroidManifest.xml")


def make_zip(entries: Mapping[str, bytes], *, stored: Iterable[str] = ()) -> bytes:
    """Return an archive made by the standard library."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, (2020, 2, 2, 2, 2, 2))
            info.compress_type = zipfile.ZIP_STORED if name in set(stored) else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return out.getvalue()
