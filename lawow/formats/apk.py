"""Names of entries that mean something to Android in an APK."""

from __future__ import annotations

import re

__all__ = ["DEX_NAME", "MANIFEST", "dex_name"]

MANIFEST = b"AndroidManifest.xml"
"""The entry that makes an archive an APK."""
DEX_NAME = re.compile(rb"classes([2-9]|[1-9][0-9]+)?\.dex")
"""What Android loads as code, as long as no number before it is missing."""


def dex_name(number: int) -> str:
    """Return the name of the dex file that Android loads as the `number`-th, counted from 1."""
    return "classes.dex" if number == 1 else f"classes{number}.dex"
