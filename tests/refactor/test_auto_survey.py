"""What `--auto` finds in an app, what it expects of it, and what it takes."""

from __future__ import annotations

import io
import random
import zipfile

import pytest

from lawow.dalvik import Program
from lawow.errors import FormatError, LimitExceeded, Refused
from lawow.formats.apk import read_app
from lawow.refactor.auto_report import survey_lines, survey_record
from lawow.refactor.automatic import AutoOptions, Ranked, Survey, survey_app, translate_chosen
from lawow.refactor.candidates import find_candidates
from lawow.refactor.profit import Basis, Conditions, estimate_seconds
from lawow.refactor.rules import parse_rules
from lawow.refactor.timings import MethodTime, Timings, profile_text, read_timings
from tests.refactor.builders import CONSTRUCTOR, make_zip, smali_class, smali_method
from tests.refactor.conftest import BuildApp
from tests.refactor.kernels import KERNELS, build_kernels

ALL = parse_rules(["*"])
EDIT_DISTANCE = f"{KERNELS}.Sequences.editDistance([C[C)I"


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build_kernels(tmp_path_factory.mktemp("kernels"))


def survey(apk: bytes, options: AutoOptions | None = None) -> Survey:
    return survey_app(read_app(apk, name="app.apk"), options or AutoOptions())


def by_name(found: Survey) -> dict[str, Ranked]:
    return {item.candidate.ref.name: item for item in found.ranked}


# ---- finding


METHODS = {
    "fine(I)I": "add-int/lit8 v0, p0, 1; return v0",
    "calls_fine(I)I": "invoke-static {p0}, La/A;->fine(I)I; move-result v0; return v0",
    "text(Ljava/lang/String;)I": "const/4 v0, 0; return v0",
    "thing(Ljava/lang/Object;)I": "const/4 v0, 0; return v0",
    "object()Ljava/lang/Object;": "const/4 v0, 0; return-object v0",
    "time()J": "invoke-static {}, Ljava/lang/System;->nanoTime()J; move-result-wide v0; return-wide v0",
    "calls_time()J": "invoke-static {}, La/A;->time()J; move-result-wide v0; return-wide v0",
    "given([I)[I": "move-object v0, p0; return-object v0",
    "fresh([I)[I": "array-length v0, p0; new-array p0, v0, [I; return-object p0",
}
"""Signature -> instructions."""


def methods() -> str:
    """Return them as smali text, with one that takes a lock and one of instances."""
    text = smali_method("locked", "()V", "return-void", flags="public static declared-synchronized")
    text += smali_method("instance", "()V", "return-void", flags="public")
    for signature, code in METHODS.items():
        name, _, types = signature.partition("(")
        text += smali_method(name, f"({types}", code.replace("; ", "\n"))
    return text


@pytest.fixture(scope="module")
def small(build_app: BuildApp) -> bytes:
    return build_app([smali_class("a.A", CONSTRUCTOR + methods())])


def test_methods_that_only_compute_are_candidates_with_all_that_they_call(small: bytes) -> None:
    found = find_candidates(Program([item.dex for item in read_app(small, name="a").dexes]))
    accepted = {item.ref.name: [ref.name for ref in item.closure] for item in found.accepted}
    alone = {name: [name] for name in ("fine", "fresh", "text")}
    assert accepted == {**alone, "calls_fine": ["calls_fine", "fine"]}
    assert found.others == 1


@pytest.mark.parametrize(
    ("name", "reason", "instruction"),
    [
        ("thing", "takes something other than numbers, strings, arrays and data", ""),
        ("object", "returns something other than numbers, strings, arrays and data", ""),
        ("locked", "is synchronized", ""),
        ("instance", "has no loop, so its objects are not worth sending", ""),
        ("time", "calls Ljava/lang/System;->nanoTime()J", "invoke-static"),
        ("calls_time", "reaches La/A;->time()J: calls Ljava/lang/System;->nanoTime()J", "invoke-static"),
        ("given", "returns an array that it was given, and a copy would come back", "return-object"),
    ],
)
def test_every_other_static_method_has_one_reason(
    small: bytes, name: str, reason: str, instruction: str
) -> None:
    (item,) = [item for item in survey(small).rejected if item.method.name == name]
    assert (item.reason, item.obstacle.instruction) == (reason, instruction)
    assert (item.obstacle.offset is None) == (not instruction)


