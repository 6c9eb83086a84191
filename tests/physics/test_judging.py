# SPDX-License-Identifier: Apache-2.0
"""The statistics that judge counts are neither deaf nor nervous."""

import judging
import numpy as np
import paths
import pytest
from physics import Json, gate, measure, p_value, program

from chandelier.engines import cost

NULLS = 300
TRIES = 100
SHOTS = 8192

Cases = dict[str, judging.Floats]


def ghz() -> list[Json]:
    """A GHZ state of five qubits in the gates of a device."""
    start = [gate("rz", [0], np.pi / 2), gate("sx", [0]), gate("rz", [0], np.pi / 2)]
    return [*start, *(gate("cx", [place, place + 1]) for place in range(4)), measure(*range(5))]


def noisy(steps: list[Json]) -> judging.Floats:
    """The exact chances of a circuit on a device."""
    device = paths.device("ibmq_manila")
    return paths.chances(paths.route(program(steps), device, cost.EXACT), device)


@pytest.fixture(scope="module")
def cases() -> Cases:
    """Probabilities of five bits, of three shapes."""
    uneven = np.random.default_rng(1).exponential(size=32)
    pair = np.zeros(32)
    pair[[0, 31]] = 0.5
    return {"random": uneven / uneven.sum(), "GHZ": pair, "noisy GHZ": noisy(ghz())}


def drawn(rng: np.random.Generator, chances: judging.Floats) -> dict[int, int]:
    """Counts that follow some probabilities."""
    return {word: number for word, number in enumerate(rng.multinomial(SHOTS, chances).tolist()) if number}


@pytest.mark.parametrize("name", ["random", "noisy GHZ"])
def test_false_alarms_are_as_rare_as_they_say(cases: Cases, name: str) -> None:
    """Of counts that follow the probabilities as many have a small p-value as it says."""
    rng = np.random.default_rng(21)
    found = np.array([p_value(drawn(rng, cases[name]), cases[name]) for _ in range(NULLS)])
    rates = {level: float((found < level).mean()) for level in (0.5, 0.1, 0.05, 0.01)}
    judging.figure(f"false alarms, {name}", str(rates))

    for level, rate in rates.items():
        assert abs(rate - level) < 3.5 * np.sqrt(level * (1 - level) / NULLS) + 1 / NULLS
    assert found.min() > judging.ALPHA


@pytest.mark.parametrize(("name", "share"), [("GHZ", 0.01), ("noisy GHZ", 0.02), ("random", 0.1)])
def test_white_noise_is_noticed(cases: Cases, name: str, share: float) -> None:
    """A little white noise in the counts is noticed: the less, the fewer outcomes the probabilities allow."""
    p_values = np.array(mixed(cases[name], share))
    power = float((p_values < judging.ALPHA).mean())
    judging.figure(f"{share:.0%} of white noise, {name}", f"noticed in {power:.0%}")

    assert power > 0.9


def test_one_per_cent_is_suspicious(cases: Cases) -> None:
    """One per cent of white noise in the counts of a device makes a p-value below 0.01 in most cases."""
    power = float((np.array(mixed(cases["noisy GHZ"], 0.01)) < 0.01).mean())
    judging.figure("1% of white noise, noisy GHZ, at a level of 0.01", f"noticed in {power:.0%}")

    assert power > 0.6


def mixed(chances: judging.Floats, share: float) -> list[float]:
    """What is said of counts in which some are white noise."""
    rng = np.random.default_rng(22)
    wrong = (1 - share) * chances + share / len(chances)
    return [p_value(drawn(rng, wrong), chances) for _ in range(TRIES)]


def test_the_impossible_is_noticed(cases: Cases) -> None:
    """A single count of what cannot happen is one too many."""
    assert p_value({0: 4096, 31: 4096}, cases["GHZ"]) > 0.5
    assert p_value({0: 4096, 31: 4095, 1: 1}, cases["GHZ"]) == 0.0


def test_many_p_values_together() -> None:
    """Holm's correction multiplies the smallest p-value by their number."""
    assert judging.holm([0.5, 0.01, 0.2]) == pytest.approx(0.03)
    assert judging.holm([0.9, 0.8]) == 1.0
