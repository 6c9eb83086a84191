# SPDX-License-Identifier: Apache-2.0
"""The noise of a device is that of its calibration: gate by gate, while waiting, and at readout."""

import dataclasses
import math
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from physics import LIMITS, Bench, as_played, counts, distance, gate, measure, p_value, program, target, ways
from qiskit import QuantumCircuit
from qiskit.circuit import Delay
from qiskit.quantum_info import SuperOp, average_gate_fidelity
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, thermal_relaxation_error

from chandelier.engines import aer, circuits, cost, methods, noise
from chandelier.engines import target as targets
from chandelier.formats import snapshots

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from qiskit_ibm_runtime.models import BackendProperties

Probabilities = NDArray[np.float64]


def bell(name: str) -> list[dict[str, Any]]:
    """A Bell state in the gates of a device, with time for its third qubit to wait."""
    if name == "ibmq_essex":
        start = [gate("u2", [0], 0.0, math.pi), gate("u3", [2], 1.0, 0.2, 0.3)]
    else:
        start = [gate("rz", [0], 1.3), gate("sx", [0]), gate("x", [2]), gate("sx", [2])]
    return [*start, gate("cx", [0, 1]), gate("id", [0]), gate("cx", [1, 0]), gate("cx", [1, 2])]


def exact(circuit: circuits.Circuit, model: NoiseModel | None, width: int) -> Probabilities:
    """Probabilities of all qubits before they are measured."""
    bare = circuit.circuit.remove_final_measurements(inplace=False)
    bare.save_probabilities(list(range(width)))
    result = AerSimulator(method="density_matrix").run(bare, noise_model=model, shots=1).result()
    assert result.success, result.status
    return np.asarray(result.data()["probabilities"])


def aers_own(name: str) -> NoiseModel:
    """Aer's noise model of the same snapshot, by way of the package's own classes."""
    configuration, properties = snapshots.read(snapshots.DEFAULTS[name])
    known, dt = as_played(properties, target(name)), configuration.get("dt")
    return NoiseModel.from_backend_properties(BackendProperties.from_dict(known), dt=dt * 1e-9 if dt else None)


def delayed(_qubit: int, seconds: float) -> Delay:
    """A wait for Aer's own relaxation pass."""
    return Delay(seconds, unit="s")


@pytest.mark.parametrize("name", ["ibmq_essex", "ibmq_manila", "ibm_lagos"])
def test_same_noise_as_aers_own_model(name: str) -> None:
    """On a scheduled circuit our noise and Aer's, made from the raw snapshot, give the same probabilities.

    Aer derives relaxation with T2 > T1 numerically and drops terms below 1e-8; without waits nothing differs.
    """
    device = target(name)
    (way,) = ways(program(bell(name), memory_slots=3), device)
    ours = exact(aer.build(way, device), aer.noise_model([way], device), 3)
    scheduled = circuits.build(way.steps, slots=3, phase=0.0, native=methods.native(way.plan.method), idle=delayed)
    theirs = exact(scheduled, aers_own(name), 3)
    ideal = exact(circuits.build(way.steps, slots=3, phase=0.0, native=frozenset({"cx"})), None, 3)

    assert any(step.name == "delay" for step in way.steps)
    assert distance(ours, theirs) < 1e-8
    assert distance(ours, ideal) > 1e-3


def read_out(probabilities: Probabilities, device: targets.Target, qubits: int) -> Probabilities:
    """Probabilities after the readout errors of the first qubits."""
    for index in range(qubits):
        data = device.qubits[index]
        flip = np.array([[1 - data.flip_up, data.flip_down], [data.flip_up, 1 - data.flip_down]])
        shaped = probabilities.reshape(2 ** (qubits - index - 1), 2, 2**index)
        probabilities = np.einsum("ij,ajb->aib", flip, shaped).reshape(-1)
    return probabilities


@pytest.mark.parametrize("name", ["ibmq_essex", "ibmq_manila", "ibm_lagos"])
def test_noisy_counts(bench: Bench, name: str) -> None:
    """Counts follow Aer's own model of the snapshot, read out with the published errors."""
    device = target(name)
    wanted = program([*bell(name), measure(0, 1, 2)], shots=8000)
    (way,) = ways(wanted, device)
    before = [step for step in way.steps if step.name != "measure"]
    scheduled = circuits.build(before, slots=3, phase=0.0, native=methods.native(way.plan.method), idle=delayed)
    expected = read_out(exact(scheduled, aers_own(name), 3), device, 3)
    found = counts(bench.run(wanted, name))

    assert p_value(found, expected) > 1e-6


