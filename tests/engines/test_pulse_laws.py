# SPDX-License-Identifier: Apache-2.0
"""What pulses do to qubits obeys the laws that a lab course measures, and those that hold for whatever is played."""

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pulsing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pulsing import gate, pulse
from scipy.optimize import curve_fit

from chandelier.engines.pulses import clusters, model, propagation, relaxation, steps, timeline
from chandelier.engines.pulses.evolution import Evolver
from chandelier.engines.pulses.model import Model
from chandelier.engines.pulses.timeline import Tone
from chandelier.formats import device, drift

MANILA = pulsing.document("manila")
MODEL = model.parse(MANILA)
#: The same qubits without relaxation.
LASTING = dataclasses.replace(MODEL, t1=(np.inf,) * 5, t2=(np.inf,) * 5)
ALONE, PAIR = clusters.form(MODEL, [0]), clusters.form(MODEL, [0, 1])
NEVER = {qubit: clusters.form(LASTING, qubits) for qubit, qubits in ((1, [0]), (2, [0, 1]))}


@pytest.mark.parametrize("wanted", [0.5, 1.0, 1.7])
def test_a_slow_pulse_turns_a_qubit_by_its_area(wanted: float) -> None:
    """A resonant pulse turns a qubit by its area times the strength of its channel, within 0.001."""
    bell = pulse("gaussian", 0, "d0", 0.01, 6400, sigma=1600.0)
    (tone,) = pulsing.tones(LASTING, [0], [bell])
    area = MODEL.channels["d0"].strength * np.abs(tone.samples).sum() * MODEL.dt
    scaled = pulse("gaussian", 0, "d0", 0.01 * wanted * np.pi / area, 6400, sigma=1600.0)
    ground, excited, _ = np.abs(pulsing.unitary(LASTING, [0], [scaled], 6400)[:, 0])
    angle = 2 * np.arctan2(excited, ground)

    assert min(wanted, 2 - wanted) * np.pi == pytest.approx(angle, rel=1e-3)


@pytest.mark.parametrize("qubit", range(5))
def test_the_pulse_of_x_has_the_area_of_half_a_turn(qubit: int) -> None:
    """The amplitude that was calibrated for x is that of half a turn, but for what the third level does to it."""
    (tone,) = pulsing.tones(LASTING, [qubit], gate(MANILA, "x", qubit))
    area = MODEL.channels[f"d{qubit}"].strength * abs(tone.samples.sum()) * MODEL.dt

    assert area == pytest.approx(np.pi, rel=5e-3)
    assert abs(pulsing.unitary(LASTING, [qubit], gate(MANILA, "x", qubit), 160)[1, 0]) ** 2 > 1 - 1e-5


def waved(times: NDArray[np.float64], *values: float) -> NDArray[np.float64]:
    """A wave that fades: middle, height, frequency in MHz, phase, and decay time in µs; times in µs."""
    middle, height, frequency, phase, lasting = values
    found: NDArray[np.float64] = middle + height * np.exp(-times / lasting) * np.cos(
        2 * np.pi * frequency * times + phase
    )
    return found


def ramsey(played: Model, qubit: int, detuning: float, shots: int | None) -> tuple[float, float]:
    """Two half turns at a distance: the frequency in Hz and the time in s with which what is found waves and fades."""
    evolver, found = Evolver(clusters.form(played, [qubit])), []
    waits = np.arange(0, 90_000, 1000)
    for wait in waits:
        schedule = [*gate(MANILA, "sx", qubit), *gate(MANILA, "sx", qubit, t0=160 + int(wait))]
        arguments = (evolver, schedule, 320 + int(wait))
        tuned = {qubit: played.oscillators[qubit] - detuning}
        if shots is None:
            found.append(pulsing.populations(*arguments, tuned)[1])
        else:
            found.append(pulsing.shots(*arguments, shots, seed=int(wait), tuned=tuned)[1])
    times = (waits + 80) * played.dt * 1e6
    start = (0.5, 0.5, detuning / 1e6, 0.0, played.t2[qubit] * 1e6)
    fitted, _ = curve_fit(waved, times, found, p0=start)
    return fitted[2] * 1e6, fitted[4] * 1e-6


def test_ramsey_finds_the_detuning_of_an_oscillator() -> None:
    """Two half turns at a growing distance show the offset of the local oscillator within 1 kHz, with shots."""
    frequency, _ = ramsey(MODEL, 0, 500e3, shots=2048)

    assert frequency == pytest.approx(500e3, abs=1e3)


