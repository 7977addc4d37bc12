"""Components through the engine's own Python package: their types as WIT, their values as WAVE has them.

The package is imported here and nowhere else, when the first component is met: it takes longer to start than
a whole core module runs. Compiled components go through the same cache and the same limited child as modules.
A component may import WASI preview 2, and is granted of it what a core module is of preview 1: clocks, random
numbers, two output streams. Resources, streams and futures cannot be written as text; a function that takes
one is listed and not called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import wasmtime
from wasmtime import component as model
from wasmtime.component._types import ComponentExtern, VariantLikeType

from lawow.errors import (
    FormatError,
    GuestTrap,
    LawowError,
    LimitExceeded,
    LocalProtocolError,
    Refused,
    UsageError,
)
from lawow.formats.wave import Case, Value
from lawow.formats.wit import (
    Enumeration,
    Field,
    Flags,
    Function,
    ListOf,
    Option,
    Primitive,
    Record,
    Result,
    Tuple,
    Variant,
    WitType,
    World,
)
from lawow.limits import CALL
from lawow.runtime.failures import TRAP_CODES
from lawow.runtime.grants import NOTHING, Grants
from lawow.runtime.profiles import EngineProfile

__all__ = ["ComponentEngine", "ComponentInstance", "LoadedComponent"]

Output = Callable[[bytes], object]

_INSTANCES, _TABLES, _MEMORIES = 1_000, 1_000, 100
"""Of one component: each is made of many core modules."""

_PRIMITIVES: Mapping[type, str] = {
    model.Bool: "bool",
    model.S8: "s8",
    model.S16: "s16",
    model.S32: "s32",
    model.S64: "s64",
    model.U8: "u8",
    model.U16: "u16",
    model.U32: "u32",
    model.U64: "u64",
    model.F32: "f32",
    model.F64: "f64",
    model.Char: "char",
    model.String: "string",
}
_NAMED = (model.RecordType, model.VariantType, model.EnumType, model.FlagsType)
_FUNCTIONS_MOST = 10_000


class _Unwritable(Exception):
    """A type of which no value can be written."""


class ComponentEngine:
    """Compiles and loads components under one `EngineProfile`."""

    def __init__(self, profile: EngineProfile) -> None:
        config = wasmtime.Config()
        config.epoch_interruption = profile.has_epochs
        config.consume_fuel = profile.has_fuel
        config.max_wasm_stack = CALL.wasm_stack_bytes
        self.profile = profile
        self._engine = wasmtime.Engine(config)

    def compile(self, data: bytes) -> bytes:
        """Compile in this process and return the code. Raises `FormatError` if the component is not valid."""
        try:
            return bytes(model.Component(self._engine, data).serialize())
        except wasmtime.WasmtimeError as error:
            raise FormatError(f"is not a valid WebAssembly component: {_first_line(error)}") from None

    def load(self, path: str) -> LoadedComponent:
        """Map code that `compile` made; the caller vouches for the file. Raises `FormatError`."""
        try:
            return LoadedComponent(self._engine, model.Component.deserialize_file(self._engine, path))
        except wasmtime.WasmtimeError as error:
            raise FormatError(
                f"is not compiled code for this engine: {_first_line(error)}", file=path
            ) from None


class LoadedComponent:
    """A compiled component. `world` is what it exports; `uncallable` says why a function is not in it."""

    def __init__(self, engine: wasmtime.Engine, component: model.Component) -> None:
        self._engine = engine
        self._component = component
        reader = _TypeReader(engine, component)
        self.world = World("root", tuple(reader.functions), "root:component")
        self.uncallable: Mapping[str, str] = reader.uncallable

    @property
    def imports(self) -> list[str]:
        """The names of what the component imports."""
        return list(self._component.type.imports(self._engine))

    def instantiate(
        self,
        *,
        memory_bytes: int = CALL.memory_bytes,
        fuel: int | None = None,
        stdout: Output | None = None,
        stderr: Output | None = None,
        grants: Grants | None = None,
    ) -> ComponentInstance:
        """Make an instance. Raises `Refused` (imports that nobody provides), `GuestTrap`, `LimitExceeded`."""
        missing = [name for name in self.imports if not name.startswith("wasi:")]
        if missing:
            raise Refused(
                f"imports what nobody provides here: {', '.join(missing[:10])}; only WASI preview 2 is"
            )
        store = wasmtime.Store(self._engine)
        store.set_limits(memory_bytes, CALL.table_elements, _INSTANCES, _TABLES, _MEMORIES)
        if fuel is not None:
            store.set_fuel(fuel)
        wasi = wasmtime.WasiConfig()
        wasi.stdout_custom = _writer(stdout)
        wasi.stderr_custom = _writer(stderr)
        _grant(wasi, grants or NOTHING)
        store.set_wasi(wasi)
        linker = model.Linker(self._engine)
        linker.add_wasip2()
        try:
            return ComponentInstance(store, linker.instantiate(store, self._component), fuel, memory_bytes)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise _failure(error, fuel, memory_bytes) from None


def _grant(wasi: wasmtime.WasiConfig, grants: Grants) -> None:
    """Give a guest what is granted to it. Raises `Refused` for what components cannot be granted."""
    if grants.functions:
        raise Refused("host functions are for core modules; a component cannot be granted any")
    wasi.env = list(grants.environment)
    if isinstance(grants.stdin, bytes):
        raise Refused("bytes as standard input are for core modules; a component reads this process's own")
    if grants.stdin:
        wasi.inherit_stdin()
    for item in grants.directories:
        wasi.preopen_dir(item.host, item.guest, item.is_writable)


def _writer(output: Output | None) -> Callable[[bytes], int]:
    def write(data: bytes) -> int:
        if output is not None:
            output(data)
        return len(data)

    return write


class ComponentInstance:
    """One instance; after a failure it takes no further call."""

    def __init__(
        self, store: wasmtime.Store, instance: model.Instance, fuel: int | None, memory_bytes: int
    ) -> None:
        self._store = store
        self._instance = instance
        self._fuel = fuel
        self._memory_bytes = memory_bytes
        self._is_broken = False

    def call(self, function: Function, arguments: Sequence[Value]) -> Value | None:
        """Call a function of the component's world with values of its types; return the result or None.

        Raises `GuestTrap`, `LimitExceeded` (``fuel``, ``memory_bytes``), `LocalProtocolError`.
        """
        if self._is_broken:
            raise LocalProtocolError("this instance trapped before; make a new one")
        target = self._find(function)
        kinds = target.type(self._store)
        pairs = zip(kinds.params, function.params, arguments, strict=True)
        lowered = [_lower(value, _known(item.type), kind) for (_, kind), item, value in pairs]
        try:
            found = target(self._store, *lowered)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            self._is_broken = True
            raise _failure(error, self._fuel, self._memory_bytes) from None
        if function.result is None or kinds.result is None:
            return None
        return _lift(found, function.result, kinds.result)

    def _find(self, function: Function) -> model.Func:
        parent = None
        if function.interface:
            parent = self._instance.get_export_index(self._store, function.interface)
        index = self._instance.get_export_index(self._store, function.name, parent)
        found = None if index is None else self._instance.get_func(self._store, index)
        if found is None:
            raise UsageError(f"no exported function is named {function.name!r}")
        return found


# ---- types


class _TypeReader:
    """The exported functions of a component as WIT has them."""

    def __init__(self, engine: wasmtime.Engine, component: model.Component) -> None:
        self.functions: list[Function] = []
        self.uncallable: dict[str, str] = {}
        self._names: list[tuple[model.ValType, str]] = []
        self._used: set[str] = set()
        self._made_up = 0
        groups: list[tuple[str, dict[str, ComponentExtern]]] = []
        exports = component.type.exports(engine)
        groups.append(("", exports))
        for name, item in exports.items():
            kind = item.ty
            if isinstance(kind, model.ComponentInstanceType):
                groups.append((name, kind.exports(engine)))
        for _, items in groups:
            self._learn_names(items)
        for interface, items in groups:
            self._read_functions(interface, items)

    def _learn_names(self, items: Mapping[str, ComponentExtern]) -> None:
        for name, item in items.items():
            kind = item.ty
            if isinstance(kind, _NAMED) and name not in self._used:
                self._names.append((kind, name))
                self._used.add(name)

    def _read_functions(self, interface: str, items: Mapping[str, ComponentExtern]) -> None:
        for name, item in items.items():
            kind = item.ty
            if not isinstance(kind, model.FuncType):
                continue
            full = f"{interface}#{name}" if interface else name
            try:
                self.functions.append(self._function(interface, name, kind))
            except _Unwritable as error:
                self.uncallable[full] = str(error)
            if len(self.functions) + len(self.uncallable) > _FUNCTIONS_MOST:
                raise FormatError("the component exports too many functions", allowed=_FUNCTIONS_MOST)

    def _function(self, interface: str, name: str, kind: model.FuncType) -> Function:
        params = tuple(Field(label, self.type(item)) for label, item in kind.params)
        result = kind.result
        return Function(name, params, None if result is None else self.type(result), interface)

    def type(self, kind: model.ValType) -> WitType:
        """Return the WIT type. Raises `_Unwritable`."""
        if type(kind) in _PRIMITIVES:
            return Primitive(_PRIMITIVES[type(kind)])
        if isinstance(kind, model.ListType):
            return ListOf(self.type(kind.element))
        if isinstance(kind, model.OptionType):
            return Option(self.type(kind.payload))
        if isinstance(kind, model.ResultType):
            return Result(self._optional(kind.ok), self._optional(kind.err))
        if isinstance(kind, model.TupleType):
            return Tuple(tuple(self.type(item) for item in kind.elements))
        return self._named(kind)

    def _optional(self, kind: model.ValType | None) -> WitType | None:
        return None if kind is None else self.type(kind)

    def _named(self, kind: model.ValType) -> WitType:
        if isinstance(kind, model.RecordType):
            fields = tuple(Field(name, self.type(item)) for name, item in kind.fields)
            return Record(fields, self._name(kind))
        if isinstance(kind, model.VariantType):
            cases = tuple(Field(name, self._optional(item)) for name, item in kind.cases)
            return Variant(cases, self._name(kind))
        if isinstance(kind, model.EnumType):
            return Enumeration(tuple(kind.names), self._name(kind))
        if isinstance(kind, model.FlagsType):
            return Flags(tuple(kind.names), self._name(kind))
        what = type(kind).__name__.removesuffix("Type").lower()
        raise _Unwritable(f"a value of type {what} cannot be written as text")

    def _name(self, kind: model.ValType) -> str:
        """Return the name under which the type is exported, or one that is made up: types carry none."""
        for known, name in self._names:
            if type(known) is type(kind) and known == kind:
                return name
        self._made_up += 1
        name = f"type{self._made_up}"
        self._names.append((kind, name))
        return name


def _known(item: WitType | None) -> WitType:
    if item is None:
        raise LocalProtocolError("a parameter has no type")
    return item


# ---- values


def _lower(value: Value, item: WitType, kind: model.ValType) -> object:
    """Return the value in the form that the package takes for its type `kind`."""
    match item:
        case ListOf(element) if isinstance(kind, model.ListType) and isinstance(value, Sequence):
            if isinstance(value, bytes):
                return value
            inner = kind.element
            return [_lower(part, element, inner) for part in value]
        case Tuple(items) if isinstance(kind, model.TupleType) and isinstance(value, Sequence):
            parts = zip(value, items, kind.elements, strict=True)
            return tuple(_lower(part, inner, of) for part, inner, of in parts)
        case Record(fields) if isinstance(kind, model.RecordType) and isinstance(value, Mapping):
            record = model.Record()
            for field, (name, of) in zip(fields, kind.fields, strict=True):
                setattr(record, name, _lower(value[name], _known(field.type), of))
            return record
        case Flags() if isinstance(value, Sequence):
            return set(value)
    if isinstance(value, Case):
        return _lower_case(value, item, cast(VariantLikeType, kind))
    return value


def _lower_case(value: Case, item: WitType, kind: VariantLikeType) -> object:
    """Lower a case: tagged where the package tags, else the payload alone, by which it finds the case."""
    payload: object = None
    cases = dict(kind._cases())
    if value.payload is not None and (of := cases[value.name]) is not None:
        payload = _lower(value.payload, _payload_type(item, value.name), of)
    if kind._tagged():
        return model.Variant(value.name, payload)
    if isinstance(payload, bool) and any(isinstance(of, _INTEGERS) for of in cases.values()):
        raise Refused(f"the case {value.name} cannot be told from an integer by the engine's package")
    return payload


_INTEGERS = tuple(kind for kind, name in _PRIMITIVES.items() if name[0] in "su" and name != "string")


def _payload_type(item: WitType, case: str) -> WitType:
    from lawow.formats.wave import cases_of

    return _known(next(field.type for field in cases_of(item) if field.name == case))


def _lift(found: object, item: WitType, kind: model.ValType) -> Value:
    """Return what the package gave as a value of `lawow.formats.wave`."""
    match item:
        case ListOf(element) if isinstance(kind, model.ListType) and not isinstance(found, bytes):
            inner = kind.element
            return [_lift(part, element, inner) for part in cast("list[object]", found)]
        case Tuple(items) if isinstance(kind, model.TupleType):
            parts = zip(cast("tuple[object, ...]", found), items, kind.elements, strict=True)
            return tuple(_lift(part, inner, of) for part, inner, of in parts)
        case Record(fields) if isinstance(kind, model.RecordType):
            pairs = zip(fields, kind.fields, strict=True)
            return {name: _lift(getattr(found, name), _known(field.type), of) for field, (name, of) in pairs}
        case Flags(names):
            given = cast("set[str]", found)
            return tuple(name for name in names if name in given)
        case Variant() | Option() | Result():
            return _lift_case(found, item, cast(VariantLikeType, kind))
    return cast(Value, found)


def _lift_case(found: object, item: WitType, kind: VariantLikeType) -> Case:
    cases = kind._cases()
    if kind._tagged():
        tagged = cast(model.Variant, found)
        name, payload = tagged.tag, tagged.payload
    else:
        name, payload = _case_of(found, cases), found
    of = dict(cases)[name]
    return Case(name) if of is None else Case(name, _lift(payload, _payload_type(item, name), of))


def _case_of(found: object, cases: Sequence[tuple[str, model.ValType | None]]) -> str:
    """Return the case whose values have the class of `found`; the classes differ where there is no tag."""
    for name, kind in cases:
        classes: set[type] = set()
        if kind is not None:
            kind.add_classes(classes)
        if (kind is None and found is None) or type(found) in classes:
            return name
    raise LawowError(f"the engine's package gave a {type(found).__name__} for a variant")


# ---- failures


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _failure(
    error: wasmtime.WasmtimeError | wasmtime.Trap, fuel: int | None, memory_bytes: int
) -> LawowError:
    """Return the error that the package's exception stands for."""
    if isinstance(error, wasmtime.ExitTrap):
        return GuestTrap("exit", f"the guest ended itself with status {error.code}", status=error.code)
    if isinstance(error, wasmtime.Trap):
        return _trap_failure(error, fuel)
    text = str(error)
    if _TRAP in text:
        return _described_trap(text.rpartition(_TRAP)[2].strip().partition("\n")[0], fuel)
    if "memory minimum size" in text:
        return LimitExceeded(
            "memory_bytes", "more", memory_bytes, hint="the component declares more than that"
        )
    if "implementation" in text or "import" in text:
        return Refused(f"imports what nobody provides here: {_first_line(error)}")
    return GuestTrap("host-error", f"the component failed: {_first_line(error)}")


