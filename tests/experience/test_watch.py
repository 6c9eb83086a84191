# SPDX-License-Identifier: Apache-2.0
"""The watch over followed jobs: one look for many, changes of other processes, and what happens when a look fails."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import desk as desks
import pytest

import factories
from chandelier import errors
from chandelier.experience import glance, watch
from chandelier.experience.glance import Interest, Part, Sight
from chandelier.experience.stream import Outbox
from chandelier.experience.watch import Follower, Watch
from chandelier.gateway import Cloud, Rules
from chandelier.jobs import lifecycle, outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.settings import Settings
from chandelier.store import Store, Transaction, open_store
from chandelier.tenancy import users
from factories import Town

ENDED, NOT_FOUND, FAILED = 4002, 4003, 4001
SECRET = b"a third secret for tests, 32 bytes"
#: Seconds after which what should have come does not come.
LIMIT = 60.0


class Crowd:
    """Followers without sockets, and what they were told."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._tokens = desks.log_in(town)
        self.watch = Watch(cloud_of(town))
        self.told: dict[Follower, list[tuple[str | None, int | None]]] = {}
        self._news = asyncio.Event()

    def follow(self, job: str, who: str = "ann", *, versioned: bool = True) -> Follower:
        """Follow a job."""
        told: list[tuple[str | None, int | None]] = []

        def tell(message: bytes | None, code: int | None) -> None:
            told.append((None if message is None else json.loads(message)["data"]["status"], code))
            self._news.set()

        principal = {"ann": self._town.ann, "bob": self._town.bob, "root": self._town.operator}[who]
        follower = Follower(job, principal.user_id, self._tokens[who], tell, versioned=versioned)
        self.told[follower] = told
        self.watch.join(follower)
        return follower

    async def until(self, times: int) -> None:
        """Wait until every follower was told something so often."""
        async with asyncio.timeout(LIMIT):
            while not all(len(told) >= times for told in self.told.values()):
                self._news.clear()
                await self._news.wait()

    def leave(self) -> None:
        """Follow nothing any more."""
        for follower in self.told:
            self.watch.leave(follower)


def cloud_of(town: Town) -> Cloud:
    """Return what handlers of a town's cloud work with."""
    limits = {name: getattr(Settings(), name) for name in Rules.__struct_fields__ if name != "terms"}
    return Cloud(town.store, Rules(**limits))


def in_state(town: Town, state: State, seconds: float = 0.0) -> Job:
    """Return a job of Ann's in a state."""
    return town.store.write(lambda tx: factories.a_job(tx, town, state, now=factories.after(seconds)))


def together(town: Town, work: Callable[[Crowd], Coroutine[Any, Any, None]]) -> None:
    """Run a test's part on a loop of its own."""

    async def run() -> None:
        crowd = Crowd(town)
        try:
            await work(crowd)
        finally:
            crowd.leave()
        async with asyncio.timeout(LIMIT):
            while crowd.watch._running is not None:
                await asyncio.sleep(0)

    asyncio.run(run())


@contextlib.contextmanager
def another_process(town: Town, folder: Path) -> Iterator[Store]:
    """Open the same database once more: with connections and a bell of its own."""
    town.store.database.watch()
    url = town.store.database.url.render_as_string(hide_password=False)
    with contextlib.closing(open_store(url, folder / "objects", SECRET)) as store:
        yield store


def cancel(store: Store, jobs: list[Job]) -> None:
    """End jobs in one commit."""

    def work(tx: Transaction) -> None:
        for job in jobs:
            outcomes.cancel(tx, records.get(tx, job.id), desks.now())

    store.write(work)


def submitted(town: Town, count: int) -> list[Job]:
    """Return jobs of Ann's."""
    return [factories.submitted(town, factories.after(number)) for number in range(count)]


def test_changes_of_another_process_are_told(town: Town, tmp_path: Path) -> None:
    """It said nothing but that something changed; who follows what did not change hears nothing."""
    first, second, third = submitted(town, 3)

    async def work(crowd: Crowd) -> None:
        one, two, old = crowd.follow(first.id), crowd.follow(second.id), crowd.follow(second.id, versioned=False)
        still = crowd.follow(third.id)
        await crowd.until(1)
        with another_process(town, tmp_path) as store:
            cancel(store, [first])
            cancel(store, [second])
            del crowd.told[still]
            await crowd.until(2)
        crowd.told[still] = []
        assert [crowd.told[follower][1] for follower in (one, two, old)] == [("CANCELLED", ENDED)] * 3

    together(town, work)


