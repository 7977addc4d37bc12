"""The program in docs/java.md compiles without a warning, and prints what its comments say that it prints."""

from __future__ import annotations

import re
from pathlib import Path

from lawow.resources import android_stub
from tests.android.builders import Jvm, Sample
from tests.conftest import ROOT
from tests.server.running import RunningEdge
from tests.tools import run

GUIDE = (ROOT / "docs" / "java.md").read_text()
PROGRAM = """
import dev.lawow.*;
import java.util.*;
import java.util.concurrent.*;

public final class Guide {
    private static final String MODULE = System.getProperty("module");
    private static final String[][] HOSTS = new String[2][];

    public static void main(String[] words) throws Exception {
        for (int number = 0; number < words.length; number++) {
            HOSTS[number] = words[number].split("[=:]");
        }
%s
    }

    private static void print(Object value) {
        System.out.println(value);
    }
}
"""


def test_the_guides_program_prints_what_it_says(
    edge: RunningEdge,
    host_words: list[str],
    counter: Sample,
    host_glue: Path,
    host_wasmtime: Path,
    tmp_path: Path,
) -> None:
    lines = re.findall(r"^    (.*)$", GUIDE, re.MULTILINE)
    said = re.findall(r"print\(.*\); +// (\w+)", "\n".join(lines))
    assert len(said) == GUIDE.count("print(")
    source, stub = tmp_path / "Guide.java", android_stub("prebuilt", "lawow-stub.jar")
    source.write_text(PROGRAM % "\n".join(lines))
    run("javac", "--release", "8", "-Xlint:all,-options", "-Werror", "-cp", stub, "-d", tmp_path, source)
    assets = tmp_path / "assets" / "lawow"
    assets.mkdir(parents=True)
    (assets / counter.file).write_bytes(counter.data)
    jvm = Jvm((stub, tmp_path)).with_properties(
        edge=edge.url,
        certificate_sha256=edge.announced["pin"],
        token=edge.token("reader"),
        library=host_glue,
        wasmtime=host_wasmtime,
    )
    jvm = Jvm(jvm.class_path, jvm.properties, (*jvm.options, f"-Dmodule={counter.name}"))
    assert jvm.run("Guide", *host_words).split() == said
