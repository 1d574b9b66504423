"""Formulas: text read back into the expression that prints as it."""

from __future__ import annotations

import ast
from typing import Any

from rewardscape.rewards.core.nodes import Node, _is_number, as_node
from rewardscape.rewards.core.operations import OPERATIONS


def parse(text: str) -> Node:
    """The expression that prints as ``text``: terms, numbers, ``+ - * /``, operations, ``.on(...)``, ``.named(...)``.

    Read by Python's grammar but never executed. Raises ValueError naming what it could not read.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the reward expression {text!r}: {error}") from None
    node = _parse(tree)
    if isinstance(node, (tuple, str)):
        raise ValueError(f"{text!r} is not a reward expression")
    return as_node(node)


def _parse(tree: ast.AST) -> Any:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float, str, bool, type(None))):
        return tree.value
    if isinstance(tree, ast.Name):
        return _definition(tree.id).as_node()
    if isinstance(tree, (ast.Tuple, ast.List)):
        return tuple(_parse(part) for part in tree.elts)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        value = _parse(tree.operand)
        return -value if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.BinOp):
        left, right = _parse(tree.left), _parse(tree.right)
        if isinstance(tree.op, ast.Add):
            return left + right
        if isinstance(tree.op, ast.Sub):
            return left - right
        if isinstance(tree.op, ast.Mult):
            return left * right
        if isinstance(tree.op, ast.Div) and _is_number(right) and right != 0:
            return left / right
    if isinstance(tree, ast.Call):
        arguments = [_parse(part) for part in tree.args]
        keywords = {k.arg: _parse(k.value) for k in tree.keywords if k.arg}
        if isinstance(tree.func, ast.Attribute) and tree.func.attr in ("on", "named"):
            owner = _parse(tree.func.value)
            if hasattr(owner, tree.func.attr):
                return getattr(owner, tree.func.attr)(*arguments, **keywords)
        if isinstance(tree.func, ast.Name):
            try:
                return (OPERATIONS.get(tree.func.id) or _definition(tree.func.id))(*arguments, **keywords)
            except TypeError as error:
                raise ValueError(f"cannot read {ast.unparse(tree)!r}: {error}") from None
    raise ValueError(f"cannot read {ast.unparse(tree)!r} in a reward expression")


def _definition(name: str) -> Any:
    from rewardscape.rewards.core.registry import load_terms
    from rewardscape.rewards.core.terms import TERMS, find_term

    if name not in TERMS:
        load_terms()
    return find_term(name)
