# SPDX-License-Identifier: Apache-2.0
"""Result documents have the shape that clients read."""

import datetime
import doctest

import msgspec

from chandelier.formats import results


def test_examples_in_the_documentation() -> None:
    """The examples of the module hold."""
    assert doctest.testmod(results, extraglobs={"datetime": datetime}).failed == 0


def test_outcomes_have_no_zeros_in_front() -> None:
    """Outcomes are hexadecimal without leading zeros, whatever their width, and only those that occurred."""
    tally = {(1 << 99) | 1: 3, 0: 1, 7: 0}

    assert results.counts(tally) == {"0x0": 1, hex(1 << 99 | 1): 3}
    assert results.memory([0, 10]) == ["0x0", "0xa"]


def test_dates_have_a_fraction_in_their_first_21_characters() -> None:
    """One client reads the first 21 characters and needs a fraction there; the offset follows."""
    east = datetime.timezone(datetime.timedelta(hours=2))
    text = results.date(datetime.datetime(2021, 5, 4, 13, 28, 5, tzinfo=east))

    assert text == "2021-05-04T11:28:05.000+00:00"
    assert text[:21].count(".") == 1


def test_a_failed_experiment() -> None:
    """An experiment without an outcome has its reason as status, and empty data."""
    header = msgspec.Raw(b'{"name":  "a"}')
    entry = results.failed(reason="it broke", shots=5, header=header, circ_id=2)

    assert msgspec.json.decode(results.encode(entry)) == {
        "shots": 5,
        "success": False,
        "status": "ERROR: it broke",
        "data": {},
        "header": {"name": "a"},
        "circ_id": 2,
        "meas_level": 2,
        "time_taken": 0.0,
    }


def test_headers_are_copied_verbatim() -> None:
    """Headers keep their bytes."""
    header = msgspec.Raw(b'{"x":  1.50}')

    assert b'{"x":  1.50}' in results.encode(results.failed(reason="", shots=1, header=header, circ_id=0))