# ---- costs


@pytest.mark.parametrize(
    ("name", "power"),
    [
        ("multiply", 1.5),  # of the elements: the third power of a side
        ("solve", 1.5),
        ("distances", 1.5),
        ("editDistance", 2),
        ("adler32", 1),
        ("transform8x8", 0),  # eight turns, twice
        ("root", 0),  # eighty turns
        ("mandelbrot", 2),
        ("find", 1),
        ("convert", 0),
    ],
)
def test_loops_are_counted_by_what_ends_them(kernels: bytes, name: str, power: float) -> None:
    cost = by_name(survey(kernels))[name].cost
    assert (len(cost) - 1) / 2 == power
    assert min(cost) >= 0
    assert estimate_seconds(cost, 10_000) >= estimate_seconds(cost, 100) > 0


def test_a_loop_to_a_constant_costs_that_many_turns(kernels: bytes) -> None:
    costs = {name: item.cost for name, item in by_name(survey(kernels)).items()}
    assert costs["transform8x8"][0] > 15 * costs["butterfly"][0]
    assert 60 * 3 < costs["root"][0] < 80 * 20


# ---- choice


def test_by_default_nothing_is_taken_that_is_expected_to_lose(kernels: bytes) -> None:
    found = survey(kernels, AutoOptions(exclude=parse_rules(["*Main"])))
    assert [item.candidate.ref.name for item in found.ranked if not item.stays] == [
        "eliminate",
        "advance",
        "distance",
        "packed",
        "editDistance",
    ]
    assert all(item.gain.seconds > 0 for item in found.ranked if not item.stays)
    gains = [item.gain.seconds for item in found.ranked]
    assert gains == sorted(gains, reverse=True)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (Conditions(elements=100), Conditions(elements=5000)),
        (Conditions(round_trip_seconds=0.1), Conditions(round_trip_seconds=0.001)),
        (Conditions(bits_per_second=1e6), Conditions(bits_per_second=1e9)),
        (Conditions(edge_speed=1), Conditions(edge_speed=10)),
    ],
)
def test_better_conditions_never_gain_less(kernels: bytes, worse: Conditions, better: Conditions) -> None:
    first, second = (by_name(survey(kernels, AutoOptions(item))) for item in (worse, better))
    rising = [name for name, item in second.items() if item.gain.seconds > 0]
    assert rising
    assert all(second[name].gain.seconds >= first[name].gain.seconds for name in rising)


def test_a_measured_time_overrules_the_estimate(kernels: bytes) -> None:
    label = f"{KERNELS}.Digests.crc32([BII)I"
    slow, quick = MethodTime(label, 8, 4.0, 4096), MethodTime(EDIT_DISTANCE, 10, 0.001, 10)
    found = by_name(survey(kernels, AutoOptions(timings=Timings.of_times([slow, quick]))))
    assert found["crc32"].stays == ""
    assert found["crc32"].basis is Basis.MEASURED
    assert found["crc32"].gain.local_seconds == pytest.approx(0.5)
    assert found["editDistance"].stays == "a call loses time"


def test_from_where_on_a_measured_method_pays_follows_from_what_was_measured(kernels: bytes) -> None:
    estimated = by_name(survey(kernels))["editDistance"].gains_from
    slow = Timings.of_times([MethodTime(EDIT_DISTANCE, 1, 10.0, 100)])
    measured = by_name(survey(kernels, AutoOptions(timings=slow)))["editDistance"].gains_from
    assert measured is not None
    assert estimated is not None
    assert measured < 16 < estimated


def test_elements_that_nobody_measured_are_those_of_the_conditions(kernels: bytes) -> None:
    timings = Timings.of_times([MethodTime(EDIT_DISTANCE, 10, 1.0)])
    options = AutoOptions(Conditions(elements=77), timings=timings)
    gain = by_name(survey(kernels, options))["editDistance"].gain
    assert (gain.elements, gain.local_seconds) == (77, pytest.approx(0.1))


