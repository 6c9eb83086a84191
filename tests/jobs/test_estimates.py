# SPDX-License-Identifier: Apache-2.0
"""Run times are learned from jobs that ran, whatever came before, and never make nonsense of a job."""

import math
import random
import statistics
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import devices
from chandelier.formats import tasks
from chandelier.jobs import estimates, outcomes, records
from chandelier.jobs.estimates import ENOUGH, Line
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.store import Transaction
from factories import ACCEPTED, Town, a_device_document, a_job, after, reload, submitted

PATIENCE = 30.0
#: What an engine may predict and a clock may measure, s; also what neither should.
TIMES = st.floats(0, 1e12) | st.sampled_from([0.0, -1.0, 1e300, math.inf, math.nan])


def lesson(line: Line, jobs: int, a: float, b: float, *, noise: float, seed: int, outliers: float = 0.0) -> Line:
    """Teach a line some jobs whose time is a + b · predicted, but for a factor of noise and some that are far off."""
    chance = random.Random(seed)
    for _ in range(jobs):
        predicted = math.exp(chance.gauss(-1, 2))
        seconds = (a + b * predicted) * math.exp(chance.gauss(0, noise))
        if chance.random() < outliers:
            seconds *= chance.choice([0.02, 50])
        line = estimates.taught(line, predicted, seconds)
    return line


def error(line: Line, a: float, b: float) -> float:
    """Return by how much a line is off, relative to the truth, for the job in the middle of jobs of all sizes."""
    sizes = [math.exp(-1 + 2 * step / 10) for step in range(-20, 21)]
    return statistics.median(abs(estimates.expected(line, x) / (a + b * x) - 1) for x in sizes)


@given(st.floats(0, 2), st.floats(0.1, 10), st.floats(0, 0.3), st.sampled_from([0.0, 0.05]), st.integers(0, 2**32 - 1))
def test_any_machine_is_learned(a: float, b: float, noise: float, outliers: float, seed: int) -> None:
    """After 200 jobs with noise of up to 30 %, one in twenty of them 50 times too long or too short."""
    line = lesson(Line(), 200, a, b, noise=noise, seed=seed, outliers=outliers)

    assert error(line, a, b) < 0.35


@pytest.mark.parametrize(("noise", "off"), [(0.0, 0.03), (0.1, 0.04), (0.3, 0.1)])
def test_what_is_learned_is_near(noise: float, off: float) -> None:
    """The usual error is a fraction of the noise, since some tens of jobs count."""
    errors = [error(lesson(Line(), 200, 0.3, 2.5, noise=noise, seed=seed), 0.3, 2.5) for seed in range(20)]

    assert statistics.median(errors) < off


def test_one_outlier_hardly_moves_what_is_known() -> None:
    """Of a job that took ten thousand times as long as any before."""
    known = lesson(Line(), 100, 0.1, 1.0, noise=0.1, seed=1)
    moved = estimates.taught(known, 1.0, 1e4)

    assert estimates.expected(moved, 1.0) == pytest.approx(estimates.expected(known, 1.0), rel=0.1)


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0, 5.0])
def test_a_machine_that_has_changed_is_believed(factor: float) -> None:
    """Within a hundred jobs, whether it became faster or slower."""
    before = lesson(Line(), 300, 0.2, 1.0, noise=0.2, seed=1)
    after_change = lesson(before, 100, 0.2 * factor, factor, noise=0.2, seed=2)

    assert error(before, 0.2 * factor, factor) > 0.4
    assert error(after_change, 0.2 * factor, factor) < 0.15


def test_the_prediction_holds_until_enough_was_seen() -> None:
    """And from then on what was learned."""
    line = lesson(Line(), ENOUGH - 1, 0.0, 3.0, noise=0.0, seed=1)

    assert estimates.expected(line, 2.0) == 2.0
    assert estimates.expected(estimates.taught(line, 1.0, 3.0), 2.0) == pytest.approx(6.0, rel=0.2)


@given(st.lists(st.tuples(TIMES, TIMES), max_size=40), st.floats(0, 1e9), st.floats(0.001, 1e6))
def test_an_estimate_is_always_a_time(jobs: list[tuple[float, float]], predicted: float, most: float) -> None:
    """Not negative, a number, and not above what a job may take, whatever was seen."""
    line = Line()
    for told, seconds in jobs:
        line = estimates.taught(line, told, seconds)

    assert 0 <= estimates.expected(line, predicted, most) <= most
    assert all(math.isfinite(value) for value in msgspec.structs.astuple(line))


def ran(town: Town, predicted: float, seconds: float, *, success: bool = True) -> Job:
    """Let a job go all its way."""
    job = submitted(town)
    accepted = msgspec.structs.replace(ACCEPTED, seconds=predicted)
    finished = tasks.Finished(
        success=success, code=0 if success else 8020, message="", seconds=seconds, bytes=1, experiments=1
    )

    def work(tx: Transaction) -> None:
        known = outcomes.validated(tx, job, accepted, after(1))
        records.advance(tx, job.id, (State.RUNNING,), after(2), started=after(2))
        outcomes.settle(tx, known, finished, "result", after(3))

    town.store.write(work)
    return reload(town.store, job)


def test_jobs_teach_what_the_next_is_expected_to_take(town: Town) -> None:
    """The engine's prediction stays beside it."""
    seen = [ran(town, 2.0, 6.0) for _ in range(ENOUGH)]
    last = ran(town, 2.0, 6.0)

    assert {(job.estimate, job.predicted, job.seconds) for job in seen} == {(2.0, 2.0, 6.0)}
    assert last.estimate == pytest.approx(6.0, rel=0.1)
    assert last.predicted == 2.0


def test_only_runs_to_the_end_teach(town: Town) -> None:
    """A program that failed half-way took a time of its own, one on another device another."""
    for _ in range(ENOUGH):
        ran(town, 2.0, 0.1, success=False)

    assert town.store.read(lambda tx: estimates.get(tx, town.device.id, "QASM")) == Line()


def test_a_device_at_a_machines_pace_is_known(town: Town) -> None:
    """Its time is reckoned, not learned, and teaches nothing."""
    document = a_device_document("machine", simulator=False)
    machine = devices.install(town.store, document, after(0), after(0))
    accepted = msgspec.structs.replace(ACCEPTED, summary=msgspec.structs.replace(ACCEPTED.summary, device_seconds=30.0))

    def work(tx: Transaction) -> Job:
        devices.set_pace(tx, "machine", "real", 2.0)
        job = outcomes.validated(tx, a_job(tx, town, State.VALIDATING, device=machine), accepted, after(1))
        records.advance(tx, job.id, (State.RUNNING,), after(2), started=after(2), occupies=job.estimate)
        finished = tasks.Finished(success=True, code=0, message="", seconds=0.1, bytes=1, experiments=1)
        outcomes.settle(tx, msgspec.structs.replace(job, occupies=job.estimate), finished, "result", after(34))
        return job

    job = town.store.write(work)

    assert (job.estimate, job.predicted) == (32.0, ACCEPTED.seconds)
    assert town.store.read(lambda tx: estimates.get(tx, machine.id, "QASM")) == Line()


def test_no_lesson_is_lost_where_several_end_at_once(town: Town) -> None:
    """Each counts, also the first ones."""
    start = threading.Barrier(4)

    def work(_number: int) -> None:
        start.wait(PATIENCE)
        for _ in range(5):
            town.store.write(
                partial(estimates.learn, device_id=town.device.id, kind="QASM", predicted=1.0, seconds=2.0)
            )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))

    assert town.store.read(lambda tx: estimates.get(tx, town.device.id, "QASM")).jobs == 20
