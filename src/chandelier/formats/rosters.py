# SPDX-License-Identifier: Apache-2.0
"""Rosters: lists of people as spreadsheets and schools write them, comma-separated or nearly so."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from chandelier import errors

#: The columns, in the order that they have without a header, and what else headers call them.
_HEADS: Final[Mapping[str, str]] = {
    "email": "email",
    "e-mail": "email",
    "mail": "email",
    "e-mail address": "email",
    "email address": "email",
    "name": "name",
    "full name": "name",
    "password": "password",
}
_COLUMNS: Final = ("email", "name", "password")
_DELIMITERS: Final = (",", ";", "\t")
#: What no bare address has, but mail programs write around one.
_STRAY: Final = frozenset('"“”„«»`,;:<>()[]\\')


class Entry(msgspec.Struct, frozen=True):
    """One person of a roster.

    Attributes:
        line: Where they stand in the file; the first line is 1.
        password: None if none is given.
    """

    line: int
    email: str
    name: str = ""
    password: str | None = None


def read(content: bytes) -> list[Entry]:
    """Return the people of a roster: columns email, name and password, of which the last two may be missing.

    A first line without an address names the columns, in any order; columns of other names are passed over.

    Raises:
        errors.Invalid: It is not text, has no people, or a line has a stray quote or too many columns.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise errors.Invalid("The roster is not in UTF-8. Save it as `CSV UTF-8`.", 1001) from failure
    columns: Sequence[str | None] = _COLUMNS
    entries: list[Entry] = []
    begun = False
    for line, cells in _filled(text):
        if not begun and not any("@" in cell for cell in cells):
            columns = _header(cells)
        else:
            entries.append(_entry(line, cells, columns))
        begun = True
    if not entries:
        raise errors.Invalid("The roster names nobody.", 1001)
    return entries


def check(address: str) -> None:
    """Refuse an address with something in it that a spreadsheet or a mail program left there.

    Raises:
        errors.Invalid: It has a quote, a comma, white space or the like; the message shows it.
    """
    stray = next((sign for sign in address if sign in _STRAY or sign.isspace() or not sign.isprintable()), None)
    if stray is not None:
        raise errors.Invalid(
            f"{address[:100]!r} has {stray!r} in it. Write the bare address, like ann@example.org.", 1001
        )


def _delimiter(text: str) -> str:
    """Return what stands between columns: spreadsheets of some countries write semicolons."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(_DELIMITERS, key=first.count)


def _filled(text: str) -> Iterable[tuple[int, list[str]]]:
    """Yield the lines that are not empty, each with its number."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True, strict=True)
    line = 1
    try:
        for cells in reader:
            if reader.line_num > line:
                raise errors.Invalid(f"Line {line} of the roster has a quote that is not closed there.", 1001)
            line = reader.line_num + 1
            trimmed = [cell.strip() for cell in cells]
            if any(trimmed):
                yield reader.line_num, trimmed
    except csv.Error as failure:
        raise errors.Invalid(
            f"Line {line} of the roster has a quote in a wrong place. Quote a whole cell, or nothing.", 1001
        ) from failure


def _header(cells: Sequence[str]) -> Sequence[str | None]:
    columns = [_HEADS.get(cell.lower()) for cell in cells]
    if "email" not in columns:
        raise errors.Invalid(
            f"Line 1 of the roster has neither an address nor a column `email`: {', '.join(cells)[:100]}.", 1001
        )
    twice = {column for column in columns if column is not None and columns.count(column) > 1}
    if twice:
        raise errors.Invalid(f"Line 1 of the roster has two columns for `{min(twice)}`.", 1001)
    return columns


def _entry(line: int, cells: Sequence[str], columns: Sequence[str | None]) -> Entry:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise errors.Invalid(f"Line {line} of the roster has {len(cells)} columns; the most are {len(columns)}.", 1001)
    known = {column: cell for column, cell in zip(columns, cells, strict=False) if column is not None}
    return Entry(line, known.get("email", ""), known.get("name", ""), known.get("password") or None)
