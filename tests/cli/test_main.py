"""Whatever goes wrong becomes one sentence, an exit code and, on request, JSON; never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lawow.cli.main import VERBS
from tests.conftest import ROOT, lawow

FIBONACCI = ROOT / "fixtures" / "app" / "src" / "main" / "wasm" / "fibonacci.wasm"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    text = lawow(verb, "--help").stdout
    assert text.startswith(f"Usage: lawow {verb}")
    assert "--json" in text


def test_the_list_of_verbs_breaks_off_nowhere() -> None:
    listed = lawow("--help").stdout.partition("Commands:")[2]
    assert len(listed.splitlines()) > len(VERBS)
    assert "..." not in listed


def test_a_misspelt_verb_gets_the_near_one() -> None:
    done = lawow("exek", check=False)
    assert done.returncode == 2
    assert "did you mean exec?" in done.stderr


def test_an_error_is_one_sentence_on_standard_error() -> None:
    done = lawow("exec", FIBONACCI, "fibb", "10", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lawow: ")
    assert len(done.stderr.splitlines()) == 1


def test_an_error_is_an_object_on_standard_output_where_json_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "cut.wasm").write_bytes(FIBONACCI.read_bytes()[:100])
    done = lawow("exec", "--json", tmp_path / "cut.wasm", "fib", "10", check=False)
    error = json.loads(done.stdout)
    assert done.returncode == error["exit_code"] == 3
    assert error["error"] == "FormatError"
    assert error["file"].endswith("cut.wasm")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = lawow("verify", tmp_path / "absent.apk", check=False)
    assert done.returncode != 0
    assert "absent.apk" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_use_is_an_object_as_well() -> None:
    done = lawow("doctor", "absent.apk", "--json", check=False)
    error = json.loads(done.stdout)
    assert done.returncode == error["exit_code"] == 2
    assert "absent.apk" in error["message"]
    assert done.stderr == f"lawow: {error['message']}\n"


@pytest.mark.parametrize("options", [(), ("--json",), ("--time",)])
def test_a_full_disk_under_standard_output_is_one_sentence(options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "lawow", "exec", str(FIBONACCI), "fib", "10", *options]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("no space left on device")
    assert "Traceback" not in done.stderr


def test_what_the_output_cannot_say_is_escaped(tmp_path: Path) -> None:
    """A Latin-1 terminal has no arrow, and no encoding has half of a character in a file's name."""
    arrays = ROOT / "fixtures" / "wasm" / "arrays.wasm"
    call = ("exec", arrays, "concat", "a", "\u2192", "--signature", "SS>S")
    assert lawow(*call, PYTHONIOENCODING="latin-1").stdout == "a\\u2192\n"
    odd = tmp_path / os.fsdecode(b"\xff.wasm")
    odd.write_bytes(arrays.read_bytes() + b"\0")
    done = lawow("doctor", odd, "--json", check=False)
    assert done.returncode == json.loads(done.stdout)["exit_code"] == 3
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_accident() -> None:
    command = [sys.executable, "-m", "lawow", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        assert b"Traceback" not in errors.read()
    process.wait(timeout=60)
