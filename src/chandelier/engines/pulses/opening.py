# SPDX-License-Identifier: Apache-2.0
"""Programs of pulses, opened and checked against a device.

Source: legacy API reference, sections 12.1 and 12.3; the codes are in `errors.CODES`.
"""

import dataclasses
import datetime
from typing import Final

import msgspec

from chandelier import errors
from chandelier.engines import cost, programs, readout
from chandelier.engines import target as targets
from chandelier.engines.programs import refuse
from chandelier.engines.pulses import model as models
from chandelier.engines.pulses import reading, steps
from chandelier.engines.pulses.model import Model
from chandelier.formats import pulses, qobj, tasks

MAX_SLOTS: Final = 10_000
#: Memory that a sample takes on its way: as read, with its phase, and while it is worked with, bytes.
SAMPLE_HELD: Final = 48
#: Channels that drive qubits.
_DRIVING: Final = "du"


@dataclasses.dataclass(frozen=True, eq=False)
class Scheduled:
    """One experiment.

    Attributes:
        experiment: What all experiments have; it has no instructions.
        schedule: Its steps, in the order of the program.
        oscillators: Frequencies of the local oscillators, Hz.
        samples: How many are kept of a measurement at level 0.
    """

    experiment: programs.Opened
    schedule: tuple[steps.Step, ...]
    oscillators: tuple[float, ...]
    samples: int

    def measured(self) -> set[int]:
        """Qubits that are measured."""
        return {qubit for step in self.schedule if isinstance(step, steps.Acquire) for qubit in step.qubits}

    def channels(self) -> set[str]:
        """Drive and control channels on which something sounds."""
        sounding = (step for step in self.schedule if isinstance(step, steps.Play | steps.Hold))
        return {step.channel for step in sounding if drives(step.channel)}


def drives(channel: str) -> bool:
    """Whether pulses on a channel drive a qubit; on others they read it out."""
    return channel[0] in _DRIVING


def modelled(path: str, moment: datetime.datetime | None = None) -> Model:
    """Make the model that a program's pulses act on; see `models.load`.

    Raises:
        errors.ProgramRefused: Code 8011: the device's Hamiltonian is not one that can be simulated.
    """
    try:
        return models.load(path, moment)
    except errors.Invalid as error:
        raise errors.ProgramRefused(error.message, 8011) from error


def open_(program: programs.Program, target: targets.Target, model: Model, limits: tasks.Limits) -> list[Scheduled]:
    """Decode the experiments of a program of type PULSE and check them.

    Args:
        program: Its outer part.
        target: The device.
        model: Its model.
        limits: What the job may use.

    Raises:
        errors.ProgramRefused: The first thing that is wrong; the message names the place.
    """
    envelope = program.envelope
    count = len(envelope.experiments)
    if target.max_experiments is not None and count > target.max_experiments:
        refuse(8007, f"The program has {count} experiments; {target.name} takes up to {target.max_experiments}")
    library, opened, held = pulses.library(envelope.config), list[Scheduled](), dict[int, int]()
    for index, raw in enumerate(envelope.experiments):
        opened.append(_opened(raw, index, program, library, target, model))
        # Equal pulses share their samples.
        held |= {id(step.samples): step.duration for step in opened[-1].schedule if isinstance(step, steps.Play)}
        size = SAMPLE_HELD * sum(held.values())
        if size > limits.memory_bytes:
            refuse(
                8008,
                f"Up to experiment {index} the pulses of the program take {cost.readable(size)} of memory; a job may "
                f"use {cost.readable(limits.memory_bytes)}. Split the job, or use shorter pulses",
            )
    return opened


def _opened(
    raw: msgspec.Raw,
    index: int,
    program: programs.Program,
    library: dict[str, reading.Samples],
    target: targets.Target,
    model: Model,
) -> Scheduled:
    where, common = f"Experiment {index}", program.envelope.config
    wire = pulses.decode_experiment(raw, index)
    config = qobj.merged(common, wire.config)
    if wire.config.pulse_library != qobj.ABSENT:
        library = pulses.library(wire.config)
    sizes = [wire.config.memory_slots, wire.memory_slots, common.memory_slots]
    given = [size for size in sizes if size is not None]
    slots = max(given) if given else _used(wire.instructions)
    experiment = programs.Opened(index, (), wire.header, config, slots, 0.0)
    _check_settings(experiment, target)
    schedule = reading.read(wire.instructions, library, where=where, slots=slots)
    for step in schedule:
        check_step(step, where, target, model)
    oscillators = pulses.frequencies(config.qubit_lo_freq, "qubit_lo_freq")
    if oscillators is not None and len(oscillators) != model.n_qubits:
        refuse(
            8004, f"{where}: qubit_lo_freq has {len(oscillators)} entries; {target.name} has {model.n_qubits} qubits"
        )
    return Scheduled(experiment, schedule, oscillators or model.oscillators, pulses.slot_size(config))


