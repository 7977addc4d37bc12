"""Inputs for the container tests, built field by field so that one field at a time can lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lawow.errors import FormatError, LimitExceeded
from tests.tools import run

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")

LOCAL_FIELDS = ("signature", "needed", "flags", "method", "time", "crc", "compressed", "uncompressed")
INTERESTING = (0, 1, 2**31, 2**32 - 1)


@dataclass
class RawEntry:
    """One entry of a ZIP. `local` and `central` replace fields of one of the headers by name."""

    name: bytes
    content: bytes = b"content"
    method: int = 8
    flags: int = 0
    time: int = 0x21_0000
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    local_name: bytes | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    attributes: int = 0
    descriptor: bytes | None = None
    data: bytes | None = None

    @property
    def stored_data(self) -> bytes:
        if self.data is not None:
            return self.data
        if self.method != 8:
            return self.content
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflater.compress(self.content) + deflater.flush()

    def fields(self) -> dict[str, int]:
        return {
            "needed": 20,
            "flags": self.flags,
            "method": self.method,
            "time": self.time,
            "crc": zlib.crc32(self.content),
            "compressed": len(self.stored_data),
            "uncompressed": len(self.content),
        }

    def local_bytes(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        values = {"signature": 0x04034B50, **self.fields(), **self.local}
        header = struct.pack("<IHHHIIII", *(values[key] for key in LOCAL_FIELDS))
        lengths = struct.pack(
            "<HH", values.get("name", len(name)), values.get("extra", len(self.local_extra))
        )
        return b"".join((header, lengths, name, self.local_extra, self.stored_data, self.descriptor or b""))

    def central_bytes(self, offset: int) -> bytes:
        values = {"signature": 0x02014B50, "disk": 0, "offset": offset, **self.fields(), **self.central}
        head = struct.pack(
            "<IHHHHIIII",
            values["signature"],
            0x0314,
            *(values[key] for key in LOCAL_FIELDS[1:]),
        )
        sizes = (values.get("name", len(self.name)), values.get("extra", len(self.central_extra)), 0)
        tail = struct.pack("<HHHHHII", *sizes, values["disk"], 1, self.attributes, values["offset"])
        return head + tail + self.name + self.central_extra


def build_zip(
    parts: Iterable[RawEntry], *, prefix: bytes = b"", gap: bytes = b"", comment: bytes = b"", **end: int
) -> bytes:
    """Return an archive. `end` replaces fields of the end record: disk, start_disk, here, entries, size
    ..."""
    body, records = bytearray(prefix), []
    for entry in parts:
        records.append(entry.central_bytes(len(body)))
        body += entry.local_bytes()
    body += gap
    directory, count = b"".join(records), len(records)
    values = {"disk": 0, "start_disk": 0, "here": count, "entries": count, "size": len(directory)}
    values |= {"offset": len(body), "comment": len(comment), **end}
    order = ("disk", "start_disk", "here", "entries", "size", "offset", "comment")
    record = struct.pack("<IHHHHIIH", 0x06054B50, *(values[key] for key in order))
    return bytes(body) + directory + record + comment


def descriptor_of(entry: RawEntry, *, signature: bool = True) -> bytes:
    sizes = struct.pack("<III", zlib.crc32(entry.content), len(entry.stored_data), len(entry.content))
    return (b"PK\x07\x08" if signature else b"") + sizes


MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="dev.lawow.small"
    android:versionCode="7" android:versionName="1.2">
  <uses-sdk android:minSdkVersion="{min_sdk}" android:targetSdkVersion="{target_sdk}"/>
  {before}
  <application android:label="Small" {attributes}>
    <activity android:name=".Main"/>
  </application>
</manifest>
"""


def aapt_apk(
    folder: Path,
    *,
    min_sdk: object = 21,
    target_sdk: object = 33,
    before: str = "",
    attributes: str = "",
    text: str = "",
) -> bytes:
    """Return an unsigned APK with a compiled manifest and nothing else, made by aapt."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "AndroidManifest.xml"
    values = {"min_sdk": min_sdk, "target_sdk": target_sdk, "before": before, "attributes": attributes}
    source.write_text(text or MANIFEST.format(**values))
    out = folder / "out.apk"
    run("aapt", "package", "-f", "-M", source, "-I", FRAMEWORK, "-F", out)
    return out.read_bytes()


def survives(parse: Callable[[bytes], object], data: bytes) -> bool:
    """Whether `parse` accepts `data`; whatever is neither a `FormatError` nor a `LimitExceeded` escapes."""
    try:
        parse(data)
    except (FormatError, LimitExceeded):
        return False
    return True


def mutated_fields(data: bytes, offsets: Iterable[int], width: int = 4) -> Iterator[bytes]:
    """Yield `data` with the little-endian field at each offset set to 0, 1, size-1, size, 2^31, 2^32-1."""
    for offset in offsets:
        for value in (*INTERESTING, len(data) - 1, len(data)):
            changed = bytearray(data)
            packed = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
            changed[offset : offset + width] = packed
            yield bytes(changed[: len(data)])


def manifest_of(apk: bytes) -> bytes:
    """Return the compiled manifest in an APK, found without the reader that is being tested."""
    with zipfile.ZipFile(io.BytesIO(apk)) as archive:
        return archive.read("AndroidManifest.xml")


def apk_with(manifest: bytes) -> bytes:
    """Return an APK that holds just this manifest, for judges that want a whole file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("AndroidManifest.xml", manifest)
    return target.getvalue()


def as_utf8(manifest: bytes, *, flags: int = 1 << 8) -> bytes:
    """Return a compiled manifest with its UTF-16 string pool rewritten as UTF-8, which aapt makes only of
    resources."""
    _, header, size, count, _, _, start, _ = struct.unpack_from("<HHIIIIII", manifest, 8)
    pool = manifest[8 : 8 + size]
    offsets, data = b"", bytearray()
    for (offset,) in struct.iter_unpack("<I", pool[header : header + 4 * count]):
        (units,) = struct.unpack_from("<H", pool, start + offset)
        text = pool[start + offset + 2 :][: 2 * units].decode("utf-16-le").encode()
        offsets += struct.pack("<I", len(data))
        data += utf8_length(units) + utf8_length(len(text)) + text + b"\0"
    data += bytes(-len(data) % 4)
    strings = header + len(offsets)
    head = struct.pack("<HHIIIIII", 1, header, strings + len(data), count, 0, flags, strings, 0)
    rest = manifest[8 + size :]
    body = head + offsets + bytes(data) + rest
    return struct.pack("<HHI", 3, 8, 8 + len(body)) + body


def utf8_length(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes((value >> 8 | 0x80, value & 0xFF))
