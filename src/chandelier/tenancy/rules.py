# SPDX-License-Identifier: Apache-2.0
"""What names, texts and weights of hubs, groups and projects can be, and what weights come to in percent; pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from chandelier import errors

LEAST_PRIORITY: Final = 1
MOST_PRIORITY: Final = 10_000
#: How many characters the texts of a node have at most.
LONGEST: Final[Mapping[str, int]] = {"title": 200, "description": 2000}

_SHORT: Final = (re.compile(r"[a-z0-9]{1,16}"), "1 to 16 lowercase letters and digits, without accents")
#: Names, and what is said of one that cannot be one. Source: seed 001, `POST …/Groups`.
_NAMES: Final = {
    "hub": (
        re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"),
        "1 to 32 lowercase letters, digits and hyphens, a letter or digit first and last",
    ),
    "group": _SHORT,
    "project": _SHORT,
}
_MOST_DIGITS: Final = 20
_PERCENT: Final = 100.0


def check_name(level: str, name: str) -> None:
    """Refuse what cannot be the name of a hub, group or project.

    Raises:
        errors.Invalid: It cannot.
    """
    pattern, rule = _NAMES[level]
    if not pattern.fullmatch(name):
        raise errors.Invalid(f"`name` of a {level} is {name[:80]!r}; it must be {rule}.", 1001)


def check(facts: Mapping[str, Any]) -> None:
    """Refuse a `title`, `description` or `priority` that cannot be one.

    Raises:
        errors.Invalid: One cannot.
    """
    if "priority" in facts:
        check_priority(facts["priority"])
    for field, most in LONGEST.items():
        text = facts.get(field, "")
        if len(text) > most:
            raise errors.Invalid(f"`{field}` has {len(text)} characters; at most {most} are allowed.", 1001)
        if "\x00" in text:
            raise errors.Invalid(f"`{field}` contains a NUL character.", 1001)


def check_priority(priority: int) -> None:
    """Refuse what cannot be a priority.

    Raises:
        errors.Invalid: It cannot.
    """
    check_number("priority", priority, LEAST_PRIORITY, MOST_PRIORITY)


def check_number(field: str, number: int, least: int, most: int) -> None:
    """Refuse a number that is out of bounds.

    Raises:
        errors.Invalid: It is; the message names field and bounds and, of a very long number, its beginning.
    """
    if not least <= number <= most:
        text = str(number)
        shown = text if len(text) <= _MOST_DIGITS else f"{text[:_MOST_DIGITS]}…"
        raise errors.Invalid(f"`{field}` is {shown}; it must be a whole number from {least} to {most}.", 1001)


def percent(weight: int, total: int) -> float:
    """Return the share that a weight comes to, in percent.

    >>> percent(1, 3)
    33.333
    """
    return round(_PERCENT * weight / total, 3)
