# SPDX-License-Identifier: Apache-2.0
"""Hamiltonians as devices publish them, read into the numbers of a model of coupled Duffing oscillators.

A Hamiltonian is a list of texts, such as `_SUM[i,0,4,wq{i}/2*(I{i}-Z{i})]` or `omegad1*X0||U0`, with values for their
names. Each text is parsed and multiplied out; what the sum of all of them has that the model has not is refused:

    H = Σ_i [w_i n_i + delta_i/2 (n_i² - n_i)] + Σ_ij J_ij (b_i† b_j + b_i b_j†) + Σ_c Ω_c D_c(t) (b_i† + b_i)

Source: Qobj, arXiv:1809.03452, appendix B; legacy API reference, section 9.2; `description` of any published
Hamiltonian: (1 - Z)/2 stands for n, `Sp` for b†, `Sm` for b, `X` for b† + b, and values are in rad/ns.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from chandelier import errors

#: The largest published Hamiltonian has 1120 terms, the longest of 35 characters, about 156 qubits.
MAX_TERMS: Final = 20_000
MAX_LENGTH: Final = 1000
MAX_NESTING: Final = 8
MAX_QUBITS: Final = 2000
#: Terms once all sums are written out.
MAX_WRITTEN: Final = 100_000

#: rad/s of a published value.
_UNIT: Final = 1e9
_TOKEN: Final = re.compile(r"\s*(?:(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|([-+*/()]))", re.ASCII)
_OPERATOR: Final = re.compile(r"(Sp|Sm|I|X|Z|O)(\d{1,6})", re.ASCII)
_SUM: Final = re.compile(r"_SUM\[\s*([a-z])\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,(.*)\]\s*", re.ASCII | re.DOTALL)
_CHANNEL: Final = re.compile(r"\s*([DU])(\d{1,6})\s*", re.ASCII)

#: Operators in the order of their product, each with its qubit; the identity is the empty product.
_Product = tuple[tuple[str, int], ...]
#: Coefficients of products.
_Polynomial = dict[_Product, float]


class Qubit(msgspec.Struct, frozen=True):
    """One oscillator.

    Attributes:
        frequency: Of its two lowest levels, w, rad/s.
        anharmonicity: How much more the next step up takes, delta, rad/s; negative for a transmon.
    """

    frequency: float
    anharmonicity: float


class Drive(msgspec.Struct, frozen=True):
    """What a channel drives.

    Attributes:
        qubit: Index of the oscillator that it acts on.
        strength: Ω, rad/s: a resonant sample of 1 turns the two lowest levels at this rate.
    """

    qubit: int
    strength: float


class Hamiltonian(msgspec.Struct, frozen=True):
    """All numbers of the model.

    Attributes:
        qubits: By index, in ascending order.
        couplings: J in rad/s of pairs of indices, the smaller index first.
        drives: By channel as instructions name it, `d0` or `u3`.
    """

    qubits: dict[int, Qubit]
    couplings: dict[tuple[int, int], float]
    drives: dict[str, Drive]


class _Wire(msgspec.Struct, frozen=True):
    h_str: list[str] = []
    variables: dict[str, float] = msgspec.field(name="vars", default={})


_decoder = msgspec.json.Decoder(_Wire)


def parse(document: Mapping[str, Any] | str | None) -> Hamiltonian:
    """Read a published Hamiltonian.

    Args:
        document: The `hamiltonian` of a configuration: an object, or the same as JSON text.

    Raises:
        errors.Invalid: Code 8011; the message names the term that cannot be read, or what the model does not know.
    """
    try:
        wire = _decoder.decode(document) if isinstance(document, str) else msgspec.convert(document or {}, _Wire)
    except (ValueError, RecursionError) as error:
        raise errors.Invalid(f"The Hamiltonian cannot be read: {str(error)[:200]}.", 8011) from error
    if not wire.h_str:
        _refuse("it has no terms (`h_str`)")
    if len(wire.h_str) > MAX_TERMS:
        _refuse(f"it has {len(wire.h_str)} terms; up to {MAX_TERMS} are read")
    static: _Polynomial = {}
    driven: dict[str, _Polynomial] = {}
    for term, channel, product in _written_out(wire.h_str):
        into = static if channel is None else driven.setdefault(channel, {})
        try:
            _add(into, _Parser(product, wire.variables).read())
        except ValueError as error:
            _refuse(f"{error}, in its term {term[:80]!r}")
    qubits = _qubits(static)
    return Hamiltonian(
        qubits=qubits,
        couplings=_couplings(static, qubits),
        drives={channel: _drive(channel, terms, qubits) for channel, terms in driven.items()},
    )


def _written_out(terms: Iterable[str]) -> Iterable[tuple[str, str | None, str]]:
    """Each term of each sum: the text it comes from, its channel or None, and the product alone."""
    count = 0
    for term in terms:
        if len(term) > MAX_LENGTH:
            _refuse(f"a term has {len(term)} characters; up to {MAX_LENGTH} are read: {term[:40]!r}")
        for text in _summands(term, depth=0):
            count += 1
            if count > MAX_WRITTEN:
                _refuse(f"its sums have more than {MAX_WRITTEN} terms")
            product, bars, channel = text.partition("||")
            found = _CHANNEL.fullmatch(channel)
            if bars and found is None:
                _refuse(f"{channel[:40]!r} is no channel, in its term {term[:80]!r}")
            yield term, None if found is None else f"{found[1].lower()}{int(found[2])}", product


def _summands(text: str, *, depth: int) -> Iterable[str]:
    if not text.lstrip().startswith("_SUM"):
        yield text
        return
    found = _SUM.fullmatch(text.lstrip())
    if found is None or depth >= MAX_NESTING:
        _refuse(f"a sum must be _SUM[i,first,last,term], not {text[:80]!r}")
    name, first, last, body = found[1], int(found[2]), int(found[3]), found[4]
    if last < first:
        _refuse(f"a sum has no terms: {text[:80]!r}")
    if last - first >= MAX_QUBITS:
        _refuse(f"a sum has {last - first + 1} terms; up to {MAX_QUBITS} are read: {text[:80]!r}")
    for index in range(first, last + 1):
        yield from _summands(body.replace(f"{{{name}}}", str(index)), depth=depth + 1)


class _Parser:
    """Reads sums and products of numbers, variables and operators, and multiplies them out.

        sum      = product {("-" | "+") product}
        product  = {"-" | "+"} factor {("*" | "/") factor}
        factor   = number | variable | operator | "(" sum ")"

    It lives as long as one text is read. Its methods raise ValueError with what is wrong, without a full stop.
    """

    def __init__(self, text: str, variables: Mapping[str, float]) -> None:
        self._variables = variables
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0

    def read(self) -> _Polynomial:
        result = self._sum()
        if self._place < len(self._tokens):
            raise ValueError(f"{self._tokens[self._place]!r} is not expected")
        return result

    def _sum(self) -> _Polynomial:
        result = self._product()
        while sign := self._taken("-", "+"):
            _add(result, _times(self._product(), {(): -1.0 if sign == "-" else 1.0}))
        return result

    def _product(self) -> _Polynomial:
        leading = 1.0
        while sign := self._taken("-", "+"):
            leading *= -1.0 if sign == "-" else 1.0
        result = _times(self._factor(), {(): leading})
        while sign := self._taken("*", "/"):
            factor = self._factor()
            result = _times(result, factor if sign == "*" else _inverse(factor))
        return result

    def _factor(self) -> _Polynomial:
        if self._taken("("):
            self._depth += 1
            if self._depth > MAX_NESTING:
                raise ValueError(f"parentheses are nested more than {MAX_NESTING} deep")
            result = self._sum()
            self._depth -= 1
            if not self._taken(")"):
                raise ValueError("a parenthesis is not closed")
            return result
        if self._place == len(self._tokens):
            raise ValueError("it ends too early")
        token = self._tokens[self._place]
        self._place += 1
        return self._value(token)

    def _value(self, token: str) -> _Polynomial:
        if not token[0].isalnum() and token[0] != "_":
            raise ValueError(f"{token!r} is not expected")
        if token[0].isdigit():
            return _number(float(token), token)
        if token in self._variables:
            return _number(self._variables[token], token)
        found = _OPERATOR.fullmatch(token)
        if found is None:
            raise ValueError(f"{token[:40]!r} is no value of `vars` and no operator that the model knows")
        name, qubit = found[1], int(found[2])
        if name == "I":
            return {(): 1.0}
        return {(): 1.0, (("O", qubit),): -2.0} if name == "Z" else {((name, qubit),): 1.0}

    def _taken(self, *tokens: str) -> str | None:
        if self._place < len(self._tokens) and self._tokens[self._place] in tokens:
            self._place += 1
            return self._tokens[self._place - 1]
        return None


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"{text[place : place + 20]!r} is not understood")
        tokens.append(found[1] or found[2] or found[3])
        place = found.end()
    return tokens


def _number(value: float, name: str) -> _Polynomial:
    if not math.isfinite(value):
        raise ValueError(f"the value of {name[:40]!r} is not finite")
    return {(): value}


def _inverse(factor: _Polynomial) -> _Polynomial:
    if set(factor) != {()} or not factor[()]:
        raise ValueError("something is divided by what is not a number, or by zero")
    return {(): 1.0 / factor[()]}


def _add(into: _Polynomial, terms: _Polynomial) -> None:
    for product, value in terms.items():
        into[product] = into.get(product, 0.0) + value


def _times(first: _Polynomial, second: _Polynomial) -> _Polynomial:
    result: _Polynomial = {}
    for left, a in first.items():
        for right, b in second.items():
            # Operators of different qubits commute; the sort is stable, so those of one keep their order.
            product = tuple(sorted(left + right, key=lambda operator: operator[1]))
            if len(product) > 2:
                raise ValueError("more than two operators are multiplied, which the model does not know")
            result[product] = result.get(product, 0.0) + a * b
    return result


def _qubits(static: _Polynomial) -> dict[int, Qubit]:
    """Of c1 n + c2 n²: c2 = delta/2 and c1 = w - delta/2."""
    indices = sorted({qubit for product in static for _, qubit in product})
    if not indices:
        _refuse("none of its terms is about a qubit")
    return {
        index: Qubit(
            frequency=_UNIT * (static.get((("O", index),), 0.0) + static.get((("O", index), ("O", index)), 0.0)),
            anharmonicity=_UNIT * 2.0 * static.get((("O", index), ("O", index)), 0.0),
        )
        for index in indices
    }


def _couplings(static: _Polynomial, qubits: Mapping[int, Qubit]) -> dict[tuple[int, int], float]:
    """All static terms but those of single qubits; each coupling is there with its Hermitian conjugate."""
    result: dict[tuple[int, int], float] = {}
    for product, value in static.items():
        names = [name for name, _ in product]
        places = tuple(qubit for _, qubit in product)
        if not math.isfinite(value):
            _refuse("a sum of its values is not finite")
        if not product or names == ["O"] or (names == ["O", "O"] and places[0] == places[1]):
            continue
        if names not in (["Sp", "Sm"], ["Sm", "Sp"]) or places[0] == places[1]:
            _refuse(f"the model does not know its term {_written(product)}")
        other = static.get(((names[1], places[0]), (names[0], places[1])))
        if other is None or not math.isclose(value, other, rel_tol=1e-9):
            _refuse(f"its term {_written(product)} is there without its conjugate, or with another value")
        result[places[0], places[1]] = _UNIT * value
    return {pair: result[pair] for pair in sorted(result) if pair[0] in qubits}


def _drive(channel: str, terms: _Polynomial, qubits: Mapping[int, Qubit]) -> Drive:
    if len(terms) != 1:
        _refuse(f"channel {channel} drives {len(terms)} operators; the model knows one")
    product, value = next(iter(terms.items()))
    if [name for name, _ in product] != ["X"]:
        _refuse(f"the model does not know that channel {channel} drives {_written(product)}")
    qubit = product[0][1]
    if qubit not in qubits:
        _refuse(f"channel {channel} drives qubit {qubit}, which has no other terms")
    if not math.isfinite(value):
        _refuse(f"the strength of channel {channel} is not finite")
    return Drive(qubit=qubit, strength=_UNIT * value)


def _written(product: _Product) -> str:
    return "*".join(f"{name}{qubit}" for name, qubit in product) or "1"


def _refuse(why: str) -> NoReturn:
    raise errors.Invalid(f"The Hamiltonian cannot be used: {why}.", 8011)
