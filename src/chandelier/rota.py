# SPDX-License-Identifier: Apache-2.0
"""Who of several threads goes when there is news: one that rests, not all of them.

Of threads that all woke for one job all but one would look in vain, and be in the way of the one that has it.
"""

import threading


class Rota:
    """Some threads, by number; those with low numbers go first.

    A thread says that it rests *before* it looks for work for the last time, so that no news falls between its look
    and its sleep.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._resting: set[int] = set()
        #: Who has been woken and has not noticed yet, and whether there is surely something to do.
        self._woken: dict[int, bool] = {}
        self._closed = False

    def news(self, *, sure: bool = True) -> None:
        """Wake one thread that rests; those at work look again by themselves before they rest.

        Args:
            sure: There is something to do; else there may be.
        """
        with self._changed:
            if self._resting:
                index = min(self._resting)
                self._resting.discard(index)
                self._woken[index] = sure
                self._changed.notify_all()

    def rest(self, index: int) -> None:
        """Let news go to this thread from now on."""
        with self._changed:
            self._resting.add(index)

    def busy(self, index: int, *, more: bool) -> None:
        """Let no news go to this thread, which has found work; what was meant for it, or is left, goes to another.

        Args:
            more: There is more to do, as far as is known.
        """
        with self._changed:
            self._resting.discard(index)
            woken = index in self._woken
            sure = self._woken.pop(index, False)
        if woken or more:
            self.news(sure=sure)

    def wait(self, index: int, seconds: float) -> bool:
        """Sleep until there is news for this thread, for some seconds at most; tell whether there is surely work."""
        with self._changed:
            self._changed.wait_for(lambda: index in self._woken or self._closed, seconds)
            self._resting.discard(index)
            return self._woken.pop(index, False)

    def close(self) -> None:
        """Wake everybody, and let nobody sleep any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
