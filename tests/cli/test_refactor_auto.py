"""`lawow refactor --auto` as a user meets it."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from lawow.formats.dex.reader import read_dex
from tests.conftest import lawow
from tests.refactor.kernels import KERNELS, build_kernels


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.apk").write_bytes(build_kernels(folder))
    return folder / "app.apk"


def test_the_plan_ranks_candidates_and_writes_nothing(app: Path) -> None:
    before = sorted(app.parent.iterdir())
    lines = lawow("refactor", app, "--auto", "--plan", "--exclude", "*Main").stdout.splitlines()
    assert re.match(r"auto      [0-9,]+ methods, candidates among them: [0-9]+, chosen: [0-9]+ ", lines[0])
    assert any(
        line.startswith(f"candidate {KERNELS}.Sequences.editDistance([C[C)I: gains ") for line in lines
    )
    assert f"moved     {KERNELS}.Sequences: editDistance([C[C)I -> auto-Sequences.wasm" in lines
    assert any("translated, and not compared with the original" in line for line in lines)
    assert sorted(app.parent.iterdir()) == before


def test_the_plan_as_data_lists_every_candidate_and_every_reason(app: Path) -> None:
    plan = json.loads(lawow("refactor", app, "--auto", "--plan", "--json").stdout)
    names = {item["method"].partition("(")[0] for item in plan["auto"]["candidates"]}
    assert {f"{KERNELS}.Matrices.multiply", f"{KERNELS}.Digests.turn"} <= names
    assert all(item["reason"] for item in plan["auto"]["rejected"])
    assert plan["moved"]


def test_nothing_worth_it_is_a_plan_and_a_refusal(app: Path, tmp_path: Path) -> None:
    slow = ("--auto", "--round-trip-ms", "5000", "--exclude", "*Main")
    plan = lawow("refactor", app, *slow, "--plan").stdout
    assert "moved" not in plan
    assert "candidate " in plan
    done = lawow("refactor", app, *slow, "--debug-key", "--out", tmp_path, check=False)
    assert done.returncode == 4
    assert "none of its 36 candidates is worth offloading; the best is " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_unproved_translations_are_taken_on_request_and_the_report_says_so(app: Path, tmp_path: Path) -> None:
    chosen = ("--auto", "--rule", "*Digests", "--unproved")
    done = lawow("refactor", app, *chosen, "--debug-key", "--out", tmp_path, PATH="/nowhere")
    assert done.stdout.count("translated, and not compared with the original") == 3
    record = json.loads((tmp_path / "app-slim.report.json").read_text())
    assert [move["trials"] for move in record["moved"]] == [[]]
    assert record["command"] == "lawow refactor app.apk --rule '*Digests' --debug-key --auto --unproved"
    with zipfile.ZipFile(tmp_path / "app-slim.apk") as archive:
        view = read_dex(archive.read("classes2.dex")).class_def("Ldev/lawow/kernels/Digests;")
    assert {"crc32", "crc32$local", "compress"} <= {method.name for method in view.methods}
    assert "Ldev/lawow/ShadowedCall;" not in view.dex.class_names()


@pytest.mark.parametrize(
    ("given", "share"), [((), "0.25"), (("--shadow", "0.001"), "0.001")], ids=["file", "command line"]
)
def test_shadow_mode_is_asked_for_on_the_command_line_or_in_the_correction_file(
    app: Path, tmp_path: Path, given: tuple[str, ...], share: str
) -> None:
    (tmp_path / "lawow.toml").write_text("[auto]\nshadow = 0.25\n")
    chosen = ("--auto", "--rule", "*Digests", "--unproved", "--config", tmp_path / "lawow.toml", *given)
    done = lawow("refactor", app, *chosen, "--debug-key", "--out", tmp_path)
    assert f"--shadow {share}: this share of the calls" in done.stdout
    with zipfile.ZipFile(tmp_path / "app-slim.apk") as archive:
        assert f"shadow={share}".encode() in archive.read("assets/lawow/edge.properties").splitlines()
        assert "Ldev/lawow/ShadowedCall;" in read_dex(archive.read("classes2.dex")).class_names()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shadow", "0.1"], "--shadow needs --auto"),
        (["--auto", "--shadow", "0"], "--shadow: found 0, allowed is more than 0 and at most 1"),
        (["--auto", "--shadow", "nan"], "--shadow: found nan"),
        (["--profile", "p.csv"], "--profile needs --auto"),
        (["--unproved"], "--unproved needs --auto"),
        (["--auto", "--mode", "slim"], "leave out --mode slim"),
        (["--auto", "--module", "A=a.wasm"], "--module does not go with --auto"),
        (["--auto", "--mbit", "0"], "--mbit: found 0, allowed is more than 0"),
        (["--auto", "--rule", "*Digest"], "the app has no such class"),
        (["--auto", "--edge-speed", "nan"], "--edge-speed: found nan"),
    ],
)
def test_options_that_mean_nothing_are_refused(app: Path, options: list[str], said: str) -> None:
    done = lawow("refactor", app, "--plan", *options, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_profile_decides_instead_of_the_estimate(app: Path, tmp_path: Path) -> None:
    profile = tmp_path / "profile.csv"
    label = f"{KERNELS}.Digests.adler32([B)J"
    profile.write_text(f"method,calls,seconds,elements\n{label},10,5,1000000\n")
    plan = lawow("refactor", app, "--auto", "--plan", "--profile", profile).stdout
    assert f"candidate {label}: gains 163 ms a call with arrays of 1,000,000 (500 ms here, measured;" in plan
    profile.write_text("method\n")
    done = lawow("refactor", app, "--auto", "--plan", "--profile", profile, check=False)
    assert done.returncode == 3
    assert f"{profile}: line[1]: must name the columns" in done.stderr
