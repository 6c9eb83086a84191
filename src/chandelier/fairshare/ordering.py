# SPDX-License-Identifier: Apache-2.0
"""Names in the order of ranks that mostly grow: an entry is mended when it comes to the top."""

import heapq
import math
from collections.abc import Callable, Generator
from typing import Final

#: What is compared first, and what decides between equals; neither ever becomes less without `put`.
Rank = tuple[float, float]
_LAST: Final[Rank] = (math.inf, math.inf)


class Order:
    """A heap of names whose true ranks are kept elsewhere.

    An entry may say less than the true rank of its name, never more: whoever lowers a rank puts the name in again. So
    ranks may grow without anybody telling the heap, and each growth costs one repair at most.
    """

    __slots__ = ("_entries", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[Rank, str]] = []
        self._entries: dict[str, Rank] = {}  # the one entry of each name that counts

    def put(self, name: str, rank: Rank) -> None:
        """Enter a name, or lower its rank; where its entry says as little already, nothing changes."""
        entry = self._entries.get(name)
        if entry is None or rank < entry:
            self._entries[name] = rank
            heapq.heappush(self._heap, (rank, name))

    def first(self, rank: Callable[[str], Rank | None], most: Rank = _LAST) -> Generator[str]:
        """Give names, the least rank first, those of one rank by the alphabet; close it before the next change.

        Args:
            rank: Returns the true rank of a name, or None if it is out; it comes in again by `put`.
            most: Ranks above it are not looked at.
        """
        heap, entries = self._heap, self._entries
        given: list[tuple[Rank, str]] = []
        try:
            while heap and heap[0][0] <= most:
                top = heap[0]
                entry, name = top
                if entries.get(name) != entry or (given and given[-1] == top):
                    heapq.heappop(heap)
                    continue
                true = rank(name)
                if true is None:
                    heapq.heappop(heap)
                    del entries[name]
                elif true > entry:
                    entries[name] = true
                    heapq.heapreplace(heap, (true, name))
                else:
                    yield name
                    given.append(heapq.heappop(heap))
        finally:
            for each in given:
                heapq.heappush(heap, each)
