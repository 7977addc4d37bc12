"""The whole of `lawow refactor` between bytes and bytes: plan, split, sign, prove, report.

Nothing here touches a disk; whoever calls writes all results or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lawow.formats.apk_set import Companion, read_members, sign_members
from lawow.formats.signing import SigningKey, verify_apk
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
    return make_plan(read_members(data, name, companions), options)


def _stub() -> bytes:
    return android_stub(*STUB_DEX).read_bytes()


def _signed(split: Split, name: str, key: SigningKey) -> tuple[bytes, dict[str, bytes]]:
    """Return the signed APK, and those of its set by path."""
    app = split.plan.app
    members = [(app, split.entries), *((item.app, item.entries) for item in split.companions)]
    apk, *others = sign_members(members, key, app.manifest.min_sdk, name=name)
    return apk, {item.app.name: other for item, other in zip(split.companions, others, strict=True)}
