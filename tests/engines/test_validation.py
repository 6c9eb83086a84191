# SPDX-License-Identifier: Apache-2.0
"""Each way in which a program does not fit a device is refused with its own code and a message that helps."""

from collections.abc import Sequence
from typing import Any

import pytest
from physics import Json, gate, measure, opened, program, sample, target

from chandelier import errors
from chandelier.engines import programs, validation
from chandelier.formats import qobj

X = gate("x", [0])
DEVICES = {
    name: target(name)
    for name in (
        "ibmq_armonk",
        "ibmq_essex",
        "ibmq_manila",
        "ibm_hanoi",
        "ibm_sherbrooke",
        "ibmq_qasm_simulator",
        "simulator_statevector",
        "simulator_mps",
        "simulator_stabilizer",
        "simulator_extended_stabilizer",
    )
}
BFUNC = {"name": "bfunc", "mask": "0x1", "relation": "==", "val": "0x1", "register": 2}


def misread(rows: object = ((0.9, 0.1), (0.2, 0.8))) -> Json:
    """A readout error on the first memory slot."""
    return {"name": "roerror", "memory": [0], "params": rows}


#: device, code, words of the message, program
REFUSALS: list[tuple[str, int, Sequence[str], Json]] = [
    ("ibmq_manila", 8001, ["Experiment 1, instruction 2", "h on qubit 0", "cx, id, rz, sx, x", "Transpile"],
     program([X], [X, X, gate("h", [0])])),
    ("ibmq_manila", 8001, ["'ghz'"[1:-1]], program([gate("ghz", [0, 1, 2])])),
    ("ibmq_manila", 8001, ["u3"], program([gate("U", [0], 0.1, 0.2, 0.3)])),
    ("ibmq_manila", 8001, ["initialize"], program([gate("initialize", [0], [1, 0], [0, 0])])),
    ("ibmq_manila", 8010, ["if_else", "bfunc"], program([gate("if_else", [0])])),
    ("ibmq_manila", 8002, ["no cx", "0, 2"], program([gate("cx", [0, 2])])),
    ("ibm_sherbrooke", 8002, ["in this direction", "from 1 to 0"], program([gate("ecr", [0, 1])])),
    ("ibm_hanoi", 8003, ["cx on these qubits", "faulty", "cx from 8 to 5"], program([gate("cx", [5, 8])])),
    ("ibm_sherbrooke", 8003, ["faulty"], program([gate("ecr", [7, 6])])),
    ("ibmq_manila", 8004, ["2 qubits, not 1"], program([gate("cx", [0])])),
    ("ibmq_manila", 8004, ["1 parameters, not 0"], program([gate("rz", [0])])),
    ("ibmq_manila", 8004, ["finite numbers"], program([gate("rz", [0], "pi")])),
    ("ibmq_manila", 8004, ["memory or register"], program([gate("measure", [0])])),
    ("ibmq_manila", 8004, ["2 qubits into 1 slots"], program([gate("measure", [0, 1], memory=[0])])),
    ("ibmq_manila", 8004, ["no qubits"], program([gate("reset", [])])),
    ("ibmq_manila", 8004, ["duration"], program([gate("delay", [0], -1)])),
    ("ibmq_manila", 8004, ["duration"], program([gate("delay", [0], "long")])),
    ("ibmq_manila", 8004, ["longer", "86400 s"], program([gate("delay", [0], 1e305, unit="s")])),
    ("ibmq_manila", 8004, ["longer"], program([gate("delay", [0], 10**400)])),
    ("ibmq_qasm_simulator", 8004, ["longer"], program([gate("delay", [0], 1e305)])),
    ("ibmq_manila", 8004, ["'weeks'"], program([gate("delay", [0], 1, unit="weeks")])),
    ("ibmq_manila", 8005, ["qubits 0 to 4", "no qubit 5"], program([gate("x", [5])])),
    ("ibmq_manila", 8005, ["same qubit twice"], program([gate("cx", [1, 1])])),
    ("ibmq_manila", 8005, ["declares 2 memory slots", "no slot 2"],
     program([gate("measure", [0], memory=[2])], memory_slots=2)),
    ("ibmq_manila", 8005, ["same memory slot"], program([gate("measure", [0, 1], memory=[0, 0])])),
    ("ibmq_manila", 8005, ["up to 10000"], program([X], memory_slots=100_000)),
    ("ibmq_manila", 8006, ["200000 shots", "1 to 100000"], program([X], shots=200_000)),
    ("ibmq_essex", 8006, ["1 to 8192"], program([gate("u1", [0], 1)], shots=8193)),
    ("ibmq_essex", 8007, ["76 experiments", "up to 75"], program(*[[gate("u1", [0], 1)]] * 76)),
    ("ibmq_manila", 8010, ["level 0", "1 (points) and 2 (bits) for circuits"], program([X], meas_level=0)),
    ("ibmq_manila", 8010, ["level 3"], program([X], meas_level=3)),
    ("ibmq_manila", 8010, ["'mean'", "'single' or 'avg'"], program([X], meas_level=1, meas_return="mean")),
    ("ibmq_essex", 8010, ["level 1", "level 2 (bits) only"], program([gate("u1", [0], 1)], meas_level=1)),
    ("ibmq_qasm_simulator", 8010, ["level 1", "level 2 (bits) only"], program([X], meas_level=1)),
    ("ibmq_manila", 8010, ["pulses"], sample("cals")),
    ("ibmq_manila", 8010, ["noise model"], program([X], noise_model={"errors": []})),
    ("ibmq_manila", 8010, ["conditions", "Take a simulator"],
     program([measure(0), BFUNC, gate("x", [1], conditional=2)])),
    ("ibmq_manila", 8010, ["for simulators"], program([gate("save_statevector", [0])])),
    ("ibmq_manila", 8010, ["for simulators"], program([gate("snapshot", [0], label="a")])),
    ("ibmq_manila", 8010, ["for simulators"], program([gate("kraus", [0])])),
    ("ibmq_essex", 8001, ["cannot reset"], program([gate("reset", [0])])),
    ("ibmq_essex", 8001, ["no delays"], program([gate("delay", [0], 100)])),
    ("ibmq_essex", 8001, ["sx"], program([gate("sx", [0])])),
    ("ibmq_essex", 8010, ["after it was measured"], program([measure(0), gate("u1", [0], 1.0)])),
    ("ibmq_qasm_simulator", 8001, ["'ghz'", "Transpile"], program([gate("ghz", [0])])),
    ("ibmq_qasm_simulator", 8010, ["if_else", "bfunc"], program([gate("if_else", [0])])),
    ("ibmq_qasm_simulator", 8004, ["not unitary"], program([gate("unitary", [0], [[1, 0], [1, 1]])])),
    ("ibmq_qasm_simulator", 8004, ["shape"], program([gate("unitary", [0, 1], [[1, 0], [0, 1]])])),
    ("ibmq_qasm_simulator", 8004, ["array"], program([gate("unitary", [0], [["a", 0], [0, 1]])])),
    ("ibmq_qasm_simulator", 8004, ["one parameter"], program([gate("unitary", [0])])),
    ("ibmq_qasm_simulator", 8004, ["norm"], program([gate("initialize", [0], 1, 1)])),
    ("ibmq_qasm_simulator", 8004, ["label"], program([gate("initialize", [0], "q")])),
    ("ibmq_qasm_simulator", 8004, ["modulus 1"], program([gate("diagonal", [0], 1, 2)])),
    ("ibmq_qasm_simulator", 8004, ["trace"], program([gate("kraus", [0], [[1, 0], [0, 2]])])),
    ("ibmq_qasm_simulator", 8004, ["trace preserving"], program([gate("superop", [0], [[2, 0, 0, 0]] * 4)])),
    ("ibmq_qasm_simulator", 8004, ["fit"], program([gate("multiplexer", [0, 1], [[1, 0], [0, 1]])])),
    ("ibmq_qasm_simulator", 8004, ["Pauli"], program([gate("pauli", [0], "XX")])),
    ("ibmq_qasm_simulator", 8004, ["Pauli"], program([gate("save_expval", [0], ["Z", [True, 0]])])),
    ("ibmq_qasm_simulator", 8004, ["dimensions"], program([gate("initialize", [0, 1], True)])),
    ("ibmq_qasm_simulator", 8004, ["dimensions"], program([gate("initialize", [0], True, False)])),
    ("ibmq_qasm_simulator", 8004, ["dimensions"], program([gate("set_statevector", [0], [[True, 0], 0])])),
    ("ibmq_qasm_simulator", 8004, ["dimensions"], program([gate("unitary", [0], [["1", "0"], ["0", "1"]])])),
    ("ibmq_qasm_simulator", 8004, ["dimensions"], program([gate("diagonal", [0], 10**400, 1)])),
    ("ibmq_qasm_simulator", 8004, ["finite"], program([gate("rx", [0], 10**400)])),
    ("ibmq_qasm_simulator", 8004, ["Pauli"], program([gate("save_expval", [0], ["Q", [1, 0]])])),
    ("ibmq_qasm_simulator", 8004, ["states"], program([gate("save_amplitudes", [0], 7)])),
    ("ibmq_qasm_simulator", 8004, ["density matrix"], program([gate("set_density_matrix", [0], [[1, 0], [0, 1]])])),
    ("ibmq_qasm_simulator", 8004, ["no qubits"], program([gate("pauli", [], "")])),
    ("ibmq_qasm_simulator", 8004, ["bit mask"], program([BFUNC | {"mask": "rot"}])),
    ("ibmq_qasm_simulator", 8004, ["bit mask"], program([BFUNC | {"val": -1}])),
    ("ibmq_qasm_simulator", 8004, ["301 bits", "up to 256"], program([BFUNC | {"val": hex(1 << 300)}])),
    ("ibmq_qasm_simulator", 8004, ["4000000 bits"], program([BFUNC | {"val": "f" * 1_000_000}])),
    ("ibmq_qasm_simulator", 8004, ["301 bits"],
     program([gate("x", [0], conditional={"mask": "0x1", "val": hex(1 << 300)})])),
    ("ibmq_qasm_simulator", 8004, ["relation", "'~'"], program([BFUNC | {"relation": "~"}])),
    ("ibmq_qasm_simulator", 8004, ["mask, val and register"], program([{"name": "bfunc", "mask": 1}])),
    ("ibmq_qasm_simulator", 8004, ["register_orig"], program([{"name": "copy"}])),
    ("ibmq_qasm_simulator", 8005, ["register slot 5"], program([gate("x", [0], conditional=5)])),
    ("ibmq_qasm_simulator", 8005, ["register slots"], program([gate("measure", [0], register=[99_999])])),
    ("ibmq_qasm_simulator", 8005, ["qubits 0 to 31"], program([gate("x", [32])])),
    ("ibmq_qasm_simulator", 8010, ["misreads 0 slots"], program([gate("roerror", [0], [1, 0], [0, 1])])),
    ("ibmq_qasm_simulator", 8004, ["shape (1, 2)"], program([measure(0), misread([[1, 0]])])),
    ("ibmq_qasm_simulator", 8004, ["sum 1"], program([measure(0), misread([[1, 0], [0.2, 0.2]])])),
    ("ibmq_qasm_simulator", 8010, ["follows a roerror"], program([measure(0), misread(), measure(0)])),
    ("ibmq_qasm_simulator", 8010, ["follows a roerror"], program([measure(0), misread(), BFUNC])),
    ("ibmq_qasm_simulator", 8010, ["follows a roerror"], program([measure(0), misread(), gate("save_state", [0])])),
    ("ibmq_manila", 8010, ["roerror", "errors of its own"], program([measure(0), misread()])),
    ("ibmq_qasm_simulator", 8005, ["all qubits in use", "[0, 1]"],
     program([gate("cx", [0, 1]), gate("set_statevector", [0], 1, 0)])),
    ("ibmq_qasm_simulator", 8004, ["label 'a'"],
     program([gate("save_state", [0], label="a"), gate("save_probabilities", [0], label="a")])),
    ("ibmq_qasm_simulator", 8005, ["memory slot 3", "declares 1"],
     program([measure(0), gate("x", [0], conditional={"mask": "0x8", "val": "0x8"})])),
    ("ibmq_qasm_simulator", 8010, ["bits"], program([BFUNC | {"mask": hex(1 << 300)}])),
    ("ibmq_qasm_simulator", 8010, ["snapshots of type"], program([gate("snapshot", [0], snapshot_type="odd")])),
    ("ibmq_qasm_simulator", 8010, ["'magic'"], program([X], method="magic")),
    ("ibmq_qasm_simulator", 8010, ["condition"], program([BFUNC, misread() | {"conditional": 2}])),
    ("simulator_statevector", 8010, ["'stabilizer'"], program([X], method="stabilizer")),
    ("simulator_stabilizer", 8001,
     ["t is not", "(stabilizer)", "to ibmq_qasm_simulator or simulator_statevector or simulator_mps"],
     program([gate("t", [0])])),
    ("simulator_stabilizer", 8001, ["these methods can: unitary", "to ibmq_qasm_simulator"],
     program([gate("save_unitary", [0])])),
    ("simulator_mps", 8001, ["save_unitary"], program([gate("save_unitary", [0])])),
    ("ibmq_qasm_simulator", 8010, ["unitary method", "conditions"],
     program([BFUNC, gate("save_unitary", [0])], method="unitary")),
    ("ibmq_qasm_simulator", 8010, ["unitary method", "add a save_unitary"], program([X], method="unitary")),
    ("ibmq_qasm_simulator", 8010, ["unitary method", "superop"],
     program([X, gate("save_unitary", [0])], noise_model={"errors": [{}]})),
    ("ibmq_qasm_simulator", 8010, ["the unitary method does not do it"],
     program([X, gate("save_unitary", [0]), measure(0)])),
    ("ibmq_qasm_simulator", 8001, ["kraus", "(unitary)", "these methods can: statevector"],
     program([gate("kraus", [0], [[1, 0], [0, 1]]), gate("save_unitary", [0])])),
    ("ibmq_qasm_simulator", 8010, ["superop method"],
     program([measure(0), gate("save_superop", [0])], method="superop")),
    ("ibmq_qasm_simulator", 8010, ["unitary method"],
     program([gate("reset", [0]), gate("save_unitary", [0])], method="unitary")),
    ("ibmq_qasm_simulator", 8001, ["can: matrix_product_state"],
     program([gate("save_matrix_product_state", [0])], method="statevector")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code", "words", "wanted"), REFUSALS)
def test_refusals(name: str, code: int, words: Sequence[str], wanted: Json) -> None:
    """A program that does not fit is refused with the code of the reason and words that name it."""
    with pytest.raises(errors.ProgramRefused) as refusal:
        validation.check(opened(wanted), DEVICES[name])

    assert refusal.value.code == code, refusal.value.message
    for word in words:
        assert word in refusal.value.message
    assert refusal.value.message.endswith(".")
    assert refusal.value.code in errors.CODES


@pytest.mark.parametrize("shots", [0, -1])
def test_shots_below_one(shots: int) -> None:
    """No shots at all are refused, whether the program asks for them or one experiment."""
    wanted = program([X])
    wanted["experiments"][0]["config"] = {"shots": shots}
    for wrong in (wanted, program([X], shots=shots)):
        with pytest.raises(errors.ProgramRefused) as refusal:
            validation.check(opened(wrong), DEVICES["ibmq_manila"])

        assert refusal.value.code == 8006
        assert f"{shots} shots" in refusal.value.message


ACCEPTED: list[tuple[str, Json]] = [
    ("ibmq_manila", program([gate("delay", [0, 1], 160), gate("id", [0]), gate("reset", [0]), measure(0)])),
    ("ibmq_manila", program([measure(0), X, measure(0)])),
    ("ibmq_manila", program([gate("barrier", [0, 3]), {"name": "barrier"}, gate("rz", [4], 1)])),
    ("ibmq_manila", program([gate("x", [0], 3.1, 0.0, 3.1), {"name": "cx", "qubits": [0, 1], "params": None}])),
    ("ibmq_essex", program([gate("U", [0], 0.1, 0.2, 0.3), gate("CX", [0, 1]), gate("u0", [0], 1), measure(0)])),
    ("ibmq_essex", program([gate("u3", [0], 0.1, 0.2, 0.3), measure(0), gate("barrier", [0]), measure(1)])),
    ("ibmq_armonk", program([gate("sx", [0]), measure(0)], meas_level=2, rep_delay=250.0, unknown="key")),
    ("ibmq_qasm_simulator", sample("std")),
    ("ibmq_qasm_simulator", sample("special")),
    ("ibmq_qasm_simulator", sample("saves")),
    ("ibmq_qasm_simulator", sample("cond")),
    ("ibmq_qasm_simulator", program([gate("rcccx", [0, 1, 2, 3])], method="statevector")),
    ("simulator_mps", program([gate("cu3", [0, 1], 0.1, 0.2, 0.3)])),
    ("simulator_stabilizer", program([gate("h", [4999]), measure(4999)])),
    ("simulator_extended_stabilizer", program([gate("t", [0]), gate("ccx", [0, 1, 2])])),
    ("simulator_extended_stabilizer", program([measure(0), BFUNC, gate("t", [0], conditional=2)])),
    ("ibmq_manila", program([X, measure(0)], meas_level=1)),
    ("ibmq_manila", program([X, gate("delay", [0], 160, unit="ns"), gate("wait", [0], 20)], meas_return="avg")),
]


@pytest.mark.parametrize(("name", "wanted"), ACCEPTED)
def test_what_is_accepted(name: str, wanted: Json) -> None:
    """What a device could do, in the ways in which clients have written it, is accepted."""
    validation.check(opened(wanted), DEVICES[name])


#: device, code, words of the message, an instruction that is right, one of the same name and qubits that is not
SECONDS: list[tuple[str, int, str, Json, Json]] = [
    ("ibmq_manila", 8004, "1 parameters, not 0", gate("rz", [0], 0.1), gate("rz", [0])),
    ("ibmq_manila", 8004, "1 parameters, not 2", gate("rz", [0], 0.1), gate("rz", [0], 0.1, 0.2)),
    ("ibmq_manila", 8004, "finite numbers", gate("rz", [0], 0.1), gate("rz", [0], True)),
    ("ibmq_manila", 8004, "finite numbers", gate("rz", [0], 0.1), gate("rz", [0], "0.1")),
    ("ibmq_manila", 8004, "finite numbers", gate("rz", [0], 0.1), {"name": "rz", "qubits": [0], "params": 0.1}),
    ("ibmq_manila", 8004, "0 parameters, not 1", X, gate("x", [0], 0.1)),
    ("ibmq_manila", 8010, "conditions", X, gate("x", [0], conditional=1)),
    ("ibmq_manila", 8005, "no slot 9", X, gate("x", [0], memory=[9])),
    ("ibmq_manila", 8005, "no slot 10000", X, gate("x", [0], register=[10_000])),
    ("ibmq_qasm_simulator", 8005, "writes register slot 1", X, gate("x", [0], conditional=1)),
    ("ibmq_qasm_simulator", 8005, "slot 9", X, gate("x", [0], conditional={"mask": "0x200", "val": "0x200"})),
    ("simulator_statevector", 8004, "finite numbers", gate("u3", [0], 0.1, 0.2, 0.3), gate("u3", [0], 0.1, 0.2, None)),
]


@pytest.mark.parametrize(("name", "code", "words", "right", "wrong"), SECONDS)
def test_no_gate_is_right_because_another_was(name: str, code: int, words: str, right: Json, wrong: Json) -> None:
    """What makes a gate wrong is found although the same gate was right before, on the same qubits."""
    validation.check(opened(program([right], [right, right], memory_slots=2)), DEVICES[name])
    with pytest.raises(errors.ProgramRefused) as refusal:
        validation.check(opened(program([right], [right, wrong], memory_slots=2)), DEVICES[name])

    assert refusal.value.code == code, refusal.value.message
    assert words in refusal.value.message
    assert "Experiment 1, instruction 1" in refusal.value.message


def test_no_gate_follows_a_measurement_where_that_is_the_end() -> None:
    """On a device that measures once, a gate that was right before the measurement is refused after it."""
    wanted = program([gate("u1", [0], 0.1), gate("u1", [0], 0.2), measure(0), gate("u1", [0], 0.1)])
    with pytest.raises(errors.ProgramRefused) as refusal:
        validation.check(opened(wanted), DEVICES["ibmq_essex"])

    assert refusal.value.code == 8010


def test_a_faulty_qubit() -> None:
    """A qubit that is marked as not operational is refused for gates and measurements alike."""
    device = target("ibm_kingston")
    (broken, *_) = sorted(device.faulty_qubits)
    for step in (gate("rz", [broken], 0.1), gate("measure", [broken], memory=[0])):
        with pytest.raises(errors.ProgramRefused) as refusal:
            validation.check(opened(program([step])), device)

        assert refusal.value.code == 8003
        assert f"qubit {broken}" in refusal.value.message


def test_a_transpiled_program_of_a_client() -> None:
    """A program that a client transpiled for another device of five qubits in a tee does not fit a line."""
    with pytest.raises(errors.ProgramRefused):
        validation.check(opened({**sample("valencia"), "experiments": [_tee()]}), DEVICES["ibmq_manila"])
    validation.check(opened(sample("valencia")), DEVICES["ibmq_manila"])


def _tee() -> dict[str, Any]:
    return {"instructions": [gate("cx", [1, 3])]}


@pytest.mark.parametrize("name", ["snapshot", "set_statevector"])
def test_all_qubits_in_use_are_found_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many instructions mean all of them, the circuit is not gone through for each."""
    calls = []
    found = programs.active

    def counted(steps: Sequence[qobj.Instruction]) -> set[int]:
        calls.append(len(steps))
        return found(steps)

    monkeypatch.setattr(programs, "active", counted)
    many = [gate(name, [0], 1, 0) for _ in range(20)]
    if name == "snapshot":
        many = [gate(name, [0], label=str(index), snapshot_type="statevector") for index in range(20)]
    validation.check(opened(program([X, *many])), DEVICES["simulator_statevector"])

    assert len(calls) == 1
