"""Published weaknesses of the engines that a guest could use, by release.

The list travels with LAWOW and is as old as it: an engine without an entry is not proved to be sound. It
holds what lets a guest out of its sandbox or lets it end the process, where LAWOW's use of the engine can
reach it.
Sources: the engines' own security advisories and release notes, by the name of each entry.
"""

from __future__ import annotations

__all__ = ["ADVISORIES", "Advisory"]


class Advisory:
    """A weakness: its name, the ranges of releases (first, fixed) that have it, and what it is."""

    __slots__ = ("engine", "name", "ranges", "sentence")

    def __init__(self, name: str, engine: str, ranges: tuple[tuple[str, str], ...], sentence: str) -> None:
        self.name = name
        self.engine = engine
        self.ranges = ranges
        self.sentence = sentence

    def fixed_in(self, engine: str, version: str) -> str:
        """Return the release that ends it for this release of this engine, or "" if that does not have it.

        An interpreter or another way to drive an engine has its name with a suffix: ``wasmedge-interpreter``.
        """
        found = _numbers(version)
        if engine.partition("-")[0] != self.engine:
            return ""
        return next((fixed for first, fixed in self.ranges if _numbers(first) <= found < _numbers(fixed)), "")


ADVISORIES = (
    Advisory(
        "GHSA-43j2-gcp4-m22g",
        "wasmtime",
        (("48", "48.0.9"), ("49", "49.0.6"), ("50", "50.0.2")),
        "a guest with garbage-collected types could end the process",
    ),
    Advisory(
        "CVE-2026-115893",
        "wasmtime",
        (("0", "36.0.19"), ("37", "48.0.7"), ("49", "49.0.4")),
        "on aarch64 a guest could jump to a wrong place by a large br_table",
    ),
    Advisory(
        "GHSA-vqjp-4c8c-hfgg",
        "wasmtime",
        (("0", "24.0.13"), ("25", "36.0.14"), ("37", "46.0.3"), ("47", "47.0.4")),
        "a guest could leave the folders that it was granted by names that end in a slash",
    ),
    Advisory(
        "CVE-2026-34971",
        "wasmtime",
        (("32", "36.0.7"), ("37", "42.0.2"), ("43", "43.0.1")),
        "on aarch64 a guest could leave its memory through wrongly compiled code",
    ),
    Advisory(
        "CVE-2023-26489",
        "wasmtime",
        (("0.37", "4.0.1"), ("5", "5.0.1"), ("6", "6.0.1")),
        "on x86_64 a guest could leave its memory through wrongly compiled addresses",
    ),
    Advisory(
        "CVE-2025-69261",
        "wasmedge",
        (("0", "0.16.0"),),
        "bounds of a memory of exactly 4 GiB are checked wrongly; LAWOW keeps memories below that size",
    ),
)


def _numbers(version: str) -> tuple[int, ...]:
    """Return a release as numbers that compare; what is no number counts as 0."""
    parts = [int(part) if part.isdecimal() else 0 for part in version.split(".")]
    return tuple([*parts, 0, 0, 0][:3])
