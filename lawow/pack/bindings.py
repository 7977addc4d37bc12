"""Java source of the class that an app calls a module by: one static method for each exported function."""

from __future__ import annotations

from dataclasses import dataclass

from lawow.formats.bundle import BundledExport, BundledModule
from lawow.pack.naming import class_name, method_names, string_literal

__all__ = ["Binding", "Method", "binding_of", "java_source"]

RESERVED = frozenset(("_initialize", "_start", "__wasm_call_ctors", "cabi_realloc"))
"""Exports that belong to the runtime's side of the contract, not to callers."""

_PLACES = {"local": "in this process", "remote": "on the edge"}
_PRIMITIVES = {"i": "int", "I": "long", "f": "float", "F": "double"}
_DESCRIPTORS = {"i": "I", "I": "J", "f": "F", "F": "D"}
_BOXES = {"i": "Integer", "I": "Long", "f": "Float", "F": "Double"}
_MOST_PARAMETER_SLOTS = 255  # of a method in a class file; a long or a double takes two


@dataclass(frozen=True, slots=True)
class Method:
    """A static method and the export behind it."""

    name: str
    export: BundledExport

    @property
    def signature(self) -> str:
        """The signature by which the stub library calls the export."""
        return self.export.signature

    @property
    def parameters(self) -> str:
        """Letters of the parameters."""
        return self.export.signature.partition(">")[0]

    @property
    def results(self) -> str:
        """Letters of the results."""
        return self.export.signature.partition(">")[2]

    @property
    def return_type(self) -> str:
        """The Java type: void, a primitive, or ``Object[]`` for several results."""
        if not self.results:
            return "void"
        return _PRIMITIVES[self.results] if len(self.results) == 1 else "Object[]"

    @property
    def declaration(self) -> str:
        """The method's head without modifiers: ``int fib(int p0)``."""
        parameters = (f"{_PRIMITIVES[letter]} p{index}" for index, letter in enumerate(self.parameters))
        return f"{self.return_type} {self.name}({', '.join(parameters)})"

    @property
    def descriptor(self) -> str:
        """The method's types as class files and dex files write them: ``(I)I``."""
        results = [_DESCRIPTORS[letter] for letter in self.results]
        result = "V" if not results else results[0] if len(results) == 1 else "[Ljava/lang/Object;"
        return f"({''.join(_DESCRIPTORS[letter] for letter in self.parameters)}){result}"


@dataclass(frozen=True, slots=True)
class Binding:
    """A module, its class, and what of the exports has no method (names, with the reason)."""

    module: BundledModule
    class_name: str
    methods: tuple[Method, ...]
    left_out: tuple[str, ...]


def binding_of(module: BundledModule) -> Binding:
    """Return the binding of a module; it has no method if nothing in the module can be called."""
    candidates = [export for export in module.exports if not _is_reserved(export.name)]
    exports = [export for export in candidates if _slots(export.signature) <= _MOST_PARAMETER_SLOTS]
    left_out = tuple(
        f"{export.name} (too many parameters for Java)" for export in candidates if export not in exports
    )
    names = method_names(export.name for export in exports)
    methods = tuple(Method(names[export.name], export) for export in exports)
    return Binding(module, class_name(module.file), methods, left_out)


def _is_reserved(name: str) -> bool:
    return name in RESERVED or name.startswith("cabi_post_")


def _slots(signature: str) -> int:
    parameters = signature.partition(">")[0]
    return len(parameters) + sum(letter in "IF" for letter in parameters)


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
    export, signature = string_literal(method.export.name), string_literal(method.export.signature)
    values = ", ".join(f"p{index}" for index in range(len(method.parameters)))
    call = f"Lawow.{seam}(MODULE, {export}, {signature}, new Object[] {{{values}}})"
    return f"""
    /** {{@code {method.export.wit}}}. */
    @Offload(export = {export}, signature = {signature})
    public static {method.declaration} {{
        {_statement(method, call)};
    }}
"""


def _statement(method: Method, call: str) -> str:
    if not method.results:
        return call
    return f"return ({_BOXES[method.results] if len(method.results) == 1 else 'Object[]'}) {call}"
