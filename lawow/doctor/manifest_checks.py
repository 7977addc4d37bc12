"""What the manifest says that a phone or Google Play does not accept.

Sources: developer.android.com, "Meet Google Play's target API level requirement", "Behavior changes" of
Android 12 (``android:exported``) and of Android 14 and 15 (lowest targetSdkVersion), "``<application>``".
"""

from __future__ import annotations

from collections.abc import Iterator

from lawow.doctor.app import App
from lawow.doctor.findings import Finding, Kind, Severity, listed
from lawow.formats.apk import MANIFEST
from lawow.formats.axml import Element

__all__ = ["PLAY_TARGET_SDK", "check_manifest"]

PLAY_TARGET_SDK = 36
"""What Google Play asks of new apps and of updates since 31 August 2026."""
_LOWEST_TARGET_SDK = 24  # of what Android 15 and later install
_EXPORTED_SDK = 31
_COMPONENTS = ("activity", "activity-alias", "service", "receiver")
_SPLITS_REQUIRED = "com.android.vending.splits.required"
_PLACE = MANIFEST.decode()

DEBUGGABLE = Kind(
    "debuggable",
    Severity.ERROR,
    "Google Play does not take it; whoever has the phone in hand can read the app's data and run code in it",
    "build the release variant (assembleRelease), and set no android:debuggable in the manifest",
)
TEST_ONLY = Kind(
    "test-only",
    Severity.ERROR,
    "only `adb install -t` installs it; Google Play does not take it",
    "build the APK with Gradle instead of Android Studio's Run, which marks what it installs",
)
TARGET_FOR_PLAY = Kind(
    "target-sdk-for-play",
    Severity.ERROR,
    f"since 31 August 2026 Google Play takes new apps and updates for API level {PLAY_TARGET_SDK} and above"
    " only (Wear, TV, Automotive and XR may be below)",
    f"set targetSdk to {PLAY_TARGET_SDK}, and try what that changes; nothing to do if the app is not for"
    " Google Play",
)
TARGET_FOR_PHONES = Kind(
    "target-sdk-for-phones",
    Severity.ERROR,
    f"Android 15 and later do not install an app for API levels below {_LOWEST_TARGET_SDK}, Android 14 none"
    " below 23",
    "set targetSdk higher; on your own phone: adb install --bypass-low-target-sdk-block",
)
MIN_ABOVE_TARGET = Kind(
    "min-sdk-above-target",
    Severity.WARNING,
    "no phone that installs the app has the API level it was made for, so compatibility modes are always on",
    "set targetSdk to minSdk or above",
)
EXPORTED_MISSING = Kind(
    "exported-missing",
    Severity.ERROR,
    "Android 12 and later do not install an app for API level 31 or above that leaves open whether others"
    " may start a component with an intent filter",
    'write android:exported="true" or "false" at each of them; for one of a library, in your manifest with'
    " tools:node",
)
EXAMPLE_PACKAGE = Kind(
    "example-package",
    Severity.ERROR,
    "Google Play takes no app whose id starts with com.example",
    "choose another applicationId, under a domain of yours",
)
SPLITS_MISSING = Kind(
    "splits-missing",
    Severity.ERROR,
    "the app needs other APKs of its set; Android does not install the base alone",
    "take the whole set (bundletool extract-apks, adb install-multiple), or build one universal APK with"
    " bundletool build-apks --mode=universal",
)


def check_manifest(app: App) -> Iterator[Finding]:
    """Yield what is wrong with the base's manifest."""
    yield from _flags(app)
    yield from _levels(app)
    yield from _exported(app)
    package = app.base.manifest.package
    if package == "com.example" or package.startswith("com.example."):
        yield EXAMPLE_PACKAGE.at(app.base.place(_PLACE), f"the package is {package[:200]}")
    if not app.is_set and _needs_splits(app):
        yield SPLITS_MISSING.at(app.base.place(_PLACE), "says that splits are required")


def _flags(app: App) -> Iterator[Finding]:
    if app.attribute("debuggable") is True:
        yield DEBUGGABLE.at(app.base.place(_PLACE), "android:debuggable is true")
    if app.attribute("testOnly") is True:
        yield TEST_ONLY.at(app.base.place(_PLACE), "android:testOnly is true")


def _levels(app: App) -> Iterator[Finding]:
    place, found = app.base.place(_PLACE), f"targetSdkVersion is {app.target_sdk}"
    if app.target_sdk < _LOWEST_TARGET_SDK:
        yield TARGET_FOR_PHONES.at(place, found)
    elif app.target_sdk < PLAY_TARGET_SDK:
        yield TARGET_FOR_PLAY.at(place, found)
    if app.min_sdk > app.target_sdk:
        yield MIN_ABOVE_TARGET.at(place, f"minSdkVersion is {app.min_sdk}, {found}")


def _exported(app: App) -> Iterator[Finding]:
    if app.target_sdk < _EXPORTED_SDK:
        return
    manifest = app.base.manifest
    undecided: list[str] = []
    component: Element | None = None
    for depth, element in manifest.elements():
        if depth == 3:
            component = element if any(map(element.is_named, _COMPONENTS)) else None
        if component and element.is_named("intent-filter"):
            if manifest.value_of(component, "exported") is None:
                undecided.append(str(manifest.value_of(component, "name"))[:200])
            component = None
    if undecided:
        found = f"have an intent filter and no android:exported ({len(undecided)} in all)"
        yield EXPORTED_MISSING.at(app.base.place(_PLACE), f"{found}: {listed(undecided)}")


def _needs_splits(app: App) -> bool:
    if app.attribute("isSplitRequired") is True:
        return True
    manifest = app.base.manifest
    marks = (element for _, element in manifest.elements() if element.is_named("meta-data"))
    return any(
        manifest.value_of(mark, "name") == _SPLITS_REQUIRED and manifest.value_of(mark, "value") is True
        for mark in marks
    )
