"""What forbids a move, what is told, and where: each finding names method, instruction and remedy."""

from __future__ import annotations

import pytest

from lawow.errors import Refused
from lawow.formats.apk import read_app
from lawow.formats.dex.symbols import MethodRef
from lawow.refactor.binding import ModuleChoice
from lawow.refactor.correction import read_corrections
from lawow.refactor.effects import ACCEPTABLE, TOLD, platform_effect
from lawow.refactor.findings import Finding, Severity
from lawow.refactor.plan import PlanOptions, SplitPlan, make_plan
from tests.refactor.builders import CONSTRUCTOR, FIB, smali_class, smali_method
from tests.refactor.conftest import BuildApp

FIB_CLASS = "com.example.app.FibonacciWasm"
FIB_PATH = "Lcom/example/app/FibonacciWasm;"
HELPER = "com.example.app.Helper"
RETURN = "    return p0"


def plan(data: bytes, text: str = "", *, show_refused: bool = True) -> SplitPlan:
    corrections = read_corrections(text.encode(), name="lawow.toml", findings=ACCEPTABLE)
    options = PlanOptions(corrections=corrections, show_refused=show_refused, allow_unbound=True)
    return make_plan(read_app(data, name="app.apk"), options)


def app(build_app: BuildApp, body: str, *others: str, members: str = "", **options: object) -> bytes:
    """Return an app whose FibonacciWasm.fib has this body."""
    fib = smali_method("fib", "(I)I", body)
    return build_app([smali_class(FIB_CLASS, members + fib), *others], **options)


def found(data: bytes) -> dict[str, Finding]:
    return {item.kind: item for item in plan(data).closure.findings}


def call(target: str, registers: str = "") -> str:
    return f"    invoke-static {{{registers}}}, {target}\n{RETURN}"


PLATFORM = {
    "framework-call": "Landroid/os/Process;->myPid()I",
    "input-output": "Ljava/nio/file/Paths;->get(Ljava/net/URI;)Ljava/nio/file/Path;",
    "reflection": "Ljava/lang/Class;->forName(Ljava/lang/String;)Ljava/lang/Class;",
    "thread": "Ljava/lang/Thread;->currentThread()Ljava/lang/Thread;",
    "lock": "Ljava/util/concurrent/locks/LockSupport;->park()V",
    "library-load": "Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V",
    "device-state": "Ljava/lang/System;->getProperty(Ljava/lang/String;)Ljava/lang/String;",
    "clock": "Ljava/lang/System;->nanoTime()J",
    "random": "Ljava/lang/Math;->random()D",
    "log": "Landroid/util/Log;->d(Ljava/lang/String;Ljava/lang/String;)I",
}


@pytest.fixture(scope="module")
def platform_app(build_app: BuildApp) -> bytes:
    """An app with one class for each call of the platform: Case0Wasm and so on."""
    classes = []
    for number, target in enumerate(PLATFORM.values()):
        arguments = ", ".join(["v0"] * target.count("Ljava/lang/String;", 0, target.index(")")))
        arguments = arguments or ("v0" if "URI" in target else "")
        body = "    const/4 v0, 0x0\n" + call(target, arguments)
        classes.append(smali_class(f"com.example.app.Case{number}Wasm", smali_method("fib", "(I)I", body)))
    return build_app(classes)


def platform_plan(data: bytes, *kinds: str, show_refused: bool) -> SplitPlan:
    names = [f"Case{number}Wasm" for number, kind in enumerate(PLATFORM) if kind in kinds]
    modules = tuple(ModuleChoice(name, "fibonacci.wasm") for name in names)
    options = PlanOptions(rules=(), modules=modules, show_refused=show_refused)
    return make_plan(read_app(data, name="app.apk"), options)


