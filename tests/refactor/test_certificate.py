"""The certificate: what it says can be checked by anybody, and it is the same wherever it is made."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import lawow
from tests.formats.signing.conftest import PASSWORD, generate
from tests.refactor.builders import FIB, MAIN, REAL_FIB, smali_class
from tests.refactor.conftest import BuildApp

FIBONACCI = smali_class("com.example.app.FibonacciWasm", REAL_FIB)


def run_in(folder: Path, apk: bytes, keystore: Path, *options: str) -> dict[str, bytes]:
    """Refactor in a folder of its own, with another name for the place of everything."""
    folder.mkdir(parents=True)
    (folder / "app.apk").write_bytes(apk)
    (folder / "fib.wasm").write_bytes(FIB)
    shutil.copy(keystore, folder / "release.p12")
    module = f"FibonacciWasm={folder / 'fib.wasm'}"
    arguments = (
        "--module",
        module,
        "--keystore",
        folder / "release.p12",
        "--edge",
        "https://edge.example:8443",
    )
    lawow("refactor", folder / "app.apk", *arguments, *options, LAWOW_KEYSTORE_PASSWORD=PASSWORD)
    return {item.name: item.read_bytes() for item in folder.iterdir()}


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("key")
    generate(folder, "release.p12", "owner", ("RSA", "-keysize", "2048"))
    return folder / "release.p12"


@pytest.fixture(scope="module")
def app(build_app: BuildApp) -> bytes:
    return build_app([FIBONACCI, MAIN])


@pytest.fixture(scope="module")
def files(app: bytes, keystore: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_in(tmp_path_factory.mktemp("one") / "place", app, keystore, "--judges")


@pytest.fixture(scope="module")
def record(files: dict[str, bytes]) -> dict:
    return json.loads(files["app-slim.report.json"])


def test_the_same_input_options_and_key_give_the_same_bytes_anywhere(
    app: bytes, keystore: Path, files: dict[str, bytes], tmp_path: Path
) -> None:
    first = run_in(tmp_path / "a", app, keystore)
    second = run_in(tmp_path / "quite" / "another place", app, keystore)
    assert first == second
    assert first["app-slim.apk"] == files["app-slim.apk"]
    text = first["app-slim.report.json"] + first["app-slim.report.html"]
    assert str(tmp_path).encode() not in text


def test_the_command_repeats_the_run(record: dict) -> None:
    assert record["command"] == (
        "lawow refactor app.apk --module FibonacciWasm=fib.wasm --keystore release.p12"
        " --edge https://edge.example:8443"
    )
    assert record["reproducible"] is True


def test_every_digest_is_that_of_the_thing(record: dict, files: dict[str, bytes], tmp_path: Path) -> None:
    def digest(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    for item in record["input"]["files"] + record["output"]["files"]:
        assert item["sha256"] == digest(files[item["name"]])
        assert item["bytes"] == len(files[item["name"]])
    archives = {}
    for side, name in (("before", "app.apk"), ("after", "app-slim.apk")):
        (tmp_path / name).write_bytes(files[name])
        archives[side] = zipfile.ZipFile(tmp_path / name)
    for item in record["entries"]["changed"]:
        for side, archive in archives.items():
            there = item["path"] in archive.namelist()
            assert (item[side] is not None) == there
            assert not there or item[side]["sha256"] == digest(archive.read(item["path"]))


def test_changed_and_identical_entries_are_all_entries(
    record: dict, files: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "slim.apk").write_bytes(files["app-slim.apk"])
    names = set(zipfile.ZipFile(tmp_path / "slim.apk").namelist())
    changed = {item["path"] for item in record["entries"]["changed"] if item["after"]}
    assert len(names) == len(changed) + record["entries"]["identical"]["count"]


def test_moved_methods_come_with_the_digest_of_their_code(record: dict) -> None:
    (moved,) = record["moved"]
    assert moved["class"] == "com.example.app.FibonacciWasm"
    (method,) = moved["methods"]
    assert (method["name"], method["descriptor"], method["export"]) == ("fib", "(I)I", "fib")
    assert len(method["code_sha256"]) == 64
    line = f"fib(I)I {method['code_sha256']}\n"
    assert moved["code_sha256"] == hashlib.sha256(line.encode()).hexdigest()


def test_judges_are_named_with_their_versions(record: dict) -> None:
    judges = {item["name"]: item for item in record["judges"]}
    assert {"apksigner", "zipalign", "aapt", "dexdump"} <= set(judges)
    assert all(item["accepted"] for item in judges.values())
    assert judges["apksigner"]["version"][0].isdigit()
    assert len(record["proven"]) >= 7


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_says_the_same(record: dict, files: dict[str, bytes]) -> None:
    page = _Page()
    page.feed(files["app-slim.report.html"].decode())
    assert page.links == []
    assert not {"script", "img", "link", "iframe"} & page.tags
    for item in record["output"]["files"]:
        assert item["sha256"] in page.text
    assert record["command"] in page.text
    assert record["moved"][0]["methods"][0]["code_sha256"] in page.text


def test_no_report_writes_none(app: bytes, keystore: Path, tmp_path: Path) -> None:
    files = run_in(tmp_path / "a", app, keystore, "--no-report")
    assert not [name for name in files if "report" in name]


def test_a_set_in_a_folder_comes_back_as_a_folder(app: bytes, keystore: Path, tmp_path: Path) -> None:
    (tmp_path / "game").mkdir()
    (tmp_path / "game" / "base.apk").write_bytes(app)
    done = lawow("refactor", tmp_path / "game", "--debug-key", "--json")
    assert json.loads(done.stdout)["apk"]["path"] == str(tmp_path / "game-slim")
    assert sorted(str(item.relative_to(tmp_path)) for item in tmp_path.rglob("*.*")) == [
        "game-offload.jar",
        "game-slim.report.html",
        "game-slim.report.json",
        "game-slim/base.apk",
        "game/base.apk",
    ]
    record = json.loads((tmp_path / "game-slim.report.json").read_bytes())
    assert (record["input"]["name"], record["input"]["kind"], record["reproducible"]) == (
        "game",
        "folder",
        False,
    )
    (tmp_path / "game-slim" / "old.apk").write_bytes(b"")
    refused = lawow("refactor", tmp_path / "game", "--debug-key", check=False)
    assert refused.returncode == 4
    assert "holds old.apk, which is none of the results" in refused.stderr
