# SPDX-License-Identifier: Apache-2.0
"""Calibrated pulses do what their gates say, as devices serve them; where there are none, there is a reason."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from physics import LIMITS, Bench

from chandelier import errors
from chandelier.engines import child
from chandelier.engines.pulses import calibrate, clusters, echoes, fitting, propagation, reading, timeline
from chandelier.engines.pulses import model as models
from chandelier.engines.pulses.model import Model
from chandelier.formats import device, openpulse, pulses, snapshots, tasks, tunings

Matrix = NDArray[np.complex128]

SHIPPED = ("armonk", "manila", "lagos", "hanoi")
X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
SX: Matrix = np.array([[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]])
H: Matrix = np.array([[1, 1], [1, -1]], dtype=np.complex128) / math.sqrt(2)


def rz(angle: float) -> Matrix:
    """A turn about z."""
    return np.diag([np.exp(-0.5j * angle), np.exp(0.5j * angle)])


def u3(theta: float, phi: float, lam: float) -> Matrix:
    """The general gate of one qubit, as Qiskit defines it."""
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return np.array([[cos, -np.exp(1j * lam) * sin], [np.exp(1j * phi) * sin, np.exp(1j * (phi + lam)) * cos]])


def served(document: device.DeviceDocument, name: str, qubits: Sequence[int], *values: float) -> list[dict[str, Any]]:
    """The instructions of a gate in the defaults, with numbers for its parameters."""
    assert document.defaults is not None
    (found,) = [
        one["sequence"] for one in document.defaults["cmd_def"] if (one["name"], one["qubits"]) == (name, list(qubits))
    ]
    known = {f"-(P{place})": -value for place, value in enumerate(values)}
    return [step | ({"phase": known.get(step["phase"], step["phase"])} if "phase" in step else {}) for step in found]


def made(model: Model, instructions: list[dict[str, Any]], qubits: Sequence[int]) -> Matrix:
    """What instructions do to the dressed states of some qubits, whose order is kept; rows of other states follow."""
    steps = reading.read(pulses.sequence(instructions), {}, where="A gate", slots=0)
    laid = timeline.lay(steps, model, model.oscillators)
    cluster = clusters.form(model, tuple(sorted(qubits)))
    whole = propagation.unitary(cluster, laid.tones, laid.duration)
    units = [3 ** (len(qubits) - 1 - cluster.qubits.index(qubit)) for qubit in qubits]
    within = [sum(u * bit for u, bit in zip(units, bits, strict=True)) for bits in np.ndindex((2,) * len(qubits))]
    order = within + [place for place in range(cluster.states) if place not in within]
    turns: Any = np.eye(1)
    for qubit in qubits:
        turns = np.kron(turns, rz(-laid.frames.get(f"d{qubit}", 0.0)))
    result = whole[np.ix_(order, within)]
    result[: len(within)] = turns @ result[: len(within)]
    return result


def infidelity(model: Model, instructions: list[dict[str, Any]], qubits: Sequence[int], wanted: Matrix) -> float:
    """How far instructions are from a gate, average over states."""
    return 1.0 - fitting.fidelity(made(model, instructions, qubits), wanted)


@pytest.mark.parametrize("snapshot", SHIPPED)
def test_served_single_pulses_are_the_gates(snapshot: str) -> None:
    """Read back as a client's program would be, x and sx of every qubit are right to 1e-5."""
    document = snapshots.load(snapshot)
    model = models.parse(document)

    for index in range(model.n_qubits):
        assert infidelity(model, served(document, "x", [index]), [index], X) < 1e-5
        assert infidelity(model, served(document, "sx", [index]), [index], SX) < 1e-5


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("rz", (0.7,), rz(0.7)),
        ("u1", (0.7,), rz(0.7)),
        ("u2", (0.4, -1.3), u3(math.pi / 2, 0.4, -1.3)),
        ("u3", (0.9, 0.4, -1.3), u3(0.9, 0.4, -1.3)),
        ("u3", (math.pi / 2, 0.0, math.pi), H),
        ("id", (), rz(0.0)),
    ],
)
def test_other_gates_are_made_of_the_same_pulses(name: str, values: tuple[float, ...], wanted: Matrix) -> None:
    """The gates of devices before 2021 are turns of the frame around pulses of the calibrated sx."""
    document = snapshots.load("manila")

    assert infidelity(models.parse(document), served(document, name, [2], *values), [2], wanted) < 1e-5


