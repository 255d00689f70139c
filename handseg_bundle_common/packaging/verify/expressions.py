"""Expressions of a configuration, read and never evaluated.

What MONAI evaluates is not the text that stands in the file: each reference `@id` in it, even one within quotes, is
replaced first. So the same is done here before the text is parsed.
"""

from __future__ import annotations

import ast
import re

from handseg_bundle_common.packaging.verify.allowed import ATTRIBUTES, FOLDERS, FUNCTIONS, IMPORTS, METHODS, VALUES
from handseg_bundle_common.packaging.verify.places import dots_only

MAX_LENGTH = 400
"""Characters; the longest expression of the bundles has 80."""

_REFERENCES = "_references"  # stands for MONAI's own name of them
_REFERENCE = re.compile(r"@(?:\w*)(?:::\w*)*")  # as MONAI finds them
_NAMED = re.compile(r"@\w+(?:::\w+)*")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot)


class _RefusedError(Exception):
    """Something that is not on the list."""


def expression_problem(text: str) -> str | None:
    """Return why an expression is refused, as a part of a sentence; None if all of it is on the list.

    Args:
        text: what stands behind the `$`.
    """
    if len(text) > MAX_LENGTH:
        return f"is an expression of {len(text)} characters, more than {MAX_LENGTH}"
    try:
        return _problem(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"is an expression that cannot be read ({error})"


def _problem(text: str) -> str | None:
    if "__" in text or _REFERENCES in text:
        return "names something with two underscores, by which Python's inside is reached"
    statements = ast.parse(_with_references(text)).body
    if len(statements) != 1:
        return "is not one expression"
    (statement,) = statements
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        found = ast.unparse(statement)
        return None if found in IMPORTS else f"has {found!r}, which is not on the list of imports"
    if not isinstance(statement, ast.Expr):
        return f"holds a statement ({type(statement).__name__}) in place of an expression"
    try:
        _check(statement.value)
    except _RefusedError as error:
        return str(error)
    return None


def _with_references(text: str) -> str:
    """Replace references as MONAI does: everywhere in the text, the longest first."""
    text = text.replace("#", "::")
    found = sorted(set(_REFERENCE.findall(text)), key=len, reverse=True)
    for reference in found:
        if not _NAMED.fullmatch(reference):
            raise ValueError(f"{reference!r} is no reference")
        text = text.replace(reference, f"{_REFERENCES}['{reference[1:]}']")
    return text


def _check(node: ast.expr, *, in_folder: bool = False) -> None:
    """Refuse a node or anything in it that is not on the list.

    Args:
        node: part of an expression.
        in_folder: whether it is joined to the path of a folder that the bundle may write to.
    """
    match node:
        case ast.Constant():
            _check_constant(node.value, in_folder)
        case ast.Subscript(value=ast.Name(id=name)) if name == _REFERENCES:
            pass
        case ast.List() | ast.Tuple() | ast.BoolOp():
            _check_all(node.values if isinstance(node, ast.BoolOp) else node.elts)
        case ast.IfExp():
            _check_all([node.test, node.body, node.orelse])
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            _check(node.operand)
        case ast.BinOp(op=operator) if isinstance(operator, _OPERATORS):
            _check(node.left, in_folder=in_folder)
            _check(node.right, in_folder=isinstance(operator, ast.Add) and _is_folder(_leftmost(node)))
        case ast.Compare() if all(isinstance(operator, _COMPARISONS) for operator in node.ops):
            _check_all([node.left, *node.comparators])
        case ast.Lambda():
            _check_lambda(node)
        case ast.Call():
            _check_call(node)
        case ast.Name() | ast.Attribute():
            _check_name(node)
        case _:
            raise _RefusedError(f"uses {type(node).__name__}, which is not on the list of what an expression may do")


def _check_all(nodes: list[ast.expr]) -> None:
    for node in nodes:
        _check(node)


def _check_constant(value: object, in_folder: bool) -> None:
    """Refuse text that could become an expression, a format or a path out of the bundle."""
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise _RefusedError(f"has a constant of type {type(value).__name__}")
    if isinstance(value, str):
        # The result could stand where MONAI looks for these signs a second time.
        if set(value) & set("$%@\\{}"):
            raise _RefusedError(f"has the text {value!r} with one of $ % @ \\ {{ }}")
        if dots_only(value) or value.startswith("~") or "://" in value or (value.startswith("/") and not in_folder):
            raise _RefusedError(f"makes a path out of {value!r} that may leave the bundle")


def _check_lambda(node: ast.Lambda) -> None:
    """Allow `lambda x: x['key']` alone."""
    names = ast.unparse(node.args)
    match node.body:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())) if name == names:
            return
    raise _RefusedError("has a lambda that does more than to take one value by its name")


def _check_call(node: ast.Call) -> None:
    """Allow functions by their full name and methods of values."""
    name = _dotted(node.func)
    if name is None and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        if node.func.attr == "join" and not isinstance(node.func.value, ast.Constant):
            raise _RefusedError("joins by something other than a fixed text")
        _check(node.func.value)
    elif name not in FUNCTIONS:
        raise _RefusedError(f"calls {ast.unparse(node.func)!r}, which is not on the list of functions")
    if any(keyword.arg is None for keyword in node.keywords):
        raise _RefusedError("unpacks a dictionary into arguments")
    _check_all([*node.args, *(keyword.value for keyword in node.keywords)])


def _check_name(node: ast.Name | ast.Attribute) -> None:
    """Allow fixed values by their full name and attributes of values."""
    name = _dotted(node)
    if name is None and isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
        _check(node.value)
    elif name not in VALUES:
        raise _RefusedError(f"names {ast.unparse(node)!r}, which is not on the list")


def _dotted(node: ast.expr) -> str | None:
    """Return `a.b.c` of a chain that begins with a name; None for a chain on another value."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _leftmost(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.BinOp):
        node = node.left
    return node


def _is_folder(node: ast.expr) -> bool:
    """Return whether a node is a reference to a folder of the bundle."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(identifier))) if name == _REFERENCES:
            return identifier in FOLDERS
    return False


def begins_in_a_folder(text: str) -> bool:
    """Return whether an expression that has passed is a path below a folder of the bundle."""
    body = ast.parse(_with_references(text)).body
    return isinstance(body[0], ast.Expr) and _is_folder(_leftmost(body[0].value))
