"""The binary ``AndroidManifest.xml``: what LAWOW needs to know of it, and the few edits that it makes.

Source: AOSP ``PackageParser`` and apksig ``ApkUtils`` for the meaning of a missing or named SDK version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lawow.errors import FormatError, UsageError
from lawow.formats.axml.document import Attribute, Document, Element, ValueType

__all__ = ["AttributeValue", "Manifest", "ResourceReference", "read_manifest"]


@dataclass(frozen=True, slots=True)
class ResourceReference:
    """A value that stands in ``resources.arsc``, such as ``@xml/network_security_config``."""

    resource_id: int


AttributeValue = bool | int | str | ResourceReference

# ``android.R.attr``
_ATTRIBUTES = {
    "allowBackup": 0x01010280,
    "appComponentFactory": 0x0101057A,
    "debuggable": 0x0101000F,
    "exported": 0x01010010,
    "extractNativeLibs": 0x010104EA,
    "hasCode": 0x0101000C,
    "isSplitRequired": 0x01010591,
    "maxSdkVersion": 0x01010271,
    "minSdkVersion": 0x0101020C,
    "name": 0x01010003,
    "networkSecurityConfig": 0x01010527,
    "targetSdkVersion": 0x01010270,
    "testOnly": 0x01010272,
    "usesCleartextTraffic": 0x010104EC,
    "value": 0x01010024,
}

# A device with a preview of a platform reports the level before it. From "Baklava" on the initials start
# again.
_CODE_NAMES = {"Baklava": 35, "CinnamonBun": 36}
_CODE_NAME_INITIALS = {
    "C": 2,
    "D": 3,
    "E": 4,
    "F": 7,
    "G": 8,
    "H": 10,
    "I": 13,
    "J": 15,
    "K": 18,
    "L": 20,
    "M": 22,
    "N": 23,
    "O": 25,
    "P": 27,
    "Q": 28,
    "R": 29,
    "S": 30,
    "T": 32,
    "U": 33,
    "V": 34,
}


class Manifest:
    """A manifest that can be edited. What is not edited stays byte for byte."""

    __slots__ = ("_children", "_document", "_root")

    def __init__(self, document: Document) -> None:
        """Wrap a document. Raises `FormatError` unless its root is ``manifest``."""
        self._document = document
        elements = list(document.elements())
        self._root = elements[0][1]
        self._children = [element for depth, element in elements if depth == 2]
        if not self._root.is_named("manifest"):
            raise FormatError('has another root element than "manifest"', structure="AndroidManifest.xml")

    @property
    def package(self) -> str:
        """The application id."""
        attribute = self._root.plain_attribute("package")
        value = None if attribute is None else self._value(attribute)
        if not isinstance(value, str) or not value:
            raise FormatError("names no package", structure="AndroidManifest.xml")
        return value

    @property
    def split(self) -> str | None:
        """The name of the split, ``config.arm64_v8a``; None for a base APK."""
        attribute = self._root.plain_attribute("split")
        value = None if attribute is None else self._value(attribute)
        return value if isinstance(value, str) and value else None

    @property
    def min_sdk(self) -> int:
        """The lowest API level that the app can be installed on; 1 if the manifest does not say."""
        return max((1, *self._sdk_versions("minSdkVersion")))

    @property
    def target_sdk(self) -> int:
        """The API level that the app was made for; `min_sdk` if the manifest does not say."""
        return max(self._sdk_versions("targetSdkVersion"), default=self.min_sdk)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The names of all ``uses-permission`` elements, in their order, limited to some API levels or
        not."""
        names = (self._android_value(element, "name") for element in self._named("uses-permission"))
        return tuple(name for name in names if isinstance(name, str))

    @property
    def has_application(self) -> bool:
        """Whether there is exactly one ``application`` element."""
        return len(list(self._named("application"))) == 1

    def elements(self) -> Iterator[tuple[int, Element]]:
        """Yield depth and element of all of the manifest, in document order; the root's depth is 1."""
        return self._document.elements()

    def value_of(self, element: Element, name: str) -> AttributeValue | None:
        """Return ``android:name`` of an element, or `None`. Raises as `application_attribute`."""
        _resource_id(name)
        return self._android_value(element, name)

    def application_attribute(self, name: str) -> AttributeValue | None:
        """Return the value of ``android:name`` of the ``application`` element, or `None`.

        Raises `UsageError` for a name that LAWOW has no resource id for, `FormatError` without an
        application.
        """
        _resource_id(name)
        return self._android_value(self._application(), name)

    def set_application_attribute(self, name: str, value: AttributeValue) -> bool:
        """Set ``android:name`` of the ``application`` element. Return whether that changed anything."""
        application = self._application()
        present = self._android_value(application, name)
        if type(present) is type(value) and present == value:
            return False
        resource_id = _resource_id(name)
        value_type, data = _typed(value)
        application.set_attribute(resource_id, name, value_type, data)
        return True

    def add_permission(self, name: str) -> bool:
        """Add ``uses-permission``, unless it is there for all API levels. Return whether that changed
        anything."""
        for element in self._named("uses-permission"):
            is_limited = element.attribute(_ATTRIBUTES["maxSdkVersion"]) is not None
            if not is_limited and self._android_value(element, "name") == name:
                return False
        before = self._application()
        attribute = self._document.make_attribute(_ATTRIBUTES["name"], "name", ValueType.STRING, name)
        self._document.insert_empty_element(before, "uses-permission", attribute)
        self._children = [element for depth, element in self._document.elements() if depth == 2]
        return True

    def to_bytes(self) -> bytes:
        """Return the manifest; byte for byte what was read if nothing was edited."""
        return self._document.to_bytes()

    def _named(self, name: str) -> Iterator[Element]:
        return (element for element in self._children if element.is_named(name))

    def _application(self) -> Element:
        applications = list(self._named("application"))
        if len(applications) != 1:
            message = 'has to have exactly one "application" element'
            raise FormatError(message, structure="AndroidManifest.xml", found=len(applications))
        return applications[0]

    def _sdk_versions(self, name: str) -> Iterator[int]:
        for element in self._named("uses-sdk"):
            value = self._android_value(element, name)
            if isinstance(value, str):
                yield _code_name_level(value)
            elif isinstance(value, int):
                yield int(value)
            elif value is not None:
                message = f"{name} refers to a resource; only a number or a code name can be read"
                raise FormatError(message, structure="AndroidManifest.xml")

    def _android_value(self, element: Element, name: str) -> AttributeValue | None:
        attribute = element.attribute(_ATTRIBUTES[name])
        return None if attribute is None else self._value(attribute)

    def _value(self, attribute: Attribute) -> AttributeValue | None:
        match attribute.value_type:
            case ValueType.NULL:
                return None
            case ValueType.STRING:
                return self._document.pool.text(attribute.data)
            case ValueType.INT_BOOLEAN:
                return attribute.data != 0
            case ValueType.INT_DEC | ValueType.INT_HEX:
                return attribute.data - ((attribute.data >> 31) << 32)
            case ValueType.REFERENCE | ValueType.DYNAMIC_REFERENCE:
                return ResourceReference(attribute.data)
            case other:
                raise FormatError("an attribute has a value of an unexpected type", found=f"{other:#x}")


def read_manifest(data: bytes | memoryview) -> Manifest:
    """Read a binary manifest. Raises `FormatError`, and `LimitExceeded` above `ARCHIVE.manifest_bytes`."""
    return Manifest(Document(data))


def _resource_id(name: str) -> int:
    if name not in _ATTRIBUTES:
        raise UsageError(f"no attribute android:{name}; known are {', '.join(sorted(_ATTRIBUTES))}")
    return _ATTRIBUTES[name]


def _typed(value: AttributeValue) -> tuple[int, int | str]:
    if isinstance(value, bool):
        return ValueType.INT_BOOLEAN, 0xFFFFFFFF if value else 0
    if isinstance(value, int):
        return ValueType.INT_DEC, value
    if isinstance(value, str):
        return ValueType.STRING, value
    return ValueType.REFERENCE, value.resource_id


def _code_name_level(name: str) -> int:
    """Return the API level that a device with a preview of this platform reports."""
    for code_name, level in _CODE_NAMES.items():
        if name.startswith(code_name):
            return level
    level_of_initial = _CODE_NAME_INITIALS.get(name[:1])
    if level_of_initial is None:
        raise FormatError("is not the code name of an Android platform", found=repr(name[:50]))
    return level_of_initial
