# SPDX-License-Identifier: Apache-2.0
"""Shots are parted by what they find, whether their states are density matrices or wave functions."""

import itertools

import numpy as np
import physics
import pytest
import schedules
from scipy.stats import chisquare

from chandelier.engines.pulses import clusters, measuring, reading, steps, timeline, trajectories
from chandelier.engines.pulses.evolution import Evolver
from chandelier.engines.pulses.trajectories import Event
from chandelier.formats import pulses

MANILA = "ibmq_manila"
MODEL = schedules.modelled(MANILA)
LO = MODEL.oscillators


def laid(*wire: physics.Json) -> timeline.Timeline:
    """A schedule of wire instructions."""
    read = reading.read(pulses.sequence(list(wire)), {}, where="a test", slots=5)
    return timeline.lay(read, MODEL, LO)


def entangled() -> tuple[timeline.Timeline, int]:
    """A pair of qubits that are found alike, and when."""
    schedule = [*schedules.sequence(MANILA, "sx", 0), *schedules.sequence(MANILA, "cx", 0, 1, t0=160)]
    found = laid(*schedule)
    return found, found.duration


def test_qubits_of_a_cross_resonance_belong_together() -> None:
    """A control channel joins its qubits; a drive at the frequency of a neighbour does too; others stay alone."""
    ones = np.ones(64, dtype=np.complex128)
    control = next(
        name for name, channel in MODEL.channels.items() if channel.qubit == 0 and channel.oscillators == ((1, 1.0),)
    )
    joined = timeline.lay([steps.Play(0, control, ones), steps.Play(0, "d3", ones)], MODEL, LO)
    driven = timeline.lay(
        [steps.Frequency(0, "d2", LO[3], absolute=True), steps.Play(0, "d2", ones), steps.Play(64, "d0", ones)],
        MODEL,
        LO,
    )

    assert clusters.groups(joined.tones, [4], MODEL) == [(0, 1), (3,), (4,)]
    assert clusters.groups(driven.tones, [], MODEL) == [(0,), (2, 3)]


def test_dressed_frequencies_are_those_of_the_device_in_every_cluster() -> None:
    """Whatever a qubit is simulated with, one excitation of it has the frequency of the device."""
    for group in [(0,), (0, 1), (1, 2), (0, 1, 2), (1, 2, 3, 4)]:
        formed = clusters.form(MODEL, group)
        for place, qubit in enumerate(group):
            single = 3 ** (len(group) - 1 - place)
            frequency = formed.energies[single] - formed.energies[0] + formed.reference

            assert frequency == pytest.approx(MODEL.frequencies[qubit], abs=2 * np.pi * 1e-3)


def test_both_ways_find_the_same() -> None:
    """Density matrices and wave functions with jumps agree, also where relaxation is strong."""
    found, end = entangled()
    evolver = Evolver(clusters.form(MODEL, (0, 1)))
    late = end + round(30e-6 / MODEL.dt)
    rng = np.random.default_rng(11)
    expected = evolver.populations(evolver.moved(evolver.ground(), found.tones, 0, late))

    (levels,) = trajectories.levels(evolver.cluster, found.tones, [Event(late, (0, 1))], 5_000, rng)

    seen = np.bincount(levels[:, 0].astype(int) * 3 + levels[:, 1], minlength=9)
    likely = expected * 5_000 > 5
    p = chisquare(seen[likely], expected[likely] / expected[likely].sum() * seen[likely].sum()).pvalue
    assert p > 1e-4
    assert seen[~likely].sum() < 20


@pytest.mark.parametrize("group", [(0, 1), (0, 1, 2)])
def test_what_is_measured_twice_is_found_twice(group: tuple[int, ...]) -> None:
    """Of an entangled pair both are found alike, whoever is measured first, and again."""
    found, end = entangled()
    evolver = Evolver(clusters.form(schedules.frozen(MANILA), group))
    events = [Event(end, (1,)), Event(end + 100, (0,)), Event(end + 300, (0, 1))]

    first, second, third = measuring.levels(evolver, found.tones, events, 2000, np.random.default_rng(3))

    assert (third[:, 0] == second[:, 0]).all()
    assert (third[:, 1] == first[:, 0]).all()
    assert (first[:, 0] == second[:, 0]).mean() > 0.995
    assert first[:, 0].mean() == pytest.approx(0.5, abs=0.05)


def test_shots_that_found_the_upper_level_relax_from_there() -> None:
    """After a measurement the qubit is where it was found: of those in 1 a part decays, those in 0 stay."""
    found = laid(*schedules.sequence(MANILA, "sx", 0))
    model = MODEL
    later = 160 + round(model.t1[0] / 2 / model.dt)
    evolver = Evolver(clusters.form(model, (0,)))

    first, second = measuring.levels(
        evolver, found.tones, [Event(160, (0,)), Event(later, (0,))], 20_000, np.random.default_rng(5)
    )

    up = first[:, 0] == 1
    assert second[up, 0].mean() == pytest.approx(np.exp(-0.5), abs=0.02)
    assert not second[~up, 0].any()


def test_a_span_knows_what_sounds_in_it() -> None:
    """Spans end where a tone begins or ends, and at the edges, and together they are all of the time."""
    ones = np.ones(10, dtype=np.complex128)
    schedule = [steps.Play(5, "d0", ones), steps.Play(10, "d1", ones), steps.Play(30, "d0", ones)]
    tones = timeline.lay(schedule, MODEL, LO).tones

    spans = list(timeline.spans(tones, 0, [12, 35]))

    assert [(begin, end, [tone.channel for tone in found]) for begin, end, found in spans] == [
        (0, 5, []),
        (5, 10, ["d0"]),
        (10, 12, ["d0", "d1"]),
        (12, 15, ["d0", "d1"]),
        (15, 20, ["d1"]),
        (20, 30, []),
        (30, 35, ["d0"]),
    ]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
