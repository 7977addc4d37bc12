"""The binary manifest: read as the framework reads it, edited in place, judged by aapt and androguard."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lawow.errors import FormatError, LimitExceeded, UsageError
from lawow.formats.axml import Manifest, ResourceReference, read_manifest
from tests.formats.builders import (
    MANIFEST,
    aapt_apk,
    apk_with,
    as_utf8,
    manifest_of,
    mutated_fields,
    survives,
)
from tests.tools import run

ATTRIBUTES = 'android:name=".App" android:debuggable="true" android:usesCleartextTraffic="false"'
PERMISSIONS = """
  <uses-permission android:name="android.permission.CAMERA"/>
  <uses-permission android:name="android.permission.INTERNET" android:maxSdkVersion="22"/>
"""
INTERNET = "android.permission.INTERNET"
NAMESPACE = "http://schemas.android.com/apk/res/android"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A manifest as aapt compiles it, with a UTF-16 string pool."""
    return manifest_of(aapt_apk(tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One with permissions and application attributes."""
    folder = tmp_path_factory.mktemp("rich")
    return manifest_of(aapt_apk(folder, min_sdk=24, before=PERMISSIONS, attributes=ATTRIBUTES))


@pytest.fixture(params=["utf-16", "utf-8"])
def manifest(request: pytest.FixtureRequest, rich: bytes) -> bytes:
    """The rich manifest with either kind of string pool."""
    return rich if request.param == "utf-16" else as_utf8(rich)


def xmltree(manifest: bytes, folder: Path) -> list[str]:
    """What aapt sees, without the line numbers' meaning being judged."""
    apk = folder / "judged.apk"
    apk.write_bytes(apk_with(manifest))
    return run("aapt", "dump", "xmltree", apk, "AndroidManifest.xml").stdout.splitlines()


def difference(before: bytes, after: bytes, folder: Path) -> list[str]:
    """The lines that aapt sees added; fails if it sees any other change."""
    old, added = xmltree(before, folder), []
    for line in xmltree(after, folder):
        if old and line == old[0]:
            old.pop(0)
        else:
            added.append(line.strip())
    assert not old, f"lost: {old[0]}"
    return added


def androguard_xml(manifest: bytes) -> str:
    from androguard.core.axml import AXMLPrinter

    printer = AXMLPrinter(manifest)
    assert printer.is_valid()
    text: str = printer.get_xml().decode()
    return text


# ---- reading


def test_package_sdk_versions_permissions_and_attributes_are_read(manifest: bytes) -> None:
    found = read_manifest(manifest)
    assert found.package == "dev.lawow.small"
    assert (found.min_sdk, found.target_sdk) == (24, 33)
    assert found.permissions == ("android.permission.CAMERA", INTERNET)
    assert found.has_application
    assert found.application_attribute("name") == ".App"
    assert found.application_attribute("debuggable") is True
    assert found.application_attribute("usesCleartextTraffic") is False
    assert found.application_attribute("networkSecurityConfig") is None


def test_an_unedited_manifest_is_returned_byte_for_byte(manifest: bytes) -> None:
    found = read_manifest(manifest)
    assert found.permissions
    assert found.to_bytes() == manifest


@pytest.mark.parametrize(
    ("name", "level"), [("Baklava", 35), ("R", 29), ("Tiramisu", 32), ("UpsideDownCake", 33), ("8", 8)]
)
def test_a_code_name_stands_for_the_level_that_its_previews_report(
    name: str, level: int, tmp_path: Path
) -> None:
    found = read_manifest(manifest_of(aapt_apk(tmp_path, min_sdk=name, target_sdk=name)))
    assert (found.min_sdk, found.target_sdk) == (level, level)


def test_an_unknown_code_name_is_refused(tmp_path: Path) -> None:
    found = read_manifest(manifest_of(aapt_apk(tmp_path, min_sdk="zebra")))
    with pytest.raises(FormatError, match="not the code name of an Android platform"):
        assert found.min_sdk


def test_missing_sdk_versions_mean_1(tmp_path: Path) -> None:
    text = MANIFEST.replace(
        '<uses-sdk android:minSdkVersion="{min_sdk}" android:targetSdkVersion="{target_sdk}"/>', ""
    )
    found = read_manifest(manifest_of(aapt_apk(tmp_path, text=text.format(before="", attributes=""))))
    assert (found.min_sdk, found.target_sdk) == (1, 1)


def test_a_reference_as_sdk_version_is_refused(tmp_path: Path) -> None:
    found = read_manifest(manifest_of(aapt_apk(tmp_path, min_sdk="@android:integer/config_shortAnimTime")))
    with pytest.raises(FormatError, match="refers to a resource"):
        assert found.min_sdk


def test_a_reference_is_read_as_one(tmp_path: Path) -> None:
    attributes = 'android:networkSecurityConfig="@android:drawable/ic_delete"'
    found = read_manifest(manifest_of(aapt_apk(tmp_path, attributes=attributes)))
    assert isinstance(found.application_attribute("networkSecurityConfig"), ResourceReference)


def test_attributes_without_a_known_id_are_a_wrong_call(rich: bytes) -> None:
    with pytest.raises(UsageError, match="android:colour; known are"):
        read_manifest(rich).application_attribute("colour")


def test_another_root_element_is_refused(plain: bytes) -> None:
    renamed = plain.replace("manifest".encode("utf-16-le"), "monofest".encode("utf-16-le"))
    with pytest.raises(FormatError, match='another root element than "manifest"'):
        read_manifest(renamed)


def test_a_missing_application_is_said_when_it_is_needed(plain: bytes) -> None:
    renamed = plain.replace("application".encode("utf-16-le"), "applikation".encode("utf-16-le"))
    found = read_manifest(renamed)
    assert not found.has_application
    for edit in (
        lambda: found.add_permission(INTERNET),
        lambda: found.application_attribute("name"),
        lambda: found.set_application_attribute("name", "x"),
    ):
        with pytest.raises(FormatError, match='exactly one "application"'):
            edit()


# ---- editing


def test_a_permission_is_added_once_and_nothing_else_changes(manifest: bytes, tmp_path: Path) -> None:
    edited = read_manifest(manifest)
    assert edited.add_permission("android.permission.WAKE_LOCK")
    assert not edited.add_permission("android.permission.WAKE_LOCK")
    after = edited.to_bytes()
    assert difference(manifest, after, tmp_path) == [
        "E: uses-permission (line=9)",
        'A: android:name(0x01010003)="android.permission.WAKE_LOCK" (Raw: "android.permission.WAKE_LOCK")',
    ]
    assert '<uses-permission android:name="android.permission.WAKE_LOCK"/>' in androguard_xml(after)
    assert read_manifest(after).permissions == edited.permissions


def test_a_permission_up_to_some_api_level_does_not_count_as_there(manifest: bytes) -> None:
    edited = read_manifest(manifest)
    assert edited.add_permission(INTERNET)
    assert edited.permissions.count(INTERNET) == 2
    assert not edited.add_permission("android.permission.CAMERA")


def test_a_permission_that_is_there_leaves_the_manifest_unedited(manifest: bytes) -> None:
    edited = read_manifest(manifest)
    assert not edited.add_permission("android.permission.CAMERA")
    assert edited.to_bytes() == manifest


def attribute_ids(manifest: bytes) -> Iterator[list[int]]:
    """The resource ids of the attributes of every element, read without the code that is tested."""
    position, ids = 8, ()
    while position < len(manifest):
        kind, _, size = struct.unpack_from("<HHI", manifest, position)
        if kind == 0x180:
            ids = struct.unpack_from(f"<{(size - 8) // 4}I", manifest, position + 8)
        if kind == 0x102:
            count = struct.unpack_from("<H", manifest, position + 28)[0]
            names = (struct.unpack_from("<I", manifest, position + 40 + 20 * i)[0] for i in range(count))
            yield [ids[name] if name < len(ids) else 2**32 for name in names]
        position += size


def test_new_attributes_are_sorted_in_by_resource_id(manifest: bytes, tmp_path: Path) -> None:
    edited = read_manifest(manifest)
    assert edited.set_application_attribute("networkSecurityConfig", ResourceReference(0x7F010001))
    assert edited.set_application_attribute("extractNativeLibs", True)
    assert edited.set_application_attribute("allowBackup", False)
    assert edited.set_application_attribute("appComponentFactory", "dev.lawow.Factory")
    after = edited.to_bytes()
    assert all(ids == sorted(ids) for ids in attribute_ids(after))
    lines = [line.strip() for line in xmltree(after, tmp_path)]
    assert "A: android:networkSecurityConfig(0x01010527)=@0x7f010001" in lines
    assert "A: android:extractNativeLibs(0x010104ea)=(type 0x12)0xffffffff" in lines
    assert "A: android:allowBackup(0x01010280)=(type 0x12)0x0" in lines
    assert 'android:appComponentFactory="dev.lawow.Factory"' in androguard_xml(after)
    assert set(map(str.strip, xmltree(manifest, tmp_path))) <= set(lines)


def test_an_attribute_that_is_there_is_changed_in_place(manifest: bytes, tmp_path: Path) -> None:
    edited = read_manifest(manifest)
    assert edited.set_application_attribute("usesCleartextTraffic", True)
    assert edited.set_application_attribute("name", "dev.lawow.App")
    assert not edited.set_application_attribute("debuggable", True)
    after = edited.to_bytes()
    assert read_manifest(after).application_attribute("usesCleartextTraffic") is True
    assert len(xmltree(after, tmp_path)) == len(xmltree(manifest, tmp_path))
    assert 'android:name="dev.lawow.App"' in androguard_xml(after)


def test_a_number_and_a_boolean_of_equal_value_are_different(manifest: bytes) -> None:
    edited = read_manifest(manifest)
    assert edited.set_application_attribute("debuggable", 1)
    assert edited.set_application_attribute("debuggable", True)


def test_what_was_edited_is_read_back(manifest: bytes) -> None:
    values = {
        "name": "ä𝄞." * 60,
        "minSdkVersion": -5,
        "hasCode": False,
        "networkSecurityConfig": ResourceReference(7),
    }
    edited = read_manifest(manifest)
    for name, value in values.items():
        edited.set_application_attribute(name, value)
    again = read_manifest(edited.to_bytes())
    assert {name: again.application_attribute(name) for name in values} == values
    assert again.to_bytes() == edited.to_bytes()


def test_edits_of_a_manifest_without_any_attribute_id_add_a_resource_map(tmp_path: Path) -> None:
    text = f'<manifest xmlns:android="{NAMESPACE}" package="a.b"><application/></manifest>'
    edited = read_manifest(manifest_of(aapt_apk(tmp_path, text=text)))
    without_map = cut_resource_map(edited.to_bytes())
    edited = read_manifest(without_map)
    assert edited.add_permission(INTERNET)
    assert f'android:name(0x01010003)="{INTERNET}"' in "".join(xmltree(edited.to_bytes(), tmp_path))


def cut_resource_map(manifest: bytes) -> bytes:
    (pool_bytes,) = struct.unpack_from("<I", manifest, 12)
    place = 8 + pool_bytes
    kind, _, size = struct.unpack_from("<HHI", manifest, place)
    cut = manifest[:place] + manifest[place + (size if kind == 0x180 else 0) :]
    return cut[:4] + struct.pack("<I", len(cut)) + cut[8:]


def test_a_manifest_without_the_android_namespace_cannot_be_edited(plain: bytes) -> None:
    renamed = plain.replace("apk/res/android".encode("utf-16-le"), "apk/res/andruid".encode("utf-16-le"))
    with pytest.raises(FormatError, match="does not declare the android namespace"):
        read_manifest(renamed).add_permission(INTERNET)


def test_a_pool_with_styles_is_not_shifted(rich: bytes) -> None:
    """Styles count on the positions of the strings; appending is fine, inserting is not."""
    styled = with_styles(rich)
    assert read_manifest(styled).to_bytes() == styled
    edited = read_manifest(styled)
    assert edited.set_application_attribute("name", "new")
    assert read_manifest(edited.to_bytes()).application_attribute("name") == "new"
    with pytest.raises(FormatError, match="has styles"):
        edited.set_application_attribute("extractNativeLibs", True)


def with_styles(manifest: bytes) -> bytes:
    _, header, size, count, _, flags, start, _ = struct.unpack_from("<HHIIIIII", manifest, 8)
    pool = manifest[8 : 8 + size]
    strings = pool[start:]
    style = struct.pack("<I", 0xFFFFFFFF) * 3
    offsets = pool[header : header + 4 * count] + bytes(4)
    head = struct.pack("<HHIIIIII", 1, header, size + 16, count, 1, flags, start + 4, size + 4)
    body = head + offsets + strings + style + manifest[8 + size :]
    return struct.pack("<HHI", 3, 8, 8 + len(body)) + body


def test_the_sorted_flag_goes_when_a_string_is_appended(rich: bytes) -> None:
    edited = read_manifest(as_utf8(rich, flags=0x101))
    edited.add_permission("a.b.C")
    assert struct.unpack_from("<I", edited.to_bytes(), 24)[0] == 0x100


def test_unknown_chunks_and_what_follows_the_document_are_kept(rich: bytes) -> None:
    extra = struct.pack("<HHI", 0x0999, 8, 12) + b"keep"
    data = struct.pack("<HHI", 3, 8, len(rich) + 12) + rich[8:] + extra + b"tail"
    edited = read_manifest(data)
    assert edited.to_bytes() == data
    edited.add_permission("a.b.C")
    assert edited.to_bytes().endswith(extra + b"tail")


# ---- hostile documents


def chunk(kind: int, body: bytes, header: int = 8) -> bytes:
    return struct.pack("<HHI", kind, header, 8 + len(body)) + body


def document(*chunks: bytes) -> bytes:
    return chunk(3, b"".join(chunks))


def pool(*texts: str, **fields: int) -> bytes:
    data = bytearray()
    offsets = b""
    for text in texts:
        offsets += struct.pack("<I", len(data))
        data += struct.pack("<H", len(text)) + text.encode("utf-16-le") + b"\0\0"
    data += bytes(-len(data) % 4)
    values = {
        "count": len(texts),
        "styles": 0,
        "flags": 0,
        "start": 28 + len(offsets),
        "style_start": 0,
    } | fields
    return chunk(1, struct.pack("<5I", *values.values()) + offsets + data, 28)


def start(name: int = 0, attributes: bytes = b"", **fields: int) -> bytes:
    values = {
        "first": 20,
        "size": 20,
        "count": len(attributes) // 20,
        "id": 0,
        "class": 0,
        "style": 0,
    } | fields
    return chunk(
        0x102, struct.pack("<4I6H", 1, 2**32 - 1, 2**32 - 1, name, *values.values()) + attributes, 16
    )


END = chunk(0x103, struct.pack("<4I", 1, 2**32 - 1, 2**32 - 1, 0), 16)
POOL = pool("manifest")

MALFORMED = {
    "empty": (b"", "ends too early"),
    "text": (b"<manifest package='x'/>", "is not binary XML"),
    "type 0": (chunk(0, POOL + start() + END), "is not binary XML"),
    "cut off": (document(POOL, start(), END)[:-4], "is cut off"),
    "no pool": (document(start(), END), "only string pool"),
    "two pools": (document(POOL, POOL, start(), END), "2 string pools"),
    "pool behind an element": (document(start(), POOL, END), "only string pool"),
    "two resource maps": (
        document(POOL, chunk(0x180, b""), chunk(0x180, b""), start(), END),
        "more than one",
    ),
    "no element": (document(POOL), "0 roots"),
    "two roots": (document(POOL, start(), END, start(), END), "2 roots"),
    "open element": (document(POOL, start(), start(), END), "1 open elements"),
    "closed twice": (document(POOL, start(), END, END), "-1 open elements"),
    "chunk of size 0": (document(POOL, struct.pack("<HHI", 0x999, 8, 0)), "impossible size"),
    "chunk of odd size": (document(POOL, struct.pack("<HHI", 0x999, 8, 9) + b"x"), "impossible size"),
    "chunk past the end": (document(POOL, struct.pack("<HHI", 0x999, 8, 400)), "impossible size"),
    "rest of 4 bytes": (document(POOL, start(), END, bytes(4)), "ends too early"),
    "short element": (document(POOL, chunk(0x102, bytes(12), 16), END), "too short for its type"),
    "short end": (document(POOL, start(), chunk(0x103, bytes(8), 16)), "too short for its type"),
    "short node header": (document(POOL, chunk(0x102, bytes(40), 8), END), "impossible size"),
    "attributes outside": (document(POOL, start(count=1), END), "do not fit"),
    "attributes of 8 bytes": (document(POOL, start(attributes=bytes(20), size=8), END), "do not fit"),
    "attributes in the header": (document(POOL, start(first=4), END), "do not fit"),
    "more strings than bytes": (
        document(pool("manifest", count=2**30), start(), END),
        "more strings than bytes",
    ),
    "more styles than bytes": (
        document(pool("manifest", styles=2**31), start(), END),
        "more strings than bytes",
    ),
    "strings outside": (document(pool("manifest", start=4000), start(), END), "outside of it"),
    "strings in the header": (document(pool("manifest", start=8), start(), END), "outside of it"),
    "name that does not exist": (document(POOL, start(7), END), "does not exist"),
    "name none": (document(POOL, start(2**32 - 1), END), "does not exist"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_document_is_refused(case: str) -> None:
    data, sentence = MALFORMED[case]
    with pytest.raises(FormatError, match=sentence):
        read_manifest(data)


def string_offset(manifest: bytes, offset: int) -> bytes:
    return manifest[:36] + struct.pack("<I", offset) + manifest[40:]


@pytest.mark.parametrize(("offset", "sentence"), [(2**31, "starts outside"), (18, "ends outside")])
def test_a_string_outside_of_the_pool_is_refused(offset: int, sentence: str) -> None:
    data = string_offset(document(pool("manifest\x7f\x00"), start(), END), offset)
    with pytest.raises(FormatError, match=sentence):
        read_manifest(data)


def test_a_string_too_long_for_a_name_is_refused_before_it_is_decoded() -> None:
    attribute = struct.pack("<IIIHBBI", 2**32 - 1, 1, 2**32 - 1, 8, 0, 3, 2)
    data = document(pool("manifest", "package", "p" * 5000), start(0, attribute), END)
    with pytest.raises(FormatError, match="too long for a name"):
        assert read_manifest(data).package


def test_a_value_of_an_unexpected_type_is_refused() -> None:
    attribute = struct.pack("<IIIHBBI", 2**32 - 1, 1, 2**32 - 1, 8, 0, 0x1D, 2)
    data = document(pool("manifest", "package"), start(0, attribute), END)
    with pytest.raises(FormatError, match="unexpected type"):
        assert read_manifest(data).package


def test_a_manifest_without_a_package_is_refused_when_asked() -> None:
    with pytest.raises(FormatError, match="names no package"):
        assert read_manifest(document(POOL, start(), END)).package


def test_attributes_of_another_size_are_read_but_not_extended(rich: bytes) -> None:
    attribute = struct.pack("<IIIHBBI", 2**32 - 1, 1, 2**32 - 1, 8, 0, 3, 0) + bytes(4)
    application = start(2, attribute, size=24, count=1)
    namespace = chunk(0x100, struct.pack("<4I", 1, 2**32 - 1, 3, 3), 16)
    texts = pool("manifest", "package", "application", NAMESPACE)
    data = document(texts, namespace, start(0, attribute, size=24, count=1), application, END, END)
    found = read_manifest(data)
    assert found.package == "manifest"
    with pytest.raises(FormatError, match="cannot be edited"):
        found.set_application_attribute("debuggable", True)


def test_a_hundred_thousand_nested_elements_are_read_without_recursion() -> None:
    depth = 100_000
    found = read_manifest(document(POOL, start() * depth, END * depth))
    assert found.permissions == ()


def test_a_document_above_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="manifest_bytes"):
        read_manifest(bytes((16 << 20) + 1))


def edit_everything(data: bytes) -> None:
    """All that LAWOW does with a manifest; each step may refuse on its own."""

    def attempt(step: object) -> None:
        assert callable(step)
        survives(lambda _: step(), b"")

    found: Manifest = read_manifest(data)
    for name in ("package", "min_sdk", "target_sdk", "permissions", "has_application"):
        attempt(lambda name=name: getattr(found, name))
    attempt(lambda: found.application_attribute("name"))
    attempt(lambda: found.add_permission(INTERNET))
    attempt(lambda: found.set_application_attribute("extractNativeLibs", True))
    attempt(lambda: found.set_application_attribute("name", "x"))
    attempt(lambda: read_manifest(found.to_bytes()))


def test_a_document_cut_off_anywhere_is_refused_cleanly(manifest: bytes) -> None:
    assert not any(survives(read_manifest, manifest[:size]) for size in range(len(manifest)))


def test_every_field_may_lie(manifest: bytes) -> None:
    for changed in mutated_fields(manifest, range(0, len(manifest), 4)):
        survives(edit_everything, changed)
    (pool_bytes,) = struct.unpack_from("<I", manifest, 12)
    for changed in mutated_fields(manifest, [*range(0, 36, 2), *range(8 + pool_bytes, len(manifest), 2)], 2):
        survives(edit_everything, changed)


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6))
def test_random_changes_raise_nothing_but_format_errors(rich: bytes, changes: list[tuple[int, int]]) -> None:
    for source in (rich, as_utf8(rich)):
        data = bytearray(source)
        for place, value in changes:
            data[place % len(data)] = value
        survives(edit_everything, bytes(data))


def test_a_real_app_s_manifest_is_edited_and_read_by_the_judges(apidemos_apk: Path, tmp_path: Path) -> None:
    before = manifest_of(apidemos_apk.read_bytes())
    edited = read_manifest(before)
    assert edited.to_bytes() == before
    assert (edited.package, edited.min_sdk, edited.target_sdk) == ("io.appium.android.apis", 17, 33)
    edited.add_permission("dev.lawow.TEST")
    edited.set_application_attribute("usesCleartextTraffic", False)
    after = edited.to_bytes()
    assert difference(before, after, tmp_path) == [
        "E: uses-permission (line=73)",
        'A: android:name(0x01010003)="dev.lawow.TEST" (Raw: "dev.lawow.TEST")',
        "A: android:usesCleartextTraffic(0x010104ec)=(type 0x12)0x0",
    ]
    assert 'android:usesCleartextTraffic="false"' in androguard_xml(after)
