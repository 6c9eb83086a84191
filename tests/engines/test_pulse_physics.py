# SPDX-License-Identifier: Apache-2.0
"""Our engine of pulses makes of a device what QuTiP makes of its published documents."""

import dataclasses

import msgspec
import numpy as np
import pulsing
import pytest
import qutip
import qutip_model
from physics import p_value
from pulsing import Json, gate, pulse, until

from chandelier.engines.pulses import clusters, model, propagation, trajectories
from chandelier.engines.pulses.evolution import Evolver
from chandelier.formats.device import DeviceDocument

MANILA = pulsing.document("manila")
MODEL = model.parse(MANILA)
#: A schedule, and the local oscillators that it sets, Hz.
Case = tuple[list[Json], dict[int, float]]


def shifted(channel: str, t0: int, gigahertz: float) -> Json:
    """A change of a frequency."""
    return {"name": "shiftf", "t0": t0, "ch": channel, "frequency": gigahertz}


def held(channel: str, t0: int, value: complex) -> Json:
    """A value that a channel keeps."""
    return {"name": "pv", "t0": t0, "ch": channel, "val": [value.real, value.imag]}


def turned(channel: str, t0: int, phase: float, name: str = "fc") -> Json:
    """A turn of a frame."""
    return {"name": name, "t0": t0, "ch": channel, "phase": phase}


ONE: dict[str, Case] = {
    "the device's x": (gate(MANILA, "x", 0), {}),
    "a Gaussian off resonance": ([pulse("gaussian", 0, "d0", 0.4, 320, sigma=60.0)], {0: MODEL.oscillators[0] + 13e6}),
    "a long square far off resonance": ([pulse("constant", 0, "d0", 0.9, 700)], {0: MODEL.oscillators[0] - 700e6}),
    "DRAG of any phase": ([pulse("drag", 3, "d0", 0.1 + 0.25j, 97, sigma=20.0, beta=-2.5)], {}),
    "frequencies and phases that change": (
        [
            pulse("drag", 0, "d0", 0.2, 160, sigma=40.0, beta=1.0),
            shifted("d0", 170, -0.34),
            pulse("gaussian", 180, "d0", 0.2 + 0.1j, 101, sigma=30.0),
            {"name": "setf", "t0": 281, "ch": "d0", "frequency": MODEL.oscillators[0] / 1e9},
            turned("d0", 281, 0.7),
            pulse("gaussian", 290, "d0", 0.2 + 0.1j, 101, sigma=30.0),
            turned("d0", 391, -2.0, "setp"),
            pulse("gaussian", 391, "d0", 0.1, 101, sigma=30.0),
        ],
        {},
    ),
    "values that are held": (
        [
            held("d0", 5, 0.1 + 0.02j),
            pulse("gaussian", 60, "d0", 0.2 + 0.1j, 33, sigma=10.0),
            held("d0", 93, 0.05j),
            until(200),
        ],
        {},
    ),
    "a value that is held while its frame turns": ([held("d0", 5, 0.1), turned("d0", 90, 1.3), until(200)], {}),
    "a value that is held while its frequency changes": ([held("d0", 5, 0.1), shifted("d0", 90, 0.05), until(200)], {}),
    "two tones at once": (
        [
            pulse("gaussian", 0, "d0", 0.3, 160, sigma=40.0),
            pulse("gaussian", 10, "u0", 0.4j, 130, sigma=30.0),
        ],
        {},
    ),
    "two tones a third of a GHz apart": (
        [
            pulse("gaussian", 0, "d0", 0.3, 160, sigma=40.0),
            shifted("u0", 0, -0.2),
            pulse("gaussian", 10, "u0", 0.4j, 130, sigma=30.0),
        ],
        {},
    ),
}

