"""Selectors of classes: by glob, by regular expression, by exact name, by annotation.

A rule is a glob (``*Wasm``), or a regular expression behind ``re:`` (``re:.*[.](Fft|Blur)``). Both must
match the whole of the simple name (``B``), of the binary name (``A$B``) or of the full name
(``com.example.A$B``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache

from lawow.errors import UsageError
from lawow.formats.dex.names import java_name
from lawow.formats.toml import nearest

__all__ = [
    "OFFLOAD",
    "Rule",
    "annotation_descriptor",
    "class_name_of",
    "did_you_mean",
    "java_name",
    "matches_name",
    "parse_rule",
    "parse_rules",
    "read_class_list",
    "simple_name",
]

OFFLOAD = "Ldev/lawow/Offload;"
"""The annotation with which a developer, or `lawow pack`, marks what may be offloaded."""

REGULAR_EXPRESSION = "re:"
_BINARY_NAME = re.compile(r"[^\s;\[/.()<>]+(?:[./][^\s;\[/.()<>]+)*")


@dataclass(frozen=True, slots=True)
class Rule:
    """One selector by name. `text` is what the user wrote; what it matches ends in `suffix`."""

    text: str
    pattern: re.Pattern[str]
    suffix: str = ""

    def matches(self, name: str) -> bool:
        """Tell whether the class with this full name is meant."""
        if not name.endswith(self.suffix):  # the three forms end alike; most classes end here
            return False
        match = self.pattern.fullmatch
        return bool(match(name) or match(name.rpartition(".")[2]) or match(simple_name(name)))


def simple_name(name: str) -> str:
    """``com.example.A$B`` -> ``B``."""
    binary = name.rpartition(".")[2]
    return binary.rpartition("$")[2] or binary


def parse_rules(texts: Iterable[str], *, option: str = "--rule") -> tuple[Rule, ...]:
    """Return the rules. Raises `UsageError` naming `option`, the text and what is wrong with it."""
    return tuple(parse_rule(text, option=option) for text in texts)


@lru_cache(maxsize=256)
def parse_rule(text: str, *, option: str = "--rule") -> Rule:
    """Return the rule that `text` stands for. Raises `UsageError`."""
    expression = text.removeprefix(REGULAR_EXPRESSION)
    if not expression.strip():
        raise UsageError(
            f"{option}: found {text!r}, allowed is a glob (*Wasm) or re: and a regular expression"
        )
    if not text.startswith(REGULAR_EXPRESSION):
        return Rule(text, re.compile(translate(text)), re.split(r"[*?\]]", text)[-1])
    try:
        return Rule(text, re.compile(expression))
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{option}: {text} is not a regular expression: {error}") from None


def matches_name(name: str, asked: str) -> bool:
    """Tell whether the rule `asked` means the class: by its simple, its binary or its full name."""
    return parse_rule(asked).matches(name)


def annotation_descriptor(text: str, *, option: str = "--annotation") -> str:
    """Return the descriptor of an annotation that is given as such, or by its name with dots.

    Raises `UsageError` for text that is neither.
    """
    name = text.removeprefix("@").strip()
    if name.startswith("L") and name.endswith(";"):
        name = name[1:-1]
    if not _BINARY_NAME.fullmatch(name):
        raise UsageError(f"{option}: found {text!r}, allowed is dev.lawow.Offload or Ldev/lawow/Offload;")
    return f"L{name.replace('.', '/')};"


def class_name_of(text: str, *, option: str) -> str:
    """Return the full name of a class that is given with dots, with slashes or as a descriptor."""
    name = text[1:-1] if text.startswith("L") and text.endswith(";") else text
    if not _BINARY_NAME.fullmatch(name):
        raise UsageError(f"{option}: found {text!r}, allowed is one class name in each line: com.example.Fib")
    return name.replace("/", ".")


def read_class_list(data: bytes, *, name: str) -> tuple[str, ...]:
    """Read a list of class names, one a line, ``#`` for comments. Raises `UsageError` naming the line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{name}: is not UTF-8 text; it must hold one class name in each line") from None
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        if content := line.partition("#")[0].strip():
            names.append(class_name_of(content, option=f"{name}: line {number}"))
    if not names:
        raise UsageError(f"{name}: names no class; it must hold one class name in each line")
    return tuple(dict.fromkeys(names))


def did_you_mean(asked: str, known: Sequence[str]) -> str:
    """Return `` (did you mean X?)``, or nothing when no known name is near."""
    return nearest(asked, _shortlist(asked, known))


def _shortlist(asked: str, known: Sequence[str]) -> list[str]:
    """Keep the comparison short: the names with the same simple name first, then those that begin alike."""
    if len(known) <= 500:
        return list(known)
    simple = simple_name(asked).lower()
    same = [name for name in known if simple_name(name).lower() == simple]
    alike = [name for name in known if simple_name(name).lower().startswith(simple[:3])]
    return list(dict.fromkeys(same + alike))[:500]