def _used(instructions: tuple[pulses.Instruction, ...]) -> int:
    """Number of memory slots up to the last that is named."""
    named = (slot for one in instructions for slots in (one.memory_slot, one.memory) for slot in qobj.slots(slots))
    return 1 + max(named, default=-1)


def _check_settings(experiment: programs.Opened, target: targets.Target) -> None:
    where, config = f"Experiment {experiment.index}", experiment.config
    if not 1 <= experiment.shots <= target.max_shots:
        refuse(8006, f"{where} asks for {experiment.shots} shots; {target.name} takes 1 to {target.max_shots}")
    level = readout.level(config)
    if level not in {0, 1, 2}:
        refuse(8010, f"{where} asks for measurement level {level}; there are 0 (samples), 1 (points) and 2 (bits)")
    if level < 2 and config.meas_return not in {None, "single", "avg"}:
        refuse(8010, f"{where} has `meas_return` {config.meas_return!r}; it must be 'single' or 'avg'")
    if config.memory and not target.memory:
        refuse(8010, f"{where} asks for the outcome of each shot, which {target.name} does not list")
    if experiment.slots > MAX_SLOTS:
        refuse(8005, f"{where} declares {experiment.slots} memory slots; up to {MAX_SLOTS} are possible")


def check_step(step: steps.Step, where: str, target: targets.Target, model: Model) -> None:
    """Check a step against a device.

    Args:
        step: As read.
        where: What it is part of, to begin messages with.
        target: The device.
        model: Its model.

    Raises:
        errors.ProgramRefused: Code 8003, 8005 or 8010.
    """
    if isinstance(step, steps.Acquire):
        for qubit in step.qubits:
            _check_qubit(qubit, f"{where}, at {step.t0}", target)
    elif isinstance(step, steps.Snapshot):
        if not target.simulator:
            refuse(8010, f"{where}: the snapshot {step.label[:60]!r} is for simulators; {target.name} is not one")
        if step.kind not in {"statevector", "state"}:
            refuse(8010, f"{where}: a snapshot of kind {step.kind[:60]!r} is not known here; take 'statevector'")
    elif isinstance(step, steps.Play | steps.Hold | steps.Phase | steps.Frequency | steps.Wait):
        _check_channel(step.channel, f"{where}, at {step.t0}", target, model)


def _check_channel(channel: str, where: str, target: targets.Target, model: Model) -> None:
    kind, number = channel[0], int(channel[1:])
    if kind in _DRIVING:
        if channel not in model.channels:
            driven = sorted((name for name in model.channels if name[0] == kind), key=lambda name: int(name[1:]))
            known = f"it has {driven[0]} to {driven[-1]}" if driven else f"it has no channels {kind}"
            refuse(8005, f"{where}: {target.name} has no channel {channel}; {known}")
        _check_qubit(model.channels[channel].qubit, where, target)
    elif number >= target.n_qubits:
        refuse(8005, f"{where}: {target.name} has no channel {channel}; its qubits are 0 to {target.n_qubits - 1}")


def _check_qubit(qubit: int, where: str, target: targets.Target) -> None:
    if qubit >= target.n_qubits:
        refuse(8005, f"{where}: {target.name} has qubits 0 to {target.n_qubits - 1}; there is no qubit {qubit}")
    if qubit in target.faulty_qubits:
        refuse(8003, f"{where}: qubit {qubit} of {target.name} is marked faulty; choose other qubits")


def unsupported(target: targets.Target) -> errors.ProgramRefused:
    """The refusal of a program of pulses by a device that takes none."""
    return errors.ProgramRefused(
        f"{target.name} does not take programs of type PULSE; send circuits, or choose a device with `open_pulse`.",
        8011,
    )
