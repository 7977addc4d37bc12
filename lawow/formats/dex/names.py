"""Which names and descriptors the format allows: SimpleName, MemberName, FullClassName.

Source: "Dalvik executable format", section "String syntax". Version 040 added spaces.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["class_descriptor", "java_name", "member_name"]

_LETTERS = r"A-Za-z0-9$_\-\u00a1-\u1fff\u2010-\u2027\u2030-\ud7ff\ue000-\uffef\U00010000-\U0010ffff"
_SPACES = r" \u00a0\u2000-\u200a\u202f"
_VERSION_WITH_SPACES = "040"


def java_name(descriptor: str) -> str:
    """``Lcom/example/A$B;`` -> ``com.example.A$B``."""
    return descriptor.removeprefix("L").removesuffix(";").replace("/", ".")


@cache
def member_name(version: str) -> re.Pattern[str]:
    """Return the pattern of names of fields and methods."""
    return re.compile(f"{_simple_name(version)}|<{_simple_name(version)}>")


@cache
def class_descriptor(version: str) -> re.Pattern[str]:
    """Return the pattern of descriptors of classes."""
    return re.compile(f"L{_simple_name(version)}(?:/{_simple_name(version)})*;")


def _simple_name(version: str) -> str:
    return f"[{_LETTERS}{_SPACES if version >= _VERSION_WITH_SPACES else ''}]+"
