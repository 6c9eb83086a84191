# SPDX-License-Identifier: Apache-2.0
"""Sessions: how they stand follows from their jobs; they end by themselves, and take no jobs of others."""

import itertools
from datetime import datetime, timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chandelier import errors
from chandelier.devices import DeviceId
from chandelier.fairshare import accounts
from chandelier.fairshare import standing as shares
from chandelier.fairshare.rules import LEAST_CHARGE, Rules
from chandelier.jobs import intake, outcomes, records, sessions
from chandelier.jobs.intake import Order
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.jobs.sessions import Mode, Session, SessionId, Standing, Terms
from chandelier.jobs.spells import Span
from chandelier.store import Store, Transaction
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import ProjectId
from chandelier.tenancy.users import UserId
from factories import ACCEPTED, LIMITS, NOW, Town, after, reload

TERMS = Terms(usual=7200, longest=28800, idle=60)


def a_session(mode: Mode = "dedicated", *, stopped: datetime | None = None, closed: datetime | None = None) -> Session:
    """Return a session that was opened at the beginning and lasts for an hour."""
    names = UserId("u"), ProjectId("p"), DeviceId("d")
    return Session(SessionId("s"), *names, mode, NOW, 3600.0, 60.0, stopped, closed)


def seconds(standing: Standing) -> list[tuple[float, float]]:
    """Return when the device was kept, in s since the session was opened."""
    return [((start - NOW).total_seconds(), (end - NOW).total_seconds()) for start, end in standing.held]


def opened(town: Town, mode: Mode = "dedicated", now: datetime = NOW, **more: float) -> Session:
    """Open a session of Ann's."""
    who, where = town.ann.user_id, town.home.project_id
    return town.store.write(lambda tx: sessions.open_(tx, who, where, town.device, mode, now, terms=TERMS, **more))


def submitted(town: Town, session: Session, now: datetime, who: Principal | None = None) -> Job:
    """Submit a job in a session."""
    order = Order("sampler", b"{}", session_id=session.id)
    return intake.submit_params(
        town.store, who or town.ann, town.home, town.device, order, draft=Draft(), limits=LIMITS, now=now
    )


def ran(begun: float, ended: float | None = None, created: float | None = None) -> Span:
    """Return a job that began at some second, and was submitted then unless it is said when."""
    came = begun if created is None else created
    return Span(after(came), after(begun), None if ended is None else after(ended))


def waits(created: float, ended: float | None = None) -> Span:
    """Return a job that waits, or was cancelled before it began."""
    return Span(after(created), None, None if ended is None else after(ended))


def charged(town: Town, now: datetime) -> float:
    """Return what the home project has used of all devices, not faded since a moment, s."""
    used = town.store.read(shares.usages)
    return sum(each.now(now.timestamp(), 1e15) for (_, node), each in used.items() if node == town.home.project_id)


def run(town: Town, job: Job, begun: datetime) -> None:
    """Let a job begin."""

    def work(tx: Transaction) -> None:
        outcomes.validated(tx, job, ACCEPTED, job.created)
        records.advance(tx, job.id, (State.RUNNING,), begun, started=begun)

    town.store.write(work)


def end(town: Town, job: Job, ended: datetime) -> None:
    """Let a job end."""
    town.store.write(lambda tx: records.advance(tx, job.id, (State.COMPLETED,), ended, cost=1.0))


def standing(town: Town, session: Session, now: datetime) -> Standing:
    """Return how a session is, as its row and its jobs have it."""
    return town.store.read(lambda tx: sessions.standing(tx, sessions.get(tx, session.id), now))


def test_a_session_without_jobs_is_open() -> None:
    """It waits for its first job and keeps nothing."""
    found = sessions.reckon(a_session(), [waits(5)], after(10))

    assert (found.phase, found.accepting, found.held, found.idle) == ("open", True, (), 0)


def test_a_dedicated_session_keeps_its_device_between_jobs() -> None:
    """From the beginning of the first job, as long as the next comes soon enough; it is idle in between."""
    found = sessions.reckon(a_session(), [ran(10, 20), ran(50, 55)], after(100))

    assert (found.phase, seconds(found), found.elapsed, found.idle) == ("active", [(10, 100)], 90, 75)


def test_a_session_that_is_idle_for_too_long_gives_its_device_up() -> None:
    """And keeps it again from the beginning of the next job."""
    between = sessions.reckon(a_session(), [ran(10, 20)], after(200))
    again = sessions.reckon(a_session(), [ran(10, 20), ran(500, created=490), waits(505)], after(510))

    assert (between.phase, seconds(between), between.idle) == ("inactive", [(10, 80)], 60)
    assert (again.phase, seconds(again), again.elapsed) == ("active", [(10, 80), (500, 510)], 80)


