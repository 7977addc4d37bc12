"""What a person who waits is told meanwhile."""

from __future__ import annotations

import sys

import click

__all__ = ["tell"]


def tell(sentence: str) -> None:
    """Say on standard error what takes a while, if that is a terminal."""
    if sys.stderr.isatty():
        click.echo(sentence, err=True)
