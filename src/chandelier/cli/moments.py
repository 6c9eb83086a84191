# SPDX-License-Identifier: Apache-2.0
"""Dates and times as people type them: a day in either way of writing it, or a moment."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from chandelier import errors

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHEN",
        help="First day, like 2026-03-01 or 03/01/2026, or moment, like 2026-03-01T12:00. UTC.",
    ),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="WHEN", help="Last day (all of it counts), or the moment to end before.")
]

_DAY: Final = timedelta(days=1)
_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: Month, day and year, as `system-usage` takes them too.
_MONTH_FIRST: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})", re.ASCII)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC)


def span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the moments that `--from` and `--to` mean: the first one, and the one to end before; None without limit.

    Raises:
        errors.Invalid: One of them is no date, is out of range, or they are in the wrong order.
    """
    start = None if since is None else _read("--from", since)[0]
    last, end = (None, None) if until is None else _read("--to", until)
    if start is not None and last is not None and last < start:
        raise errors.Invalid(f"--to {until!r} is before --from {since!r}; exchange the two.", 1001)
    return start, end


def _read(option: str, text: str) -> tuple[datetime, datetime]:
    """Return when what is meant begins and ends: a day, or a moment that ends where it begins."""
    written = text.strip()
    month_first = _MONTH_FIRST.fullmatch(written)
    if month_first is not None:
        month, _, day, year = month_first.groups()
        written = f"{int(year) + (2000 if len(year) == 2 else 0):04d}-{int(month):02d}-{int(day):02d}"
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise errors.Invalid(
            f"{option} is {text[:40]!r}; write a day like 2026-03-01 or a moment like 2026-03-01T12:00.", 1001
        ) from None
    # Compared before it is brought to UTC, because in the calendar's first and last days that has no answer.
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not _FIRST <= known < _LAST:
        raise errors.Invalid(
            f"{option} is {text[:40]!r}; it must be from {_FIRST:%Y-%m-%d} to {_LAST - _DAY:%Y-%m-%d}.", 1001
        )
    begin = known.astimezone(UTC)
    return begin, begin + _DAY if _ISO_DAY.fullmatch(written) else begin
