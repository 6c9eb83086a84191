# SPDX-License-Identifier: Apache-2.0
"""Clifford circuits of any size without noise: their outcomes are all equally likely, and form an affine space.

The circuit is reduced first (`reduction`), so that all measurements are final. Then stim computes what the circuit
makes of each Z operator of the initial state: the X parts of these stabilizers span the differences between
possible outcomes. One possible outcome and a basis of that span say everything; shots are drawn by us, so that a
seed means the same on every machine.

Source: Aaronson and Gottesman, Physical Review A 70, 052328 (2004), section III; Dehaene and De Moor, Physical
Review A 68, 042318 (2003), theorem 1.
"""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from chandelier.engines import gates, reduction, sampling, unitaries
from chandelier.formats import qobj

Bits = NDArray[np.uint8]

#: Most wires: a tableau takes the square of this, bits.
MAX_WIRES: Final = 6000
#: With so many times fewer possible outcomes than shots, how often each occurs is drawn, not each shot.
_SPARSE: Final = 4
#: Shots that are made together.
_CHUNK: Final = 4096
#: Angles are those of a Clifford gate up to rounding of the entries of its matrix.
_ROUNDING: Final = 1e-12

#: Measured times of a circuit, of an instruction, of a wire, of a bit of the tableau that it changes, of one that is
#: read, s.
START: Final = 100e-6
READ: Final = 3e-6
WIRE: Final = 1e-6
BIT: Final = 1e-9
CELL: Final = 50e-9
#: Measured times of a row of the basis, of a bit in it, and of a bit of another row that it is added to, s.
ROW: Final = 20e-6
LOOK: Final = 0.11e-6
ADD: Final = 0.04e-9
#: Measured times to draw a bit, and to add a row of the basis to it, s.
DRAW: Final = 20e-9
MIX: Final = 0.04e-9

#: Gates by the names of Qobj, and what they are to stim.
NAMES: Final[Mapping[str, tuple[tuple[str, tuple[int, ...]], ...]]] = {
    "x": (("X", (0,)),),
    "y": (("Y", (0,)),),
    "z": (("Z", (0,)),),
    "h": (("H", (0,)),),
    "s": (("S", (0,)),),
    "sdg": (("S_DAG", (0,)),),
    "sx": (("SQRT_X", (0,)),),
    "sxdg": (("SQRT_X_DAG", (0,)),),
    "cx": (("CX", (0, 1)),),
    "CX": (("CX", (0, 1)),),
    "cy": (("CY", (0, 1)),),
    "cz": (("CZ", (0, 1)),),
    "swap": (("SWAP", (0, 1)),),
    "iswap": (("ISWAP", (0, 1)),),
    "dcx": (("CX", (0, 1)), ("CX", (1, 0))),
    "ecr": (("S", (0,)), ("SQRT_X", (1,)), ("CX", (0, 1)), ("X", (0,))),
}
_CONTROLLED: Final[Mapping[str, str]] = {"x": "CX", "y": "CY", "z": "CZ"}
_ROTATIONS: Final = frozenset({"p", "u1", "u2", "u3", "u", "U", "r", "rx", "ry", "rz"})
_STRUCTURE: Final = frozenset({"id", "u0", "nop", "measure", "reset", "barrier", "delay", "bfunc", "copy"})
#: Gates that turn states of the computational basis into such states, so that no more outcomes become possible.
_STEADY: Final = (frozenset(NAMES) - {"h", "sx", "sxdg", "ecr"}) | _STRUCTURE | {"p", "u1", "rz", "pauli"}
#: Instructions that a circuit may contain, if their angles are right.
KNOWN: Final = frozenset(NAMES) | _ROTATIONS | _STRUCTURE | {"pauli"}


class Space(NamedTuple):
    """All possible outcomes, each as likely as any other.

    Attributes:
        origin: One of them, as a word of memory: bit i is slot i.
        basis: Words; the outcomes are the origin with any of them added bit by bit.
        width: Bits of a word.
    """

    origin: int
    basis: tuple[int, ...]
    width: int


def claims(steps: Sequence[qobj.Instruction]) -> bool:
    """Whether a circuit is made of Clifford gates, and conditions choose between Pauli operators only."""
    return all(step.name in KNOWN and _clifford(step) for step in steps)


