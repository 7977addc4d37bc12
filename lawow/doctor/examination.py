"""One examination: all checks over one app, the findings in order of their weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lawow.doctor.abi_checks import check_abis
from lawow.doctor.app import App, read_app
from lawow.doctor.dex_checks import check_code
from lawow.doctor.elf_checks import check_libraries
from lawow.doctor.findings import Finding, Severity
from lawow.doctor.lawow_checks import check_lawow
from lawow.doctor.manifest_checks import check_manifest
from lawow.doctor.signing_checks import check_signing
from lawow.doctor.zip_checks import check_archive
from lawow.errors import FormatError
from lawow.formats.apk_set import AppInput

__all__ = ["Report", "examine"]

_CHECKS: tuple[Callable[[App], Iterator[Finding]], ...] = (
    check_archive,
    check_manifest,
    check_signing,
    check_abis,
    check_libraries,
    check_code,
    check_lawow,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one app, errors first; `abis` are those that it has libraries for."""

    package: str
    min_sdk: int
    target_sdk: int
    abis: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        """Whether something stands in the way of all or some phones, or of Google Play."""
        return any(item.severity is Severity.ERROR for item in self.findings)

    def count(self, severity: Severity) -> int:
        """Return how many findings weigh so much."""
        return Counter(item.severity for item in self.findings)[severity]


def examine(source: AppInput) -> Report:
    """Examine an app, which `lawow.formats.apk_set` has read.

    Raises `FormatError` and `LimitExceeded`, with the file's name, for what `lawow.doctor.app` refuses.
    """
    app = read_app(source)
    try:
        findings = [finding for check in _CHECKS for finding in check(app)]
        package = app.base.manifest.package
    except FormatError as error:
        raise error.within(source.base_name) from None
    return Report(
        package=package,
        min_sdk=app.min_sdk,
        target_sdk=app.target_sdk,
        abis=tuple(sorted(app.files_by_abi)),
        findings=tuple(sorted(findings, key=lambda item: item.severity.rank)),
    )
