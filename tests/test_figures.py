# SPDX-License-Identifier: Apache-2.0
"""Numbers in documents have the digits that mean something."""

from typing import Any

import pytest

from chandelier import figures


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"used": 12.34567, "running": 1e-9}, {"used": 12.346, "running": 0.0}),
        (
            {"estimateQuality": {"p50": 0.0004999, "p90": 3600.12345}},
            {"estimateQuality": {"p50": 0.0, "p90": 3600.123}},
        ),
        ({"percent": 100 / 3, "priority": 1 / 30000}, {"percent": 33.3333, "priority": 3.33333e-05}),
        ([{"levels": ({"share": 10000.0},)}], [{"levels": [{"share": 10000.0}]}]),
        ({"waiting": 1234567890, "next": None, "full": True}, {"waiting": 1234567890, "next": None, "full": True}),
    ],
)
def test_numbers_are_rounded_to_what_they_mean(given: Any, told: Any) -> None:
    """Seconds to milliseconds; shares and priorities to six digits, so that none becomes 0; the rest is as it was."""
    assert figures.told(given) == told
