"""Build what `prebuilt/` holds: the glue for each ABI, and the Java parts as JARs and as dex files.

    python android_stub/build.py             rebuild prebuilt/
    python android_stub/build.py --check     rebuild elsewhere and compare byte for byte
    python android_stub/build.py --host OUT  the glue for this machine, for a JVM (--runtime wasmedge, native)

Needs JDK 17 (another javac may write other bytes), Maven (it fetches dx and Endive by name) and the pip
package `ziglang` of the version below (no NDK: zig is the cross compiler, with generated stand-ins for
bionic's libraries to link against). Nothing of paths, times or the machine enters the results.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
PREBUILT = HERE / "prebuilt"
JDK_MAJOR = 17
ZIG_VERSION = "0.17.1"
DX = "com.jakewharton.android.repackaged:dalvik-dx:16.0.1"
DX_SHA256 = "1e4b645628e3bdb097b5331d669e177ef235a551582a8c646dbe36865e541907"
MIN_API = 21
ENDIVE = {
    "run.endive:runtime:1.2.0": "360c2eb16dc43d5e057ddfe7d162cced7010d25efbd32c6f851502330d4efe67",
    "run.endive:wasm:1.2.0": "3ec07534781714da4ae1e3703b04c552a3f943a31de15fcb58222929a800bfe6",
}
"""What `endive/`, the engine in Java, is compiled against, with the SHA-256 of each JAR."""

TARGETS = {"arm64-v8a": "aarch64-linux-android", "x86_64": "x86_64-linux-android"}
# What the glue (and the C compiler on its own account) may call; all of it is in bionic since API 21.
BIONIC = {
    "libc.so": (
        "__cxa_atexit",
        "__cxa_finalize",
        "arc4random_buf",
        "calloc",
        "clock_getres",
        "clock_gettime",
        "free",
        "malloc",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "nanosleep",
        "raise",
        "sched_yield",
        "sigaction",
        "strlen",
    ),
    "libdl.so": ("dlclose", "dlerror", "dlopen", "dlsym"),
}
# Runtime -> the source of its library, from the folder jni/, and where in prebuilt/<abi> that lies.
GLUES = {
    "wasmtime": ("lawow_jni.c", "liblawow.so"),
    "wasmedge": ("lawow_wasmedge.c", "wasmedge/liblawow.so"),
    "native": ("../native/lawow_native.c", "liblawownative.so"),
}
WARNINGS = ("-Wall", "-Wextra", "-Werror")
LINK = ("-nostdlib", "-shared", "-fPIC", "-O2", "-Wl,-z,max-page-size=16384", "-Wl,--build-id=none")
GLUE = (
    "-std=c11",
    "-fvisibility=hidden",
    "-fno-sanitize=undefined",
    "-fno-stack-protector",
    "-g0",
    *WARNINGS,
)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return its output; end the program with what it said if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def require_tools() -> None:
    """End the program unless the compilers are the ones whose bytes `prebuilt/` holds."""
    found = run("javac", "-version").split()[-1].split(".")[0]
    if found != str(JDK_MAJOR):
        sys.exit(f"javac is of JDK {found}; prebuilt/ is made with JDK {JDK_MAJOR}")
    if (zig := metadata.version("ziglang")) != ZIG_VERSION:
        sys.exit(f"ziglang is {zig}; prebuilt/ is made with {ZIG_VERSION}")


def zig(target: str, *arguments: str | Path) -> None:
    """Run zig's C compiler in the folder of the sources, so that no absolute path reaches it."""
    run(sys.executable, "-m", "ziglang", "cc", "-target", target, *arguments, cwd=HERE / "jni")


def build_stand_ins(abi: str, work: Path) -> list[Path]:
    """Link empty libraries that offer what the glue takes from bionic's."""
    target = TARGETS[abi]
    libraries = []
    for name, symbols in BIONIC.items():
        source, versions = work / f"{name}.c", work / f"{name}.map"
        source.write_text("".join(f"void {symbol}(void) {{}}\n" for symbol in symbols))
        versions.write_text("LIBC { global: *; };\n")
        library = work / abi / name
        library.parent.mkdir(exist_ok=True)
        zig(
            target, *LINK, "-fno-builtin", "-w", f"-Wl,-soname,{name}", f"-Wl,--version-script={versions}",
            source, "-o", library,
        )  # fmt: skip
        libraries.append(library)
    return libraries


def build_glue(abi: str, source: str, out: Path, libraries: list[Path]) -> None:
    """Compile one native library for one ABI."""
    out.parent.mkdir(parents=True, exist_ok=True)
    zig(
        TARGETS[abi],
        *LINK,
        *GLUE,
        f"-Wl,-soname,{out.name}",
        "-Wl,-z,defs",
        "-Wl,-s",
        source,
        *libraries,
        "-o",
        out,
    )