@pytest.mark.parametrize("kind", [kind for kind in PLATFORM if kind in ACCEPTABLE])
def test_what_only_the_device_has_forbids_a_move(platform_app: bytes, kind: str) -> None:
    (finding,) = platform_plan(platform_app, kind, show_refused=True).closure.findings
    assert (finding.kind, finding.severity) == (kind, Severity.FORBIDDEN)
    assert finding.method.endswith("Wasm.fib(I)I")
    assert finding.place == "invoke-static at 0x1"
    with pytest.raises(
        Refused, match=rf"app\.apk: .*fib\(I\)I: invoke-static at 0x1 .*accept \"{kind}\" for"
    ):
        platform_plan(platform_app, kind, show_refused=False)


@pytest.mark.parametrize("kind", [kind for kind in PLATFORM if kind in TOLD])
def test_what_changes_a_little_is_told(platform_app: bytes, kind: str) -> None:
    found = platform_plan(platform_app, kind, show_refused=False)
    assert [(item.kind, item.severity) for item in found.closure.findings] == [(kind, Severity.TOLD)]
    assert found.moves[0].notes[0].startswith("fib: invoke-static at 0x1")


def test_a_refusal_says_how_many_more_there_are(platform_app: bytes) -> None:
    with pytest.raises(Refused, match=r"\(2 more; --plan shows them\)"):
        platform_plan(platform_app, "thread", "lock", "reflection", show_refused=False)


@pytest.mark.parametrize(
    "text",
    [
        "Ljava/lang/Math;->sin(D)D",
        "Ljava/lang/StringBuilder;->append(I)Ljava/lang/StringBuilder;",
        "Ljava/util/Arrays;->fill([II)V",
        "Ljava/lang/System;->arraycopy(Ljava/lang/Object;ILjava/lang/Object;II)V",
        "Ljava/util/Random;-><init>(J)V",
        "Ljava/lang/Object;->hashCode()I",
        "Landroid/graphics/Color;->rgb(III)I",
        "Ljava/io/ByteArrayOutputStream;->write(I)V",
        "Ldev/lawow/Lawow;->local()Ldev/lawow/Target;",
    ],
)
def test_calls_that_compute_on_their_arguments_are_no_findings(text: str) -> None:
    owner, _, rest = text.partition("->")
    name, _, types = rest.partition("(")
    assert platform_effect(MethodRef(owner, name, "(" + types)) == ""


def test_effects_are_found_behind_helpers_and_name_their_place(build_app: BuildApp) -> None:
    helper = smali_class(
        HELPER,
        smali_method("help", "(I)I", "    nop\n" + call("Landroid/os/Process;->myPid()I")),
    )
    data = app(build_app, call("Lcom/example/app/Helper;->help(I)I", "p0"), helper)
    assert found(data)["framework-call"].place == f"invoke-static at 0x1 of {HELPER}.help(I)I"


def test_inherited_framework_methods_are_found(build_app: BuildApp) -> None:
    view = smali_class("com.example.app.Base", CONSTRUCTOR).replace(
        "Ljava/lang/Object;", "Landroid/view/View;"
    )
    body = "    const/4 v0, 0x0\n    invoke-virtual {v0}, Lcom/example/app/Base;->invalidate()V\n" + RETURN
    data = app(build_app, body, view)
    assert "android.view.View.invalidate" in found(data)["framework-call"].why


FIELD = ".field static count:I\n"
READ = f"    sget v0, {FIB_PATH}->count:I\n{RETURN}"
WRITE = f"    sput p0, {FIB_PATH}->count:I\n{RETURN}"


def user(body: str) -> str:
    return smali_class("com.example.app.Main", smali_method("use", "()V", body + "\n    return-void"))


def test_state_that_others_write_forbids_a_move(build_app: BuildApp) -> None:
    writer = user(f"    const/4 v0, 0x1\n    sput v0, {FIB_PATH}->count:I")
    finding = found(app(build_app, READ, writer, members=FIELD))["shared-field"]
    assert finding.severity is Severity.FORBIDDEN
    assert finding.sentence.startswith(
        f"sget at 0x0 reads {FIB_CLASS}.count, which com.example.app.Main.use()V (sput at 0x1) writes"
    )


