"""What classes and methods are called by those who wrote them: as in the dex file, or as a mapping says."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.formats.dex.views import MethodView
from lawow.formats.mapping import Mapping
from lawow.refactor.rules import java_name

__all__ = ["PLAIN_NAMES", "Names"]


@dataclass(frozen=True, slots=True)
class Names:
    """Original names. Without a mapping they are those of the dex file."""

    mapping: Mapping | None = None

    def of_class(self, descriptor: str) -> str:
        """Return the original full name of a class, with dots."""
        name = java_name(descriptor)
        return name if self.mapping is None else self.mapping.original_class(name)

    def of_method(self, method: MethodView) -> str:
        """Return the original simple name of a method; its own name if the mapping is ambiguous."""
        if self.mapping is None:
            return method.name
        owner = java_name(method.owner.descriptor)
        found = {item.name for item in self.mapping.original_methods(owner, method.name, method.descriptor)}
        return found.pop() if len(found) == 1 else method.name

    def shown(self, descriptor: str) -> str:
        """Return the original name, and the one in the dex file in parentheses where that differs."""
        original, name = self.of_class(descriptor), java_name(descriptor)
        return original if original == name else f"{original} ({name})"


PLAIN_NAMES = Names()
