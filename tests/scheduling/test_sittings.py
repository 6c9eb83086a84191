# SPDX-License-Identifier: Apache-2.0
"""Sessions in the queue: a device that is kept, what beats a session, and whom it must not keep waiting."""

import itertools
from typing import Any

import pytest

from chandelier import devices
from chandelier.devices import Device
from chandelier.formats import tasks
from chandelier.jobs import outcomes, records, sessions
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.jobs.sessions import Mode, Session, Terms
from chandelier.scheduling import claims, explanation, forecast, ranking, reservations
from chandelier.scheduling.claims import Claim
from chandelier.scheduling.explanation import Explanation
from chandelier.scheduling.reservations import Wanted
from chandelier.store import Transaction
from chandelier.tenancy import allowances, grants
from chandelier.tenancy.access import Principal
from chandelier.tenancy.audit import By
from chandelier.tenancy.grants import Limits
from chandelier.tenancy.network import Place
from factories import ACCEPTED, NOW, Town, a_machine, after

TERMS = Terms(usual=7200, longest=28800, idle=60)
BY = By("root", NOW)


def opened(town: Town, device: Device | None = None, mode: Mode = "dedicated", who: Principal | None = None) -> Session:
    """Open a session of Ann's in the default project."""
    user, where = (who or town.ann).user_id, device or town.device
    return town.store.write(lambda tx: sessions.open_(tx, user, town.home.project_id, where, mode, NOW, terms=TERMS))


def job(town: Town, seconds: float, session: Session | None = None, place: Place | None = None, **more: Any) -> Job:
    """Let a job wait since some second: of a session, or of Bob's in a project."""
    place = place or (town.annex if session is None else town.home)
    device = more.get("device", town.device.id if session is None else session.device_id)
    who = town.bob.user_id if session is None else session.user_id
    session_id = None if session is None else session.id

    def work(tx: Transaction) -> Job:
        kind: dict[str, Any] = {"kind": "runtime", "calibration": town.device.calibration, "draft": Draft()}
        steps = (State.CREATING, State.CREATED, State.VALIDATING)
        made = records.create(
            tx, who, place.project_id, device, after(seconds), steps=steps, session_id=session_id, **kind
        )
        return outcomes.validated(tx, made, ACCEPTED, made.created)

    return town.store.write(work)


def begin(town: Town, seconds: float) -> Claim | None:
    """Begin the job that goes next."""
    return town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", after(seconds)))


def begun(town: Town, seconds: float) -> str | None:
    """Begin the job that goes next, and return its id."""
    claim = begin(town, seconds)
    return None if claim is None else claim.job.id


def end(town: Town, claim: Claim | None, seconds: float) -> None:
    """End a job."""
    assert claim is not None

    def work(tx: Transaction) -> None:
        outcomes.settle(tx, claim.job, tasks.Finished(True, 0, "", 1.0, 10, 1), claim.token, after(seconds))
        claims.release(tx, claim)

    town.store.write(work)


def started(town: Town, session: Session | None = None) -> Session:
    """Let a session run a job from second 1 to second 2, so that it keeps its device."""
    session = session or opened(town)
    first = job(town, 0, session)
    claim = begin(town, 1)
    assert claim is not None
    assert claim.job.id == first.id
    end(town, claim, 2)
    return session


def explained(town: Town, which: Job, seconds: float) -> Explanation:
    """Say why a job waits."""

    def work(tx: Transaction) -> Explanation:
        seen = forecast.make(tx, after(seconds), slots=1)
        return explanation.explain(tx, seen, records.get(tx, which.id), lambda _: True)

    return town.store.read(work)


def test_a_device_is_kept_from_the_first_job_on(town: Town) -> None:
    """Of others, and of the same project and user outside the session; its own jobs go on."""
    session = opened(town)
    other, first = job(town, 0), job(town, 1, session)
    assert begun(town, 2) == other.id
    claim = begin(town, 3)
    assert claim is not None
    assert claim.job.id == first.id
    end(town, claim, 4)
    job(town, 5)
    outside = job(town, 5, place=town.home)
    assert begun(town, 6) is None
    second = job(town, 7, session)

    assert begun(town, 8) == second.id
    assert begun(town, 9) is None
    assert explained(town, outside, 10).hold is not None


def test_a_batch_keeps_nothing(town: Town) -> None:
    """Others begin between its jobs."""
    started(town, opened(town, mode="batch"))
    other = job(town, 3)

    assert begun(town, 4) == other.id


