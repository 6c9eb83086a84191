# SPDX-License-Identifier: Apache-2.0
"""The watch over all jobs that are followed: one look for whatever many wait for, and only those told whom it concerns.

It runs while anybody follows anything. A ring of a job's topic leads to one look at that job, a ring for everybody
(another process wrote) to one look at which jobs moved, and a ring of the network's to one at whether somebody lost a
role: then all jobs are looked at. Besides, it goes the round: slowly, again and again, a part of the jobs is compared
with what was told of it. So places in a queue are told again, tokens that ended are found, and what no bell told.
"""

import asyncio
import contextlib
import itertools
import logging
import math
from collections import Counter
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from chandelier import errors
from chandelier.experience import glance
from chandelier.experience.glance import Interest, Line, Part, Sight, Survey
from chandelier.gateway import Cloud
from chandelier.jobs import lifecycle
from chandelier.jobs.lifecycle import State
from chandelier.tenancy.members import Departures
from chandelier.tenancy.users import UserId

_log = logging.getLogger(__name__)

#: Everything is compared once in this time even if no bell rings, a part at a time.
_ROUND_SECONDS: Final = 10.0
_PART: Final = 500
#: Jobs in one look: the first are told while the next are looked at.
_TOGETHER: Final = 250
#: How long to wait for a database that did not answer.
_RETRY_SECONDS: Final = 1.0
#: Streams that one user may have open in one process.
_MOST_OF_USER: Final = 500
_TOPIC: Final = "job:"
_ROLES: Final = "network"


class Follower:
    """One who follows a job.

    Args:
        tell: Called on the event loop with a message, or None, and with the close code, or None; the last call has one.
    """

    __slots__ = ("heard", "job", "tell", "token", "user_id", "versioned")

    def __init__(
        self,
        job: str,
        user_id: UserId,
        token: str,
        tell: Callable[[bytes | None, int | None], None],
        *,
        versioned: bool,
    ) -> None:
        self.job = job
        self.user_id = user_id
        self.token = token
        self.tell = tell
        self.versioned = versioned
        #: A hash of the last message: thousands of followers need not keep the messages themselves.
        self.heard: int | None = None


class _Followed:
    """A job, who follows it, and as what they know it."""

    __slots__ = ("created", "followers", "line", "overall", "position", "state")

    def __init__(self) -> None:
        self.followers: set[Follower] = set()
        self.state: State | None = None
        self.line: Line | None = None
        self.created: datetime | None = None
        self.position: int | None = None
        self.overall: int | None = None

    def interest(self) -> Interest:
        """Return what its followers want."""
        return Interest(
            frozenset(follower.versioned for follower in self.followers),
            frozenset(follower.token for follower in self.followers),
        )

    def note(self, sight: Sight) -> None:
        """Remember what is now told."""
        assert sight.job is not None
        self.state = sight.job.state
        self.line = (sight.job.device_id, sight.job.project_id) if self.state is State.QUEUED else None
        self.created = sight.job.created
        self.position = sight.position
        self.overall = sight.overall