def test_one_call_never_takes_longer_than_all_of_a_sampled_profile(kernels: bytes) -> None:
    first = by_name(survey(kernels))["editDistance"].gain.local_seconds
    for seconds, local, basis in [(0.001, 0.001, Basis.BOUNDED), (60.0, first, Basis.ESTIMATED)]:
        sampled = Timings.of_times([MethodTime(EDIT_DISTANCE, None, seconds)])
        item = by_name(survey(kernels, AutoOptions(timings=sampled)))["editDistance"]
        assert (item.gain.local_seconds, item.basis) == (pytest.approx(local), basis)


def test_rules_take_what_they_name_whatever_it_gains_and_exclude_has_the_last_word(kernels: bytes) -> None:
    rules, exclude = parse_rules(["*Digests", "*Signals"]), parse_rules(["*Signals"])
    found = by_name(survey(kernels, AutoOptions(rules=rules, exclude=exclude)))
    assert {name for name, item in found.items() if not item.stays} == {"crc32", "adler32", "sha256"}
    assert found["blur"].stays == "excluded by *Signals"
    assert found["sort"].stays == "no rule names its class"


def test_helpers_go_along_with_their_callers(kernels: bytes) -> None:
    found = survey(kernels, AutoOptions(rules=ALL))
    idle = {item.candidate.ref.name for item in found.ranked if "goes along" in item.stays}
    assert idle == {"compress", "turn", "largest", "swapRows", "butterfly", "energy"}
    (made,) = translate_chosen(
        found, [item for item in found.chosen if item.ref.class_name.endswith("Digests;")]
    )
    assert {ref.name for ref in made.translation.exports} == {"crc32", "adler32", "sha256"}
    assert made.module.file == "auto-Digests.wasm"
    assert made.module.pure


def test_a_helper_that_gains_by_itself_is_still_called_inside_of_what_calls_it(kernels: bytes) -> None:
    """One call over the network for the whole loop, not one for each of its turns."""
    labels = {item.candidate.ref.name: item.label for item in survey(kernels).ranked}
    slow = [MethodTime(labels[name], 1, 9.0, 100) for name in ("sha256", "compress")]
    found = by_name(survey(kernels, AutoOptions(timings=Timings.of_times(slow))))
    assert found["sha256"].stays == ""
    assert found["compress"].gain.seconds > 1
    assert found["compress"].stays == "it goes along with methods that call it"
    assert found["compress"].candidate.ref in found["sha256"].candidate.closure


def test_two_classes_of_one_simple_name_have_modules_of_different_names(build_app: BuildApp) -> None:
    body = smali_method("run", "(I)I", "    return p0")
    apk = build_app([smali_class("a.Same", body), smali_class("b.Same", body)])
    found = survey(apk, AutoOptions(rules=ALL))
    assert [item.module.file for item in translate_chosen(found, found.chosen)] == [
        "auto-Same.wasm",
        "auto-Same-2.wasm",
    ]


def test_an_app_without_candidates_is_no_error(build_app: BuildApp) -> None:
    found = survey(build_app([smali_class("a.A", CONSTRUCTOR)]))
    assert found.chosen == ()
    first, last = survey_lines(found)
    assert first.startswith("auto      0 methods, candidates among them: 0, chosen: 0 ")
    assert last == "rejected  1 method: constructors and static initialisers"


def test_a_very_long_chain_of_calls_is_followed(build_app: BuildApp) -> None:
    chain = "".join(
        smali_method(
            f"m{at}", "(I)I", f"invoke-static {{p0}}, La/A;->m{at + 1}(I)I\nmove-result v0\nreturn v0"
        )
        for at in range(1500)
    )
    last = smali_method("m1500", "(I)I", "    return p0")
    found = by_name(survey(build_app([smali_class("a.A", chain + last)])))
    assert len(found["m0"].candidate.closure) == 1501
    assert found["m0"].cost[0] > found["m1400"].cost[0] * 10


# ---- what people and programs read


def test_what_a_method_calls_is_named_as_java_has_it_and_counts_for_all_its_callers(small: bytes) -> None:
    lines = list(survey_lines(survey(small)))
    assert "auto      nothing is offloaded; " in "\n".join(lines)
    assert "rejected  2 methods, 1 of them by what they call: calls java.lang.System.nanoTime()" in lines
    assert "rejected  1 method: takes something other than numbers, strings, arrays and data" in lines
    assert lines[-1] == "rejected  1 method: constructors and static initialisers"


