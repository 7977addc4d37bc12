"""Run one function of a component: find its compiled code, read arguments as WAVE, call, account for time.

A component is compiled in the limited child, like a large module, and its code is kept in the same cache
under a flavour of its own. Arguments are WAVE (`lawow.formats.wave`), with two conveniences for a command
line: a string needs no quotation marks, and ``@FILE`` stands for a file's bytes or text.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory, TemporaryFile
from time import perf_counter

from lawow.errors import FormatError, LawowError, Refused, UsageError
from lawow.execution.argument_files import read_argument_file
from lawow.execution.found import Found
from lawow.execution.reactor import for_user
from lawow.formats.component import require_sound_component
from lawow.formats.wave import Value, parse_wave
from lawow.formats.wit import Function, ListOf, Primitive, WitType, World
from lawow.limits import COMPILE, MODULE
from lawow.runtime.cache import CodeCache, content_key
from lawow.runtime.compile_worker import compile_in_child
from lawow.runtime.grants import Grants
from lawow.runtime.places import file_key
from lawow.runtime.profiles import EXEC_FUEL_PROFILE, EXEC_PROFILE, EngineProfile
from lawow.runtime.wasmtime_component import ComponentEngine, LoadedComponent, Output

__all__ = [
    "ComponentReport",
    "PreparedComponent",
    "parse_values",
    "prepare_component",
    "run_component",
]

_COMPILE_LIMITS = replace(COMPILE, cpu_seconds=4 * COMPILE.cpu_seconds)
"""A component brings its language's whole runtime: that of Python takes 40 seconds."""


@dataclass(slots=True)
class PreparedComponent:
    """A compiled component and how long it took to get there."""

    component: LoadedComponent
    transfer_seconds: float = 0.0
    prepare_seconds: float = 0.0


@dataclass(slots=True)
class ComponentReport:
    """What a run gave and what it cost."""

    function: Function
    result: Value | None = None
    transfer_seconds: float = 0.0
    prepare_seconds: float = 0.0
    runs_seconds: list[float] = field(default_factory=list)


def prepare_component(
    found: Found, path: str, member: str, *, with_fuel: bool, use_cache: bool
) -> PreparedComponent:
    """Return compiled code: from the cache, else made in the limited child.

    Raises `FormatError`, `LimitExceeded` (the scan of its modules, or the child's limits).
    """
    started = perf_counter()
    base = EXEC_FUEL_PROFILE if with_fuel else EXEC_PROFILE
    engine = ComponentEngine(base)
    flavour = EngineProfile(f"component-{base.name}", has_fuel=base.has_fuel)
    cache = CodeCache.for_user(flavour) if use_cache else CodeCache(None, flavour)
    key = file_key(os.stat(path), member, "") if os.path.isfile(path) else None
    try:
        component = _from_cache(engine, cache, key) or _compile(engine, cache, key, found)
    except FormatError as error:
        raise error.within(found.label) from None
    return PreparedComponent(component, prepare_seconds=perf_counter() - started)


def _from_cache(engine: ComponentEngine, cache: CodeCache, key: str | None) -> LoadedComponent | None:
    entry = cache.find(key)
    if entry is None:
        return None
    try:
        return engine.load(f"{cache.folder}/{entry.code}")
    except FormatError:  # made on another machine that shares this folder
        return None


def _compile(engine: ComponentEngine, cache: CodeCache, key: str | None, found: Found) -> LoadedComponent:
    """Compile into the cache, or into a folder of our own if there is none."""
    require_sound_component(found.data, MODULE)
    with TemporaryFile() as copy, TemporaryDirectory(prefix="lawow-") as folder:
        copy.write(found.data)
        copy.flush()
        content = content_key(copy.fileno())
        component = _from_cache(engine, cache, content)
        if component is None:
            copy.seek(0)
            part = cache.part_path() if cache.folder is not None else f"{folder}/component.cwasm"
            _, digest = compile_in_child(copy.fileno(), part, engine.profile, _COMPILE_LIMITS)
            component = engine.load(part)  # mapped: it outlives the name
            if cache.folder is not None:
                cache.adopt(content, digest, part)
    entry = cache.find(content)
    if entry is not None:
        cache.put(key, entry)
    return component


def run_component(
    prepared: PreparedComponent,
    export: str,
    texts: Sequence[str],
    *,
    label: str,
    memory_bytes: int,
    fuel: int | None = None,
    stdout: Output | None = None,
    stderr: Output | None = None,
    grants: Grants | None = None,
    repeat: int = 1,
) -> ComponentReport:
    """Call a function with arguments as text, each time in a fresh instance; the result is the last one.

    Raises `UsageError` (no such function, arguments), `GuestTrap`, `LimitExceeded`, `Refused` (imports).
    """
    component = prepared.component
    try:
        function = _function(component, export)
        values = parse_values(function, texts)
        report = ComponentReport(function, transfer_seconds=prepared.transfer_seconds)
        report.prepare_seconds = prepared.prepare_seconds
        for _ in range(repeat):
            started = perf_counter()
            instance = component.instantiate(
                memory_bytes=memory_bytes, fuel=fuel, stdout=stdout, stderr=stderr, grants=grants
            )
            ready = perf_counter()
            if not report.runs_seconds:
                report.prepare_seconds += ready - started
            report.result = instance.call(function, values)
            report.runs_seconds.append(perf_counter() - ready)
    except LawowError as error:
        raise for_user(error, label) from None
    return report


def _function(component: LoadedComponent, export: str) -> Function:
    """Return the function that a name means. Raises `UsageError` with near names, `Refused`."""
    found = component.world.find(export)
    if found is not None:
        return found
    if export in component.uncallable:
        raise Refused(f"{export} cannot be called from here: {component.uncallable[export]}")
    import difflib

    names = _names(component.world)
    near = difflib.get_close_matches(export, names, 3)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise UsageError(f"no exported function is named {export!r}{hint}; functions exported: {shown or 'none'}")


def _names(world: World) -> list[str]:
    return [f"{item.interface}#{item.name}" if item.interface else item.name for item in world.functions]


def parse_values(function: Function, texts: Sequence[str]) -> list[Value]:
    """Return the arguments of a function from their text. Raises `UsageError` naming the parameter."""
    if len(texts) != len(function.params):
        names = ", ".join(item.name for item in function.params) or "none"
        raise UsageError(
            f"{function.name} takes {len(function.params)} arguments ({names}), {len(texts)} given"
        )
    values = []
    for param, text in zip(function.params, texts, strict=True):
        if param.type is None:
            raise UsageError(f"parameter {param.name} of {function.name} has no type")
        try:
            values.append(_parse_value(text, param.type))
        except FormatError as error:
            raise UsageError(f"argument {param.name}: {error}") from None
    return values


def _parse_value(text: str, kind: WitType) -> Value:
    is_text, is_bytes = kind == Primitive("string"), kind == ListOf(Primitive("u8"))
    if text.startswith("@") and len(text) > 1 and (is_text or is_bytes):
        content = read_argument_file(text[1:])
        return _decode(content, text[1:]) if is_text else content
    if is_text and not text.startswith('"'):
        return _decode(os.fsencode(text), "the argument")
    return parse_wave(text, kind)


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{name}: a string must be UTF-8") from None
