"""Where the project's `fixtures` lie: beside this package, or below the folder in which the command runs.

Programs of the papers and their modules are no part of the installed package. After ``pip install .`` the package
lies elsewhere than the clone, so the clone is then the current folder.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["fixtures_folder"]

BESIDE_PACKAGE = Path(__file__).resolve().parents[2]


def fixtures_folder(*parts: str) -> Path:
    """Return the folder `parts` of `fixtures`: of the clone that holds this package, else of the current folder.

    Does not say whether it is there: that the reader of its files does, with the name that was looked for.
    """
    beside = BESIDE_PACKAGE.joinpath("fixtures", *parts)
    return beside if beside.is_dir() else Path("fixtures", *parts)
