# SPDX-License-Identifier: Apache-2.0
"""What a server remembers is what it would read."""

import threading
from collections.abc import Callable

import pytest

from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.memory import Memory, Recollection, Told, digest
from chandelier.store import Transaction
from chandelier.tenancy import members
from factories import Town, a_job, after, queued


@pytest.fixture(name="numbers")
def _numbers(town: Town) -> Recollection[str, int]:
    return Recollection(town.store.bell)


def keep(town: Town, numbers: Recollection[str, int], key: str, value: int, **more: float) -> None:
    """Remember a value that was read just now."""
    town.store.read(lambda tx: numbers.keep(tx, key, value, **more))


def test_a_value_is_remembered_until_it_is_forgotten(town: Town, numbers: Recollection[str, int]) -> None:
    """One by one, or all."""
    for key in "abc":
        keep(town, numbers, key, ord(key))
    numbers.forget("b")
    numbers.forget("never known")
    assert [numbers.get(key) for key in "abc"] == [97, None, 99]

    numbers.clear()
    assert [numbers.get(key) for key in "abc"] == [None] * 3


def test_a_value_is_remembered_for_its_time(town: Town, numbers: Recollection[str, int]) -> None:
    """A time that is over already shows it without waiting."""
    keep(town, numbers, "a", 1, seconds=-1.0)
    keep(town, numbers, "b", 2, seconds=1000.0)

    assert (numbers.get("a"), numbers.get("b")) == (None, 2)


def test_what_may_be_old_is_not_remembered(town: Town, numbers: Recollection[str, int]) -> None:
    """A bell that rang after the view was opened may have been about just this."""
    with town.store.database.reading() as tx:
        town.store.bell.ring("anything")
        assert numbers.keep(tx, "a", 1) == 1

    assert numbers.get("a") is None


def test_memory_has_an_end(town: Town, numbers: Recollection[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for ever more makes it forget, not grow."""
    monkeypatch.setattr("chandelier.memory._MOST", 3)
    for number in range(10):
        keep(town, numbers, str(number), number)
        assert sum(numbers.get(str(each)) is not None for each in range(10)) <= 3
        assert numbers.get(str(number)) == number


def test_names_are_read_again_when_the_network_changes(town: Town) -> None:
    """Also when another process has written; nothing else makes them be read again."""
    memory = Memory(town.store.bell)

    def look() -> tuple[object, object]:
        def work(tx: Transaction) -> tuple[object, object]:
            return memory.device(tx, town.device.id), memory.place(tx, town.home.project_id)

        return town.store.read(work)

    rings: tuple[Callable[[], None], ...] = (lambda: town.store.bell.ring("network"), town.store.bell.ring_all)
    for ring in rings:
        before = look()
        town.store.bell.ring("queue", "job:x", "tokens")
        assert all(one is two for one, two in zip(look(), before, strict=True))
        ring()
        assert not any(one is two for one, two in zip(look(), before, strict=True))


CHANGES: dict[str, Callable[[Transaction, Town, records.Job], object]] = {
    "move": lambda tx, _town, job: records.advance(tx, job.id, (State.RUNNING,), after(1)),
    "name": lambda tx, _town, job: records.rename(tx, job.id, "new"),
    "tags": lambda tx, _town, job: records.retag(tx, job, ["new"]),
    "cancellation": lambda tx, _town, job: outcomes.cancel(tx, job, after(1)),
    "network": lambda tx, town, _job: members.join(tx, town.home.project_id, town.bob.user_id, after(1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_told_is_forgotten_before_a_change_is_answered(town: Town, change: str) -> None:
    """So that nobody is told afterwards what was true before."""
    memory = Memory(town.store.bell)
    job = queued(town)
    told = Told(job.user_id, town.home, b"waits", final=False, answered=0.0)
    for recollection in (memory.told, memory.told_waiting):
        for versioned in (True, False):
            town.store.read(lambda tx, r=recollection, v=versioned: r.keep(tx, (job.id, v), told))  # type: ignore[misc]
    town.store.write(lambda tx: CHANGES[change](tx, town, job))

    for recollection in (memory.told, memory.told_waiting):
        assert [recollection.get((job.id, versioned)) for versioned in (True, False)] == [None, None]


def test_a_place_in_the_queue_is_forgotten_when_somebody_else_moves(town: Town) -> None:
    """Whereas what does not depend on others stays."""
    memory = Memory(town.store.bell)
    first, second = queued(town), queued(town)
    told = Told(second.user_id, town.home, b"second", final=False, answered=0.0)
    town.store.read(lambda tx: memory.told_waiting.keep(tx, (second.id, True), told))
    town.store.read(lambda tx: memory.told.keep(tx, (second.id, True), told))
    town.store.write(lambda tx: records.advance(tx, first.id, (State.RUNNING,), after(1)))

    assert memory.told_waiting.get((second.id, True)) is None
    assert memory.told.get((second.id, True)) == told


def test_no_stale_state_survives_a_crowd(town: Town) -> None:
    """Many readers and a writer: once a change is answered, no reader's memory brings back what was before."""
    memory = Memory(town.store.bell)
    job = town.store.write(lambda tx: a_job(tx, town, State.CREATING))
    key = (job.id, True)
    stop = threading.Event()

    def look() -> bytes:
        known = memory.told.get(key)
        if known is not None:
            return known.body

        def work(tx: Transaction) -> bytes:
            body = (records.get(tx, job.id).name or "").encode()
            return memory.told.keep(tx, key, Told(job.user_id, town.home, body, final=False, answered=0.0)).body

        return town.store.read(work)

    def poll() -> None:
        while not stop.is_set():
            look()

    readers = [threading.Thread(target=poll) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(100):
            town.store.write(lambda tx, name=str(number): records.rename(tx, job.id, name))  # type: ignore[misc]
            assert look() == str(number).encode()
    finally:
        stop.set()
        for reader in readers:
            reader.join()


def test_a_token_is_not_kept_as_it_is() -> None:
    """Its digest tells it from others, and nothing else."""
    assert digest("a") == digest("a") != digest("b")
    assert b"secret" not in digest("secret")