def _clifford(step: qobj.Instruction) -> bool:
    if step.conditional is not None:
        return step.name in _CONTROLLED
    return step.name not in _ROTATIONS or _rotation(step) is not None


def takes(circuit: reduction.Reduced) -> bool:
    """Whether a reduced circuit is still one of Clifford gates, and not too wide."""
    simple = all(len(truth) < 2 for piece in circuit.pieces for _, _, truth in piece.parts)
    return simple and sum(len(piece.wires) for piece in circuit.pieces) <= MAX_WIRES


def seconds(circuit: reduction.Reduced, shots: int) -> float:
    """Predict the time for a circuit's counts, s: the most that it can be, as if no two measurements had to agree."""
    wires = sum(len(piece.wires) for piece in circuit.pieces)
    seen = sum(len(piece.seen) for piece in circuit.pieces)
    parts = sum(len(piece.parts) for piece in circuit.pieces)
    ranks = [_rank(piece) for piece in circuit.pieces]
    rank, pairs = sum(ranks), sum(one * len(piece.wires) for one, piece in zip(ranks, circuit.pieces, strict=True))
    tableau = parts * (READ + BIT * wires) + wires * (WIRE + CELL * wires)
    basis = rank * (ROW + LOOK * seen) + ADD * pairs * seen
    return START + tableau + basis + shots * seen * (DRAW + MIX * rank)


def _rank(piece: reduction.Piece) -> int:
    """The most binary choices that a piece can make: one for each measured wire, and for each gate that branches."""
    branching = sum(step is not None and step.name not in _STEADY for step, _, _ in piece.parts)
    return min(len(piece.seen), branching)


def memory(circuit: reduction.Reduced) -> int:
    """Predict the memory for a circuit's outcomes, bytes: a tableau, its four parts with bytes for bits, some shots."""
    wires = sum(len(piece.wires) for piece in circuit.pieces)
    seen = sum(len(piece.seen) for piece in circuit.pieces)
    return 6 * wires**2 + 20 * _CHUNK * seen


def space(circuit: reduction.Reduced) -> Space:
    """Find the outcomes of a circuit that `claims` and `takes`."""
    wires = [wire for piece in circuit.pieces for wire in piece.wires]
    place = {wire: number for number, wire in enumerate(wires)}
    seen = [place[wire] for piece in circuit.pieces for wire in piece.seen]
    if not seen:
        return Space(0, (), 0)
    made = stim.Circuit("\n".join([*_lines(circuit, place), _line("M", seen)]))
    _, _, z2x, _, _, _ = made.to_tableau(ignore_measurement=True).to_numpy()
    origin, basis = _reduced(made.reference_sample(), _basis(z2x[:, seen]))
    column = {where: number for number, where in enumerate(seen)}
    width = 1 + circuit.slots[-1][0]
    shown = np.zeros((1 + len(basis), width), dtype=np.uint8)
    rows = np.vstack([origin[None, :], basis])
    shown[:, [slot for slot, _ in circuit.slots]] = rows[:, [column[place[wire]] for _, wire in circuit.slots]]
    first, *others = sampling.packed(shown)
    return Space(first, tuple(others), width)


def draw(rng: np.random.Generator, found: Space, shots: int) -> tuple[list[int], sampling.Integers]:
    """Draw shots.

    Returns:
        Distinct words of memory, and how often each occurred.
    """
    rank = len(found.basis)
    if 1 << rank <= _SPARSE * shots:
        drawn = sampling.draw(rng, np.full(1 << rank, 0.5**rank), shots)
        every = [found.origin]
        for word in found.basis:
            every += [other ^ word for other in every]
        return [every[outcome] for outcome in drawn.outcomes.tolist()], drawn.numbers
    tally: collections.Counter[int] = collections.Counter()
    basis = _unpacked(found.basis, found.width).astype(np.float32)
    origin = _unpacked([found.origin], found.width)
    for start in range(0, shots, _CHUNK):
        chosen = rng.integers(0, 2, size=(min(_CHUNK, shots - start), rank), dtype=np.uint8)
        sums = (chosen.astype(np.float32) @ basis).astype(np.uint32)  # whole numbers: exact up to 2**24 summands
        tally.update(sampling.packed((sums & 1).astype(np.uint8) ^ origin))
    return list(tally), np.fromiter(tally.values(), dtype=np.int64, count=len(tally))