def test_all_ways_have_the_same_noise(bench: Bench) -> None:
    """Blocks, Aer's density matrix and its single trajectories agree on what a device does."""
    device = target("ibmq_manila")
    wanted = program([*bell("ibmq_manila"), measure(0, 1, 2)], shots=20_000)
    (way,) = ways(wanted, device)
    expected = read_out(exact(aer.build(way, device), aer.noise_model([way], device), 3), device, 3)
    result = bench.run(wanted, "ibmq_manila")

    assert result["results"][0]["metadata"]["method"] == "density_matrix"
    assert p_value(counts(result), expected) > 1e-6
    for method in (methods.DENSITY_MATRIX, methods.STATEVECTOR):
        plan = dataclasses.replace(way.plan, path=cost.AER, method=method)
        (outcome,) = aer.run([dataclasses.replace(way, plan=plan, order=None)], device, LIMITS)
        found = {int(key, 16): number for key, number in outcome.result.data["counts"].items()}
        assert p_value(found, expected) > 1e-6


def test_readout_error_is_published(bench: Bench) -> None:
    """Preparing 0 and 1 is read wrong as often as the calibration says."""
    device = target("ibmq_armonk")
    data = device.qubits[0]
    result = bench.run(program([measure(0)], [gate("x", [0]), measure(0)], shots=8000), "ibmq_armonk")
    error = device.gates["x", (0,)].error or 0.0

    assert p_value(counts(result, 0), np.array([1 - data.flip_up, data.flip_up])) > 1e-6
    down = data.flip_down + (1 - data.flip_up - data.flip_down) * error
    assert p_value(counts(result, 1), np.array([down, 1 - down])) > 1e-6


@pytest.mark.parametrize("name", ["ibmq_manila", "ibm_sherbrooke"])
def test_gate_errors_are_published(name: str) -> None:
    """A noisy gate has the published infidelity, or that of relaxation alone where it is worse."""
    device = target(name)
    sites = [site for site in device.gates if set(site[1]) <= set(range(5)) and site not in device.faulty_gates]
    model = noise.model(device, sites, [])
    assert model is not None
    checked = 0
    for site, error in noise.errors_of(device, sites).items():
        published = device.gates[site].error
        if not published or error is None:
            continue
        length = device.gates[site].length
        idle = [noise.relaxation(device, index, length) for index in site[1]]
        together = SuperOp(idle[0]) if len(idle) == 1 else SuperOp(idle[0]).expand(SuperOp(idle[1]))
        limit = 1 - average_gate_fidelity(together)
        found = 1 - average_gate_fidelity(SuperOp(error))
        assert found == pytest.approx(max(published, limit), rel=1e-4), site
        checked += 1

    assert checked > 10


@pytest.mark.parametrize(("t1", "t2"), [(100e-6, 50e-6), (100e-6, 100e-6), (100e-6, 150e-6), (100e-6, 200e-6)])
def test_relaxation(t1: float, t2: float) -> None:
    """Waiting decays populations with T1 and coherences with T2, for every possible pair of them."""
    qubit = targets.QubitData(t1, t2, None, 0.0, 0.0, 0.0)
    device = target("ibmq_armonk")
    error = noise.relaxation(dataclasses.replace(device, qubits=(qubit,)), 0, 30e-6)
    assert error is not None
    channel = SuperOp(error).data
    keep, coherence = math.exp(-0.3), math.exp(-30e-6 / t2)
    wanted = np.array([[1, 0, 0, 1 - keep], [0, coherence, 0, 0], [0, 0, coherence, 0], [0, 0, 0, keep]])

    assert np.abs(channel - wanted).max() < 1e-12
    assert np.abs(channel - SuperOp(thermal_relaxation_error(t1, t2, 30e-6)).data).max() < 1e-7


def test_an_idle_qubit_decays() -> None:
    """An excited qubit that waits for its neighbour keeps its excitation with probability e^(-t/T1)."""
    device = target("ibmq_manila")
    idle = [gate("x", [1]), gate("barrier", [0, 1]), *[gate("x", [0])] * 1000, gate("barrier", [0, 1])]
    idle += [gate("rz", [1], 0.1)]
    (way,) = ways(program(idle, memory_slots=2), device)
    up = exact(aer.build(way, device), aer.noise_model([way], device), 2).reshape(2, 2).sum(axis=1)[1]
    time = 1000 * device.gates["x", (0,)].length
    (bare,) = ways(program([gate("x", [1])], memory_slots=2), device)
    start = exact(aer.build(bare, device), aer.noise_model([bare], device), 2).reshape(2, 2).sum(axis=1)[1]

    assert up / start == pytest.approx(math.exp(-time / device.qubits[1].t1), rel=1e-6)
    assert up / start < 0.9


