# SPDX-License-Identifier: Apache-2.0
"""Pauli twirling: random circuits that would all do the same if nothing went wrong.

Averaged over them, the error of a two-qubit gate becomes a Pauli channel, and a readout error becomes one that does
not depend on the state that is read. Around a gate, random Paulis are put in front and what undoes them behind;
before a measurement, a qubit is flipped or not, and the bit is flipped back.

On a device, the gates on one qubit next to a twirled gate are merged with its Paulis, as far as they are not held
apart by barriers, so that twirling does not lengthen a circuit more than it must.

Source: J. Wallman and J. Emerson, arXiv:1512.01098; E. van den Berg et al., arXiv:2012.09738.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import (
    Barrier,
    CircuitInstruction,
    ClassicalRegister,
    Clbit,
    Gate,
    Operation,
    QuantumCircuit,
    Qubit,
    Store,
)
from qiskit.circuit.classical import expr
from qiskit.circuit.library import IGate, RZGate, SXGate, U1Gate, U3Gate, UGate, XGate, YGate, ZGate
from qiskit.converters import circuit_to_dag, dag_to_circuit

from chandelier import errors
from chandelier.engines import target as targets
from chandelier.engines.primitives import rebuilding

#: Gates that are twirled: those that turn Paulis into Paulis.
TWIRLED: Final = frozenset({"cx", "cz", "cy", "ecr", "swap", "iswap", "dcx"})

#: Ways to apply a Pauli, up to a phase: gates that are needed, and what stands for each.
_PAULIS: Final[Sequence[tuple[frozenset[str], Mapping[str, tuple[Gate, ...]]]]] = (
    (frozenset({"x", "y", "z"}), {"X": (XGate(),), "Y": (YGate(),), "Z": (ZGate(),)}),
    (frozenset({"rz", "x"}), {"X": (XGate(),), "Y": (RZGate(math.pi), XGate()), "Z": (RZGate(math.pi),)}),
    (
        frozenset({"rz", "sx"}),
        {"X": (SXGate(), SXGate()), "Y": (RZGate(math.pi), SXGate(), SXGate()), "Z": (RZGate(math.pi),)},
    ),
    (
        frozenset({"u1", "u3"}),
        {
            "X": (U3Gate(math.pi, 0, math.pi),),
            "Y": (U3Gate(math.pi, math.pi / 2, math.pi / 2),),
            "Z": (U1Gate(math.pi),),
        },
    ),
    (
        frozenset({"u"}),
        {
            "X": (UGate(math.pi, 0, math.pi),),
            "Y": (UGate(math.pi, math.pi / 2, math.pi / 2),),
            "Z": (UGate(0, 0, math.pi),),
        },
    ),
)


class Flipped(NamedTuple):
    """A circuit some of whose outcomes are to be flipped back.

    Attributes:
        circuit: The circuit.
        flips: For each classical register, shape (width), whether bit j is to be flipped.
    """

    circuit: QuantumCircuit
    flips: Mapping[str, NDArray[np.bool_]]


def pauli(letter: str, target: targets.Target) -> tuple[Gate, ...]:
    """The gates of a device that apply a Pauli, up to a phase.

    Raises:
        errors.ProgramRefused: Code 8043: it has none.
    """
    if letter == "I":
        return ()
    for needed, gates in _PAULIS:
        if needed <= target.basis:
            return gates[letter]
    raise errors.ProgramRefused(f"{target.name} has no gates to flip a qubit with.", 8043)


def measurements(
    circuit: QuantumCircuit, count: int, source: np.random.Generator, target: targets.Target
) -> list[Flipped]:
    """Flip a random half of the qubits before they are measured for the last time, and that several times.

    A measurement counts as the last if nothing but barriers follows it on its qubit, and nothing reads or writes its
    bit after it; a measurement inside a branch, or one that a branch depends on, stays as it is.

    Returns:
        As many as `count` says; where the same qubits are flipped, the circuit is the same object.
    """
    final = _final(circuit)
    places = np.array(sorted(final, reverse=True), dtype=np.intp)
    flip = pauli("X", target)
    known: dict[bytes, Flipped] = {}
    found = []
    for drawn in source.integers(2, size=(count, len(places)), dtype=np.int8).astype(bool):
        key = drawn.tobytes()
        if key not in known:
            known[key] = _flipped(circuit, [(index, final[index]) for index in places[drawn].tolist()], flip)
        found.append(known[key])
    return found


def _flipped(circuit: QuantumCircuit, chosen: Sequence[tuple[int, Clbit]], flip: Sequence[Gate]) -> Flipped:
    """Flip the qubits of some measurements, given by their places from the last to the first."""
    made = circuit.copy()
    for index, _ in chosen:
        qubits = made.data[index].qubits
        for gate in reversed(flip):
            made.data.insert(index, CircuitInstruction(gate, qubits))
    bits = {bit for _, bit in chosen}
    return Flipped(made, {register.name: np.array([bit in bits for bit in register]) for register in circuit.cregs})


def _final(circuit: QuantumCircuit) -> dict[int, Clbit]:
    """The places of the measurements that end a qubit, and the bits that they write."""
    found: dict[int, Clbit] = {}
    used: set[Qubit | Clbit] = set()
    for index in range(len(circuit.data) - 1, -1, -1):
        step = circuit.data[index]
        if step.name == "barrier":
            continue
        wires = {*step.qubits, *step.clbits, *_stored(step.operation)}
        if step.name == "measure" and not wires & used:
            found[index] = step.clbits[0]
        used |= wires
    return found


def _stored(operation: Operation) -> Iterator[Clbit]:
    """Give the bits that an operation reads or writes without naming them among its own."""
    if isinstance(operation, Store):
        for node in (*expr.iter_vars(operation.lvalue), *expr.iter_vars(operation.rvalue)):
            if isinstance(node.var, Clbit):
                yield node.var
            elif isinstance(node.var, ClassicalRegister):
                yield from node.var


def gates(
    circuit: QuantumCircuit, source: np.random.Generator, target: targets.Target, strategy: str
) -> QuantumCircuit:
    """Twirl two-qubit Clifford gates, in layers of gates that can happen at once.

    Args:
        circuit: Of which gates inside branches are left as they are.
        source: Decides on the Paulis.
        target: The device; its gates are used.
        strategy: Which qubits of a layer are twirled: `active` those of its gates, `active-accum` all that a twirled
            gate has met so far, `active-circuit` all that one meets anywhere, `all` all on which anything happens.
            Qubits that were measured are left out unless a gate of the layer acts on them.
    """
    weaver = _Weaver(circuit, source, target, _idlers(circuit, strategy))
    for step in circuit.data:
        weaver.add(step)
    weaver.flush()
    made = rebuilding.rebuilt(circuit, weaver.steps)
    return made if target.simulator else merged(made, target)


def _idlers(circuit: QuantumCircuit, strategy: str) -> set[Qubit] | None:
    """Qubits that are twirled with every layer; None for those met so far."""
    if strategy == "active-accum":
        return None
    if strategy == "active":
        return set()
    everywhere = strategy == "all"
    steps = (step for step in circuit.data if step.name in TWIRLED or (everywhere and step.name != "barrier"))
    return {qubit for step in steps for qubit in step.qubits}


class _Weaver:
    """Puts a circuit together again, with Paulis around the layers of its two-qubit gates.

    A layer waits until something else happens to its qubits; what happens to others goes before it.
    """

    def __init__(
        self, circuit: QuantumCircuit, source: np.random.Generator, target: targets.Target, idlers: set[Qubit] | None
    ) -> None:
        self._qubits, self._source = circuit.qubits, source
        self._gates = {letter: pauli(letter, target) for letter in "IXYZ"}
        self._idlers, self._met, self._measured = idlers, set[Qubit](), set[Qubit]()
        self._layer: list[CircuitInstruction] = []
        self.steps: list[CircuitInstruction] = []
        self._held: set[Qubit] = set()

    def add(self, step: CircuitInstruction) -> None:
        """Take the next step of the circuit."""
        if not self._held.isdisjoint(step.qubits):
            self.flush()
        if step.name in TWIRLED and step.is_standard_gate():
            self._layer.append(step)
            self._held.update(step.qubits)
            self._met.update(step.qubits)
            return
        if step.clbits:
            self._measured.update(step.qubits)
        self.steps.append(step)

    def flush(self) -> None:
        """Write the layer that waits."""
        if not self._layer:
            return
        others = (self._met if self._idlers is None else self._idlers) - self._held - self._measured
        idle = [(qubit, "IXYZ"[self._source.integers(4)]) for qubit in self._qubits if qubit in others]
        drawn = [(step, _PAIRS[self._source.integers(16)]) for step in self._layer]
        self._paulis(idle)
        for step, before in drawn:
            self._paulis(zip(step.qubits, before, strict=True))
        if others:  # or the Paulis of a qubit that waits would meet, and undo each other at once
            together = [qubit for qubit in self._qubits if qubit in others or qubit in self._held]
            self.steps.append(CircuitInstruction(Barrier(len(together)), together))
        self.steps += self._layer
        for step, before in drawn:
            self._paulis(zip(step.qubits, conjugated(step.name)[before], strict=True))
        self._paulis(idle)
        self._layer, self._held = [], set()

    def _paulis(self, letters: Iterable[tuple[Qubit, str]]) -> None:
        for qubit, letter in letters:
            self.steps += [CircuitInstruction(gate, (qubit,)) for gate in self._gates[letter]]


_PAIRS: Final = ["".join(pair) for pair in itertools.product("IXYZ", repeat=2)]


@functools.lru_cache(maxsize=16)
def conjugated(name: str) -> Mapping[str, str]:
    """What undoes a pair of Paulis behind a gate, for each pair in front of it; the first letter is of its first qubit.

    >>> conjugated("cx")["XI"]
    'XX'
    """
    circuit = QuantumCircuit(2)
    getattr(circuit, name)(0, 1)
    (step,) = circuit.data
    gate = step.operation.to_matrix()
    found = {}
    for pair in _PAIRS:
        moved = gate @ _matrix(pair) @ gate.conj().T
        found[pair] = next(other for other in _PAIRS if abs(abs(np.trace(_matrix(other) @ moved)) - 4) < 1e-9)
    return found


def _matrix(pair: str) -> NDArray[np.complex128]:
    """The matrix of a pair of Paulis, the first qubit least significant."""
    single = {"I": np.eye(2), "X": XGate().to_matrix(), "Y": YGate().to_matrix(), "Z": ZGate().to_matrix()}
    product: NDArray[np.complex128] = np.kron(single[pair[1]], single[pair[0]])
    return product


def merged(circuit: QuantumCircuit, target: targets.Target) -> QuantumCircuit:
    """Merge neighbouring gates on one qubit, except `id`, which clients use to wait."""
    from qiskit.transpiler.passes import Optimize1qGatesDecomposition  # noqa: PLC0415 -- the transpiler loads slowly

    waits = any(step.name == "id" for step in circuit.data)
    apart = _renamed(circuit, "id", _WAIT) if waits else circuit
    merger = Optimize1qGatesDecomposition(basis=sorted(target.basis - {"id"}))
    made = dag_to_circuit(merger.run(circuit_to_dag(apart, copy_operations=False)), copy_operations=False)
    return _renamed(made, _WAIT.name, IGate()) if waits else made


#: Stands for an `id` meanwhile: a gate of which nothing is known is not merged.
_WAIT: Final = Gate("wait", 1, [])


def _renamed(circuit: QuantumCircuit, name: str, gate: Gate) -> QuantumCircuit:
    steps = (CircuitInstruction(gate, step.qubits) if step.name == name else step for step in circuit.data)
    return rebuilding.rebuilt(circuit, steps)
