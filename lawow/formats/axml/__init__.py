"""Binary XML, and the manifest of an APK in it: strict reading, edits in place.

Attributes are found by resource id, as the framework does. An edit appends to the string pool and touches
only the elements that it is about; an unedited manifest is returned byte for byte. Refused are documents
that do not start with their only string pool, chunks and attributes that do not fit into each other, and
elements that are not closed. Source: AOSP androidfw ``ResourceTypes.h`` and ``ResourceTypes.cpp``.
"""

from __future__ import annotations

from lawow.formats.axml.document import Element
from lawow.formats.axml.manifest import AttributeValue, Manifest, ResourceReference, read_manifest

__all__ = ["AttributeValue", "Element", "Manifest", "ResourceReference", "read_manifest"]
