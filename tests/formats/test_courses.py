# SPDX-License-Identifier: Apache-2.0
"""Random courses: what follows from a seed and a moment has the statistics of an Ornstein-Uhlenbeck process."""

import itertools
import math
from statistics import fmean, pstdev

import pytest

from chandelier.formats import courses

#: Some hour, which is no point of the grid.
START = 491_234.5
MANY = 8000
#: Spread of a course 12 h from where it is zero, if its time is 18 h.
NEAR = math.sqrt(1 - math.exp(-2 * 12 / 18))
KIND = courses.Event(window=48.0, every=240.0, shortest=6.0, longest=24.0)


@pytest.mark.parametrize("tau", [14.0, 60.0])
@pytest.mark.parametrize("part", [0.0, 0.25, 0.5])
def test_a_course_has_variance_1_everywhere(tau: float, part: float) -> None:
    """On the points of its grid and between them; 8000 seeds give the deviation to better than 3 percent."""
    values = [courses.value(f"seed {index}", tau, courses.STEP * (1000 + part)) for index in range(MANY)]

    assert abs(fmean(values)) < 4 / math.sqrt(MANY)
    assert pstdev(values) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("lag", [6.0, 18.0, 48.0])
def test_a_course_forgets_exponentially(lag: float) -> None:
    """Its correlation after some time is that of an Ornstein-Uhlenbeck process."""
    pairs = [
        (courses.value(f"s{index}", 18.0, 6000.0), courses.value(f"s{index}", 18.0, 6000.0 + lag))
        for index in range(MANY)
    ]

    assert fmean(first * second for first, second in pairs) == pytest.approx(math.exp(-lag / 18), abs=0.045)


def test_a_course_is_continuous() -> None:
    """Within a minute it moves by no more than a little, also over a point of the grid."""
    times = [5998.0 + minute / 60 for minute in range(600)]
    values = [courses.value("seed", 14.0, at) for at in times]

    assert max(abs(second - first) for first, second in itertools.pairwise(values)) < 0.02


def test_an_anchored_course_is_zero_where_it_begins() -> None:
    """Exactly there, nearly so near there before and after, and spread as usual far away."""
    assert courses.anchored("seed", 18.0, START, START) == 0.0
    assert abs(courses.anchored("seed", 18.0, START, START + 0.01)) < 0.01
    assert abs(courses.anchored("seed", 18.0, START, START - 0.01)) < 0.01
    for lag, spread in ((12.0, NEAR), (-12.0, NEAR), (900.0, 1.0)):
        values = [courses.anchored(f"s{index}", 18.0, 6000.0, 6000.0 + lag) for index in range(MANY)]
        assert pstdev(values) == pytest.approx(spread, abs=0.05)


def test_a_course_is_the_same_for_everybody() -> None:
    """Also on another machine and in years: these numbers are written down."""
    assert courses.value("seed", 18.0, 6001.5) == pytest.approx(1.3275374943099392, abs=1e-12)
    assert courses.uniform("seed") == pytest.approx(0.9421299739403765, abs=1e-15)
    assert courses.value("other", 18.0, 6001.5) != pytest.approx(1.3275374943099392, abs=1e-3)


def test_events_happen_as_often_and_as_long_as_they_should() -> None:
    """The share of the time in which one is under way is its mean length over the time from one to the next."""
    under_way = [courses.happens(f"s{index}", KIND, 0.0, 91_234.0) for index in range(20_000)]
    rate = (1 - math.exp(-KIND.window / KIND.every)) / KIND.window

    assert fmean(under_way) == pytest.approx(15.0 * rate, rel=0.1)


def test_an_event_lasts_no_longer_than_its_longest() -> None:
    """And no shorter than its shortest; looked at each half hour for a year."""
    flags = [courses.happens("seed", KIND, 0.0, 0.5 * index) for index in range(1, 2 * 24 * 365)]
    lengths = [0.5 * len(list(run)) for flag, run in itertools.groupby(flags) if flag]

    assert len(lengths) > 20
    assert min(lengths) >= KIND.shortest - 0.5
    assert sorted(lengths)[len(lengths) // 2] <= KIND.longest  # two of them may follow each other without a break


def test_no_event_is_under_way_at_the_beginning() -> None:
    """One that would be is none: the beginning is what was measured."""
    begun = next(at for at in range(100_000) if courses.happens("seed", KIND, -1e6, float(at)))

    assert not courses.happens("seed", KIND, float(begun), float(begun))
    assert not courses.happens("seed", KIND, float(begun), begun + 0.5)