def test_a_job_that_came_in_time_is_waited_for() -> None:
    """One that came later has to wait for its turn like any other."""
    in_time = sessions.reckon(a_session(), [ran(10, 20), waits(79)], after(300))
    late = sessions.reckon(a_session(), [ran(10, 20), waits(81)], after(300))

    assert (in_time.phase, in_time.elapsed) == ("active", 290)
    assert (late.phase, late.elapsed) == ("inactive", 70)


def test_what_was_kept_stays_so() -> None:
    """Whatever becomes of the job that was waited for; the time in which it waited is nobody's idleness."""
    for later in (ran(400, created=50), waits(50, 400)):
        found = sessions.reckon(a_session(), [ran(10, 20), later], after(400))

        assert (seconds(found), found.idle) == ([(10, 400)], 30)
    lost = sessions.reckon(a_session(), [ran(10, 20), waits(50)], after(400))
    assert (lost.phase, lost.idle) == ("active", 30)


def test_a_job_that_nobody_waits_for_is_not_kept_for() -> None:
    """Cancelling one that was waited for gives the device up, though another came meanwhile."""
    found = sessions.reckon(a_session(), [ran(10, 20), waits(50, 300), waits(200)], after(400))

    assert (found.phase, seconds(found)) == ("inactive", [(10, 300)])


def test_a_batch_keeps_its_device_only_while_jobs_run() -> None:
    """Overlapping ones count once; it is never idle."""
    spans = [ran(10, 20), ran(15, 30), ran(50)]
    found = sessions.reckon(a_session("batch"), spans, after(60))

    assert (found.phase, seconds(found), found.elapsed, found.idle) == ("active", [(10, 30), (50, 60)], 30, 0)


def test_a_session_that_takes_no_more_jobs_ends_with_its_last() -> None:
    """The device is given up at once, and the session is closed, also if the last was cancelled."""
    stopped = a_session(stopped=after(15))
    running = sessions.reckon(stopped, [ran(10)], after(17))
    ended = sessions.reckon(stopped, [ran(10, 20)], after(30))
    cancelled = sessions.reckon(stopped, [ran(10, 20), waits(12, 25)], after(30))

    assert (running.phase, running.accepting, running.closed) == ("active", False, None)
    assert (ended.phase, ended.closed, ended.elapsed) == ("closed", after(20), 10)
    assert (cancelled.closed, cancelled.elapsed, cancelled.idle) == (after(25), 15, 0)


def test_a_session_ends_when_its_time_is_over() -> None:
    """Which is counted from its first job; one that never ran any ends too, unless jobs wait."""
    found = sessions.reckon(a_session(), [ran(100, 110), waits(3000)], after(3700))
    unused = sessions.reckon(a_session(), [], after(3600))
    waiting = sessions.reckon(a_session(), [waits(1)], after(3600))

    assert (found.phase, found.closed) == ("closed", after(3700))
    assert (unused.phase, unused.closed) == ("closed", after(3600))
    assert waiting.phase == "open"


def test_what_runs_beyond_the_end_is_no_time_of_the_session() -> None:
    """The device is free for others, and the idle time stays as it was."""
    closed = a_session(closed=after(60))
    found = sessions.reckon(closed, [ran(10, 20), ran(50, 500), ran(700, created=55)], after(900))

    assert (seconds(found), found.idle) == ([(10, 60)], 30)


def test_a_session_lasts_as_long_as_is_asked_for(town: Town) -> None:
    """Within bounds, and as long as usual where nobody asks."""
    assert opened(town).max_ttl == 7200
    assert opened(town, max_ttl=300.0).max_ttl == 300
    for wrong in (0.0, 28801.0, float("nan")):
        with pytest.raises(errors.Invalid):
            opened(town, max_ttl=wrong)


def test_a_session_follows_its_jobs(town: Town) -> None:
    """From being open to being closed."""
    session = opened(town)
    job = submitted(town, session, after(1))
    assert standing(town, session, after(2)).phase == "open"
    run(town, job, after(3))
    assert standing(town, session, after(4)).phase == "active"
    assert [hold.session_id for hold in town.store.read(lambda tx: sessions.holds(tx, after(4)))] == [session.id]
    end(town, job, after(5))
    found = standing(town, session, after(6))
    assert (found.phase, found.last_started, found.last_completed) == ("active", after(3), after(5))
    assert standing(town, session, after(66)).phase == "inactive"

    assert town.store.read(lambda tx: sessions.holds(tx, after(66))) == []


