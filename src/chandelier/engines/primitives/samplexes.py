# SPDX-License-Identifier: Apache-2.0
"""Samplexes: what draws the random angles of a circuit, and what has to be known of them to undo what they did.

A samplex is a graph of small steps, written as JSON by a client; `graphs` has looked at it. Drawing from it is the work
of `samplomatic`, which is imported here and nowhere else.

Source: how samples fill the shape of an item: `qiskit_ibm_runtime`, `fake_provider/executor/broadcast_sample.py`.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import QuantumCircuit

from chandelier import errors
from chandelier.engines import cost
from chandelier.engines.primitives import graphs
from chandelier.formats import tagged, tasks

#: The code of arguments or a shape that do not belong to the circuit or the samplex.
UNFIT: Final = 8046

#: What drawing takes: memory for a qubit of a register in one randomization, bytes, and the time of a step, s.
HELD: Final = 320
STEP: Final = 0.1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class Samplex:
    """A samplex that was checked.

    Attributes:
        steps: Number of its steps.
        width: Qubits of all its registers together.
        inputs: What it is given, bound; of samplomatic.
        drawn: What draws; of samplomatic.
        shape: The shape of an item: that of the arguments, broadcast, with the axes that enumerate randomizations.
    """

    steps: int
    width: int
    inputs: Any
    drawn: Any
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """For how many parameters of a circuit it draws values."""
        found = [spec.shape[-1] for spec in self.drawn.outputs().specs if spec.name == "parameter_values"]
        return int(found[0]) if found else 0


def open_(
    text: str,
    ssv: int,
    arguments: Mapping[str, bool | int | tagged.PauliLindblad | NDArray[Any]],
    shape: tuple[int, ...],
) -> Samplex:
    """Read a samplex and give it its arguments.

    Args:
        text: The samplex, JSON.
        ssv: Its version, as the client says.
        arguments: By name.
        shape: The shape of the item; axes on which no argument depends enumerate randomizations.

    Raises:
        errors.ProgramRefused: Code 8045: it is not a samplex, newer than ours, or too large. Code 8046: arguments or
            shape are not such as it needs. As `qpy.load` for its formulas.
    """
    from samplomatic.serialization import samplex_from_json  # noqa: PLC0415 -- half a second, for samplexes alone

    checked = graphs.read(text, ssv)
    try:
        drawn = samplex_from_json(checked.text).finalize()
    except Exception as error:
        raise errors.ProgramRefused(f"The samplex cannot be read: {graphs.told(error)}", graphs.UNREADABLE) from error
    try:
        inputs = drawn.inputs().make_broadcastable().bind(**{name: _value(one) for name, one in arguments.items()})
        missing = [spec.name for spec in inputs.specs if not spec.optional and spec.name not in inputs]
        if missing:
            raise ValueError(f"it needs {', '.join(missing)}")  # noqa: TRY301 -- told like all that is wrong with them
        whole = tuple(np.broadcast_shapes(shape, inputs.shape))
    except Exception as error:
        raise errors.ProgramRefused(f"The samplex's arguments are wrong: {graphs.told(error)}", UNFIT) from error
    return Samplex(checked.steps, checked.width, inputs, drawn, whole)


def predicted(samplex: Samplex, limits: tasks.Limits) -> float:
    """Predict the time that drawing takes, s.

    Raises:
        errors.ProgramRefused: Code 8008: it takes more memory than a job may use.
    """
    swept, drawn = _axes(samplex)
    rounds = math.prod(samplex.shape[axis] for axis in swept)
    numbers = math.prod(samplex.shape[axis] for axis in drawn)
    outputs = sum(graphs.size(spec.shape) * spec.dtype.itemsize for spec in samplex.drawn.outputs().specs)
    size = HELD * samplex.width * numbers + outputs * math.prod(samplex.shape)
    if size > limits.memory_bytes:
        raise errors.ProgramRefused(
            f"Drawing {math.prod(samplex.shape)} randomizations takes {cost.readable(size)} of memory; a job may use "
            f"{cost.readable(limits.memory_bytes)}. Ask for fewer.",
            8008,
        )
    return rounds * (STEP * samplex.steps + 1e-7 * samplex.width * numbers)


def sample(samplex: Samplex, source: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Draw every randomization of an item.

    Args:
        samplex: The samplex with its arguments.
        source: Of randomness.

    Returns:
        Its outputs by name, each of shape (*samplex.shape, ...): `parameter_values`, the `measurement_flips.` of each
        classical register, and others that the client wants back.

    Raises:
        errors.ProgramRefused: Code 8045: it does not hold together.
    """
    swept, drawn = _axes(samplex)
    numbers = math.prod(samplex.shape[axis] for axis in drawn)
    spread = tuple(samplex.shape[axis] for axis in drawn)
    outputs: dict[str, NDArray[Any]] = {}
    for place in np.ndindex(*(samplex.shape[axis] for axis in swept)):
        at: list[int | slice] = [slice(None)] * len(samplex.shape)
        for axis, index in zip(swept, place, strict=True):
            at[axis] = index
        own = at[len(at) - len(samplex.inputs.shape) :]
        chosen = tuple(index if isinstance(index, int) else 0 for index in own)
        try:
            found = samplex.drawn.sample(samplex.inputs[chosen], numbers, source, max_workers=1)
        except Exception as error:
            raise errors.ProgramRefused(
                f"The samplex cannot be drawn from: {graphs.told(error)}", graphs.UNREADABLE
            ) from error
        for name, values in found.items():
            whole = outputs.setdefault(name, np.empty((*samplex.shape, *values.shape[1:]), values.dtype))
            whole[tuple(at)] = values.reshape(*spread, *values.shape[1:])
    return outputs


def boxed(circuit: QuantumCircuit, strategy: str) -> QuantumCircuit:
    """Put the layers of a circuit into boxes, as clients do it that twirl them.

    Args:
        circuit: The circuit.
        strategy: Which qubits beside those of its gates a layer has; as clients write it.

    Raises:
        errors.ProgramRefused: Code 8047: it has no layers.
    """
    from samplomatic.transpiler import generate_boxing_pass_manager  # noqa: PLC0415 -- for noise learners alone

    passes = generate_boxing_pass_manager(enable_measures=False, twirling_strategy=strategy.replace("-", "_"))
    try:
        made: QuantumCircuit = passes.run(circuit)
    except Exception as error:
        raise errors.ProgramRefused(f"The circuit's layers cannot be told: {graphs.told(error)}", 8047) from error
    return made


def _axes(samplex: Samplex) -> tuple[list[int], list[int]]:
    """The axes of an item along which arguments change, and those that enumerate randomizations."""
    own = (1,) * (len(samplex.shape) - len(samplex.inputs.shape)) + samplex.inputs.shape
    swept = [axis for axis, size in enumerate(own) if size != 1]
    return swept, [axis for axis, size in enumerate(own) if size == 1]


def _value(argument: object) -> Any:
    if not isinstance(argument, tagged.PauliLindblad):
        return argument
    from qiskit.quantum_info import PauliLindbladMap  # noqa: PLC0415 -- a compiled part that few need

    if not 0 <= argument.num_qubits <= graphs.WIDEST:
        raise ValueError(f"a map of {argument.num_qubits} qubits is wider than {graphs.WIDEST}")
    return PauliLindbladMap.from_sparse_list(list(argument.terms), argument.num_qubits)
