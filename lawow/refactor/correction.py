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

    [auto]
    shadow = 0.01                              # as --shadow, which overrules it

The table ``[pack]`` is for `lawow pack`. Refused: anything else, with the nearest key; a finding that nothing
can make sound; an empty reason, because the report shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.toml import (
    CONFIG_NAME,
    nearest,
    read_config,
    require_keys,
    table_of,
    text_of,
    texts_of,
)
from lawow.refactor.rules import Rule, parse_rules

__all__ = ["NO_CORRECTIONS", "Acceptance", "Corrections", "read_corrections"]

CLASS_KEYS = ("offloadable", "resident")
ACCEPT_KEYS = ("method", "finding", "reason")
AUTO_KEYS = ("shadow",)


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
    shadow: float | None = None

    def acceptance(self, method: str, finding: str) -> Acceptance | None:
        """Return why a finding is accepted, or None."""
        return next((item for item in self.accepted if item.covers(method, finding)), None)


NO_CORRECTIONS = Corrections()


def read_corrections(data: bytes, *, name: str, findings: Sequence[str]) -> Corrections:
    """Read a correction file. `findings` are the kinds that may be accepted.

    Raises `FormatError` naming `name` and the key, `UsageError` for a rule that is not one.
    """
    document = read_config(data, name=name)
    classes = table_of(document, "classes", name)
    require_keys(classes, CLASS_KEYS, name, "classes.")
    auto = table_of(document, "auto", name)
    require_keys(auto, AUTO_KEYS, name, "auto.")
    return Corrections(
        name=name,
        offloadable=_rules(classes, "offloadable", name),
        resident=_rules(classes, "resident", name),
        modules=_modules(table_of(document, "modules", name), name),
        accepted=_accepted(document.get("accept", []), name, findings),
        shadow=_share(auto.get("shadow"), name),
    )


def _rules(table: dict[str, object], key: str, name: str) -> tuple[Rule, ...]:
    value = texts_of(table, key, name, "classes.", of="names", example="com.example.Fft")
    return parse_rules(value, option=f"{name}: classes.{key}")


def _modules(table: dict[str, object], name: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for class_name, file in table.items():
        if not isinstance(file, str) or not file or not class_name:
            allowed = '"com.example.Fft" = "fft.wasm"'
            raise FormatError(f"modules.{class_name} must be a file name", file=name, allowed=allowed)
        pairs.append((class_name, file))
    return tuple(pairs)


def _share(value: object, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        allowed = "a number above 0 and at most 1"
        raise FormatError("auto.shadow", file=name, found=repr(value)[:80], allowed=allowed)
    return float(value)


def _accepted(value: object, name: str, findings: Sequence[str]) -> tuple[Acceptance, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise FormatError("accept must be an array of tables", file=name, allowed="[[accept]]")
    return tuple(_acceptance(item, name, findings) for item in value)


def _acceptance(table: dict[str, object], name: str, findings: Sequence[str]) -> Acceptance:
    require_keys(table, ACCEPT_KEYS, name, "accept.")
    texts = []
    for key in ACCEPT_KEYS:
        text = text_of(table, key, name, "accept.")
        if text is None:
            raise FormatError(f"accept.{key} must be text", file=name, found="nothing")
        texts.append(text.strip())
    if texts[1] not in findings:
        near = nearest(texts[1], findings)
        message = f"accept.finding: {texts[1][:80]} can't be accepted{near}"
        raise FormatError(message, file=name, allowed=", ".join(findings))
    return Acceptance(*texts)