@pytest.mark.parametrize("snapshot", ["manila", "lagos"])
def test_served_pairs_are_the_gate_in_both_directions(snapshot: str) -> None:
    """Read back as a client's program would be, every cx is right to 2e-3, with either qubit as its control."""
    document = snapshots.load(snapshot)
    model = models.parse(document)
    assert document.defaults is not None
    pairs = [one["qubits"] for one in document.defaults["cmd_def"] if one["name"] == "cx"]

    assert sorted(pairs) == sorted(document.configuration["coupling_map"])
    for pair in pairs:
        assert infidelity(model, served(document, "cx", pair), pair, echoes.CX) < 2e-3, pair


def test_frames_stay_right_from_gate_to_gate() -> None:
    """After a cx the frames of both qubits have turned: two of each direction in a row are still the identity."""
    document = snapshots.load("manila")
    model, instructions, now = models.parse(document), [], 0
    for pair in ([0, 1], [1, 0], [1, 0], [0, 1]):
        sequence = served(document, "cx", pair)
        instructions += [step | {"t0": step["t0"] + now} for step in sequence]
        now += max(step["t0"] + step.get("parameters", {}).get("duration", 0) for step in sequence)

    assert infidelity(model, instructions, [0, 1], np.eye(4, dtype=np.complex128)) < 1e-2


@pytest.mark.parametrize("snapshot", SHIPPED)
def test_shipped_tunings_are_good_enough(snapshot: str) -> None:
    """Every coupled pair of the devices that come with pulses has some, within the limits of the rules."""
    document = snapshots.untuned(snapshot)
    tuning = tunings.shipped(openpulse.model(document))

    assert tuning is not None
    assert sorted(tuning.qubits) == list(range(document.configuration["n_qubits"]))
    assert {tuple(sorted((pair.control, pair.target))) for pair in tuning.pairs} == {
        tuple(site) for site in calibrate.sites(document) if len(site) == 2
    }
    assert all(pair.error < 1e-3 and pair.leak < 5e-4 and math.hypot(*pair.amp) <= 0.9 for pair in tuning.pairs)
    assert all(pair.duration % 16 == 0 for pair in tuning.pairs)


def test_calibrating_again_gives_the_shipped_pulses() -> None:
    """Nothing is random, so the pulses that come along are those that the code finds."""
    document = snapshots.untuned("manila")
    shipped = tunings.shipped(openpulse.model(document))
    assert shipped is not None
    (expected,) = [pair for pair in shipped.pairs if {pair.control, pair.target} == {2, 3}]

    found = calibrate.tune(document, [[2, 3]])

    (pair,) = found.pairs
    assert sorted(found.qubits) == [2, 3]
    assert found.qubits[2].x.amp == pytest.approx(shipped.qubits[2].x.amp, abs=1e-5)
    assert (pair.control, pair.target, pair.duration) == (expected.control, expected.target, expected.duration)
    assert pair.amp == pytest.approx(expected.amp, abs=2e-3)
    assert pair.error == pytest.approx(expected.error, rel=0.05)


def test_known_pulses_are_followed_when_frequencies_move() -> None:
    """A day later, some kHz away, the known pulses are polished: the shapes stay, the errors too."""
    document = snapshots.load("manila")
    known = tunings.shipped(openpulse.model(document))
    assert known is not None
    assert document.properties is not None
    moved = msgspec.json.decode(msgspec.json.encode(document), type=device.DeviceDocument)
    assert moved.properties is not None
    for record in moved.properties["qubits"][1]:
        if record["name"] == "frequency":
            record["value"] += 25e-6

    found = calibrate.tune(moved, [[1], [0, 1]], known)

    assert found.model == openpulse.model(moved) != known.model
    assert len(found.pairs) == len(known.pairs)
    for now, before in zip(found.pairs, known.pairs, strict=True):
        assert (now.control, now.duration, now.width) == (before.control, before.duration, before.width)
        assert now.error < 5e-4


