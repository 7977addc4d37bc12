"""Options that belong together and reach their command as one value, of a dataclass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["option_group"]

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def option_group(name: str, kind: type[DataclassInstance], *options: Decorator) -> Decorator:
    """Return a decorator that adds click options, whose values a command gets as one `kind` called `name`.

    The options stand in ``--help`` in their order, and are called like the fields of `kind`.
    """
    names = [field.name for field in fields(kind)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_group(*arguments: object, **values: object) -> None:
            own = {item: values.pop(item) for item in names}
            command(*arguments, **{name: kind(**own)}, **values)

        for option in reversed(options):
            option(with_group)
        return with_group

    return decorate
