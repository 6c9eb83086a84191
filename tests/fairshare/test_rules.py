# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of fair share."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier.fairshare import rules
from chandelier.fairshare.rules import Rules, Usage

HALF_LIFE = Rules().half_life
#: Seconds since 1970, of today or of whatever a clock says that was set wrongly.
MOMENTS = st.one_of(st.floats(1.7e9, 1.9e9), st.floats(0, 4.2e9))
COSTS = st.floats(0.1, 1e6)
WEIGHTS = st.floats(0.001, 10_000)
USAGES = st.builds(Usage, st.one_of(st.just(0.0), st.floats(1e-3, 1e9)), MOMENTS)


@pytest.mark.parametrize("half_lives", [0.5, 1, 3, 10])
def test_usage_of_a_half_life_ago_counts_half(half_lives: float) -> None:
    """To a billionth, and so on for each half-life more."""
    used = rules.charged(Usage(), 100.0, 1.7e9, HALF_LIFE)

    assert used.now(1.7e9 + half_lives * HALF_LIFE, HALF_LIFE) == pytest.approx(100 * 0.5**half_lives, rel=1e-9)


@given(st.lists(st.tuples(COSTS, st.floats(0, 3e7)), min_size=1, max_size=20))
def test_charges_fade_as_each_would_alone(charges: list[tuple[float, float]]) -> None:
    """The sum is kept as one number, in whatever order the charges come."""
    used, last = Usage(), max(moment for _, moment in charges)
    for cost, moment in charges:
        used = rules.charged(used, cost, moment, HALF_LIFE)
    alone = math.fsum(cost * math.exp2((moment - last) / HALF_LIFE) for cost, moment in charges)

    assert used.at == last
    assert used.value == pytest.approx(alone, rel=1e-9)


@given(USAGES, WEIGHTS, USAGES, WEIGHTS, st.lists(st.floats(0, 1e8), min_size=1, max_size=5))
def test_an_order_never_changes_by_waiting(
    one: Usage, one_weight: float, two: Usage, two_weight: float, waits: list[float]
) -> None:
    """Who is due first by the keys has used less for its weight, now and whenever one looks."""
    keys = rules.key(one, one_weight, HALF_LIFE), rules.key(two, two_weight, HALF_LIFE)
    for wait in waits:
        moment = max(one.at, two.at) + wait
        first, second = one.now(moment, HALF_LIFE) / one_weight, two.now(moment, HALF_LIFE) / two_weight

        if keys[0] < keys[1]:
            assert first <= second * (1 + 1e-9)


@given(USAGES, st.lists(COSTS, max_size=3), COSTS, MOMENTS)
def test_what_is_given_back_as_of_the_same_moment_leaves_nothing(
    used: Usage, others: list[float], cost: float, moment: float
) -> None:
    """Also where others were charged in between: a correction of a job's whole charge is as if it had never run."""
    between, expected = used, used
    between = rules.charged(between, cost, moment, HALF_LIFE)
    for number, other in enumerate(others):
        between = rules.charged(between, other, moment + number, HALF_LIFE)
        expected = rules.charged(expected, other, moment + number, HALF_LIFE)
    between = rules.charged(between, -cost, moment, HALF_LIFE)

    later = max(between.at, expected.at)
    scale = max(1.0, cost, expected.now(later, HALF_LIFE))
    assert between.now(later, HALF_LIFE) == pytest.approx(expected.now(later, HALF_LIFE), rel=1e-9, abs=1e-9 * scale)


@given(
    st.lists(st.tuples(st.sampled_from(("charge", "begin")), st.floats(-1e6, 1e6), MOMENTS), min_size=1, max_size=30),
    WEIGHTS,
    USAGES,
)
def test_no_clock_makes_a_number_that_is_none(
    steps: list[tuple[str, float, float]], weight: float, sibling: Usage
) -> None:
    """Set forward or back by decades, while charging, giving back and beginning: usage is finite and never negative."""
    used = Usage()
    for kind, cost, moment in steps:
        least = rules.key(sibling, 1.0, HALF_LIFE)
        if kind == "charge":
            used = rules.charged(used, cost, moment, HALF_LIFE)
        else:
            used = rules.clamped(used, weight, least, weight + 1.0, moment, Rules())

        assert math.isfinite(used.value)
        assert used.value >= 0
        assert math.isfinite(used.at)
        assert math.isfinite(rules.key(used, weight, HALF_LIFE))


@given(USAGES, WEIGHTS, USAGES, st.floats(0, 1e7))
def test_who_begins_is_at_most_the_credit_behind(used: Usage, weight: float, sibling: Usage, wait: float) -> None:
    """And whoever is nearer than that, or ahead, stays where it is."""
    moment, weights = max(used.at, sibling.at) + wait, weight + 1.0
    begun = rules.clamped(used, weight, rules.key(sibling, 1.0, HALF_LIFE), weights, moment, Rules())
    floor = sibling.now(moment, HALF_LIFE) - Rules().credit / weights
    before = used.now(moment, HALF_LIFE) / weight

    assert begun.now(moment, HALF_LIFE) / weight == pytest.approx(max(before, floor), rel=1e-9, abs=1e-3)
    assert before < floor or begun == used


def test_way_and_weight_without_hubs() -> None:
    """Where hubs do not count, groups of all hubs are siblings, each with its hub's part of its own part."""
    places = ("A", "A/g2", "A/g2/p1")

    assert rules.way("qpus", places) == ("qpus", *places)
    assert rules.way("qpus", places, rules.WITHOUT_HUBS) == ("qpus", "A/g2", "A/g2/p1")
    assert rules.fraction([(3, 5), (2, 3)]) == pytest.approx(0.4)
    assert rules.fraction([(3, 5), (1, 3)]) == pytest.approx(0.2)
