# SPDX-License-Identifier: Apache-2.0
"""What of an experiment costs time and memory, counted."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from chandelier.engines import gates, methods, programs, saved
from chandelier.formats import qobj

#: Instructions whose matrices the simulator takes as a whole.
_DENSE: Final = frozenset({"multiplexer", "unitary"})


class Save(NamedTuple):
    """What one kind of saved value takes.

    Attributes:
        bits: It has 2**(bits · qubits) entries.
        held: Memory for each entry, from Aer's copy to JSON text, bytes; of what may be sparse the least.
        written: Least size of an entry in the result, bytes.
    """

    bits: int
    held: int
    written: int


SAVES: Final[Mapping[str, Save]] = {
    "save_density_matrix": Save(2, 240, 10),
    "save_probabilities": Save(1, 96, 4),
    "save_probabilities_dict": Save(1, 32, 0),
    "save_statevector": Save(1, 288, 10),
    "save_statevector_dict": Save(1, 32, 0),
    "save_superop": Save(4, 240, 10),
    "save_unitary": Save(2, 240, 10),
}


class Profile(NamedTuple):
    """What of an experiment costs time and memory.

    Attributes:
        qubits: Qubits on which anything happens.
        small: Gates on one qubit.
        large: Gates on more.
        entries: Entries of the matrices that are given by numbers.
        waits: Waiting times.
        measures: Qubits measured, counted each time.
        dynamic: Whether shots differ before the end: conditions, or measured qubits used again.
        mixed: Whether there are channels or noise.
        resets: Whether qubits are reset.
        clifford: Whether all gates are Clifford gates.
        t_gates: Gates outside the Clifford group.
        saves: Names of what is saved or set.
        saved: Memory that saved values take, bytes.
        written: Least size of saved values in the result, bytes.
        bonds: For each pair of neighbours in the chain of qubits, the gates that cross it.
        shots: Repetitions.
    """

    qubits: int
    small: int
    large: int
    entries: float
    waits: int
    measures: int
    dynamic: bool
    mixed: bool
    resets: bool
    clifford: bool
    t_gates: int
    saves: frozenset[str]
    saved: float
    written: float
    bonds: tuple[int, ...]
    shots: int


def of(steps: Sequence[qobj.Instruction], *, shots: int, noisy: bool) -> Profile:
    """Count what costs.

    Args:
        steps: Instructions, with waiting times if the device has noise.
        shots: Repetitions.
        noisy: Whether gates and measurements have errors.
    """
    acting = [step for step in steps if programs.acts(step)]
    large = [step for step in acting if len(step.qubits or ()) > 1]
    active = sorted(programs.active(steps))
    sizes = _sizes(steps, shots)
    return Profile(
        qubits=len(active),
        small=len(acting) - len(large),
        large=len(large),
        entries=sum(4.0 ** len(step.qubits or ()) for step in acting if step.name in _DENSE),
        waits=sum(step.name == "delay" for step in steps) if noisy else 0,
        measures=sum(len(step.qubits or ()) for step in steps if step.name == "measure"),
        dynamic=_dynamic(steps),
        mixed=noisy or any(methods.channel(step.name) for step in steps),
        resets=any(step.name in {"reset", "initialize"} for step in steps),
        clifford=all(step.name in gates.CLIFFORD for step in acting),
        t_gates=sum(step.name not in gates.CLIFFORD for step in acting),
        saves=frozenset(
            saved.saved_as(step) for step in steps if methods.saves(step.name) or step.name.startswith("set_")
        ),
        saved=sum(SAVES[name].held * entries for name, entries in sizes),
        written=sum(SAVES[name].written * entries for name, entries in sizes),
        bonds=_bonds(active, large),
        shots=shots,
    )


def _dynamic(steps: Sequence[qobj.Instruction]) -> bool:
    """Whether anything depends on a measurement, or follows one on the same qubit."""
    measured: set[int] = set()
    for step in steps:
        if step.name in {"bfunc", "copy"} or step.conditional is not None:
            return True
        if step.name == "barrier" or methods.saves(step.name):
            continue
        if measured.intersection(step.qubits or ()):
            return True
        if step.name == "measure":
            measured.update(step.qubits or ())
    return False


def _sizes(steps: Sequence[qobj.Instruction], shots: int) -> list[tuple[str, float]]:
    """What is saved, with the number of its entries: of lists by shot, that of all shots where they differ."""
    sizes: list[tuple[str, float]] = []
    differ = False
    for step in steps:
        differ = differ or step.name in {"measure", "reset"}
        name = saved.saved_as(step)
        if name in SAVES:
            times = shots if differ and saved.each(step) else 1
            sizes.append((name, times * 2.0 ** min(SAVES[name].bits * len(step.qubits or ()), 900)))
    return sizes


def _bonds(active: Sequence[int], large: Sequence[qobj.Instruction]) -> tuple[int, ...]:
    position = {index: place for place, index in enumerate(active)}
    crossings = [0] * max(len(active) - 1, 0)
    for step in large:
        places = [position[index] for index in step.qubits or ()]
        for place in range(min(places), max(places)):
            crossings[place] += 1
    return tuple(crossings)