def _unpacked(words: Sequence[int], width: int) -> Bits:
    """Turn words into rows of bits: uint8, shape (words, width)."""
    size = (width + 7) // 8
    raw = b"".join(word.to_bytes(size, "little") for word in words)
    return np.unpackbits(np.frombuffer(raw, dtype=np.uint8).reshape(-1, size), axis=1, bitorder="little")[:, :width]


def _lines(circuit: reduction.Reduced, place: Mapping[int, int]) -> list[str]:
    """Write the gates down for stim; it reads a text much faster than it takes one gate after the other."""
    lines = [f"I {len(place) - 1}"]
    for step, wires, truth in (part for piece in circuit.pieces for part in piece.parts):
        places = [place[wire] for wire in wires]
        if step is None:
            lines.append(_line("CX", places))
        elif truth:
            ((wire, bit),) = truth
            lines.append(_line(_CONTROLLED[step.name], [place[wire], *places]))
            if not bit:  # done where the bit is 1, and once more everywhere
                lines.append(_line(step.name.upper(), places))
        elif step.name in _ROTATIONS:
            lines.append(_line(_rotation(step) or "", places))
        elif step.name in NAMES:
            lines += [_line(name, [places[index] for index in which]) for name, which in NAMES[step.name]]
    return lines


def _line(name: str, places: Sequence[int]) -> str:
    return f"{name} {' '.join(map(str, places))}"


def _basis(rows: NDArray[np.bool_]) -> Bits:
    """Find a basis of the span of rows of bits, each with a place that is 0 in all others: its first 1.

    Returns:
        uint8, shape (rank, columns).
    """
    columns = rows.shape[1]
    left = np.packbits(rows[rows.any(axis=1)], axis=1, bitorder="little")
    basis = np.zeros((0, left.shape[1]), dtype=np.uint8)
    while len(left):
        row = left[0].copy()
        byte = int(row.argmax() if row[0] else np.flatnonzero(row)[0])
        bit = row[byte] & -row[byte].astype(np.int16)
        basis[(basis[:, byte] & bit) != 0] ^= row
        left[(left[:, byte] & bit) != 0] ^= row
        basis = np.vstack([basis, row[None, :]])
        left = left[left.any(axis=1)]
    return np.unpackbits(basis, axis=1, bitorder="little")[:, :columns]


def _reduced(origin: NDArray[np.bool_], basis: Bits) -> tuple[Bits, Bits]:
    """Choose the outcome that is 0 wherever the basis has its places, so that it does not depend on stim's choice."""
    found = origin.astype(np.uint8)
    for row in basis:
        if found[int(row.argmax())]:
            found ^= row
    return found, basis


def _rotation(step: qobj.Instruction) -> str | None:
    """Name the Clifford gate that a rotation by certain angles is; None if it is none."""
    params = step.params or ()
    if len(params) != gates.SHAPES[step.name].params:
        params = gates.parameters(step.name, 1, step.params)
    return _named(step.name, tuple(params))


@functools.lru_cache(maxsize=4096)
def _named(name: str, params: tuple[float, ...]) -> str | None:
    controls, matrix = unitaries.of(qobj.Instruction(name=name, qubits=(0,), params=list(params)))
    entries = np.array(matrix, dtype=np.complex128)
    for candidate, other in _SINGLE.items():
        if controls == 0 and abs(abs(np.vdot(other, entries)) - 2) <= _ROUNDING:
            return candidate
    return None


def _single() -> dict[str, NDArray[np.complex128]]:
    """The Clifford gates on one qubit: their names, and the entries of their matrices row by row."""
    data = stim.gate_data()
    return {
        name: np.asarray(gate.unitary_matrix, dtype=np.complex128).ravel()
        for name, gate in sorted(data.items())
        if gate.is_unitary and not gate.is_two_qubit_gate and np.shape(gate.unitary_matrix) == (2, 2)
    }


_SINGLE: Final = _single()
