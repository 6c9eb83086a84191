# SPDX-License-Identifier: Apache-2.0
"""The bell: tells whoever waits that something was committed, and nothing more; who hears it reads the table."""

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Bell:
    """Topics and who listens to them; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, dict[object, Callable[[], None]]] = {}
        #: How often it has rung; counted before anybody is woken.
        self.rings = 0
        self._ears: dict[object, Callable[[frozenset[str] | None], None]] = {}

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each ring of `topic`, from any thread; it must be quick and never raise.

        Returns:
            A function that ends the listening.
        """
        # The same function may listen twice, and each listening ends by itself.
        key = object()
        with self._lock:
            self._listeners.setdefault(topic, {})[key] = wake

        def stop() -> None:
            with self._lock:
                listeners = self._listeners.get(topic, {})
                listeners.pop(key, None)
                if not listeners:
                    self._listeners.pop(topic, None)

        return stop

    def overhear(self, hear: Callable[[frozenset[str] | None], None]) -> Callable[[], None]:
        """Call `hear` after each ring with its topics, or with None if it was for everybody; as for `listen`.

        For one who waits on behalf of many: a ring costs it one call, however many topics they wait for.

        Returns:
            A function that ends the listening.
        """
        key = object()
        with self._lock:
            self._ears[key] = hear

        def stop() -> None:
            with self._lock:
                self._ears.pop(key, None)

        return stop

    def ring(self, *topics: str) -> None:
        """Wake those who listen to any of the topics, each once."""
        if not topics:
            return
        with self._lock:
            self.rings += 1
            awake = {wake for topic in topics for wake in self._listeners.get(topic, {}).values()}
            ears = list(self._ears.values())
        # Those who overhear forget what they remember: whoever wakes must not be told that any more.
        for hear in ears:
            _call(hear, frozenset(topics))
        for wake in awake:
            _call(wake)

    def ring_all(self) -> None:
        """Wake everybody: another process wrote, and did not say what."""
        with self._lock:
            self.rings += 1
            awake = {wake for listeners in self._listeners.values() for wake in listeners.values()}
            ears = list(self._ears.values())
        for hear in ears:
            _call(hear, None)
        for wake in awake:
            _call(wake)


def _call(listener: Callable[..., None], *heard: frozenset[str] | None) -> None:
    try:
        listener(*heard)
    except Exception:  # noqa: BLE001  # a listener that is ending must not end the database's writer
        _log.exception("A listener failed")
