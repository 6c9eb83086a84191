# SPDX-License-Identifier: Apache-2.0
"""Bodies of requests that change a hub, read so that a wrong one is answered with its field and the rule."""

import functools
import re
from typing import Any, Final

import msgspec
from msgspec import inspect

from chandelier import errors
from chandelier.gateway import Call

_MOST_SHOWN: Final = 80
#: What every body may carry, and a misprint that is understood: nobody is told to send them.
_UNTOLD: Final = frozenset({"access_token", "remomve"})
_COMPLAINT: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_STEP: Final = re.compile(r"\[(?P<item>[^\]]*)\]|(?P<field>[^.\[\]]+)")


def read(call: Call, shape: type[Any]) -> Any:
    """Return the body of a request as a value of `shape`, a struct.

    Raises:
        errors.Invalid: It is not JSON, or has another shape; the message names the field and the rule.
    """
    try:
        return call.json(shape)
    except errors.Invalid as failure:
        if isinstance(failure.__cause__, msgspec.ValidationError):
            raise errors.Invalid(worded(str(failure.__cause__), shape), failure.code) from failure
        raise


def worded(complaint: str, shape: type[Any]) -> str:
    """Say in our words, and with the rule, what the decoder complains of.

    >>> class Grant(msgspec.Struct, forbid_unknown_fields=True):
    ...     name: str
    ...     limit: int | None = None
    >>> worded("Expected `int | null`, got `str` - at `$.limit`", Grant)
    '`limit` must be a whole number or null.'
    >>> worded("Object missing required field `name`", Grant)
    '`name` is missing; it must be a text.'
    >>> worded("Object contains unknown field `nickname`", Grant)
    '`nickname` is not known here; there are `name`, `limit`.'
    """
    parts = _COMPLAINT.fullmatch(complaint)
    assert parts is not None  # every part of the pattern may be empty
    what, path = parts["what"], parts["path"] or ""
    kind = _at(inspect.type_info(shape), path)
    if (unknown := _UNKNOWN.fullmatch(what)) is not None:
        return f"`{_under(path, unknown[1])}` is not known here; there are {', '.join(_names(kind))}."
    if (missing := _MISSING.fullmatch(what)) is not None:
        return f"`{_under(path, missing[1])}` is missing; it must be {_rule(_at(kind, missing[1]))}."
    return f"{f'`{path}`' if path else 'The body'} must be {_rule(kind)}."


def _under(path: str, name: str) -> str:
    return f"{path}{'.' if path else ''}{name[:_MOST_SHOWN]}"


def _at(kind: inspect.Type, path: str) -> inspect.Type:
    """Return what is at a path, like `add[0].role`, in a type."""
    for step in _STEP.finditer(path):
        for part in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
            if step["field"] is None and isinstance(part, inspect.ListType):
                kind = part.item_type
            elif step["field"] is not None and isinstance(part, inspect.StructType):
                named = (field.type for field in part.fields if field.encode_name == step["field"])
                kind = next(named, kind)
    return kind


def _names(kind: inspect.Type) -> list[str]:
    structs = [kind] if isinstance(kind, inspect.StructType) else []
    return [f"`{field.encode_name}`" for each in structs for field in each.fields if field.encode_name not in _UNTOLD]


@functools.singledispatch
def _rule(kind: inspect.Type) -> str:
    """Say what a value of a type must be."""
    return {inspect.StrType: "a text", inspect.BoolType: "true or false", inspect.NoneType: "null"}.get(
        type(kind), "as documented"
    )


@_rule.register
def _(kind: inspect.UnionType) -> str:
    return " or ".join(_rule(part) for part in kind.types)


@_rule.register
def _(kind: inspect.ListType) -> str:
    return f"a list, and each entry of it {_rule(kind.item_type)}"


@_rule.register
def _(kind: inspect.StructType) -> str:
    return f"an object with {', '.join(_names(kind))}"


@_rule.register
def _(kind: inspect.LiteralType) -> str:
    return " or ".join(str(value) for value in kind.values)


@_rule.register
def _(kind: inspect.IntType) -> str:
    return "a whole number" if kind.ge is None else f"a whole number from {kind.ge} to {kind.le}"
