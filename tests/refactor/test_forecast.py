"""A plan says what would come of it before anything is written: calls, sizes, ids, costs, advice, picture."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lawow.errors import UsageError
from lawow.formats.apk import AppPackage, read_app
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.reader import read_dex
from lawow.formats.dex.search import annotated_classes, find_uses, instruction_uses, string_ids
from lawow.refactor.advice import advise
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.costs import CallCost, break_even
from lawow.refactor.edge_properties import EdgeProperties
from lawow.refactor.forecast import ID_LIMIT, Forecast, forecast_app
from lawow.refactor.picture import plan_page
from lawow.refactor.pipeline import preview
from lawow.refactor.plan import PlanOptions
from lawow.refactor.plan_report import Timing, plan_lines, plan_record
from lawow.refactor.split import SplitOptions
from tests.refactor.builders import (
    CONSTRUCTOR,
    FIB,
    binary_manifest,
    make_zip,
    smali_class,
    smali_method,
    wasm,
)
from tests.refactor.conftest import FIBONACCI, BuildApp

LOOP = """    :again
    invoke-static {p0}, Lcom/example/app/FibonacciWasm;->fib(I)I
    move-result v0
    if-nez v0, :again
    return-void"""
CALL = """    const/4 v0, 0x1
    invoke-static {v0}, Lcom/example/app/FibonacciWasm;->fib(I)I
    return-void"""
MAIN = smali_class(
    "com.example.app.Main",
    CONSTRUCTOR + smali_method("loop", "(I)V", LOOP) + smali_method("onCreate", "()V", CALL, flags="public"),
)
FIB_CLASS = "com.example.app.FibonacciWasm"


@pytest.fixture(scope="module")
def forecast(build_app: BuildApp) -> Forecast:
    return forecast_app(build_app([FIBONACCI, MAIN]), "app.apk", PlanOptions())


def test_callers_are_counted_and_told_when_a_phone_would_feel_them(forecast: Forecast) -> None:
    (edge,) = forecast.graph.edges
    assert (edge.calls, edge.is_remote, edge.in_loop, edge.on_main_thread) == (2, True, True, True)
    assert [(site.caller, site.offset) for site in forecast.graph.call_sites] == [
        ("com.example.app.Main.loop(I)V", 0),
        ("com.example.app.Main.onCreate()V", 1),
    ]
    text = "\n".join(plan_lines(forecast))
    assert "note      com.example.app.Main.loop(I)V calls fib at 0x0 in a loop" in text
    assert "Main.onCreate()V calls fib at 0x1 on the main thread" in text


def test_bytes_of_a_call_follow_from_its_types(forecast: Forecast) -> None:
    (cost,) = forecast.costs
    assert (cost.arguments_bytes, cost.results_bytes, cost.per_element_bytes) == (8, 8, 0)
    assert cost.total_bytes == cost.request_bytes + cost.response_bytes
    assert 400 < cost.request_bytes < 600


COST = CallCost("a.B.c", "(I)I", 8, 8, 4)


def test_a_call_pays_below_the_time_that_it_saves() -> None:
    point = break_even(COST, 0.2, 0.05)
    assert point.round_trip_seconds == pytest.approx(0.15)
    assert point.bandwidth_at(0.16) is None
    at_50 = point.bandwidth_at(0.05)
    assert at_50 is not None
    total = 0.05 + 0.05 + 8 * point.total_bytes / at_50
    assert total == pytest.approx(0.2)
    more = break_even(COST, 0.2, 0.05, elements=1000)
    assert more.total_bytes == point.total_bytes + 4000
    assert break_even(COST, 0.05, 0.2).round_trip_seconds is None
    with pytest.raises(UsageError, match="--local-ms"):
        break_even(COST, 0.0, 1.0)


def test_the_forecast_agrees_with_the_split(build_app: BuildApp, forecast: Forecast) -> None:
    exact = preview(build_app([FIBONACCI, MAIN]), "app.apk", PlanOptions(), SplitOptions())
    expected = {(item.path, item.action) for item in exact.split.changes}
    found = {(item.path, item.action) for item in forecast.entries}
    assert found == {item for item in expected if item[0] != "AndroidManifest.xml"}
    sizes = {item.path: item.bytes_after for item in exact.split.changes}
    for entry in forecast.entries:
        if entry.is_exact:
            assert entry.bytes_after == sizes[entry.path]
        elif entry.kind == "dex":
            assert 0.5 < entry.bytes_after / sizes[entry.path] < 2
    assert forecast.bundle_bytes == len(exact.split.bundle)
    new = forecast.ids[-1]
    assert new.is_new
    assert new.methods < ID_LIMIT


def test_the_forecast_knows_what_of_the_stub_library_the_app_uses(build_app: BuildApp) -> None:
    opens = (
        "    invoke-virtual {v0}, Ldev/lawow/OffloadHandler;->offloaded()Ljava/util/List;\n    return-void"
    )
    data = build_app(
        [FIBONACCI, MAIN, smali_class("com.example.app.Opener", smali_method("go", "()V", opens))]
    )
    exact = preview(data, "app.apk", PlanOptions(), SplitOptions()).split.dexes["classes2.dex"]
    found = forecast_app(data, "app.apk", PlanOptions()).ids[-1]
    assert found.classes == len(read_dex(exact).class_names())


def test_a_module_with_another_reader_is_kept(build_app: BuildApp) -> None:
    reader = smali_class(
        "com.example.app.Reader",
        smali_method("open", "()V", '    const-string v0, "fibonacci.wasm"\n    return-void'),
    )
    found = forecast_app(build_app([FIBONACCI, reader]), "app.apk", PlanOptions())
    (kept,) = (entry for entry in found.entries if entry.action == "kept")
    assert kept.reason == 'com.example.app.Reader holds the string "fibonacci.wasm"'


def test_a_class_that_only_asks_whether_it_shall_run_here_needs_no_runtime(build_app: BuildApp) -> None:
    body = "    sget-object v0, Ldev/lawow/Lawow;->LOCAL:Ljava/lang/Object;\n    return-void"
    chooser = smali_class("com.example.app.Chooser", smali_method("go", "()V", body))
    files = {"assets/fibonacci.wasm": FIB, "lib/x86_64/liblawow.so": b""}
    data = build_app([FIBONACCI, chooser], entries=files)
    exact = preview(data, "app.apk", PlanOptions(), SplitOptions())
    for changes in (exact.split.changes, forecast_app(data, "app.apk", PlanOptions()).entries):
        assert ("lib/x86_64/liblawow.so", "removed") in {(item.path, item.action) for item in changes}


def test_json_has_what_the_text_has(forecast: Forecast) -> None:
    record = json.loads(json.dumps(plan_record(forecast, Timing(0.03, 0.004))))
    assert record["moved"][0]["class"] == FIB_CLASS
    assert record["call_sites"][0]["in_loop"] is True
    assert record["calls"][0]["break_even"]["round_trip_seconds"] == pytest.approx(0.026)
    assert record["ids"][-1]["new"] is True
    assert record["bytes"]["exact"] is False
    assert {item["topic"] for item in record["advice"]} == {"update", "edge-address"}


class Page(HTMLParser):
    """Collects tags and what would leave the page; complains about tags that do not match."""

    VOID = frozenset(("meta", "br", "rect", "path", "circle"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.outside: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href", "srcset") and value]
        self.outside += [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(forecast: Forecast) -> None:
    text = plan_page(forecast, Timing(0.03, 0.004))
    page = Page(text)
    assert page.outside == []
    assert "script" not in page.tags
    assert "http" not in re.sub(r"https://127\.0\.0\.1:8443", "", text)
    assert "prefers-color-scheme:dark" in text
    for piece in ("FibonacciWasm", "fibonacci.wasm", "Main", "can be carried out", "Mbit/s", "65,536"):
        assert piece in text


def test_the_page_of_a_plan_that_is_refused_says_so(build_app: BuildApp) -> None:
    body = "    invoke-static {}, Landroid/os/Process;->myPid()I\n    return p0"
    data = build_app([smali_class(FIB_CLASS, smali_method("fib", "(I)I", body)), MAIN])
    found = forecast_app(data, "app.apk", PlanOptions(show_refused=True))
    text = plan_page(found)
    assert "1 refused" in text
    assert "invoke-static at 0x0" in text
    assert "refused   com.example.app.FibonacciWasm.fib(I)I: framework-call" in "\n".join(plan_lines(found))


def test_hostile_names_stay_text(build_app: BuildApp) -> None:
    name = "com.example.app.\u061cgro$\u0645Wasm"
    data = build_app([smali_class(name, ".method public static native fib(I)I\n.end method\n"), MAIN])
    choice = ModuleChoice("*Wasm", "fibonacci.wasm", FIB)
    found = forecast_app(data, "<img src=x>&.apk", PlanOptions(modules=(choice,)))
    text = plan_page(found)
    Page(text)
    assert "<img" not in text
    assert "\u061c" not in text
    assert "\\u061c" in text


def test_the_page_is_bounded_in_a_large_neighbourhood(build_app: BuildApp) -> None:
    callers = [
        smali_class(f"com.example.app.Caller{number}", smali_method("go", "()V", CALL))
        for number in range(300)
    ]
    found = forecast_app(build_app([FIBONACCI, *callers]), "app.apk", PlanOptions())
    assert len(found.graph.call_sites) == 300
    text = plan_page(found)
    assert len(text) < 120_000
    assert "and 286 more classes" in text
    assert sum(line.startswith("caller") for line in plan_lines(found)) == 21


MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="com.example.app"
    android:sharedUserId="com.example.shared">
    <uses-sdk android:minSdkVersion="{min_sdk}" android:targetSdkVersion="29" />
    <uses-permission android:name="org.other.app.READ" />
    <permission android:name="com.example.app.TALK" android:protectionLevel="signature" />
    <application><meta-data android:name="com.google.android.geo.API_KEY" android:value="k" /></application>
</manifest>
"""


