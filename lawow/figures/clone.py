"""Where the project's `fixtures` lie: beside this package, or below the folder in which the command runs.

The papers' programs are no part of the installed package. After ``pip install .`` that lies elsewhere than
the clone, which is then the current folder.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["fixtures_folder"]

BESIDE_PACKAGE = Path(__file__).resolve().parents[2]


def fixtures_folder(*parts: str) -> Path:
    """Return the folder `parts` of `fixtures`: in the clone that holds this package, else in this folder.

    Does not say whether it is there: that the reader of its files does, with the name that was looked for.
    """
    beside = BESIDE_PACKAGE.joinpath("fixtures", *parts)
    return beside if beside.is_dir() else Path("fixtures", *parts)
