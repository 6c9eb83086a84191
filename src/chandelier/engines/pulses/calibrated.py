# SPDX-License-Identifier: Apache-2.0
"""Gates of circuits for which a program gives the pulses: each becomes the channel that its pulses make.

Such a gate may be one of the device, which then has neither its published error nor its length, or any other name. It
is played as at the moment of the calibration, which is when the errors of all other gates were found too, and as if it
began at time 0. Frames are those of qubits: a turn that remains on a drive channel counts for all channels that have
the frequency of that qubit, and one that remains on another channel counts for nothing.

Source: legacy API reference, sections 12.1 and 12.3; for pulse gates, T. Alexander et al., arXiv:2004.06755.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from chandelier.engines import cost, programs, schedule
from chandelier.engines import target as targets
from chandelier.engines.programs import refuse
from chandelier.engines.pulses import gates, opening, transfer
from chandelier.formats import qobj, tasks

#: Most channels that are kept for when the same pulses come again.
_MOST: Final = 512

#: The parameters of a `superop`: one matrix, of tuples, so that what is made of it can be looked up.
Params = list[tuple[tuple[tuple[float, float], ...], ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Calibrated:
    """A program whose calibrated gates stand in it as channels.

    Attributes:
        program: The program; the numbers of these channels are missing.
        seconds: For each experiment how long it takes to find those that no experiment before it has, s.
        memory_bytes: What it takes to find them, and to keep those of all experiments.
        path: Of the device's documents.
        played: For each experiment the pulses of its calibrated gates, by the place of the instruction.
    """

    program: programs.Program
    seconds: tuple[float, ...]
    memory_bytes: int
    path: str
    played: tuple[Mapping[int, transfer.Played], ...]

    def sizes(self) -> tuple[int, int]:
        """The most channels and the most qubits that pulses of an experiment use."""
        channels, qubits = [0], [0]
        for one in self.played:
            different = {gate.key: gate for gate in one.values()}.values()
            channels.append(len(set().union(*(gate.channels for gate in different))))
            qubits.append(len(set().union(*(gate.qubits for gate in different))))
        return max(channels), max(qubits)

    def computed(self) -> programs.Program:
        """The program with the numbers."""
        known: dict[int, Params] = {}
        experiments = []
        for experiment, played in zip(self.program.experiments, self.played, strict=True):
            instructions = list(experiment.instructions)
            for place, gate in played.items():
                if id(gate) not in known:
                    known[id(gate)] = _params(self.path, gate)
                instructions[place] = msgspec.structs.replace(instructions[place], params=known[id(gate)])
            experiments.append(dataclasses.replace(experiment, instructions=tuple(instructions)))
        return dataclasses.replace(self.program, experiments=tuple(experiments))


def read(program: programs.Program, target: targets.Target, path: str, limits: tasks.Limits) -> Calibrated | None:
    """Read the pulses of gates that a program brings, check them, and put channels in place of these gates.

    Args:
        program: Of type QASM.
        target: The device.
        path: Of its documents.
        limits: What the job may use.

    Returns:
        None if the device takes no pulses, or the program brings none.

    Raises:
        errors.ProgramRefused: Something about the pulses is wrong, or they would cost too much.
    """
    common, configs = program.envelope.config, [one.config for one in program.experiments]
    if not target.pulse or all(config.calibrations == qobj.ABSENT for config in (common, *configs)):
        return None
    library = gates.Library(target, opening.modelled(path), limits)
    experiments, played, seconds = list[programs.Opened](), list[Mapping[int, transfer.Played]](), list[float]()
    costs: dict[bytes, transfer.Cost] = {}
    for experiment in program.experiments:
        own = experiment.config
        books = [library.book(own)]
        if own.calibrations is not common.calibrations:
            books.append(library.book(common))
        changed, pulsed = _replaced(experiment, books, library.model.dt)
        fresh = {gate.key: gate for gate in pulsed.values() if gate.key not in costs}
        costs |= {key: transfer.predicted(gate, library.model) for key, gate in fresh.items()}
        experiments.append(changed)
        played.append(pulsed)
        seconds.append(sum(costs[key].seconds for key in fresh))
    if sum(seconds) > limits.cpu_seconds:
        refuse(
            8009,
            f"Simulating the pulses of the program's gates takes about {sum(seconds):.3g} s; a job may run for "
            f"{limits.cpu_seconds:.3g} s. Use fewer or shorter pulses",
        )
    held = max((one.held for one in costs.values()), default=0.0) + sum(one.kept for one in costs.values())
    size = int(cost.BASE_MEMORY + held)
    library.check_fits(size, "Simulating the pulses of the program's gates takes")
    made = dataclasses.replace(program, experiments=tuple(experiments))
    return Calibrated(made, tuple(seconds), size, path, tuple(played))


def _replaced(
    experiment: programs.Opened, books: Sequence[gates.Book], dt: float
) -> tuple[programs.Opened, dict[int, transfer.Played]]:
    """Put channels in place of the calibrated gates of an experiment; its own calibrations come first."""
    instructions, played = list(experiment.instructions), dict[int, transfer.Played]()
    for place, step in enumerate(experiment.instructions):
        if step.name == "measure":
            for index in step.qubits or ():
                measured = gates.find(books, "measure", (index,), None)
                if measured is not None and measured.flaw is not None:
                    refuse(8010, measured.flaw)
            continue
        entry = gates.find(books, step.name, step.qubits or (), step.params)
        if entry is not None:
            played[place] = gate = entry.played
            instructions[place] = schedule.Lasting(
                name="superop",
                qubits=step.qubits,
                params=[],
                conditional=step.conditional,
                seconds=gate.duration * dt,
                stands_for=step.name,
            )
    config = msgspec.structs.replace(experiment.config, calibrations=qobj.ABSENT)
    return dataclasses.replace(experiment, instructions=tuple(instructions), config=config), played


def _params(path: str, gate: transfer.Played) -> Params:
    known, key = _channels(), (path, gate.key)
    if key not in known:
        if len(known) >= _MOST:
            known.clear()
        matrix = transfer.superoperator(gate, opening.modelled(path))
        known[key] = [tuple(tuple((value.real, value.imag) for value in row) for row in matrix.tolist())]
    return known[key]


@functools.cache
def _channels() -> dict[object, Params]:
    """The channels made so far, by the device's documents and what is played."""
    return {}
