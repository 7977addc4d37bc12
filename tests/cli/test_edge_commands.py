"""``lawow serve``, ``token``, ``certificate`` and ``upload``, as an operator and a developer run them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, lawow
from tests.edge.builders import all_sorts, bundle_of, numbered
from tests.server.running import RunningEdge, running_edge
from tests.tools import run

FIBONACCI = ROOT / "fixtures" / "app" / "src" / "main" / "wasm" / "fibonacci.wasm"
SERVE = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--json", "--data"]


def test_the_whole_way_from_nothing_to_an_uploaded_module(tmp_path: Path) -> None:
    """certificate, serve, token, upload, list, revoke: TLS, the pin, and nothing but the command line."""
    made = json.loads(lawow("certificate", "--out", tmp_path / "tls", "--host", "127.0.0.1", "--json").stdout)
    data = tmp_path / "data"
    command = [*SERVE, str(data), "--cert", made["cert"], "--key", made["key"]]
    module = tmp_path / "number.wasm"
    module.write_bytes(numbered(1).wasm)
    with running_edge(data, command=command) as edge:
        assert edge.url.startswith("https://127.0.0.1:")
        issued = json.loads(lawow("token", "--data", data, "--tenant", "acme", "--json").stdout)
        token_file = tmp_path / "token"
        token_file.write_text(issued["token"] + "\n")
        upload = ("upload", module, "--edge", edge.url, "--certificate-sha256", made["pin"])
        shown = lawow(*upload, "--token-file", token_file).stdout
        assert (
            shown == f"sha256:{numbered(1).digest}  {len(numbered(1).wasm)} bytes\n  number: func() -> s32\n"
        )
        document = json.loads(lawow(*upload, "--json", LAWOW_TOKEN=issued["token"]).stdout)
        assert document["modules"][0]["exports"][0]["signature"] == ">i"
        check_trust_is_asked_for(module, edge.url, token_file)
        by_ca = ("upload", module, "--edge", edge.url, "--ca", made["cert"], "--token-file", token_file)
        assert numbered(1).digest in lawow(*by_ca).stdout
        listed = json.loads(lawow("token", "--data", data, "--list", "--json").stdout)
        assert [(item["id"], item["tenant"], item["revoked"]) for item in listed] == [
            (issued["id"], "acme", None)
        ]
        assert "revoked" in lawow("token", "--data", data, "--revoke", issued["id"]).stdout
        refused = lawow(*upload, "--token-file", token_file, check=False)
        assert refused.returncode == 4
        assert "token is not valid" in refused.stderr
        assert issued["token"] not in edge.log.read_text()


def check_trust_is_asked_for(module: Path, url: str, token_file: Path) -> None:
    """Who forgets the pin, or the s of https, is told so."""
    plain = ("upload", module, "--token-file", token_file, "--edge")
    unknown = lawow(*plain, url, check=False)
    assert (unknown.returncode, unknown.stdout) == (4, "")
    assert "give the SHA-256 that the edge prints when it starts" in unknown.stderr
    clear = lawow(*plain, url.replace("https", "http"), check=False)
    assert clear.returncode == 6
    assert "wants https:// in its URL" in clear.stderr


def test_an_upload_shows_what_can_be_called_and_names_a_file_that_is_no_module(tmp_path: Path) -> None:
    cut = tmp_path / "cut.wasm"
    cut.write_bytes(FIBONACCI.read_bytes()[:100])
    with running_edge(tmp_path / "data", command=[*SERVE, str(tmp_path / "data")]) as edge:
        token = edge.token("acme")
        shown = lawow("upload", FIBONACCI, "--edge", edge.url, LAWOW_TOKEN=token).stdout
        assert [line.strip() for line in shown.splitlines()[1:]] == ["fib: func(p0: s32) -> s32"]
        for verb in ("upload", "offload"):
            done = lawow(verb, cut, "--edge", edge.url, "--json", check=False, LAWOW_TOKEN=token)
            assert done.returncode == 3
            assert json.loads(done.stdout)["file"] == str(cut)
        cut.write_bytes(b"")
        done = lawow("offload", cut, "--edge", edge.url, check=False, LAWOW_TOKEN=token)
        assert (done.returncode, "cut.wasm: is no WebAssembly module" in done.stderr) == (3, True)
        cut.write_bytes(b"\0asm" + bytes(17 << 20))
        done = lawow("upload", cut, "--edge", edge.url, check=False, LAWOW_TOKEN=token)
        assert (done.returncode, "the limit module_bytes is" in done.stderr) == (4, True)


def test_a_bundle_is_uploaded_by_its_content_not_its_name(tmp_path: Path) -> None:
    file = tmp_path / "anything"
    file.write_bytes(bundle_of({"a.wasm": numbered(2), "b.wasm": numbered(3)}))
    with running_edge(tmp_path / "data", command=[*SERVE, str(tmp_path / "data")]) as edge:
        done = lawow("upload", file, "--edge", edge.url, "--json", LAWOW_TOKEN=edge.token("acme"))
        digests = [module["digest"] for module in json.loads(done.stdout)["modules"]]
        assert digests == [f"sha256:{numbered(2).digest}", f"sha256:{numbered(3).digest}"]


def test_without_json_one_line_says_where_it_is_and_how_to_get_a_token(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lawow", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, log = process.communicate(timeout=20)
    assert line.startswith("edge at http://127.0.0.1:")
    assert f"lawow token --data {tmp_path / 'data'} --tenant NAME" in line
    assert rest == ""
    assert process.returncode == 0
    assert log.splitlines()[-1].endswith("stopped")
    assert "Traceback" not in log


def test_the_edge_ends_on_sigterm_with_status_0_and_no_process_left(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data", command=[*SERVE, str(tmp_path / "data")]) as edge:
        module = numbered(4)
        edge.put("acme", module.wasm, module.digest)
        edge.call("acme", module.digest, "number")
        worker = edge.workers()["acme"]
        assert edge.stop() == 0
        assert not Path(f"/proc/{worker}").exists()


def serve(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return lawow("serve", "--port", "0", *arguments, check=False)


def test_plain_http_beyond_loopback_is_refused(tmp_path: Path) -> None:
    done = serve("--data", tmp_path / "data", "--host", "0.0.0.0")
    assert done.returncode == 4
    assert "in clear" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_certificate_without_its_key_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("x")
    done = serve("--data", tmp_path / "data", "--cert", tmp_path / "c")
    assert done.returncode == 2
    assert "--cert and --key belong together" in done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = lawow("serve", "--data", tmp_path / "data", "--port", port, check=False)
    assert done.returncode == 1
    assert f"127.0.0.1 port {port}: address already in use" in done.stderr


def test_an_installation_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    """The packages are hidden from the interpreter by a finder that knows none of them."""
    code = (
        "import sys, importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'uvicorn' else real(name, *a)\n"
        "sys.argv = ['lawow', 'serve', '--data', sys.argv[1]]\n"
        "from lawow.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "lawow: `lawow serve` needs uvicorn: pip install 'lawow[edge]'\n"


def test_a_certificate_is_private_self_consistent_and_never_overwritten(tmp_path: Path) -> None:
    made = json.loads(
        lawow("certificate", "--out", tmp_path, "--host", "edge.example", "--days", "5", "--json").stdout
    )
    assert Path(made["key"]).stat().st_mode & 0o777 == 0o600
    shown = run(
        "openssl", "x509", "-in", made["cert"], "-noout", "-fingerprint", "-sha256", "-ext", "subjectAltName"
    )
    assert made["pin"].upper() == shown.stdout.splitlines()[0].partition("=")[2].replace(":", "")
    assert "DNS:edge.example" in shown.stdout
    before = Path(made["key"]).read_bytes()
    again = lawow("certificate", "--out", tmp_path, "--host", "edge.example", check=False)
    assert again.returncode == 4
    assert "holds a certificate already" in again.stderr
    assert Path(made["key"]).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edge.crt", "edge.key"]


@pytest.mark.parametrize("options", [(), ("--tenant", "a", "--list"), ("--tenant", "Not A Name")])
def test_a_token_needs_exactly_one_thing_to_do_and_a_proper_name(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = lawow("token", "--data", tmp_path / "data", *options, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_upload_without_a_token_says_where_one_comes_from(tmp_path: Path) -> None:
    (tmp_path / "m.wasm").write_bytes(numbered(5).wasm)
    environment = {key: value for key, value in os.environ.items() if key != "LAWOW_TOKEN"}
    done = subprocess.run(
        [sys.executable, "-m", "lawow", "upload", str(tmp_path / "m.wasm"), "--edge", "http://127.0.0.1:1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "LAWOW_TOKEN" in done.stderr


def test_an_upload_to_nobody_is_a_lost_host(tmp_path: Path) -> None:
    (tmp_path / "m.wasm").write_bytes(numbered(5).wasm)
    done = lawow(
        "upload", tmp_path / "m.wasm", "--edge", "http://127.0.0.1:1", "--json", check=False, LAWOW_TOKEN="t"
    )
    assert done.returncode == 6
    assert json.loads(done.stdout)["error"] == "HostLost"


def test_an_edge_of_the_command_line_keeps_its_limits(tmp_path: Path) -> None:
    command = [*SERVE, str(tmp_path / "data"), "--deadline", "0.3", "--memory", "1MiB"]
    with running_edge(tmp_path / "data", command=command) as edge:
        check_limits(edge)


def check_limits(edge: RunningEdge) -> None:
    sorts = all_sorts()
    edge.put("acme", sorts.wasm, sorts.digest)
    assert edge.call("acme", sorts.digest, "loop", deadline_seconds=100).refused_with(504, "deadline")
    assert edge.call("acme", sorts.digest, "grow").json["results"] == [1]
