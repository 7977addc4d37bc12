"""Step 2 of the split: what keeps it sound. Checks on the app and on each class, before anything is moved.

A moved class keeps its name, its supertypes, its fields and all its methods, so residents, reflection, JNI
look-ups and serialized data find it as before; only the bodies of the methods that its module implements
change. It may lie in another dex file than its callers and its nested classes, because they share one
class loader and thus one package. So there are three questions:

1. Can the class be copied? Annotation types have no methods to move; call sites and method handles in methods
   that are *kept* can't be carried into another dex file.
2. Can the module be the method? `lawow.refactor.bodies` reads the code that the move replaces.
3. Does the outside see the new method flags? A proxy is neither native nor synchronized:

| finding | severity | why |
|---|---|---|
| serial-version | forbidden | the default serialVersionUID of a Serializable class depends on these flags |
| native-registration | forbidden | a library that stays registers the method itself, and fails |
| native | told | the same, where no library shows it |
| synchronized | told | calls reach the edge side by side; shared state would be a finding of its own |

A refusal names class, method, instruction and what to do; the correction file may accept it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lawow.errors import FormatError, Refused
from lawow.formats.apk import RUNTIME_LIBRARY, AppPackage
from lawow.formats.bundle import BoundMethod
from lawow.formats.dex.opcodes import IndexKind
from lawow.formats.dex.search import instruction_uses
from lawow.formats.dex.spec import ACC_DECLARED_SYNCHRONIZED, ACC_NATIVE, ACC_PRIVATE, ACC_SYNCHRONIZED
from lawow.formats.dex.views import ClassView, MethodView
from lawow.refactor.bodies import field_findings, vanishing_methods, walk_body
from lawow.refactor.code_index import CodeIndex
from lawow.refactor.correction import NO_CORRECTIONS, Corrections
from lawow.refactor.findings import Finding, describe_method, settle
from lawow.refactor.followers import Follower, find_followers
from lawow.refactor.names import PLAIN_NAMES, Names
from lawow.refactor.rules import java_name

__all__ = [
    "NOTHING_FOUND",
    "Closure",
    "close_over",
    "consequences",
    "require_copyable_class",
    "require_movable_class",
]

ACC_ANNOTATION = 0x2000
SERIALIZABLE = {"Ljava/io/Serializable;", "Ljava/io/Externalizable;"}
_SYNCHRONIZED = ACC_SYNCHRONIZED | ACC_DECLARED_SYNCHRONIZED
_UNMOVABLE = {IndexKind.CALL_SITE: "a call site", IndexKind.METHOD_HANDLE: "a method handle"}


@dataclass(frozen=True, slots=True)
class Closure:
    """What the moves of a plan reach: settled findings, and classes that only the moved code uses."""

    findings: tuple[Finding, ...] = ()
    followers: tuple[Follower, ...] = ()


NOTHING_FOUND = Closure()


def require_movable_class(view: ClassView) -> None:
    """Refuse kinds of classes that have no methods to move."""
    if view.access_flags & ACC_ANNOTATION:
        raise Refused(f"{java_name(view.descriptor)} is an annotation type; exclude it from --rule")


def require_copyable_class(view: ClassView, methods: Iterable[BoundMethod]) -> None:
    """Refuse a class with code beside its bound methods that can't be carried into another dex file."""
    replaced = {(bound.method, bound.descriptor) for bound in methods}
    for method in view.methods:
        if (method.name, method.descriptor) in replaced:
            continue
        for use in instruction_uses(method):
            if use.kind in _UNMOVABLE:
                raise Refused(
                    f"{method.ref}: {use.mnemonic} at {use.offset:#x} uses {_UNMOVABLE[use.kind]}, which"
                    " can't be moved; compile with minSdkVersion below 26, which makes classes of lambdas, or"
                    " move the method into a class of its own"
                )


def consequences(view: ClassView, methods: Iterable[BoundMethod], descriptors: Iterable[str]) -> list[str]:
    """Return what a move changes, or leaves, beyond where the methods run, as sentences.

    `descriptors` are those of all classes of the app.
    """
    notes = []
    prefix = view.descriptor.removesuffix(";") + "$"
    if nested := sorted(java_name(item) for item in descriptors if item.startswith(prefix)):
        notes.append(f"its nested classes stay on the device as they are: {', '.join(nested)}")
    for method in _bound_views(view, methods):
        if method.access_flags & _SYNCHRONIZED:
            notes.append(f"{method.name} is no longer synchronized: calls reach the edge side by side")
        if method.is_native:
            notes.append(
                f"{method.name} is no longer native: a library that registers it by RegisterNatives fails"
            )
    return notes


