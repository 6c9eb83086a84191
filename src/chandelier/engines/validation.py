# SPDX-License-Identifier: Apache-2.0
"""Whether a device will run a program; if not, why, and what the user can do about it.

A device takes exactly its basis gates on its couplings. A simulator takes what its method can do, whether or
not it lists it: the list is for transpilers.

Source: legacy API reference, sections 9, 12.1 and 12.2; the codes are in `errors.CODES`.
"""

import math
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from chandelier import errors
from chandelier.engines import gates, matrices, methods, programs, readout, saved, schedule, structure, usernoise
from chandelier.engines import target as targets
from chandelier.formats import qobj, simulators

MAX_SLOTS: Final = 10_000
TRANSPILE: Final = "Transpile the circuit for the device"
UNCONDITIONAL: Final = "Take a simulator, a device that is `conditional`, or today's client and its `if_test`"

#: Instructions that only simulators do, and that no transpiler can make of other gates.
SIMULATED: Final = (frozenset(matrices.BUILDERS) | saved.NAMES) - {
    *("diagonal", "initialize", "multiplexer", "pauli", "unitary")
}

#: Instructions of older and of newer programs that nothing here does, and what to do instead.
REFUSED: Final[Mapping[str, str]] = {
    "break_loop": "a Qobj has no control flow; use bfunc and conditional",
    "continue_loop": "a Qobj has no control flow; use bfunc and conditional",
    "for_loop": "a Qobj has no control flow; use bfunc and conditional",
    "if_else": "a Qobj has no control flow; use bfunc and conditional",
    "load": "no state is kept for later in a circuit; use initialize or set_statevector",
    "noise": "noise is not switched within a circuit; send a noise model for the gates that shall have it",
    "save": "no state is kept for later in a circuit; use save_state or a snapshot to see it",
    "store": "a Qobj has no variables; use bfunc and copy",
    "switch_case": "a Qobj has no control flow; use bfunc and conditional",
    "while_loop": "a Qobj has no control flow; use bfunc and conditional",
}

_REAL: Final = {float}


def check(program: programs.Program, target: targets.Target) -> None:
    """Check a program against a device.

    Raises:
        errors.ProgramRefused: The first thing that is wrong; the message names the place.
    """
    count = len(program.experiments)
    if target.max_experiments is not None and count > target.max_experiments:
        programs.refuse(
            8007, f"The program has {count} experiments; {target.name} takes up to {target.max_experiments}"
        )
    # Experiments share what the program as a whole says, so each document is read once.
    noises = {id(one.config.noise_model): one.config.noise_model for one in program.experiments}
    pulses = {id(one.config.calibrations): one for one in program.experiments}
    passed: dict[str, set[targets.Site]] = {}
    for experiment in pulses.values():
        _check_calibrations(experiment, target)
    for experiment in program.experiments:
        _check_settings(experiment, target)
        _check_instructions(experiment, target, passed)
    for noise_model in noises.values():
        usernoise.read(noise_model)


def method(experiment: programs.Opened, target: targets.Target) -> str:
    """The method of a simulator, or the one that the program asks for where the simulator leaves the choice."""
    asked = experiment.config.method
    if not target.simulator or asked in {None, methods.AUTOMATIC, target.method}:
        return target.method
    if target.method != methods.AUTOMATIC or asked not in methods.METHODS:
        known = ", ".join(methods.METHODS) if target.method == methods.AUTOMATIC else target.method
        where = f"Experiment {experiment.index}"
        programs.refuse(8010, f"{where}: {target.name} does not simulate by the method {asked!r}, only by {known}")
    return asked


def _check_settings(experiment: programs.Opened, target: targets.Target) -> None:
    where, config = f"Experiment {experiment.index}", experiment.config
    if not 1 <= experiment.shots <= target.max_shots:
        programs.refuse(8006, f"{where} asks for {experiment.shots} shots; {target.name} takes 1 to {target.max_shots}")
    _check_level(experiment, target)
    if config.memory and not target.memory:
        programs.refuse(8010, f"{where} asks for the outcome of each shot, which {target.name} does not list")
    if config.noise_model != qobj.ABSENT and not target.simulator:
        programs.refuse(8010, f"{where} brings a noise model; {target.name} has noise of its own")
    if experiment.slots > MAX_SLOTS:
        programs.refuse(8005, f"{where} declares {experiment.slots} memory slots; up to {MAX_SLOTS} are possible")


