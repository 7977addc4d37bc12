"""`lawow refactor` as a user meets it: files, keys, sentences, exit codes, and nothing half-written."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lawow.formats.bundle import read_bundle
from lawow.formats.signing import verify_apk
from tests.conftest import lawow
from tests.refactor.builders import FIB, assemble, make_zip
from tests.refactor.conftest import BuildApp, app_apk, build_app  # noqa: F401  # fixtures
from tests.tools import run

PASSWORD = "correct horse"
RESULTS = ["app-offload.jar", "app-slim.apk", "app-slim.report.html", "app-slim.report.json"]


@pytest.fixture(scope="module")
def keystore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKCS#12 keystore of the JDK's keytool."""
    path = tmp_path_factory.mktemp("key") / "release.p12"
    key = ("-alias", "upload", "-keyalg", "RSA", "-keysize", "2048", "-validity", "99", "-dname", "CN=Owner")
    run("keytool", "-genkeypair", "-storetype", "PKCS12", "-keystore", path, "-storepass", PASSWORD, *key)
    return path


@pytest.fixture
def app(app_apk: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A copy of the small app in a folder of its own."""
    path = tmp_path / "in" / "app.apk"
    path.parent.mkdir()
    path.write_bytes(app_apk.read_bytes())
    return path


def names(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir())


def refused(*argv: str | Path, code: int, sentence: str, **env: str) -> None:
    """Run the command, which must fail with this exit code and one sentence."""
    done = lawow("refactor", *argv, check=False, **env)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 or "Usage:" in done.stderr
    assert done.stdout == ""


def test_all_results_lie_beside_the_input(app: Path) -> None:
    done = lawow("refactor", app, "--debug-key")
    assert names(app.parent) == [*RESULTS, "app.apk"]
    assert f"slim APK  {app.parent}/app-slim.apk (" in done.stdout
    assert done.stderr == ""


def test_out_makes_the_folder_and_existing_results_are_replaced(app: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    lawow("refactor", app, "--debug-key", "--out", out)
    (out / "app-slim.apk").write_bytes(b"old")
    lawow("refactor", app, "--debug-key", "--out", out)
    assert verify_apk((out / "app-slim.apk").read_bytes()).verifies
    assert read_bundle((out / "app-offload.jar").read_bytes()).find("FibonacciWasm.fib")[0].data == FIB
    assert names(out) == RESULTS


def test_plan_writes_nothing_and_needs_no_key(app: Path) -> None:
    done = lawow("refactor", app, "--plan")
    assert names(app.parent) == ["app.apk"]
    assert "moved     com.example.app.FibonacciWasm: fib(I)I -> fibonacci.wasm" in done.stdout
    assert "slim APK  (not written)" in done.stdout


def test_json_is_the_report_as_data(app: Path) -> None:
    planned = json.loads(lawow("refactor", app, "--plan", "--json").stdout)
    done = json.loads(lawow("refactor", app, "--debug-key", "--json").stdout)
    assert planned["moved"] == done["moved"]
    assert done["moved"][0]["methods"] == [
        {"name": "fib", "descriptor": "(I)I", "export": "fib", "signature": "i>i"}
    ]
    assert done["apk"] == {
        "path": str(app.parent / "app-slim.apk"),
        "bytes": (app.parent / "app-slim.apk").stat().st_size,
    }
    assert planned["apk"] == {"path": None, "bytes": None}


def test_an_error_is_data_too_with_json(app: Path) -> None:
    done = lawow("refactor", app, "--plan", "--json", "--rule", "Nothing", check=False)
    assert done.returncode == 4
    assert json.loads(done.stdout)["error"] == "Refused"


def test_the_slim_apk_is_signed_with_the_owners_key(app: Path, keystore: Path) -> None:
    lawow("refactor", app, "--keystore", keystore, "--key-alias", "upload", LAWOW_KEYSTORE_PASSWORD=PASSWORD)
    text = run("apksigner", "verify", "--print-certs", app.parent / "app-slim.apk").stdout
    assert "Signer #1 certificate DN: CN=Owner" in text


def test_without_a_key_nothing_is_written(app: Path) -> None:
    refused(app, code=2, sentence="the slim APK must be signed: give --keystore FILE, or --debug-key")
    assert names(app.parent) == ["app.apk"]


@pytest.mark.parametrize(
    ("arguments", "env", "sentence"),
    [
        ([], {"LAWOW_KEYSTORE_PASSWORD": "wrong"}, "password"),
        ([], {}, "password"),
        (["--key-alias", "other"], {"LAWOW_KEYSTORE_PASSWORD": PASSWORD}, "alias"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(
    app: Path, keystore: Path, arguments: list[str], env: dict[str, str], sentence: str
) -> None:
    refused(app, "--keystore", keystore, *arguments, code=3, sentence=sentence, **env)
    assert names(app.parent) == ["app.apk"]


def test_a_file_that_is_no_keystore_is_refused(app: Path) -> None:
    refused(app, "--keystore", app, code=3, sentence="app.apk", LAWOW_KEYSTORE_PASSWORD="x")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--debug-key", "--keystore", "x.p12"], "not both"),
        (["--debug-key", "--key-alias", "a"], "--key-alias needs --keystore"),
        (["--plan", "--module", "Main"], "allowed is CLASS=FILE.wasm"),
        (["--plan", "--module", "Main=nothing.wasm"], "neither a file nor a module in the APK"),
        (["--plan", "--edge", "http://edge.example"], "allowed is https://HOST:PORT"),
        (["--plan", "--timeout", "5"], "need --edge URL"),
        (["--plan", "--edge", "https://h", "--certificate-sha256", "12"], "64 hex digits"),
        (["--plan", "--timeout", "soon"], "Invalid value for '--timeout'"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(app: Path, arguments: list[str], sentence: str) -> None:
    refused(app, *arguments, code=2, sentence=sentence)


def test_missing_files_are_named(app: Path, tmp_path: Path) -> None:
    refused(tmp_path / "none.apk", "--plan", code=2, sentence="none.apk")
    refused(
        app,
        "--plan",
        "--edge",
        "https://h",
        "--token-file",
        "none.txt",
        code=1,
        sentence="none.txt: no such file",
    )


def test_a_class_can_be_bound_to_a_file_on_disk(app: Path, tmp_path: Path) -> None:
    module = tmp_path / "mine.wasm"
    module.write_bytes(FIB)
    lawow("refactor", app, "--debug-key", "--module", f"FibonacciWasm={module}")
    bundle = read_bundle((app.parent / "app-offload.jar").read_bytes())
    assert bundle.find("FibonacciWasm.fib")[0].file == "mine.wasm"


def test_a_broken_file_on_disk_is_named_by_its_path(app: Path, tmp_path: Path) -> None:
    module = tmp_path / "mine.wasm"
    module.write_bytes(FIB[:-3])
    refused(app, "--plan", "--module", f"FibonacciWasm={module}", code=3, sentence=f"lawow: {module}: ")
    module.rename(tmp_path / "mine.bin")
    choice = f"FibonacciWasm={tmp_path / 'mine.bin'}"
    refused(app, "--plan", "--module", choice, code=3, sentence="unsafe module name")


def test_the_token_is_written_and_warned_about(app: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    edge = (
        "--edge",
        "https://h:1",
        "--token-file",
        token,
        "--certificate-sha256",
        "ab" * 32,
        "--timeout",
        "9",
    )
    assert "the token lies in the APK" in lawow("refactor", app, "--debug-key", *edge).stdout
    with zipfile.ZipFile(app.parent / "app-slim.apk") as archive:
        assert b"token=secret-token\n" in archive.read("assets/lawow/edge.properties")


def test_the_input_is_never_overwritten(app: Path) -> None:
    before = app.read_bytes()
    os.link(app, app.parent / "app-slim.apk")
    refused(app, "--debug-key", code=4, sentence="is the input itself")
    assert app.read_bytes() == before
    assert not (app.parent / "app-offload.jar").exists()


def cut_off(build: BuildApp, folder: Path) -> bytes:
    return build()[:-100]


def corrupt_dex(build: BuildApp, folder: Path) -> bytes:
    dex = bytearray(assemble(folder, [".class La/FibonacciWasm;\n.super Ljava/lang/Object;\n"]))
    dex[0x38:0x3C] = b"\xff\xff\xff\x7f"  # string_ids_size
    return build(entries={"assets/fibonacci.wasm": FIB, "classes2.dex": bytes(dex)})


def half_module(build: BuildApp, folder: Path) -> bytes:
    return build(entries={"assets/fibonacci.wasm": FIB[: len(FIB) // 2]})


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (cut_off, "app.apk"),
        (corrupt_dex, "classes2.dex"),
        (half_module, "assets/fibonacci.wasm"),
        (lambda build, folder: b"", "app.apk"),
        (lambda build, folder: make_zip({"a": b""}), "AndroidManifest.xml is missing"),
    ],
    ids=["truncated", "corrupt-dex", "half-module", "empty", "no-manifest"],
)
def test_damaged_input_gives_one_sentence_and_no_output(
    build_app: BuildApp,  # noqa: F811
    tmp_path: Path,
    make: Callable[[BuildApp, Path], bytes],
    sentence: str,
) -> None:
    path = tmp_path / "in" / "app.apk"
    path.parent.mkdir()
    path.write_bytes(make(build_app, tmp_path / "dex"))
    refused(path, "--debug-key", code=3, sentence=sentence)
    assert names(path.parent) == ["app.apk"]


def test_two_entries_of_one_name_are_refused(build_app: BuildApp, tmp_path: Path) -> None:  # noqa: F811
    data = build_app(entries={"assets/fibonacci.wasm": FIB, "assets/fibonacci.wasn": FIB})
    path = tmp_path / "app.apk"
    path.write_bytes(data.replace(b"assets/fibonacci.wasn", b"assets/fibonacci.wasm"))
    refused(path, "--debug-key", code=3, sentence="assets/fibonacci.wasm")
    assert names(tmp_path) == ["app.apk"]


def limited(argv: list[str | Path], size_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run the command as if the disk were full behind `size_bytes` of a file."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))

    return subprocess.run(
        [sys.executable, "-m", "lawow", *map(str, argv)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )


@pytest.mark.parametrize("size_bytes", [0, 1000, 20_000])
def test_a_full_disk_leaves_nothing_behind(app: Path, tmp_path: Path, size_bytes: int) -> None:
    out = tmp_path / "new"
    done = limited(["refactor", app, "--debug-key", "--out", out], size_bytes)
    assert done.returncode == 1
    assert "file too large" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert not out.exists()
    done = limited(["refactor", app, "--debug-key"], size_bytes)
    assert done.returncode == 1
    assert names(app.parent) == ["app.apk"]


def test_a_folder_that_cannot_be_made_is_named(app: Path) -> None:
    refused(app, "--debug-key", "--out", app / "below", code=1, sentence="app.apk")


def on_terminal(argv: list[str | Path], typed: bytes = b"", columns: int = 120) -> tuple[int, str]:
    """Run the command on a pseudo terminal; return exit code and everything that it showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(COLUMNS=str(columns), TERM="xterm")
        os.execv(sys.executable, [sys.executable, "-m", "lawow", *map(str, argv)])
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if typed and b"Password" in shown:
            os.write(terminal, typed)
            typed = b""
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_a_terminal_gets_a_table(app: Path) -> None:
    code, shown = on_terminal(["refactor", app, "--plan"])
    assert code == 0
    assert "moved class" in shown
    assert "│" in shown
    assert "moved     com" not in shown


def test_a_narrow_terminal_cuts_no_name_off(app: Path) -> None:
    _, wide = on_terminal(["refactor", app, "--plan"])
    name = next(line for line in wide.splitlines() if "Wasm" in line and "│" in line).split("│")[1].strip()
    code, shown = on_terminal(["refactor", app, "--plan"], columns=40)
    cells = [line.split("│")[1].strip() for line in shown.splitlines() if line.count("│") == 4]
    assert code == 0
    assert name in "".join(cells)
    assert "…" not in shown


def test_a_terminal_is_asked_for_the_password(app: Path, keystore: Path) -> None:
    code, shown = on_terminal(["refactor", app, "--keystore", keystore], PASSWORD.encode() + b"\n")
    assert code == 0, shown
    assert PASSWORD not in shown
    assert (app.parent / "app-slim.apk").exists()


def test_help_shows_every_option() -> None:
    text = lawow("refactor", "--help").stdout
    for option in (
        "--rule",
        "--module",
        "--allow-unbound",
        "--plan",
        "--json",
        "--keystore",
        "--debug-key",
        "--edge",
        "--no-gc",
    ):
        assert option in text
