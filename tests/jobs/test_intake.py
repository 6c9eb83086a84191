# SPDX-License-Identifier: Apache-2.0
"""The way in: in one step, or by upload."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.formats import qobj
from chandelier.jobs import finding, intake, outcomes, records
from chandelier.jobs.finding import Query
from chandelier.jobs.intake import Limits
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.store import parcels
from factories import LIMITS, NOW, Town, a_program, after, kept, programs, reload, states

HANDED_OVER = [State.CREATING, State.CREATED, State.VALIDATING]
NO_PROGRAMS = [b"", b"{", b"null", b"[]", b"{}", b'"qobj"', b"\xff\xfe", b"[" * 100_000, a_program(experiments=0)]


def submit(town: Town, program: bytes, limits: Limits = LIMITS, **details: Any) -> Job:
    """Submit a program of Ann's."""
    who, now = details.pop("who", town.ann), details.pop("now", NOW)
    return intake.submit(
        town.store, who, town.home, town.device, program, draft=Draft(), limits=limits, now=now, **details
    )


def open_(town: Town, limits: Limits = LIMITS) -> Job:
    """Begin an upload of Ann's."""
    return town.store.write(
        lambda tx: intake.open_(tx, town.ann, town.home, town.device, draft=Draft(), limits=limits, now=NOW)
    )


def jobs(town: Town) -> list[Job]:
    """Return every job there is."""
    return town.store.read(lambda tx: finding.find(tx, Query()).jobs)


@pytest.mark.parametrize("padding", [0, parcels.MOST])
def test_a_program_is_taken_in_one_step(town: Town, padding: int) -> None:
    """The job waits to be validated, and the program is stored as it was sent, in the database or as a file."""
    program = a_program(shots=77) + b" " * padding
    job = submit(town, program)

    assert reload(town.store, job) == job
    assert (job.state, job.kind, job.shots, job.input_bytes) == (State.VALIDATING, "q-object", 77, len(program))
    assert job.calibration == town.device.calibration
    assert states(town.store, job) == HANDED_OVER
    assert kept(town.store, "programs", job.id) == program
    assert town.store.objects.exists("programs", job.id) == (padding > 0)


def test_workers_hear_of_a_submission(town: Town) -> None:
    """At once."""
    heard: list[str] = []
    town.store.bell.listen("queue", lambda: heard.append("queue"))
    submit(town, a_program())
    town.store.write(lambda _tx: None)  # the bell of the write before it has rung when this one is answered

    assert heard == ["queue"]


@pytest.mark.parametrize("program", NO_PROGRAMS, ids=range(len(NO_PROGRAMS)))
def test_what_is_no_qobj_is_refused(sqlite_town: Town, program: bytes) -> None:
    """And nothing of it is kept."""
    with pytest.raises(errors.Invalid) as caught:
        submit(sqlite_town, program)

    assert caught.value.code == 8000
    assert jobs(sqlite_town) == []
    assert programs(sqlite_town.store) == []


def test_the_size_limit_is_inclusive(sqlite_town: Town) -> None:
    """A program of exactly as many bytes is taken, one byte more is not, and the message has both numbers."""
    program = a_program()
    submit(sqlite_town, program, Limits(len(program), -1))
    with pytest.raises(errors.TooLarge) as caught:
        submit(sqlite_town, program, Limits(len(program) - 1, -1))

    assert caught.value.code == 1006
    assert str(len(program)) in caught.value.message
    assert str(len(program) - 1) in caught.value.message
    assert len(programs(sqlite_town.store)) == 1


@pytest.mark.parametrize("own", [None, 5])
def test_shots_beside_the_program_count_where_it_says_nothing(sqlite_town: Town, own: int | None) -> None:
    """And are written into it, so that they are not lost."""
    job = submit(sqlite_town, a_program(shots=own), shots=99)
    stored = qobj.decode_envelope(kept(sqlite_town.store, "programs", job.id))

    assert job.shots == stored.config.shots == (own or 99)
    assert job.input_bytes == len(kept(sqlite_town.store, "programs", job.id))


def test_without_any_shots_there_are_the_usual_ones(sqlite_town: Town) -> None:
    """The program is left alone."""
    job = submit(sqlite_town, a_program(shots=None))

    assert job.shots == qobj.DEFAULT_SHOTS
    assert kept(sqlite_town.store, "programs", job.id) == a_program(shots=None)


@given(
    config=st.none() | st.dictionaries(st.text(max_size=5), st.integers() | st.text(), max_size=4),
    extra=st.dictionaries(st.text(max_size=5), st.lists(st.floats(allow_nan=False, allow_infinity=False)), max_size=3),
    shots=st.integers(1, 10**6),
)
def test_writing_shots_changes_nothing_else(config: Any, extra: dict[str, Any], shots: int) -> None:
    """Whatever else the program has."""
    program = extra | {"config": config, "qobj_id": "x"}
    written = json.loads(intake._with_shots(json.dumps(program).encode(), shots))

    assert written == program | {"config": (config or {}) | {"shots": shots}}