_TRAP = "wasm trap:"
_SENTENCES = {
    "all fuel consumed": "out-of-fuel",
    "call stack exhausted": "stack-overflow",
    "integer divide by zero": "integer-divide-by-zero",
    "integer overflow": "integer-overflow",
    "invalid conversion to integer": "bad-conversion-to-integer",
    "out of bounds memory access": "memory-out-of-bounds",
    "out of bounds table access": "table-out-of-bounds",
    "`unreachable` instruction executed": "unreachable",
}
"""Part of the engine's sentence -> trap code: the package passes a component's trap on as text."""


def _described_trap(sentence: str, fuel: int | None) -> LawowError:
    code = next((code for part, code in _SENTENCES.items() if part in sentence), "unknown")
    if code == "out-of-fuel":
        return LimitExceeded("fuel", f"more than {fuel}", fuel, hint="the guest was stopped")
    return GuestTrap(code, f"the guest trapped: {sentence}")


def _trap_failure(error: wasmtime.Trap, fuel: int | None) -> LawowError:
    frames = tuple(frame.func_name or f"function[{frame.func_index}]" for frame in error.frames)
    code = error.trap_code
    number = -1 if code is None else code.value
    name = TRAP_CODES[number] if 0 <= number < len(TRAP_CODES) else "unknown"
    if name == "out-of-fuel":
        return LimitExceeded("fuel", f"more than {fuel}", fuel, hint="the guest was stopped")
    lines = [line for line in error.message.splitlines() if "wasm trap:" in line]
    message = lines[0].rpartition("wasm trap:")[2].strip() if lines else _first_line(error)
    return GuestTrap(name, f"the guest trapped: {message}", frames=frames)
