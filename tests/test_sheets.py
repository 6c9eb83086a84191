# SPDX-License-Identifier: Apache-2.0
"""Tables for spreadsheets hold no formulas."""

import csv
import io

import pytest

from chandelier import sheets


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\t=1", "\n=1"])
def test_a_formula_becomes_a_text(text: str) -> None:
    """In cells and heads, in lists and mappings."""
    assert sheets.plain(text) == f"'{text}"
    for rows in ([[text]], [{text: text}]):
        header, row = csv.reader(io.StringIO(sheets.write([text], rows), newline=""))
        assert (header, row) == ([f"'{text}"], [f"'{text}"])


@pytest.mark.parametrize("text", ["\r=1", "\r\n=1"])
def test_a_carriage_return_ends_no_cell(text: str) -> None:
    """Spreadsheets begin a row after one that is not quoted; here it is a line feed, which is."""
    assert sheets.plain(text) == "'\n=1"
    assert sheets.write(["a"], [[f"Ann{text}"]]) == 'a\n"Ann\n=1"\n'


def test_numbers_stay_numbers() -> None:
    """A negative one is no formula; what is missing is empty."""
    assert sheets.write(["a", "b", "c"], [[-1, 2.5, None], {"a": -3}]) == "a,b,c\n-1,2.5,\n-3,,\n"


def test_truth_is_written_as_in_json() -> None:
    """A script reads one word in both forms."""
    assert sheets.write(["deleted", "is"], [[True, False], {"is": True}]) == "deleted,is\ntrue,false\n,true\n"
