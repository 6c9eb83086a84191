# SPDX-License-Identifier: Apache-2.0
"""The worker: claims jobs, has them validated and run by the pool, settles them; again.

Each slot of the pool has a thread that does one job at a time. One thread more, the keeper, renews the leases, stops
what was cancelled and lets the jobs of dead workers wait again; what has run on a device that keeps the pace of a real
machine is left to the pacer.
"""

import functools
import logging
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from chandelier import errors, pacing, pools, telemetry
from chandelier.fairshare import accounts
from chandelier.formats import tasks
from chandelier.jobs import counts, intake, outcomes, records, sessions
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Job
from chandelier.jobs.sessions import SessionId
from chandelier.pools import Call, Pool, Slot
from chandelier.rota import Rota
from chandelier.scheduling import claims, limits, ranking, reservations
from chandelier.scheduling.claims import Claim
from chandelier.scheduling.ranking import Ranking
from chandelier.store import Store, Transaction, parcels
from chandelier.store import objects as objectfiles
from chandelier.tenancy import users

_log = logging.getLogger(__name__)

#: A slot that only validates leaves new jobs to the others for this long, and as long as one of them takes up a job
#: now and then: they can go on and run them at once.
_PATIENCE: Final = timedelta(milliseconds=150)
_IDLE_SECONDS: Final = 5.0
#: A program that is predicted to take no more is run as soon as it was checked, if nobody waits: asking for its turn
#: would take as long. Should others have come meanwhile, what came out is thrown away.
_SMALL_SECONDS: Final = 0.02
_CHORES_SECONDS: Final = 60.0
_KILL_SECONDS: Final = 10.0


class Budget(msgspec.Struct, frozen=True):
    """What one job may use.

    Attributes:
        memory_bytes: Memory of the simulation.
        seconds: Processor time and wall-clock time of the run.
        validation_seconds: The same for opening and checking the program.
        upload_seconds: How long after its creation the program may still be uploaded.
        deleted_days: How long after a job's deletion its program and result are kept.
        idle_seconds: How long a dedicated reservation of a device lasts when nobody uses it.
    """

    memory_bytes: int
    seconds: float
    validation_seconds: float
    upload_seconds: float = 86400.0
    deleted_days: float = 7.0
    idle_seconds: float = 900.0