def _check_level(experiment: programs.Opened, target: targets.Target) -> None:
    """Level 1 is for devices that publish it; level 0, the signal before it is integrated, is for pulses."""
    where, level = f"Experiment {experiment.index}", readout.level(experiment.config)
    if level not in target.meas_levels:
        given = "levels 1 (points) and 2 (bits)" if 1 in target.meas_levels else "level 2 (bits) only"
        programs.refuse(8010, f"{where} asks for measurement level {level}; {target.name} gives {given} for circuits")
    if level == 1 and experiment.config.meas_return not in {None, "single", "avg"}:
        programs.refuse(
            8010, f"{where} has `meas_return` {experiment.config.meas_return!r}; it must be 'single' or 'avg'"
        )


def _check_calibrations(experiment: programs.Opened, target: targets.Target) -> None:
    if qobj.document(experiment.config.calibrations).get("gates"):
        where = f"Experiment {experiment.index}"
        programs.refuse(8010, f"{where} brings pulses for gates, which {target.name} does not take; remove them")


def _check_instructions(
    experiment: programs.Opened, target: targets.Target, passed: dict[str, set[targets.Site]]
) -> None:
    names = {step.name for step in experiment.instructions}
    how = _decided(experiment, method(experiment, target), names)
    if target.simulator and how in {methods.UNITARY, methods.SUPEROP}:
        _check_shown(experiment, how)
    sets = any(name.startswith("set_") for name in names)
    every = tuple(sorted(programs.active(experiment.instructions))) if sets else ()
    before = _Before(set(), set(), set(), _Misread(set(), set()) if "roerror" in names else None, every)
    known = passed.setdefault(how, set())
    for place, step in enumerate(experiment.instructions):
        if (step.name, step.qubits) in known and not before.measured and _plain(step):
            continue
        try:
            _check_instruction(step, before, experiment, how, target)
        except errors.ProgramRefused as error:
            where = f"Experiment {experiment.index}, instruction {place} ({_described(step)})"
            raise errors.ProgramRefused(f"{where}: {error.message.removesuffix('.')}.", error.code) from error
        if step.qubits and step.name in gates.SHAPES:
            known.add((step.name, step.qubits))


def _plain(step: qobj.Instruction) -> bool:
    """Whether a gate is right wherever another of its name was right on the same qubits.

    Most instructions are such gates, so that their qubits and couplings are looked at once for a program.
    """
    if step.conditional is not None or step.memory is not None:
        return False
    if step.register is not None or step.register_copy is not None:
        return False
    count, params = gates.SHAPES[step.name].params, step.params
    if params is None:
        return count == 0
    if not isinstance(params, list) or len(params) != count:
        return False
    return not params or (set(map(type, params)) == _REAL and math.isfinite(sum(params)))


class _Misread(NamedTuple):
    """Slots that a `roerror` has changed."""

    memory: set[int]
    registers: set[int]


class _Before(NamedTuple):
    """What the instructions before one have done.

    Attributes:
        written: Register slots that were written.
        measured: Qubits after whose measurement the device does nothing more.
        labels: Labels under which something was saved.
        misread: Slots that a `roerror` has changed; None if the circuit has none.
        every: Qubits in use, in ascending order; empty if nothing sets the state of all of them.
    """

    written: set[int]
    measured: set[int]
    labels: set[str]
    misread: _Misread | None
    every: tuple[int, ...]


def _check_instruction(
    step: qobj.Instruction, before: _Before, experiment: programs.Opened, how: str, target: targets.Target
) -> None:
    _check_places(step, experiment.slots, target)
    _check_condition(step, before.written, experiment.slots, how, target)
    _check_operation(step, how, target)
    _check_order(step, before.measured, target)
    if methods.saves(step.name):
        _check_label(step, before.labels)
    if step.name.startswith("set_"):
        _check_whole(step, before.every)
    if before.misread is not None:
        _check_misread(step, before.misread)
    before.written.update(qobj.slots(step.register), qobj.slots(step.register_copy))


def _decided(experiment: programs.Opened, how: str, names: Collection[str]) -> str:
    """The method, decided on already if an instruction leaves no choice."""
    if how != methods.AUTOMATIC or not any(name in saved.NAMES or name.startswith("set_") for name in names):
        return how
    meant = {saved.saved_as(step) for step in experiment.instructions}
    return next((only for name, only in methods.DECISIVE.items() if name in meant), how)


