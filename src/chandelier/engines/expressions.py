# SPDX-License-Identifier: Apache-2.0
"""Values of classical expressions while a circuit runs: bits, unsigned integers that wrap around, and floats.

Source: the documentation of `qiskit.circuit.classical`; Cross et al., ACM Trans. Quantum Comput. 3, 12 (OpenQASM 3).
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr, types

from chandelier import errors

#: Widest integer, bits; and how deep expressions may be nested.
MAX_WIDTH: Final = 10_000
MAX_DEPTH: Final = 200

#: A value: bool, int or float.
Value = Any
#: Gives the value of what an expression names: a bit, a register or a variable.
Look = Callable[[Any], Value]

_OPERATIONS: Final[Mapping[expr.Binary.Op, Callable[[Value, Value], Value]]] = {
    expr.Binary.Op.BIT_AND: operator.and_,
    expr.Binary.Op.BIT_OR: operator.or_,
    expr.Binary.Op.BIT_XOR: operator.xor,
    expr.Binary.Op.LOGIC_AND: lambda one, other: bool(one and other),
    expr.Binary.Op.LOGIC_OR: lambda one, other: bool(one or other),
    expr.Binary.Op.EQUAL: operator.eq,
    expr.Binary.Op.NOT_EQUAL: operator.ne,
    expr.Binary.Op.LESS: operator.lt,
    expr.Binary.Op.LESS_EQUAL: operator.le,
    expr.Binary.Op.GREATER: operator.gt,
    expr.Binary.Op.GREATER_EQUAL: operator.ge,
    expr.Binary.Op.SHIFT_LEFT: lambda one, other: one << min(other, MAX_WIDTH),
    expr.Binary.Op.SHIFT_RIGHT: lambda one, other: one >> min(other, MAX_WIDTH),
    expr.Binary.Op.ADD: operator.add,
    expr.Binary.Op.SUB: operator.sub,
    expr.Binary.Op.MUL: operator.mul,
    expr.Binary.Op.DIV: lambda one, other: one // other if isinstance(one, int) else one / other,
}


def evaluate(node: expr.Expr, look: Look) -> Value:
    """Find the value of an expression that was checked.

    Raises:
        errors.ProgramRefused: Code 8021: it divides by 0.
    """
    if isinstance(node, expr.Var):
        return look(node.var if isinstance(node.var, Clbit) or not node.standalone else node)
    if isinstance(node, expr.Value):
        return node.value
    if isinstance(node, expr.Cast):
        return _fitted(evaluate(node.operand, look), node.type)
    if isinstance(node, expr.Unary):
        value = evaluate(node.operand, look)
        if node.op is expr.Unary.Op.LOGIC_NOT or isinstance(node.type, types.Bool):
            return not value
        return _fitted(~value if node.op is expr.Unary.Op.BIT_NOT else -value, node.type)
    if isinstance(node, expr.Index):
        return bool(evaluate(node.target, look) >> evaluate(node.index, look) & 1)
    try:
        return _fitted(_OPERATIONS[node.op](evaluate(node.left, look), evaluate(node.right, look)), node.type)
    except (ZeroDivisionError, OverflowError) as error:
        raise errors.ProgramRefused("An expression divides by 0.", 8021) from error


def _fitted(value: Value, kind: types.Type) -> Value:
    """A value as one of a type: integers wrap around."""
    if isinstance(kind, types.Bool):
        return bool(value)
    if isinstance(kind, types.Uint):
        return int(value) & ((1 << kind.width) - 1)
    return float(value)


def check(node: expr.Expr, depth: int = 0) -> None:
    """Check that an expression can be evaluated.

    Raises:
        errors.ProgramRefused: Code 8010: it is about durations, or too large.
    """
    if depth > MAX_DEPTH:
        raise errors.ProgramRefused("An expression is nested too deeply.", 8010)
    if not isinstance(node.type, types.Bool | types.Uint | types.Float):
        raise errors.ProgramRefused("Expressions of durations are only for delays.", 8010)
    if isinstance(node.type, types.Uint) and node.type.width > MAX_WIDTH:
        raise errors.ProgramRefused(f"An integer has {node.type.width} bits; up to {MAX_WIDTH} are possible.", 8010)
    if isinstance(node, expr.Stretch):
        raise errors.ProgramRefused("An expression depends on a stretch, which has no value here.", 8010)
    for name in ("operand", "left", "right", "target", "index"):
        inner = getattr(node, name, None)
        if isinstance(inner, expr.Expr):
            check(inner, depth + 1)
