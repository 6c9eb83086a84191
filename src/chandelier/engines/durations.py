# SPDX-License-Identifier: Apache-2.0
"""How long a delay of a circuit is: a number with a unit, or an expression of such numbers."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from qiskit.circuit import Delay, Duration
from qiskit.circuit.classical import expr

from chandelier import errors

#: Units of a duration in an expression, s; `dt` stays apart, for it is the device's.
_SECONDS: Final[Mapping[str, float]] = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

#: A length: samples of the device, and seconds beside them.
_Length = tuple[float, float]


def read(delay: Delay) -> tuple[Any, str]:
    """Give a delay's length and its unit.

    Returns:
        A number or a parameter expression, and one of dt, ps, ns, us, ms, s.

    Raises:
        errors.ProgramRefused: Code 8010: it depends on a stretch or a variable, or mixes samples with seconds.
    """
    if delay.unit != "expr":
        return delay.duration, delay.unit
    found = _value(delay.duration)
    if not isinstance(found, tuple):
        raise _refused("it is a number without a unit")
    samples, seconds = found
    if samples and seconds:
        raise _refused("it adds samples of the device to seconds")
    return (samples, "dt") if samples else (seconds, "s")


def _value(node: Any) -> Any:
    """A length, or a number."""
    if isinstance(node, expr.Value):
        value = node.value
        if not isinstance(value, Duration):
            return value
        unit, amount = value.unit(), float(value.value())
        return (amount, 0.0) if unit == "dt" else (0.0, amount * _SECONDS[unit])
    if isinstance(node, expr.Cast):
        return _value(node.operand)
    if isinstance(node, expr.Unary) and node.op is expr.Unary.Op.NEGATE:
        return _scaled(_value(node.operand), -1.0)
    if isinstance(node, expr.Binary) and node.op in _OPERATIONS:
        return _OPERATIONS[node.op](_value(node.left), _value(node.right))
    raise _refused("it depends on a stretch or on a variable")


def _scaled(one: Any, factor: float) -> Any:
    return (one[0] * factor, one[1] * factor) if isinstance(one, tuple) else one * factor


def _sum(one: Any, other: Any) -> Any:
    return (one[0] + other[0], one[1] + other[1]) if isinstance(one, tuple) else one + other


def _product(one: Any, other: Any) -> Any:
    return _scaled(other, one) if isinstance(other, tuple) else _scaled(one, other)


def _quotient(one: Any, other: Any) -> Any:
    try:
        if not isinstance(other, tuple):
            return _scaled(one, 1 / other)
        samples = bool(other[0])
        if bool(one[1 - samples]) or bool(other[1 - samples]):
            raise _refused("it divides samples of the device by seconds")
        place = 0 if samples else 1
        return one[place] / other[place]
    except ZeroDivisionError as error:
        raise _refused("it divides by 0") from error


_OPERATIONS: Final[Mapping[expr.Binary.Op, Callable[[Any, Any], Any]]] = {
    expr.Binary.Op.ADD: _sum,
    expr.Binary.Op.SUB: lambda one, other: _sum(one, _scaled(other, -1.0)),
    expr.Binary.Op.MUL: _product,
    expr.Binary.Op.DIV: _quotient,
}


def _refused(why: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(f"The length of a delay cannot be known beforehand: {why}.", 8010)
