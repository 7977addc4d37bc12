"""`lawow sign` and `lawow verify` as a user meets them; apksigner judges what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lawow.formats.zip import read_zip, write_zip
from tests.conftest import lawow
from tests.refactor.builders import make_zip
from tests.refactor.conftest import app_apk, build_app  # noqa: F401  # fixtures
from tests.tools import run


@pytest.fixture
def app(app_apk: Path, tmp_path: Path) -> Path:  # noqa: F811
    path = tmp_path / "in" / "app.apk"
    path.parent.mkdir()
    path.write_bytes(app_apk.read_bytes())
    return path


def test_a_signed_apk_verifies_for_us_and_for_android(app: Path) -> None:
    done = json.loads(lawow("sign", app, "--debug-key", "--json").stdout)
    signed = app.parent / "app-signed.apk"
    assert done["path"] == str(signed)
    assert done["schemes"] == [2, 3]
    words = run("apksigner", "verify", "--print-certs", signed).stdout
    assert done["certificate_sha256"] in words
    verdict = json.loads(lawow("verify", signed, "--json").stdout)
    assert (verdict["verifies"], verdict["issues"], verdict["misaligned"]) == (True, [], [])
    assert verdict["certificates_sha256"] == [done["certificate_sha256"]]
    assert [entry.name for entry in read_zip(signed.read_bytes()).entries] == [
        entry.name for entry in read_zip(app.read_bytes()).entries
    ]


def test_a_tampered_apk_does_not_verify_and_every_issue_is_data(app: Path) -> None:
    lawow("sign", app, "--debug-key", "--out", app.parent / "x.apk")
    data = bytearray((app.parent / "x.apk").read_bytes())
    data[read_zip(data).entries[1].data_offset] ^= 1
    (app.parent / "x.apk").write_bytes(data)
    done = lawow("verify", app.parent / "x.apk", "--json", check=False)
    assert done.returncode == 3
    assert {issue["kind"] for issue in json.loads(done.stdout)["issues"]} == {"content-changed"}
    done = lawow("verify", app.parent / "x.apk", check=False)
    assert done.returncode == 3
    assert "does not verify" in done.stdout
    assert "issue     the APK was changed after it was signed with v2" in done.stdout


def test_an_unsigned_apk_and_what_is_no_apk_get_a_verdict_too(app: Path) -> None:
    for path, kind in ((app, "not-signed"), (Path(__file__), "malformed-archive")):
        done = lawow("verify", path, "--json", check=False)
        assert done.returncode == 3
        assert json.loads(done.stdout)["issues"][0]["kind"] == kind


def test_min_sdk_says_which_androids_count(app: Path) -> None:
    signed = app.parent / "app-signed.apk"
    lawow("sign", app, "--debug-key", "--min-sdk", "24")
    assert lawow("verify", signed).returncode == 0
    done = lawow("verify", signed, "--min-sdk", "21", check=False)
    assert done.returncode == 3
    assert "needs a v1 signature" in done.stdout


def test_libraries_that_android_15_cannot_map_are_remarked(app: Path) -> None:
    entries = read_zip(
        make_zip(
            {"AndroidManifest.xml": b"x", "lib/arm64-v8a/libx.so": b"x"}, stored=["lib/arm64-v8a/libx.so"]
        )
    ).entries
    app.write_bytes(write_zip(entries, align=False))
    done = lawow("verify", app, "--json", check=False)
    assert [item["alignment"] for item in json.loads(done.stdout)["misaligned"]] == [16384]
    assert "no multiple of 16,384" in lawow("verify", app, check=False).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "give --keystore FILE, or --debug-key"),
        (["--debug-key", "--out", "{app}"], 4, "is the input itself"),
        (["--debug-key", "--out", "{app}/below"], 1, "app.apk"),
        (["--keystore", "none.p12"], 1, "none.p12"),
    ],
)
def test_refusals_are_one_sentence_and_write_nothing(
    app: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = lawow("sign", app, *(text.format(app=app) for text in arguments), check=False)
    assert done.returncode == code
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert [item.name for item in app.parent.iterdir()] == ["app.apk"]


def test_signing_what_is_no_apk_names_the_file(app: Path) -> None:
    app.write_bytes(make_zip({"a.txt": b"x"}))
    done = lawow("sign", app, "--debug-key", check=False)
    assert done.returncode == 3
    assert f"{app}: AndroidManifest.xml is missing" in done.stderr
