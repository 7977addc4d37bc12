"""What speaks against the app's code: damaged dex files, versions that old phones do not know, gaps, limits.

Sources: "Dalvik executable format" (versions); AOSP ``standard_dex_file.cc`` (037: Android 7, 038: 8, 039: 9,
040: after 10); developer.android.com, "Enable multidex".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from lawow.doctor.app import Apk, App, DexFile
from lawow.doctor.findings import Finding, Kind, Severity, listed
from lawow.errors import FormatError
from lawow.formats.apk import DEX_NAME, MANIFEST, dex_name
from lawow.formats.dex import verify_dex
from lawow.formats.dex.names import java_name
from lawow.formats.dex.spec import MAX_IDS, ItemType

__all__ = ["check_code"]

_FIRST_API = {"037": 24, "038": 26, "039": 28, "040": 30}
_FIRST_MULTIDEX_API = 21
_MULTIDEX = {"Landroidx/multidex/MultiDex;", "Landroid/support/multidex/MultiDex;"}
_NEARLY_FULL = 0.97  # 2,000 ids are left; a medium library brings as many
_TABLES = {"methods": ItemType.METHOD_ID_ITEM, "fields": ItemType.FIELD_ID_ITEM}

MALFORMED = Kind(
    "dex-malformed",
    Severity.ERROR,
    "Android verifies each dex file when it loads it, and refuses the whole file: the app does not start",
    "build the APK anew; if a tool rewrote this dex file, it did so wrongly",
)
VERSION = Kind(
    "dex-version",
    Severity.ERROR,
    "older phones that minSdkVersion allows do not know this version of the format, and refuse the whole"
    " file",
    "raise minSdk, or have d8 write for it (--min-api)",
)
GAP = Kind(
    "dex-gap",
    Severity.ERROR,
    "Android loads classes.dex, classes2.dex and so on until a number is missing; the files behind the gap"
    " are dead, and code that uses their classes fails",
    "number the dex files without a gap, or remove the dead ones",
)
NO_CODE = Kind(
    "no-code",
    Severity.ERROR,
    "Android does not start an app without classes.dex unless the manifest says that it has no code",
    'build it with its code, or write android:hasCode="false"',
)
MULTIDEX = Kind(
    "multidex-before-21",
    Severity.ERROR,
    "Android before 5.0 loads classes.dex alone, and the multidex library, which loads the rest, is not"
    " there",
    "raise minSdk to 21, or add androidx.multidex",
)
TWICE = Kind(
    "class-defined-twice",
    Severity.WARNING,
    "the first definition wins, and the other one is dead: a library is in the app twice, maybe in two"
    " versions",
    "exclude one of the two dependencies",
)
NEARLY_FULL = Kind(
    "dex-nearly-full",
    Severity.NOTE,
    f"a dex file names at most {MAX_IDS:,} methods and fields; a build that puts one more into it fails",
    "with minSdk 21 or above d8 opens another dex file by itself; below, shrink with R8",
)


def check_code(app: App) -> Iterator[Finding]:
    """Yield what is wrong with the dex files of the app."""
    for item in app.dexes:
        yield from _file(app, item)
    for apk in app.apks:
        yield from _numbers(apk)
    base = app.base
    if not base.dexes and app.attribute("hasCode") is not False:
        yield NO_CODE.at(base.place(MANIFEST.decode()), "there is no classes.dex")
    opened = [item for item in app.dexes if item.dex]
    if len(base.dexes) > 1 and app.min_sdk < _FIRST_MULTIDEX_API and not _defines(opened, _MULTIDEX):
        found = f"minSdkVersion is {app.min_sdk}, and there are {len(base.dexes)} dex files"
        yield MULTIDEX.at(base.place("classes2.dex"), found)
    yield from _twice(opened)


def _file(app: App, item: DexFile) -> Iterator[Finding]:
    if not item.data:
        return  # the archive's check has said that the entry cannot be read
    issues = [str(issue) for issue in verify_dex(item.data)]
    if issues:
        more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
        yield MALFORMED.at(item.place, f"{issues[0]}{more}")
    if item.dex is None:
        return
    first = _FIRST_API.get(item.dex.version, 1)
    if first > app.min_sdk:
        found = f"is of version {item.dex.version}, which needs API {first}; minSdkVersion is {app.min_sdk}"
        yield VERSION.at(item.place, found)
    for name, table in _TABLES.items():
        count = item.dex.size_of(table)
        if count > _NEARLY_FULL * MAX_IDS:
            yield NEARLY_FULL.at(item.place, f"names {count:,} {name}; there is room for {MAX_IDS - count:,}")


def _numbers(apk: Apk) -> Iterator[Finding]:
    loaded = {dex_name(number) for number in range(1, len(apk.dexes) + 1)}
    present = {entry.path for entry in apk.archive.entries if DEX_NAME.fullmatch(entry.name)}
    if dead := sorted(present - loaded):
        missing = dex_name(len(apk.dexes) + 1)
        yield GAP.at(apk.place(dead[0]), f"{missing} is missing, so {listed(dead)} is not loaded")


def _defines(files: list[DexFile], wanted: set[str]) -> bool:
    return any(item.dex and item.dex.class_indexes(name) for item in files for name in wanted)


def _twice(files: list[DexFile]) -> Iterator[Finding]:
    places: dict[str, list[str]] = defaultdict(list)
    for item in files:
        try:
            names = item.dex.class_names() if item.dex else []
        except FormatError:
            continue  # `verify_dex` has said so
        for name in names:
            places[name].append(item.place)
    doubled = sorted(name for name, where in places.items() if len(where) > 1)
    if doubled:
        names = [java_name(item) for item in doubled]
        found = f"both define ({len(doubled)} in all): {listed(names)}"
        yield TWICE.at(" and ".join(dict.fromkeys(places[doubled[0]])), found)
