# SPDX-License-Identifier: Apache-2.0
"""The bell: tells whoever waits that something was committed, and nothing more; who hears it reads the table."""

import threading
from collections.abc import Callable


class Bell:
    """Topics and who listens to them; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, set[Callable[[], None]]] = {}

    def listen(self, topic: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each ring of `topic`, from any thread; it must be quick and never raise.

        Returns:
            A function that ends the listening.
        """
        with self._lock:
            self._listeners.setdefault(topic, set()).add(wake)

        def stop() -> None:
            with self._lock:
                listeners = self._listeners.get(topic, set())
                listeners.discard(wake)
                if not listeners:
                    self._listeners.pop(topic, None)

        return stop

    def ring(self, *topics: str) -> None:
        """Wake those who listen to any of the topics, each once."""
        with self._lock:
            awake = {wake for topic in topics for wake in self._listeners.get(topic, ())}
        for wake in awake:
            wake()

    def ring_all(self) -> None:
        """Wake everybody: another process wrote, and did not say what."""
        with self._lock:
            awake = {wake for listeners in self._listeners.values() for wake in listeners}
        for wake in awake:
            wake()
