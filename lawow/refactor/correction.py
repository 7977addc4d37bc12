"""The correction file ``lawow.toml``: what a developer knows better than names do; it overrules all.

::

    [classes]
    offloadable = ["com.example.Fft"]          # rules as in --rule: globs, or re:...
    resident = ["com.example.legacy.*Wasm"]

    [modules]
    "com.example.Fft" = "native/fft.wasm"      # a file beside lawow.toml, or a module in the APK

    [[accept]]                                 # a finding that would be a refusal
    method = "com.example.Fft.run"             # or with its types: "com.example.Fft.run(I)I"
    finding = "framework-call"
    reason = "it only writes to the log"

Refused: anything else, with the nearest key; a finding that nothing can make sound; an empty reason,
because the report shows it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from lawow.errors import FormatError, LimitExceeded
from lawow.refactor.rules import Rule, did_you_mean, parse_rules

__all__ = ["CONFIG_BYTES", "CONFIG_NAME", "NO_CORRECTIONS", "Acceptance", "Corrections", "read_corrections"]

CONFIG_NAME = "lawow.toml"
CONFIG_BYTES = 1 << 20

TABLES = ("classes", "modules", "accept")
CLASS_KEYS = ("offloadable", "resident")
ACCEPT_KEYS = ("method", "finding", "reason")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A finding that the developer takes responsibility for. `method` may lack its descriptor."""

    method: str
    finding: str
    reason: str

    def covers(self, method: str, finding: str) -> bool:
        """Tell whether this is about the finding in the method ``com.example.Fft.run(I)I``."""
        return finding == self.finding and self.method in (method, method.partition("(")[0])


@dataclass(frozen=True, slots=True)
class Corrections:
    """The content of a correction file. `name` is what messages call it."""

    name: str = CONFIG_NAME
    offloadable: tuple[Rule, ...] = ()
    resident: tuple[Rule, ...] = ()
    modules: tuple[tuple[str, str], ...] = ()
    accepted: tuple[Acceptance, ...] = ()

    def acceptance(self, method: str, finding: str) -> Acceptance | None:
        """Return why a finding is accepted, or None."""
        return next((item for item in self.accepted if item.covers(method, finding)), None)


NO_CORRECTIONS = Corrections()


def read_corrections(data: bytes, *, name: str, findings: Sequence[str]) -> Corrections:
    """Read a correction file. `findings` are the kinds that may be accepted.

    Raises `FormatError` naming `name` and the key, `UsageError` for a rule that is not one.
    """
    if len(data) > CONFIG_BYTES:
        raise LimitExceeded("file size in bytes", len(data), CONFIG_BYTES, subject=name)
    try:
        document = tomllib.loads(data.decode())
    except RecursionError:
        raise FormatError("is nested too deeply", file=name) from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of thousands of digits
        raise FormatError(f"is not TOML: {error}", file=name) from None
    _require_keys(document, TABLES, name, "")
    classes = _table(document, "classes", name)
    _require_keys(classes, CLASS_KEYS, name, "classes.")
    return Corrections(
        name=name,
        offloadable=_rules(classes, "offloadable", name),
        resident=_rules(classes, "resident", name),
        modules=_modules(_table(document, "modules", name), name),
        accepted=_accepted(document.get("accept", []), name, findings),
    )


def _require_keys(table: dict[str, object], known: Sequence[str], name: str, prefix: str) -> None:
    for key in table:
        if key not in known:
            near = did_you_mean(key, known)
            raise FormatError(f"unknown key {prefix}{key}{near}", file=name, allowed=", ".join(known))


def _table(document: dict[str, object], key: str, name: str) -> dict[str, object]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise FormatError(f"{key} must be a table", file=name, found=type(value).__name__, allowed=f"[{key}]")
    return value


def _rules(table: dict[str, object], key: str, name: str) -> tuple[Rule, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        allowed = f'{key} = ["com.example.Fft"]'
        raise FormatError(f"classes.{key} must be a list of names", file=name, allowed=allowed)
    return parse_rules(value, option=f"{name}: classes.{key}")


def _modules(table: dict[str, object], name: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for class_name, file in table.items():
        if not isinstance(file, str) or not file or not class_name:
            allowed = '"com.example.Fft" = "fft.wasm"'
            raise FormatError(f"modules.{class_name} must be a file name", file=name, allowed=allowed)
        pairs.append((class_name, file))
    return tuple(pairs)


def _accepted(value: object, name: str, findings: Sequence[str]) -> tuple[Acceptance, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise FormatError("accept must be an array of tables", file=name, allowed="[[accept]]")
    return tuple(_acceptance(item, name, findings) for item in value)


def _acceptance(table: dict[str, object], name: str, findings: Sequence[str]) -> Acceptance:
    _require_keys(table, ACCEPT_KEYS, name, "accept.")
    texts = []
    for key in ACCEPT_KEYS:
        text = table.get(key)
        if not isinstance(text, str) or not text.strip():
            raise FormatError(f"accept.{key} must be text", file=name, found=repr(text)[:80])
        texts.append(text.strip())
    if texts[1] not in findings:
        near = did_you_mean(texts[1], findings)
        message = f"accept.finding: {texts[1][:80]} can't be accepted{near}"
        raise FormatError(message, file=name, allowed=", ".join(findings))
    return Acceptance(*texts)
