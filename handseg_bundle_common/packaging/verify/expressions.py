"""Expressions of a configuration, read and never evaluated.

What MONAI evaluates is not the text that stands in the file: each reference `@id` in it, even one within quotes, is
replaced first. So the same is done here before the text is parsed.
"""

from __future__ import annotations

import ast
import re

from handseg_bundle_common.packaging.verify.allowed import ATTRIBUTES, FOLDERS, FUNCTIONS, IMPORTS, METHODS, VALUES
from handseg_bundle_common.packaging.verify.places import place_problem

MAX_LENGTH = 400
"""Characters; the longest expression of the bundles has 80."""

_REFERENCES = "_references"  # stands for MONAI's own name of them
_REFERENCE = re.compile(r"@(?:\w*)(?:::\w*)*")  # as MONAI finds them
_NAMED = re.compile(r"@\w+(?:::\w+)*")
_OPERATORS = (ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)
_NUMBERS = {"abs", "float", "int", "len", "round"}
_SEPARATORS = set("+-_, ")
_UNTOLD = {"_meta_", "members"}
"""Ids below which paths may stand that are not held to the bundle's folder."""
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
    if not text.isascii():
        return "is an expression with characters beyond ASCII, of which Python takes several for one letter"
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
        if leads_to_other_places(reference[1:]):
            raise ValueError(f"{reference!r} may be a path outside the bundle")
        text = text.replace(reference, f"{_REFERENCES}['{reference[1:]}']")
    return text


def leads_to_other_places(identifier: str) -> bool:
    """Return whether an id names metadata or members, in which paths are not held to the bundle's folder."""
    return re.split("#|::", identifier)[0] in _UNTOLD


def _check(node: ast.expr, *, in_folder: bool = False) -> None:
    """Refuse a node or anything in it that is not on the list.

    Args:
        node: part of an expression.
        in_folder: whether it is joined to the path of a folder that the bundle may write to.
    """
    match node:
        case ast.Constant():
            _check_constant(node.value, in_folder)
        case ast.Subscript():
            _check_reference(node)
        case ast.List() | ast.Tuple() | ast.BoolOp():
            _check_all(node.values if isinstance(node, ast.BoolOp) else node.elts)
        case ast.IfExp():
            _check_all([node.test, node.body, node.orelse])
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            _check(node.operand)
        case ast.BinOp(op=ast.Add()):
            _check_sum(node, in_folder)
        case ast.BinOp(op=operator) if isinstance(operator, _OPERATORS):
            _check_numbers(node)
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


def _check_reference(node: ast.Subscript) -> None:
    """Allow what stands for a reference, but no other name for a folder: `_check_sum` looks at what is added to it."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(identifier))) if name == _REFERENCES:
            if identifier.split("::")[-1] in FOLDERS:
                raise _RefusedError("takes a folder of the bundle otherwise than to add to it what lies below")
            return
    raise _RefusedError("takes one of several values")


def _check_numbers(node: ast.BinOp) -> None:
    """Allow to calculate with numbers; a product of text or a list could fill the memory."""
    for side in (node.left, node.right):
        if not _may_be_number(side):
            raise _RefusedError(f"calculates with {ast.unparse(side)!r}, which is no number")
        _check(side)


def _check_sum(node: ast.BinOp, in_folder: bool) -> None:
    """Allow numbers, lists and references to be added, and text to a folder of the bundle, below which it then is."""
    below = in_folder or _is_folder(_leftmost(node))
    if not below and any(_is_text(side) for side in (node.left, node.right)):
        raise _RefusedError("adds text to something other than a folder of the bundle")
    if not _is_folder(node.left):
        _check(node.left, in_folder=in_folder)
    elif not _is_text(node.right, "/"):
        raise _RefusedError("adds something to a folder that does not begin with /, and so leaves it")
    _check(node.right, in_folder=below)


def _is_text(node: ast.expr, start: str = "") -> bool:
    """Return whether a node is text, one that begins with `start` if that is given."""
    match node:
        case ast.Constant(value=str(value)):
            return value.startswith(start)
        case ast.Call():
            return not start and not _may_be_number(node)
        case ast.IfExp():
            return not start and (_is_text(node.body) or _is_text(node.orelse))
        case ast.BoolOp():
            return not start and any(map(_is_text, node.values))
    return False


def _may_be_number(node: ast.expr) -> bool:
    """Return whether a node is a number or a reference, so that a product of it is no endless text or list."""
    match node:
        case ast.Constant(value=bool() | int() | float()) | ast.Subscript():
            return True
        case ast.UnaryOp(operand=operand):
            return _may_be_number(operand)
        case ast.BinOp(left=left, right=right):
            return _may_be_number(left) and _may_be_number(right)
        case ast.IfExp(body=body, orelse=orelse):
            return _may_be_number(body) and _may_be_number(orelse)
        case ast.Call(func=ast.Name(id=name)):
            return name in _NUMBERS
    return False


def _check_constant(value: object, in_folder: bool) -> None:
    """Refuse text that could become an expression, a format or a path out of the bundle."""
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise _RefusedError(f"has a constant of type {type(value).__name__}")
    if isinstance(value, str):
        # The result could stand where MONAI looks for these signs a second time.
        if set(value) & set("$%@\\{}"):
            raise _RefusedError(f"has the text {value!r} with one of $ % @ \\ {{ }}")
        if place_problem(value.lstrip("/") if in_folder else value) is not None:
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
        if node.func.attr == "join" and not _is_separator(node.func.value):
            raise _RefusedError(f"joins by something other than a fixed text of {''.join(sorted(_SEPARATORS))!r}")
        _check(node.func.value)
    elif name not in FUNCTIONS:
        raise _RefusedError(f"calls {ast.unparse(node.func)!r}, which is not on the list of functions")
    if any(keyword.arg is None for keyword in node.keywords):
        raise _RefusedError("unpacks a dictionary into arguments")
    _check_all([*node.args, *(keyword.value for keyword in node.keywords)])


def _is_separator(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return bool(text) and set(text) <= _SEPARATORS
    return False


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
