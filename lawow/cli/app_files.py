"""An app as files: an APK, an archive of APKs or a folder of them is read, and the same kind is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lawow.cli.keys import read_file
from lawow.errors import Refused
from lawow.limits import ARCHIVE

if TYPE_CHECKING:
    from lawow.formats.apk_set import AppInput

__all__ = ["app_files", "read_source", "require_other_place", "result_path"]


def read_source(path: Path) -> AppInput:
    """Read an APK, an archive of APKs, or a folder of APKs. Raises as `lawow.formats.apk_set` does."""
    from lawow.formats.apk_set import read_folder_input, read_input

    if not path.is_dir():
        return read_input(read_file(path, ARCHIVE.archive_bytes), str(path))
    files: dict[str, bytes] = {}
    room = ARCHIVE.archive_bytes
    for item in sorted(path.glob("*.apk")):
        files[item.name] = read_file(item, room)
        room -= len(files[item.name])
    if not files:
        raise Refused(f"{path}: there is no .apk file in this folder")
    return read_folder_input(files, str(path))


def result_path(source: Path, out: Path | None, word: str) -> Path:
    """Return the place of the result, ``NAME-word.SUFFIX`` in `out` or beside the source; folder for folder.

    Raises `Refused` when it is the input itself, or a folder that holds other things.
    """
    is_folder = source.is_dir()
    place = source.resolve() if is_folder else source
    folder = place.parent if out is None else out
    target = folder / (
        f"{place.name}-{word}" if is_folder else f"{place.stem}-{word}{place.suffix or '.apk'}"
    )
    require_other_place(target, source)
    if is_folder and target.is_dir():
        _require_no_other_files(target, {item.name for item in source.glob("*.apk")})
    return target


def require_other_place(path: Path, source: Path) -> None:
    """Raise `Refused` when a result would take the input's place."""
    if path.exists() and path.samefile(source):
        raise Refused(f"{path} is the input itself; choose another folder with --out")


def _require_no_other_files(folder: Path, expected: set[str]) -> None:
    """A folder of APKs is installed as a whole, so nothing of another run may stay in it."""
    for item in sorted(folder.iterdir()):
        if item.name not in expected:
            raise Refused(f"{folder} holds {item.name}, which is none of the results; remove it first")


def app_files(
    source: AppInput, target: Path, base: bytes, companions: Mapping[str, bytes]
) -> list[tuple[Path, bytes]]:
    """Return what an app has become, as the kind of thing that it came as: one file, or those of a folder."""
    from lawow.formats.apk_set import InputKind

    if source.kind is InputKind.APK:
        return [(target, base)]
    apks = {source.base_path: base, **companions}
    if source.kind is InputKind.FOLDER:
        return [(target / name, apks[name]) for name in sorted(apks)]
    return [(target, source.replaced(apks))]
