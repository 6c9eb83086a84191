# SPDX-License-Identifier: Apache-2.0
"""Look at the pulses of devices, schedule circuits, and read results at all levels of measurement."""

from typing import Any

import numpy as np
from account import bell, enable, report
from qiskit import assemble, pulse, schedule, transpile
from scipy.optimize import curve_fit


def configured(device: Any) -> dict[str, Any]:
    """Return what the configuration tells of pulses."""
    told = device.configuration()
    return {
        "open_pulse": told.open_pulse,
        "levels": told.meas_levels,
        "dt": told.dt,
        "dtm": told.dtm,
        "parametric": told.parametric_pulses,
        "kernels": told.meas_kernels,
        "discriminators": told.discriminators,
        "meas_map": told.meas_map,
        "strings": told.hamiltonian["h_str"],
        "wq0": told.hamiltonian["vars"]["wq0"],
        "control": [channel.index for channel in told.control((0, 1))] if told.n_qubits > 1 else [],
        "sources": [[one.q for one in mixed] for mixed in told.u_channel_lo],
        "channels": sorted(told.channels),
    }


def calibrated(device: Any) -> dict[str, Any]:
    """Return what the defaults tell, and what becomes of their gates."""
    known = device.defaults()
    gates = known.instruction_schedule_map
    found = {
        "frequencies": known.qubit_freq_est,
        "readout": known.meas_freq_est,
        "gates": sorted(gates.instructions),
        "x": gates.get("x", 0).duration,
        "measured": sorted(channel.name for channel in gates.get("measure", range(len(known.qubit_freq_est))).channels),
        "u3": frames(gates.get("u3", 0, P0=0.1, P1=0.2, P2=0.3), "d0"),
        "rz": frames(gates.get("rz", 0, 0.4), "d0"),
        "parameters": list(gates.get_parameters("u3", 0)),
    }
    if len(known.qubit_freq_est) > 1:
        found |= {"cx": gates.get("cx", [0, 1]).duration, "pairs": sorted(gates.qubits_with_instruction("cx"))}
    return found


def frames(program: Any, channel: str) -> list[float]:
    """Return the turns of a channel's frame in the order in which they come."""
    return [
        float(one.phase)
        for _, one in program.instructions
        if isinstance(one, pulse.ShiftPhase) and one.channel.name == channel
    ]


def rabi(device: Any) -> dict[str, float]:
    """Return the amplitude that turns over, fitted to averaged signals, and that of the device."""
    flip = device.defaults().instruction_schedule_map.get("x", 0).instructions[0][1].pulse
    amplitudes = np.linspace(0, 1, 21)
    programs = []
    for amplitude in amplitudes:
        with pulse.build(device, default_alignment="sequential") as program:
            pulse.play(pulse.Drag(flip.duration, amplitude, flip.sigma, flip.beta), pulse.drive_channel(0))
            pulse.measure(0)
        programs.append(program)
    result = device.run(programs, shots=1024, meas_level=1, meas_return="avg").result()
    points = np.array([result.get_memory(index)[0] for index in range(len(programs))])
    away = np.abs(points - points[0])

    def wave(amplitude: Any, half: float, height: float) -> Any:
        return height * (1 - np.cos(np.pi * amplitude / half)) / 2

    (half, _), _ = curve_fit(wave, amplitudes, away, p0=[0.75, away.max()])
    return {"found": float(half), "published": abs(flip.amp)}


def levels(device: Any) -> dict[str, Any]:
    """Return shapes and what is seen of 0 and of 1 at each level of measurement."""
    gates = device.defaults().instruction_schedule_map
    nothing = pulse.Schedule(name="nothing") | gates.get("measure", range(5))
    flipped = pulse.Schedule(name="flipped") | gates.get("x", 0)
    flipped |= gates.get("measure", range(5)) << flipped.duration
    both, shots = [nothing, flipped], 1000
    averages = device.run(both, shots=shots, meas_level=1, meas_return="avg").result()
    singles = device.run(both, shots=shots, meas_level=1, meas_return="single").result()
    bits = device.run(both, shots=shots, meas_level=2, memory=True).result()
    samples = device.run(both, shots=100, meas_level=0, meas_return="single", memory_slot_size=30).result()
    mean = device.run(both, shots=100, meas_level=0, meas_return="avg", memory_slot_size=30).result()
    zero, one = averages.get_memory(0)[0], averages.get_memory(1)[0]

    def ones(index: int) -> float:
        points = singles.get_memory(index)[:, 0]
        return float(np.mean(np.abs(points - one) < np.abs(points - zero)))

    return {
        "shapes": {
            "avg 1": averages.get_memory(0).shape,
            "single 1": singles.get_memory(0).shape,
            "single 0": samples.get_memory(0).shape,
            "avg 0": mean.get_memory(0).shape,
        },
        "discriminated": [ones(0), ones(1)],
        "bits": [sum(shot[-1] == "1" for shot in bits.get_memory(index)) / shots for index in (0, 1)],
        "memory": [len(bits.get_memory(0)), sum(bits.get_counts(0).values())],
        "flipped": max(bits.get_counts("flipped"), key=bits.get_counts("flipped").get),
        "misread": [
            device.properties().qubit_property(0, name)[0] for name in ("prob_meas1_prep0", "prob_meas0_prep1")
        ],
    }


def scheduled(device: Any, first: int, second: int) -> dict[str, Any]:
    """Return a Bell circuit's counts, run as pulses and as gates."""
    ready = transpile(bell(), device, initial_layout=[first, second])
    program = schedule(ready, device)
    job = device.run(program, shots=8000)
    return {
        "type": type(assemble(program, device)).__name__,
        "pulses": job.result().get_counts(),
        "gates": device.run(ready, shots=8000).result().get_counts(),
        "status": job.status().name,
        "retrieved": device.retrieve_job(job.job_id()).result().get_counts(),
    }


provider = enable()
manila = provider.get_backend("ibmq_manila")
names = ["ibmq_armonk", "ibmq_manila", "ibm_lagos", "ibm_hanoi", "simulator_pulse"]
report(
    provider,
    configurations={name: configured(provider.get_backend(name)) for name in names},
    defaults={name: calibrated(provider.get_backend(name)) for name in names},
    without={name: provider.get_backend(name).defaults() for name in ("ibmq_essex", "ibm_sherbrooke")},
    found=sorted(device.name() for device in provider.backends(open_pulse=True)),
    frequency=manila.properties().frequency(0),
    lengths={name: manila.properties().gate_length("cx", pair) for name, pair in (("to", [0, 1]), ("back", [1, 0]))},
    rabi=rabi(provider.get_backend("ibmq_armonk")),
    levels=levels(manila),
    bell={f"{one}{two}": scheduled(manila, one, two) for one, two in ((0, 1), (1, 0), (3, 2))},
    ideal=scheduled(provider.get_backend("simulator_pulse"), 0, 1),
)