TWO: dict[str, Case] = {
    "the device's cx": (gate(MANILA, "cx", 0, 1), {}),
    "its reverse": (gate(MANILA, "cx", 1, 0), {}),
    "drives of both at once": (
        [
            pulse("drag", 0, "d0", 0.2, 160, sigma=40.0, beta=1.0),
            pulse("drag", 20, "d1", 0.3j, 120, sigma=30.0, beta=1.0),
            turned("d1", 140, 0.3),
            pulse("gaussian", 150, "d1", 0.1, 80, sigma=20.0),
        ],
        {},
    ),
    "a drive below a cross resonance": (
        [
            pulse("gaussian_square", 0, "u0", 0.4, 400, sigma=64.0, width=144.0),
            pulse("gaussian", 100, "d0", 0.1, 160, sigma=40.0),
            pulse("gaussian", 130, "d1", -0.05, 160, sigma=40.0),
        ],
        {},
    ),
    "far from both": (
        [pulse("constant", 0, "d0", 0.8, 300), pulse("constant", 50, "d1", 0.8j, 200)],
        {0: MODEL.oscillators[0] - 600e6, 1: MODEL.oscillators[1] + 400e6},
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_one_qubit_turns_as_it_does_there(name: str) -> None:
    """A schedule on one qubit does the same to its two lowest levels, leakage included, within 1e-9."""
    schedule, tuned = ONE[name]
    duration = pulsing.length(schedule)
    found = pulsing.unitary(MODEL, [0], schedule, duration, tuned)
    expected = qutip_model.Device(MANILA, [0]).unitary(schedule, duration, tuned)

    assert pulsing.infidelity(expected, found[:, :2]) < 1e-9
    assert np.allclose(np.abs(found[2, :2]) ** 2, np.abs(expected[2]) ** 2, atol=1e-9, rtol=1e-4)


@pytest.mark.parametrize("name", TWO)
def test_two_qubits_turn_as_they_do_there(name: str) -> None:
    """A schedule on two coupled qubits does the same to the computational states within 1e-9."""
    schedule, tuned = TWO[name]
    duration = pulsing.length(schedule)
    found = pulsing.unitary(MODEL, [0, 1], schedule, duration, tuned)
    expected = qutip_model.Device(MANILA, [0, 1]).unitary(schedule, duration, tuned)
    columns = [0, 1, 3, 4]

    assert pulsing.infidelity(expected, found[:, columns]) < 1e-9
    assert pulsing.infidelity(expected[:, :1], found[:, :1]) < 1e-9


def relaxing(t1: float, t2: float, *qubits: int) -> DeviceDocument:
    """Manila with other times for some qubits, µs."""
    assert MANILA.properties is not None
    records = list(MANILA.properties["qubits"])
    for place, qubit in enumerate(qubits):
        times = {"T1": t1 * (1 + 0.3 * place), "T2": t2 * (1 + 0.2 * place)}
        records[qubit] = [{**one, "value": times.get(one["name"], one["value"])} for one in records[qubit]]
    return msgspec.structs.replace(MANILA, properties={**MANILA.properties, "qubits": records})


@pytest.mark.parametrize(("t1", "t2", "most"), [(100.0, 60.0, 1e-6), (50.0, 100.0, 1e-6), (3.0, 1.0, 1e-5)])
@pytest.mark.parametrize("name", ["the device's x", "frequencies and phases that change", "two tones at once"])
def test_one_qubit_relaxes_as_it_does_there(name: str, t1: float, t2: float, most: float) -> None:
    """The state of a qubit that relaxes while it is driven is that of the master equation; times are in µs."""
    schedule, tuned = ONE[name]
    served, duration = relaxing(t1, t2, 0), pulsing.length(schedule)
    found = pulsing.density(Evolver(clusters.form(model.parse(served), [0])), schedule, duration, tuned)
    device = qutip_model.Device(served, [0])
    expected = device.evolution(qutip.ket2dm(device.ground()), schedule, duration, relaxing=True, tuned=tuned)

    assert pulsing.trace_distance(device.seen_mixed(expected, duration), found) < most


@pytest.mark.parametrize("pair", [(0, 1), (2, 1)])
def test_two_qubits_relax_as_they_do_there(pair: tuple[int, int]) -> None:
    """A Bell state and its wait afterwards, on a device as it was published, agree with the master equation."""
    qubits, half = sorted(pair), gate(MANILA, "sx", pair[0])
    schedule = [*half, *gate(MANILA, "cx", *pair, t0=pulsing.length(half))]
    duration = pulsing.length(schedule) + 20_000
    found = pulsing.density(Evolver(clusters.form(MODEL, qubits)), schedule, duration)
    device = qutip_model.Device(MANILA, qubits)
    expected = device.evolution(qutip.ket2dm(device.ground()), schedule, duration, relaxing=True)

    assert pulsing.trace_distance(device.seen_mixed(expected, duration), found) < 1.2e-5


def crossing(*steps: tuple[str, int, complex]) -> list[Json]:
    """Short cross resonances after a turn of every qubit."""
    turns = [pulse("drag", 0, f"d{qubit}", 0.1 + 0.03j, 160, sigma=40.0, beta=1.0) for qubit in range(5)]
    return turns + [
        pulse("gaussian_square", t0, channel, amp, 300, sigma=64.0, width=44.0) for channel, t0, amp in steps
    ]


THREE = crossing(("u0", 160, 0.3 + 0.05j), ("u3", 160, -0.2 + 0.2j))
FIVE = crossing(("u0", 160, 0.3), ("u3", 160, -0.2 + 0.2j), ("u4", 250, -0.4), ("u7", 250, 0.2j))


@pytest.mark.parametrize(("qubits", "schedule"), [([0, 1, 2], THREE), ([0, 1, 2, 3, 4], FIVE)], ids=["three", "five"])
def test_larger_clusters_move_as_they_do_there(qubits: list[int], schedule: list[Json]) -> None:
    """The wave function of three or five coupled qubits is that of the Schrödinger equation within 3e-6."""
    duration = pulsing.length(schedule)
    cluster = clusters.form(MODEL, qubits)
    tones = pulsing.tones(MODEL, qubits, schedule)
    moved = trajectories.moved(cluster, cluster.dressed[:, :1], tones, 0, duration)
    found = propagation.seen(cluster, moved, duration)
    device = qutip_model.Device(MANILA, qubits)
    expected = device.seen(device.evolution(device.ground(), schedule, duration), duration)

    assert pulsing.infidelity(expected, found) < 3e-6


def test_shots_of_three_qubits_are_those_of_the_master_equation() -> None:
    """Qubits of which many jump while pulses are played are found in levels as often as the master equation says."""
    served, duration, number = relaxing(1.0, 0.8, 0, 1, 2), 1500, 8000
    evolver = Evolver(clusters.form(model.parse(served), [0, 1, 2]))
    found = pulsing.shots(evolver, THREE, duration, number)
    device = qutip_model.Device(served, [0, 1, 2])
    expected = device.evolution(qutip.ket2dm(device.ground()), THREE, duration, relaxing=True)
    chances = np.diag(device.seen_mixed(expected, duration)).real.clip(0)
    counts = {state: round(share * number) for state, share in enumerate(found)}

    assert p_value(counts, chances / chances.sum()) > 0.01


def test_a_qubit_whose_frequency_moved_turns_as_it_does_there() -> None:
    """Pulses at the frequency of the calibration miss a qubit that has moved by 1 MHz, in the right direction."""
    schedule = [*gate(MANILA, "sx", 0), *gate(MANILA, "sx", 0, t0=800)]
    moved = (MODEL.frequencies[0] + 2 * np.pi * 1e6, *MODEL.frequencies[1:])
    found = pulsing.unitary(dataclasses.replace(MODEL, frequencies=moved), [0], schedule, 960)
    expected = qutip_model.Device(MANILA, [0], shifts={0: 1e6}).unitary(schedule, 960)

    assert pulsing.infidelity(expected, found[:, :2]) < 1e-8
    assert pulsing.infidelity(pulsing.unitary(MODEL, [0], schedule, 960)[:, :2], found[:, :2]) > 0.05