def test_a_qubit_at_rest_does_not_decay() -> None:
    """A qubit that has nothing to do before its first gate has it as late as possible."""
    device = target("ibmq_manila")
    busy = [*[gate("x", [0])] * 1000, gate("x", [1]), gate("barrier", [0, 1])]
    (way,) = ways(program(busy, memory_slots=2), device)

    assert not any(step.name == "delay" for step in way.steps)


def test_only_the_errors_of_the_job_are_loaded() -> None:
    """On a big device the model of a small job has a handful of errors."""
    device = target("ibm_sherbrooke")
    (way,) = ways(program([gate("sx", [1]), gate("ecr", [1, 0]), measure(0, 1)]), device)
    model = aer.noise_model([way], device)
    assert model is not None

    assert len(model.to_dict()["errors"]) == 4
    assert set(model.noise_qubits) == {0, 1}


def test_a_simulator_has_no_noise() -> None:
    """An ideal simulator has no noise model."""
    device = target("ibmq_qasm_simulator")
    (way,) = ways(program([gate("h", [1]), measure(1)]), device)

    assert aer.noise_model([way], device) is None


def flipping(probability: float, **more: Any) -> dict[str, Any]:
    """A noise model that flips a qubit after x, as Aer writes it."""
    return {
        "errors": [
            {
                "type": "qerror",
                "operations": ["x"],
                "instructions": [[gate("x", [0])], [gate("id", [0])]],
                "probabilities": [probability, 1 - probability],
                "id": "flip",
            },
            {"type": "roerror", "operations": ["measure"], "probabilities": [[1, 0], [0.25, 0.75]], **more},
        ]
    }


def test_noise_that_a_user_brings_along(bench: Bench) -> None:
    """A simulator adds the noise model that a program brings along."""
    wanted = program([gate("x", [0]), measure(0)], shots=20_000, noise_model=flipping(0.2))
    found = counts(bench.run(wanted, "ibmq_qasm_simulator"))

    assert p_value(found, np.array([0.2 + 0.8 * 0.25, 0.8 * 0.75])) > 1e-6


def test_a_users_noise_as_aer_writes_it(bench: Bench) -> None:
    """A device's noise, written by Aer and sent along, makes a simulator as noisy as the device."""
    own = aers_own("ibmq_manila").to_dict(serializable=True)
    small = {"errors": [e for e in own["errors"] if all(set(q) <= {0, 1} for q in e["gate_qubits"])]}
    start = [gate("sx", [0]), gate("cx", [0, 1])]
    result = bench.run(program([*start, measure(0, 1)], shots=20_000, noise_model=small), "ibmq_qasm_simulator")
    circuit = QuantumCircuit(2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.save_probabilities()
    simulator = AerSimulator(method="density_matrix", noise_model=aers_own("ibmq_manila"))
    clean = np.asarray(simulator.run(circuit, shots=1).result().data()["probabilities"])

    assert p_value(counts(result), read_out(clean, target("ibmq_manila"), 2)) > 1e-6


@pytest.mark.parametrize(
    "model",
    [
        {"errors": [{"type": "other", "probabilities": []}]},
        {"errors": [{"type": "roerror", "probabilities": [[2, -1], [0, 1]]}]},
        {"errors": "none"},
        {"errors": [{**flipping(0.2)["errors"][0], "probabilities": [0.5]}]},
        {"errors": [{**flipping(0.2)["errors"][0], "probabilities": [0.9, 0.9]}]},
        {"errors": [{**flipping(0.2)["errors"][0], "instructions": [[gate("measure", [0])], []]}]},
        {"errors": [{**flipping(0.2)["errors"][0], "instructions": [[gate("x", [9])], []]}]},
        {"errors": [{**flipping(0.2)["errors"][0], "instructions": [[gate("kraus", [0], [[2]])], []]}]},
        flipping(0.2, gate_qubits=[["0"]]),
    ],
)
def test_a_users_noise_that_is_wrong(bench: Bench, model: dict[str, Any]) -> None:
    """A noise model that is not of the documented form is refused before anything runs."""
    wanted = program([gate("x", [0]), measure(0)], noise_model=model)
    reply = bench.reply(wanted, "ibmq_qasm_simulator", LIMITS)

    assert (type(reply).__name__, getattr(reply, "code", None)) == ("Refused", 8010), reply
