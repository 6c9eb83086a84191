# SPDX-License-Identifier: Apache-2.0
"""Circuits of real clients are read as they were written, and hostile files are refused with a reason."""

import functools
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qiskit import qpy as qiskit_qpy
from qiskit.circuit import IfElseOp, Parameter, ParameterVector, QuantumCircuit
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import PauliEvolutionGate, UnitaryGate, XGate
from qiskit.quantum_info import SparsePauliOp, random_unitary

from chandelier import errors
from chandelier.engines import lowering, qpy, transcript
from chandelier.formats import qpy as files

FOLDER = Path(__file__).parent.parent / "data" / "qpy"
SAMPLES = sorted(path.stem for path in FOLDER.glob("*.qpy"))
#: What every client wrote, by its name.
KINDS = {name.split("_", 1)[1] for name in SAMPLES}


def sample(name: str) -> bytes:
    """A file that a real client wrote."""
    return (FOLDER / f"{name}.qpy").read_bytes()


def dumped(*circuits: QuantumCircuit, version: int = qpy.NEWEST) -> bytes:
    """A file of some circuits."""
    file = io.BytesIO()
    qiskit_qpy.dump(list(circuits), file, version=version)
    return file.getvalue()


def refusal(body: bytes) -> errors.ProgramRefused:
    """Why a file is refused."""
    with pytest.raises(errors.ProgramRefused) as caught:
        qpy.load(body)
    return caught.value


def answered(body: bytes) -> int:
    """The code of the refusal of a file or of what it holds; 0 if there is none."""
    try:
        for circuit in qpy.load(body):
            if not lowering.flows(circuit):
                lowering.lower(circuit, transcript.Budget(1000))
    except errors.ProgramRefused as error:
        return error.code
    return 0


def rich() -> QuantumCircuit:
    """A circuit with a bit of everything that is not a statement."""
    vector, angle = ParameterVector("v", 3), Parameter("angle")
    inner = QuantumCircuit(2, name="inner")
    inner.h(0)
    inner.cx(0, 1)
    outer = QuantumCircuit(2, name="outer")
    outer.append(inner.to_gate(), [0, 1])
    circuit = QuantumCircuit(5, 3, global_phase=0.3, metadata={"made": "by a test"}, name="rich")
    circuit.rx(vector[0], 0)
    circuit.rz(vector[1] * 2 + angle, 1)
    circuit.mcp(0.3, [0, 1, 2], 3)
    circuit.append(XGate().control(2, ctrl_state=1), [0, 1, 2])
    circuit.append(outer.to_gate(), [2, 3])
    circuit.append(outer.to_gate().control(1), [0, 2, 3])
    circuit.append(UnitaryGate(random_unitary(4, seed=1)), [0, 1])
    circuit.append(PauliEvolutionGate(SparsePauliOp(["XX", "ZI"]), 0.2), [0, 1])
    circuit.initialize([1, 0, 0, 1j], [0, 1], normalize=True)
    circuit.delay(100, 0)
    circuit.barrier()
    circuit.reset(0)
    circuit.measure([0, 1, 2], [2, 1, 0])
    return circuit


def flowing() -> QuantumCircuit:
    """A circuit with every statement."""
    circuit = QuantumCircuit(2, 2)
    count = circuit.add_var("count", expr.lift(3, types.Uint(8)))
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.h(0)
        circuit.measure(0, 0)
        circuit.store(count, expr.add(count, expr.lift(1, types.Uint(8))))
    with circuit.for_loop(range(3)):
        circuit.x(0)
        with circuit.if_test(expr.logic_and(circuit.clbits[0], circuit.clbits[1])):
            circuit.break_loop()
    with circuit.switch(circuit.cregs[0]) as case:
        with case(0):
            circuit.x(1)
        with case(case.DEFAULT):
            circuit.z(1)
    return circuit


@pytest.mark.parametrize("name", SAMPLES)
def test_what_clients_wrote_is_read_unless_it_is_pulses(name: str) -> None:
    """Files of Terra 0.25 to Qiskit 2.6 become circuits that can be run, and pulses an error, never a warning."""
    kind = name.split("_", 1)[1]
    if kind in {"pulsegate", "schedule"}:
        assert refusal(sample(name)).code == 8037
        return
    (circuit,) = qpy.load(sample(name))

    assert lowering.lower(circuit).instructions


def test_the_samples_are_those_that_were_meant() -> None:
    """Were a file missing, the test above would be silent about its kind."""
    assert {"c_if", "expr_nosym", "expr_sym", "ifelse", "pulsegate", "schedule", "std"} == KINDS


