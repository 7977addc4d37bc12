"""The whole of `lawow refactor` between bytes and bytes: plan, split, sign, prove, report.

Nothing here touches a disk; whoever calls writes all results or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lawow.errors import FormatError
from lawow.formats.apk import AppPackage, read_app, read_companion
from lawow.formats.apk_set import Companion
from lawow.formats.signing import SigningKey, resign_apk, sign_apk, verify_apk
from lawow.formats.zip import ZipEntry
from lawow.refactor.aside import Aside
from lawow.refactor.plan import PlanOptions, SplitPlan, make_plan
from lawow.refactor.proof import Evidence, dex_issues, require_proven
from lawow.refactor.report import Report, make_report
from lawow.refactor.split import Split, SplitOptions, assemble, split_app, split_code
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
    return make_report(split_app(_plan(data, name, plan, companions), _stub(), options), options)


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
    with Aside(lambda: verify_apk(data).certificates_sha256) as original:
        made = _plan(data, name, plan, companions)
        dexes = split_code(made, _stub(), options)
        certificates = original.result()
    with Aside(lambda: dex_issues(dexes.contents)) as issues:
        split = assemble(made, dexes, options)
        apk, others = _signed(split, name, key)
        evidence = require_proven(split, apk, others, issues.result)
    report = make_report(
        split,
        options,
        original_certificates=certificates,
        certificate_sha256=key.certificate_sha256,
        apk_bytes=len(apk),
    )
    return Refactored(apk, split.bundle, report, evidence, others)


def _plan(data: bytes, name: str, options: PlanOptions, companions: Sequence[Companion]) -> SplitPlan:
    others: list[AppPackage] = []
    for item in companions:
        others.append(read_companion(item.data, name=item.path, others=others))
    return make_plan(read_app(data, name=name, companions=others), options)


def _stub() -> bytes:
    return android_stub(*STUB_DEX).read_bytes()


def _signed(split: Split, name: str, key: SigningKey) -> tuple[bytes, dict[str, bytes]]:
    """Return the signed APK, and those of its set by path."""
    min_sdk = split.plan.app.manifest.min_sdk
    try:
        apk = _sign(split.plan.app, split.entries, key, min_sdk)
        others = {item.app.name: _sign(item.app, item.entries, key, min_sdk) for item in split.companions}
    except FormatError as error:
        raise error.within(name) from None
    return apk, others


def _sign(app: AppPackage, entries: Sequence[ZipEntry], key: SigningKey, min_sdk: int) -> bytes:
    """Sign what came of an APK; of one that keeps all entries, whatever can stay where it is stays."""
    if entries == app.archive.entries:
        return resign_apk(app.data, key, min_sdk=min_sdk)
    return sign_apk(entries, key, min_sdk=min_sdk)
