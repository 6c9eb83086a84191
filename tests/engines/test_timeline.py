# SPDX-License-Identifier: Apache-2.0
"""A schedule is played with the frames, frequencies and held values that its instructions say."""

import math

import numpy as np
import pytest
import schedules

from chandelier.engines.pulses import steps, timeline

MODEL = schedules.frozen("ibmq_manila")
LO = MODEL.oscillators
ONES = np.ones(4, dtype=np.complex128)


def test_a_pulse_sounds_at_the_frequency_of_its_channel() -> None:
    """A drive channel has its qubit's oscillator, a control channel that of the qubit it addresses."""
    control = next(name for name in MODEL.channels if name[0] == "u")
    (addressed, _), *_ = MODEL.channels[control].oscillators

    laid = timeline.lay([steps.Play(3, "d1", ONES), steps.Play(9, control, ONES)], MODEL, LO)

    assert [(tone.channel, tone.begin, tone.end) for tone in laid.tones] == [("d1", 3, 7), (control, 9, 13)]
    assert [tone.frequency for tone in laid.tones] == [2 * math.pi * LO[1], 2 * math.pi * LO[addressed]]


def test_a_program_may_move_the_oscillators() -> None:
    """Frequencies of a program count instead of the device's."""
    moved = (LO[0] + 1e6, *LO[1:])

    (tone,) = timeline.lay([steps.Play(0, "d0", ONES)], MODEL, moved).tones

    assert tone.frequency == 2 * math.pi * (LO[0] + 1e6)


@pytest.mark.parametrize(("absolute", "expected"), [(False, 0.5 + 0.25), (True, 0.25)])
def test_a_turned_frame_counts_for_what_comes_after(*, absolute: bool, expected: float) -> None:
    """A shift adds to the phase, a set replaces it; a pulse of the same time is turned, an earlier one is not."""
    schedule: list[steps.Step] = [
        steps.Play(0, "d0", ONES),
        steps.Play(8, "d0", ONES),
        steps.Phase(4, "d0", 0.5),
        steps.Phase(8, "d0", 0.25, absolute=absolute),
    ]

    laid = timeline.lay(schedule, MODEL, LO)

    before, after = laid.tones
    assert before.samples == pytest.approx(ONES)
    assert after.samples == pytest.approx(np.exp(1j * expected) * ONES)
    assert laid.frames == {"d0": pytest.approx(expected)}


def test_frames_of_channels_are_apart() -> None:
    """What is turned on one channel is not turned on another."""
    laid = timeline.lay([steps.Phase(0, "d0", 0.5), steps.Play(0, "d1", ONES)], MODEL, LO)

    assert laid.tones[0].samples == pytest.approx(ONES)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_changed_frequency_leaves_the_phase_as_it_is(*, absolute: bool) -> None:
    """At the moment of the change the oscillator has the phase that it would have had without."""
    moment, off = 1000, 2e6
    wanted = LO[0] + off if absolute else off
    schedule: list[steps.Step] = [
        steps.Frequency(moment, "d0", wanted, absolute=absolute),
        steps.Play(moment, "d0", ONES),
    ]

    (tone,) = timeline.lay(schedule, MODEL, LO).tones

    at = moment * MODEL.dt
    assert tone.frequency == pytest.approx(2 * math.pi * (LO[0] + off))
    assert tone.samples[0] * np.exp(-1j * tone.frequency * at) == pytest.approx(np.exp(-2j * math.pi * LO[0] * at))


def test_frequencies_can_be_shifted_twice() -> None:
    """The second shift adds to the first, and a set ends both."""
    schedule: list[steps.Step] = [
        steps.Frequency(0, "d0", 1e6),
        steps.Frequency(4, "d0", 1e6),
        steps.Play(4, "d0", ONES),
        steps.Frequency(8, "d0", LO[0], absolute=True),
        steps.Play(8, "d0", ONES),
    ]

    first, second = timeline.lay(schedule, MODEL, LO).tones

    assert first.frequency == pytest.approx(2 * math.pi * (LO[0] + 2e6))
    assert second.frequency == pytest.approx(2 * math.pi * LO[0])


def test_a_value_is_held_until_the_next_pulse() -> None:
    """It begins where it is set, has the phase of the frame, and ends with the next pulse, value or the schedule."""
    schedule: list[steps.Step] = [
        steps.Phase(0, "d0", 0.5),
        steps.Hold(2, "d0", 0.1),
        steps.Play(10, "d0", ONES),
        steps.Hold(14, "d0", 0.2),
        steps.Hold(20, "d0", 0.0),
        steps.Wait(20, "d0", 10),
    ]

    held, played, again = timeline.lay(schedule, MODEL, LO).tones

    assert (held.begin, held.end) == (2, 10)
    assert held.samples == pytest.approx(0.1 * np.exp(0.5j))
    assert (played.begin, played.end) == (10, 14)
    assert (again.begin, again.end) == (14, 20)


def test_a_value_held_to_the_end_ends_with_the_schedule() -> None:
    """The end is that of the last step on any channel."""
    (held,) = timeline.lay([steps.Hold(0, "d0", 0.1), steps.Acquire(50, 100, (0,), (0,))], MODEL, LO).tones

    assert (held.begin, held.end) == (0, 150)


def test_readout_channels_drive_nothing() -> None:
    """Pulses that read a qubit out are no tones, and their frames are nobody's."""
    laid = timeline.lay([steps.Phase(0, "m0", 1.0), steps.Play(0, "m0", ONES)], MODEL, LO)

    assert not laid.tones
    assert not laid.frames
    assert laid.duration == 4
