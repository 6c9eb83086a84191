# SPDX-License-Identifier: Apache-2.0
"""The conditions of a LoopBack filter, read from JSON into a typed tree; pure.

A condition on an unknown operator, or an operator where a field is expected, never holds and is no error; a known
operator with an operand of a wrong form is one.
Source: legacy-api.md section 8; LoopBack 3, "Where filter".
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from chandelier import dates, errors
from chandelier.experience import patterns
from chandelier.experience.patterns import Budget, Pattern

#: Any JSON value.
Json = Any

_SLASHED: Final = re.compile(r"/(.+)/([a-z]*)", re.DOTALL)
_FORMS: Final = {dict: "an object", list: "a list", str: "a text", bool: "true or false", float: "a number or text"}

#: What equal values have in common: the name of their kind, and a value that can be hashed.
Key = tuple[str, Json]


class Operand(msgspec.Struct, frozen=True):
    """A value to compare with, and its instant (ms since the epoch) if it is a date."""

    value: Json
    instant: int | None


class Among(msgspec.Struct, frozen=True):
    """Equal to one of the values (`negated`: to none)."""

    values: tuple[Json, ...]
    keys: frozenset[Key]
    negated: bool = False


class Range(msgspec.Struct, frozen=True):
    """Between two values, of which one may be open; they belong to the range unless it is `strict`."""

    low: Operand | None = None
    high: Operand | None = None
    strict: bool = False


class Fits(msgspec.Struct, frozen=True):
    """A text that one of the patterns matches (`negated`: none)."""

    patterns: tuple[Pattern, ...]
    negated: bool = False


class Exists(msgspec.Struct, frozen=True):
    """There, and not null (`negated`: missing or null)."""

    negated: bool = False


Test = Among | Range | Fits | Exists


class Leaf(msgspec.Struct, frozen=True):
    """A test of what is at a path; judging it is charged to the budget."""

    path: str
    test: Test
    budget: Budget


class All(msgspec.Struct, frozen=True):
    """Holds if all parts do."""

    parts: "tuple[Condition, ...]" = ()


class AnyOf(msgspec.Struct, frozen=True):
    """Holds if one of the parts does."""

    parts: "tuple[Condition, ...]" = ()


Condition = Leaf | All | AnyOf

NEVER: Final = AnyOf()


def instant(value: Json) -> int | None:
    """Read a text that is an ISO date as milliseconds since the epoch; None if the value is none."""
    return dates.instant(value) if isinstance(value, str) else None


def key(value: Json) -> Key:
    """Return what equal values have in common: dates their instant, whole and other numbers their value."""
    if isinstance(value, list):
        return "list", tuple(key(part) for part in value)
    if isinstance(value, Mapping):
        return "object", None  # Not looked into: an object as an operand is a list of operators.
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, int | float):
        return "number", value
    when = instant(value)
    return ("text", value) if when is None else ("instant", when)


def refuse(place: str, problem: str) -> NoReturn:
    """Refuse the filter.

    Raises:
        errors.Invalid: Always (code 1002).
    """
    raise errors.Invalid(f"{place[:200]} {problem}.", 1002)


def require(value: Json, *forms: type, place: str) -> None:
    """Refuse a value that is of none of the forms, of which the message names the last.

    Raises:
        errors.Invalid: It is of none (code 1002).
    """
    if not isinstance(value, forms):
        refuse(place, f"must be {_FORMS[forms[-1]]}, not {shown(value)}")


def shown(value: Json) -> str:
    """Return the beginning of a value's JSON, for a message."""
    return json.dumps(value)[:40]


def read(raw: Json, place: str, budget: Budget) -> Condition:
    """Read an object of conditions, all of which must hold.

    Args:
        raw: The object; the caller has bounded its depth.
        place: Where it stands in the filter, for messages.
        budget: What judging the conditions may use up.

    Raises:
        errors.Invalid: It is no object, or an operand has a wrong form (code 1002).
    """
    require(raw, dict, place=place)
    parts = tuple(_read_entry(name, value, f"{place}.{name}", budget) for name, value in raw.items())
    return parts[0] if len(parts) == 1 else All(parts)


