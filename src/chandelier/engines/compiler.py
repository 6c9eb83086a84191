# SPDX-License-Identifier: Apache-2.0
"""Jobs by OpenQASM text, made into the Qobj that is checked and run like any other.

The servers that took texts compiled them: a text that says `h q[0]` ran on machines that have no such gate. So a
text that a device cannot run as it stands is transpiled for the device; one that it can run stays as it is.

Source: legacy API reference, sections 5.1 and 12.1.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from qiskit.circuit import CircuitError, Delay, IfElseOp, Measure, Parameter, QuantumCircuit, Reset
from qiskit.compiler import transpile
from qiskit.transpiler import Target as Machine
from qiskit.transpiler.exceptions import TranspilerError

from chandelier import errors
from chandelier.engines import gates, methods, openqasm, programs, registers, transcript, validation
from chandelier.engines import target as targets
from chandelier.formats import texts

#: The same text always becomes the same program.
SEED: Final = 1
LEVEL: Final = 1


#: Characters of all outcomes of a job, written as bit strings.
MAX_ANSWER: Final = 32 << 20


class Compiled(msgspec.Struct, frozen=True):
    """A job's texts, compiled.

    Attributes:
        program: The Qobj.
        circuits: What each text says, before anything was done for the device.
    """

    program: bytes
    circuits: list[QuantumCircuit]


def compiled(body: bytes, target: targets.Target, *, job_id: str) -> Compiled:
    """Compile the texts of a job for a device.

    Args:
        body: The document of the texts, as it is kept.
        target: The device.
        job_id: Names the job, and the Qobj.

    Raises:
        errors.ProgramRefused: A text cannot be read or compiled; the message names the program.
    """
    job = texts.decode(body)
    budget = transcript.Budget()
    circuits: list[QuantumCircuit] = []
    experiments: list[Mapping[str, Any]] = []
    for index, text in enumerate(job.qasms):
        try:
            circuit = _read(text.qasm, target)
            fitting, written = _fitted(circuit, target, budget)
        except errors.ProgramRefused as error:
            raise errors.ProgramRefused(f"Program {index}: {error.message}", error.code) from error
        circuits.append(circuit)
        experiments.append(_experiment(text, index, fitting, written))
    _check_answer(job.shots, experiments)
    config: dict[str, Any] = {
        "shots": job.shots,
        "memory": False,
        "memory_slots": max(experiment["config"]["memory_slots"] for experiment in experiments),
        "n_qubits": max(experiment["config"]["n_qubits"] for experiment in experiments),
    }
    given = {"seed_simulator": job.seed, "max_credits": job.max_credits}
    config |= {name: value for name, value in given.items() if value is not None}
    program = {
        "qobj_id": job_id,
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {"backend_name": target.name, "backend_version": target.version},
        "config": config,
        "experiments": experiments,
    }
    return Compiled(msgspec.json.encode(program), circuits)


def _read(text: str, target: targets.Target) -> QuantumCircuit:
    """Read a text that may have as many qubits as the device, looking at its registers before it is parsed."""
    qubits, bits = texts.declared(text)
    _check_width(qubits, bits, target)
    circuit = openqasm.parse(text)
    _check_width(circuit.num_qubits, circuit.num_clbits, target)
    return circuit


def _check_answer(shots: int, experiments: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what would be answered with too many bit strings: each outcome is one, as wide as the registers."""
    size = 0
    for experiment in experiments:
        slots = experiment["config"]["memory_slots"]
        size += min(shots, 2 ** min(slots, 60)) * slots
    if size > MAX_ANSWER:
        raise errors.ProgramRefused(
            f"The bit strings of its outcomes could be {size} characters; up to {MAX_ANSWER} are possible. "
            "Declare fewer bits, or ask for fewer shots.",
            8013,
        )


