"""Commands whose arguments may be negative numbers: ``lawow exec abs.wasm abs -3`` needs no ``--``."""

from __future__ import annotations

from collections.abc import Iterable

import click

from lawow.execution.arguments import is_number

__all__ = ["CommandWithNumbers", "plain_arguments"]

_NEGATIVE = "\0"
"""Marks a negative number while click sorts options from arguments; cannot occur in a real argument."""


class CommandWithNumbers(click.Command):
    """A command that gets them as arguments; `plain_arguments` takes their marks off."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        marked = [f"{_NEGATIVE}{item}" if item[:1] == "-" and is_number(item) else item for item in args]
        return super().parse_args(ctx, marked)


def plain_arguments(arguments: Iterable[str]) -> list[str]:
    """Return the arguments as they stood on the command line."""
    return [item.removeprefix(_NEGATIVE) for item in arguments]
