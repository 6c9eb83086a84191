# SPDX-License-Identifier: Apache-2.0
"""Your own model: what does a schedule do to two qubits, by the Hamiltonian that the device serves?

Two oscillators of three levels each, in a frame that turns with the first qubit and in the rotating wave approximation,
are taken through the samples of a schedule one by one. The same schedule runs on the ideal simulator of pulses, whose
snapshot shows how much of each level there is.
"""

import itertools

import numpy as np
from lab import bench, stop, tell
from qiskit import pulse
from scipy.linalg import expm

PAIR, LEVELS = (0, 1), 3
here = bench("simulator_pulse", shots=1, pair=PAIR)
if not here.device.configuration().simulator:
    stop(f"{here.device.name()} shows no states, which only a simulator does: take simulator_pulse.")
told, values = here.device.configuration(), here.device.configuration().hamiltonian["vars"]
ladder = np.diag(np.sqrt(np.arange(1, LEVELS)), 1)
lower = [np.kron(ladder, np.eye(LEVELS)), np.kron(np.eye(LEVELS), ladder)]
number = [one.T @ one for one in lower]
#: The dressed frequencies, rad/s, and the states of which they tell: nothing, and either qubit in level 1.
dressed = np.array([values[f"wq{qubit}"] for qubit in PAIR])
places = (0, LEVELS, 1)


def resting(bare: np.ndarray) -> np.ndarray:
    """Return the Hamiltonian without drives, rad/s; the frame turns with the first qubit."""
    total = values["jq0q1"] * (lower[0].T @ lower[1] + lower[1].T @ lower[0])
    for place, qubit in enumerate(PAIR):
        steps = number[place] @ (number[place] - np.eye(LEVELS**2))
        total = total + (bare[place] - dressed[0]) * number[place] + values[f"delta{qubit}"] / 2 * steps
    return total


def states(bare: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and states at rest, each in the place of the bare state that it is most like."""
    energies, vectors = np.linalg.eigh(resting(bare))
    order = [int(np.abs(row).argmax()) for row in vectors]
    vectors = vectors[:, order]
    return energies[order], vectors * np.sign(np.diag(vectors))


# Bare frequencies such that the dressed ones are those of the document: the coupling shifts them a little.
bare = dressed.copy()
for _ in range(8):
    energies, vectors = states(bare)
    bare += (dressed - dressed[0]) - (energies[list(places[1:])] - energies[0])

# Drives: of each channel the qubit, half its strength, and its frequency less that of the frame.
drives = {f"d{qubit}": (place, values[f"omegad{qubit}"] / 2, dressed[place]) for place, qubit in enumerate(PAIR)}
drives["u0"] = (0, values["omegad1"] / 2, dressed[1])
drives["u1"] = (1, values["omegad0"] / 2, dressed[0])

# A schedule in which phases count.
gates = [("sx", (0,)), ("cx", (0, 1)), ("sx", (0,)), ("sx", (1,))]
with pulse.build(here.device, default_alignment="sequential") as program:
    for name, qubits in gates:
        pulse.call(here.gate(name, *qubits))
    pulse.snapshot("end", "statevector")
    pulse.measure(0)
flat = pulse.transforms.block_to_schedule(program)
length = next(start for start, one in flat.instructions if isinstance(one, pulse.instructions.Snapshot))

waves = {name: np.zeros(length, dtype=complex) for name in drives}
phases = dict.fromkeys(drives, 0.0)
for start, one in sorted(flat.instructions, key=lambda step: (step[0], step[1].duration > 0)):
    name = one.channels[0].name if one.channels else ""
    if name in drives and isinstance(one, pulse.ShiftPhase):
        phases[name] += float(one.phase)
    elif name in drives and isinstance(one, pulse.Play):
        drawn = one.pulse if isinstance(one.pulse, pulse.Waveform) else one.pulse.get_waveform()
        waves[name][start : start + one.duration] = drawn.samples * np.exp(1j * phases[name])

still, state = resting(bare), vectors[:, 0].astype(complex)
for step, part in itertools.product(range(length), (0.25, 0.75)):
    time, total = (step + part) * told.dt, still.astype(complex)
    for name, (place, strength, frequency) in drives.items():
        tone = strength * waves[name][step] * np.exp(-1j * (frequency - dressed[0]) * time)
        total = total + tone * lower[place].T + np.conj(tone) * lower[place]
    state = expm(-1j * total * told.dt / 2) @ state
mine = np.abs(vectors.T @ state) ** 2

shown = np.array(here.run([program]).data(0)["snapshots"]["statevector"]["end"][0])
# Its amplitudes are those of the dressed states, the first qubit least significant; the other qubits rest.
shares = (shown**2).sum(1).reshape((LEVELS,) * told.n_qubits).transpose()
theirs = shares[(...,) + (0,) * (told.n_qubits - 2)].ravel()
for index, (first, second) in enumerate(itertools.product(range(LEVELS), repeat=2)):
    if first < 2 and second < 2:
        tell(f"share of {first}{second}", mine[index], theirs[index])
tell("greatest difference", np.abs(mine - theirs).max())
