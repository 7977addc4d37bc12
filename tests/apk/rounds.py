"""One round on a real app: random classes move, then everybody who knows about APKs is asked.

The classes' eligible methods (static, of primitive types) get modules of our own, which export functions of
those names and types. Nobody runs them here: what counts is the APK.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lawow.errors import Refused
from lawow.formats.apk import AppPackage, read_app
from lawow.formats.dex.views import ClassView
from lawow.formats.signing import SigningKey
from lawow.formats.zip import find_misaligned, read_zip
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.pipeline import Refactored, refactor_app
from lawow.refactor.plan import PlanOptions, make_plan
from lawow.refactor.split import SplitOptions
from tests.refactor.builders import wasm
from tests.tools import run, tool

__all__ = ["Round", "disassembly", "entries_of", "judge", "judge_file", "play"]

LETTERS = {"Z": "i", "B": "i", "S": "i", "C": "i", "I": "i", "J": "I", "F": "f", "D": "F"}
NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
MOST_TRIES = 60
SIGNATURE = re.compile(r"META-INF/(MANIFEST\.MF|[^/]+\.(SF|RSA|DSA|EC))")


@dataclass(frozen=True)
class Round:
    """What came of moving some classes of an app."""

    before: Path
    moved: tuple[str, ...]
    refused: tuple[str, ...]
    done: Refactored


def play(apk: Path, seed: int, classes: int, key: SigningKey) -> Round | None:
    """Move up to `classes` random classes that can be moved; None for an app without any."""
    data = apk.read_bytes()
    app = read_app(data, name=apk.name)
    chosen: list[ModuleChoice] = []
    refused: list[str] = []
    for choice in _candidates(app, random.Random(f"{apk.name} {seed}")):
        try:
            make_plan(app, _options([*chosen, choice]))
        except Refused as error:
            refused.append(str(error))
        else:
            chosen.append(choice)
        if len(chosen) == classes or len(refused) == MOST_TRIES:
            break
    while chosen:
        try:
            done = refactor_app(data, apk.name, _options(chosen), SplitOptions(), key)
            return Round(apk, tuple(item.class_name for item in chosen), tuple(refused), done)
        except Refused as error:  # only now is code looked at instruction by instruction
            refused.append(str(error))
            chosen.pop()
    return None


def _options(choices: list[ModuleChoice]) -> PlanOptions:
    return PlanOptions(
        rules=("no.class.has.this.Name",),
        modules=tuple(choices),
        annotations=(),
        allow_unbound=True,
        allow_old_android=True,
    )


def _candidates(app: AppPackage, rng: random.Random) -> Iterator[ModuleChoice]:
    names = [(item.dex, descriptor) for item in app.dexes for descriptor in item.dex.class_names()]
    rng.shuffle(names)
    for number, (dex, descriptor) in enumerate(names):
        exports = _exports(dex.class_def(descriptor))
        if exports:
            name = descriptor[1:-1].replace("/", ".")
            yield ModuleChoice(name, f"m{number}.wasm", wasm(exports))


def _exports(view: ClassView) -> dict[str, str]:
    """Return name and core type of the static methods of primitive types whose name is theirs alone."""
    every = [method.name for method in view.methods]
    exports = {}
    for method in view.methods:
        kinds = method.proto.parameters
        result = "" if method.proto.return_type == "V" else LETTERS.get(method.proto.return_type)
        fits = (
            method.is_static
            and method.has_code
            and all(kind in LETTERS for kind in kinds)
            and result is not None
        )
        if fits and every.count(method.name) == 1 and NAME.fullmatch(method.name):
            exports[method.name] = f"{''.join(LETTERS[kind] for kind in kinds)}>{result}"
    return exports


def judge(played: Round, folder: Path) -> None:
    """Ask every judge. Raises `AssertionError` with the words of the first that is not content."""
    judge_file(played.done.apk, folder)
    split = played.done.report.split
    changed = {change.path for change in split.changes}
    assert entries_of(played.before, changed) == entries_of(folder / "slim.apk", changed)
    before = {item.name: item.content for item in split.plan.app.dexes}
    added = [name for name in split.dexes if name not in before]
    disassembly(split.dexes[added[0]], folder)
    for name, content in split.dexes.items():
        if name in before:
            old = disassembly(before[name], folder)
            gone = {move.descriptor for move in split.plan.moves}
            expected = {key: value for key, value in old.items() if key not in gone}
            assert disassembly(content, folder) == expected, name


def judge_file(apk: bytes, folder: Path) -> None:
    """Ask those who look at the whole file."""
    slim = folder / "slim.apk"
    slim.write_bytes(apk)
    run("apksigner", "verify", slim)
    run("zipalign", "-c", "-p", "4", slim)
    run("aapt", "dump", "badging", slim)
    assert list(find_misaligned(read_zip(apk))) == []


def entries_of(apk: Path, changed: set[str]) -> list[tuple[object, ...]]:
    """Return name, metadata and compressed bytes of all other entries, as the standard library finds them."""
    data = apk.read_bytes()
    found = []
    with zipfile.ZipFile(apk) as archive:
        for info in archive.infolist():
            if info.filename in changed or re.fullmatch(
                r"META-INF/(MANIFEST\.MF|[^/]+\.(SF|RSA|DSA|EC))", info.filename
            ):
                continue
            names = int.from_bytes(data[info.header_offset + 26 : info.header_offset + 28], "little")
            extra = int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
            start = info.header_offset + 30 + names + extra
            content = hashlib.sha256(data[start : start + info.compress_size]).hexdigest()
            facts = (
                info.compress_type,
                info.CRC,
                info.file_size,
                info.date_time,
                info.external_attr,
                info.extra,
            )
            found.append((info.filename, content, *facts))
    return found


_NUMBERS = re.compile(
    r" // [a-z_]+@[0-9a-f]+(, [a-z_]+@[0-9a-f]+)*"
    r"|(?<=source_file_idx   : )[0-9a-fx]+"
    r"|(?<=on field )#[0-9]+|(?<=on method )#[0-9]+"
)
_cache: dict[str, dict[str, str]] = {}


def disassembly(dex: bytes, folder: Path) -> dict[str, str]:
    """Return a digest of each class's disassembly by dexdump, without places and numbers of ids.

    dexdump must accept the file: exit status 0 and not a word of complaint.
    """
    digest = hashlib.sha256(dex).hexdigest()
    if digest not in _cache:
        path = folder / "one.dex"
        path.write_bytes(dex)
        argv = [tool("dexdump"), "-d", "-a", str(path)]
        with (
            (folder / "words").open("wb") as words,
            subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=words) as process,
        ):
            assert process.stdout is not None
            classes = _digests(process.stdout)
        assert process.returncode == 0
        assert (folder / "words").read_bytes() == b""
        _cache[digest] = classes
    return _cache[digest]


def _digests(lines: Iterator[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    number, descriptor, digest = "", "", hashlib.blake2b(digest_size=16)
    for raw in lines:
        line = raw.decode("utf-8", "backslashreplace")
        if line.startswith("Class #"):
            this = re.split(r"[^0-9]", line[7:], maxsplit=1)[0]
            if this != number:
                if descriptor:
                    found[descriptor] = digest.hexdigest()
                number, descriptor, digest = this, "", hashlib.blake2b(digest_size=16)
            line = line.replace(f"Class #{this}", "Class")
            line = " ".join(line.split())
        elif line.startswith("  Class descriptor"):
            descriptor = line.partition("'")[2].rpartition("'")[0]
        elif "|" in line and line[:6].strip(":").isalnum():
            line = re.sub(r"^\[[0-9a-f]+\]", "", line.partition("|")[2])
        digest.update(_NUMBERS.sub("", line).encode())
    if descriptor:
        found[descriptor] = digest.hexdigest()
    return found
