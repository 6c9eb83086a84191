# SPDX-License-Identifier: Apache-2.0
"""The syntax of a regular expression: JavaScript's, read into a tree; pure.

What needs a memory of the text is refused: back references and look-around, and so are Unicode properties.
Source: ECMA-262, section 22.2.1 with annex B.1.2.
"""

import re
from typing import Final

import msgspec

MAX_NESTING: Final = 30

_BRACES: Final = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}", re.ASCII)
_GROUP: Final = re.compile(r"\?(?::|<[A-Za-z_$][\w$]*>)", re.ASCII)
_HEX: Final = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,5})\}")
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
LINE_ENDS: Final = "\n\r\u2028\u2029"
_DIGITS: Final = (("0", "9"),)
_WORD: Final = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE: Final = (
    ("\t", "\r"),
    *((space, space) for space in " \xa0\u1680"),
    ("\u2000", "\u200a"),
    *((space, space) for space in "\u2028\u2029\u202f\u205f\u3000\ufeff"),
)
_LAST: Final = "\U0010ffff"

Ranges = tuple[tuple[str, str], ...]


class Refused(Exception):
    """The expression does not compile."""


class Set(msgspec.Struct, frozen=True):
    """One character out of ranges, or none of them."""

    ranges: Ranges
    negated: bool = False


class Edge(msgspec.Struct, frozen=True):
    """A place between characters: `^`, `$`, `b` or `B`."""

    kind: str


class Sequence(msgspec.Struct, frozen=True):
    """One after the other."""

    parts: "tuple[Node, ...]"


class Choice(msgspec.Struct, frozen=True):
    """One of them."""

    parts: "tuple[Node, ...]"


class Repeat(msgspec.Struct, frozen=True):
    """From `least` to `most` times; None is any number."""

    part: "Node"
    least: int
    most: int | None


Node = Set | Edge | Sequence | Choice | Repeat


def read(text: str, *, every: bool) -> Node:
    """Read an expression.

    Args:
        text: The expression, without slashes around it.
        every: A dot stands for line ends, too.

    Raises:
        Refused: It does not compile.
    """
    reader = _Reader(text, every=every)
    node = _read_choice(reader)
    if reader.peek():
        raise Refused
    return node


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, text: str, *, every: bool) -> None:
        self.text, self.at, self.depth, self.every = text, 0, 0, every

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        if not char:
            raise Refused
        self.at += 1
        return char

    def skip(self, expected: str) -> bool:
        if self.peek() != expected:
            return False
        self.at += 1
        return True

    def skip_match(self, form: re.Pattern[str]) -> re.Match[str] | None:
        found = form.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found


def _read_choice(reader: _Reader) -> Node:
    parts = [_read_sequence(reader)]
    while reader.skip("|"):
        parts.append(_read_sequence(reader))
    return parts[0] if len(parts) == 1 else Choice(tuple(parts))


def _read_sequence(reader: _Reader) -> Node:
    parts: list[Node] = []
    while reader.peek() not in {"", "|", ")"}:
        parts.append(_read_repeat(reader, _read_atom(reader)))
    return Sequence(tuple(parts))


def _read_repeat(reader: _Reader, atom: Node) -> Node:
    braces = reader.skip_match(_BRACES)
    if braces:
        least = int(braces[1])
        most = least if braces[2] is None else int(braces[3]) if braces[3] else None
    elif reader.peek() and reader.peek() in "*+?":
        sign = reader.take()
        least, most = int(sign == "+"), 1 if sign == "?" else None
    else:
        return atom
    if isinstance(atom, Edge) or (most is not None and most < least):
        raise Refused
    reader.skip("?")  # Lazy or greedy finds the same texts.
    return Repeat(atom, least, most)


def _read_atom(reader: _Reader) -> Node:
    char = reader.take()
    if char == "(":
        return _read_group(reader)
    if char == "[":
        return _read_class(reader)
    if char == "\\":
        return _read_escape(reader)
    if char in "^$":
        return Edge(char)
    if char == ".":
        return Set(() if reader.every else tuple((end, end) for end in LINE_ENDS), negated=True)
    if char in "*+?" or (char == "{" and _BRACES.match(reader.text, reader.at - 1)):
        raise Refused
    return Set(((char, char),))


def _read_group(reader: _Reader) -> Node:
    reader.depth += 1
    if reader.depth > MAX_NESTING or (reader.peek() == "?" and not reader.skip_match(_GROUP)):
        raise Refused
    inner = _read_choice(reader)
    if not reader.skip(")"):
        raise Refused
    reader.depth -= 1
    return inner


def _read_escape(reader: _Reader) -> Node:
    if reader.peek() and reader.peek() in "bB":
        return Edge(reader.take())
    return Set(_read_escaped_set(reader))


def _read_escaped_set(reader: _Reader) -> Ranges:
    """Read what follows a backslash, in a class or outside."""
    number = reader.skip_match(_HEX)
    if number:
        char = chr(int(number[1] or number[2] or number[3], 16))
        return ((char, char),)
    char = reader.take()
    if char.lower() in "dws":
        ranges = {"d": _DIGITS, "w": _WORD, "s": _SPACE}[char.lower()]
        return ranges if char.islower() else _complement(ranges)
    if char in "123456789kpPc":  # Back references, properties and control letters.
        raise Refused
    char = _CONTROLS.get(char, char)
    return ((char, char),)


def _complement(ranges: Ranges) -> Ranges:
    starts = ["\0", *(chr(ord(high) + 1) for _, high in ranges)]
    ends = [*(chr(ord(low) - 1) for low, _ in ranges), _LAST]
    return tuple(zip(starts, ends, strict=True))


def _read_class(reader: _Reader) -> Node:
    negated = reader.skip("^")
    ranges: list[tuple[str, str]] = []
    while not reader.skip("]"):
        low = _read_class_atom(reader)
        if reader.peek() != "-" or reader.text[reader.at + 1 : reader.at + 2] in {"", "]"}:
            ranges += low
            continue
        reader.take()
        high = _read_class_atom(reader)
        if _single(low) and _single(high):
            if low[0][0] > high[0][0]:
                raise Refused
            ranges.append((low[0][0], high[0][0]))
        else:  # `[\w-z]`: the hyphen is itself.
            ranges += (*low, ("-", "-"), *high)
    return Set(tuple(ranges), negated)


def _single(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def _read_class_atom(reader: _Reader) -> Ranges:
    char = reader.take()
    if char != "\\":
        return ((char, char),)
    if reader.skip("b"):
        return (("\b", "\b"),)
    return _read_escaped_set(reader)