def test_closing_cancels_what_has_not_begun(town: Town) -> None:
    """What runs goes on; closing again does nothing."""
    session = opened(town)
    first, second = submitted(town, session, after(1)), submitted(town, session, after(2))
    run(town, first, after(3))

    assert town.store.write(lambda tx: sessions.close(tx, session, after(4))) == 1
    assert town.store.write(lambda tx: sessions.close(tx, session, after(9))) == 0
    assert (reload(town.store, first).state, reload(town.store, second).state) == (State.RUNNING, State.CANCELLED)
    assert standing(town, session, after(10)).closed == after(4)


def test_sessions_are_closed_when_their_time_is_over(town: Town) -> None:
    """With what waits in them; others stay as they are."""
    short, long = opened(town, max_ttl=100.0), opened(town, max_ttl=1000.0)
    job = submitted(town, short, after(1))
    run(town, job, after(2))
    end(town, job, after(3))
    late = submitted(town, short, after(50))

    assert town.store.write(lambda tx: sessions.expire(tx, after(101))) == 0
    assert town.store.write(lambda tx: sessions.expire(tx, after(102))) == 1
    assert town.store.write(lambda tx: sessions.expire(tx, after(200))) == 0
    assert reload(town.store, late).state is State.CANCELLED
    assert standing(town, short, after(300)).closed == after(102)
    assert standing(town, long, after(300)).phase == "open"


def test_a_session_takes_only_jobs_of_its_own(town: Town) -> None:
    """Of its user, project and device, and while it takes any."""
    session = opened(town)
    with pytest.raises(errors.NotFound):
        submitted(town, session, after(1), town.bob)
    town.store.write(lambda tx: sessions.stop(tx, session, after(1), accepting=False))
    with pytest.raises(errors.Conflict):
        submitted(town, session, after(2))
    assert not any(town.store.objects.root.joinpath("programs").rglob("*.json"))


def test_closing_rings_for_who_waits(town: Town) -> None:
    """Also where nothing of the session waits, and where it only takes no more jobs."""
    session = opened(town)
    heard: list[str] = []
    end_ = town.store.bell.listen("queue", lambda: heard.append("queue"))
    town.store.write(lambda tx: sessions.stop(tx, session, after(1), accepting=False))
    town.store.write(lambda tx: sessions.close(tx, session, after(2)))
    end_()

    assert heard == ["queue", "queue"]


def test_the_time_between_jobs_is_charged_once(town: Town) -> None:
    """However often the keeper looks, and although who closes knew the session from before."""
    session = opened(town)
    for begun, ended in ((10, 20), (50, 55)):
        job = submitted(town, session, after(begun))
        run(town, job, after(begun))
        end(town, job, after(ended))
    assert charged(town, after(60)) == pytest.approx(2, rel=1e-3)
    for moment in (60, 61, 61.05, 70):
        town.store.write(lambda tx, at=moment: sessions.expire(tx, after(at)))  # type: ignore[misc]  # at once

    assert charged(town, after(70)) == pytest.approx(2 + 30 + 15, rel=1e-3)
    for _ in range(2):
        town.store.write(lambda tx: sessions.close(tx, session, after(75)))
    assert charged(town, after(80)) == pytest.approx(2 + 30 + 20, rel=1e-3)
    assert town.store.write(lambda tx: sessions.expire(tx, after(200))) == 0
    assert charged(town, after(200)) == pytest.approx(2 + 30 + 20, rel=1e-3)


def test_a_batch_is_charged_for_its_jobs_alone(town: Town) -> None:
    """It keeps nothing between them."""
    session = opened(town, "batch")
    job = submitted(town, session, after(1))
    run(town, job, after(2))
    end(town, job, after(3))
    assert town.store.read(lambda tx: sessions.holds(tx, after(4))) == []
    town.store.write(lambda tx: sessions.close(tx, session, after(50)))

    assert charged(town, after(50)) == pytest.approx(1, rel=1e-3)


#: What happens, with how many seconds later: a job comes, begins, ends, is cancelled, or loses its worker; the keeper
#: looks; the session takes no more jobs; it is closed.
ACTS = ("come", "begin", "end", "cancel", "lose", "look", "stop", "close")


_NUMBERS = itertools.count()


