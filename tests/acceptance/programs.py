# SPDX-License-Identifier: Apache-2.0
"""Small Qobj programs, written as the wire has them."""

from typing import Any, Final

SQRT_HALF: Final = 2**-0.5


def qobj(*experiments: dict[str, Any], shots: int = 1024, **config: Any) -> dict[str, Any]:
    """Put experiments into an envelope."""
    slots = max(experiment["config"]["memory_slots"] for experiment in experiments)
    return {
        "qobj_id": "acceptance",
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {"made_by": "acceptance"},
        "config": {"shots": shots, "memory_slots": slots, **config},
        "experiments": list(experiments),
    }


def experiment(name: str, qubits: int, *instructions: dict[str, Any], slots: int | None = None) -> dict[str, Any]:
    """Return an experiment over one quantum and one classical register."""
    slots = qubits if slots is None else slots
    return {
        "header": {
            "name": name,
            "n_qubits": qubits,
            "memory_slots": slots,
            "qubit_labels": [["q", qubit] for qubit in range(qubits)],
            "clbit_labels": [["c", slot] for slot in range(slots)],
            "qreg_sizes": [["q", qubits]],
            "creg_sizes": [["c", slots]],
            "global_phase": 0.0,
            "metadata": {"asked": name},
        },
        "config": {"n_qubits": qubits, "memory_slots": slots},
        "instructions": list(instructions),
    }


def gate(name: str, *qubits: int, params: tuple[float, ...] = ()) -> dict[str, Any]:
    """Return a gate instruction."""
    return {"name": name, "qubits": list(qubits), "params": list(params)}


def measure(*qubits: int) -> dict[str, Any]:
    """Return a measurement of each qubit into the slot of the same number."""
    return {"name": "measure", "qubits": list(qubits), "memory": list(qubits)}


def bell(shots: int = 1024, **config: Any) -> dict[str, Any]:
    """Return a Bell circuit as a simulator takes it."""
    circuit = experiment("bell", 2, gate("h", 0), gate("cx", 0, 1), measure(0, 1))
    return qobj(circuit, shots=shots, **config)


def device_bell(shots: int = 1024, **config: Any) -> dict[str, Any]:
    """Return a Bell circuit in the basis of the devices of 2021 (rz, sx, x, cx)."""
    # Up to a phase rz(π/2)·sx·rz(π/2) is the Hadamard gate.
    turn = gate("rz", 0, params=(1.5707963267948966,))
    circuit = experiment("bell", 2, turn, gate("sx", 0), turn, gate("cx", 0, 1), measure(0, 1))
    return qobj(circuit, shots=shots, **config)


def flipped(name: str = "flipped", shots: int = 16) -> dict[str, Any]:
    """Return a program whose only outcome is `0x1`."""
    return qobj(experiment(name, 1, gate("x", 0), measure(0)), shots=shots)


def slow(shots: int) -> dict[str, Any]:
    """Return a program that must be evolved shot by shot, at some hundred shots a second.

    The measurements behind each layer and a gate of five qubits take every short cut away; the state is small.
    """
    qubits, layers = 12, 3
    instructions = []
    for _ in range(layers):
        instructions += [gate("rx", qubit, params=(0.3 + 0.1 * qubit,)) for qubit in range(qubits)]
        instructions += [gate("cx", qubit, qubit + 1) for qubit in range(qubits - 1)]
        instructions += [gate("mcx", 0, 3, 6, 9, 11), measure(*range(qubits))]
    return qobj(experiment("slow", qubits, *instructions), shots=shots)


def wide(qubits: int) -> dict[str, Any]:
    """Return an entangled circuit without structure that a cheaper method than a statevector could use."""
    instructions = []
    for layer in range(1, 9):
        instructions += [gate("rx", qubit, params=(0.1 * qubit + 0.3 * layer,)) for qubit in range(qubits)]
        pairs = [(qubit, (qubit * 7 + layer) % qubits) for qubit in range(qubits)]
        instructions += [gate("cx", *pair) for pair in pairs if pair[0] != pair[1]]
    return qobj(experiment("wide", qubits, *instructions, measure(*range(qubits))), shots=100)


def failing() -> dict[str, Any]:
    """Return a program of one good experiment, and one that only its simulation shows to be impossible.

    It asks for the state of some of its qubits, which Aer refuses when it runs.
    """
    good = experiment("good", 1, gate("x", 0), measure(0))
    bad = experiment("bad", 2, gate("h", 0), gate("save_statevector", 0), measure(0, 1))
    return qobj(good, bad, shots=20)
