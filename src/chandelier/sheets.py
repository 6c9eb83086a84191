# SPDX-License-Identifier: Apache-2.0
"""Tables for spreadsheets: comma-separated values in which nothing is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

#: What a spreadsheet takes for the beginning of a formula, or passes over on the way to one.
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\n")


def plain(text: str) -> str:
    """Return the text of a cell that no spreadsheet takes for a formula.

    >>> plain("=1+1")
    "'=1+1"
    >>> plain("lab/students")
    'lab/students'
    """
    # A carriage return is not quoted by `csv`, and what comes after it would begin a cell.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_FORMULAS) else text


def write(header: Sequence[str], rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> str:
    r"""Return rows as comma-separated values under their header, with a line feed after each.

    Args:
        rows: Cells in the order of the header, or by it. Texts are made plain; numbers stay numbers, so a negative one
            is no formula; truth is `true` or `false`, as in JSON; None is an empty cell.

    >>> write(["name", "jobs"], [["+1", -1], {"name": None, "jobs": 2}])
    "name,jobs\n'+1,-1\n,2\n"
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([plain(cell) for cell in header])
    for row in rows:
        cells = [row.get(name) for name in header] if isinstance(row, Mapping) else row
        writer.writerow([_written(cell) for cell in cells])
    return out.getvalue()


def _written(cell: Any) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return plain(cell) if isinstance(cell, str) else cell
