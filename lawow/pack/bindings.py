"""Java source of the class that an app calls a module by: one static method for each exported function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lawow.formats.bundle import BundledExport, BundledModule
from lawow.formats.wit import print_function
from lawow.pack.java_types import JavaType, TypedExport, java_type, typed_exports
from lawow.pack.naming import class_name, method_names, parameter_names, string_literal

__all__ = ["Binding", "Method", "binding_of", "java_source"]

RESERVED = frozenset(("_initialize", "_start", "__wasm_call_ctors", "cabi_realloc"))
"""Exports that belong to the runtime's side of the contract, not to callers."""

_PLACES = {"local": "in this process", "remote": "on the edge"}
_MOST_PARAMETER_SLOTS = 255  # of a method in a class file; a long or a double takes two


@dataclass(frozen=True, slots=True)
class Method:
    """A static method and the export behind it."""

    name: str
    typed: TypedExport

    @property
    def export(self) -> BundledExport:
        """The export with its core type."""
        return self.typed.export

    @property
    def signature(self) -> str:
        """The signature by which the stub library calls the export (`lawow.formats.signature`)."""
        return self.typed.signature

    @property
    def parameters(self) -> tuple[tuple[JavaType, str], ...]:
        """Types and names of the parameters."""
        params = self.typed.function.params
        names = parameter_names([item.name for item in params])
        return tuple((java_type(item.type), name) for item, name in zip(params, names, strict=True))

    @property
    def result(self) -> JavaType:
        """The type of the result; void for none, ``Object[]`` for several."""
        return java_type(self.typed.function.result)

    @property
    def declaration(self) -> str:
        """The method's head without modifiers: ``int fib(int n)``."""
        parameters = (f"{kind.name} {name}" for kind, name in self.parameters)
        return f"{self.result.name} {self.name}({', '.join(parameters)})"

    @property
    def descriptor(self) -> str:
        """The method's types as class files and dex files write them: ``(I)I``."""
        return f"({''.join(kind.descriptor for kind, _ in self.parameters)}){self.result.descriptor}"


@dataclass(frozen=True, slots=True)
class Binding:
    """A module, its class, and what of the exports has no method (names, with the reason).

    `native` are libraries of the same functions by ABI, for an app that runs native code.
    """

    module: BundledModule
    class_name: str
    methods: tuple[Method, ...]
    left_out: tuple[str, ...]
    native: Mapping[str, bytes] = field(default_factory=dict)


def binding_of(module: BundledModule) -> Binding:
    """Return the binding of a module; it has no method if nothing in the module can be called.

    Raises `FormatError` if the interface that the module carries is none, or not that of its exports.
    """
    exports = (export for export in module.exports if not _is_reserved(export.name))
    refusals = [(item, _refusal(item)) for item in typed_exports(module, exports)]
    kept = [item for item, refusal in refusals if not refusal]
    names = method_names(item.export.name for item in kept)
    methods = tuple(Method(names[item.export.name], item) for item in kept)
    left_out = tuple(f"{item.export.name} ({refusal})" for item, refusal in refusals if refusal)
    return Binding(module, class_name(module.file), methods, left_out)


def _is_reserved(name: str) -> bool:
    return name in RESERVED or name.startswith("cabi_post_")


def _refusal(item: TypedExport) -> str:
    """Return why Java has no method for an export; empty if it can have one."""
    if item.refusal:
        return item.refusal
    slots = sum(java_type(param.type).slots for param in item.function.params)
    return "too many parameters for Java" if slots > _MOST_PARAMETER_SLOTS else ""


def java_source(binding: Binding, package: str, seam: str = "local") -> str:
    """Return the source of the class, in ASCII; the same input gives the same text.

    `seam` is the function of ``dev.lawow.Lawow`` that runs an export: ``local`` or ``remote``.
    """
    module = binding.module
    head = f"""\
// Made by lawow pack from {module.file}; running it again replaces this file.
package {package};

import dev.lawow.Lawow;
import dev.lawow.Offload;

/**
 * The functions of {{@code {module.file}}}. Each runs {_PLACES[seam]} and may be called from any thread;
 * what it throws stands in {{@link dev.lawow.Target#call}}.
 */
@Offload(module = {binding.class_name}.MODULE)
public final class {binding.class_name} {{
    /** File name and SHA-256 of the module. */
    public static final String MODULE = {string_literal(f"{module.file}@{module.sha256}")};

    private {binding.class_name}() {{}}
"""
    return head + "".join(_method_source(method, seam) for method in binding.methods) + "}\n"


def _method_source(method: Method, seam: str) -> str:
    export, signature = string_literal(method.export.name), string_literal(method.signature)
    values = ", ".join(kind.give.format(name) for kind, name in method.parameters)
    call = f"Lawow.{seam}(MODULE, {export}, {signature}, new Object[] {{{values}}})"
    statement = call if method.result.name == "void" else f"return {method.result.take.format(call)}"
    return f"""
    /** {{@code {print_function(method.typed.function)}}}. */
    @Offload(export = {export}, signature = {signature})
    public static {method.declaration} {{
        {statement};
    }}
"""
