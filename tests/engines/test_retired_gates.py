# SPDX-License-Identifier: Apache-2.0
"""The gates of 2020 on devices of 2021, which make them of `sx` and `rz`; each device of 2020 runs a program."""

import math
from collections.abc import Callable, Mapping

import pytest
from asking import scrambled
from physics import LIMITS, Json, gate, measure, program, ways
from qiskit import transpile
from qiskit.circuit import CircuitInstruction, Gate
from qiskit.circuit.library import U1Gate, U2Gate, U3Gate
from qiskit.quantum_info import Operator

from chandelier import errors
from chandelier.engines import aer, shots, validation
from chandelier.engines import target as targets
from chandelier.engines.target import Target
from chandelier.formats import snapshots

E = math.pi / 2


def old(name: str) -> Target:
    """A device of the set of 2020."""
    return targets.parse(snapshots.load(snapshots.ERA_2020[name], name))


def counts(wanted: Json, on: Target) -> dict[str, int]:
    """Run a program of one experiment with the device's noise."""
    (outcome,) = aer.run(ways(wanted, on), on, LIMITS)
    found: dict[str, int] = outcome.result.data["counts"]
    return found


@pytest.mark.parametrize("name", ["ibmq_rome", "ibmq_armonk", "ibmqx2", "ibmq_16_melbourne"])
def test_each_retired_gate_is_so_many_pulses(name: str) -> None:
    """One for u2, two for u3, none for u1; errors compose as fidelities multiply."""
    device = old(name)
    for index in range(device.n_qubits):
        pulse = device.gates["sx", (index,)]
        assert pulse.error is not None
        u1, u2, u3 = (device.gates[kind, (index,)] for kind in ("u1", "u2", "u3"))
        assert (u1.error, u1.length) == (0, 0)
        assert u2.error == pytest.approx(pulse.error)
        assert u3.error == pytest.approx(2 * pulse.error - pulse.error**2)
        assert (u2.length, u3.length) == (pulse.length, 2 * pulse.length)


@pytest.mark.parametrize("name", ["ibmq_essex", "ibmq_london", "ibmq_burlington"])
def test_the_published_numbers_of_2020_follow_the_same_rule(name: str) -> None:
    """So what is made up for later devices is what would have been published."""
    device = old(name)
    for index in range(device.n_qubits):
        u2, u3 = device.gates["u2", (index,)], device.gates["u3", (index,)]
        assert u2.error is not None
        assert u3.error == pytest.approx(2 * u2.error - u2.error**2, rel=1e-6)
        assert u3.length == pytest.approx(2 * u2.length)


@pytest.mark.parametrize("name", sorted(snapshots.ERA_2020))
def test_every_device_of_2020_flips_a_qubit_with_its_noise(name: str) -> None:
    """Mostly, and not always."""
    device = old(name)
    found = counts(program([gate("u3", [0], math.pi, 0.0, math.pi), measure(0)], shots=4000), device)

    expected = 1 - device.qubits[0].flip_down
    assert found["0x1"] / 4000 == pytest.approx(expected, abs=5 * math.sqrt(0.05 / 4000) + 0.01)


@pytest.mark.parametrize("name", ["ibmq_rome", "ibmq_vigo", "ibmqx2", "ibmq_16_melbourne"])
def test_old_and_new_words_say_the_same(name: str) -> None:
    """A Bell pair by u2, and one by rz and sx, have equal counts up to the drawing of shots."""
    device = old(name)
    by_u2 = program([gate("u2", [0], 0.0, math.pi), gate("cx", [0, 1]), measure(0, 1)], shots=8000)
    turn = gate("rz", [0], E)
    by_sx = program([turn, gate("sx", [0]), turn, gate("cx", [0, 1]), measure(0, 1)], shots=8000)

    first, second = counts(by_u2, device), counts(by_sx, device)
    for key in ("0x0", "0x1", "0x2", "0x3"):
        assert first[key] / 8000 == pytest.approx(second[key] / 8000, abs=0.025)


def test_a_device_that_never_took_them_refuses() -> None:
    """They are not in its basis, and it does not say that it supports them."""
    device = targets.parse(snapshots.load("manila"))

    with pytest.raises(errors.ProgramRefused) as caught:
        ways(program([gate("u2", [0], 0.0, 0.0), measure(0)]), device)
    assert caught.value.code == 8001
    assert validation.TRANSPILE in caught.value.message


def test_retired_gates_of_three_angles() -> None:
    """One client sends three angles with each gate; those that the gate takes are used."""
    device = old("ibmq_rome")
    flip = program([gate("u2", [0], 0.0, 0.0, 0.0), gate("u2", [0], 0.0, 0.0, 0.0), measure(0)], shots=2000)

    assert counts(flip, device)["0x1"] > 1800


#: The circuit of a client of today, and what the device makes of it.
SPELT: Mapping[str, Callable[..., Gate]] = {
    "rz": U1Gate,
    "sx": lambda: U2Gate(-E, E),
    "x": lambda: U3Gate(math.pi, 0.0, math.pi),
}


@pytest.mark.parametrize("name", ["ibmq_essex", "ibmq_london"])
def test_gates_of_today_are_those_of_2020(name: str) -> None:
    """Equal up to a phase, with their errors and durations, so that every distribution is the same."""
    device = old(name)
    circuit = transpile(scrambled(3, 7), basis_gates=["rz", "sx", "x", "cx"], coupling_map=[[0, 1], [1, 2]])
    circuit.x(0)
    circuit.measure_all()
    spelt = circuit.copy_empty_like()
    for step in circuit.data:
        spell = SPELT.get(step.name)
        spelt.append(step if spell is None else CircuitInstruction(spell(*step.params), step.qubits))
    assert {"rz", "sx", "x"} <= set(circuit.count_ops())
    assert {"u1", "u2", "u3"} <= set(spelt.count_ops())
    assert Operator(circuit.remove_final_measurements(inplace=False)).equiv(
        Operator(spelt.remove_final_measurements(inplace=False))
    )
    one, other = shots.exact(circuit, device, LIMITS), shots.exact(spelt, device, LIMITS)

    assert one is not None
    assert other is not None
    assert len(one) == 8
    assert one == pytest.approx(other, abs=1e-12)