@pytest.mark.parametrize("shots", [0, -1, 10**30])
def test_impossible_shots_beside_the_program_are_refused(sqlite_town: Town, shots: int) -> None:
    """As those inside it are."""
    with pytest.raises(errors.Invalid):
        submit(sqlite_town, a_program(shots=None), shots=shots)
    assert programs(sqlite_town.store) == []


def test_pending_jobs_are_limited_for_each_user_and_device(town: Town) -> None:
    """Another user may go on, and so may this one when a job has ended; the refused program is not kept."""
    limits = Limits(10**6, 2)
    first = submit(town, a_program(), limits)
    open_(town, limits)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: submit(town, a_program(), limits),
        lambda: open_(town, limits),
    )
    for attempt in attempts:
        with pytest.raises(errors.LimitReached) as caught:
            attempt()
        assert caught.value.code == 3458
        assert "2" in caught.value.message
    assert programs(town.store) == [first.id]

    submit(town, a_program(), limits, who=town.bob)
    town.store.write(lambda tx: outcomes.cancel(tx, first, after(1)))
    submit(town, a_program(), limits)


def test_without_a_limit_there_is_none(sqlite_town: Town) -> None:
    """And with a limit of none, nothing is taken."""
    for _ in range(5):
        submit(sqlite_town, a_program(), Limits(10**6, -1))
    with pytest.raises(errors.LimitReached):
        submit(sqlite_town, a_program(), Limits(10**6, 0), who=sqlite_town.bob)


def test_a_program_is_uploaded_in_two_steps(town: Town) -> None:
    """The job is there first, and is handed over when the program is."""
    job = open_(town)
    assert (job.state, job.kind, job.shots) == (State.CREATING, "q-object-external-storage", None)

    with pytest.raises(errors.Conflict) as caught:
        intake.accept(town.store, job, after(1))
    assert caught.value.code == 3253
    assert reload(town.store, job) == job

    town.store.objects.put("programs", job.id, a_program(shots=3))
    accepted = intake.accept(town.store, job, after(2))

    assert accepted == reload(town.store, job)
    assert (accepted.state, accepted.shots, accepted.input_bytes) == (State.VALIDATING, 3, len(a_program(shots=3)))
    assert states(town.store, job) == HANDED_OVER


def test_a_repeated_acceptance_changes_nothing(town: Town) -> None:
    """Whether the client has seen the first answer or not, and however far the job is by then."""
    job = open_(town)
    town.store.objects.put("programs", job.id, a_program())
    first = intake.accept(town.store, job, after(1))

    assert intake.accept(town.store, first, after(2)) == first
    assert intake.accept(town.store, job, after(2)) == first  # two requests that read the job at the same time
    assert states(town.store, job) == HANDED_OVER


def test_of_many_acceptances_at_once_all_are_answered_alike(town: Town) -> None:
    """The job is handed over once."""
    job = open_(town)
    town.store.objects.put("programs", job.id, a_program())
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: intake.accept(town.store, job, after(1)), range(6)))

    assert len(set(map(str, answers))) == 1
    assert states(town.store, job) == HANDED_OVER


def test_a_bad_upload_may_be_repeated(town: Town) -> None:
    """The job stays as it was until its program is one."""
    job = open_(town)
    town.store.objects.put("programs", job.id, b"{}")
    with pytest.raises(errors.Invalid) as caught:
        intake.accept(town.store, job, after(1))
    assert caught.value.code == 8000
    assert reload(town.store, job) == job

    town.store.objects.put("programs", job.id, a_program())
    assert intake.accept(town.store, job, after(2)).state is State.VALIDATING


def test_a_cancelled_upload_is_not_accepted(town: Town) -> None:
    """Even if the request read the job before it was cancelled."""
    job = open_(town)
    town.store.objects.put("programs", job.id, a_program())
    town.store.write(lambda tx: outcomes.cancel(tx, job, after(1)))
    for read in (job, reload(town.store, job)):
        with pytest.raises(errors.Conflict, match="cancelled"):
            intake.accept(town.store, read, after(2))

    assert states(town.store, job) == [State.CREATING, State.CANCELLED]


def test_the_log_never_goes_back_in_time_during_intake(town: Town) -> None:
    """Also where the creation time had to be moved because of another job."""
    submit(town, a_program(), now=after(10))
    job = submit(town, a_program(), now=NOW)
    log = town.store.read(lambda tx: records.events(tx, job.id))

    assert {moment for _, moment in log} == {job.created}
    assert job.created > after(10)
