# SPDX-License-Identifier: Apache-2.0
"""A program opened: every experiment decoded, with the settings that hold for it."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

import msgspec

from chandelier import errors
from chandelier.engines import methods, saved
from chandelier.formats import qobj, tasks

#: Older names of instructions, and today's.
ALIASES: Final[Mapping[str, str]] = {"CX": "cx", "U": "u3", "u0": "id", "nop": "id", "wait": "delay"}
#: Instructions that are not taken as they stand.
_DATED: Final = frozenset({*ALIASES, "snapshot"})


@dataclasses.dataclass(frozen=True)
class Opened:
    """One experiment.

    Attributes:
        index: Its place in the program.
        instructions: In the order of the program, by today's names.
        header: Repeated by the result.
        config: The settings that hold for it.
        slots: Number of memory slots.
        phase: Global phase, radians.
    """

    index: int
    instructions: tuple[qobj.Instruction, ...]
    header: msgspec.Raw
    config: qobj.Config
    slots: int
    phase: float

    @property
    def shots(self) -> int:
        """Repetitions asked for."""
        return qobj.DEFAULT_SHOTS if self.config.shots is None else self.config.shots

    @property
    def seed(self) -> int | None:
        """Seed asked for, by either name."""
        config = self.config
        return config.seed_simulator if config.seed_simulator is not None else config.seed


@dataclasses.dataclass(frozen=True)
class Program:
    """A program of type QASM, or of type PULSE without its experiments.

    Attributes:
        envelope: Its outer part.
        experiments: Empty if the type is PULSE.
    """

    envelope: qobj.Envelope
    experiments: tuple[Opened, ...]


def open_(body: bytes) -> Program:
    """Decode a program.

    Raises:
        errors.ProgramRefused: Code 8000 or 8005.
    """
    try:
        envelope = qobj.decode_envelope(body)
    except errors.Invalid as error:
        raise errors.ProgramRefused(error.message, error.code) from error
    if envelope.type != "QASM":
        return Program(envelope, ())
    return Program(
        envelope,
        tuple(
            _opened(qobj.decode_experiment(raw, index), index, envelope.config)
            for index, raw in enumerate(envelope.experiments)
        ),
    )


def summary(program: Program, device_seconds: float) -> tasks.Summary:
    """What is known of a program once it is opened.

    Gates are instructions that act on the state: not measurements, resets, barriers, delays, classical
    functions and saves.
    """
    experiments = program.experiments
    config = program.envelope.config
    names = collections.Counter(step.name for one in experiments for step in one.instructions)
    return tasks.Summary(
        kind=program.envelope.type,
        experiments=len(program.envelope.experiments),
        shots=max((one.shots for one in experiments), default=qobj.shots(program.envelope)),
        qubits=max((len(active(one.instructions)) for one in experiments), default=0),
        gates=sum(number for name, number in names.items() if _acts(name)),
        memory_slots=max((one.slots for one in experiments), default=config.memory_slots or 0),
        memory=any(one.config.memory for one in experiments),
        n_qubits=max([config.n_qubits or 0, *(declared(one) for one in experiments)]),
        device_seconds=device_seconds,
        max_credits=config.max_credits or 0,
        rep_delay=config.rep_delay or 0.0,
    )


def active(instructions: Sequence[qobj.Instruction]) -> set[int]:
    """Qubits on which anything happens; a barrier or a wait alone is nothing."""
    return {index for step in instructions if step.name not in {"barrier", "delay"} for index in step.qubits or ()}


def acts(step: qobj.Instruction) -> bool:
    """Whether an instruction is a gate, a channel or the preparation of a state."""
    return _acts(step.name)


def _acts(name: str) -> bool:
    return methods.known(name) and not methods.saves(name)


def declared(experiment: Opened) -> int:
    """Number of qubits of an experiment: as declared, and at least as many as it names."""
    named = max((index for step in experiment.instructions for index in step.qubits or ()), default=-1)
    return max(experiment.config.n_qubits or 0, named + 1)


def refuse(code: int, message: str) -> NoReturn:
    """Refuse a program, with a sentence that lacks its full stop."""
    raise errors.ProgramRefused(f"{message}.", code)


def _opened(experiment: qobj.Experiment, index: int, common: qobj.Config) -> Opened:
    instructions = experiment.instructions
    if not _DATED.isdisjoint({step.name for step in instructions}):
        every = tuple(sorted(active(instructions))) or (0,)
        instructions = tuple([_today(step, every) for step in instructions])
    config = qobj.merged(common, experiment.config)
    sizes = [experiment.config.memory_slots, experiment.memory_slots, common.memory_slots]
    given = [size for size in sizes if size is not None]
    return Opened(
        index=index,
        instructions=instructions,
        header=experiment.header,
        config=msgspec.structs.replace(config, n_qubits=experiment.n_qubits or config.n_qubits),
        slots=max(given) if given else _used(instructions),
        phase=experiment.global_phase,
    )


def _used(instructions: Sequence[qobj.Instruction]) -> int:
    """Number of memory slots up to the last that is named."""
    return 1 + max((slot for step in instructions for slot in qobj.slots(step.memory)), default=-1)


def _today(step: qobj.Instruction, every: tuple[int, ...]) -> qobj.Instruction:
    if saved.whole(step):
        return msgspec.structs.replace(step, qubits=every)
    name = ALIASES.get(step.name)
    if name is None:
        return step
    return msgspec.structs.replace(step, name=name, params=None if name == "id" else step.params)