@pytest.fixture(scope="module")
def demanding(build_app: BuildApp, tmp_path_factory: pytest.TempPathFactory) -> AppPackage:
    manifest = binary_manifest(tmp_path_factory.mktemp("manifest"), text=MANIFEST, min_sdk=24)
    check = smali_method(
        "check",
        "()V",
        "    const/4 v0, 0x0\n    invoke-virtual {v0}, Landroid/content/pm/Signature;->toByteArray()[B\n"
        "    invoke-static {v0}, Lcom/google/android/play/core/integrity/IntegrityManagerFactory;->"
        "create(Landroid/content/Context;)Lcom/google/android/play/core/integrity/IntegrityManager;\n"
        "    return-void",
    )
    plain = read_app(build_app([FIBONACCI, smali_class("com.example.app.Guard", check)]), name="")
    contents = {entry.path: entry.read() for entry in plain.archive.entries}
    contents["AndroidManifest.xml"] = manifest
    contents["lib/armeabi-v7a/libold.so"] = b"\x7fELF"
    return read_app(make_zip(contents), name="app.apk")


def test_what_breaks_with_a_new_key_is_told_with_what_shows_it(demanding: AppPackage) -> None:
    told = {item.topic: item for item in advise(demanding, same_key=False, edge=EdgeProperties("https://e"))}
    assert set(told) == {
        "update",
        "shared-user-id",
        "signature-permission",
        "foreign-permission",
        "api-key",
        "integrity",
        "own-check",
        "32-bit",
    }
    assert "com.example.shared" in told["shared-user-id"].text
    assert "com.example.app.TALK" in told["signature-permission"].text
    assert told["api-key"].because == "meta-data com.google.android.geo.API_KEY"
    assert told["own-check"].because.startswith("com.example.app.Guard.check ")
    assert "libold.so" in told["32-bit"].text