def test_state_that_others_read_forbids_a_move(build_app: BuildApp) -> None:
    reader = user(f"    sget v0, {FIB_PATH}->count:I")
    assert "writes" in found(app(build_app, WRITE, reader, members=FIELD))["shared-field"].why


def test_state_of_the_method_alone_is_told(build_app: BuildApp) -> None:
    finding = found(app(build_app, WRITE, members=FIELD))["private-state"]
    assert finding.severity is Severity.TOLD


def test_state_of_a_private_helper_is_the_methods_own(build_app: BuildApp) -> None:
    helper = smali_method("memo", "(I)I", WRITE, flags="private static")
    data = app(build_app, call(f"{FIB_PATH}->memo(I)I", "p0"), members=FIELD + helper)
    assert set(found(data)) == {"private-state"}
    other = user(f"    const/4 v0, 0x1\n    invoke-static {{v0}}, {FIB_PATH}->memo(I)I")
    data = app(
        build_app,
        call(f"{FIB_PATH}->memo(I)I", "p0"),
        other,
        members=FIELD + helper.replace("private", "public"),
    )
    assert "shared-field" in found(data)


TABLE = ".field static final table:[I\n"
CLINIT = (
    ".method static constructor <clinit>()V\n    .registers 1\n    const/4 v0, 0x4\n"
    f"    new-array v0, v0, [I\n    sput-object v0, {FIB_PATH}->table:[I\n    return-void\n.end method\n"
)


def test_a_table_of_the_class_is_no_finding_but_a_shared_one_is_told(build_app: BuildApp) -> None:
    body = f"    sget-object v0, {FIB_PATH}->table:[I\n{RETURN}"
    assert found(app(build_app, body, members=TABLE + CLINIT)) == {}
    reader = user(f"    sget-object v0, {FIB_PATH}->table:[I")
    finding = found(app(build_app, body, reader, members=TABLE + CLINIT))["shared-table"]
    assert finding.severity is Severity.TOLD


def test_a_collection_that_others_use_forbids_a_move(build_app: BuildApp) -> None:
    cache = f"{FIB_PATH}->cache:Ljava/util/Map;"
    members = ".field static final cache:Ljava/util/Map;\n"
    reader = user(f"    sget-object v0, {cache}")
    findings = found(app(build_app, f"    sget-object v0, {cache}\n{RETURN}", reader, members=members))
    assert findings["shared-field"].severity is Severity.FORBIDDEN
    assert "the other no longer sees" in findings["shared-field"].why


def test_native_methods_of_libraries_that_stay_forbid_a_move(build_app: BuildApp) -> None:
    other = smali_class(HELPER, ".method public static native deep(I)I\n.end method\n")
    data = app(build_app, call("Lcom/example/app/Helper;->deep(I)I", "p0"), other)
    assert found(data)["native-call"].severity is Severity.FORBIDDEN
    own = ".method private static native deep(I)I\n.end method\n"
    data = app(build_app, call(f"{FIB_PATH}->deep(I)I", "p0"), members=own)
    assert found(data)["own-native-call"].severity is Severity.TOLD


def test_locks_and_exceptions_of_the_method_are_told(build_app: BuildApp) -> None:
    body = "    const/4 v0, 0x0\n    monitor-enter v0\n    monitor-exit v0\n    throw v0"
    findings = found(app(build_app, body))
    assert findings["monitor"].place == "monitor-enter at 0x1"
    assert findings["exception"].place == "throw at 0x3"
    assert {item.severity for item in findings.values()} == {Severity.TOLD}