def test_many_jobs_are_looked_at_a_part_at_a_time(town: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And each of many followers is told of its own."""
    monkeypatch.setattr(watch, "_TOGETHER", 3)
    monkeypatch.setattr(watch, "_PART", 4)
    monkeypatch.setattr(watch, "_ROUND_SECONDS", 0.05)
    jobs = submitted(town, 25)

    async def work(crowd: Crowd) -> None:
        for job in jobs:
            crowd.follow(job.id)
        await crowd.until(1)
        with another_process(town, tmp_path) as store:
            cancel(store, jobs)
            await crowd.until(2)
        assert list(crowd.told.values()) == [[("VALIDATING", None), ("CANCELLED", ENDED)]] * 25

    together(town, work)


def test_many_followers_cost_one_look(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is made once for each presentation, and all who follow the job are told the same bytes."""
    (job,) = submitted(town, 1)
    looks: list[list[int]] = []
    look = glance.look

    def counted(cloud: Cloud, wanted: Mapping[str, Interest], now: datetime) -> dict[str, Sight]:
        seen = look(cloud, wanted, now)
        looks.append([len(sight.messages) for sight in seen.values()])
        return seen

    monkeypatch.setattr(glance, "look", counted)

    async def work(crowd: Crowd) -> None:
        for number in range(60):
            crowd.follow(job.id, ("ann", "root")[number % 2], versioned=number % 3 > 0)
        await crowd.until(1)
        looks.clear()
        cancel(town.store, [job])
        await crowd.until(2)
        assert list(crowd.told.values()) == [[("VALIDATING", None), ("CANCELLED", ENDED)]] * 60

    together(town, work)
    assert looks == [[2]]


def test_who_may_not_read_a_job_is_told_nothing(town: Town) -> None:
    """Others who follow it are."""
    (job,) = submitted(town, 1)

    async def work(crowd: Crowd) -> None:
        foreign, own = crowd.follow(job.id, "bob"), crowd.follow(job.id)
        unknown = crowd.follow("0" * 24)
        await crowd.until(1)
        assert crowd.told == {
            foreign: [(None, NOT_FOUND)],
            own: [("VALIDATING", None)],
            unknown: [(None, NOT_FOUND)],
        }

    together(town, work)


def test_the_round_finds_what_no_bell_told(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a deletion by another process that this one does not hear."""
    monkeypatch.setattr(watch, "_ROUND_SECONDS", 0.05)
    gone, done = submitted(town, 2)

    async def work(crowd: Crowd) -> None:
        one, two = crowd.follow(gone.id), crowd.follow(done.id)
        await crowd.until(1)
        town.store.bell.ring = lambda *_topics: None  # type: ignore[method-assign]  # a bell that is deaf
        cancel(town.store, [done])
        town.store.write(lambda tx: records.note(tx, gone.id, deleted=desks.now()))
        await crowd.until(2)
        assert crowd.told == {
            one: [("VALIDATING", None), (None, NOT_FOUND)],
            two: [("VALIDATING", None), ("CANCELLED", ENDED)],
        }

    together(town, work)


def test_a_job_that_cannot_be_shown_harms_no_other(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its followers are told that the server failed; others who are looked at with it are told their state."""
    broken, sound = submitted(town, 2)
    message = glance._message

    def failing(job: Job, facts: Any, *, versioned: bool) -> bytes:
        if job.id == broken.id:
            raise ValueError("cannot be shown")
        return message(job, facts, versioned=versioned)

    monkeypatch.setattr(glance, "_message", failing)

    async def work(crowd: Crowd) -> None:
        one, two = crowd.follow(broken.id), crowd.follow(sound.id)
        await crowd.until(1)
        assert crowd.told == {one: [(None, FAILED)], two: [("VALIDATING", None)]}

    together(town, work)


@pytest.mark.parametrize("name", ["look", "survey"])
def test_a_database_that_does_not_answer_is_asked_again(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Followers wait meanwhile, and hear of what happened then."""
    (job,) = submitted(town, 1)
    true, failures = getattr(glance, name), [3]

    def failing(*arguments: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise errors.Unavailable("The database does not answer.", 1008)
        return true(*arguments)

    monkeypatch.setattr(watch, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(glance, name, failing)

    async def work(crowd: Crowd) -> None:
        follower = crowd.follow(job.id)
        await crowd.until(1)
        failures[0] = 2
        town.store.bell.ring_all()
        cancel(town.store, [job])
        await crowd.until(2)
        assert crowd.told[follower] == [("VALIDATING", None), ("CANCELLED", ENDED)]

    together(town, work)
    assert "must wait: The database does not answer." in caplog.text


def test_a_watch_that_fails_tells_its_followers(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may come again."""
    (job,) = submitted(town, 1)
    survey = glance.survey

    def failing(*_arguments: Any) -> Any:
        raise ValueError("a fault of ours")

    async def work(crowd: Crowd) -> None:
        monkeypatch.setattr(glance, "survey", failing)
        follower = crowd.follow(job.id)
        await crowd.until(1)
        assert crowd.told[follower] == [(None, FAILED)]
        monkeypatch.setattr(glance, "survey", survey)
        follower = crowd.follow(job.id)
        await crowd.until(1)
        assert crowd.told[follower] == [("VALIDATING", None)]

    together(town, work)


def test_a_token_ends_with_its_time(town: Town) -> None:
    """The round finds it, and no look tells its holder anything more."""
    (job,) = submitted(town, 1)
    life = timedelta(hours=1)
    short, _ = town.store.write(lambda tx: users.issue(tx, town.ann.user_id, "access", factories.NOW, lifetime=life))
    cloud = cloud_of(town)
    wanted: dict[str, Interest] = {job.id: Interest(frozenset({True}), frozenset({short}))}
    for after, valid in ((life - timedelta(seconds=1), True), (life, False)):
        now = factories.NOW + after
        assert (short in glance.survey(cloud, Part(tokens={short, "wrong"}), None, now).tokens) == valid
        assert glance.look(cloud, wanted, now)[job.id].refused == {short: None if valid else 1008}


def test_places_in_a_long_line_are_those_of_a_short_one(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of the line are looked at: one by one, or the queue at once."""
    jobs = [in_state(town, State.QUEUED, number) for number in range(6)]
    cloud = cloud_of(town)
    wanted: dict[str, Interest] = {job.id: Interest(frozenset({True}), frozenset()) for job in jobs[1:]}
    few = glance.look(cloud, wanted, factories.NOW)
    monkeypatch.setattr(glance, "_FEW", 2)
    many = glance.look(cloud, wanted, factories.NOW)
    part = Part(lines={(jobs[0].device_id, jobs[0].project_id): jobs[-1].created})
    surveyed = glance.survey(cloud, part, None, factories.NOW).places

    assert [few[job.id].position for job in jobs[1:]] == [2, 3, 4, 5, 6]
    assert many == few
    assert [surveyed[job.id] for job in jobs] == [1, 2, 3, 4, 5, 6]


class Socket:
    """A socket whose client reads only when the test lets it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.sent: list[bytes | int] = []

    async def send_bytes(self, message: bytes) -> None:
        """Wait for the client."""
        await self.open.wait()
        self.sent.append(message)

    async def close(self, code: int) -> None:
        """End it."""
        await self.open.wait()
        self.sent.append(code)


def test_who_does_not_read_costs_one_message() -> None:
    """What came meanwhile is dropped but for the last, and the end comes after it."""

    async def run() -> None:
        socket: Any = Socket()
        outbox = Outbox(socket)
        for number in range(1000):
            outbox.tell(b"%d" % number, None)
            await asyncio.sleep(0)
        outbox.tell(b"last", ENDED)
        outbox.tell(None, ENDED)
        await asyncio.sleep(0)
        socket.open.set()
        async with asyncio.timeout(LIMIT):
            while outbox._sending is not None:
                await asyncio.sleep(0)
        assert socket.sent == [b"0", b"last", ENDED]

    asyncio.run(run())


@pytest.mark.parametrize("state", sorted(lifecycle.FINAL))
def test_the_end_is_told_with_the_last_state(town: Town, state: State) -> None:
    """Also to who comes when all is over."""
    job = in_state(town, state)

    async def work(crowd: Crowd) -> None:
        follower = crowd.follow(job.id)
        await crowd.until(1)
        assert crowd.told[follower] == [(str(state), ENDED)]

    together(town, work)