def test_with_the_same_key_only_the_rest_is_told(demanding: AppPackage) -> None:
    topics = {item.topic for item in advise(demanding, same_key=True, edge=EdgeProperties("https://e"))}
    assert topics == {"32-bit"}


def test_plain_http_is_told_where_android_blocks_it(demanding: AppPackage) -> None:
    plain = EdgeProperties("http://127.0.0.1:8080")
    assert "clear-text" in {item.topic for item in advise(demanding, same_key=True, edge=plain)}


def test_an_ordinary_app_gets_no_advice_that_does_not_apply(build_app: BuildApp) -> None:
    app = read_app(build_app([FIBONACCI, MAIN]), name="app.apk")
    assert advise(app, same_key=True, edge=EdgeProperties("https://e")) == ()


@pytest.mark.slow
def test_a_real_app_is_planned_by_its_call_graph(apidemos_apk: Path) -> None:
    lerp = ModuleChoice("CamUtils", "cam_utils.wasm", wasm({"lerp": "fff>f"}))
    options = PlanOptions(modules=(lerp,), allow_old_android=True)
    found = forecast_app(apidemos_apk.read_bytes(), "ApiDemos-debug.apk", options)
    callers = [(site.caller.partition("(")[0], site.offset) for site in found.graph.call_sites]
    assert callers == [("androidx.core.content.res.ViewingConditions.make", at) for at in (0x76, 0x82)]
    assert (found.ids[0].methods, found.ids[0].types) == (43_541, 6_360)
    assert found.plan.refusals == ()
    assert len(plan_page(found)) < 60_000


