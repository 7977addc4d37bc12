"""``lawow serve --hosts FILE``: other hosts, and the operator's figures about this one.

TOML: one table ``[this-host]`` (figures alone) and any number of ``[[hosts]]``. Keys that are not known,
values of another kind, figures without a provenance and two hosts of one name are refused with file and
place. docs/edge.md, "Hosts", describes the keys.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from lawow.edge.hosts import HERE, PROVENANCES, Figure, Host
from lawow.errors import FormatError
from lawow.limits import EDGE

__all__ = ["read_hosts"]

FILE_BYTES = 1 << 20
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
PIN = re.compile(r"[0-9a-f]{64}")
FIGURES = ("round_trip_seconds", "price_per_hour", "energy_mwh_per_call")
REQUIRED = ("name", "url", "certificate_sha256", "cpu_cores", "memory_bytes", "engine", "engine_version")
TEXTS = ("name", "url", "certificate_sha256", "engine", "engine_version", "tee", "currency")
OPTIONAL = ("accelerators", "tee", "currency", *FIGURES)
Table = dict[str, object]


def read_hosts(path: Path, here: Host) -> tuple[Host, ...]:
    """Return this host with the file's figures, then the file's hosts. Raises `FormatError`, `OSError`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(FILE_BYTES + 1)
        if len(data) > FILE_BYTES:
            raise FormatError("too long", allowed=FILE_BYTES)
        return _hosts(_parsed(data), here)
    except FormatError as error:
        raise error.within(str(path)) from None


def _parsed(data: bytes) -> Table:
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"not TOML: {error}") from None


def _hosts(document: Table, here: Host) -> tuple[Host, ...]:
    _require_keys(document, (HERE, "hosts"), "", None)
    own, others = document.get(HERE, {}), document.get("hosts", [])
    if not isinstance(own, dict) or not isinstance(others, list):
        raise FormatError(f"[{HERE}] is one table, [[hosts]] a list of tables")
    if len(others) > EDGE.hosts:
        raise FormatError("too many hosts", structure="hosts", found=len(others), allowed=EDGE.hosts)
    found = [_this_host(own, here), *(_host(item, index) for index, item in enumerate(others))]
    names = [host.name for host in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(f"two hosts are named {twice!r}", structure="hosts")
    return tuple(found)


def _this_host(table: Table, here: Host) -> Host:
    _require_keys(table, ("currency", *FIGURES), HERE, None)
    figures = {name: _figure(table, name, HERE, None) for name in FIGURES}
    priced = replace(here, currency=_text(table, "currency", HERE, None), **figures)  # type: ignore[arg-type]
    return _require_currency(priced, HERE, None)


def _host(table: object, index: int) -> Host:
    if not isinstance(table, dict):
        raise FormatError("not a table", structure="hosts", index=index)
    _require_keys(table, (*REQUIRED, *OPTIONAL), "hosts", index)
    missing = [key for key in REQUIRED if key not in table]
    if missing:
        raise FormatError(f"lacks {', '.join(missing)}", structure="hosts", index=index)
    texts = {key: _text(table, key, "hosts", index) for key in TEXTS}
    counts = {key: _count(table, key, index) for key in ("cpu_cores", "memory_bytes")}
    figures = {key: _figure(table, key, "hosts", index) for key in FIGURES}
    host = Host(**texts, **counts, **figures, accelerators=_texts(table, "accelerators", index))  # type: ignore[arg-type]
    if not NAME.fullmatch(host.name):
        raise FormatError("no name for a host", structure="hosts", index=index, found=host.name[:80])
    _require_address(host, index)
    return _require_currency(host, "hosts", index)


def _require_address(host: Host, index: int) -> None:
    parts = urlsplit(host.url)
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
        raise FormatError(
            "url of another host",
            structure="hosts",
            index=index,
            found=host.url[:80],
            allowed="https://HOST:PORT",
        )
    if not PIN.fullmatch(host.certificate_sha256):
        raise FormatError(
            "certificate_sha256 has 64 hex digits in lower case", structure="hosts", index=index
        )


def _require_currency(host: Host, structure: str, index: int | None) -> Host:
    if (host.price_per_hour is None) != (not host.currency):
        raise FormatError("price_per_hour and currency belong together", structure=structure, index=index)
    return host


def _require_keys(table: Table, known: tuple[str, ...], structure: str, index: int | None) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise FormatError(
            f"unknown key {unknown[0]!r}", structure=structure, index=index, allowed=", ".join(known)
        )


def _text(table: Table, key: str, structure: str, index: int | None) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise FormatError(f"{key} is a text of at most 200 characters", structure=structure, index=index)
    return value


def _texts(table: Table, key: str, index: int) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(item, str) and len(item) <= 40 for item in values):
        raise FormatError(f"{key} is a list of names", structure="hosts", index=index)
    return tuple(values)


def _count(table: Table, key: str, index: int) -> int:
    value = table[key]
    if type(value) is not int or not 0 < value < 1 << 50:
        raise FormatError(f"{key} is a positive whole number", structure="hosts", index=index, found=value)
    return value


def _figure(table: Table, key: str, structure: str, index: int | None) -> Figure | None:
    item = table.get(key)
    if item is None:
        return None
    place = f"{structure}.{key}" if index is None else f"{structure}[{index}].{key}"
    if not isinstance(item, dict):
        raise FormatError('written { value = 0.5, provenance = "measured" }', structure=place)
    _require_keys(item, ("value", "provenance", "source"), place, None)
    value, provenance = item.get("value"), item.get("provenance")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise FormatError("value is a number from 0 on", structure=place, found=value)
    if provenance not in PROVENANCES:
        raise FormatError("provenance", structure=place, found=provenance, allowed=", ".join(PROVENANCES))
    return Figure(float(value), str(provenance), _text(item, "source", place, None))
