# SPDX-License-Identifier: Apache-2.0
"""What is asked of many jobs at once is what each of them says of itself."""

import factories
from chandelier.jobs import counts, outcomes, records, watching
from chandelier.jobs.lifecycle import State
from factories import Town


def test_states_and_rows_of_many(town: Town) -> None:
    """More than fit in one statement; without those that do not exist or were deleted."""
    count = watching._CHUNK + 3
    jobs = town.store.write(
        lambda tx: [
            factories.a_job(tx, town, State.CREATING, now=factories.after(number), tags=(f"tag{number}",))
            for number in range(count)
        ]
    )
    gone = town.store.write(lambda tx: factories.a_job(tx, town, State.CANCELLED, now=factories.after(count)))
    town.store.write(lambda tx: records.delete(tx, gone.id, factories.NOW))
    town.store.write(lambda tx: outcomes.cancel(tx, jobs[0], factories.NOW))
    ids = [*(job.id for job in jobs), gone.id, "0" * 24]
    states = town.store.read(lambda tx: watching.list_states(tx, ids))
    rows = town.store.read(lambda tx: watching.list_jobs(tx, ids))

    assert states == {job.id: State.CREATING for job in jobs} | {jobs[0].id: State.CANCELLED}
    assert {row.id: row for row in rows} == {job.id: factories.reload(town.store, job) for job in jobs}


def test_a_queue_is_what_counting_says_of_each(town: Town) -> None:
    """Of one project on one device, up to a moment, oldest first."""
    others = {"place": town.annex, "who": town.bob}, {"device": town.hidden, "place": town.annex, "who": town.bob}
    jobs = [
        town.store.write(
            lambda tx, number=number, more=more: factories.a_job(  # type: ignore[misc]
                tx, town, State.QUEUED, now=factories.after(number), **more
            )
        )
        for number, more in enumerate([{}, *others, {}, {}, *others, {}])
    ]
    mine = [job for job in jobs if job.user_id == town.ann.user_id]
    town.store.write(lambda tx: records.advance(tx, mine[1].id, (State.RUNNING,), factories.NOW))
    line = (town.device.id, town.home.project_id)
    queue = town.store.read(lambda tx: watching.list_queue(tx, *line, mine[-1].created))
    waiting = [mine[0], *mine[2:]]

    assert queue == [job.id for job in waiting]
    assert [town.store.read(lambda tx, job=job: counts.ahead(tx, job)) for job in waiting] == [0, 1, 2]  # type: ignore[misc]
    assert town.store.read(lambda tx: watching.list_queue(tx, *line, mine[2].created)) == queue[:-1]


def test_moves_since_a_move(town: Town) -> None:
    """Each job once, however often it moved; nothing that came later."""
    assert town.store.read(watching.latest_move) == 0
    first, second = (town.store.write(lambda tx: factories.a_job(tx, town)) for _ in range(2))
    before = town.store.read(watching.latest_move)
    town.store.write(lambda tx: records.advance(tx, second.id, (State.CREATED, State.VALIDATING), factories.NOW))
    between = town.store.read(watching.latest_move)
    town.store.write(lambda tx: outcomes.cancel(tx, first, factories.NOW))
    after = town.store.read(watching.latest_move)

    assert town.store.read(lambda tx: watching.list_moved(tx, before, between)) == {second.id}
    assert town.store.read(lambda tx: watching.list_moved(tx, before, after)) == {first.id, second.id}
    assert town.store.read(lambda tx: watching.list_moved(tx, after, after)) == set()