def _read_entry(name: str, value: Json, place: str, budget: Budget) -> Condition:
    if name in {"and", "or"}:
        require(value, list, place=place)
        parts = tuple(read(part, f"{place}[{index}]", budget) for index, part in enumerate(value))
        return All(parts) if name == "and" else AnyOf(parts)
    if name in _OPERATORS:
        # qiskit-ibmq-provider leaves `{"neq": "<date>"}` behind when it merges a date with the user's filter.
        return NEVER
    if not isinstance(value, dict):
        return Leaf(name, _read_among([value], place, negated=False), budget)
    flags = value.get("options")
    operands = {operator: operand for operator, operand in value.items() if operator != "options"}
    if not operands or not operands.keys() <= _OPERATORS.keys():
        return NEVER
    hints = _Hints(budget, flags if isinstance(flags, str) else "")
    return All(
        tuple(
            Leaf(name, _OPERATORS[operator](operand, f"{place}.{operator}", hints), budget)
            for operator, operand in operands.items()
        )
    )


class _Hints(msgspec.Struct, frozen=True):
    """What reading an operand may need besides: the budget of patterns, and the flags beside them."""

    budget: Budget
    flags: str


def _read_among(values: Json, place: str, *, negated: bool) -> Test:
    require(values, list, place=place)
    keys = frozenset(key(value) for value in values if not isinstance(value, dict))
    return Among(tuple(values), keys, negated)


def _read_operand(value: Json, place: str) -> Operand:
    if value is not None:
        require(value, str, int, float, place=place)
    return Operand(value, instant(value))


def _read_between(values: Json, place: str, _: _Hints) -> Test:
    require(values, list, place=place)
    if len(values) != 2:
        refuse(place, f"must have 2 values, not {len(values)}")
    return Range(_read_operand(values[0], place), _read_operand(values[1], place))


def _read_regexp(value: Json, place: str, hints: _Hints) -> Test:
    require(value, str, place=place)
    slashed = _SLASHED.fullmatch(value)
    text, flags = slashed.groups() if slashed else (value, "")
    return _fits([patterns.compile_pattern(text, flags + hints.flags, hints.budget)], negated=False)


def _read_like(flags: str, *, negated: bool) -> Callable[[Json, str, _Hints], Test]:
    """Return the reader of an operator whose pattern counts in both meanings in use.

    SQL's: the whole text, with `%` and `_`. The memory connector's: a regular expression.
    """

    def reader(value: Json, place: str, hints: _Hints) -> Test:
        require(value, str, place=place)
        ways = (patterns.compile_like, patterns.compile_pattern)
        return _fits([way(value, flags + hints.flags, hints.budget) for way in ways], negated=negated)

    return reader


def _fits(compiled: Iterable[Pattern | None], *, negated: bool) -> Fits:
    return Fits(tuple(pattern for pattern in compiled if pattern), negated)


def _read_exists(value: Json, place: str, _: _Hints) -> Test:
    require(value, bool, place=place)
    return Exists(negated=not value)


_OPERATORS: Final[Mapping[str, Callable[[Json, str, _Hints], Test]]] = {
    "between": _read_between,
    "eq": lambda value, place, _: _read_among([value], place, negated=False),
    "exists": _read_exists,
    "gt": lambda value, place, _: Range(low=_read_operand(value, place), strict=True),
    "gte": lambda value, place, _: Range(low=_read_operand(value, place)),
    "ilike": _read_like("i", negated=False),
    "inq": lambda value, place, _: _read_among(value, place, negated=False),
    "like": _read_like("", negated=False),
    "lt": lambda value, place, _: Range(high=_read_operand(value, place), strict=True),
    "lte": lambda value, place, _: Range(high=_read_operand(value, place)),
    "neq": lambda value, place, _: _read_among([value], place, negated=True),
    "nilike": _read_like("i", negated=True),
    "nin": lambda value, place, _: _read_among(value, place, negated=True),
    "nlike": _read_like("", negated=True),
    "regexp": _read_regexp,
}
