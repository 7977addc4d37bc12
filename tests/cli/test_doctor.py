"""`lawow doctor`: what it prints, as lines, as JSON and on a terminal, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from lawow.formats.zip import make_entry, write_zip
from tests.conftest import lawow
from tests.doctor.builders import HEALTHY, MAIN, split_of_healthy


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An error, a warning and a note."""
    path = tmp_path_factory.mktemp("sick") / "sick.apk"
    sample = HEALTHY.but(application='android:debuggable="true"', dexes=((MAIN,), (MAIN,)))
    path.write_bytes(sample.plus({"res/a": b"1", "res/A": b"2"}).build())
    return path


def on_a_terminal(*argv: str | Path, columns: int = 120) -> str:
    """Run the command on a terminal of its own and return what that shows."""
    leader, follower = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    command = [sys.executable, "-m", "lawow", *map(str, argv)]
    with subprocess.Popen(command, stdout=follower, stderr=follower, env=env) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                piece = os.read(leader, 65_536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            shown += piece
        process.wait(60)
    os.close(leader)
    return shown.decode()


def test_a_healthy_app_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "app.apk"
    path.write_bytes(HEALTHY.build())
    done = lawow("doctor", path)
    assert done.stdout == (
        f"{path}: org.healthy, API 24 and above, made for 36, no native libraries:"
        " 0 errors, 0 warnings, 0 notes\n"
    )


def test_each_finding_is_three_lines(sick: Path) -> None:
    done = lawow("doctor", sick, check=False)
    assert done.returncode == 4
    lines = done.stdout.splitlines()
    assert lines[0].endswith(": 1 error, 1 warning, 1 note")
    assert lines[1] == "error    AndroidManifest.xml: android:debuggable is true [debuggable]"
    first = [line.split()[0] for line in lines[1:]]
    assert first[::3] == ["error", "warning", "note"]
    assert set(first[1::3]) == {"why:"}
    assert set(first[2::3]) == {"mend:"}


def test_what_is_lighter_can_be_left_out_and_the_exit_code_stays(sick: Path, tmp_path: Path) -> None:
    done = lawow("doctor", sick, "--min-severity", "warning", check=False)
    assert "[class-defined-twice]" in done.stdout
    assert "[case-clash]" not in done.stdout
    twice = tmp_path / "twice.apk"
    twice.write_bytes(HEALTHY.but(dexes=((MAIN,), (MAIN,))).build())
    assert lawow("doctor", twice, "--min-severity", "error").stdout.count("\n") == 1


def test_json_says_the_same(sick: Path) -> None:
    done = lawow("doctor", sick, "--json", check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 4
    assert report["package"] == "org.healthy"
    assert report["counts"] == {"error": 1, "warning": 1, "note": 1}
    assert [item["kind"] for item in report["findings"]] == [
        "debuggable",
        "class-defined-twice",
        "case-clash",
    ]
    assert set(report["findings"][0]) == {"kind", "severity", "place", "found", "why", "mend"}


def test_a_terminal_shows_a_table_for_each_severity(sick: Path) -> None:
    shown = on_a_terminal("doctor", sick).replace("\r", "")
    places = [shown.find(f"\n{title}s") for title in ("error", "warning", "note")]
    assert 0 < places[0] < places[1] < places[2]
    assert "how to mend it" in shown
    assert "class-defined-twice" in shown
    assert "android:debuggable is" in shown


def test_a_narrow_terminal_shows_the_lines_of_a_pipe(sick: Path) -> None:
    shown = on_a_terminal("doctor", sick, columns=60).replace("\r", "")
    assert shown == lawow("doctor", sick, check=False).stdout


def test_names_from_the_app_cannot_steer_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "steer.apk"
    path.write_bytes(HEALTHY.plus({"a/\x1b[2J../[red]evil": b"1", "lib/\x1b]0;x\x07/liba.so": b"2"}).build())
    for shown in (lawow("doctor", path).stdout, on_a_terminal("doctor", path)):
        assert "\x1b[2J" not in shown
        assert "\x1b]0;x" not in shown
        assert "[red]evil" in shown.replace("\r\n", "")


def test_what_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "cut.apk"
    path.write_bytes(HEALTHY.build()[:-9])
    done = lawow("doctor", path, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"lawow: {path}: ")
    assert done.stderr.count("\n") == 1


def test_a_set_is_examined_as_a_whole(tmp_path: Path) -> None:
    """As a folder and as an archive; findings name the APK that they are in."""
    folder = tmp_path / "app"
    folder.mkdir()
    apks = {
        "base.apk": HEALTHY.but(application='android:isSplitRequired="true"').build(),
        "config.apk": split_of_healthy(entries={"res/a": b"1", "res/A": b"2"}),
    }
    for name, data in apks.items():
        (folder / name).write_bytes(data)
    archive = tmp_path / "app.apks"
    entries = [make_entry(f"splits/{name}", data, compress=False) for name, data in apks.items()]
    archive.write_bytes(write_zip(entries, align=False))
    for path, place in ((folder, "config.apk"), (archive, "splits/config.apk")):
        done = json.loads(lawow("doctor", path, "--json").stdout)
        assert [(item["kind"], item["place"]) for item in done["findings"]] == [("case-clash", place)]
    alone = lawow("doctor", folder / "base.apk", check=False)
    assert "[splits-missing]" in alone.stdout
