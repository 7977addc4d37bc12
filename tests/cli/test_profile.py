"""`lawow profile` as a user meets it: a phone's trace, a method on a JVM, and what refactor makes of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import lawow
from tests.formats.method_traces import Trace, enter, leave
from tests.refactor.kernels import KERNELS, build_kernels

METHODS = (
    (f"{KERNELS}.Sequences", "editDistance", "([C[C)I"),
    ("android.os.Looper", "loop", "()V"),
    (f"{KERNELS}.Digests", "adler32", "([B)J"),
)
DISTANCE = f"{KERNELS}.Sequences.editDistance([C[C)I"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.apk").write_bytes(build_kernels(folder))
    return folder / "app.apk"


def trace(tmp_path: Path) -> Path:
    """Return a trace with one call of the loop, which calls the edit distance twice and adler32 once."""
    events = [enter(1, 0), enter(0, 10), leave(0, 500_010), enter(0, 500_020), leave(0, 1_100_020)]
    events += [enter(2, 1_100_030), leave(2, 1_100_130), leave(1, 1_200_000)]
    (tmp_path / "app.trace").write_bytes(Trace(events, methods=METHODS).whole())
    return tmp_path / "app.trace"


def test_a_trace_becomes_a_profile_that_decides(app: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.csv"
    lines = lawow("profile", trace(tmp_path), "-o", profile).stdout.splitlines()
    assert lines[1].split() == ["2", "550", "ms", "1.1", DISTANCE]
    assert "and of classes of Android itself: 1" in lines
    assert lines[-1] == f"wrote  {profile}, methods: 3"
    assert f"{DISTANCE},2,1.1," in profile.read_text().splitlines()
    plan = lawow("refactor", app, "--auto", "--plan", "--profile", profile).stdout
    assert f"candidate {DISTANCE}: gains " in plan
    assert "(550 ms here, measured; " in plan
    assert "profile   methods in it: 3; candidates among them: 2" in plan


def test_a_profile_of_another_app_is_told(app: Path, tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("method,calls,seconds,elements\na.B.f()V,1,1,\n")
    plan = lawow("refactor", app, "--auto", "--plan", "--profile", tmp_path / "other.csv").stdout
    assert "profile   methods in it: 1; candidates among them: 0" in plan


def test_a_sampled_trace_says_what_is_missing(tmp_path: Path) -> None:
    events = [event for at in range(30) for event in (enter(0, 3000 * at), leave(0, 3000 * at + 2000))]
    (tmp_path / "app.trace").write_bytes(Trace(events, methods=METHODS).whole())
    found = json.loads(lawow("profile", tmp_path / "app.trace", "--json").stdout)
    assert (found["sampled_us"], found["clock"], found["is_cut"]) == (1000, "dual", False)
    assert found["methods"] == [{"method": DISTANCE, "calls": None, "seconds": 0.06, "elements": None}]
    assert "sampled every 1,000 us, so calls are not known" in lawow("profile", tmp_path / "app.trace").stdout
    exact = json.loads(lawow("profile", tmp_path / "app.trace", "--json", "--sampling-us", 0).stdout)
    assert exact["methods"][0]["calls"] == 30


@pytest.mark.slow
def test_a_method_of_the_app_runs_here_and_is_added_to_a_profile(app: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.csv"
    profile.write_text(f"method,calls,seconds,elements\na.B.kept()V,1,1,\n{DISTANCE},1,9,9\n")
    run = ("--run", "Sequences.editDistance", "random:500", "random:700", "--seconds", 0.2, "--slowdown", 10)
    done = lawow("profile", app, *run, "--append", "-o", profile, "--json")
    (found,) = json.loads(done.stdout)["methods"]
    assert (found["method"], found["elements"]) == (DISTANCE, 600)
    assert 0.0005 < found["seconds"] / found["calls"] < 1
    kept, measured = profile.read_text().splitlines()[1:]
    assert kept == "a.B.kept()V,1,1,"
    assert measured.startswith(f"{DISTANCE},{found['calls']},")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "1"], "--seconds needs --run"),
        (["7"], "ARGUMENTS needs --run"),
        (["--append"], "--append needs --output FILE"),
        ([], "is no method trace; of an APK, --run CLASS.METHOD names what to measure"),
        (["--run", "Digest.crc32"], "the app has no class Digest (did you mean"),
        (["--run", "Digests.crc23"], "Digests has no such static method (did you mean crc32"),
        (["--run", "Digests.crc32", "[1]"], "Digests.crc32([BII)I takes 3 arguments, found 1; each is"),
        (["--run", "Digests.crc32", "[256]", "0", "1"], "argument 1, of type [B: element[0]: does not fit"),
        (["--run", "Digests.crc32", "[1]", "x", "1"], "argument 2, of type I: is not what it must be"),
        (["--run", "Digests.crc32", "random:99999999", "0", "1"], "argument 1, of type [B: is too long"),
        (["--run", "Digests.crc32", "[1]", "0", "1", "--sampling-us", "1"], "--sampling-us needs a trace"),
    ],
)
def test_options_and_arguments_that_mean_nothing_are_refused(
    app: Path, arguments: list[str], said: str
) -> None:
    done = lawow("profile", app, *arguments, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_damaged_trace_is_refused_with_its_name(tmp_path: Path) -> None:
    path = trace(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    done = lawow("profile", path, check=False)
    assert done.returncode == 3
    assert f"{path}: records: is cut off in the middle of a record" in done.stderr
    done = lawow("profile", trace(tmp_path), "--rule", "*Nothing", check=False)
    assert done.returncode == 2
    assert "there is no method of a class *Nothing" in done.stderr


def test_negative_numbers_are_arguments(app: Path) -> None:
    done = lawow("profile", app, "--run", "Digests.crc32", "[1]", "-1", "1", PATH="/nowhere", check=False)
    assert done.returncode == 4
    assert "a JVM and enjarify are needed" in done.stderr
