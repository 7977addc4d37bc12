"""What holds an instance's state, as an engine lets it be read and written between calls.

`Cells` is the seam for `lawow.runtime.state`: globals as bit patterns, tables as indices of functions,
memories as addresses in this process. The places are those that `lawow.formats.wasm_expose` exported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from lawow.errors import FormatError, LawowError
from lawow.formats.state import NULL
from lawow.formats.wasm_expose import StateNames

__all__ = ["Cells", "Functions", "too_large"]


class Functions:
    """The functions that a reference may mean, by the engine's pointer to each and by index."""

    def __init__(self, pointers: dict[int, int]) -> None:
        self._pointers = pointers
        self._indices = {pointer: index for index, pointer in pointers.items()}

    def index_of(self, pointer: int) -> int:
        """Return the index of a function, `NULL` for 0. Raises `LawowError` for a function of others."""
        if not pointer:
            return NULL
        if pointer not in self._indices:
            raise LawowError("the guest holds a reference to a function that is not its module's")
        return self._indices[pointer]

    def pointer_to(self, index: int) -> int:
        """Return the pointer to a function of `StateNames.functions`, 0 for `NULL`."""
        return 0 if index == NULL else self._pointers[index]


class Cells(ABC):
    """The state of one instance, which nobody calls meanwhile. Indices are those of `StateNames`."""

    def __init__(self, names: StateNames) -> None:
        self.names = names

    @abstractmethod
    def read_global(self, index: int) -> int:
        """Return the bits of a global; of a funcref the function's index."""

    @abstractmethod
    def write_global(self, index: int, pattern: int) -> None:
        """Set a global."""

    @abstractmethod
    def table_length(self, index: int) -> int:
        """Return how many elements a table has."""

    @abstractmethod
    def read_table(self, index: int) -> list[int]:
        """Return the function's index in each element, or `NULL`."""

    @abstractmethod
    def write_table(self, index: int, elements: Sequence[int]) -> None:
        """Set all elements of a table, which grows if it is shorter. Raises `FormatError` if it may not."""

    @abstractmethod
    def memory(self, index: int) -> tuple[int, int]:
        """Return a memory's address in this process (0 if it is empty) and its pages, until it grows."""

    @abstractmethod
    def grow_memory(self, index: int, pages: int) -> None:
        """Let a memory have so many pages more. Raises `FormatError` if it may not."""


def too_large(what: str, found: int) -> FormatError:
    """Return the error for a state with a memory or table that is larger than its module declares it."""
    return FormatError(f"has a {what} that is larger than its module allows", structure="state", found=found)
