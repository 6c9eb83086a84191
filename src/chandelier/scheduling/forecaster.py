# SPDX-License-Identifier: Apache-2.0
"""The forecaster: one look ahead for all who ask in a process, made anew in the background when it is old.

Nobody who polls waits for it, and it is made only while somebody asks. It also compares what it foretold with what
came of it.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from chandelier import errors
from chandelier.jobs import lines
from chandelier.scheduling import accuracy, forecast
from chandelier.scheduling.forecast import Forecast
from chandelier.store import Store, Transaction

_log = logging.getLogger(__name__)

#: A forecast is kept at least so long, and at most, s; the latter because time passes though nothing happens.
_LEAST: Final = 2.0
_MOST: Final = 10.0
#: Part of a processor that looking ahead may take.
_LOAD: Final = 0.05
#: Where looking takes longer than this, s, who asks again soon is told the same: nobody must keep a processor busy.
_QUICK: Final = 0.25
#: So many jobs are followed until they begin, to learn how good forecasts are.
_FOLLOWED: Final = 20_000


class Forecaster:
    """What is foretold, kept up to date.

    Args:
        slots: How many jobs run at once.
        news: Called, on some thread, when there is a new forecast.
    """

    def __init__(self, store: Store, slots: int, news: Callable[[], None]) -> None:
        self._store = store
        self._slots = slots
        self._news = news
        self._lock = threading.Lock()  # of one who looks ahead
        self._latest: Forecast | None = None
        self._rings = -1
        self._made = -_MOST
        self._took = 0.0
        self._looking = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="forecast")
        # When each job was foretold to begin, s since 1970, the first time, and on which device.
        self._foretold: dict[str, tuple[str, float]] = {}

    def latest(self) -> Forecast | None:
        """Return the last forecast, unless it is too old to be told; costs nothing, and has a new one made in time."""
        age = time.monotonic() - self._made
        least = max(_LEAST, self._took / _LOAD)
        old = age > max(_MOST, least) or (age > least and self._rings != self._store.bell.rings)
        if old and not self._looking:
            self._looking = True
            self._thread.submit(self._look_quietly)
        return self._latest if age <= max(2 * _MOST, 2 * least) else None

    def fresh(self) -> Forecast:
        """Return what is foretold now; waits for it if anything has happened since the last time.

        Raises:
            errors.Unavailable: The database does not answer.
        """
        rings = self._store.bell.rings
        with self._lock:
            age = time.monotonic() - self._made
            good = age < _LEAST if self._rings >= rings else age < 10 * (self._took - _QUICK)
            return self._latest if good and self._latest is not None else self._look()

    def _look_quietly(self) -> None:
        try:
            with self._lock:
                self._look()
        except errors.Unavailable as failure:
            _log.warning("No forecast can be made: %s", failure.message)
        except Exception:  # noqa: BLE001  # the last resort: nobody waits for the outcome
            _log.exception("A forecast failed")
        finally:
            self._looking = False

    def _look(self) -> Forecast:
        begun, rings = time.monotonic(), self._store.bell.rings
        now = datetime.now(UTC)
        with self._store.database.reading() as tx:
            made = forecast.make(tx, now, self._slots)
            off = self._compare(tx, made)
        if off:
            self._store.write(lambda tx: accuracy.note(tx, off))
        self._made = time.monotonic()
        self._took = self._made - begun
        self._latest, self._rings = made, rings
        self._news()
        return made

    def _compare(self, tx: Transaction, made: Forecast) -> dict[str, list[float]]:
        """Return how far off the forecasts were of the jobs that have begun meanwhile, s, by device."""
        expected = made.course.expected
        begun = lines.starts(tx, [job for job in self._foretold if job not in expected])
        off: dict[str, list[float]] = {}
        for job, started in begun.items():
            device, foretold = self._foretold[job]
            off.setdefault(device, []).append(abs(started.timestamp() - foretold))
        known = {job: told for job, told in self._foretold.items() if job in expected}
        for job, told in expected.items():
            if told.start is not None and len(known) < _FOLLOWED:
                known.setdefault(job, (told.line[0], told.start))
        self._foretold = known
        return off
