# SPDX-License-Identifier: Apache-2.0
"""What tests of pulses share: schedules as clients write them, and ways to play them on a device's model."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chandelier.engines.pulses import clusters, measuring, propagation, reading, timeline, trajectories
from chandelier.engines.pulses.evolution import Evolver
from chandelier.engines.pulses.model import Model
from chandelier.engines.pulses.timeline import Timeline, Tone
from chandelier.formats import device, pulses, snapshots

Json = dict[str, Any]
Complexes = NDArray[np.complex128]
Reals = NDArray[np.float64]


@functools.cache
def document(name: str) -> device.DeviceDocument:
    """The documents of a device, as it was published."""
    return snapshots.load(name)


def pulse(shape: str, t0: int, channel: str, amp: complex, duration: int, **more: float) -> Json:
    """A pulse named by its shape."""
    parameters = {"amp": [amp.real, amp.imag], "duration": duration, **more}
    return {"name": "parametric_pulse", "t0": t0, "ch": channel, "pulse_shape": shape, "parameters": parameters}


def gate(served: device.DeviceDocument, name: str, *qubits: int, t0: int = 0) -> list[Json]:
    """The pulses that a device serves for a gate."""
    assert served.defaults is not None
    entries = [one for one in served.defaults["cmd_def"] if (one["name"], tuple(one["qubits"])) == (name, qubits)]
    return [{**one, "t0": one["t0"] + t0} for one in entries[0]["sequence"]]


def length(schedule: Sequence[Json]) -> int:
    """When the last instruction ends, dt."""
    return max(int(one["t0"] + one.get("duration", one.get("parameters", {}).get("duration", 0))) for one in schedule)


def until(time: int) -> Json:
    """A wait to the end of a schedule, which may end later than its last pulse."""
    return {"name": "delay", "t0": time - 1, "ch": "d0", "duration": 1}


def laid(model: Model, schedule: Sequence[Json], tuned: Mapping[int, float] | None = None) -> Timeline:
    """A schedule as it is played.

    Args:
        model: The device.
        schedule: Instructions as in a Qobj.
        tuned: Local oscillators that the program sets, Hz.
    """
    oscillators = tuple((tuned or {}).get(index, value) for index, value in enumerate(model.oscillators))
    return timeline.lay(reading.read(pulses.sequence(schedule), {}, where="", slots=0), model, oscillators)


def tones(
    model: Model, qubits: Sequence[int], schedule: Sequence[Json], tuned: Mapping[int, float] | None = None
) -> list[Tone]:
    """What sounds on some qubits."""
    return [tone for tone in laid(model, schedule, tuned).tones if model.channels[tone.channel].qubit in qubits]


def unitary(
    model: Model,
    qubits: Sequence[int],
    schedule: Sequence[Json],
    duration: int,
    tuned: Mapping[int, float] | None = None,
) -> Complexes:
    """What a schedule does to all dressed states of some qubits, each in a frame of its own frequency."""
    return propagation.unitary(clusters.form(model, qubits), tones(model, qubits, schedule, tuned), duration)


def density(
    evolver: Evolver, schedule: Sequence[Json], duration: int, tuned: Mapping[int, float] | None = None
) -> Complexes:
    """The density matrix that a schedule makes of qubits at rest, as `unitary` would have it."""
    cluster = evolver.cluster
    state = evolver.moved(evolver.ground(), tones(cluster.model, cluster.qubits, schedule, tuned), 0, duration)
    turned = np.exp(1j * propagation.at_rest(cluster) * duration * cluster.model.dt)
    seen: Complexes = turned[:, None] * (cluster.dressed.conj().T @ state @ cluster.dressed) * turned.conj()
    return seen


def populations(
    evolver: Evolver, schedule: Sequence[Json], duration: int, tuned: Mapping[int, float] | None = None
) -> Reals:
    """The chances to find each dressed state at the end of a schedule."""
    cluster = evolver.cluster
    heard = tones(cluster.model, cluster.qubits, schedule, tuned)
    return evolver.populations(evolver.moved(evolver.ground(), heard, 0, duration))


def shots(evolver: Evolver, schedule: Sequence[Json], duration: int, number: int, seed: int = 7, **more: Any) -> Reals:
    """How often each dressed state is found at the end of a schedule, as parts of 1."""
    cluster = evolver.cluster
    events = [trajectories.Event(duration, tuple(range(len(cluster.qubits))))]
    heard = tones(cluster.model, cluster.qubits, schedule, more.get("tuned"))
    (found,) = measuring.levels(evolver, heard, events, number, np.random.default_rng(seed))
    states = found.astype(int) @ 3 ** np.arange(len(cluster.qubits))[::-1]
    return np.bincount(states, minlength=cluster.states) / number


def infidelity(one: Complexes, other: Complexes) -> float:
    """By how much two processes differ, or two kets: 1 less the fidelity, averaged over all states.

    Args:
        one: complex128, shape (states, kets): what it makes of each ket of a basis.
        other: The same of the other.
    """
    product = one.conj().T @ other
    size = len(product)
    same: float = abs(np.trace(product)) ** 2 + np.trace(product @ product.conj().T).real
    return float(1 - same / (size * (size + 1)))


def trace_distance(one: Complexes, other: Complexes) -> float:
    """How far two density matrices can be told apart."""
    return float(np.abs(np.linalg.eigvalsh(one - other)).sum() / 2)
