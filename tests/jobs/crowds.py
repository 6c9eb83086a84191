# SPDX-License-Identifier: Apache-2.0
"""Jobs of all kinds at once, and the simple way to find some of them."""

from collections.abc import Callable

from chandelier.jobs import lifecycle, records
from chandelier.jobs.finding import Edge, Query
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Transaction
from factories import NOW, Town, a_job, after


def gather(town: Town) -> list[Job]:
    """Add jobs of all kinds, some of them deleted; return those that are not."""
    tags = (("a",), ("b", "a"), (), ("c", "ä"))

    def work(tx: Transaction) -> list[Job]:
        jobs = []
        for number, state in enumerate(sorted(State) * 3):
            who = (town.ann, town.bob)[number % 2]
            place = (town.home, town.annex)[number % 3 == 0]
            device = (town.device, town.hidden)[number % 5 == 0]
            details = {"who": who, "place": place, "device": device, "tags": tags[number % 4]}
            job = a_job(tx, town, state, now=after(number // 3 / 1000), **details)
            if state in lifecycle.FINAL and number % 4 == 1:
                records.delete(tx, job.id, NOW)
            else:
                jobs.append(job)
        return jobs

    return town.store.write(work)


def stand(job: Job) -> Edge:
    """Return where a job stands in lists."""
    return job.created, job.id


def naive(jobs: list[Job], query: Query) -> list[Job]:
    """Return all jobs of a query, the simple way."""

    def follows(job: Job) -> bool:
        assert query.past is not None
        return stand(job) > query.past if query.ascending else stand(job) < query.past

    tests: list[tuple[object, Callable[[Job], bool]]] = [
        (query.user_id, lambda job: job.user_id == query.user_id),
        (query.project_ids, lambda job: job.project_id in (query.project_ids or ())),
        (query.device_ids, lambda job: job.device_id in (query.device_ids or ())),
        (query.states, lambda job: job.state in (query.states or ())),
        (query.ids, lambda job: job.id in (query.ids or ())),
        (query.tags, lambda job: bool(set(job.tags) & (query.tags or frozenset()))),
        (query.created_from, lambda job: job.created >= (query.created_from or NOW)),
        (query.created_to, lambda job: job.created <= (query.created_to or NOW)),
        (query.past, follows),
    ]
    chosen = [job for job in jobs if all(test(job) for value, test in tests if value is not None)]
    return sorted(chosen, key=stand, reverse=not query.ascending)
