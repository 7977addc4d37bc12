"""What ``lawow exec`` says of a run beside its results: seconds, memory, and all of it as one document.

Nothing here needs click, so that ``--json`` and ``--time`` cost little more than the call.
"""

from __future__ import annotations

import sys

from lawow.execution.arguments import json_value
from lawow.formats.interface import signature_letters, wit_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lawow.errors import LawowError
    from lawow.execution.preparation import Prepared
    from lawow.execution.reactor import RunReport

__all__ = ["peak_memory_bytes", "problem_document", "run_document", "statistics", "times_line"]


def run_document(path: str, prepared: Prepared, report: RunReport) -> dict[str, object]:
    """Return what ``--json`` prints of a run of the file at `path`, but for what a guest has said."""
    pairs = zip(report.function.results, report.results, strict=False)
    document: dict[str, object] = {
        "module": path,
        "export": prepared.export,
        "signature": signature_letters(report.function),
        "wit": wit_of(prepared.export, report.function),
        "results": [json_value(kind, value) for kind, value in pairs],
        "seconds": {
            "transfer": report.transfer_seconds,
            "prepare": report.prepare_seconds,
            "run": report.run_seconds,
        },
        "guest_memory_bytes": report.memory_bytes,
        "peak_memory_bytes": peak_memory_bytes(),
    }
    if report.typed is not None:
        document |= report.typed.document()
    if len(report.runs_seconds) > 1:
        document["repeated"] = statistics(report.runs_seconds)
    return document


def problem_document(error: LawowError) -> dict[str, object]:
    """Return an error as ``--json`` prints it, whatever the verb."""
    facts = {"error": type(error).__name__, **error.details()}
    return {**facts, "message": str(error), "exit_code": error.exit_code}


def times_line(report: RunReport) -> str:
    """Return what ``--time`` prints of a run."""
    return (
        f"transfer {report.transfer_seconds:.6f} s, prepare {report.prepare_seconds:.6f} s, "
        f"run {report.run_seconds:.6f} s, guest memory {report.memory_bytes} bytes, "
        f"peak memory of the process {peak_memory_bytes()} bytes"
    )


def statistics(seconds: list[float]) -> dict[str, float]:
    """Return count, least, median and 99th percentile (nearest rank) of the times of the call alone."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "min": ordered[0],
        "median": (ordered[last // 2] + ordered[(last + 1) // 2]) / 2,
        "p99": ordered[-(-99 * len(ordered) // 100) - 1],
    }


def peak_memory_bytes() -> int:
    """Return the most memory that this process has held, as the kernel counts it."""
    if sys.platform == "linux":
        # ru_maxrss would count what the parent held when it forked; the address space's mark does not.
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) << 10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
