# SPDX-License-Identifier: Apache-2.0
"""Observables of estimator pubs: weighted sums of Pauli words, however a client writes them.

Source: protocol, Runtime API, section 7.2; `qiskit/primitives/containers/observables_array.py`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from chandelier import errors
from chandelier.formats import packed, tagged

#: Phases before a word, which have to be real.
_SIGNS: Final = {"": 1.0, "+": 1.0, "-": -1.0}

#: Letters of a word: Pauli operators, and projectors onto |0>, |1>, |+>, |->, |right>, |left>.
LETTERS: Final = "IXYZ01+-rl"
_WORD: Final = re.compile(r"[IXYZ01+\-rl]*")
#: A Pauli operator of Qiskit by its label: a phase, then letters.
_SIGNED: Final = re.compile(r"(\+|-|)([IXYZ]*)")

#: No pub has more observables, nor an observable more terms.
MOST: Final = 1_000_000


class Observable(msgspec.Struct, frozen=True):
    """A Hermitian operator.

    Attributes:
        terms: Words and their real coefficients, each word once; the leftmost letter acts on the highest qubit.
        width: Number of qubits; letters of each word.
    """

    terms: tuple[tuple[str, float], ...]
    width: int


class Observables(msgspec.Struct, frozen=True):
    """An array of observables of the same width.

    Attributes:
        shape: Shape of the array.
        flat: Its elements in C order.
    """

    shape: tuple[int, ...]
    flat: tuple[Observable, ...]


def read(value: Any, where: str) -> Observables:
    """Read an array of observables, as `untagged.decode` left it.

    Args:
        value: A Pauli word, a dictionary of words and coefficients, a tagged `Pauli`, `PauliList`, `SparsePauliOp` or
            `ObservablesArray`, or nested lists of these.
        where: Its place in the document, for messages.

    Raises:
        errors.ProgramRefused: Code 8033: it is none of these, its lists are of different lengths, the words of
            different widths, a letter is unknown, or a coefficient is not real. Code 8034: there are too many.
    """
    if isinstance(value, tagged.Observables):
        value = value.nested
    flat: list[Observable] = []
    shape = _walk(value, where, flat)
    if len(shape) > packed.MOST_AXES:
        raise _refused(f"{where} is nested {len(shape)} deep; up to {packed.MOST_AXES} axes are possible.")
    widths = sorted({observable.width for observable in flat})
    if len(widths) > 1:
        raise _refused(f"{where} has observables of {widths[0]} and of {widths[-1]} qubits.")
    return Observables(shape, tuple(flat))


def _walk(value: Any, where: str, flat: list[Observable]) -> tuple[int, ...]:
    """Collect the observables of an array in C order; return its shape."""
    items = _items(value, where)
    if items is None:
        flat.append(_observable(value, where))
        if len(flat) > MOST:
            raise errors.ProgramRefused(f"{where}: a pub may have {MOST} observables at most.", 8034)
        return ()
    shapes = [_walk(item, f"{where}[{index}]", flat) for index, item in enumerate(items)]
    if len(set(shapes)) > 1:
        raise _refused(f"{where} has elements of different shapes, {shapes[0]} and {shapes[-1]}.")
    return (len(items), *(shapes[0] if shapes else ()))


def _items(value: Any, where: str) -> list[Any] | None:
    """The elements of an array; None for a single observable."""
    if isinstance(value, list):
        return value
    if isinstance(value, tagged.Settings) and value.name == "PauliList":
        labels = value.values.get("data")
        if not isinstance(labels, list):
            raise _refused(f"{where} is a PauliList without a list of labels.")
        return [tagged.Settings("Pauli", {"data": label}) for label in labels]
    return None


def _observable(value: Any, where: str) -> Observable:
    if isinstance(value, str):
        return _sum([(value, 1.0)], where)
    if isinstance(value, Mapping):
        return _sum([(word, _real(number, where)) for word, number in value.items()], where)
    if isinstance(value, tagged.Settings) and value.name == "Pauli":
        return _sum([_signed(value.values.get("data"), where)], where)
    if isinstance(value, tagged.Settings) and value.name == "SparsePauliOp":
        return _sparse(value, where)
    raise _refused(f"{where} is not an observable: it takes a Pauli word, or words with their coefficients.")


def _sparse(value: tagged.Settings, where: str) -> Observable:
    paulis, coefficients = value.values.get("data"), value.values.get("coeffs")
    labels = paulis.values.get("data") if isinstance(paulis, tagged.Settings) else paulis
    numbers = coefficients.tolist() if isinstance(coefficients, np.ndarray) else coefficients
    if not isinstance(labels, list) or not isinstance(numbers, list) or len(labels) != len(numbers):
        raise _refused(f"{where} is a SparsePauliOp that has not one coefficient for each Pauli.")
    signed = [_signed(label, where) for label in labels]
    return _sum(
        [(word, sign * _real(number, where)) for (word, sign), number in zip(signed, numbers, strict=True)], where
    )


def _signed(label: Any, where: str) -> tuple[str, float]:
    match = _SIGNED.fullmatch(label) if isinstance(label, str) else None
    if match is None:
        raise _refused(f"{where}: {label!r:.60} is not a Pauli operator with a real sign.")
    return match[2], _SIGNS[match[1]]


def _sum(terms: list[tuple[str, float]], where: str) -> Observable:
    """A sum of words, each once."""
    if len(terms) > MOST:
        raise errors.ProgramRefused(f"{where}: an observable may have {MOST} terms at most.", 8034)
    total: dict[str, float] = {}
    for word, number in terms:
        if not _WORD.fullmatch(word):
            raise _refused(f"{where}: the word {word!r:.60} has other letters than {LETTERS}.")
        total[word] = total.get(word, 0.0) + number
    widths = sorted({len(word) for word in total})
    if len(widths) != 1:
        raise _refused(f"{where} has words of different widths." if widths else f"{where} has no terms.")
    return Observable(tuple(total.items()), widths[0])


def _real(number: Any, where: str) -> float:
    plain = number.item() if isinstance(number, np.ndarray) and number.size == 1 else number
    if isinstance(plain, complex) and plain.imag == 0:
        plain = plain.real
    if isinstance(plain, bool) or not isinstance(plain, int | float) or not abs(plain) <= _LARGEST:
        raise _refused(f"{where}: the coefficient {number!r:.60} is not a real number.")
    return float(plain)


#: Larger coefficients are taken for nonsense.
_LARGEST: Final = 1e100


def _refused(message: str) -> errors.ProgramRefused:
    return errors.ProgramRefused(message, 8033)