class History:
    """A session to which things happen."""

    def __init__(self, town: Town) -> None:
        self.town = town
        # One after the other, since a user's jobs are never created earlier than those before.
        self.now = after(20_000.0 * next(_NUMBERS))
        self.session = opened(town, now=self.now, max_ttl=300.0)
        # Nothing of what was used fades.
        town.store.write(lambda tx: accounts.set_rules(tx, Rules(half_life=1e15), self.now))
        self.before = charged(town, self.now)
        self.jobs: list[Job] = []

    def happen(self, act: str, seconds_later: float, which: int) -> None:
        """Let something happen, if it can."""
        self.now += timedelta(seconds=seconds_later)
        store, now = self.town.store, self.now
        states = {job.id: reload(store, job).state for job in self.jobs}
        candidates = {
            "begin": [job for job in self.jobs if states[job.id] is State.QUEUED],
            "end": [job for job in self.jobs if states[job.id] is State.RUNNING],
            "cancel": [job for job in self.jobs if states[job.id] in {State.QUEUED, State.RUNNING}],
            "lose": [job for job in self.jobs if states[job.id] is State.RUNNING],
        }.get(act, [])
        if act == "come" and standing(self.town, self.session, now).accepting:
            job = submitted(self.town, self.session, now)
            store.write(lambda tx: outcomes.validated(tx, job, ACCEPTED, job.created, estimate=0.0))
            self.jobs.append(job)
        elif act == "look":
            store.write(lambda tx: sessions.expire(tx, now))
        elif act == "stop":
            store.write(lambda tx: sessions.stop(tx, self.session, now, accepting=False))
        elif act == "close":
            store.write(lambda tx: sessions.close(tx, self.session, now))
        elif candidates:
            self.move(act, candidates[which % len(candidates)])

    def move(self, act: str, job: Job) -> None:
        """Let something happen to a job; none costs anything."""
        now = max(self.now, reload(self.town.store, job).started or job.created)

        def work(tx: Transaction) -> None:
            known = records.get(tx, job.id)
            if act == "begin":
                records.advance(tx, job.id, (State.RUNNING,), now, started=now)
            elif act == "lose":
                outcomes.requeue(tx, known, now)
            else:
                step = State.COMPLETED if act == "end" else State.CANCELLED
                records.advance(tx, job.id, (step,), now, cost=0.0)

        self.town.store.write(work)

    def check(self) -> None:
        """Compare what the few probes of the scheduler find with what the whole history comes to."""
        found = standing(self.town, self.session, self.now)
        held = self.town.store.read(lambda tx: sessions.holds(tx, self.now))
        held = [each for each in held if each.session_id == self.session.id]
        assert [each.session_id for each in held] == ([self.session.id] if found.phase == "active" else [])
        running = [job for job in self.jobs if reload(self.town.store, job).state is State.RUNNING]
        if held:
            assert (held[0].last, held[0].runs) == (found.last_completed, bool(running))
        row = self.town.store.read(lambda tx: sessions.get(tx, self.session.id))
        assert row.charged <= found.idle + 1e-9
        if row.closed is not None:
            assert row.charged == pytest.approx(found.idle, abs=1e-6)
        expected = row.charged + LEAST_CHARGE * len(running)
        assert charged(self.town, self.now) - self.before == pytest.approx(expected, abs=1e-5)


@settings(max_examples=30, phases=[Phase.generate])
@given(
    st.lists(
        st.tuples(st.sampled_from((*ACTS[:6], *ACTS[:6], *ACTS)), st.integers(0, 90_000), st.integers(0, 3)),
        min_size=5,
        max_size=25,
    )
)
def test_what_is_charged_is_what_was_kept_in_vain(town: Town, acts: list[tuple[str, int, int]]) -> None:
    """Whatever happens: never more than the idle time, and all of it once the session is closed."""
    history = History(town)
    for act, milliseconds, which in acts:
        history.happen(act, milliseconds / 1000, which)
        history.check()
    for _ in history.jobs:
        history.happen("end", 1.0, 0)
    history.happen("look", 400.0, 0)
    history.happen("close", 1.0, 0)
    history.check()


def test_jobs_of_a_session_are_not_read_to_know_whether_it_keeps_its_device(store: Store) -> None:
    """Each question goes along an index that answers it at once, however many jobs the session has."""
    if not store.database.embedded:
        pytest.skip("plans depend on how many rows there are")

    def work(tx: Transaction) -> list[str]:
        text = str(sessions._LOOK.statement.compile(tx.connection, compile_kwargs={"literal_binds": True}))
        return [str(row[3]) for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]

    plan = store.read(work)

    assert not any(step.startswith("SCAN jobs") for step in plan), plan
    for index in ("session_id_started", "session_id_ended_created", "state_created_id"):
        assert any(f"ix_jobs_{index} " in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


def test_a_user_has_so_many_open_sessions(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed ones do not count, nor those of others."""
    monkeypatch.setattr(sessions, "MOST_OPEN", 2)

    def another(tx: Transaction, who: Principal = town.ann) -> sessions.Session:
        where = (who.user_id, town.home.project_id, town.device)
        return sessions.open_(tx, *where, "batch", NOW, terms=sessions.Terms())

    first, _ = town.store.write(another), town.store.write(another)
    with pytest.raises(errors.LimitReached, match="2 open sessions"):
        town.store.write(another)
    town.store.write(lambda tx: another(tx, town.bob))
    town.store.write(lambda tx: sessions.close(tx, first, after(1)))

    assert town.store.write(another).id != first.id
