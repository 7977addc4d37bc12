"""One small app, built once by smali and aapt, and variations of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from lawow.formats.signing import SigningKey, debug_key
from tests.refactor.builders import (
    FIB,
    MAIN,
    NATIVE_FIB,
    assemble,
    binary_manifest,
    make_zip,
    smali_class,
)

BuildApp = Callable[..., bytes]

FIBONACCI = smali_class("com.example.app.FibonacciWasm", NATIVE_FIB)


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return debug_key()


@pytest.fixture(scope="session")
def build_app(tmp_path_factory: pytest.TempPathFactory) -> BuildApp:
    """Return a function that builds an APK: classes as smali text, one list for each dex file."""
    folder = tmp_path_factory.mktemp("apps")
    dexes: dict[tuple[tuple[str, ...], int], bytes] = {}
    manifests: dict[int, bytes] = {}

    def build(
        *dex_files: Sequence[str],
        entries: Mapping[str, bytes] | None = None,
        stored: Sequence[str] = (),
        min_sdk: int = 24,
        api: int = 21,
    ) -> bytes:
        if min_sdk not in manifests:
            manifests[min_sdk] = binary_manifest(folder / "manifest", min_sdk=min_sdk)
        contents = {"AndroidManifest.xml": manifests[min_sdk], "res/raw/data.bin": bytes(range(256)) * 20}
        for number, classes in enumerate(dex_files or [[FIBONACCI, MAIN]], start=1):
            name = "classes.dex" if number == 1 else f"classes{number}.dex"
            recipe = (tuple(classes), api)
            if recipe not in dexes:
                dexes[recipe] = assemble(folder / "dex", classes, api=api)
            contents[name] = dexes[recipe]
        contents.update({"assets/fibonacci.wasm": FIB} if entries is None else entries)
        return make_zip(contents, stored=stored)

    return build


@pytest.fixture(scope="session")
def app_apk(build_app: BuildApp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small app on disk: FibonacciWasm with a native fib, Main that calls it, one module."""
    path = tmp_path_factory.mktemp("app") / "app.apk"
    path.write_bytes(build_app())
    return path
