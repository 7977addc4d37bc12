"""What a tenant may use: the table of quotas, and a tenant's policy made of it.

A quota that the operator never set is the edge's default, so nobody is unlimited by omission; what he did set
stays when the defaults change. A *day* is one of UTC.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lawow.errors import UsageError
from lawow.limits import EdgeLimits

__all__ = [
    "DAY_SECONDS",
    "DEFAULT_SCOPES",
    "QUOTAS",
    "SCOPES",
    "Quota",
    "TenantPolicy",
    "current_day",
    "default_quotas",
    "parse_duration",
    "parse_quota",
    "require_grants",
    "require_scopes",
    "seconds_to_next_day",
    "size_text",
]

DAY_SECONDS = 86_400
SCOPES = {
    "call": "call exports; open and close sessions",
    "read": "list and show modules",
    "upload": "bring modules and bundles",
    "admin": "read the edge's metrics, which are about all tenants",
}
"""What a token or a certificate may be for."""
DEFAULT_SCOPES = ("call", "read", "upload")

SIZE = re.compile(r"(\d{1,15})(KiB|MiB|GiB)?")
UNITS = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
DURATION = re.compile(r"(\d{1,9})([smhd])")
DURATION_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS}
MAX_DURATION_SECONDS = 3650 * DAY_SECONDS
MAX_QUOTA = (1 << 53) - 1  # what JSON keeps everywhere


@dataclass(frozen=True, slots=True)
class Quota:
    """One row: `limit` is the field of `EdgeLimits` with the default; `is_capped`: it is the most, too."""

    limit: str
    option: str
    meaning: str
    in_bytes: bool = False
    is_capped: bool = False


QUOTAS = {
    "modules": Quota("modules_per_tenant", "--modules", "modules and models kept"),
    "module_bytes": Quota(
        "bytes_per_tenant", "--module-bytes", "bytes of all modules and models together", in_bytes=True
    ),
    "memory_bytes": Quota(
        "memory_bytes", "--memory", "memory of all instances together", in_bytes=True, is_capped=True
    ),
    "cpu_seconds": Quota("cpu_seconds_per_day", "--cpu-seconds", "processor time of the worker in a day"),
    "calls": Quota("calls_per_day", "--calls", "calls and openings of sessions in a day"),
    "requests_per_second": Quota(
        "requests_per_second", "--rate", "requests in a second, all tokens together"
    ),
    "connections": Quota("connections_per_tenant", "--connections", "connections at one time"),
    "sessions": Quota("sessions_per_tenant", "--sessions", "sessions at one time"),
    "nn_threads": Quota("nn_threads_per_tenant", "--nn-threads", "threads that run a model"),
}
"""Name -> row. Options, documents, defaults and the answers' texts all come from here."""


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """A tenant's quotas by the names of `QUOTAS`, the host functions that it was granted, and its models.

    `models` are SHA-256 in hex by name.
    """

    quotas: Mapping[str, int]
    grants: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)


def default_quotas(limits: EdgeLimits) -> dict[str, int]:
    """Return what a tenant has of whom nothing was said."""
    return {name: int(getattr(limits, quota.limit)) for name, quota in QUOTAS.items()}


def parse_quota(name: str, text: str) -> int:
    """Return a quota's value, ``10`` or for bytes also ``10MiB``. Raises `UsageError`; 0 is allowed."""
    quota = QUOTAS[name]
    match = SIZE.fullmatch(text)
    if match is None or (match[2] and not quota.in_bytes):
        unit = "bytes, or with KiB, MiB or GiB behind it" if quota.in_bytes else "a whole number"
        raise UsageError(f"{quota.option} {text}: give {unit}, for the {quota.meaning}")
    value = int(match[1]) * UNITS[match[2]]
    if value > MAX_QUOTA:
        raise UsageError(f"{quota.option} {text}: at most {MAX_QUOTA}")
    return value


def size_text(size: int) -> str:
    """Return a number of bytes as `parse_quota` takes it, in the largest unit that leaves no remainder."""
    for unit, one in reversed(UNITS.items()):
        if unit and size and size % one == 0:
            return f"{size // one}{unit}"
    return str(size)


def parse_duration(text: str) -> int:
    """Return the seconds that ``90s``, ``15m``, ``12h`` or ``30d`` stand for. Raises `UsageError`."""
    match = DURATION.fullmatch(text)
    seconds = int(match[1]) * DURATION_SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_DURATION_SECONDS:
        raise UsageError(
            f"{text!r} is no duration: give a number and s, m, h or d, such as 30d; at most 3650d"
        )
    return seconds


def require_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return scopes sorted and once each. Raises `UsageError` for none, or one that there is not."""
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise UsageError(f"{', '.join(unknown) or 'no scope'}: the scopes are {', '.join(SCOPES)}")
    return tuple(sorted(set(scopes)))


def require_grants(names: Sequence[str]) -> None:
    """Raise `UsageError` for host functions that no worker could be started with."""
    from lawow.runtime.host_functions import INFERENCE, find_host_functions
    from lawow.runtime.nn.onnx_runtime import INSTALL, is_installed

    if INFERENCE in names and not is_installed():
        raise UsageError(f"--grant {INFERENCE} needs ONNX Runtime; {INSTALL}")
    find_host_functions(name for name in names if name != INFERENCE)


def current_day(now: float | None = None) -> int:
    """Return the number of the day in UTC since 1970."""
    return int(time.time() if now is None else now) // DAY_SECONDS


def seconds_to_next_day(now: float | None = None) -> float:
    """Return after how many seconds the quotas of a day begin anew."""
    return DAY_SECONDS - (time.time() if now is None else now) % DAY_SECONDS
