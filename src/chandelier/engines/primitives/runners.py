# SPDX-License-Identifier: Apache-2.0
"""The programs `circuit-runner` and `qasm3-runner`: circuits as they are, and the result that a Qobj has.

Source: protocol, Runtime API, sections 7 and 8; legacy API reference, section 12.4.
"""

import dataclasses
import datetime
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import (
    cost,
    dynamic,
    lowering,
    openqasm,
    outcome,
    programs,
    qpy,
    registers,
    routes,
    running,
    shots,
    transcript,
    validation,
)
from chandelier.engines import target as targets
from chandelier.engines.primitives import work
from chandelier.formats import qobj, results, runners, tagged, tasks

_SEEDS: Final = 1 << 31


@dataclasses.dataclass(frozen=True, eq=False)
class Runner:
    """Circuits that were checked and planned.

    Attributes:
        plan: What they will take.
        count: Number of circuits.
        ways: Those that a Qobj can say.
        flows: The others, by their place.
        seed: Asked for, or drawn.
        target: The device.
        limits: What they may use.
        header: Repeated by the result.
        job_id: Repeated by the result.
    """

    plan: shots.Plan
    count: int
    ways: Sequence[routes.Route]
    flows: dict[int, dynamic.Flow]
    seed: int
    target: targets.Target
    limits: tasks.Limits
    header: msgspec.Raw
    job_id: str

    def run(self) -> work.Done:
        """Run the circuits and write the result document.

        Raises:
            errors.ProgramRefused: All circuits failed, or (8025) the document is larger than it may be.
        """
        started = datetime.datetime.now(datetime.UTC)
        outcomes = {one.result.circ_id: one for one in running.run(self.ways, self.target, self.limits)}
        outcomes |= {index: dynamic.run(flow, self.seed, index) for index, flow in self.flows.items()}
        stopped = datetime.datetime.now(datetime.UTC)
        found = [outcomes[index] for index in range(self.count)]
        failed = [outcome for outcome in found if outcome.code]
        if len(failed) == len(found):
            raise errors.ProgramRefused(failed[0].message, failed[0].code)
        body = results.encode(self._document(found, started, stopped))
        if len(body) > self.limits.result_bytes:
            raise cost.too_large(len(body), self.limits)
        methods = sorted({str(one.result.metadata["method"]) for one in found if not one.code})
        taken = sum(one.result.shots for one in found if not one.code)
        return work.Done(body, taken, ((started, stopped),), {"methods": methods})

    def _document(
        self, found: Sequence[outcome.Outcome], started: datetime.datetime, stopped: datetime.datetime
    ) -> results.Result:
        success = not any(outcome.code for outcome in found)
        return results.Result(
            backend_name=self.target.name,
            backend_version=self.target.version,
            qobj_id=self.job_id,
            job_id=self.job_id,
            success=success,
            results=[outcome.result for outcome in found],
            status="COMPLETED" if success else "ERROR: one or more experiments failed",
            date=results.date(stopped),
            header=self.header,
            time_taken=(stopped - started).total_seconds(),
        )


def open_(body: bytes, target: targets.Target, limits: tasks.Limits, job_id: str = "") -> Runner:
    """Open a job of circuits.

    Args:
        body: The params of the job.
        target: The device.
        limits: What the job may use.
        job_id: Names the job in its result.

    Raises:
        errors.ProgramRefused: The params or a circuit are wrong, or the device cannot run one of them within the
            limits.
    """
    target = dynamic.able(target)
    params = runners.decode(body)
    circuits = [circuit for given in params.circuits for circuit in _read(given)]
    seed = secrets.randbelow(_SEEDS) if params.seed_simulator is None else params.seed_simulator
    budget = transcript.Budget(lowering.MAX_INSTRUCTIONS)
    plain: list[programs.Opened] = []
    flowing: dict[int, programs.Opened] = {}
    for index, circuit in enumerate(circuits):
        lowering.check_values(tuple(circuit.parameters), None)
        settings = _settings(circuit, index, params, seed)
        if lowering.flows(circuit):
            flowing[index] = settings
        else:
            lowered = lowering.lower(circuit, budget)
            plain.append(dataclasses.replace(settings, instructions=lowering.bound(lowered, None), phase=lowered.phase))
    _check_count(len(circuits), target)
    envelope = qobj.Envelope("", "QASM", "", msgspec.Raw(b"{}"), qobj.Config(), [])
    program = programs.Program(envelope, tuple(plain))
    validation.check(program, target)
    ways = routes.find(program, target, limits)
    flows = {index: dynamic.prepare(circuits[index], one, target, limits) for index, one in flowing.items()}
    plan = _planned(ways, list(flows.values()), params.shots, limits)
    header = msgspec.Raw(msgspec.json.encode(params.header))
    return Runner(plan, len(circuits), ways, flows, seed, target, limits, header, job_id)


