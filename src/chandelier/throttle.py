# SPDX-License-Identifier: Apache-2.0
"""How often something may happen in a minute, by who does it."""

import threading
import time


class Throttle:
    """Counts events by key and says when there were too many in a minute; old keys are forgotten."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._levels: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> float:
        """Return in how many seconds one more event is allowed; 0 if it is now."""
        with self._lock:
            excess = self._level(key) + 1 - self._per_minute
        return max(0.0, excess * 60 / self._per_minute)

    def count(self, key: str) -> None:
        """Count one event."""
        with self._lock:
            level = self._level(key) + 1
            if len(self._levels) > 10000:
                self._levels = {name: value for name, value in self._levels.items() if self._level(name) > 0}
            self._levels[key] = (level, time.monotonic())

    def _level(self, key: str) -> float:
        level, at = self._levels.get(key, (0.0, 0.0))
        return max(0.0, level - (time.monotonic() - at) * self._per_minute / 60)
