# SPDX-License-Identifier: Apache-2.0
"""Dates as they are written mean the same at every door."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import dates, errors

NAMES = ("first", "last")
DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-03-01", " 2026-03-01 ", "03/01/2026", "3-1-26", "03.01.26"], ids=lambda text: text.strip()
)
def test_a_day_is_all_of_it(text: str) -> None:
    """At both ends, in either way of writing it."""
    assert dates.span(text, text, names=NAMES) == (DAY, DAY + timedelta(days=1))


@pytest.mark.parametrize("text", ["2026-03-01T00:00", "2026-03-01 00:00:00Z", "2026-03-01T01:00:00.000 01:00"])
def test_a_moment_is_only_itself(text: str) -> None:
    """As the end it is not included."""
    assert dates.span(text, text, names=NAMES) == (DAY, DAY)


@pytest.mark.parametrize(
    "text",
    ["20260301", "2026-W10-1", "2026-060", "2026-03", "2026-03-01T12", "2026-02-30", "13/13/2026", "0000-01-01", ""],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    """With the name it has where it was written, and with what it must be."""
    for name, span in (("first", (text, None)), ("last", (None, text))):
        with pytest.raises(errors.Invalid, match=f"^{name} is .*; it must be a date such as") as caught:
            dates.span(*span, names=NAMES)
        assert caught.value.code == 1001


def test_a_long_text_is_told_by_its_beginning() -> None:
    """Also where two are told."""
    for given_ in (("x" * 5000, None), (f"2026-03-02{' ' * 5000}", f"2026-03-01{' ' * 5000}")):
        with pytest.raises(errors.Invalid) as caught:
            dates.span(*given_, names=NAMES)
        assert len(caught.value.message) < 200


@given(days=st.tuples(st.dates(), st.dates()))
def test_any_two_days_are_a_time_or_in_the_wrong_order(days: tuple[date, date]) -> None:
    """From the first day of the calendar to the last."""
    first, last = sorted(days)
    start, end = dates.span(str(first), str(last), names=NAMES)

    assert start is not None
    assert end is not None
    assert start < end
    if first != last:
        with pytest.raises(errors.Invalid, match="exchange the two"):
            dates.span(str(last), str(first), names=NAMES)
