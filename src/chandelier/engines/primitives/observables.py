# SPDX-License-Identifier: Apache-2.0
"""Observables: what has to be measured to know them, and what outcomes say of them.

An observable is a real combination of terms; a term is a product of factors, each of one qubit: X, Y or Z, or a
projector on one of their eigenstates (`0 1` of Z, `+ -` of X, `r l` of Y). Terms that ask every qubit they share for
the same axis are measured together.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import ClassicalRegister, Gate, QuantumCircuit
from qiskit.circuit.library import HGate, RZGate, SdgGate, SXGate, U2Gate, UGate

from chandelier import errors
from chandelier.engines import target as targets

#: Factors of a term by qubit, in ascending order; the identity is left out.
Term = tuple[tuple[int, str], ...]

#: For each factor the axis that it is measured along, and the outcome it projects on (None: its sign is taken).
FACTORS: Final[Mapping[str, tuple[str, int | None]]] = {
    "X": ("X", None),
    "Y": ("Y", None),
    "Z": ("Z", None),
    "0": ("Z", 0),
    "1": ("Z", 1),
    "+": ("X", 0),
    "-": ("X", 1),
    "r": ("Y", 0),
    "l": ("Y", 1),
}
_CODES: Final = {"X": 1, "Y": 2, "Z": 3}

#: Outcomes whose worth is looked at together.
_TOGETHER: Final = 512

#: Most Pauli operators that a product of projectors is written as.
MAX_EXPANDED: Final = 4096


class Group(NamedTuple):
    """Terms that one circuit measures.

    Attributes:
        axes: For each qubit that is measured its axis, by qubit in ascending order.
        terms: What is known from its outcomes.
    """

    axes: tuple[tuple[int, str], ...]
    terms: tuple[Term, ...]

    @property
    def qubits(self) -> tuple[int, ...]:
        """The qubits that are measured; the columns of the outcomes."""
        return tuple(qubit for qubit, _ in self.axes)


@dataclasses.dataclass(frozen=True)
class Counted:
    """Outcomes of a circuit that was measured in several randomizations.

    Attributes:
        outcomes: Shape (outcomes, qubits), bool: those that occurred, column j of the j-th qubit measured.
        counts: Shape (randomizations, outcomes), int: how often each occurred.
    """

    outcomes: NDArray[np.bool_]
    counts: NDArray[np.int64]

    @property
    def shots(self) -> int:
        """Shots over all randomizations."""
        return int(self.counts.sum())


class Variances(NamedTuple):
    """Variances of means, found in two ways, each of shape (means).

    Attributes:
        spread: From how far randomizations lie apart; the same as `pooled` where there is only one.
        pooled: As if all shots came from one circuit.
    """

    spread: NDArray[np.float64]
    pooled: NDArray[np.float64]

    def __add__(self, other: "Variances") -> "Variances":  # type: ignore[override]
        """Of a sum of independent quantities."""
        return Variances(self.spread + other.spread, self.pooled + other.pooled)


def parse(labels: Mapping[str, float], width: int) -> dict[Term, float]:
    """Read an observable.

    Args:
        labels: Coefficients by label, whose leftmost character is of the highest qubit.
        width: Number of qubits of the circuit.

    Raises:
        errors.ProgramRefused: Code 8041: a label or a coefficient is wrong.
    """
    terms: dict[Term, float] = {}
    for label, coefficient in labels.items():
        if len(label) != width:
            raise errors.ProgramRefused(
                f"The observable {_short(label)} has {len(label)} characters; the circuit has {width} qubits.", 8041
            )
        unknown = set(label) - FACTORS.keys() - {"I"}
        if unknown:
            raise errors.ProgramRefused(
                f"The observable {_short(label)} has {min(unknown)!r}; there are I X Y Z 0 1 + - r l.", 8041
            )
        if not math.isfinite(coefficient):
            raise errors.ProgramRefused(f"The coefficient {coefficient} of {_short(label)} is not finite.", 8041)
        term = tuple((qubit, letter) for qubit, letter in enumerate(reversed(label)) if letter != "I")
        terms[term] = terms.get(term, 0.0) + coefficient
    return terms


def _short(label: str) -> str:
    return repr(label if len(label) <= 40 else f"{label[:38]}…")


def paulis(terms: Mapping[Term, float]) -> dict[Term, float]:
    """Write projectors as sums of Pauli operators: |0⟩⟨0| is (1 + Z) / 2.

    Raises:
        errors.ProgramRefused: Code 8042: a term would become more than `MAX_EXPANDED`.
    """
    made: dict[Term, float] = {}
    for term, coefficient in terms.items():
        projectors = sum(FACTORS[letter][1] is not None for _, letter in term)
        if 2**projectors > MAX_EXPANDED:
            raise errors.ProgramRefused(
                f"A term with projectors of {projectors} qubits is {2.0**projectors:.3g} Pauli operators; mitigation "
                f"takes up to {MAX_EXPANDED} of a term. Set resilience_level to 0, or project fewer qubits.",
                8042,
            )
        for parts in itertools.product(*(_pauli(qubit, letter) for qubit, letter in term)):
            product = tuple(factor for factor, _ in parts if factor is not None)
            made[product] = made.get(product, 0.0) + coefficient * math.prod(weight for _, weight in parts)
    return made


def _pauli(qubit: int, letter: str) -> list[tuple[tuple[int, str] | None, float]]:
    axis, outcome = FACTORS[letter]
    if outcome is None:
        return [((qubit, axis), 1.0)]
    return [(None, 0.5), ((qubit, axis), 0.5 - outcome)]


def support(term: Term) -> Term:
    """The product of Z on the qubits of a term: what reading its outcomes comes down to.

    >>> support(((0, "X"), (3, "Y")))
    ((0, 'Z'), (3, 'Z'))
    """
    return tuple((qubit, "Z") for qubit, _ in term)


def grouped(terms: Collection[Term]) -> list[Group]:
    """Share out terms among as few circuits as a simple search finds; the identity needs none.

    Longer terms come first, and each joins the first group that agrees with it on every qubit they share.
    """
    ordered = sorted((term for term in terms if term), key=lambda term: (-len(term), term))
    columns = {qubit: column for column, qubit in enumerate(sorted({qubit for term in ordered for qubit, _ in term}))}
    table = np.zeros((16, len(columns)), dtype=np.uint8)  # the axes of each group
    members: list[list[Term]] = []
    for term in ordered:
        places = [columns[qubit] for qubit, _ in term]
        codes = np.array([_CODES[FACTORS[letter][0]] for _, letter in term], dtype=np.uint8)
        taken = table[: len(members), places]
        free = np.flatnonzero(~((taken != codes) & (taken != 0)).any(axis=1))
        index = int(free[0]) if len(free) else len(members)
        if index == len(members):
            members.append([])
            if index == len(table):
                table = np.concatenate([table, np.zeros_like(table)])
        members[index].append(term)
        table[index, places] = codes
    return [_group(group) for group in members]


def _group(terms: Sequence[Term]) -> Group:
    axes = {qubit: FACTORS[letter][0] for term in terms for qubit, letter in term}
    return Group(tuple(sorted(axes.items())), tuple(terms))


def measuring(circuit: QuantumCircuit, group: Group, target: targets.Target) -> tuple[QuantumCircuit, str]:
    """Add the measurement of a group to a circuit.

    Returns:
        The circuit, and the name of the register whose bit j is the outcome of the group's j-th qubit.
    """
    name = "observed"
    while any(register.name == name for register in circuit.cregs):
        name += "_"
    made = circuit.copy()
    register = ClassicalRegister(len(group.axes), name)
    made.add_register(register)
    for qubit, axis in group.axes:
        for gate in rotation(axis, target):
            made.append(gate, [qubit], copy=False)
    made.measure(list(group.qubits), register)
    return made, name


#: Ways to turn an axis to that of Z: the gates that are needed, then those for X and for Y.
_ROTATIONS: Final[Sequence[tuple[frozenset[str], Mapping[str, tuple[Gate, ...]]]]] = (
    (frozenset({"h", "sdg"}), {"X": (HGate(),), "Y": (SdgGate(), HGate())}),
    (frozenset({"rz", "sx"}), {"X": (RZGate(math.pi / 2), SXGate()), "Y": (SXGate(),)}),
    (frozenset({"u2"}), {"X": (U2Gate(0, math.pi),), "Y": (U2Gate(0, math.pi / 2),)}),
    (
        frozenset({"u"}),
        {"X": (UGate(math.pi / 2, 0, math.pi),), "Y": (UGate(math.pi / 2, 0, math.pi / 2),)},
    ),
)


def rotation(axis: str, target: targets.Target) -> tuple[Gate, ...]:
    """The gates after which a measurement shows an axis, of those that a device has.

    Raises:
        errors.ProgramRefused: Code 8043: it has none that do.
    """
    if axis == "Z":
        return ()
    for needed, gates in _ROTATIONS:
        if needed <= target.basis:
            return gates[axis]
    raise errors.ProgramRefused(f"{target.name} has no gates to measure {axis} with.", 8043)


def count(randomizations: Iterable[NDArray[np.bool_]]) -> Counted:
    """Count outcomes.

    Args:
        randomizations: For each the outcome of every shot, shape (shots, qubits).
    """
    every = list(randomizations)
    if not every or not every[0].shape[1]:
        return Counted(np.zeros((1, 0), dtype=np.bool_), np.array([[len(one)] for one in every], dtype=np.int64))
    packed = np.packbits(np.concatenate(every), axis=1)
    words = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, which = np.unique(words, return_index=True, return_inverse=True)
    outcomes = np.concatenate(every)[first]
    starts = np.repeat(np.arange(len(every)), [len(one) for one in every])
    counts = np.bincount(starts * len(first) + which, minlength=len(every) * len(first))
    return Counted(outcomes, counts.reshape(len(every), len(first)).astype(np.int64))


def values(group: Group, outcomes: NDArray[np.bool_]) -> NDArray[np.int8]:
    """What each term is worth for each outcome, shape (outcomes, terms): ±1, or 0 off a projector."""
    signs, ones, zeros = _masks(group)
    worth = np.empty((len(outcomes), len(group.terms)), dtype=np.int8)
    projects = bool(ones.any() or zeros.any())
    for block in _blocks(len(outcomes)):
        bits = outcomes[block].astype(np.float32)
        worth[block] = 1 - 2 * np.mod(bits @ signs, 2)
        if projects:
            worth[block] *= (1 - bits) @ ones + bits @ zeros == 0
    return worth


def _blocks(count: int) -> Iterator[slice]:
    """Outcomes that are looked at together: of all at once, the numbers of wide groups would fill the memory."""
    return (slice(start, start + _TOGETHER) for start in range(0, count, _TOGETHER))


def weighed(worth: NDArray[np.int8], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """What combinations of terms are worth for each outcome, shape (outcomes, combinations).

    Args:
        worth: As `values` makes it.
        weights: Shape (terms, combinations).
    """
    found = np.zeros((len(worth), weights.shape[1]))
    for block in _blocks(len(worth)):
        found[block] = worth[block].astype(np.float64) @ weights
    return found


@functools.lru_cache(maxsize=256)
def _masks(group: Group) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """For each qubit and term whether the term takes its sign, projects it on 1, projects it on 0."""
    places = {qubit: place for place, qubit in enumerate(group.qubits)}
    masks = np.zeros((3, len(places), len(group.terms)), dtype=np.float32)
    for column, term in enumerate(group.terms):
        for qubit, letter in term:
            masks[{None: 0, 1: 1, 0: 2}[FACTORS[letter][1]], places[qubit], column] = 1.0
    return masks[0], masks[1], masks[2]


def means(counted: Counted, worth: NDArray[np.int8]) -> NDArray[np.float64]:
    """Mean of each term over all shots; `worth` as `values` makes it."""
    total, mean = counted.counts.sum(axis=0), np.zeros(worth.shape[1])
    for block in _blocks(len(worth)):
        mean += total[block] @ worth[block].astype(np.float64)
    return mean / counted.shots


def stds(counted: Counted, worth: NDArray[np.int8]) -> NDArray[np.float64]:
    """Standard error of the mean of each term, each for itself and as if all shots came from one circuit."""
    squares = means(counted, np.abs(worth)) - means(counted, worth) ** 2
    return np.sqrt(np.maximum(squares, 0.0) / max(counted.shots - 1, 1))


def variances(counted: Counted, worth: NDArray[np.float64]) -> Variances:
    """Variances of the means of some quantities over all shots.

    What is measured together is correlated; give combinations of terms as quantities of their own.

    Args:
        counted: The outcomes.
        worth: Shape (outcomes, quantities): what each is worth for each outcome, as `weighed` makes it.
    """
    total, shots = counted.counts.sum(axis=0), counted.shots
    mean = total @ worth / shots
    pooled = total @ (worth - mean) ** 2 / max(shots - 1, 1) / shots
    rounds = len(counted.counts)
    if rounds == 1:
        return Variances(pooled, pooled)
    each = counted.counts @ worth / counted.counts.sum(axis=1, keepdims=True)
    return Variances(each.var(axis=0, ddof=1) / rounds, pooled)