class _Work:
    """What one slot is doing: its claim and, while a child works on it, the call that can be killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claim: Claim | None = None
        self._call: Call | None = None

    @property
    def claim(self) -> Claim | None:
        return self._claim

    def begin(self, claim: Claim | None) -> None:
        with self._lock:
            self._claim = claim
            self._call = None

    def calling(self, call: Call) -> None:
        with self._lock:
            self._call = call

    def kill(self, claim: Claim) -> None:
        """Kill the child if it still works on this claim."""
        with self._lock:
            if self._claim is not None and self._claim.token == claim.token and self._call is not None:
                self._call.kill()


class Worker:
    """The threads of one process that work off the queue; `start`, then `stop`.

    Args:
        runners: How many slots validate and run; the slots of the pool beyond these only validate, so that a bad
            program is refused at once even while long jobs run.
    """

    def __init__(self, store: Store, pool: Pool, ranking: Ranking, budget: Budget, *, slots: int, runners: int) -> None:
        self._store = store
        self._ranking = ranking
        self._budget = budget
        self._limits = tasks.Limits(budget.memory_bytes, budget.seconds, small_bytes=parcels.MOST)
        self._runners = runners
        self._slots = [pool.slot(index) for index in range(slots)]
        self._works = [_Work() for _ in self._slots]
        self._run_first = [True] * slots
        #: When a slot that runs jobs last looked for one, by the monotonic clock, s.
        self._taken_up = 0.0
        self._name = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._up = _now()
        self._stopping = threading.Event()
        self._pacer = pacing.Pacer(store, _now)
        self._rota = Rota()
        self._keep = threading.Event()
        self._kept: frozenset[SessionId] = frozenset()
        self._threads: list[threading.Thread] = []
        self._stop_listening: list[Callable[[], None]] = []

    def start(self, *, alone: bool) -> None:
        """Begin to work.

        Args:
            alone: This is the only server of the database, so every lease that stands is a dead worker's.
        """
        self._store.write(_recount)
        ended = self._store.write(lambda tx: claims.reap(tx, _now(), everything=alone))
        if ended:
            _log.info("%d jobs of a worker that is gone wait again", ended)
        self._stop_listening.append(self._store.bell.listen("queue", self._rota.news))
        for index in range(len(self._slots)):
            self._spawn(f"worker-{index}", functools.partial(self._work_on, index))
        self._spawn("worker-keeper", self._keep_leases)
        self._spawn("worker-pacer", self._pacer.run)

    def stop(self, grace_seconds: float) -> None:
        """Take no more jobs, give those that run a moment to end, and let the others wait again."""
        self._stopping.set()
        deadline = time.monotonic() + grace_seconds
        self._pacer.close(_now() + timedelta(seconds=grace_seconds))
        while time.monotonic() < deadline and self._held():
            time.sleep(0.02)
        self._pacer.close(_now())
        self._rota.close()
        self._keep.set()
        for stop in self._stop_listening:
            stop()
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline and any(thread.is_alive() for thread in self._threads):
            # More than once: a thread may just have been on its way to its child.
            for work in self._works:
                if (claim := work.claim) is not None:
                    work.kill(claim)
            time.sleep(0.02)

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work_on(self, index: int) -> None:
        slot, sure = self._slots[index], False
        while not self._stopping.is_set():
            try:
                if not slot.ready(timeout=0.0):
                    if sure:
                        self._rota.news()  # another slot may have a child
                    sure = False
                    slot.ready(timeout=1.0)
                    continue  # no reason to wait for news: the news may be here already
                self._rota.rest(index)
                worked = self._turn(index, slot, sure=sure)
            except Exception as failure:  # noqa: BLE001  # the loop outlives whatever happens to one job
                _tell("The worker could not go on with a job; its lease will run out", failure)
                self._works[index].begin(None)
                worked = True  # it looks again before it sleeps
                self._stopping.wait(1.0)
            sure = False
            if not worked:
                sure = self._rota.wait(index, _IDLE_SECONDS)
                if index >= self._runners:
                    # A job of which it hears meanwhile is still too young for the next look, and needs another one.
                    self._rota.rest(index)
                    # A little more than the patience: a creation time may be later than its bell.
                    self._stopping.wait(1.2 * _PATIENCE.total_seconds())

    def _turn(self, index: int, slot: Slot, *, sure: bool) -> bool:
        """Do jobs, or validate them, until none waits; tell whether there was any.

        Args:
            sure: Something waits, as far as is known; else a look comes first, which costs the one writer nothing.
        """
        if not sure and not self._store.read(claims.is_waiting):
            return False
        if index >= self._runners and time.monotonic() - self._taken_up < _PATIENCE.total_seconds():
            self._stopping.wait(_PATIENCE.total_seconds())
            return True  # it looks again
        # Were the power to go, so would this worker: then the job waits as before, and nobody was promised anything.
        claim, more = self._store.write(lambda tx: (self._claim(tx, index), claims.is_waiting(tx)), durable=False)
        if claim is not None:
            self._rota.busy(index, more=more)
        worked = claim is not None
        while claim is not None:
            claim = self._do(index, slot, claim)
        return worked

    def _do(self, index: int, slot: Slot, claim: Claim) -> Claim | None:
        """Do what a claim is for; return the next one, if it was taken in the transaction that ended this one."""
        work = self._works[index]
        try:
            if claim.job.state is not State.VALIDATING:
                return self._run(index, slot, work, claim)
            following = self._validate(index, slot, work, claim)
            if following is None or following.job.id != claim.job.id:
                return following
            return self._run(index, slot, work, following)
        except (claims.LeaseLost, errors.Conflict):
            # Cancelled meanwhile, or given to another: whatever came out is nobody's.
            self._store.write(functools.partial(claims.let_go, claim=claim))
            self._store.objects.delete("results", claim.token)
            return None
        finally:
            work.begin(None)

    def _claim(self, tx: Transaction, index: int) -> Claim | None:
        if self._stopping.is_set():
            return None
        now = _now()
        holder = f"{self._name}-{index}"
        if index >= self._runners:
            return claims.claim_validation(tx, holder, now, waiting_since=now - _PATIENCE)
        self._taken_up = time.monotonic()
        # In turns, so that neither a crowd of programs to check nor a long queue keeps the other from going on.
        self._run_first[index] = not self._run_first[index]
        if self._run_first[index]:
            return claims.claim_run(tx, self._ranking, holder, now) or claims.claim_validation(tx, holder, now)
        return claims.claim_validation(tx, holder, now) or claims.claim_run(tx, self._ranking, holder, now)

    def _validate(self, index: int, slot: Slot, work: _Work, claim: Claim) -> Claim | None:
        """Have a program checked; return the claim on the same job if it runs now, or on the next if it has ended."""
        job, written, result = claim.job, self._written(claim), self._store.objects.incoming(claim.token)
        paths = {kind: str(path) for kind, path in written.items()}
        at_once = tasks.AtOnce(str(result), _SMALL_SECONDS) if claim.at_once and index < self._runners else None
        task = tasks.Validate(
            job.id,
            *self._files(job),
            self._limits,
            converted=paths.get("converted"),
            picture=paths.get("pictures"),
            at_once=at_once,
            body=_raw(claim.program),
            primitive=job.program,
        )
        try:
            reply = self._ask(slot, work, claim, task, self._budget.validation_seconds)
            if at_once is not None and isinstance(reply, tasks.Refused) and reply.code in {8023, 8026}:
                # It may have been the run, which may take longer.
                only = msgspec.structs.replace(task, at_once=None)
                reply = self._ask(slot, work, claim, only, self._budget.validation_seconds)
            if reply is None:
                return None
            if isinstance(reply, tasks.Accepted) and not self._adopt(claim, written):
                return None
            finished = self._kept_at_once(claim, reply)
        finally:
            for path in (*written.values(), result):
                path.unlink(missing_ok=True)

        following, ended = self._store.write(lambda tx: self._checked(tx, index, claim, reply, finished))
        if finished is not None and ended:
            telemetry.job_ended(finished.seconds)
        elif finished is not None:
            self._store.objects.delete("results", claim.token)  # others go first; it is run when it is due
        return following

    def _checked(
        self, tx: Transaction, index: int, claim: Claim, reply: tasks.Reply, finished: tasks.Finished | None
    ) -> tuple[Claim | None, bool]:
        """Write what came of a check; return the claim on the running job, or on the next one if it has ended."""
        claims.hold(tx, claim)
        job, now, estimate = claim.job, max(_now(), claim.job.created), 0.0
        # A job that has run already began as long ago as it took.
        begun = now if finished is None else max(job.created, now - timedelta(seconds=finished.seconds))
        answer: tasks.Reply = reply
        if isinstance(reply, tasks.Accepted):
            estimate = outcomes.expected(tx, job, reply, self._budget.seconds)
            answer = limits.beyond(tx, job, reply.summary, estimate) or reply
        if not isinstance(answer, tasks.Accepted):
            outcomes.refused(tx, job, _as_refusal(answer), now)
            claims.release(tx, claim)
            return None, False
        if finished is not None and ranking.is_unrivalled(tx, job, now):
            outcomes.ran_through(tx, job, answer, finished, claim.token, begun, now, estimate=estimate)
            claims.release(tx, claim)
            return self._claim(tx, index), True
        known = msgspec.structs.replace(claim, job=outcomes.validated(tx, job, answer, now, estimate=estimate))
        if index >= self._runners or self._stopping.is_set():
            claims.release(tx, claim)
            return None, False
        return claims.go_on(tx, known, self._ranking, now), False

    def _kept_at_once(self, claim: Claim, reply: tasks.Reply) -> tasks.Finished | None:
        """Keep the result of a program that was run as soon as it was checked, if there is one."""
        finished = reply.finished if isinstance(reply, tasks.Accepted) else None
        if finished is None or finished.document != tasks.ABSENT:
            return finished
        try:
            self._store.objects.adopt("results", claim.token, self._store.objects.incoming(claim.token))
        except FileNotFoundError:
            _log.error("A child process left no result of job %s; it runs in its turn", claim.job.id)
            return None
        return finished

    def _run(self, index: int, slot: Slot, work: _Work, claim: Claim) -> Claim | None:
        job = claim.job
        result = self._store.objects.incoming(claim.token)
        task = tasks.Run(
            job.id,
            *self._files(job),
            str(result),
            self._limits,
            pacing.occupation(job),
            tasks.ABSENT if job.kind == "qasm" else _raw(claim.program),
            job.program,
        )
        most = self._budget.seconds if job.most_seconds is None else min(self._budget.seconds, job.most_seconds)
        try:
            reply = self._ask(slot, work, claim, task, most)
            if reply is None:
                return None
            if isinstance(reply, tasks.Finished):
                try:
                    parked = self._hand_over(claim, reply)
                except FileNotFoundError:
                    _log.error("A child process left no result of job %s", job.id)
                    self._give_back(claim, died=True)
                    return None
                if parked:
                    return self._store.write(lambda tx: self._claim(tx, index))

            def write(tx: Transaction) -> Claim | None:
                claims.hold(tx, claim)
                now = max(_now(), job.started or job.created)
                if isinstance(reply, tasks.Finished):
                    outcomes.settle(tx, job, reply, claim.token, now)
                else:
                    outcomes.refused(tx, job, _as_refusal(reply), now)
                claims.release(tx, claim)
                return self._claim(tx, index)

            following = self._store.write(write)
            telemetry.job_ended(reply.seconds if isinstance(reply, tasks.Finished) else None)
            return following
        finally:
            result.unlink(missing_ok=True)

    def _hand_over(self, claim: Claim, finished: tasks.Finished) -> bool:
        """Keep the result that a child has left; leave the job to the pacer if its device is occupied for longer."""
        occupation = pacing.occupation(claim.job)
        if occupation is None or occupation.ends <= _now():
            if finished.document == tasks.ABSENT:
                self._store.objects.adopt("results", claim.token, self._store.objects.incoming(claim.token))
            return False
        self._pacer.park(claim, finished, occupation.ends, moved=self._keep.set)
        return True

    def _files(self, job: Job) -> tuple[str, str]:
        """Return where a child finds the program, to check or to run it, and the device's documents."""
        objects = self._store.objects
        kind = "programs" if job.state is State.VALIDATING else outcomes.program_of(job)
        return str(objects.path(kind, job.id)), str(objects.path("devices", job.calibration))

    def _written(self, claim: Claim) -> dict[objectfiles.Kind, Path]:
        """Return where a child writes what it makes of OpenQASM texts: a Qobj, and a drawing for codes."""
        if claim.job.kind != "qasm":
            return {}
        incoming = self._store.objects.incoming
        converted: dict[objectfiles.Kind, Path] = {"converted": incoming(f"{claim.token}-converted")}
        return converted if claim.job.code_id is None else converted | {"pictures": incoming(f"{claim.token}-picture")}

    def _adopt(self, claim: Claim, written: Mapping[objectfiles.Kind, Path]) -> bool:
        """Keep what a child made of texts under the job's name; false if the job was given back, for it made none."""
        for kind, path in written.items():
            try:
                self._store.objects.adopt(kind, claim.job.id, path)
            except FileNotFoundError:
                if kind == "converted":
                    _log.error("A child process left no program of job %s", claim.job.id)
                    self._give_back(claim, died=True)
                    return False
        return True

    def _ask(self, slot: Slot, work: _Work, claim: Claim, task: tasks.Task, seconds: float) -> tasks.Reply | None:
        """Have a child do a task; None if the job was given back, because the child was lost."""
        work.begin(claim)
        stop = self._store.bell.listen(f"cancelled:{claim.job.id}", self._keep.set)
        try:
            call = slot.start(tasks.encode(task))
            work.calling(call)
            reply: tasks.Reply = tasks.decode_reply(call.wait(seconds))
            return reply
        except pools.Overran:
            return tasks.Refused(8023, f"The job ran longer than {seconds:g} s and was stopped.")
        except pools.ChildDied as death:
            if death.exitcode == -signal.SIGXCPU:
                most = task.limits.cpu_seconds
                return tasks.Refused(8026, f"The job used more than {most:g} s of processor time and was stopped.")
            _log.warning("A child process ended with %s over job %s", death.exitcode, claim.job.id)
            self._give_back(claim, died=True)
        except pools.Killed:
            self._give_back(claim, died=False)
        except (pools.Garbled, msgspec.DecodeError):
            _log.exception("A child process did not answer as it should over job %s", claim.job.id)
            self._give_back(claim, died=True)
        except errors.Unavailable as failure:
            _log.error("No child process for job %s: %s", claim.job.id, failure.message)
            self._give_back(claim, died=False)
            self._stopping.wait(1.0)
        finally:
            stop()
        return None

    def _give_back(self, claim: Claim, *, died: bool) -> None:
        self._store.write(lambda tx: claims.give_back(tx, claim, _now(), died=died))

    def _keep_leases(self) -> None:
        renewed = chores = time.monotonic()
        while not self._stopping.is_set() or self._held():
            self._keep.wait(1.0)
            self._keep.clear()
            try:
                moment = time.monotonic()
                due = moment - renewed > claims.LEASE.total_seconds() / 4
                self._check(renew=due)
                renewed = moment if due else renewed
                if moment - chores > _CHORES_SECONDS:
                    chores = moment
                    self._do_chores()
            except Exception as failure:  # noqa: BLE001  # the loop outlives whatever happens to one job
                _tell("The leases could not be looked after; trying again", failure)
                self._stopping.wait(1.0)

    def _check(self, *, renew: bool) -> None:
        """Kill what is lost or cancelled; renew the rest when it is time."""
        held = self._held()
        if renew:
            mine = [claim for _, claim in held]
            lost = self._store.write(lambda tx: claims.renew(tx, mine, _now()) if mine else [])
            self._store.write(lambda tx: claims.reap(tx, _now()))
            idle = self._budget.idle_seconds
            self._store.write(lambda tx: reservations.give_up_unused(tx, idle, _now(), up=self._up))
            self._store.write(lambda tx: sessions.expire(tx, _now()))
        else:
            lost = [claim for _, claim in held if self._ended(claim.job)]
        for end, claim in held:
            if claim in lost:
                end(claim)
        self._notice_what_is_free()

    def _notice_what_is_free(self) -> None:
        """Have somebody look for work if a session gave its device up: time alone rings no bell."""
        kept = self._store.read(lambda tx: frozenset(each.session_id for each in sessions.holds(tx, _now())))
        if self._kept - kept:
            self._rota.news(sure=False)
        self._kept = kept

    def _held(self) -> list[tuple[Callable[[Claim], None], Claim]]:
        """Return the claims that this worker holds, each with how to let it go."""
        held: list[tuple[Callable[[Claim], None], Claim]] = [
            (work.kill, claim) for work in self._works if (claim := work.claim) is not None
        ]
        return held + [(self._pacer.drop, claim) for claim in self._pacer.held()]

    def _ended(self, job: Job) -> bool:
        try:
            return self._store.read(lambda tx: records.get(tx, job.id)).ended is not None
        except errors.NotFound:
            return True

    def _do_chores(self) -> None:
        for chore in (self._purge, self._tidy):
            try:
                chore()
            except Exception as failure:  # noqa: BLE001  # one chore that fails must not keep the others from being done
                _tell("A chore could not be done; trying again later", failure)

    def _purge(self) -> None:
        while outcomes.purge(self._store, _now() - timedelta(days=self._budget.deleted_days), _now()):
            pass

    def _tidy(self) -> None:
        self._store.objects.sweep(older_than_seconds=24 * 3600)
        self._store.write(lambda tx: users.forget_expired(tx, _now()))
        self._store.write(
            lambda tx: intake.abandon(tx, _now() - timedelta(seconds=self._budget.upload_seconds), _now())
        )


def _tell(what: str, failure: Exception) -> None:
    """Log a failure of a loop: in one line if it says itself what is wrong, else with all that is known."""
    if isinstance(failure, errors.Unavailable):
        _log.error("%s: %s", what, failure.message)
    else:
        _log.error(what, exc_info=failure)


def _as_refusal(reply: tasks.Reply) -> tasks.Refused:
    if isinstance(reply, tasks.Refused):
        return reply
    return tasks.Refused(8021, "The simulator answered something else than was asked.")


def _raw(program: bytes | None) -> msgspec.Raw:
    return tasks.ABSENT if program is None else msgspec.Raw(program)


def _recount(tx: Transaction) -> None:
    """Count what waits: a database may be from before there were accounts."""
    accounts.alone(tx)
    wrong = accounts.recount(tx, counts.queued(tx), _now())
    if wrong:
        _log.info("What waits was counted anew: %d places in the queue were wrong", wrong)


def _now() -> datetime:
    return datetime.now(UTC)