@pytest.mark.parametrize("version", range(13, qpy.NEWEST + 1))
def test_circuits_come_back_as_they_were(version: int) -> None:
    """Two circuits in one file, in every version that today's clients write."""
    sent = [rich(), flowing()]

    found = qpy.load(dumped(*sent, version=version))

    assert found == sent
    assert found[0].metadata == {"made": "by a test"}


@pytest.mark.parametrize("name", ["0.25.3_c_if", "0.46.3_c_if", "1.3.0_c_if", "1.4.4_c_if"])
def test_a_condition_of_old_clients_is_on_the_wires_that_it_was_on(name: str) -> None:
    """`c_if` on qubit 1 is an instruction on qubit 1, in whichever version it was written."""
    (circuit,) = qpy.load(sample(name))
    steps = lowering.lower(circuit).instructions

    assert isinstance(circuit.data[-1].operation, IfElseOp)
    assert [(step.name, step.qubits) for step in steps if step.conditional is not None] == [("x", (1,))]


def test_a_newer_version_is_refused_with_what_to_set() -> None:
    """The header alone decides, and the message has the number that `qpy.dump` takes."""
    body = bytearray(sample("2.6.2_std"))
    body[6] = qpy.NEWEST + 1
    error = refusal(bytes(body[:16]))

    assert error.code == 8036
    assert f"version={qpy.NEWEST}" in error.message


def test_formulas_of_symengine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loader is not made for files of strangers; what to set is said."""
    contents = files.Contents(12, 1, symengine=True, formulas=True, conditional=((),))
    monkeypatch.setattr(files, "scan", lambda *_, **__: contents)
    error = refusal(b"")

    assert error.code == 8039
    assert "use_symengine=False" in error.message


@pytest.mark.parametrize("name", ["OrGate", "RXXate", "Random"])
def test_classes_that_are_not_listed_are_not_made(name: str) -> None:
    """Whether or not Qiskit has a class of this name."""
    error = refusal(sample("2.6.2_std").replace(b"RZGate", name.encode()))

    assert error.code == 8039
    assert name in error.message


def test_a_class_does_not_become_good_by_a_gate_of_this_name_elsewhere() -> None:
    """Names that a definition gives are known where it stands, not around it."""
    inner = QuantumCircuit(1, name="QuantumVolume")
    inner.x(0)
    circuit = QuantumCircuit(1)
    circuit.append(inner.to_gate(), [0])
    circuit.rz(0.1, 0)
    body = dumped(circuit, version=13)
    start = body.index(b"QuantumVolume_")
    name = body[start : start + len(b"QuantumVolume_") + 32]
    hostile = body.replace(b"RZGate", name[:6])

    assert refusal(hostile).code == 8039


@pytest.mark.parametrize("place", [30, 34, 46, 50])
def test_counts_are_not_believed(place: int) -> None:
    """Billions of qubits, bits, registers or instructions in a few bytes are refused before any is made."""
    body = bytearray(sample("1.4.4_std"))
    body[place : place + 4] = b"\xff\xff\xff\xff"

    assert refusal(bytes(body)).code == 8039


def test_a_vector_of_parameters_is_as_large_as_the_file_may_make_it() -> None:
    """One element of a vector makes all of it."""
    circuit = QuantumCircuit(1)
    circuit.rz(ParameterVector("vast", 7)[3], 0)
    for version in (13, qpy.NEWEST):
        body = dumped(circuit, version=version)
        size = (7).to_bytes(8, "big")
        assert body.count(size)
        error = refusal(body.replace(size, (2**40).to_bytes(8, "big")))
        assert error.code == 8039


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files_are_read_or_refused(data: Any) -> None:
    """Whatever a few bytes do to a file, the answer is circuits or a refusal."""
    body = bytearray(data.draw(st.sampled_from(_bodies())))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(body) - 1))
        patch = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 4), st.just(b"\x00" * 8)))
        if data.draw(st.booleans()):
            body[place : place + len(patch)] = patch
        else:
            body[place:place] = patch
    length = data.draw(st.sampled_from([len(body), len(body) // 2]))

    assert answered(bytes(body[:length])) in {0, 8001, 8004, 8010, 8013, 8036, 8037, 8039}


@functools.cache
def _bodies() -> list[bytes]:
    made = [dumped(rich(), flowing(), version=version) for version in (13, 16, qpy.NEWEST)]
    return [*made, *(sample(name) for name in SAMPLES)]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused(body: bytes) -> None:
    """Bytes that are no QPY at all, with and without its first word."""
    assert answered(body) == 8039
    assert answered(files.MAGIC + body) in {8036, 8037, 8039}