class Watch:
    """Everything that is followed in this process; used on the event loop only."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._jobs: dict[str, _Followed] = {}
        self._streams: Counter[UserId] = Counter()
        #: Jobs to look at, in the order in which they were heard of.
        self._changed: dict[str, None] = {}
        self._rung = False
        self._roles_rung = False
        #: What is another when somebody has lost a role.
        self._departures: Departures | None = None
        #: The number of the last move of any job that was heard of.
        self._moves: int | None = None
        #: Jobs that are still to come on the round.
        self._round: list[str] = []
        self._news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        # Of its own, so that news need not wait for a free thread among those that serve requests.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watch")

    def join(self, follower: Follower) -> None:
        """Begin to tell a follower: the present state at once, then each change.

        Raises:
            errors.LimitReached: The user has too many streams open (code 1007).
        """
        if self._streams[follower.user_id] >= _MOST_OF_USER:
            raise errors.LimitReached(f"More than {_MOST_OF_USER} status streams of one user are open.", 1007)
        self._streams[follower.user_id] += 1
        self._jobs.setdefault(follower.job, _Followed()).followers.add(follower)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        # Listening began before this first look, so that no change falls between them.
        self._mark([follower.job])

    def leave(self, follower: Follower) -> None:
        """Forget a follower; leaving twice does no harm."""
        followed = self._jobs.get(follower.job)
        if followed is None or follower not in followed.followers:
            return
        followed.followers.remove(follower)
        self._streams[follower.user_id] -= 1
        if not self._streams[follower.user_id]:
            del self._streams[follower.user_id]
        if not followed.followers:
            del self._jobs[follower.job]
        if not self._jobs:
            self._news.set()

    def _mark(self, ids: list[str]) -> None:
        self._changed.update(dict.fromkeys(ids))
        self._news.set()

    def _mark_all(self) -> None:
        self._rung = True
        self._news.set()

    def _mark_roles(self) -> None:
        self._roles_rung = True
        self._news.set()

    def _listen(self) -> Callable[[], None]:
        """Hear the bell, on whatever thread it is rung."""
        loop = asyncio.get_running_loop()

        def hear(topics: frozenset[str] | None) -> None:
            # A loop that is closed has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                if topics is None:
                    loop.call_soon_threadsafe(self._mark_all)
                    return
                if _ROLES in topics:
                    loop.call_soon_threadsafe(self._mark_roles)
                named = [topic.removeprefix(_TOPIC) for topic in topics if topic.startswith(_TOPIC)]
                if followed := [job for job in named if job in self._jobs]:
                    loop.call_soon_threadsafe(self._mark, followed)

        return self._cloud.store.bell.overhear(hear)

    async def _run(self) -> None:
        """Watch until nobody follows anything."""
        stop = self._listen()
        try:
            await self._keep_watch()
        except Exception:  # noqa: BLE001  # the last resort: thousands would wait for ever
            _log.exception("The watch over followed jobs failed")
            for followed in list(self._jobs.values()):
                self._end(followed, glance.FAILED)
        finally:
            stop()
            self._running = self._moves = self._departures = None
            self._changed.clear()

    async def _keep_watch(self) -> None:
        loop = asyncio.get_running_loop()
        await self._survey(Part())
        step_at = loop.time() + _ROUND_SECONDS
        while self._jobs:
            now = loop.time()
            if self._rung or self._roles_rung:
                await self._catch_up()
            if now >= step_at:
                await self._survey(self._part())
                step_at = now + _ROUND_SECONDS / math.ceil(len(self._jobs) / _PART or 1)
            if self._changed:
                await self._look(list(itertools.islice(self._changed, _TOGETHER)))
            elif not (self._rung or self._roles_rung):
                await self._wait(step_at - now)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def _catch_up(self) -> None:
        """Find what another process changed, and whether somebody lost a role."""
        rung, self._rung, self._roles_rung = self._rung, False, False
        if self._cloud.store.database.embedded or not rung:
            await self._survey(Part())
        else:
            self._mark(list(self._jobs))

    def _part(self) -> Part:
        """Return what comes next on the round."""
        if not self._round:
            self._round = list(self._jobs)
        ids = [job_id for job_id in self._round[-_PART:] if job_id in self._jobs]
        del self._round[-_PART:]
        lines: dict[Line, datetime] = {}
        tokens: set[str] = set()
        for followed in map(self._jobs.__getitem__, ids):
            tokens.update(follower.token for follower in followed.followers)
            if followed.line is not None and followed.created is not None:
                lines[followed.line] = max(followed.created, lines.get(followed.line, followed.created))
        return Part(ids, tokens, lines)

    async def _survey(self, part: Part) -> None:
        loop = asyncio.get_running_loop()
        now = datetime.now(UTC)
        try:
            seen = await loop.run_in_executor(self._thread, glance.survey, self._cloud, part, self._moves, now)
        except errors.Unavailable as failure:
            await self._put_off(failure)
            self._rung = True
            return
        self._moves = seen.moves
        if seen.departures != self._departures and self._departures is not None:
            self._mark(list(self._jobs))
        self._departures = seen.departures
        self._changed.update((job_id, None) for job_id in seen.moved if job_id in self._jobs)
        ended = part.tokens - set(seen.tokens)
        for job_id in part.ids:
            if (followed := self._jobs.get(job_id)) is not None:
                self._compare(job_id, followed, seen, ended)

    def _compare(self, job_id: str, followed: _Followed, seen: Survey, ended: Set[str]) -> None:
        places = (seen.places.get(job_id), seen.overall.get(job_id))
        moved = followed.line is not None and places != (followed.position, followed.overall)
        if moved or seen.states.get(job_id) is not followed.state:
            self._changed[job_id] = None
        for follower in [one for one in followed.followers if one.token in ended] if ended else ():
            self._tell(follower, None, glance.POLICY)

    async def _look(self, ids: list[str]) -> None:
        wanted = {job_id: self._jobs[job_id].interest() for job_id in ids if job_id in self._jobs}
        for job_id in ids:
            del self._changed[job_id]
        if not wanted:
            return
        loop = asyncio.get_running_loop()
        try:
            seen = await loop.run_in_executor(self._thread, glance.look, self._cloud, wanted, datetime.now(UTC))
        except errors.Unavailable as failure:
            await self._put_off(failure)
            self._mark(ids)
            return
        for job_id, sight in seen.items():
            # Whoever came meanwhile is looked at next.
            if job_id in self._jobs:
                self._apply(self._jobs[job_id], sight)

    def _apply(self, followed: _Followed, sight: Sight) -> None:
        ended = sight.job is not None and sight.job.state in lifecycle.FINAL
        if sight.job is not None:
            followed.note(sight)
        for follower in list(followed.followers):
            message = sight.messages.get(follower.versioned)
            refusal = sight.refused.get(follower.token)
            if refusal is not None:
                self._tell(follower, None, refusal)
            elif follower.token in sight.refused and message is not None:
                self._tell(follower, message, glance.JOB_ENDED if ended else None)

    def _tell(self, follower: Follower, message: bytes | None, code: int | None) -> None:
        if code is not None:
            self.leave(follower)
        if message is None:
            follower.tell(None, code)
        elif code is not None or hash(message) != follower.heard:
            follower.heard = hash(message)
            follower.tell(message, code)

    def _end(self, followed: _Followed, code: int) -> None:
        for follower in list(followed.followers):
            self._tell(follower, None, code)

    async def _put_off(self, failure: errors.Unavailable) -> None:
        _log.warning("Followers of jobs must wait: %s", failure.message)
        await asyncio.sleep(_RETRY_SECONDS)
