"""The whole of `lawow refactor` between bytes and bytes: plan, split, sign, prove, report.

Nothing here touches a disk; whoever calls writes both results or neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from lawow.errors import FormatError
from lawow.formats.signing import SigningKey, sign_apk, verify_apk
from lawow.refactor.app import read_app
from lawow.refactor.plan import PlanOptions, make_plan
from lawow.refactor.proof import require_proven
from lawow.refactor.report import Report, make_report
from lawow.refactor.split import Split, SplitOptions, split_app
from lawow.resources import android_stub

__all__ = ["STUB_DEX", "Refactored", "preview", "refactor_app"]

STUB_DEX = ("prebuilt", "lawow-stub.dex")


@dataclass(frozen=True, slots=True)
class Refactored:
    """Both results, proven, and the report on them."""

    apk: bytes
    bundle: bytes
    report: Report


def preview(data: bytes, name: str, plan: PlanOptions, options: SplitOptions) -> Report:
    """Return the report of what `refactor_app` would do; needs no key. Raises as `refactor_app`."""
    return make_report(_split(data, name, plan, options), options)


def refactor_app(
    data: bytes, name: str, plan: PlanOptions, options: SplitOptions, key: SigningKey
) -> Refactored:
    """Split, sign and prove. `name` is what messages call the APK.

    Raises `FormatError` for a damaged APK or module, `Refused` for a split that would not be sound,
    `UsageError` for options that name nothing, `LimitExceeded`.
    """
    split = _split(data, name, plan, options)
    try:
        apk = sign_apk(split.entries, key, min_sdk=split.plan.app.manifest.min_sdk)
    except FormatError as error:
        raise error.within(name) from None
    require_proven(split, apk)
    report = make_report(
        split,
        options,
        original_certificates=verify_apk(data).certificates_sha256,
        certificate_sha256=key.certificate_sha256,
        apk_bytes=len(apk),
    )
    return Refactored(apk, split.bundle, report)


def _split(data: bytes, name: str, plan: PlanOptions, options: SplitOptions) -> Split:
    stub = android_stub(*STUB_DEX).read_bytes()
    return split_app(make_plan(read_app(data, name=name), plan), stub, options)