def test_ramsey_finds_how_far_a_qubit_has_wandered(tmp_path: Path) -> None:
    """A device that lives is where its life says it is at that moment, within 1 kHz."""
    taken = datetime(2026, 3, 1, 4, tzinfo=UTC)
    life = device.Life(seed="a course", begun=taken - timedelta(days=9), taken=taken)
    path = tmp_path / "device.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(MANILA, life=life)))
    for hours, least in ((0, 0.0), (20, 5e3), (70, 20e3)):
        moment = taken + timedelta(hours=hours)
        frequency, _ = ramsey(model.load(str(path), moment), 3, 300e3, shots=2048)

        assert frequency - 300e3 == pytest.approx(drift.wander(life, 3, moment), abs=1e3)
        assert abs(drift.wander(life, 3, moment)) >= least


def test_ramsey_and_echo_fade_with_the_dephasing_time() -> None:
    """Both fade with the T2 that the device has published, within 2 %: what takes phases away is without memory."""
    _, fading = ramsey(MODEL, 2, 300e3, shots=None)
    evolver, found, waits = Evolver(clusters.form(MODEL, [2])), [], np.arange(0, 400_000, 20_000)
    for wait in waits:
        turns = [("sx", 0), ("x", 160 + int(wait)), ("sx", 320 + 2 * int(wait))]
        schedule = [one for name, t0 in turns for one in gate(MANILA, name, 2, t0=t0)]
        found.append(pulsing.populations(evolver, schedule, 480 + 2 * int(wait))[1] - 0.5)
    slope, _ = np.polyfit(2 * waits * MODEL.dt, np.log(np.abs(found)), 1)

    assert fading == pytest.approx(MODEL.t2[2], rel=0.02)
    assert -1 / slope == pytest.approx(MODEL.t2[2], rel=0.02)


@pytest.mark.parametrize("qubits", [[3], [2, 3]], ids=["alone", "with a neighbour"])
def test_an_excited_qubit_decays_with_its_relaxation_time(qubits: list[int]) -> None:
    """After x the chance of 1 falls with the T1 that the device has published, within 1 %, coupled or not."""
    evolver, waits = Evolver(clusters.form(MODEL, qubits)), np.linspace(0, 2.0, 12) * MODEL.t1[3] / MODEL.dt
    place = 3 ** (len(qubits) - 1 - qubits.index(3))
    found = [
        pulsing.populations(evolver, gate(MANILA, "x", 3), 160 + int(wait)).reshape(-1, 3, place)[:, 1].sum()
        for wait in waits
    ]
    slope, _ = np.polyfit(waits.astype(int) * MODEL.dt, np.log(found), 1)

    assert -1 / slope == pytest.approx(MODEL.t1[3], rel=0.01)


@pytest.mark.parametrize("cluster", [ALONE, PAIR], ids=["one", "two"])
def test_a_long_wait_is_many_short_ones(cluster: clusters.Cluster) -> None:
    """A wait of 0.2 ms in one step leaves the state that 1000 steps leave."""
    schedule = [pulse("drag", 0, f"d{qubit}", 0.1, 160, sigma=40.0, beta=1.0) for qubit in cluster.qubits]
    evolver = Evolver(cluster)
    tones = pulsing.tones(MODEL, cluster.qubits, schedule)
    state = evolver.moved(evolver.ground(), tones, 0, 160)
    stepwise = state
    for _ in range(1000):
        stepwise = relaxation.rested(cluster, stepwise, 900)

    assert pulsing.trace_distance(relaxation.rested(cluster, state, 900_000), stepwise) < 1e-7
    assert pulsing.trace_distance(state, stepwise) > 0.1


CHANNELS = {1: ("d0", "u0"), 2: ("d0", "u0", "d1", "u1")}
AMPLITUDES = st.complex_numbers(max_magnitude=0.9, allow_subnormal=False)


@st.composite
def schedules(draw: st.DrawFn, qubits: int) -> list[steps.Step]:
    """Pulses, turned frames, changed frequencies and gaps on all channels of one or two qubits."""
    found: list[steps.Step] = []
    for channel in CHANNELS[qubits]:
        time = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(0, 3))):
            first, last = draw(AMPLITUDES), draw(AMPLITUDES)
            found.append(steps.Phase(time, channel, draw(st.floats(-7, 7))))
            if draw(st.booleans()):
                found.append(steps.Frequency(time, channel, draw(st.floats(-4e8, 4e8))))
            samples = np.linspace(first, last, draw(st.integers(2, 40))).astype(np.complex128)
            found.append(steps.Play(time, channel, samples))
            time += len(samples) + draw(st.integers(0, 30))
    return found


DRAWN = st.sampled_from([1, 2]).flatmap(lambda qubits: st.tuples(st.just(qubits), schedules(qubits)))
DURATION = 250