@pytest.mark.parametrize("how", ["idle", "stopped", "closed", "over"])
def test_a_device_is_given_up(town: Town, how: str) -> None:
    """When nothing came for too long, the session takes no more jobs, is closed, or its time is over."""
    session = started(town)
    other = job(town, 3)
    assert begun(town, 61) is None
    moment = 61.5
    if how == "idle":
        moment = 62
    elif how == "stopped":
        town.store.write(lambda tx: sessions.stop(tx, session, after(61), accepting=False))
    elif how == "closed":
        town.store.write(lambda tx: sessions.close(tx, session, after(61)))
    else:
        job(town, 61, session)
        moment = 1 + session.max_ttl

    assert begun(town, moment) == other.id


def test_a_session_that_stopped_goes_on_with_what_it_has(town: Town) -> None:
    """Others wait for that."""
    session = started(town)
    other, last = job(town, 3), job(town, 4, session)
    town.store.write(lambda tx: sessions.stop(tx, session, after(5), accepting=False))
    claim = begin(town, 6)
    assert claim is not None
    assert claim.job.id == last.id
    assert begun(town, 7) is None
    end(town, claim, 8)

    assert begun(town, 9) == other.id


def test_two_sessions_take_turns_with_a_device(town: Town) -> None:
    """The second begins when the first has given it up, and keeps it then."""
    first = started(town)
    second = opened(town, who=town.bob)
    late = job(town, 3, second)
    more = job(town, 50, first)
    claim = begin(town, 51)
    assert claim is not None
    assert claim.job.id == more.id
    end(town, claim, 52)
    assert begun(town, 111) is None
    claim = begin(town, 112)
    assert claim is not None
    assert claim.job.id == late.id
    job(town, 113, first)

    assert begun(town, 114) is None


def test_other_devices_get_their_turns(town: Town) -> None:
    """One worker is shared: a session's next job goes first, but not twice before a device that waits."""
    session = started(town)
    elsewhere = [job(town, 3 + turn / 10, device=town.hidden.id) for turn in range(3)]
    own = [job(town, 4 + turn / 10, session) for turn in range(3)]
    order, now = [], 10.0
    while (claim := begin(town, now)) is not None:
        order.append(claim.job.id)
        end(town, claim, now + 1)
        now += 1

    # The other device's jobs came when the last of the session had ended.
    assert order == [each.id for pair in zip(own, elsewhere, strict=True) for each in pair]


def test_of_several_sessions_each_gets_its_turn(town: Town) -> None:
    """And so does who waits for a third device."""
    machine = a_machine(town.store, "machine")
    both = [opened(town), opened(town, machine)]
    jobs = {session.id: [job(town, turn, session) for turn in range(4)] for session in both}
    others = [job(town, turn + 0.5, device=town.hidden.id) for turn in range(4)]
    order, now = [], 10.0
    while (claim := begin(town, now)) is not None:
        order.append(claim.job.id)
        end(town, claim, now + 1)
        now += 1

    queues = [[each.id for each in jobs[session.id]] for session in both] + [[each.id for each in others]]
    assert sorted(order) == sorted(each for queue in queues for each in queue)
    places = [[order.index(each) for each in queue] for queue in queues]
    assert all(later - earlier <= 4 for queue in places for earlier, later in itertools.pairwise(queue))


def test_further_jobs_of_a_session_go_last(town: Town) -> None:
    """While one of them runs, free workers are for others first."""
    session = started(town)
    own = [job(town, 3 + turn / 10, session) for turn in range(2)]
    elsewhere = job(town, 4, device=town.hidden.id)

    assert [begun(town, 5 + turn) for turn in range(4)] == [own[0].id, elsewhere.id, own[1].id, None]


@pytest.mark.parametrize("mode", ["priority", "dedicated"])
def test_a_reservation_of_others_beats_a_session(town: Town, mode: reservations.Mode) -> None:
    """Its jobs begin as if there were none; afterwards the session that waits keeps the device again."""
    session = started(town)
    terms = reservations.Terms(longest=86400.0)
    wanted = Wanted(mode, after(5), after(100))
    town.store.write(
        lambda tx: reservations.add(tx, BY, town.annex.spot, town.device, wanted, terms, reservations.nobodys)
    )
    own, theirs = job(town, 3, session), job(town, 4)
    claim = begin(town, 6)
    assert claim is not None
    assert claim.job.id == theirs.id
    end(town, claim, 7)
    if mode == "priority":
        assert begun(town, 8) == own.id
        return
    assert begun(town, 8) is None
    later = job(town, 9, place=town.home)

    assert begun(town, 101) == own.id
    assert begun(town, 102) is None
    assert later.state is State.QUEUED


def test_a_session_of_those_who_reserved_keeps_the_device(town: Town) -> None:
    """Also from others of them."""
    session = started(town)
    wanted = Wanted("dedicated", after(2), after(100))
    terms = reservations.Terms(longest=86400.0)
    town.store.write(
        lambda tx: reservations.add(tx, BY, town.home.spot, town.device, wanted, terms, reservations.nobodys)
    )
    job(town, 3, place=town.home)
    own = job(town, 4, session)

    assert begun(town, 5) == own.id
    assert begun(town, 6) is None


