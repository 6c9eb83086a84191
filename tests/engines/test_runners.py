# SPDX-License-Identifier: Apache-2.0
"""Circuits of `backend.run` become results that clients of that time read."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from physics import LIMITS, target
from qiskit.circuit import ClassicalRegister, Parameter, QuantumCircuit, QuantumRegister, Qubit
from qiskit.result import Result
from qiskit_ibm_runtime import RuntimeEncoder

from chandelier import errors
from chandelier.engines.primitives import runners

SIMULATOR = target("ibmq_qasm_simulator")
MANILA = target("ibmq_manila")


def params(circuits: Sequence[QuantumCircuit | str], **more: Any) -> bytes:
    """The params of a job as a client writes them."""
    return json.dumps({"circuits": list(circuits), "shots": 200, **more}, cls=RuntimeEncoder).encode()


def ran(circuits: Sequence[QuantumCircuit | str], on: Any = SIMULATOR, **more: Any) -> Result:
    """The result of some circuits, as a client reads it."""
    done = runners.open_(params(circuits, **more), on, LIMITS, "a job").run()
    return Result.from_dict(msgspec.json.decode(done.body))


def bell(name: str = "bell") -> QuantumCircuit:
    """Two registers, of which one stays empty."""
    circuit = QuantumCircuit(
        QuantumRegister(2, "q"), ClassicalRegister(2, "c"), ClassicalRegister(1, "d"), name=name, metadata={"run": 7}
    )
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def looping() -> QuantumCircuit:
    """Turns a qubit until it is 1."""
    circuit = QuantumCircuit(1, 1, name="looping")
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    return circuit


def test_results_are_found_by_the_names_of_circuits() -> None:
    """Counts have a gap between registers, since the header says where they end."""
    result = ran([bell("one"), looping(), bell("two")], memory=True, seed_simulator=5)
    counts = result.get_counts("two")

    assert result.success
    assert result.job_id == "a job"
    assert set(counts) == {"0 00", "0 11"}
    assert sum(counts.values()) == 200
    assert len(result.get_memory("one")) == 200
    assert result.get_counts("looping") == {"1": 200}
    assert result.get_memory("looping") == ["1"] * 200
    assert result.results[0].seed_simulator == 5


def test_headers_say_what_a_circuit_was() -> None:
    """Registers, labels, name, phase and metadata; a wire without a register is one of its own."""
    circuit = bell()
    circuit.add_bits([Qubit()])
    circuit.global_phase = 0.5
    header = ran([circuit]).results[0].header

    assert header == {
        "name": "bell",
        "n_qubits": 3,
        "memory_slots": 3,
        "qubit_labels": [["q", 0], ["q", 1], ["qubit2", 0]],
        "clbit_labels": [["c", 0], ["c", 1], ["d", 0]],
        "qreg_sizes": [["q", 2], ["qubit2", 1]],
        "creg_sizes": [["c", 2], ["d", 1]],
        "global_phase": 0.5,
        "metadata": {"run": 7},
    }


def test_texts_run_too() -> None:
    """What `qasm3-runner` is sent."""
    text = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; x q[1]; c = measure q;'

    assert ran([text]).get_counts(0) == {"10": 200}


@pytest.mark.parametrize(("kind", "shape"), [("single", (200, 1)), ("avg", (1,))])
def test_level_1_gives_points(kind: str, shape: tuple[int, ...]) -> None:
    """In the `memory` of each experiment, as for a Qobj."""
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)

    assert ran([circuit], MANILA, meas_level=1, meas_return=kind).get_memory(0).shape == shape


def test_a_plan_says_what_it_will_take() -> None:
    """Counts of circuits, shots, qubits and gates, and the time of the machine."""
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    plan = runners.open_(params([circuit, circuit]), MANILA, LIMITS).plan

    assert (plan.experiments, plan.shots, plan.qubits, plan.gates) == (2, 200, 2, 4)
    assert plan.device_seconds > 0
    assert plan.seconds > 0


def test_the_work_says_what_was_done() -> None:
    """Shots of all circuits, and by which methods."""
    done = runners.open_(params([bell(), looping()]), SIMULATOR, LIMITS).run()

    assert done.shots == 400
    assert done.metadata["methods"]
    assert len(done.spans) == 1


def test_what_cannot_run_is_refused() -> None:
    """Free parameters, other devices' gates, too many circuits, options that are not known."""
    free = QuantumCircuit(1)
    free.rx(Parameter("gamma"), 0)
    first = dataclasses.replace(MANILA, midcircuit=False)
    few = dataclasses.replace(SIMULATOR, max_experiments=1)
    wrong: list[tuple[int, str, Callable[[], object]]] = [
        (8038, "gamma", lambda: runners.open_(params([free]), SIMULATOR, LIMITS)),
        (8001, "h", lambda: runners.open_(params([bell()]), MANILA, LIMITS)),
        (8007, "2", lambda: runners.open_(params([bell(), bell()]), few, LIMITS)),
        (8031, "warp", lambda: runners.open_(params([bell()], warp=9), SIMULATOR, LIMITS)),
        (8010, "condition", lambda: runners.open_(params([looping()]), first, LIMITS)),
    ]
    for code, word, act in wrong:
        with pytest.raises(errors.ProgramRefused) as caught:
            act()
        assert caught.value.code == code
        assert word in caught.value.message


def test_one_failure_does_not_take_the_others_along() -> None:
    """A variable without a value fails its circuit while it runs; the result has the other."""
    circuit = QuantumCircuit(1, 3, name="dividing")
    from qiskit.circuit.classical import expr, types  # noqa: PLC0415 -- only here

    circuit.store(circuit.cregs[0], expr.div(expr.lift(1, types.Uint(3)), circuit.cregs[0]))
    result = ran([bell(), circuit])

    assert not result.success
    assert [entry.success for entry in result.results] == [True, False]
