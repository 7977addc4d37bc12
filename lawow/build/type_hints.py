"""Functions of a Python source with type hints, as WIT functions. The source is read, never run.

Hints: ``int`` is ``s64``, ``float`` ``f64``, ``bool``, ``str``, ``bytes`` is ``list<u8>``; ``list[T]``,
``tuple[A, B]``, ``T | None`` and ``Optional[T]`` (not nested) of those; ``None`` as a result. Exported is
every function at the top level without a leading underscore, or what ``__all__`` lists. Refused, with the
line: a missing or another hint, default values, ``*args``, keyword-only parameters, coroutines.
"""

from __future__ import annotations

import ast

from lawow.errors import FormatError
from lawow.formats.interface import kebab_name
from lawow.formats.wit import Field, Function, ListOf, Option, Primitive, Tuple, WitType

__all__ = ["HintedFunction", "find_functions"]

_SIMPLE: dict[str, WitType] = {
    "int": Primitive("s64"),
    "float": Primitive("f64"),
    "bool": Primitive("bool"),
    "str": Primitive("string"),
    "bytes": ListOf(Primitive("u8")),
}


class HintedFunction:
    """A function: its name in Python and its interface."""

    __slots__ = ("function", "name", "parameters")

    def __init__(self, name: str, parameters: tuple[str, ...], function: Function) -> None:
        self.name = name
        self.parameters = parameters
        self.function = function


def find_functions(source: bytes, label: str) -> list[HintedFunction]:
    """Return the functions to export, in the order of the source. Raises `FormatError` if there are none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise FormatError(f"is no Python source{place}: {error.args[0]}", file=label) from None
    listed = _listed(tree)
    try:
        found = [_function(node) for node in tree.body if _is_wanted(node, listed)]
    except FormatError as error:
        raise error.within(label) from None
    if not found:
        raise FormatError("has no function to export; one at the top level with type hints is", file=label)
    names = [item.function.name for item in found]
    if len(set(names)) != len(names):
        raise FormatError("two functions have the same name in WIT", file=label, found=", ".join(names))
    return found


def _listed(tree: ast.Module) -> list[str] | None:
    """Return the names in ``__all__``, or None if the source has none that can be read."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            elements = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else []
            return [str(item.value) for item in elements if isinstance(item, ast.Constant)]
    return None


def _is_wanted(node: ast.stmt, listed: list[str] | None) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return node.name in listed if listed is not None else not node.name.startswith("_")


def _fail(node: ast.stmt | ast.expr | ast.arg, message: str, allowed: str | None = None) -> FormatError:
    return FormatError(f"line {node.lineno}: {message}", allowed=allowed)


def _function(node: ast.stmt) -> HintedFunction:
    if not isinstance(node, ast.FunctionDef):
        raise _fail(node, "a coroutine cannot be exported")
    spec = node.args
    if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.defaults:
        raise _fail(node, f"{node.name} may have plain parameters only, without default values")
    params = []
    for item in [*spec.posonlyargs, *spec.args]:
        if item.annotation is None:
            raise _fail(item, f"parameter {item.arg} of {node.name} has no type hint")
        params.append(Field(kebab_name(item.arg), _type(item.annotation)))
    if len({item.name for item in params}) != len(params):
        raise _fail(node, f"two parameters of {node.name} have the same name in WIT")
    if node.returns is None:
        raise _fail(node, f"{node.name} has no type hint for its result", "-> None if there is none")
    is_nothing = isinstance(node.returns, ast.Constant) and node.returns.value is None
    result = None if is_nothing else _type(node.returns)
    names = tuple(item.arg for item in [*spec.posonlyargs, *spec.args])
    return HintedFunction(node.name, names, Function(kebab_name(node.name), tuple(params), result))


def _type(node: ast.expr) -> WitType:
    """Return the type of a hint. Raises `FormatError`."""
    if isinstance(node, ast.Name) and node.id in _SIMPLE:
        return _SIMPLE[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        try:
            return _type(ast.parse(node.value, mode="eval").body)
        except SyntaxError:
            raise _refusal(node) from None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [side for side in (node.left, node.right) if not _is_none(side)]
        if len(sides) == 1:
            return _option(node, sides[0])
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name | ast.Attribute):
        return _subscript(node, node.value)
    raise _refusal(node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _subscript(node: ast.Subscript, base: ast.Name | ast.Attribute) -> WitType:
    name = base.id if isinstance(base, ast.Name) else base.attr
    if name in ("list", "List", "Sequence"):
        return ListOf(_type(node.slice))
    if name == "Optional":
        return _option(node, node.slice)
    if name in ("tuple", "Tuple") and isinstance(node.slice, ast.Tuple) and node.slice.elts:
        return Tuple(tuple(_type(item) for item in node.slice.elts))
    raise _refusal(node)


def _option(node: ast.expr, inner: ast.expr) -> WitType:
    payload = _type(inner)
    if isinstance(payload, Option):
        raise _fail(node, "an optional value of an optional value is not told apart in Python")
    return Option(payload)


def _refusal(node: ast.expr) -> FormatError:
    allowed = "int, float, bool, str, bytes, list[T], tuple[A, B], T | None"
    return _fail(node, f"the type hint {ast.unparse(node)[:80]!r} has no type in WIT", allowed)