def _check_shown(experiment: programs.Opened, how: str) -> None:
    """A method without shots has no counts; without a save it would show nothing."""
    where = f"Experiment {experiment.index}"
    if not any(methods.saves(step.name) for step in experiment.instructions):
        programs.refuse(
            8010, f"{where} saves nothing, and the {how} method measures nothing; add a save_{how} instruction"
        )
    if how == methods.UNITARY and qobj.document(experiment.config.noise_model):
        programs.refuse(
            8010, f"{where} brings a noise model, and the unitary method has no noise; use the superop method"
        )


def _described(step: qobj.Instruction) -> str:
    qubits = step.qubits or ()
    name = (step.stands_for if isinstance(step, schedule.Lasting) else step.name)[:60]
    if not qubits:
        return name
    named = ", ".join(map(str, qubits[:8])) + (", …" if len(qubits) > 8 else "")
    return f"{name} on qubit{'s' if len(qubits) > 1 else ''} {named}"


def _check_places(step: qobj.Instruction, slots: int, target: targets.Target) -> None:
    qubits, memory = step.qubits or (), qobj.slots(step.memory)
    for index in qubits:
        if index >= target.n_qubits:
            programs.refuse(8005, f"{target.name} has qubits 0 to {target.n_qubits - 1}; there is no qubit {index}")
    if len(set(qubits)) < len(qubits):
        programs.refuse(8005, "it names the same qubit twice")
    for slot in memory:
        if slot >= slots:
            programs.refuse(8005, f"the program declares {slots} memory slots; there is no slot {slot}")
    if len(set(memory)) < len(memory):
        programs.refuse(8005, "it names the same memory slot twice")
    for slot in (*qobj.slots(step.register), *qobj.slots(step.register_copy)):
        if slot >= MAX_SLOTS:
            programs.refuse(8005, f"register slots are numbered from 0 to {MAX_SLOTS - 1}; there is no slot {slot}")
    faulty = target.faulty_qubits.intersection(qubits) if step.name not in {"barrier", "delay"} else ()
    if faulty:
        programs.refuse(8003, f"qubit {min(faulty)} of {target.name} is marked faulty; choose other qubits")


def _check_condition(step: qobj.Instruction, written: set[int], slots: int, how: str, target: targets.Target) -> None:
    if step.conditional is None and step.name not in {"bfunc", "copy"}:
        return
    if not target.conditional:
        programs.refuse(8010, f"{target.name} does not run instructions on conditions. {UNCONDITIONAL}")
    if target.simulator and not _conditional(how):
        programs.refuse(8010, f"the {how} method does not run instructions on conditions")
    if step.conditional is None:
        return
    if step.name == "roerror":
        programs.refuse(8010, f"a {step.name} cannot depend on a condition")
    if isinstance(step.conditional, qobj.Condition):
        mask = structure.number(step.conditional.mask)
        structure.compared(step.conditional.val)
        if step.conditional.type not in {"equals", "=="} or mask.bit_length() > structure.MAX_COMPARED:
            programs.refuse(8010, f"conditions of type {step.conditional.type!r} or that wide are not supported")
        if mask.bit_length() > slots:
            programs.refuse(
                8005, f"its condition is on memory slot {mask.bit_length() - 1}; the program declares {slots}"
            )
    elif step.conditional not in written:
        programs.refuse(8005, f"nothing before it writes register slot {step.conditional}, on which it depends")


def _conditional(how: str) -> bool:
    return how == methods.AUTOMATIC or methods.METHODS[how].conditional


def _check_operation(step: qobj.Instruction, how: str, target: targets.Target) -> None:
    if step.name in REFUSED:
        programs.refuse(8010, REFUSED[step.name])
    if step.name in methods.STRUCTURE:
        if target.simulator and not methods.takes(how, step.name):
            programs.refuse(8010, f"the {how} method does not do it; it keeps no single state of the qubits")
        structure.CHECKS[step.name](step, target)
    elif isinstance(step, schedule.Lasting):
        if target.simulator:
            _check_taken(step.name, how, target)
    elif target.simulator:
        _check_simulated(step, how, target)
    else:
        _check_gate(step, target)