@pytest.mark.slow
def test_searching_finds_what_reading_all_code_finds(apidemos_apk: Path) -> None:
    dex = read_app(apidemos_apk.read_bytes(), name="").dexes[0].dex
    views = dex.classes[::40]
    wanted = {IndexKind.STRING: set(), IndexKind.METHOD: set(), IndexKind.TYPE: set(), IndexKind.FIELD: set()}
    uses = [use for view in views for method in view.methods for use in instruction_uses(method)]
    for use in uses[::37]:
        if use.kind in wanted:
            wanted[use.kind].add(use.target)
    found = {(use.method.ref, use.offset) for use in find_uses(dex, wanted)}
    expected = {(use.method.ref, use.offset) for use in uses if use.target in wanted.get(use.kind, ())}
    inside = {view.descriptor for view in views}
    assert {item for item in found if item[0].class_name in inside} == expected
    for index in list(wanted[IndexKind.STRING])[:50]:
        assert string_ids(dex, [dex.string(index)]) == [index]
    assert annotated_classes(dex, ["Lno/such/Annotation;"]) == {}
    marked = annotated_classes(dex, ["Ldalvik/annotation/EnclosingClass;"])
    slow = {
        view.descriptor
        for view in dex.classes
        if any(item.type == "Ldalvik/annotation/EnclosingClass;" for item in view.annotations)
    }
    assert slow <= marked.keys()


def test_an_edge_back_to_a_caller_runs_between_the_two_columns(build_app: BuildApp) -> None:
    """Around the right side it would cross the boxes of both."""
    back = """    invoke-static {}, Lcom/example/app/Main;->called()V
    return-void"""
    fib = FIBONACCI + smali_method("other", "()V", back)
    main = MAIN + smali_method("called", "()V", "    return-void")
    page = plan_page(forecast_app(build_app([fib, main]), "app.apk", PlanOptions()))
    rects = [int(place) for place in re.findall(r'<rect x="(\d+)"', page)]
    paths = re.findall(r'<path d="([^"]*)" marker-end', page)
    assert (len(set(rects)), len(paths)) == (2, 2)
    for path in paths:
        across = [int(pair.split()[0]) for pair in re.findall(r"\d+ \d+", path)]
        assert min(rects) < min(across) < max(across) <= max(rects)
