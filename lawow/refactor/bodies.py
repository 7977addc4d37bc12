"""Reads the code that a move replaces: what it touches besides its arguments, and what only it needs.

The walk begins at the bound methods and follows calls into the app's own code. Calls of the platform are
judged by `lawow.refactor.effects`; static fields by who else uses them:

| finding | severity | why |
|---|---|---|
| shared-field | forbidden | a static field that the method writes and others use, or others write |
| shared-field | forbidden | a collection or buffer in a static field that others use too |
| native-call | forbidden | a native method of another class: its library stays, its effects are unseen |
| shared-table | told | an array or object that other code reaches too: the module has its own copy |
| private-state | told | only moved methods use the field: the state now is the module's |
| own-native-call | told | a native helper of the same class: the module is taken to hold what it did |
| monitor | told | a lock is taken but nothing shared is changed under it, or it were a finding of its own |
| exception | told | what the method throws itself arrives as `dev.lawow.Trap` |
| unseen-code | told | calls that cannot be followed: invoke-custom, interfaces, or too many |

Not findings, because the scheme keeps them sound: who calls the method or names its class by reflection or
from JNI (class, name and types stay); static initialisers (they move with the class and run as before);
access to package-private members (one class loader, one package); instance fields (only objects made by the
method itself can be reached without a static field).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from lawow.formats.dex.opcodes import OPCODES, IndexKind
from lawow.formats.dex.search import Use, instruction_uses, instructions
from lawow.formats.dex.spec import ACC_PRIVATE, ACC_STATIC
from lawow.formats.dex.symbols import FieldRef, MethodRef
from lawow.formats.dex.views import MethodView
from lawow.refactor.classify import is_library
from lawow.refactor.code_index import CodeIndex, use_target
from lawow.refactor.effects import platform_effect, platform_state
from lawow.refactor.findings import Finding, describe_method, describe_use
from lawow.refactor.names import Names
from lawow.refactor.rules import java_name

__all__ = ["Walk", "field_findings", "vanishing_methods", "walk_body"]

MAX_METHODS = 2_000
_MONITOR_ENTER, _THROW = OPCODES["monitor-enter"].value, OPCODES["throw"].value
_VALUE_TYPES = frozenset("ZBSCIJFD") | {"Ljava/lang/String;"}
_WHY = {
    "framework-call": "calls {target}, which acts on the device; the edge has none",
    "input-output": "calls {target}: files and connections are the device's",
    "reflection": "calls {target}: what that reaches can't be seen",
    "thread": "calls {target}: threads are the device's",
    "lock": "calls {target}, by which threads of the device talk to each other",
    "library-load": "calls {target}: others may rely on that library",
    "device-state": "uses {target}, which differs between device and edge",
    "clock": "reads the clock by {target}; the module has its own, or none",
    "random": "draws random numbers by {target}; the module has its own source, or none",
    "log": "prints by {target}; nothing will be printed on the device",
}
_CONTAINERS = ("Ljava/util/", "Ljava/lang/StringBu", "Ljava/io/", "Ljava/nio/")
_CONSTANTS = ("Ljava/util/regex/", "Ljava/util/function/", "Ljava/util/Locale;", "Ljava/util/UUID;")
_LEAVE = "take the call out of the method, or bind a method that does without it"


@dataclass
class Walk:
    """What a bound method reaches: the app's methods in the order met, and static fields with their uses."""

    moved: MethodView
    bound: Collection[MethodRef] = ()
    reached: list[MethodView] = field(default_factory=list)
    statics: dict[FieldRef, list[Use]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def walk_body(method: MethodView, bound: Collection[MethodRef], index: CodeIndex, names: Names) -> Walk:
    """Follow the code of a bound method; `bound` are all of them.

    Fields are judged later, by `field_findings`, for all methods together.
    """
    walk = Walk(method, bound)
    _judge_own_instructions(walk, names)
    pending, seen = [method], {method.ref}
    while pending:
        current = pending.pop()
        for use in instruction_uses(current):
            callee = _visit(use, walk, index, names)
            if callee is None or callee.ref in seen:
                continue
            seen.add(callee.ref)
            if len(seen) > MAX_METHODS:
                why = f"reaches more than {MAX_METHODS:,} methods; the rest was not looked at"
                walk.findings.append(_finding(walk, "unseen-code", use, why, names))
                return walk
            walk.reached.append(callee)
            pending.append(callee)
    return walk


def _judge_own_instructions(walk: Walk, names: Names) -> None:
    """Note locks and exceptions of the method itself."""
    first: dict[int, int] = {}
    for offset, opcode in instructions(walk.moved):
        first.setdefault(opcode, offset)
    label = describe_method(walk.moved, names)
    if _MONITOR_ENTER in first:
        place = f"monitor-enter at {first[_MONITOR_ENTER]:#x}"
        why = "takes a lock that calls to the edge do not take"
        walk.findings.append(Finding("monitor", label, place, why))
    if _THROW in first:
        place = f"throw at {first[_THROW]:#x}"
        why = "is an exception of its own; from the edge it arrives as dev.lawow.Trap"
        walk.findings.append(Finding("exception", label, place, why))


def _visit(use: Use, walk: Walk, index: CodeIndex, names: Names) -> MethodView | None:
    """Judge one instruction; return the method of the app that it calls, if there is code to follow."""
    target = use_target(use)
    if use.kind in (IndexKind.CALL_SITE, IndexKind.METHOD_HANDLE):
        walk.findings.append(_finding(walk, "unseen-code", use, "calls what can't be followed", names))
    elif isinstance(target, FieldRef):
        _visit_field(use, target, walk, index, names)
    elif isinstance(target, MethodRef):
        return _visit_call(use, target, walk, index, names)
    return None


def _visit_field(use: Use, target: FieldRef, walk: Walk, index: CodeIndex, names: Names) -> None:
    if not use.mnemonic.startswith(("sget", "sput")):
        return
    owner = index.find_field_owner(target)
    if owner is not None:
        walk.statics.setdefault(FieldRef(owner.descriptor, target.name, target.type), []).append(use)
    elif kind := platform_state(target):
        why = _WHY[kind].format(target=f"{java_name(target.class_name)}.{target.name}")
        walk.findings.append(_finding(walk, kind, use, why, names))


def _visit_call(use: Use, target: MethodRef, walk: Walk, index: CodeIndex, names: Names) -> MethodView | None:
    if target.class_name.startswith("[") or is_library(target.class_name):
        return None
    found = index.resolve(target)
    if isinstance(found, str):
        _judge_platform_call(use, target._replace(class_name=found or target.class_name), walk, names)
        return None
    if found.is_native and found.ref not in walk.bound:
        _judge_native_call(use, found, walk, names)
    elif found.is_abstract:
        why = f"calls {describe_method(found, names)}, whose implementation is chosen at run time"
        walk.findings.append(_finding(walk, "unseen-code", use, why, names))
    return found if found.has_code else None


def _judge_platform_call(use: Use, target: MethodRef, walk: Walk, names: Names) -> None:
    if kind := platform_effect(target):
        why = _WHY[kind].format(target=f"{java_name(target.class_name)}.{target.name}")
        walk.findings.append(_finding(walk, kind, use, why, names))


def _judge_native_call(use: Use, callee: MethodView, walk: Walk, names: Names) -> None:
    label = describe_method(callee, names)
    if callee.owner.descriptor == walk.moved.owner.descriptor:
        why = f"calls the native {label}; the module must hold what it does"
        walk.findings.append(_finding(walk, "own-native-call", use, why, names))
    else:
        why = f"calls the native {label}, whose library stays on the device"
        walk.findings.append(_finding(walk, "native-call", use, why, names))


def _finding(walk: Walk, kind: str, use: Use, why: str, names: Names) -> Finding:
    label = describe_method(walk.moved, names)
    return Finding(kind, label, describe_use(use, walk.moved, names), why, _remedy(label, kind))


def _remedy(label: str, kind: str) -> str:
    method = label.partition("(")[0]
    return f'{_LEAVE}; or, if that does no harm, accept "{kind}" for {method} in lawow.toml'


def vanishing_methods(walks: Iterable[Walk], index: CodeIndex) -> set[MethodRef]:
    """Return the methods that nobody calls after the move: the bound bodies, and helpers that only they use.

    Only helpers that are called directly count (static, private, constructors): who calls another one is
    decided at run time.
    """
    walks = list(walks)
    vanishing = {walk.moved.ref for walk in walks}
    helpers = {
        method.ref: method
        for walk in walks
        for method in walk.reached
        if method.access_flags & (ACC_STATIC | ACC_PRIVATE) and method.name != "<clinit>"
    }
    callers: dict[MethodRef, set[MethodRef]] = {ref: set() for ref in helpers}
    for use in index.uses_of_methods(helpers) if helpers else ():
        target = use_target(use)
        if isinstance(target, MethodRef) and target in callers:
            callers[target].add(use.method.ref)
    changed = True
    while changed:
        gone = {ref for ref, by in callers.items() if ref not in vanishing and by <= vanishing | {ref}}
        vanishing |= gone
        changed = bool(gone)
    return vanishing


def field_findings(
    walks: Iterable[Walk], vanishing: set[MethodRef], index: CodeIndex, names: Names
) -> Iterator[Finding]:
    """Judge the static fields that moved methods use, by who else uses them."""
    walks = list(walks)
    fields = {ref for walk in walks for ref in walk.statics}
    if not fields:
        return
    others: dict[FieldRef, list[Use]] = {ref: [] for ref in fields}
    for use in index.uses_of_fields(fields):
        target = use_target(use)
        if isinstance(target, FieldRef) and use.method.ref not in vanishing and target in others:
            others[target].append(use)
    for walk in walks:
        for ref, uses in walk.statics.items():
            yield from _judge_field(walk, ref, uses, others[ref], names)


def _judge_field(
    walk: Walk, ref: FieldRef, uses: list[Use], others: list[Use], names: Names
) -> Iterator[Finding]:
    outside = [use for use in others if not _initialises(use, ref)]
    label = f"{names.of_class(ref.class_name)}.{ref.name}"
    writes = [use for use in uses if use.mnemonic.startswith("sput")]
    foreign_writes = [use for use in outside if use.mnemonic.startswith("sput")]
    if writes and outside:
        other = _place(outside[0], names)
        why = f"writes {label}, which {other} uses"
        yield _finding(walk, "shared-field", writes[0], why, names)
    elif foreign_writes:
        why = f"reads {label}, which {_place(foreign_writes[0], names)} writes"
        yield _finding(walk, "shared-field", uses[0], why, names)
    elif writes:
        why = f"keeps state in {label}; on the edge the module keeps its own"
        yield _finding(walk, "private-state", writes[0], why, names)
    elif outside and _is_container(ref.type):
        why = f"reads {label}; what it or {_place(outside[0], names)} puts there, the other no longer sees"
        yield _finding(walk, "shared-field", uses[0], why, names)
    elif outside and ref.type not in _VALUE_TYPES:
        why = f"reads {label}, whose content {_place(outside[0], names)} reaches too"
        yield _finding(walk, "shared-table", uses[0], why, names)


def _is_container(kind: str) -> bool:
    """Tell whether a field of this type holds state that is there to be changed: collections, buffers."""
    return kind.startswith(_CONTAINERS) and not kind.startswith(_CONSTANTS)


def _initialises(use: Use, ref: FieldRef) -> bool:
    return use.method.name == "<clinit>" and use.method.owner.descriptor == ref.class_name


def _place(use: Use, names: Names) -> str:
    return f"{describe_method(use.method, names)} ({use.mnemonic} at {use.offset:#x})"
