"""What `lawow refactor` reads and writes: an APK or a set of APKs in, the same kind of thing and more out."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lawow.cli.app_files import app_files, require_other_place, result_path
from lawow.durable import made_folders, removed_if_nobody_hears, replace_all
from lawow.errors import LawowError

if TYPE_CHECKING:
    from lawow.formats.apk_set import AppInput
    from lawow.formats.signing import SigningKey
    from lawow.refactor.certificate import JudgeResult
    from lawow.refactor.pipeline import Refactored

__all__ = ["ResultPaths", "Results", "command_line", "result_paths", "with_warnings"]

_NOT_RESULTS = {"out", "as_json", "plan", "html", "report", "judges"}
"""Options that change nothing about the bytes of the results."""


@dataclass(frozen=True, slots=True)
class ResultPaths:
    """Where the results go, and what the input is called. `slim` is a folder for a folder."""

    source_name: str
    slim: Path
    bundle: Path
    record: Path
    page: Path


def result_paths(source: Path, out: Path | None) -> ResultPaths:
    """Return where the results go. Raises `Refused` when one is the input, or would mix with others."""
    place = source.resolve() if source.is_dir() else source
    slim = result_path(source, out, "slim")
    folder, stem = slim.parent, place.name if source.is_dir() else source.stem
    paths = ResultPaths(
        source_name=place.name,
        slim=slim,
        bundle=folder / f"{stem}-offload.jar",
        record=folder / f"{stem}-slim.report.json",
        page=folder / f"{stem}-slim.report.html",
    )
    for path in (paths.bundle, paths.record, paths.page):
        require_other_place(path, source)
    return paths


@dataclass(frozen=True, slots=True)
class Results:
    """All results of one run, with where they go."""

    source: AppInput
    paths: ResultPaths
    done: Refactored

    def slim_files(self) -> list[tuple[Path, bytes]]:
        """Return the slim side of the app: one file, or those of a folder."""
        return app_files(self.source, self.paths.slim, self.done.apk, self.done.companions)

    def certificate(
        self, command: str, key: SigningKey, judged: Sequence[JudgeResult]
    ) -> list[tuple[Path, bytes]]:
        """Return the certificate, as data and as a page, with its places."""
        from lawow.refactor.certificate import Certified, certificate_bytes, certificate_record
        from lawow.refactor.certificate_page import certificate_page

        outputs = {path.name: data for path, data in self.slim_files()}
        certified = Certified(
            command=command,
            kind=self.source.kind.value,
            input_name=self.paths.source_name,
            input_files=self._input_files(),
            output_files={**outputs, self.paths.bundle.name: self.done.bundle},
            reproducible=key.is_deterministic and "--debug-key" not in command.split(),
        )
        record = certificate_record(certified, self.done, judged)
        return [(self.paths.record, certificate_bytes(record)), (self.paths.page, certificate_page(record))]

    def judged(self) -> list[JudgeResult]:
        """Return what Android's tools on the PATH say of the slim APK. Raises `LawowError` if one says no."""
        from lawow.refactor.judges import judge_apk

        with tempfile.TemporaryDirectory(prefix="lawow-") as folder:
            apk = Path(folder) / "slim.apk"
            apk.write_bytes(self.done.apk)
            results = list(judge_apk(apk))
        for item in results:
            if not item.accepted:
                raise LawowError(f"{item.name} refuses the slim APK, so nothing was written: {item.words}")
        return results

    def write(self, certificate: Sequence[tuple[Path, bytes]]) -> None:
        """Put all results into place, or none, and no new folder either. Raises `OSError`."""
        apks = self.slim_files()
        with made_folders(self.paths.bundle.parent, *sorted({path.parent for path, _ in apks})):
            replace_all([*apks, (self.paths.bundle, self.done.bundle), *certificate])

    def removed_if_nobody_hears(self) -> AbstractContextManager[None]:
        """Return a context that reports the results, and removes them if that fails."""
        apks = [path for path, _ in self.slim_files()]
        files = [*apks, self.paths.bundle, self.paths.record, self.paths.page]
        return removed_if_nobody_hears(files, self.paths.bundle.parent)

    def _input_files(self) -> dict[str, bytes]:
        from lawow.formats.apk_set import InputKind

        if self.source.kind is InputKind.APK:
            return {self.paths.source_name: self.source.base}
        whole = {self.paths.source_name: self.source.data} if self.source.data else {}
        members = {item.path: item.data for item in self.source.companions}
        return {**whole, self.source.base_path: self.source.base, **members}


def with_warnings(done: Refactored, warnings: Iterable[str]) -> Refactored:
    """Return results whose report says more."""
    return replace(done, report=replace(done.report, warnings=(*done.report.warnings, *warnings)))


def command_line(context: click.Context) -> str:
    """Return the command that repeats this run: options that differ from their defaults, without folders."""
    words = ["lawow", str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name in _NOT_RESULTS or value is None or value == parameter.get_default(context):
            continue
        if isinstance(parameter, click.Option):
            words += _option_words(parameter, value)
        else:
            words.append(_plain(value))
    return shlex.join(words)


def _option_words(option: click.Option, value: object) -> list[str]:
    if isinstance(value, bool):
        return [option.opts[0] if value else option.secondary_opts[0]]
    values = value if isinstance(value, tuple | list) else (value,)
    return [word for item in values for word in (option.opts[0], _plain(item))]


def _plain(value: object) -> str:
    """Return a value without the folders of a path, also behind the = of CLASS=FILE."""
    if isinstance(value, Path):
        return value.name or str(value)
    head, separator, file = str(value).rpartition("=")
    return f"{head}={Path(file).name}" if separator and "://" not in file else str(value)
