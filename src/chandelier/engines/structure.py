# SPDX-License-Identifier: Apache-2.0
"""Whether measurements, resets, waits and what is done with classical bits are in order.

Source: legacy API reference, section 12.2; the codes are in `errors.CODES`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

from chandelier.engines import circuits, programs, readout, schedule
from chandelier.engines import target as targets
from chandelier.formats import qobj

#: Widest register that a condition may compare, bits; expressions are nested as deep.
MAX_COMPARED: Final = 256


def _roerror(step: qobj.Instruction, target: targets.Target) -> None:
    if not target.simulator:
        programs.refuse(8010, f"roerror is for simulators; {target.name} has errors of its own. Remove it")
    readout.confusion(step)


def _measure(step: qobj.Instruction, _target: targets.Target) -> None:
    memory, register = qobj.slots(step.memory), qobj.slots(step.register)
    count = len(step.qubits or ())
    if not count or not (memory or register):
        programs.refuse(8004, "it needs qubits, and memory or register slots to write to")
    if len(memory) not in {0, count} or len(register) not in {0, count}:
        programs.refuse(8004, f"it measures {count} qubits into {len(memory) or len(register)} slots")


def _reset(step: qobj.Instruction, target: targets.Target) -> None:
    if not target.resets:
        programs.refuse(8001, f"{target.name} cannot reset qubits. Every shot starts from the ground state anyway")
    if not step.qubits:
        programs.refuse(8004, "it names no qubits")


def _delay(step: qobj.Instruction, target: targets.Target) -> None:
    if not target.delays:
        programs.refuse(8001, f"{target.name} has no delays. Use id gates")
    params = step.params if isinstance(step.params, list) else [step.params]
    value = params[0] if len(params) == 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        programs.refuse(8004, "it takes one parameter, a duration of 0 or more")
    if step.unit not in {None, "dt", *targets.SECONDS}:
        programs.refuse(8004, f"its unit {step.unit!r} is not one of dt, ps, ns, us, ms, s")
    if value > schedule.LONGEST / (schedule.unit(step, target) or targets.SECONDS["ps"]):
        programs.refuse(8004, f"it is longer than a shot may be, {schedule.LONGEST:g} s")
    if not step.qubits:
        programs.refuse(8004, "it names no qubits")


def _barrier(_step: qobj.Instruction, _target: targets.Target) -> None:
    """Any qubits, or none for all."""


def _bfunc(step: qobj.Instruction, _target: targets.Target) -> None:
    if step.mask is None or step.val is None or not (qobj.slots(step.register) or qobj.slots(step.memory)):
        programs.refuse(8004, "it needs mask, val and register")
    mask = number(step.mask)
    compared(step.val)
    if mask.bit_length() > MAX_COMPARED:
        programs.refuse(8010, f"it compares {mask.bit_length()} bits; up to {MAX_COMPARED} are possible")
    if (step.relation or "==") not in circuits.RELATIONS:
        programs.refuse(8004, f"its relation {step.relation!r} is not one of {', '.join(circuits.RELATIONS)}")


def _copy(step: qobj.Instruction, _target: targets.Target) -> None:
    if step.register_orig is None or not qobj.slots(step.register_copy):
        programs.refuse(8004, "it needs register_orig and register_copy")


def compared(value: int | str) -> None:
    """Check what a register is compared with.

    Raises:
        errors.ProgramRefused: Code 8004.
    """
    size = number(value).bit_length()
    if size > MAX_COMPARED:
        programs.refuse(8004, f"its value has {size} bits; a register is compared with up to {MAX_COMPARED}")


def number(value: int | str) -> int:
    """Read a bit mask or a value.

    Raises:
        errors.ProgramRefused: Code 8004.
    """
    try:
        return qobj.number(value)
    except ValueError:
        programs.refuse(8004, f"{str(value)[:40]!r} is not a bit mask: a non-negative integer or hexadecimal text")


#: Instructions that neither act on a state by numbers nor look at it, and who checks each.
CHECKS: Final[Mapping[str, Callable[[qobj.Instruction, targets.Target], None]]] = {
    "barrier": _barrier,
    "bfunc": _bfunc,
    "copy": _copy,
    "delay": _delay,
    "measure": _measure,
    "reset": _reset,
    "roerror": _roerror,
}
