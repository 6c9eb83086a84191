# SPDX-License-Identifier: Apache-2.0
"""When a session keeps its device, reckoned from when its jobs came, began and ended; pure.

It does from the beginning of a job until some time after its end, and longer as long as a job waits that was submitted
by then.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

#: A time from one moment to a later one.
Spell = tuple[datetime, datetime]


class Span(msgspec.Struct, frozen=True):
    """A job of a session: when it was submitted, began and ended, as far as it did."""

    created: datetime
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def runs(self) -> bool:
        """Whether it has begun and not ended."""
        return self.started is not None and self.ended is None

    @property
    def waits(self) -> bool:
        """Whether it has neither begun nor ended."""
        return self.started is None and self.ended is None


def ran(spans: Iterable[Span], until: datetime, patience: timedelta = timedelta()) -> list[Spell]:
    """Return when, before a moment, any job ran or had ended less than a while ago."""
    begun = [(span.started, span.ended) for span in spans if span.started is not None and span.started <= until]
    ends = [(start, until if ended is None else min(until, ended + patience)) for start, ended in begun]
    return merged(ends)


def kept(spans: Sequence[Span], until: datetime, patience: timedelta) -> list[Spell]:
    """Return when, before a moment, a session kept its device for its jobs."""
    spells = ran(spans, until, patience)
    waits = sorted((span.created, min(until, span.started or span.ended or until)) for span in spans)
    longest, number = spells[0][0] if spells else until, 0
    found = []
    for start, end in spells:
        while number < len(waits) and waits[number][0] <= end:
            longest = max(longest, waits[number][1])
            number += 1
        found.append((start, max(end, longest)))
    return merged(found)


def keeps(now: datetime, patience: timedelta, *, runs: bool, last: datetime | None, waiting: datetime | None) -> bool:
    """Tell whether a session keeps its device: what `kept` comes to at present.

    Args:
        runs: Whether a job of it does.
        last: When the last job ended of those that had begun.
        waiting: When the first was submitted of those that wait.
    """
    if runs or last is None:
        return runs
    return now < last + patience or (waiting is not None and waiting <= last + patience)


def idle(held: Sequence[Spell], spans: Iterable[Span], until: datetime) -> float:
    """Return for how long of the time in which a device was kept no job ran or waited, s."""
    there = merged((span.created, until if span.ended is None else min(until, span.ended)) for span in spans)
    return length(merged([*held, *there])) - length(there)


def length(spells: Iterable[Spell]) -> float:
    """Return how long some times are together, s."""
    return sum(((end - start for start, end in spells)), timedelta()).total_seconds()


def merged(spells: Iterable[Spell]) -> list[Spell]:
    """Return times without overlaps, in order.

    >>> merged([(7, 8), (1, 3), (2, 5)])
    [(1, 5), (7, 8)]
    """
    found: list[Spell] = []
    for start, end in sorted(spell for spell in spells if spell[0] <= spell[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