def build_host_glue(runtime: str, out: Path) -> None:
    """Compile the glue to a runtime for this machine with its own C compiler."""
    command = ("gcc", "-shared", "-fPIC", "-O2", "-std=c11", "-fvisibility=hidden", *WARNINGS)
    run(*command, HERE / "jni" / GLUES[runtime][0], "-o", out.resolve(), "-ldl")


def compile_java(folder: str, classes: Path, libraries: Sequence[Path] = ()) -> None:
    """Compile a folder of sources for Java 8, the oldest level that Android's tools still take."""
    sources = sorted((HERE / folder).rglob("*.java"))
    run(
        "javac",
        "--release",
        "8",
        "-g:source,lines",
        "-Xlint:all,-options,-classfile",  # Endive is of Java 11
        "-Werror",
        "-cp",
        ":".join(map(str, libraries)),
        "-d",
        classes,
        *sources,
    )


def write_jar(classes: Path, out: Path) -> None:
    """Pack class files in sorted order with fixed times."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        entries = {"META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n"}
        entries |= {
            path.relative_to(classes).as_posix(): path.read_bytes()
            for path in sorted(classes.rglob("*.class"))
        }
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_STORED  # deflate's bytes depend on the zlib at hand
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, data)


def cache_folder() -> Path:
    """Return the folder for what is fetched, which may be deleted at any time."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "lawow" / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch(artifact: str, sha256: str) -> Path:
    """Return an artifact's JAR; Maven fetches it by name when the cache lacks it."""
    folder = cache_folder()
    jar = folder / f"{artifact.split(':')[1]}-{artifact.split(':')[2]}.jar"
    if not jar.exists():
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
        run("mvn", "-q", "-B", goal, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}", cwd=folder)
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    if digest != sha256:
        sys.exit(f"{jar}: SHA-256 is {digest}, allowed is {sha256}; delete it and try again")
    return jar


def write_dex(jar: Path, out: Path) -> None:
    """Compile the JAR to a dex."""
    main = ("java", "-cp", fetch(DX, DX_SHA256), "com.android.dx.command.Main", "--dex", "--num-threads=1")
    run(*main, f"--min-sdk-version={MIN_API}", f"--output={out}", jar)


def write_manifest(out: Path) -> None:
    """List the built files with their digests and the tools that made them."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json")
    manifest = {
        "tools": {"jdk": JDK_MAJOR, "ziglang": ZIG_VERSION, "dx": DX, "endive": sorted(ENDIVE)},
        "files": {
            path.relative_to(out).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in files
        },
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def build_all(out: Path) -> None:
    """Build everything that `prebuilt/` holds into the empty folder `out`."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for abi in TARGETS:
            libraries = build_stand_ins(abi, work)
            for source, name in GLUES.values():
                build_glue(abi, source, out / abi / name, libraries)
        compile_java("java", work / "classes")
        write_jar(work / "classes", out / "lawow-stub.jar")
        write_dex(out / "lawow-stub.jar", out / "lawow-stub.dex")
        libraries = [work / "classes", *(fetch(name, sha256) for name, sha256 in ENDIVE.items())]
        compile_java("endive", work / "endive", libraries)
        write_jar(work / "endive", out / "lawow-endive.jar")
        write_dex(out / "lawow-endive.jar", out / "lawow-endive.dex")
    write_manifest(out)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below `folder` by its relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of files that are not the same in both folders."""
    left, right = contents(one), contents(other)
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Build the prebuilt parts of android_stub.")
    parser.add_argument("--check", action="store_true", help="compare a fresh build with prebuilt/")
    parser.add_argument("--host", type=Path, metavar="OUT", help="build only the glue, for this machine")
    parser.add_argument("--runtime", choices=GLUES, default="wasmtime", help="with --host: whose glue")
    options = parser.parse_args()
    if options.host:
        build_host_glue(options.runtime, options.host)
        return
    require_tools()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "prebuilt"
        out.mkdir()
        build_all(out)
        changed = differences(PREBUILT, out)
        if options.check and changed:
            sys.exit(f"prebuilt/ differs from its sources in {', '.join(changed)}; run android_stub/build.py")
        if not options.check:
            shutil.rmtree(PREBUILT, ignore_errors=True)
            shutil.copytree(out, PREBUILT)
        print("up to date" if not changed else f"rebuilt {', '.join(changed)}")


if __name__ == "__main__":
    main()
