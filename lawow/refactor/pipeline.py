"""The whole of `lawow refactor` between bytes and bytes: plan, split, sign, prove, report.

Nothing here touches a disk; whoever calls writes all results or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lawow.errors import FormatError
from lawow.formats.signing import SigningKey, resign_apk, sign_apk, verify_apk
from lawow.formats.zip import ZipEntry
from lawow.refactor.app import AppPackage, read_app, read_companion
from lawow.refactor.inputs import Companion
from lawow.refactor.plan import PlanOptions, make_plan
from lawow.refactor.proof import Evidence, require_proven
from lawow.refactor.report import Report, make_report
from lawow.refactor.split import Split, SplitOptions, split_app
from lawow.resources import android_stub

__all__ = ["STUB_DEX", "Refactored", "preview", "refactor_app"]

STUB_DEX = ("prebuilt", "lawow-stub.dex")


@dataclass(frozen=True, slots=True)
class Refactored:
    """All results, what was proven of them, and the report. `companions` are the set's other APKs."""

    apk: bytes
    bundle: bytes
    report: Report
    evidence: Evidence
    companions: dict[str, bytes] = field(default_factory=dict)


def preview(
    data: bytes, name: str, plan: PlanOptions, options: SplitOptions, companions: Sequence[Companion] = ()
) -> Report:
    """Return the report of what `refactor_app` would do; needs no key. Raises as `refactor_app`."""
    return make_report(_split(data, name, plan, options, companions), options)


def refactor_app(
    data: bytes,
    name: str,
    plan: PlanOptions,
    options: SplitOptions,
    key: SigningKey,
    companions: Sequence[Companion] = (),
) -> Refactored:
    """Split, sign and prove. `name` is what messages call the APK, `companions` the rest of its set.

    Raises `FormatError` for a damaged APK or module, `Refused` for a split that would not be sound,
    `UsageError` for options that name nothing, `LimitExceeded`.
    """
    split = _split(data, name, plan, options, companions)
    min_sdk = split.plan.app.manifest.min_sdk
    try:
        apk = _signed(split.plan.app, split.entries, key, min_sdk)
        others = {item.app.name: _signed(item.app, item.entries, key, min_sdk) for item in split.companions}
    except FormatError as error:
        raise error.within(name) from None
    evidence = require_proven(split, apk, others)
    report = make_report(
        split,
        options,
        original_certificates=verify_apk(data).certificates_sha256,
        certificate_sha256=key.certificate_sha256,
        apk_bytes=len(apk),
    )
    return Refactored(apk, split.bundle, report, evidence, others)


def _signed(app: AppPackage, entries: Sequence[ZipEntry], key: SigningKey, min_sdk: int) -> bytes:
    """Sign what came of an APK; of one that keeps all entries, whatever can stay where it is stays."""
    if entries == app.archive.entries:
        return resign_apk(app.data, key, min_sdk=min_sdk)
    return sign_apk(entries, key, min_sdk=min_sdk)


def _split(
    data: bytes, name: str, plan: PlanOptions, options: SplitOptions, companions: Sequence[Companion]
) -> Split:
    stub = android_stub(*STUB_DEX).read_bytes()
    others: list[AppPackage] = []
    for item in companions:
        others.append(read_companion(item.data, name=item.path, others=others))
    return split_app(make_plan(read_app(data, name=name, companions=others), plan), stub, options)