def laid(qubits: int, schedule: list[steps.Step], oscillators: tuple[float, ...] = MODEL.oscillators) -> list[Tone]:
    """What sounds on the first one or two qubits."""
    tones = timeline.lay(schedule, MODEL, oscillators).tones
    return [tone for tone in tones if MODEL.channels[tone.channel].qubit < qubits]


@settings(max_examples=40, deadline=None)
@given(DRAWN)
def test_a_state_remains_a_state(drawn: tuple[int, list[steps.Step]]) -> None:
    """Whatever is played, the trace stays 1, no chance falls below 0, and what is remembered gives the same again."""
    qubits, schedule = drawn
    evolver, fresh = (Evolver(ALONE if qubits == 1 else PAIR) for _ in range(2))
    tones = laid(qubits, schedule)
    state = evolver.moved(evolver.ground(), tones, 0, DURATION)
    again = evolver.moved(evolver.ground(), tones, 0, DURATION)

    assert abs(np.trace(state) - 1) < 1e-9
    assert np.linalg.eigvalsh(state).min() > -1e-9
    assert np.abs(state - state.conj().T).max() < 1e-9
    assert evolver.populations(state).sum() == pytest.approx(1, abs=1e-12)
    assert np.array_equal(state, again)
    assert np.array_equal(state, fresh.moved(fresh.ground(), tones, 0, DURATION))


@settings(max_examples=40, deadline=None)
@given(DRAWN)
def test_without_relaxation_nothing_is_lost(drawn: tuple[int, list[steps.Step]]) -> None:
    """Whatever is played, what it does is unitary, and a wave function and a density matrix move alike."""
    qubits, schedule = drawn
    cluster, tones = NEVER[qubits], laid(qubits, schedule)
    acting = propagation.unitary(cluster, tones, DURATION)
    evolver = Evolver(cluster)
    found = evolver.populations(evolver.moved(evolver.ground(), tones, 0, DURATION))

    assert np.abs(acting.conj().T @ acting - np.eye(cluster.states)).max() < 1e-8
    assert np.abs(found - np.abs(acting[:, 0]) ** 2).max() < 1e-9


@settings(max_examples=40, deadline=None)
@given(DRAWN, st.integers(1, 38))
def test_a_pulse_in_two_parts_is_the_same_pulse(drawn: tuple[int, list[steps.Step]], cut: int) -> None:
    """It makes no difference where a pulse is cut, within 1e-5 for each qubit."""
    qubits, schedule = drawn
    parts: list[steps.Step] = []
    for step in schedule:
        if isinstance(step, steps.Play) and step.duration > cut:
            parts.append(steps.Play(step.t0, step.channel, step.samples[:cut]))
            parts.append(steps.Play(step.t0 + cut, step.channel, step.samples[cut:]))
        else:
            parts.append(step)
    whole, split = laid(qubits, schedule), laid(qubits, parts)
    unitaries = [propagation.unitary(NEVER[qubits], tones, DURATION) for tones in (whole, split)]
    evolver = Evolver(ALONE if qubits == 1 else PAIR)
    states = [evolver.moved(evolver.ground(), tones, 0, DURATION) for tones in (whole, split)]

    assert pulsing.infidelity(*unitaries) < (1e-12 if qubits == 1 else 1e-9)
    assert pulsing.trace_distance(*states) < 1e-5 * qubits


@settings(max_examples=40, deadline=None)
@given(DRAWN, st.integers(1, 100_000))
def test_it_does_not_matter_when_a_schedule_is_played(drawn: tuple[int, list[steps.Step]], later: int) -> None:
    """After any wait of qubits at rest the same schedule has the same outcomes, if all oscillators turn together."""
    qubits, schedule = drawn
    together = (MODEL.oscillators[0],) * MODEL.n_qubits
    shifted = [dataclasses.replace(step, t0=step.t0 + later) for step in schedule]
    evolver = Evolver(ALONE if qubits == 1 else PAIR)
    first = evolver.moved(evolver.ground(), laid(qubits, schedule, together), 0, DURATION)
    second = evolver.moved(evolver.ground(), laid(qubits, shifted, together), 0, DURATION + later)

    assert np.abs(evolver.populations(first) - evolver.populations(second)).max() < 1e-9


def test_frequencies_of_a_qubit_are_the_same_in_every_cluster() -> None:
    """A qubit answers at its published frequency, alone or beside any of its neighbours."""
    for size in (2, 3):
        for first in range(6 - size):
            qubits = list(range(first, first + size))
            cluster = clusters.form(MODEL, qubits)
            for place, qubit in enumerate(qubits):
                energy = cluster.energies[3 ** (size - 1 - place)] - cluster.energies[0] + cluster.reference

                assert energy == pytest.approx(MODEL.frequencies[qubit], abs=2 * np.pi)
    assert list(itertools.pairwise(range(5))) == sorted(MODEL.couplings)
