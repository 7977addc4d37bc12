"""Judges that are on Maven Central, each a folder with its JARs and theirs; fetched once, by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.conftest import CACHE
from tests.tools import run

__all__ = ["maven_folder", "proguard_folder"]

_POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>dev.lawow</groupId><artifactId>judge</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>
  </dependency></dependencies>
</project>
"""


def maven_folder(name: str, artifact: str, sha256: str) -> Path:
    """Return the folder `name` with the JARs of an artifact, group:name:version, whose digest is checked."""
    folder = CACHE / "maven" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "pom.xml").write_text(_POM.format(*artifact.split(":")))
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
        run("mvn", "-q", "-B", goal, f"-DoutputDirectory={folder}", cwd=folder)
    _, file, version = artifact.split(":")
    assert hashlib.sha256((folder / f"{file}-{version}.jar").read_bytes()).hexdigest() == sha256
    return folder


def proguard_folder() -> Path:
    """Return the folder with ProGuard, which reads the rules that R8 reads; R8 is on Google's Maven alone."""
    digest = "8a3a9837da14881ccdd189cabe9069fd7ffa9fffc69387fdd4f7f3682781e498"
    return maven_folder("proguard", "com.guardsquare:proguard-base:7.4.2", digest)
