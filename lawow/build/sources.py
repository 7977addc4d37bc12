"""What is compiled together: one C or C++ file, or those of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lawow.errors import FormatError

__all__ = ["CPP_SUFFIXES", "C_SUFFIXES", "Sources", "find_sources"]

C_SUFFIXES = (".c",)
CPP_SUFFIXES = (".cpp", ".cc", ".cxx")


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one module, by their names relative to `folder`."""

    folder: Path
    files: tuple[str, ...]
    label: str

    @property
    def is_cpp(self) -> bool:
        """Whether any of the files is C++."""
        return any(Path(name).suffix in CPP_SUFFIXES for name in self.files)


def find_sources(path: Path) -> Sources:
    """Return what to compile: one file, or all C and C++ files directly in a folder, by name.

    Raises `FormatError` if there are none, `OSError` if the path does not exist.
    """
    suffixes = C_SUFFIXES + CPP_SUFFIXES
    if path.is_dir():
        names = tuple(sorted(item.name for item in path.iterdir() if item.suffix in suffixes))
        if not names:
            raise FormatError("holds no source", file=str(path), allowed=", ".join(suffixes))
        return Sources(path.resolve(), names, str(path))
    path.stat()
    if path.suffix not in suffixes:
        allowed = ", ".join((*suffixes, ".py"))
        raise FormatError("is no source", file=str(path), found=path.suffix or "no suffix", allowed=allowed)
    return Sources(path.resolve().parent, (path.name,), str(path))
