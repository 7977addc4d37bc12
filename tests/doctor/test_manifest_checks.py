"""Each thing that a manifest can say and a phone or Google Play does not accept, and the mend of each."""

from __future__ import annotations

import pytest

from lawow.doctor import Severity
from tests.doctor.builders import HEALTHY, Sample, findings, kinds, only

SPLITS = '<meta-data android:name="com.android.vending.splits.required" android:value="true" />'


def component(tag: str, exported: str = "") -> str:
    """Return a component with an intent filter."""
    return f'<{tag} android:name=".It" {exported}><intent-filter /></{tag}>'


def test_a_healthy_app_has_no_findings() -> None:
    """Every other test changes one thing of this app, so its finding is the change's."""
    assert findings(HEALTHY) == ()


@pytest.mark.parametrize(
    ("sick", "kind", "mended"),
    [
        (HEALTHY.but(application='android:debuggable="true"'), "debuggable", HEALTHY),
        (HEALTHY.but(application='android:testOnly="true"'), "test-only", HEALTHY),
        (HEALTHY.but(target_sdk=35), "target-sdk-for-play", HEALTHY.but(target_sdk=36)),
        (HEALTHY.but(min_sdk=21, target_sdk=23), "target-sdk-for-phones", HEALTHY.but(min_sdk=21)),
        (HEALTHY.but(min_sdk=37), "min-sdk-above-target", HEALTHY.but(min_sdk=36)),
        (HEALTHY.but(package="com.example.app"), "example-package", HEALTHY.but(package="org.example")),
        (HEALTHY.but(application='android:isSplitRequired="true"'), "splits-missing", HEALTHY),
        (HEALTHY.but(inside=SPLITS), "splits-missing", HEALTHY),
        (
            HEALTHY.but(inside=component("service")),
            "exported-missing",
            HEALTHY.but(inside=component("service", 'android:exported="false"')),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_thing_is_found_and_its_mend_removes_it(sick: Sample, kind: str, mended: Sample) -> None:
    found = only(sick, kind)
    assert found.place == "AndroidManifest.xml"
    assert found.found
    assert found.why
    assert found.mend
    assert kinds(mended) == set()


@pytest.mark.parametrize("tag", ["activity", "activity-alias", "service", "receiver"])
def test_every_kind_of_component_has_to_say_whether_others_may_start_it(tag: str) -> None:
    assert ".It" in only(HEALTHY.but(inside=component(tag)), "exported-missing").found


def test_a_component_without_a_filter_and_a_filter_elsewhere_are_fine() -> None:
    provider = '<provider android:name=".B" android:authorities="b"><intent-filter /></provider>'
    assert kinds(HEALTHY.but(inside=f'<activity android:name=".A" />{provider}')) == set()


def test_before_android_12_nobody_has_to_say_so() -> None:
    assert "exported-missing" not in kinds(HEALTHY.but(target_sdk=30, inside=component("receiver")))


def test_what_a_setting_says_is_read_as_android_does() -> None:
    """false is no error, and neither is a reference to a resource, whose value depends on the device."""
    assert kinds(HEALTHY.but(application='android:debuggable="false"')) == set()
    low = HEALTHY.but(min_sdk=1, target_sdk=1, api=13)
    assert only(low, "target-sdk-for-phones").severity is Severity.ERROR
