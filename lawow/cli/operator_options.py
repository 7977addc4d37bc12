"""What the commands of an edge's operator have in common: ``--data``, ``--json``, dates, an open database."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from lawow.edge.data_folder import DATABASE, DataFolder
from lawow.edge.database import Database
from lawow.errors import UsageError

__all__ = ["data_option", "date_text", "json_option", "open_database", "show"]

Function = TypeVar("Function", bound=Callable[..., object])


def data_option(function: Function) -> Function:
    """Add ``--data``."""
    path = click.Path(file_okay=False, path_type=Path)
    return click.option("--data", required=True, type=path, help="The edge's folder.")(function)


def json_option(function: Function) -> Function:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


@contextmanager
def open_database(data: Path, *, make: bool = False) -> Iterator[Database]:
    """Hold the database of an edge, which may run meanwhile; with `make` a new edge begins where none is.

    Raises `UsageError` for another folder: a path with a slip in it would else be an edge without tenants,
    whose audit log is whole and in which anything can be revoked to no effect.
    """
    if not make and not (data / DATABASE).is_file():
        raise UsageError(
            f"{data}: is no edge's folder, since {DATABASE} is not there; "
            "`lawow serve`, `lawow tenant add` and `lawow token --tenant` begin one"
        )
    database = Database(DataFolder(data).database)
    try:
        yield database
    finally:
        database.close()


def show(document: object, text: str, as_json: bool) -> None:
    """Print one or the other."""
    print(json.dumps(document) if as_json else text)


def date_text(unix: int | None) -> str | None:
    """Return a time as ``2026-11-22T10:00:00Z``; None for none."""
    return None if unix is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix))
