# SPDX-License-Identifier: Apache-2.0
"""Jobs in the database: moves and their log, creation times, finding, tags, deletion."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from crowds import gather, naive, stand
from hypothesis import strategies as st

from chandelier import errors
from chandelier.jobs import counts, finding, lifecycle, records
from chandelier.jobs.finding import Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job, JobId
from chandelier.store import Store, Transaction, database
from factories import NOW, PATHS, Town, a_job, after, queued, reload, states

all_states = st.sampled_from(sorted(State))


def add(town: Town, state: State = State.CREATING, **details: Any) -> Job:
    """Add a job in a transaction of its own."""
    return town.store.write(lambda tx: a_job(tx, town, state, **details))


def move(store: Store, job: Job, *steps: State, now: datetime = NOW, **facts: Any) -> Job:
    """Advance a job and return it."""
    store.write(lambda tx: records.advance(tx, job.id, steps, now, **facts))
    return reload(store, job)


@pytest.fixture(name="crowd")
def _crowd(town: Town) -> list[Job]:
    return gather(town)


def test_a_job_is_returned_as_it_is_kept(town: Town) -> None:
    """With every detail, and nothing set that nobody knows yet."""
    job = add(
        town,
        name="first",
        tags=("b", "a", "b"),
        share_level="none",
        experiment_tag="tag",
        live_data=True,
        address="192.0.2.1",
    )

    assert reload(town.store, job) == job
    assert (job.name, job.tags, job.share_level, job.experiment_tag) == ("first", ("b", "a"), "none", "tag")
    assert (job.live_data, job.address, job.state, job.created) == (True, "192.0.2.1", State.CREATING, NOW)
    assert (job.user_id, job.project_id) == (town.ann.user_id, town.home.project_id)
    assert (job.device_id, job.calibration) == (town.device.id, town.device.calibration)
    unknown = ("shots", "summary", "estimate", "started", "ended", "seconds", "cost", "result", "error_code")
    assert [getattr(job, name) for name in unknown] == [None] * len(unknown)
    assert (job.claims, job.deaths) == (0, 0)


def test_what_create_returns_is_what_is_stored(town: Town) -> None:
    """Also for a job that goes through several states at once."""
    steps = (State.CREATING, State.CREATED, State.VALIDATING)

    def work(tx: Transaction) -> Job:
        return records.create(
            tx,
            town.ann.user_id,
            town.home.project_id,
            town.device.id,
            datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=UTC),
            kind="q-object",
            calibration=town.device.calibration,
            draft=Draft(tags=("a", "a")),
            steps=steps,
            shots=7,
        )

    job = town.store.write(work)

    assert reload(town.store, job) == job
    assert (job.state, job.shots, job.tags) == (State.VALIDATING, 7, ("a",))
    assert states(town.store, job) == list(steps)


@pytest.mark.parametrize("job_id", ["", "0" * 24, "no such id", "' OR 1=1 --"])
def test_unknown_jobs_are_not_found(town: Town, job_id: str) -> None:
    """With the code that clients know."""
    with pytest.raises(errors.NotFound) as caught:
        town.store.read(lambda tx: records.get(tx, job_id))

    assert caught.value.code == 3250


@pytest.mark.parametrize("state", sorted(State))
def test_moves_are_exactly_those_of_the_table(town: Town, state: State) -> None:
    """From each state, each allowed move is made, each other one raises Conflict and changes nothing."""
    for end in State:
        job = add(town, state)
        before = states(town.store, job)
        if lifecycle.may_move(state, end):
            assert move(town.store, job, end).state is end
            assert states(town.store, job) == [*before, end]
        else:
            with pytest.raises(errors.Conflict) as caught:
                move(town.store, job, end)
            assert caught.value.code == 3251
            assert reload(town.store, job) == job
            assert states(town.store, job) == before


def test_every_step_of_a_move_is_in_the_log(town: Town) -> None:
    """With its moment, in order."""
    job = add(town)
    move(town.store, job, State.CREATED, State.VALIDATING, now=after(1))
    move(town.store, job, State.VALIDATED, State.QUEUED, now=after(2))
    log = town.store.read(lambda tx: records.events(tx, job.id))

    assert log == [
        (State.CREATING, NOW),
        (State.CREATED, after(1)),
        (State.VALIDATING, after(1)),
        (State.VALIDATED, after(2)),
        (State.QUEUED, after(2)),
    ]


def test_a_chain_of_steps_must_be_one_of_the_table(town: Town) -> None:
    """A mistake in the house itself writes nothing."""
    job = add(town)
    with pytest.raises(AssertionError):
        move(town.store, job, State.CREATED, State.RUNNING)

    assert reload(town.store, job).state is State.CREATING
    assert states(town.store, job) == [State.CREATING]


@pytest.mark.parametrize("state", sorted(State))
def test_a_job_has_an_end_exactly_when_it_is_final(town: Town, state: State) -> None:
    """The end is the moment of the last move."""
    job = add(town, state)

    assert (job.ended is not None) == (state in lifecycle.FINAL)


def test_facts_are_set_with_the_move(town: Town) -> None:
    """Or not at all if the move is refused."""
    job = move(town.store, add(town, State.QUEUED), State.RUNNING, started=after(1))
    assert job.started == after(1)
    job = move(town.store, job, State.QUEUED, started=None)
    assert job.started is None

    with pytest.raises(errors.Conflict):
        move(town.store, job, State.COMPLETED, seconds=1.0)
    assert reload(town.store, job).seconds is None


def test_one_of_many_who_move_a_job_at_once_wins(town: Town) -> None:
    """The others are told of the conflict, and the log has one event."""
    job = add(town, State.QUEUED)

    def run(_: int) -> bool:
        try:
            move(town.store, job, State.RUNNING)
        except errors.Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(run, range(16))) == 1
    assert states(town.store, job).count(State.RUNNING) == 1


def test_moves_ring_the_bell(town: Town) -> None:
    """Whoever follows the job hears each move; workers hear when there is something to do."""
    heard: list[str] = []
    town.store.bell.listen("queue", lambda: heard.append("queue"))
    job = add(town)
    town.store.bell.listen(f"job:{job.id}", lambda: heard.append("job"))
    move(town.store, job, State.CREATED, State.VALIDATING)
    move(town.store, job, State.VALIDATED, State.QUEUED)
    move(town.store, job, State.RUNNING)
    move(town.store, job, State.COMPLETED)
    # The bell rings after the answer: wait for what this write adds.
    town.store.write(lambda tx: tx.ring("queue"))
    town.store.write(lambda _tx: None)

    assert sorted(heard) == ["job"] * 4 + ["queue"] * 3


def test_creation_times_strictly_increase(town: Town) -> None:
    """For each user, even where the clock stands or goes back; others have their own times."""
    moments = [after(0), after(0), after(0.0004), after(-3600), after(1), after(0.5), after(2)]
    times = [(add(town, now=moment).created, add(town, now=moment, who=town.bob).created) for moment in moments]
    milliseconds = [[round((time - NOW) / timedelta(milliseconds=1)) for time in pair] for pair in times]

    assert milliseconds == [[number, number] for number in (0, 1, 2, 3, 1000, 1001, 2000)]


def test_a_job_that_was_not_created_leaves_no_gap_for_another_to_fall_behind(town: Town) -> None:
    """A transaction that fails may waste a millisecond, but never gives one twice."""

    def work(tx: Transaction) -> None:
        a_job(tx, town)
        raise errors.Conflict("on purpose", 3251)

    first = add(town)
    with pytest.raises(errors.Conflict):
        town.store.write(work)
    second = add(town)

    assert second.created > first.created


def test_creation_times_are_unique_under_concurrency(town: Town) -> None:
    """And whoever was answered first is older."""

    def create(number: int) -> list[datetime]:
        return [add(town, now=after(-number)).created for _ in range(5)]

    with ThreadPoolExecutor(8) as threads:
        series = list(threads.map(create, range(8)))
    times = [time for one in series for time in one]

    assert len(set(times)) == 40
    assert all(one == sorted(one) for one in series)


def test_the_oldest_job_of_a_state_is_found(town: Town) -> None:
    """Narrowed by exceptions and by age."""
    first, second = add(town, State.QUEUED), add(town, State.QUEUED, device=town.hidden)
    add(town, State.RUNNING, now=after(-1))
    jobs = database.metadata.tables["jobs"]
    but_first = sa.select(jobs.c.id).where(jobs.c.id == first.id)
    nothing = sa.select(jobs.c.id).where(sa.false())

    def oldest(**narrow: Any) -> JobId | None:
        return town.store.write(lambda tx: records.oldest(tx, State.QUEUED, **narrow))

    assert oldest() == first.id
    assert oldest(without=but_first) == second.id
    assert oldest(without=nothing) == first.id
    assert oldest(entered_before=first.created) is None
    assert oldest(entered_before=second.created) == first.id
    assert oldest(entered_before=second.created, without=but_first) is None
    assert town.store.write(lambda tx: records.oldest(tx, State.VALIDATING)) is None


def test_tags_keep_their_order_and_are_replaced_as_a_whole(town: Town) -> None:
    """Each is kept once."""
    job = add(town, tags=("z", "a", "z", "m"))
    other = add(town, tags=("a",))
    assert reload(town.store, job).tags == ("z", "a", "m")

    town.store.write(lambda tx: records.retag(tx, job, ["new", "a", "new"]))
    assert reload(town.store, job).tags == ("new", "a")
    town.store.write(lambda tx: records.retag(tx, job, []))
    assert reload(town.store, job).tags == ()
    assert reload(town.store, other).tags == ("a",)


def test_a_job_may_be_renamed(town: Town) -> None:
    """And lose its name again; its state does not care."""
    job = add(town, State.COMPLETED, name="old")
    town.store.write(lambda tx: records.rename(tx, job.id, "neu ✓"))
    assert reload(town.store, job).name == "neu ✓"
    town.store.write(lambda tx: records.rename(tx, job.id, None))
    assert reload(town.store, job).name is None


@pytest.mark.parametrize("state", sorted(State))
def test_only_jobs_that_ended_are_deleted(town: Town, state: State) -> None:
    """A deleted one is not found any more, by any way; its row and its log stay."""
    job = add(town, state)
    if state in lifecycle.FINAL:
        town.store.write(lambda tx: records.delete(tx, job.id, after(9)))
        with pytest.raises(errors.NotFound):
            reload(town.store, job)
        assert town.store.read(lambda tx: finding.find(tx, Query(ids=frozenset({job.id})))).jobs == []
        assert states(town.store, job) == [State.CREATING, *PATHS[state]]
    else:
        with pytest.raises(errors.Conflict):
            town.store.write(lambda tx: records.delete(tx, job.id, after(9)))
        assert reload(town.store, job) == job


def test_counts_are_those_of_the_naive_filter(town: Town, crowd: list[Job]) -> None:
    """By device, by user, by state, and ahead of a job."""

    def count(**query: Any) -> int:
        return len(naive(crowd, Query(**query)))

    def work(tx: Transaction) -> None:
        device, on_device = town.device.id, {"device_ids": frozenset({town.device.id})}
        active, waiting = lifecycle.ACTIVE, lifecycle.ACTIVE - {State.CREATING}
        assert counts.active(tx, device, town.bob.user_id) == count(
            **on_device, states=active, user_id=town.bob.user_id
        )
        assert counts.waiting(tx, device) == count(**on_device, states=waiting)
        assert counts.by_state(tx) == {state: count(states=frozenset({state})) for state in active}

    town.store.read(work)


def test_a_queued_job_has_those_ahead_that_are_older(town: Town, crowd: list[Job]) -> None:
    """Of the same project and device, queued as well."""
    waiting = [job for job in crowd if job.state is State.QUEUED]
    for job in waiting:
        query = Query(
            project_ids=frozenset({job.project_id}),
            device_ids=frozenset({job.device_id}),
            states=frozenset({State.QUEUED}),
            past=stand(job),
        )
        ahead = town.store.read(partial(counts.ahead, job=job))
        assert ahead == len(naive(crowd, query))
    assert len(waiting) == 3


def test_long_queues_are_counted_up_to_a_limit(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no poll takes longer where more jobs wait."""
    monkeypatch.setattr(counts, "COUNTED", 3)
    jobs = [add(town, State.QUEUED) for _ in range(5)]

    def work(tx: Transaction) -> tuple[int, list[int | None]]:
        return counts.waiting(tx, town.device.id), [counts.ahead(tx, job) for job in jobs]

    assert town.store.read(work) == (3, [0, 1, 2, None, None])


def test_claims_and_deaths_are_counted(town: Town) -> None:
    """Apart from each other."""
    job = add(town, State.QUEUED)

    def work(tx: Transaction) -> Job:
        records.count_claim(tx, job.id)
        records.count_death(tx, job.id)
        return records.count_claim(tx, job.id)

    taken = town.store.write(work)

    assert (taken.claims, taken.deaths) == (2, 1)
    assert reload(town.store, job) == taken


def test_no_poll_counts_a_long_queue_to_its_end(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a bound the place in the queue is not told, and the length is the bound."""
    monkeypatch.setattr(counts, "COUNTED", 3)
    jobs = [queued(town) for _ in range(5)]

    def look(tx: Transaction) -> tuple[list[int | None], int]:
        return [counts.ahead(tx, job) for job in jobs], counts.waiting(tx, town.device.id)

    assert town.store.read(look) == ([0, 1, 2, None, None], 3)