def test_numbers_have_no_arrays_and_n_is_what_they_say(kernels: bytes) -> None:
    (line,) = [item for item in survey_lines(survey(kernels)) if ".Numbers.gcd(JJ)J: " in item]
    assert " a call if N is 1,000 (" in line


def test_the_survey_tells_gain_reason_and_rejections(kernels: bytes) -> None:
    found = survey(kernels)
    lines = list(survey_lines(found))
    assert lines[0] == (
        "auto      52 methods, candidates among them: 36, chosen: 5"
        " (N = 1,000 elements, 10 ms to the edge and back, 50 Mbit/s, an edge 3 times as fast)"
    )
    assert lines[1].startswith(f"candidate {KERNELS}.Grids.eliminate(")
    assert "gains" in lines[1]
    assert "pays from N = " in lines[1]
    assert any(" loses " in line and line.endswith(" on") for line in lines)
    assert any(line.startswith("rejected  ") and "java.util.Random" in line for line in lines)
    record = survey_record(found)
    assert isinstance(record["candidates"], list)
    assert len(record["candidates"]) == len(found.ranked)
    assert record["candidates"][0]["chosen"] is True


# ---- a profile


def test_a_profile_gives_calls_seconds_and_elements_where_they_are_known() -> None:
    text = "# taken on a phone\nmethod,calls,seconds,elements\n\na.B.run([D[D)V, 4, 2.0, 4096\n"
    text += "a.B.idle()V,1,0,\na.B.sampled()V,,0.5,0\n"
    timings = read_timings(text.encode(), name="profile.csv")
    assert timings.of("a.B.run([D[D)V") == MethodTime("a.B.run([D[D)V", 4, 2.0, 4096)
    assert timings.of("a.B.none()V", "a.B.idle()V") == MethodTime("a.B.idle()V", 1, 0.0)
    assert timings.of("a.B.sampled()V") == MethodTime("a.B.sampled()V", None, 0.5, 0)
    assert timings.of("a.B.other()V") is None


def test_a_profile_is_read_as_it_was_written_without_names_that_no_app_has() -> None:
    times = [MethodTime("a.B.run([D)V", 3, 0.125, 10), MethodTime("a.B.sampled()V", None, 1e-7)]
    text = profile_text([*times, MethodTime("a,b#.c()V", 1, 1.0)])
    assert list(read_timings(text.encode(), name="profile.csv").by_method.values()) == times


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("method,seconds\n", r"line\[1\]: must name the columns"),
        ("method,calls,seconds,elements\na.B.f()V,1\n", r"line\[2\]: must have every column"),
        ("method,calls,seconds,elements\na.B.f()V,0,1,1\n", r"line\[2\]: holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,nan,1,1\n", r"line\[2\]: holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,1e300,1,1\n", r"line\[2\]: holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,1,,1\n", r"line\[2\]: holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,1,nan,1\n", "holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,1,-1,1\n", "holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,1,1,inf\n", "holds no such numbers"),
        ("method,calls,seconds,elements\na.B.f()V,1,1,1\na.B.f()V,1,1,1\n", r"line\[3\]: stands twice"),
        ('method,calls,seconds,elements\n"a\n', "must have every column|file of commas"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_profile_that_is_none_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(FormatError, match=said) as caught:
        read_timings(text.encode("utf-8", "surrogateescape"), name="profile.csv")
    assert str(caught.value).startswith("profile.csv: ")


# ---- hostile files


def test_damaged_code_is_a_reason_or_a_refusal_and_nothing_else(kernels: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(kernels)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    dex, source = contents["classes.dex"], random.Random(20261128)
    survived = 0
    for _ in range(40):
        damaged = bytearray(dex)
        for _ in range(source.randrange(1, 4)):
            damaged[source.randrange(0x70, len(dex))] = source.randrange(256)
        try:
            found = survey(make_zip({**contents, "classes.dex": bytes(damaged)}), AutoOptions(rules=ALL))
            translate_chosen(found, found.chosen)
            survived += 1
        except (FormatError, Refused, LimitExceeded):
            continue
    assert survived > 8
