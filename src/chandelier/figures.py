# SPDX-License-Identifier: Apache-2.0
"""Numbers as documents tell them: no digits that mean nothing; pure."""

from typing import Any, Final

#: Keys under which there are seconds; other numbers are shares, percentages, priorities and the like.
_SECONDS: Final = frozenset({"p50", "p90", "running", "seconds", "usage", "used"})


def told(value: Any, key: str = "") -> Any:
    """Return a JSON value with its floats rounded: seconds to milliseconds, others to six significant digits.

    Args:
        key: Under which it stands.

    >>> told({"used": 12.34567, "levels": [{"priority": 0.123456789}, {"percent": 100 / 3}], "waiting": 3})
    {'used': 12.346, 'levels': [{'priority': 0.123457}, {'percent': 33.3333}], 'waiting': 3}
    """
    if isinstance(value, dict):
        return {name: told(each, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [told(each, key) for each in value]
    if isinstance(value, float):
        return round(value, 3) if key in _SECONDS else float(f"{value:.6g}")
    return value