def _check_width(qubits: int, bits: int, target: targets.Target) -> None:
    if qubits > target.n_qubits:
        raise errors.ProgramRefused(texts.too_wide(target.name, target.n_qubits), 8005)
    if bits > validation.MAX_SLOTS:
        raise errors.ProgramRefused(f"It declares {bits} bits; up to {validation.MAX_SLOTS} are possible.", 8005)


def _fitted(
    circuit: QuantumCircuit, target: targets.Target, budget: transcript.Budget
) -> tuple[QuantumCircuit, transcript.Transcript]:
    """The circuit and its instructions, as they stand or transpiled for the device."""
    written = transcript.of(circuit, budget)
    if target.simulator or _fits(written, target):
        return circuit, written
    if not target.conditional and any(step["name"] == "bfunc" for step in written.instructions):
        raise errors.ProgramRefused(f"{target.name} does not run instructions on conditions.", 8010)
    try:
        fitting = transpile(
            circuit, target=_machine(target), optimization_level=LEVEL, seed_transpiler=SEED, num_processes=1
        )
    except (TranspilerError, CircuitError) as error:
        reason = str(error.message)[:300]
        message = f"It cannot be transpiled for {target.name}: {reason.removesuffix('.')}."
        raise errors.ProgramRefused(message, 8002) from error
    return fitting, transcript.of(fitting, budget)


def _fits(written: transcript.Transcript, target: targets.Target) -> bool:
    """Whether every gate is one of the device's, where the device has it."""
    for step in written.instructions:
        name = programs.ALIASES.get(step["name"], step["name"])
        if name in methods.STRUCTURE:
            continue
        if name not in target.basis or tuple(step["qubits"]) not in target.edges.get(name, {tuple(step["qubits"])}):
            return False
    return True


@functools.lru_cache(maxsize=16)
def _machine(target: targets.Target) -> Machine:
    """The device as the transpiler knows it: its working gates, without their errors, which would move the qubits."""
    machine = Machine(num_qubits=target.n_qubits)
    everywhere = [(qubit,) for qubit in range(target.n_qubits)]
    for name in sorted(target.basis & gates.SHAPES.keys()):
        shape = gates.SHAPES[name]
        params = [Parameter(f"{name}_{index}") for index in range(shape.params)]
        sites = target.edges.get(name, everywhere if shape.qubits == 1 else ())
        working = [site for site in sites if (name, site) not in target.faulty_gates]
        if working:
            operation = gates.operation(name, shape.qubits, params, frozenset())
            machine.add_instruction(operation, dict.fromkeys(sorted(working)), name=name)
    machine.add_instruction(Measure(), dict.fromkeys(everywhere))
    if target.resets:
        machine.add_instruction(Reset(), dict.fromkeys(everywhere))
    if target.delays:
        machine.add_instruction(Delay(Parameter("duration")), dict.fromkeys(everywhere))
    if target.conditional:
        machine.add_instruction(IfElseOp, name="if_else")
    return machine


def _experiment(
    text: texts.Text, index: int, circuit: QuantumCircuit, written: transcript.Transcript
) -> Mapping[str, Any]:
    sizes = {"n_qubits": circuit.num_qubits, "memory_slots": circuit.num_clbits}
    qubits, bits = registers.labels(circuit, circuit.qubits, "qubit"), registers.labels(circuit, circuit.clbits, "bit")
    seed = texts.number(text.seed)
    metadata = text.metadata if bytes(text.metadata)[:1] == b"{" else {}
    return {
        "header": {
            "name": text.name or f"qasm{index}",
            "metadata": metadata,
            **sizes,
            "qreg_sizes": registers.sizes(qubits),
            "creg_sizes": registers.sizes(bits),
            "qubit_labels": qubits,
            "clbit_labels": bits,
            "global_phase": written.phase,
            # Clients of 2018 want outcomes by the measured qubits of the device: section 6.6.
            "measured_qubits": written.measured,
        },
        "config": sizes if seed is None else sizes | {"seed_simulator": seed},
        "instructions": written.instructions,
    }
