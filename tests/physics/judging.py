# SPDX-License-Identifier: Apache-2.0
"""When counts and means are too unlikely: several p-values together, and standard deviations."""

import logging
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_log = logging.getLogger("figures")

#: A suite of tests fails by chance with at most this probability.
ALPHA: Final = 1e-6
#: So many standard deviations are too many.
SIGMAS: Final = 5.0


def holm(p_values: Sequence[float]) -> float:
    """The smallest of several p-values, after Holm's correction for their number.

    Source: S. Holm, Scandinavian Journal of Statistics 6, 65 (1979).
    """
    return min(1.0, min(p_values) * len(p_values))


def excess(one: float, other: float, shots: int, more: int) -> float:
    """By how many standard deviations two means of ±1 differ, if they are means of the same.

    Args:
        one: A mean of `shots` values.
        other: A mean of `more` values.
        shots: Number of values.
        more: Number of values.
    """
    both = (shots * one + more * other) / (shots + more)
    variance = max(1 - both**2, 1 / (shots + more)) * (1 / shots + 1 / more)
    return abs(one - other) / math.sqrt(variance)


def figure(name: str, value: str) -> None:
    """Tell a measured figure to who asks for them, with `pytest --log-cli-level=INFO`."""
    _log.info("%s: %s", name, value)
