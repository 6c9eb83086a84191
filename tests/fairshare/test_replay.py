# SPDX-License-Identifier: Apache-2.0
"""What becomes of jobs if a queue is left to itself."""

import itertools
from collections import defaultdict
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier.fairshare import replay
from chandelier.fairshare.replay import Job, Run
from chandelier.fairshare.rules import Choice, Rules, Usage
from chandelier.fairshare.tree import Tree

PROJECTS = ("x", "y", "z")
DEVICES = ("one", "two")


def a_tree() -> Tree:
    """Return a tree of three projects in two groups on two devices."""
    tree = Tree(Rules(), lambda node, _device: 2.0 if node == "x" else 1.0)
    for device in DEVICES:
        for project in PROJECTS:
            tree.add(device, ("qpus", "hub", "g" if project == "z" else "h", project))
    return tree


def jobs_from(rows: list[tuple[float, str, str, float]], ratio: float = 1.0) -> list[Job]:
    """Return jobs in the order of arrival; each is expected to take `ratio` of what it takes."""
    moments = itertools.accumulate(row[0] for row in rows)
    return [
        Job(moment, device, project, cost * ratio, cost, str(number))
        for number, (moment, (_, device, project, cost)) in enumerate(zip(moments, rows, strict=True))
    ]


ROWS = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.floats(0, 100)),
        st.sampled_from(DEVICES),
        st.sampled_from(PROJECTS),
        st.floats(0.1, 100),
    ),
    max_size=30,
)


@given(ROWS, st.integers(1, 3))
def test_no_worker_is_idle_while_a_job_waits(rows: list[tuple[float, str, str, float]], workers: int) -> None:
    """At any moment between a job's arrival and its start all workers have something to do."""
    jobs = jobs_from(rows)
    runs = list(replay.replay(a_tree(), jobs, workers=workers))

    assert sorted(int(run.job.name) for run in runs) == list(range(len(jobs)))
    for run in runs:
        assert run.start >= run.job.arrival
        moments = [run.job.arrival, *(each.end for each in runs if run.job.arrival <= each.end < run.start)]
        if run.start > run.job.arrival:
            assert all(sum(each.start <= moment < each.end for each in runs) == workers for moment in moments)


@given(ROWS, st.integers(1, 3))
def test_jobs_of_a_project_begin_in_the_order_in_which_they_came(
    rows: list[tuple[float, str, str, float]], workers: int
) -> None:
    """On each device."""
    lines = defaultdict[tuple[str, str], list[int]](list)
    starts = list[float]()
    for run in replay.replay(a_tree(), jobs_from(rows), workers=workers):
        lines[run.job.device, run.job.project].append(int(run.job.name))
        starts.append(run.start)

    assert starts == sorted(starts)
    assert all(line == sorted(line) for line in lines.values())


@given(ROWS)
def test_a_serial_device_runs_one_job_at_a_time(rows: list[tuple[float, str, str, float]]) -> None:
    """Others as many as there are workers."""
    runs = list(replay.replay(a_tree(), jobs_from(rows), workers=3, serial=["one"]))
    mine = [run for run in runs if run.job.device == "one"]

    assert len(runs) == len(rows)
    assert all(later.start >= run.end for run, later in itertools.pairwise(mine))


@given(ROWS, st.sampled_from([0.1, 5.0]))
def test_who_was_estimated_wrongly_pays_what_it_used(rows: list[tuple[float, str, str, float]], ratio: float) -> None:
    """In the end everybody has used what they would have with the right estimate, as of when each job began."""
    tree, expected = a_tree(), Usage()
    last = 0.0
    for run in replay.replay(tree, jobs_from(rows, ratio)):
        last = run.end
        expected = Usage(expected.now(run.start, Rules().half_life) + run.job.cost, run.start)

    used = tree.usage("qpus").now(last, Rules().half_life)
    assert used == pytest.approx(expected.now(last, Rules().half_life), rel=1e-9, abs=1e-9)


@given(ROWS, st.integers(0, 29), st.integers(1, 3))
def test_a_forecast_comes_true(rows: list[tuple[float, str, str, float]], after: int, workers: int) -> None:
    """What waits and runs at some moment ends as foreseen from it, if estimates are right and nobody comes."""
    jobs = [Job(0.0, job.device, job.project, job.cost, job.cost, job.name) for job in jobs_from(rows)]
    truth, tree = list(replay.replay(a_tree(), jobs, workers=workers)), a_tree()
    begun = list(itertools.islice(replay.replay(tree, jobs, workers=workers), after))
    # The moment is in the midst of a scheduling round, so that the tree is as the next choice will find it.
    now = begun[-1].start if begun else 0.0
    running = [run for run in begun if run.end > now]
    started = {run.job.name for run in begun}
    waiting = [job for job in jobs if job.name not in started] if begun else []
    forecast = list(
        replay.replay(tree, [] if begun else jobs, waiting=waiting, running=running, since=now, workers=workers)
    )

    assert [*begun, *forecast] == truth


class Closed:
    """A tree that lets nobody go until a moment."""

    def __init__(self, tree: Tree, until: float) -> None:
        self._tree, self._until = tree, until
        self.enter, self.start, self.charge = tree.enter, tree.start, tree.charge

    def choose(self, devices: Collection[str], moment: float) -> Choice | None:
        """Return who goes next."""
        return self._tree.choose(devices, moment) if moment >= self._until else None


def test_whoever_is_held_back_goes_when_somebody_looks() -> None:
    """A moment at which a hold ends is told beforehand; without one, what is held waits for ever."""
    jobs = jobs_from([(0.0, "one", "x", 5.0), (1.0, "one", "y", 5.0)])

    assert list(replay.replay(Closed(a_tree(), 100.0), jobs)) == []
    assert list(replay.replay(Closed(a_tree(), 100.0), jobs, looks=[50.0, 100.0])) == [
        Run(jobs[0], 100.0, 105.0),
        Run(jobs[1], 105.0, 110.0),
    ]
