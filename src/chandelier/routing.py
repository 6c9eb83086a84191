# SPDX-License-Identifier: Apache-2.0
"""Paths with parameters as a tree: finding one costs the length of the path, not the number of paths; pure.

Static segments match in any case, a slash at the end is ignored, and a parameter is one whole segment that is not
empty, or what stands before a fixed end. Where several paths match, the more literal one wins, segment by segment.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    def __init__(self) -> None:
        self.literal: dict[str, _Node[T]] = {}
        #: Name of the parameter, what follows it in the same segment, and the way on; longer ends first.
        self.parameters: list[tuple[str, str, _Node[T]]] = []
        self.values: dict[str, T] = {}


class Tree(Generic[T]):
    """Values by method and path."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, path: str, value: T) -> None:
        """Add a value; a second one for the same method and path is never found.

        Args:
            path: Like `/Jobs/{job}/status`.
        """
        node = self._root
        for segment in _segments(path):
            node = _descend(node, segment)
        node.values.setdefault(method, value)

    def find(self, method: str, path: str) -> tuple[T | None, Mapping[str, str]] | None:
        """Return the value for a path and its parameters; None if there is no such path.

        The value is None if the path exists, but not with this method.
        """
        segments = _segments(path)
        parameters: dict[str, str] = {}
        value = _follow(self._root, segments, 0, method, parameters)
        if value is not None:
            return value, parameters
        return (None, parameters) if _follow(self._root, segments, 0, None, parameters) is not None else None


def _segments(path: str) -> list[str]:
    return path.removesuffix("/").split("/")[1:]


def _descend(node: _Node[T], segment: str) -> _Node[T]:
    if not segment.startswith("{"):
        return node.literal.setdefault(segment.lower(), _Node())
    name, _, end = segment[1:].partition("}")
    for known, known_end, following in node.parameters:
        if (known, known_end) == (name, end.lower()):
            return following
    following = _Node[T]()
    node.parameters.append((name, end.lower(), following))
    node.parameters.sort(key=lambda parameter: -len(parameter[1]))
    return following


def _follow(
    node: _Node[T], segments: Sequence[str], depth: int, method: str | None, parameters: dict[str, str]
) -> T | None:
    """Return what stands at the end of the most literal way that leads anywhere, and note the parameters of the way.

    Args:
        method: None takes whatever stands there.
    """
    if depth == len(segments):
        return node.values.get(method) if method is not None else next(iter(node.values.values()), None)
    segment = segments[depth]
    following = node.literal.get(segment.lower())
    if following is not None:
        found = _follow(following, segments, depth + 1, method, parameters)
        if found is not None:
            return found
    for name, end, following in node.parameters:
        value = segment if not end else _before(segment, end)
        if value:
            found = _follow(following, segments, depth + 1, method, parameters)
            if found is not None:
                parameters[name] = value
                return found
    return None


def _before(segment: str, end: str) -> str:
    return segment[: len(segment) - len(end)] if segment.lower().endswith(end) else ""