def _bound_views(view: ClassView, methods: Iterable[BoundMethod]) -> list[MethodView]:
    bound = {(item.method, item.descriptor) for item in methods}
    return [method for method in view.methods if (method.name, method.descriptor) in bound]


def close_over(
    app: AppPackage,
    moves: Sequence[tuple[ClassView, Sequence[BoundMethod]]],
    *,
    names: Names = PLAIN_NAMES,
    corrections: Corrections = NO_CORRECTIONS,
) -> Closure:
    """Judge all moves together: what one moved method shares with another is shared no longer.

    Raises `FormatError` for damaged code.
    """
    index = CodeIndex(app)
    try:
        bound = [method for view, methods in moves for method in _bound_views(view, methods)]
        refs = {method.ref for method in bound}
        walks = [walk_body(method, refs, index, names) for method in bound if method.has_code]
        vanishing = vanishing_methods(walks, index)
        found = [finding for walk in walks for finding in walk.findings]
        found += field_findings(walks, vanishing, index, names)
        found += _registrations(app, [method for method in bound if method.is_native], names)
        found += [
            finding for view, methods in moves for finding in _serial_version(view, methods, index, names)
        ]
        followers = find_followers(walks, vanishing, {view.descriptor for view, _ in moves}, index)
    except FormatError as error:
        raise error if error.file.startswith(app.name) else error.within(app.name) from None
    return Closure(tuple(_first_of_each(settle(finding, corrections) for finding in found)), followers)


def _first_of_each(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Keep one finding of each kind, method and severity: the first place is enough to act on."""
    seen = set()
    for finding in findings:
        key = (finding.kind, finding.method)
        if key not in seen:
            seen.add(key)
            yield finding


def _serial_version(
    view: ClassView, methods: Iterable[BoundMethod], index: CodeIndex, names: Names
) -> Iterator[Finding]:
    """Find a default serialVersionUID that the new flags change."""
    changing = [
        method
        for method in _bound_views(view, methods)
        if method.access_flags & (ACC_NATIVE | ACC_SYNCHRONIZED) and not method.access_flags & ACC_PRIVATE
    ]
    has_own = any(field.name == "serialVersionUID" and field.is_static for field in view.fields)
    if not changing or has_own or not _is_serializable(view, index):
        return
    for method in changing:
        label = describe_method(method, names)
        why = (
            "is native or synchronized, which goes into the serialVersionUID of"
            f" {names.of_class(view.descriptor)}: objects that were stored before can't be read any more"
        )
        remedy = "give the class a serialVersionUID of its own"
        yield Finding("serial-version", label, "", why, remedy)


def _is_serializable(view: ClassView, index: CodeIndex) -> bool:
    pending: list[ClassView] = [view]
    seen: set[str] = set()
    while pending:
        current = pending.pop()
        seen.add(current.descriptor)
        supertypes = {*current.interfaces, current.superclass or ""}
        if supertypes & SERIALIZABLE:
            return True
        pending += [found for name in supertypes - seen if (found := index.find_class(name)) is not None]
    return False


def _registrations(app: AppPackage, natives: Sequence[MethodView], names: Names) -> Iterator[Finding]:
    """Find libraries that name the class of a native method but don't export it under its JNI name."""
    if not natives:
        return
    for entry in app.archive.entries:
        is_library = entry.name.startswith(b"lib/") and entry.name.endswith(b".so")
        if not is_library or RUNTIME_LIBRARY.fullmatch(entry.path) or not entry.is_readable:
            continue
        content = entry.read()
        for method in natives:
            class_path = method.owner.descriptor[1:-1].encode("utf-8", "surrogatepass")
            if class_path in content and _jni_name(method) not in content:
                why = (
                    f"is registered by {entry.path}, which names the class and has no"
                    f" {_jni_name(method).decode()}; registering a method that is not native fails"
                )
                remedy = "take the method out of that library, or bind a method that calls it"
                yield Finding("native-registration", describe_method(method, names), "", why, remedy)


def _jni_name(method: MethodView) -> bytes:
    """Return the symbol by which the virtual machine finds a native method: ``Java_com_example_Fib_fib``."""
    return f"Java_{_mangled(method.owner.descriptor[1:-1])}_{_mangled(method.name)}".encode()


def _mangled(name: str) -> str:
    plain = {"/": "_", "_": "_1", ";": "_2", "[": "_3"}
    return "".join(
        plain.get(letter) or (letter if letter.isascii() and letter.isalnum() else f"_0{ord(letter):04x}")
        for letter in name
    )
