"""The certificate of a split: what went in, what came out, what moved, what was proven, and how to repeat it.

It holds names, sizes and digests, and neither times nor places on a disk: the same input, options and key
give the same certificate on any machine (with an RSA key, as EC signatures hold random numbers by design).
Digests are SHA-256 in hex. The digest of a method's code is over its code_item as it stands in the original
dex file, from registers_size to the last catch handler.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lawow import __version__
from lawow.errors import FormatError, LimitExceeded
from lawow.formats.apk import AppPackage
from lawow.formats.dex.views import MethodView
from lawow.formats.dex.walk import skip_code
from lawow.formats.zip import ZipArchive, ZipEntry, read_zip
from lawow.refactor.pipeline import Refactored
from lawow.refactor.plan import ClassMove
from lawow.refactor.proof import CHECKS
from lawow.refactor.report import report_record
from lawow.refactor.split import EntryChange, Split
from lawow.refactor.translated import trial_records

__all__ = ["Certified", "JudgeResult", "certificate_bytes", "certificate_record"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Certified:
    """The names and bytes that a certificate is about. Names are file names, without folders."""

    command: str
    kind: str
    input_name: str
    input_files: Mapping[str, bytes]
    output_files: Mapping[str, bytes]
    reproducible: bool


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """What a tool that is not LAWOW said of the slim APK."""

    name: str
    version: str
    accepted: bool
    words: str


def certificate_record(
    certified: Certified, done: Refactored, judges: Sequence[JudgeResult] = ()
) -> dict[str, object]:
    """Return the certificate as data; keys are stable within a major version of `schema`."""
    report = report_record(done.report)
    split = done.report.split
    app = split.plan.app
    signed = {name: read_zip(apk) for name, apk in {app.name: done.apk, **done.companions}.items()}
    return {
        "schema": SCHEMA,
        "tool": f"lawow {__version__}",
        "command": certified.command,
        "reproducible": certified.reproducible,
        "package": app.manifest.package,
        "input": {
            "name": certified.input_name,
            "kind": certified.kind,
            "files": _files(certified.input_files),
        },
        "output": {"files": _files(certified.output_files)},
        "certificate_sha256": done.report.certificate_sha256,
        "entries": {
            "changed": [_change(change, split, signed) for change in split.changes],
            "kept": report["kept"],
            "identical": {
                "count": done.evidence.identical_entries,
                "sha256": done.evidence.identical_sha256,
            },
        },
        "moved": [_move(move) for move in split.plan.moves],
        "modules": report["modules"],
        "proven": list(CHECKS),
        "judges": [
            {"name": item.name, "version": item.version, "accepted": item.accepted, "words": item.words}
            for item in judges
        ],
        "warnings": list(done.report.warnings),
    }


def certificate_bytes(record: Mapping[str, object]) -> bytes:
    """Return the certificate as a file: JSON, indented, in UTF-8."""
    return json.dumps(record, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def _files(files: Mapping[str, bytes]) -> list[dict[str, object]]:
    return [{"name": name, "bytes": len(data), "sha256": _sha256(data)} for name, data in files.items()]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _change(change: EntryChange, split: Split, signed: Mapping[str, ZipArchive]) -> dict[str, object]:
    """Describe one changed entry; that of another APK of the set is called ``PATH: ENTRY``."""
    app = split.plan.app
    owners = {f"{item.name}: ": item for item in app.companions}
    prefix = next((prefix for prefix in owners if change.path.startswith(prefix)), "")
    owner, path = owners.get(prefix, app), change.path.removeprefix(prefix).encode()
    after = signed[owner.name].by_name.get(path)
    return {
        "path": change.path,
        "kind": change.kind,
        "action": change.action,
        "before": _content(owner.archive.by_name.get(path), _inflated(owner, path)),
        "after": _content(after, split.dexes.get(change.path)),
    }


def _inflated(app: AppPackage, path: bytes) -> bytes | None:
    """Return the content of an entry that has been inflated before."""
    return next((item.content for item in app.dexes if item.entry.name == path), None)


def _content(entry: ZipEntry | None, known: bytes | None) -> dict[str, object] | None:
    """Return size and digest of an entry's content, which may be `known`; None for no entry. The digest is
    None for an entry that cannot be read.
    """
    if entry is None:
        return None
    try:
        content = entry.read() if known is None else known
        return {"bytes": entry.uncompressed_bytes, "sha256": _sha256(content)}
    except (FormatError, LimitExceeded):
        return {"bytes": entry.uncompressed_bytes, "sha256": None}


def _move(move: ClassMove) -> dict[str, object]:
    bound = {(item.method, item.descriptor): item for item in move.methods}
    codes = [(item.name, item.descriptor, _code_sha256(item)) for item in move.view.methods]
    return {
        "class": move.classified.name,
        "reason": move.classified.reason,
        "dex_files": list(move.classified.dex_files),
        **({} if move.translation is None else {"trials": trial_records(move.translation)}),
        "code_sha256": _sha256(_lines(codes)),
        "methods": [
            {
                "name": name,
                "descriptor": descriptor,
                "code_sha256": digest,
                "export": None if (item := bound.get((name, descriptor))) is None else item.export,
                "module": None if item is None else item.module,
            }
            for name, descriptor, digest in codes
        ],
    }


def _lines(codes: Iterable[tuple[str, str, str | None]]) -> bytes:
    """Return what the digest of a class is over: one line for each method, in the order of the dex file."""
    lines = (f"{name}{descriptor} {digest or '-'}\n" for name, descriptor, digest in codes)
    return "".join(lines).encode("utf-8", "surrogatepass")


def _code_sha256(method: MethodView) -> str | None:
    """Return the digest of a method's code_item; None for a native or abstract method."""
    if not method.has_code:
        return None
    data = method.owner.dex.data
    return _sha256(data[method.code_off : skip_code(data, method.code_off, [])])
