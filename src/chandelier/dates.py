# SPDX-License-Identifier: Apache-2.0
"""Dates and times as people and programs write them: moments, days, and the time between two of them; pure."""

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from chandelier import errors

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)
_DAY: Final = timedelta(days=1)
# A space before the offset is a plus sign that a client did not escape in the URL.
_DATE: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d)(?:(:\d\d)(?:[.,](\d{1,9}))?)?(?:[Zz]|([+\- ])([01]\d|2[0-3]):?([0-5]\d))?)?",
    re.ASCII,
)
_LONGEST: Final = 40
_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: Month, day and year, as the table of a script has them. Source: Hub-Automation, `analytics_data_EXAMPLE.csv`.
_MONTH_FIRST: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})", re.ASCII)


def instant(text: str) -> int | None:
    """Read an ISO date, with or without time, as milliseconds since the epoch; None if it is none.

    Finer digits are dropped, because dates are emitted in milliseconds. Without an offset it is UTC.

    >>> instant("1970-01-02T01:00+01:00")
    86400000
    """
    return _instant(text) if len(text) <= _LONGEST else None


@functools.lru_cache(maxsize=1024)
def _instant(text: str) -> int | None:
    found = _DATE.fullmatch(text)
    if not found:
        return None
    day, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{minute or '00:00'}{second or ':00'}+00:00")
    except ValueError:
        return None
    offset = 60_000 * (60 * int(hours) + int(minutes)) if sign else 0
    local = (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])
    return local + offset if sign == "-" else local - offset


def span(since: str | None, until: str | None, *, names: tuple[str, str]) -> tuple[datetime | None, datetime | None]:
    """Return when a time begins and the moment to end before, in UTC; None without limit.

    A date without a time stands for its whole day, at both ends; a time as the end is not included.

    Args:
        names: What the two are called where they were written.

    Raises:
        errors.Invalid: One of them is no date, or they are in the wrong order.

    >>> [str(moment) for moment in span("2026-03-01", "03/01/26", names=("from", "to"))]
    ['2026-03-01 00:00:00+00:00', '2026-03-02 00:00:00+00:00']
    """
    start = None if since is None else _read(names[0], since)[0]
    last, end = (None, None) if until is None else _read(names[1], until)
    if since is not None and until is not None and start is not None and last is not None and last < start:
        early, late = until[:_LONGEST], since[:_LONGEST]
        raise errors.Invalid(f"{names[1]} {early!r} is before {names[0]} {late!r}; exchange the two.", 1001)
    return start, end


def _read(name: str, text: str) -> tuple[datetime, datetime]:
    """Return when what is meant begins and ends: a day, or a moment that ends where it begins."""
    written = text.strip()
    month_first = _MONTH_FIRST.fullmatch(written)
    if month_first is not None:
        month, _, day, year = month_first.groups()
        written = f"{int(year) + (2000 if len(year) == 2 else 0):04d}-{int(month):02d}-{int(day):02d}"
    milliseconds = instant(written)
    try:
        begin = None if milliseconds is None else _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:  # in UTC, of which the offset is part, it is in no year from 1 to 9999
        begin = None
    if begin is None:
        raise errors.Invalid(
            f"{name} is {text[:_LONGEST]!r}; it must be a date such as 2021-01-31 or 01-31-21, or a time such as "
            "2021-01-31T12:00:00Z, in the years 1 to 9999.",
            1001,
        )
    return begin, min(begin, _END - _DAY) + _DAY if _ISO_DAY.fullmatch(written) else begin
