"""`lawow refactor --plan` on the command line: selectors from files, the page, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lawow.cli.refactor import command
from lawow.errors import LawowError, Refused, UsageError
from tests.refactor.builders import MAIN, smali_class, smali_method
from tests.refactor.conftest import FIBONACCI, BuildApp, build_app

__all__ = ["build_app"]


@pytest.fixture
def apk(build_app: BuildApp, tmp_path: Path) -> Path:
    path = tmp_path / "app.apk"
    path.write_bytes(build_app([FIBONACCI, MAIN]))
    return path


def plan(*arguments: str | Path) -> Result:
    """Run in this process: what is tested here is options, not processes."""
    return CliRunner().invoke(command, [*map(str, arguments), "--plan"], catch_exceptions=True)


def failure(*arguments: str | Path) -> LawowError:
    error = plan(*arguments).exception
    assert isinstance(error, LawowError)
    return error


def test_the_page_is_written_and_named(apk: Path, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    done = plan(apk, "--html", page, "--local-ms", "30", "--remote-ms", "4")
    assert done.exit_code == 0, done.output
    assert f"page      {page}" in done.output
    assert "pays      below a round trip of 26 ms" in done.output
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["app.apk", "plan.html"]


def test_a_correction_file_beside_the_apk_is_read(apk: Path, tmp_path: Path) -> None:
    (tmp_path / "lawow.toml").write_text('[classes]\nresident = ["FibonacciWasm"]\n')
    assert "nothing" in str(failure(apk)) or "none of its" in str(failure(apk))
    elsewhere = tmp_path / "empty.toml"
    elsewhere.write_text("")
    assert plan(apk, "--config", elsewhere).exit_code == 0


def test_modules_of_the_correction_file_lie_beside_it(apk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "other.wasm").write_bytes(b"no module")
    (folder / "lawow.toml").write_text('[modules]\nFibonacciWasm = "other.wasm"\n')
    assert str(folder / "other.wasm") in str(failure(apk, "--config", folder / "lawow.toml"))


def test_lists_mappings_and_annotations_are_read(apk: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("com.example.app.FibonacciWasm\n")
    (tmp_path / "mapping.txt").write_text(
        "org.Fib -> com.example.app.FibonacciWasm:\n    int fib(int) -> fib\n"
    )
    done = plan(apk, "--classes", tmp_path / "list.txt", "--json")
    assert json.loads(done.output)["moved"][0]["reason"] == "it stands in the list of classes"
    module = ("--module", "org.Fib=fibonacci.wasm")
    done = plan(apk, "--mapping", tmp_path / "mapping.txt", *module, "--json")
    assert json.loads(done.output)["moved"][0]["original"] == "org.Fib"
    assert isinstance(failure(apk, "--annotation", "com.example.Edge"), Refused)
    (tmp_path / "mapping.txt").write_text("nonsense\n")
    assert str(tmp_path / "mapping.txt") in str(failure(apk, "--mapping", tmp_path / "mapping.txt"))


def test_a_plan_that_is_refused_is_shown_and_fails(build_app: BuildApp, tmp_path: Path) -> None:
    body = "    invoke-static {}, Landroid/os/Process;->myPid()I\n    return p0"
    path = tmp_path / "app.apk"
    path.write_bytes(
        build_app([smali_class("com.example.app.FibonacciWasm", smali_method("fib", "(I)I", body))])
    )
    done = plan(path)
    assert (
        "refused   com.example.app.FibonacciWasm.fib(I)I: framework-call: invoke-static at 0x0" in done.output
    )
    assert isinstance(done.exception, Refused)
    done = plan(path, "--json")
    assert done.exit_code == 4
    assert json.loads(done.output)["refused"][0]["kind"] == "framework-call"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--local-ms", "3"), "give both --local-ms and --remote-ms"),
        (("--local-ms", "0", "--remote-ms", "1"), "allowed are times above 0"),
        (("--rule", "re:("), "is not a regular expression"),
        (("--annotation", "a b"), "--annotation"),
    ],
)
def test_wrong_options_are_named(apk: Path, arguments: tuple[str, ...], sentence: str) -> None:
    error = failure(apk, *arguments)
    assert isinstance(error, UsageError)
    assert sentence in str(error)


def test_options_of_a_plan_need_one(apk: Path) -> None:
    done = CliRunner().invoke(command, [str(apk), "--debug-key", "--html", "x.html"])
    assert isinstance(done.exception, UsageError)
    assert "need --plan" in str(done.exception)