def test_a_session_that_may_not_run_keeps_nobody_waiting(town: Town) -> None:
    """Once the device time of its project is used up, others use the device; what waits of it costs nothing."""
    session = started(town)
    own, other = job(town, 3, session), job(town, 4)
    town.store.write(lambda tx: allowances.set_(tx, BY, town.home.spot, None, 0.5))
    claim = begin(town, 5)
    assert claim is not None
    assert claim.job.id == other.id
    end(town, claim, 6)
    assert begun(town, 7) is None
    hold = explained(town, own, 8).hold
    assert hold is not None
    assert hold.kind == "time limit"
    assert town.store.read(lambda tx: sessions.standing(tx, session, after(1000))).idle == pytest.approx(1)

    town.store.write(lambda tx: allowances.remove(tx, BY, town.home.spot, None))
    job(town, 9)
    assert begun(town, 10) == own.id
    assert begun(town, 11) is None


def test_limits_of_jobs_at_once_hold_a_session_and_not_its_device(town: Town) -> None:
    """While one of its jobs runs, another waits, and so does everybody else."""
    most = Limits(max_running=1)
    town.store.write(lambda tx: grants.grant(tx, town.home.spot, town.device, 1, most, NOW))
    session = started(town)
    own = [job(town, 3 + turn / 10, session) for turn in range(2)]
    job(town, 4)

    assert begun(town, 5) == own[0].id
    assert begun(town, 6) is None


def test_a_paused_device_is_kept_and_starts_nothing(town: Town) -> None:
    """The session goes on when it does, and was not idle as long as its job waited."""
    session = started(town)
    own = job(town, 3, session)
    job(town, 4)
    town.store.write(lambda tx: devices.set_state(tx, town.device.name, "paused", ""))
    assert begun(town, 500) is None
    town.store.write(lambda tx: devices.set_state(tx, town.device.name, "active", ""))

    assert begun(town, 501) == own.id
    assert begun(town, 502) is None
    assert town.store.read(lambda tx: sessions.standing(tx, session, after(503))).idle == pytest.approx(1)


def test_a_job_that_lost_its_worker_is_the_sessions_next(town: Town) -> None:
    """The device is kept for it, and the lost time is not charged as idleness."""
    session = started(town)
    own = job(town, 3, session)
    other = job(town, 4)
    assert begun(town, 5) == own.id
    town.store.write(lambda tx: claims.reap(tx, after(200), everything=True))

    assert begun(town, 201) == own.id
    assert begun(town, 202) is None
    assert town.store.read(lambda tx: sessions.standing(tx, session, after(203))).idle == pytest.approx(1)
    assert other.state is State.QUEUED


@pytest.mark.parametrize(("mine", "expected"), [(True, True), (False, False)])
def test_at_once_runs_only_what_is_the_sessions(town: Town, mine: bool, expected: bool) -> None:
    """A small job of others waits while the device is kept."""
    session = started(town)
    facts: dict[str, Any] = {"kind": "runtime", "calibration": town.device.calibration, "draft": Draft()}
    steps = (State.CREATING, State.CREATED, State.VALIDATING)
    session_id = session.id if mine else None
    small = town.store.write(
        lambda tx: records.create(
            tx,
            town.ann.user_id,
            town.home.project_id,
            town.device.id,
            after(3),
            steps=steps,
            session_id=session_id,
            **facts,
        )
    )

    assert town.store.read(lambda tx: ranking.is_unrivalled(tx, small, after(4))) is expected


def test_who_waits_is_told_of_the_session(town: Town) -> None:
    """By what it is held, and that nobody knows when it starts; the session's own job is foretold."""
    session = started(town)
    other, outside, own = job(town, 3), job(town, 4, place=town.home), job(town, 5, session)
    for waiting in (other, outside):
        told = explained(town, waiting, 6)
        assert told.hold is not None
        assert told.hold.kind == "session"
        assert told.estimate is None
        until = f"{after(1 + session.max_ttl):%Y-%m-%d %H:%M} UTC at the latest"
        assert f"It cannot start now: a session keeps the device for its own jobs, until {until}." in told.lines
        assert told.lines[-1] == "It cannot be foretold when it starts."
    rival = explained(town, other, 6).steps[0].rival
    assert rival is not None
    assert rival.reason.endswith("because what waits here is held by a session that keeps the device")

    assert explained(town, own, 6).hold is None
    town.store.write(lambda tx: outcomes.cancel(tx, records.get(tx, outside.id), after(7)))
    assert explained(town, own, 8).estimate is not None
