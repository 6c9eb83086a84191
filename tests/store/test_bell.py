# SPDX-License-Identifier: Apache-2.0
"""The bell: who is woken by what."""

import threading

import pytest

from chandelier.store.bell import Bell


class Ear:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.heard = 0

    def wake(self) -> None:
        """Be woken."""
        self.heard += 1


@pytest.fixture(name="bell")
def _bell() -> Bell:
    return Bell()


def test_only_listeners_of_a_topic_are_woken(bell: Bell) -> None:
    """A topic that nobody listens to wakes nobody."""
    ear, other = Ear(), Ear()
    bell.listen("job:1", ear.wake)
    bell.listen("job:2", other.wake)
    bell.ring("job:1")
    bell.ring("job:3")

    assert (ear.heard, other.heard) == (1, 0)


def test_a_listener_of_several_topics_is_woken_once_a_ring(bell: Bell) -> None:
    """However many of them rang together."""
    ear = Ear()
    bell.listen("job:1", ear.wake)
    bell.listen("queue", ear.wake)
    bell.ring("job:1", "queue", "queue")

    assert ear.heard == 1


def test_ring_all_wakes_everybody_once(bell: Bell) -> None:
    """Whatever they listen to."""
    ear, other = Ear(), Ear()
    bell.listen("job:1", ear.wake)
    bell.listen("queue", ear.wake)
    bell.listen("job:2", other.wake)
    bell.ring_all()

    assert (ear.heard, other.heard) == (1, 1)


def test_who_stops_is_not_woken(bell: Bell) -> None:
    """Stopping twice does no harm, and nothing is kept for a topic without listeners."""
    ear = Ear()
    stop = bell.listen("job:1", ear.wake)
    stop()
    stop()
    bell.ring("job:1")
    bell.ring_all()

    assert ear.heard == 0
    assert not bell._listeners


def test_two_listenings_of_one_function_end_one_by_one(bell: Bell) -> None:
    """The end of the first does not deafen the second; together they are still woken once."""
    ear = Ear()
    first = bell.listen("job:1", ear.wake)
    second = bell.listen("job:1", ear.wake)
    bell.ring("job:1")
    first()
    first()
    bell.ring("job:1")
    second()
    bell.ring("job:1")

    assert ear.heard == 2


def test_a_listener_may_stop_and_listen_while_it_is_woken(bell: Bell) -> None:
    """The bell holds no lock while it wakes."""
    ear = Ear()

    def once() -> None:
        stop()
        bell.listen("job:1", ear.wake)

    stop = bell.listen("job:1", once)
    bell.ring("job:1")
    bell.ring("job:1")

    assert ear.heard == 1


def test_listeners_come_and_go_while_others_ring(bell: Bell) -> None:
    """From many threads, without losing a ring that comes after the listening began."""
    ringing = threading.Event()
    failures: list[str] = []

    def ring() -> None:
        while not ringing.is_set():
            bell.ring("job:1")
            bell.ring_all()

    def listen() -> None:
        for _ in range(200):
            heard = threading.Event()
            stop = bell.listen("job:1", heard.set)
            if not heard.wait(30):
                failures.append("not heard")
            stop()

    ringer = threading.Thread(target=ring)
    listeners = [threading.Thread(target=listen) for _ in range(4)]
    ringer.start()
    for thread in listeners:
        thread.start()
    for thread in listeners:
        thread.join(60)
    ringing.set()
    ringer.join(30)

    assert failures == []
    assert not bell._listeners


def test_who_overhears_is_told_the_topics_of_each_ring(bell: Bell) -> None:
    """Once a ring, whatever they are; a ring for everybody has none; nothing is heard after the end."""
    heard: list[frozenset[str] | None] = []
    stop = bell.overhear(heard.append)
    bell.ring("job:1", "queue", "queue")
    bell.ring()
    bell.ring_all()
    stop()
    stop()
    bell.ring("job:1")

    assert heard == [frozenset({"job:1", "queue"}), None]


def test_an_ear_that_fails_harms_no_other(bell: Bell) -> None:
    """Neither those who listen nor who rings."""
    heard: list[frozenset[str] | None] = []

    def fail(_topics: frozenset[str] | None) -> None:
        raise RuntimeError("the loop is closed")

    bell.overhear(fail)
    bell.overhear(heard.append)
    bell.ring("queue")
    bell.ring_all()

    assert heard == [frozenset({"queue"}), None]