def _read(given: tagged.Circuit | tagged.Text) -> list[QuantumCircuit]:
    return [openqasm.parse(given.qasm)] if isinstance(given, tagged.Text) else qpy.load(given.qpy)


def _check_count(count: int, target: targets.Target) -> None:
    if target.max_experiments is not None and count > target.max_experiments:
        programs.refuse(8007, f"The job has {count} circuits; {target.name} takes up to {target.max_experiments}")


def _planned(
    ways: Sequence[routes.Route], flows: Sequence[dynamic.Flow], repeated: int, limits: tasks.Limits
) -> shots.Plan:
    seconds = sum(way.plan.seconds for way in ways) + sum(flow.seconds for flow in flows)
    if seconds > limits.cpu_seconds:
        programs.refuse(
            8009,
            f"Simulating all circuits takes about {seconds:.3g} s; a job may run for {limits.cpu_seconds:.3g} s. "
            "Send fewer circuits, or ask for fewer shots",
        )
    sizes = [len(programs.active(way.steps)) for way in ways] + [flow.qubits for flow in flows]
    gates = sum(programs.acts(step) for way in ways for step in way.experiment.instructions)
    return shots.Plan(
        seconds=seconds,
        memory_bytes=max([*(way.plan.memory_bytes for way in ways), *(flow.memory_bytes for flow in flows)]),
        device_seconds=sum(way.device_seconds for way in ways) + sum(flow.device_seconds for flow in flows),
        experiments=len(sizes),
        shots=repeated,
        qubits=max(sizes),
        gates=gates + sum(flow.gates for flow in flows),
    )


def _settings(circuit: QuantumCircuit, index: int, params: runners.CircuitsParams, seed: int) -> programs.Opened:
    """The settings of a circuit, and the header that the result repeats."""
    noise = qobj.ABSENT if params.noise_model is None else msgspec.Raw(msgspec.json.encode(params.noise_model))
    config = qobj.Config(
        shots=params.shots,
        n_qubits=circuit.num_qubits,
        memory_slots=circuit.num_clbits,
        memory=params.memory,
        seed_simulator=seed,
        meas_level=params.meas_level,
        meas_return=params.meas_return,
        rep_delay=None if params.rep_delay is None else params.rep_delay * 1e6,
        noise_model=noise,
    )
    return programs.Opened(
        index=index,
        instructions=(),
        header=msgspec.Raw(msgspec.json.encode(header(circuit))),
        config=config,
        slots=circuit.num_clbits,
        phase=0.0,
    )


def header(circuit: QuantumCircuit) -> dict[str, Any]:
    """What a result says of its circuit, by which clients find and read it."""
    qubits, bits = registers.labels(circuit, circuit.qubits, "qubit"), registers.labels(circuit, circuit.clbits, "bit")
    phase = circuit.global_phase
    return {
        "name": circuit.name,
        "n_qubits": circuit.num_qubits,
        "memory_slots": circuit.num_clbits,
        "qubit_labels": qubits,
        "clbit_labels": bits,
        "qreg_sizes": registers.sizes(qubits),
        "creg_sizes": registers.sizes(bits),
        "global_phase": float(phase),
        "metadata": circuit.metadata or {},
    }
