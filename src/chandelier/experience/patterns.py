# SPDX-License-Identifier: Apache-2.0
"""Regular expressions of a filter, matched without backtracking, so that none can stall the server.

Python's `re` needs exponential time for expressions like `(a+)+$` and cannot be interrupted. Here an expression
becomes a small program whose possible positions are followed all at once: the work is at most program size
times text length, and a `Budget` shared by all conditions of a filter ends it.
Source: Thompson, Communications of the ACM 11 (1968) 419.
"""

import re
from typing import Final

import msgspec

from chandelier import errors
from chandelier.experience import expressions
from chandelier.experience.expressions import Choice, Edge, Node, Refused, Repeat, Sequence, Set

MAX_PATTERN: Final = 256
MAX_PROGRAM: Final = 512
MAX_CACHE: Final = 4096
#: Steps that judging one filter may take: one to two seconds.
STEPS: Final = 1_000_000


class Budget:
    """The steps that judging one filter may still take."""

    def __init__(self, steps: int = STEPS) -> None:
        self.left = steps

    def charge(self, steps: int) -> None:
        """Take steps off the budget.

        Raises:
            errors.Invalid: It is used up (code 1003).
        """
        self.left -= steps
        if self.left < 0:
            raise errors.Invalid(
                "The filter takes too long on so many jobs. Add a condition on creationDate, "
                "backend.name, status, tags or id.",
                1003,
            )


class _Step(msgspec.Struct, frozen=True):
    """Read a character of the set, or be at the edge; then go on."""

    on: Set | Edge
    to: int


class _Fork(msgspec.Struct, frozen=True):
    """Go on at all of these."""

    to: tuple[int, ...]


class _End(msgspec.Struct, frozen=True):
    """The pattern has matched."""


_Program = list[_Step | _Fork | _End]


def _emit(node: Node, program: _Program, then: int) -> int:
    """Append the instructions for a node that goes on at `then`; give the place where it starts.

    Every call appends at least one instruction, so the limit on the program bounds the work as well.
    """
    if len(program) > MAX_PROGRAM:
        raise Refused
    if isinstance(node, Set | Edge):
        program.append(_Step(node, then))
    elif isinstance(node, Choice):
        program.append(_Fork(tuple([_emit(part, program, then) for part in node.parts])))
    elif isinstance(node, Sequence):
        for part in reversed(node.parts):
            then = _emit(part, program, then)
        program.append(_Fork((then,)))
    else:
        program.append(_Fork((_emit_repeat(node, program, then),)))
    return len(program) - 1


def _emit_repeat(node: Repeat, program: _Program, then: int) -> int:
    if node.most is None:
        loop = len(program)
        program.append(_Fork(()))
        program[loop] = _Fork((_emit(node.part, program, loop), then))
        after = loop
    else:
        after = then
        for _ in range(node.most - node.least):
            program.append(_Fork((_emit(node.part, program, after), then)))
            after = len(program) - 1
    for _ in range(node.least):
        after = _emit(node.part, program, after)
    return after


class Pattern:
    """A compiled pattern with its memory of steps already worked out; not for use by two threads at once.

    Args:
        program: Instructions.
        start: Where it starts.
        flags: JavaScript's flags; `i` and `m` count here.
        budget: What its searches are charged to.
    """

    def __init__(self, program: _Program, start: int, flags: str, budget: Budget) -> None:
        self._program, self._start, self._budget = program, frozenset({start}), budget
        self._fold, self._lines = "i" in flags, "m" in flags
        self._steps: dict[tuple[frozenset[int], str, str], frozenset[int] | None] = {}

    def search(self, text: str) -> bool:
        """Tell whether the pattern matches anywhere in a text.

        Raises:
            errors.Invalid: The budget is used up (code 1003).
        """
        self._budget.charge(len(text) // 4 + 1)  # A step that has been worked out before is cheap.
        places, before = self._start, ""
        for char in (*text, ""):
            following = self._step(places, before, char)
            if following is None:
                return True
            places, before = following, char
        return False

    def _step(self, places: frozenset[int], before: str, char: str) -> frozenset[int] | None:
        """Give the places after a character (empty: the end); None if the pattern has matched before it."""
        key = (places, before, char)
        if key in self._steps:
            return self._steps[key]
        sets = self._reachable(places, before, char)
        following = None
        if sets is not None:
            variants = {char, char.lower(), char.upper()} if self._fold else {char}
            following = self._start.union(to for wanted, to in sets if char and _contains(wanted, variants))
        if len(self._steps) >= MAX_CACHE:
            self._steps.clear()
        self._steps[key] = following
        return following

    def _reachable(self, places: frozenset[int], before: str, char: str) -> list[tuple[Set, int]] | None:
        """Follow forks and edges to the sets that may read on; None if they reach the end."""
        seen, waiting = set(places), list(places)
        sets: list[tuple[Set, int]] = []
        while waiting:
            instruction = self._program[waiting.pop()]
            targets: tuple[int, ...] = ()
            if isinstance(instruction, _End):
                return None
            if isinstance(instruction, _Fork):
                targets = instruction.to
            elif isinstance(instruction.on, Set):
                sets.append((instruction.on, instruction.to))
            elif self._at_edge(instruction.on.kind, before, char):
                targets = (instruction.to,)
            waiting.extend(target for target in targets if target not in seen)
            seen.update(targets)
        self._budget.charge(len(seen))
        return sets

    def _at_edge(self, kind: str, before: str, char: str) -> bool:
        if kind in "^$":
            side = before if kind == "^" else char
            return not side or (self._lines and side in expressions.LINE_ENDS)
        return (_is_word(before) != _is_word(char)) == (kind == "b")


def _is_word(char: str) -> bool:
    return char != "" and char.isascii() and (char.isalnum() or char == "_")


def _contains(wanted: Set, variants: set[str]) -> bool:
    inside = any(low <= char <= high for low, high in wanted.ranges for char in variants if len(char) == 1)
    return inside != wanted.negated


def compile_pattern(text: str, flags: str, budget: Budget) -> Pattern | None:
    """Compile an unanchored JavaScript pattern; None if it does not compile, is too long or needs a memory.

    Args:
        text: The pattern without slashes.
        flags: JavaScript's flags: `i`, `m` and `s` count, others change nothing here.
        budget: What compiling and searching are charged to.

    Raises:
        errors.Invalid: The budget is used up (code 1003).
    """
    if len(text) > MAX_PATTERN:
        return None
    budget.charge(len(text))
    try:
        return _assemble(expressions.read(text, every="s" in flags), flags, budget)
    except Refused:
        return None


def compile_like(text: str, flags: str, budget: Budget) -> Pattern | None:
    r"""Compile an SQL pattern for the whole text, with `%`, `_` and `\`; None if it is too long.

    `%` stands for any text, `_` for any character; after a backslash each stands for itself.

    Raises:
        errors.Invalid: The budget is used up (code 1003).
    """
    if len(text) > MAX_PATTERN:
        return None
    every = Set((), negated=True)
    wild: dict[str, Node] = {"%": Repeat(every, 0, None), "_": every}
    pieces = re.findall(r"\\[%_\\]|.", text, re.DOTALL)
    middle = (wild.get(piece) or Set(((piece[-1], piece[-1]),)) for piece in pieces)
    try:
        return _assemble(Sequence((Edge("^"), *middle, Edge("$"))), flags, budget)
    except Refused:
        return None


def _assemble(node: Node, flags: str, budget: Budget) -> Pattern:
    program: _Program = [_End()]
    try:
        start = _emit(node, program, 0)
    finally:
        budget.charge(len(program))
    return Pattern(program, start, flags, budget)
