# SPDX-License-Identifier: Apache-2.0
"""What the tests of noisy circuits share: random circuits of a device, and their probabilities by two ways."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from physics import Json, gate
from qiskit.quantum_info import SuperOp
from qiskit_aer import AerSimulator

from chandelier.engines import aer, cost, exact, gates, noise, routes, superops
from chandelier.engines import target as targets

Probabilities = NDArray[np.float64]

#: Devices with qubits in a row, all of whose gates work.
PATHS = {
    "ibmq_armonk": [0],
    "ibmq_manila": [0, 1, 2, 3, 4],
    "ibmq_essex": [0, 1, 3, 4],
    "ibm_lagos": [0, 1, 3, 5, 4],
    "ibm_hanoi": [0, 1, 4, 7, 10],
    "ibm_sherbrooke": [0, 1, 2, 3, 4],
    "ibm_kingston": [0, 1, 2, 3, 4],
}


def random_steps(device: targets.Target, path: Sequence[int], rng: np.random.Generator, length: int) -> list[Json]:
    """Instructions of a device on some qubits, each of its basis at least once where it exists there."""
    names = sorted(device.basis - {"reset", "delay"})
    steps: list[Json] = []
    for name in [*names, *(str(name) for name in rng.choice(names, length))]:
        shape = gates.SHAPES[name]
        sites = [(index,) for index in path] if shape.qubits == 1 else sorted(device.edges[name])
        usable = [site for site in sites if set(site) <= set(path) and (name, site) not in device.faulty_gates]
        if usable:
            site = usable[rng.integers(len(usable))]
            steps.append(gate(name, site, *(float(angle) for angle in rng.uniform(-3, 3, shape.params))))
    return steps


def computed(way: routes.Route, device: targets.Target) -> Probabilities:
    """Probabilities of the memory, by the exact path."""
    assert way.plan.path == cost.EXACT
    assert way.order is not None
    found = exact.probabilities(way.order, superops.of_device(device))
    slots = exact.wiring(way.order).slots
    memory = np.zeros(1 << way.experiment.slots)
    for index, probability in enumerate(found):
        memory[sum((index >> place & 1) << slot for slot, place in slots)] += probability
    return memory


def misread(probabilities: Probabilities, device: targets.Target, qubits: Sequence[int]) -> Probabilities:
    """Probabilities of what is read of some qubits, the first least significant."""
    for place, index in enumerate(qubits):
        data = device.qubits[index]
        flip = np.array([[1 - data.flip_up, data.flip_down], [data.flip_up, 1 - data.flip_down]])
        shaped = probabilities.reshape(-1, 2, 1 << place)
        probabilities = np.einsum("ij,ajb->aib", flip, shaped).reshape(-1)
    return probabilities


def by_aer(way: routes.Route, device: targets.Target, measured: Sequence[int]) -> Probabilities:
    """Probabilities of some qubits by Aer's density matrix, with every error as a superoperator of its own.

    As a noise model the same errors would lose what has a probability below 1e-10.
    """
    built = aer.build(way, device).circuit
    circuit = built.copy_empty_like()
    for step in built.data:
        if step.operation.name == "measure":
            continue
        circuit.append(step.operation, step.qubits)
        site = step.operation.name, tuple(built.find_bit(qubit).index for qubit in step.qubits)
        error = noise.errors_of(device, [site])[site]
        if error is not None:
            circuit.append(SuperOp(error).to_instruction(), step.qubits)
    circuit.save_probabilities(list(measured))
    result = AerSimulator(method="density_matrix").run(circuit, shots=1).result()
    assert result.success, result.status
    return misread(np.asarray(result.data()["probabilities"]), device, measured)