def test_a_pair_that_is_too_weak_says_so() -> None:
    """Where the coupling is too small for any length, the pair is missing, and the reason names the amplitude."""
    document = snapshots.untuned("manila")
    weak = msgspec.json.decode(msgspec.json.encode(document), type=device.DeviceDocument)
    weak.configuration["hamiltonian"]["vars"]["jq0q1"] /= 30

    found = calibrate.tune(weak, [[0, 1]])

    assert found.pairs == ()
    assert found.missing[0].qubits == (0, 1)
    assert "error" in found.missing[0].reason or "amplitude" in found.missing[0].reason
    assert "No pulses were found for the pair 0-1." in openpulse.with_pulses(weak, found).configuration["description"]


def test_an_uncoupled_pair_says_so() -> None:
    """Qubits at the ends of the chain have no coupling, so there can be no pulses."""
    found = calibrate.tune(snapshots.untuned("manila"), [[0, 4]])

    assert found.missing == (tunings.Missing((0, 4), "the Hamiltonian does not couple them"),)


@pytest.mark.parametrize("site", [[5], [0, 0], [], [0, 1, 2], [-1]])
def test_sites_that_are_none_are_refused(site: list[int]) -> None:
    """A site is a qubit or a pair of the device."""
    with pytest.raises(errors.Invalid, match="neither a qubit nor a pair"):
        calibrate.tune(snapshots.untuned("manila"), [site])


def test_devices_without_a_model_are_refused() -> None:
    """Calibrating a device whose gates are others says why it takes no pulses."""
    with pytest.raises(errors.Invalid, match="ecr"):
        calibrate.tune(snapshots.load("sherbrooke"), [[0]])


def test_a_child_calibrates_for_the_server(bench: Bench) -> None:
    """A task names the document and the sites; the answer is what was known with what was found."""
    path = bench.folder / "device.json"
    path.write_bytes(device.to_json(snapshots.untuned("armonk")))
    task = tasks.Tune(str(path), [[0]], LIMITS)

    reply = child.answer(tasks.encode(task), child.Kept())

    assert isinstance(reply, tasks.Tuned)
    assert tunings.decode(reply.tuning).qubits[0].x.amp[0] == pytest.approx(0.8185, abs=1e-3)
    again = child.answer(tasks.encode(tasks.Tune(str(path), [[1]], LIMITS, reply.tuning)), child.Kept())
    assert isinstance(again, tasks.Refused)


def test_turns_about_z_are_found_exactly() -> None:
    """Whatever two turns about z follow a gate, they are found."""
    rng = np.random.default_rng(5)
    for first, second in rng.uniform(-math.pi, math.pi, (20, 2)):
        turned = fitting.turned(echoes.CX.copy(), (-first, -second))
        turns = fitting.best_turns(turned, echoes.CX)

        assert 1.0 - fitting.fidelity(fitting.turned(turned, turns), echoes.CX) < 1e-12


def test_the_distance_of_a_gate_is_its_infidelity() -> None:
    """To second order, squares of the distance add up to (d + 1)(1 - fidelity), with what leaks out."""
    rng = np.random.default_rng(6)
    off = rng.normal(size=(9, 9)) + 1j * rng.normal(size=(9, 9))
    values, vectors = np.linalg.eigh(off + off.conj().T)
    small = (vectors * np.exp(1e-4j * values)) @ vectors.conj().T
    made_badly = small[:, :4] @ echoes.CX

    far = float(np.square(fitting.distance(made_badly, echoes.CX)).sum())

    assert far == pytest.approx(5 * (1.0 - fitting.fidelity(made_badly, echoes.CX)), rel=1e-2)