def _check_simulated(step: qobj.Instruction, how: str, target: targets.Target) -> None:
    if not methods.known(step.name):
        code = 8010 if methods.saves(step.name) or step.name.startswith("set_") else 8001
        programs.refuse(code, f"{target.name} does not know {step.name[:60]!r}. {TRANSPILE}")
    if step.name in gates.SHAPES:
        gates.parameters(step.name, len(step.qubits or ()), step.params)
    elif not step.qubits:
        programs.refuse(8004, "it names no qubits")
    elif methods.saves(step.name):
        saved.operation(step)
    else:
        matrices.operation(step)
    _check_taken(saved.saved_as(step), how, target)


def _check_taken(name: str, how: str, target: targets.Target) -> None:
    if not methods.takes(how, name):
        able = [one for one in methods.METHODS if methods.takes(one, name)]
        where = f"{name} is not among what {target.name} can simulate ({how})"
        programs.refuse(8001, f"{where}; these methods can: {', '.join(able)}{_elsewhere(able, target)}")


def _elsewhere(able: Collection[str], target: targets.Target) -> str:
    """Which simulators have one of some methods, for a program that is on one with another method only."""
    if target.method == methods.AUTOMATIC:
        return ""
    wanted = {methods.AUTOMATIC, *able}
    names = [name for name, one in simulators.SIMULATORS.items() if one.method in wanted and name != simulators.PULSES]
    return f". Send it to {' or '.join(names)}"


def _check_gate(step: qobj.Instruction, target: targets.Target) -> None:
    name, qubits = step.name, step.qubits or ()
    if name in SIMULATED or methods.saves(name):
        programs.refuse(8010, f"{name[:60]} is for simulators; {target.name} is not one. Remove it")
    if name not in target.basis or name not in gates.SHAPES:
        basis = ", ".join(sorted(target.basis))
        programs.refuse(8001, f"{name[:60]} is not among the basis gates of {target.name} ({basis}). {TRANSPILE}")
    gates.parameters(name, len(qubits), step.params)
    if name in target.edges and qubits not in target.edges[name]:
        reverse = qubits[::-1] in target.edges[name] and len(qubits) == 2
        only = f" in this direction, only from {qubits[1]} to {qubits[0]}" if reverse else ""
        programs.refuse(8002, f"{target.name} has no {name} on these qubits{only}. {TRANSPILE}")
    if (name, qubits) in target.faulty_gates:
        back = qubits[::-1]
        sound = len(qubits) == 2 and back in target.edges.get(name, ()) and (name, back) not in target.faulty_gates
        other = f", or {name} from {back[0]} to {back[1]}, which is not" if sound else ""
        programs.refuse(8003, f"{name} on these qubits of {target.name} is marked faulty; choose other qubits{other}")


def _check_order(step: qobj.Instruction, measured: set[int], target: targets.Target) -> None:
    """On the first devices a measurement was the end of a qubit."""
    if target.midcircuit or step.name == "barrier":
        return
    if measured.intersection(step.qubits or ()):
        programs.refuse(8010, f"{target.name} does nothing with a qubit after it was measured. Measure at the end")
    if step.name == "measure":
        measured.update(step.qubits or ())


def _check_label(step: qobj.Instruction, labels: set[str]) -> None:
    label = saved.key(step)
    if label in labels:
        programs.refuse(8004, f"another instruction before it has the label {label[:60]!r} too")
    labels.add(label)


def _check_whole(step: qobj.Instruction, every: tuple[int, ...]) -> None:
    if step.qubits != every:
        programs.refuse(8005, f"it sets the state of all qubits in use, and must name them in order: {list(every)}")


def _check_misread(step: qobj.Instruction, changed: _Misread) -> None:
    """What a `roerror` changes is what the result shows; nothing within the circuit sees it."""
    if step.name == "roerror":
        changed.memory.update(qobj.slots(step.memory))
        changed.registers.update(qobj.slots(step.register))
        return
    if not changed.memory and not changed.registers:
        return
    reads = step.conditional is not None or step.name in {"bfunc", "copy"} or methods.saves(step.name)
    if reads or changed.memory.intersection(qobj.slots(step.memory)):
        programs.refuse(
            8010, "it follows a roerror and uses classical bits; put every roerror at the end of the circuit"
        )
