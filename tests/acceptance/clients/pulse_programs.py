# SPDX-License-Identifier: Apache-2.0
"""Run schedules with every instruction that the client can write, many at once, and some that must be refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
from account import attempt, enable, report
from qiskit import QuantumCircuit, assemble, pulse, schedule, transpile
from qiskit.providers.ibmq.managed import IBMQJobManager

SHOTS = 1000
DRIVE = pulse.DriveChannel(0)

provider = enable()
manila = provider.get_backend("ibmq_manila")
ideal = provider.get_backend("simulator_pulse")
gates = manila.defaults().instruction_schedule_map
frequency = manila.defaults().qubit_freq_est[0]
flip = gates.get("x", 0)
half = gates.get("sx", 0)


def program(*steps: Callable[[], Any], measured: bool = True) -> Any:
    """Return a schedule of steps, one after the other, and a measurement of qubit 0."""
    with pulse.build(manila, default_alignment="sequential") as made:
        for step in steps:
            step()
        if measured:
            pulse.measure(0)
    return made


def ones(programs: list[Any], device: Any = manila, **options: Any) -> list[float]:
    """Return how often each of some programs found 1 in qubit 0."""
    result = device.run(programs, shots=SHOTS, **options).result()
    counts = [result.get_counts(index) for index in range(len(programs))]
    return [sum(seen for bits, seen in each.items() if bits[-1] == "1") / SHOTS for each in counts]


def turns() -> dict[str, float]:
    """Return what phases, frequencies and waits do to a qubit."""
    beat = 1e6
    wait = 16 * round(0.5 / beat / manila.configuration().dt / 16)
    samples = flip.instructions[0][1].pulse.get_waveform().samples
    shape = flip.instructions[0][1].pulse
    cases = {
        "nothing": [],
        "flip": [lambda: pulse.call(flip)],
        "two halves": [lambda: pulse.call(half), lambda: pulse.call(half)],
        "half and back": [lambda: pulse.call(half), lambda: pulse.shift_phase(np.pi, DRIVE), lambda: pulse.call(half)],
        "set and unset": [
            lambda: pulse.set_phase(1.0, DRIVE),
            lambda: pulse.call(half),
            lambda: pulse.set_phase(1.0 + np.pi, DRIVE),
            lambda: pulse.call(half),
        ],
        "far": [lambda: pulse.set_frequency(frequency + 100e6, DRIVE), lambda: pulse.call(flip)],
        "far and back": [
            lambda: pulse.shift_frequency(100e6, DRIVE),
            lambda: pulse.shift_frequency(-100e6, DRIVE),
            lambda: pulse.call(flip),
        ],
        "beaten": [
            lambda: pulse.set_frequency(frequency + beat, DRIVE),
            lambda: pulse.call(half),
            lambda: pulse.delay(wait, DRIVE),
            lambda: pulse.call(half),
        ],
        "samples": [lambda: pulse.play(pulse.Waveform(samples, name="mine"), DRIVE)],
        "drawn": [lambda: pulse.play([complex(sample) for sample in samples], DRIVE)],
        "gaussian": [lambda: pulse.play(pulse.Gaussian(shape.duration, abs(shape.amp), shape.sigma), DRIVE)],
        "constant": [lambda: pulse.play(pulse.Constant(320, 0.0), DRIVE)],
        "sine": [lambda: pulse.play(pulse.Sin(320, 0.2, 0.0, 1 / 320), DRIVE)],
    }
    return dict(zip(cases, ones([program(*steps) for steps in cases.values()]), strict=True))


def several() -> dict[str, Any]:
    """Return what came of very many experiments, and of a set of jobs of them."""
    angles = np.linspace(0, 2 * np.pi, 300)
    programs = [
        program(lambda: pulse.call(half), lambda turn=angle: pulse.shift_phase(turn, DRIVE), lambda: pulse.call(half))
        for angle in angles
    ]
    found = np.array(ones(programs[: manila.configuration().max_experiments]))
    managed = IBMQJobManager().run(programs[:30], manila, max_experiments_per_job=10, shots=100)
    results = managed.results()
    split = [results.get_counts(index).get("1", 0) / 100 for index in (0, 29)]
    expected = (1 + np.cos(angles[: len(found)])) / 2
    return {
        "most": manila.configuration().max_experiments,
        "experiments": len(found),
        "off": float(np.abs(found - expected).max()),
        "jobs": len(managed.jobs()),
        "split": split,
    }


def oscillators() -> list[float]:
    """Return what a flip does where each experiment has its own frequency."""
    return ones(
        [program(lambda: pulse.call(flip))] * 3, schedule_los=[{DRIVE: frequency + off} for off in (0, 1e8, -1e8)]
    )


def acquired() -> dict[str, Any]:
    """Return what came of acquisitions with kernels, discriminators and slots of choice."""
    kernel = pulse.Kernel("hw_qmfk", start_window=0, stop_window=100)
    chosen = pulse.Discriminator("linear_discriminator", cov=[[1.0, 0.0], [0.0, 1.0]])
    with pulse.build(manila) as made:
        with pulse.align_sequential():
            pulse.call(flip)
            pulse.barrier(0, 1)
        with pulse.align_left():
            for qubit, slot in ((0, 3), (1, 1)):
                read = pulse.Constant(20000, 0.2)
                pulse.play(read, pulse.MeasureChannel(qubit))
                options = {"kernel": kernel, "discriminator": chosen}
                pulse.acquire(20000, pulse.AcquireChannel(qubit), pulse.MemorySlot(slot), **options)
    written = assemble(made, manila, shots=SHOTS, meas_level=2).to_dict()
    instructions = written["experiments"][0]["instructions"]
    counts = manila.run(made, shots=SHOTS, memory_slots=4).result().get_counts()
    return {
        "wire": next(one for one in instructions if one["name"] == "acquire")["kernels"][0],
        "counts": counts,
    }


def kept() -> list[str]:
    """Return the shapes in which the server got the parametric pulses of a job."""
    job = manila.run(program(lambda: pulse.call(flip)), shots=10)
    job.wait_for_final_state()
    again = manila.retrieve_job(job.job_id())
    return sorted({one["pulse_shape"] for one in _instructions(again) if one["name"] == "parametric_pulse"})


def _instructions(job: Any) -> list[dict[str, Any]]:
    return job._get_qobj().to_dict()["experiments"][0]["instructions"]


def looked() -> dict[str, Any]:
    """Return a snapshot of the ideal simulator."""
    with pulse.build(ideal, default_alignment="sequential") as made:
        pulse.call(ideal.defaults().instruction_schedule_map.get("x", 0))
        pulse.snapshot("turned", "statevector")
        pulse.measure(0)
    data = ideal.run(made, shots=10).result().data(0)
    return {"keys": sorted(data), "snapshots": data.get("snapshots")}


def refused() -> dict[str, str]:
    """Return what the client and the server say to programs that cannot run."""

    def tried(made: Any, device: Any = manila, **options: Any) -> str:
        def run() -> Any:
            job = device.run(made, shots=100, **options)
            job.wait_for_final_state()
            return job

        said = attempt(run)
        return said or f"{(job := run()).status().name}: {job.error_message()}"

    lagos = provider.get_backend("ibm_lagos")
    wide = pulse.Schedule(name="wide")
    for pair in ((0, 1), (1, 2), (1, 3), (3, 5), (4, 5), (5, 6)):
        wide |= lagos.defaults().instruction_schedule_map.get("cx", pair) << wide.duration
    wide |= lagos.defaults().instruction_schedule_map.get("measure", range(7)) << wide.duration
    # The client looks at this switch of the class, not only at that of the pulse.
    pulse.library.Pulse.limit_amplitude = False
    loud = pulse.Waveform([1.5] * 64)
    # Without them the client refuses by itself a device that has no defaults.
    given = {"qubit_lo_freq": [frequency] * 5, "meas_lo_freq": [7e9] * 5, "meas_level": 2}
    return {
        "essex": tried(program(lambda: pulse.call(flip)), provider.get_backend("ibmq_essex"), **given),
        "wide": tried(wide, lagos),
        "channel": tried(program(lambda: pulse.play(pulse.Constant(64, 0.1), pulse.DriveChannel(17)))),
        "loud": tried(program(lambda: pulse.play(loud, DRIVE))),
        "oscillators": tried(program(lambda: pulse.call(flip)), qubit_lo_freq=[frequency] * 3),
        "snapshot": tried(program(lambda: pulse.call(flip), lambda: pulse.snapshot("here"))),
    }


def whole() -> float:
    """Return how often a circuit of many gates, scheduled by the client, comes back to 0."""
    circuit = QuantumCircuit(2, 2)
    for _ in range(3):
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.t(1)
        circuit.barrier()
        circuit.tdg(1)
        circuit.cx(0, 1)
        circuit.h(0)
    circuit.measure([0, 1], [0, 1])
    made = schedule(transpile(circuit, manila, initial_layout=[0, 1], optimization_level=0), manila)
    return manila.run(made, shots=SHOTS).result().get_counts().get("00", 0) / SHOTS


report(
    provider,
    turns=turns(),
    several=several(),
    oscillators=oscillators(),
    acquired=acquired(),
    kept=kept(),
    looked=looked(),
    refused=refused(),
    whole=whole(),
)
