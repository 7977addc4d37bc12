"""The doctor: what stands in the way of an app on phones and in Google Play, and how each thing is mended.

For anybody's app, as one APK or as a set of split APKs. Nothing is changed and no engine is loaded: files are
read, and every finding says what was found where, why it matters and what to do about it. What cannot be read
at all is refused; a damaged part of a readable file is a finding like any other.
"""

from __future__ import annotations

from lawow.doctor.examination import Report, examine
from lawow.doctor.findings import Finding, Severity

__all__ = ["Finding", "Report", "Severity", "examine"]