def test_calls_that_cannot_be_followed_are_told(build_app: BuildApp) -> None:
    shape = ".class public abstract interface Lcom/example/app/Shape;\n.super Ljava/lang/Object;\n"
    shape += ".method public abstract area()I\n.end method\n"
    body = f"    const/4 v0, 0x0\n    invoke-interface {{v0}}, Lcom/example/app/Shape;->area()I\n{RETURN}"
    assert "chosen at run time" in found(app(build_app, body, shape))["unseen-code"].why


def test_a_finding_is_accepted_by_the_correction_file(build_app: BuildApp) -> None:
    data = app(build_app, call("Landroid/os/Process;->myPid()I"))
    text = f'[[accept]]\nmethod = "{FIB_CLASS}.fib"\nfinding = "framework-call"\nreason = "never null"\n'
    (finding,) = plan(data, text, show_refused=False).closure.findings
    assert finding.severity is Severity.ACCEPTED
    assert plan(data, text).moves[0].notes[0].endswith("; accepted: never null")


SERIAL = smali_class(
    FIB_CLASS,
    ".method public static native fib(I)I\n.end method\n",
    extra=".implements Ljava/io/Serializable;\n",
)


def test_a_default_serial_version_that_would_change_forbids_a_move(build_app: BuildApp) -> None:
    finding = found(build_app([SERIAL]))["serial-version"]
    assert "serialVersionUID" in finding.why
    own = SERIAL.replace(".method", ".field static final serialVersionUID:J = 0x1L\n.method", 1)
    assert found(build_app([own])) == {}


def test_a_library_that_registers_the_native_method_forbids_a_move(build_app: BuildApp) -> None:
    class_path = b"com/example/app/FibonacciWasm"
    entries = {"assets/fibonacci.wasm": FIB, "lib/arm64-v8a/libapp.so": b"\x7fELF" + class_path}
    data = build_app(entries=entries)
    finding = found(data)["native-registration"]
    assert "lib/arm64-v8a/libapp.so" in finding.why
    entries["lib/arm64-v8a/libapp.so"] += b"Java_com_example_app_FibonacciWasm_fib"
    assert found(build_app(entries=entries)) == {}


def test_code_that_cannot_be_carried_along_is_refused_while_planning(build_app: BuildApp) -> None:
    boot = (
        "Ljava/lang/invoke/LambdaMetafactory;->metafactory(Ljava/lang/invoke/MethodHandles$Lookup;"
        "Ljava/lang/String;Ljava/lang/invoke/MethodType;)Ljava/lang/invoke/CallSite;"
    )
    lambda_ = smali_method("run", "()V", f'    invoke-custom {{}}, site("run", ()V)@{boot}\n    return-void')
    data = app(build_app, RETURN, members=lambda_, api=28, min_sdk=28)
    with pytest.raises(Refused, match=r"classes\.dex: .*run\(\)V: invoke-custom at 0x0 uses a call site"):
        plan(data)


def test_classes_that_only_moved_code_uses_are_named(build_app: BuildApp) -> None:
    helper = smali_class(HELPER, smali_method("help", "(I)I", RETURN))
    nested = smali_class(f"{FIB_CLASS}$1", smali_method("deep", "(I)I", RETURN))
    body = (
        "    invoke-static {p0}, Lcom/example/app/Helper;->help(I)I\n"
        f"    invoke-static {{p0}}, {FIB_PATH[:-1]}$1;->deep(I)I\n{RETURN}"
    )
    data = app(build_app, body, helper, nested)
    kinds = {item.descriptor: item.kind for item in plan(data).closure.followers}
    assert kinds == {"Lcom/example/app/Helper;": "helper class", f"{FIB_PATH[:-1]}$1;": "anonymous class"}
    other = user("    const/4 v0, 0x1\n    invoke-static {v0}, Lcom/example/app/Helper;->help(I)I")
    kinds = {
        item.descriptor: item.kind
        for item in plan(app(build_app, body, helper, nested, other)).closure.followers
    }
    assert list(kinds) == [f"{FIB_PATH[:-1]}$1;"]
