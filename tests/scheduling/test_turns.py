# SPDX-License-Identifier: Apache-2.0
"""Whose program is checked next: no crowd of one user keeps the others waiting."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chandelier.formats import tasks
from chandelier.jobs import outcomes
from chandelier.scheduling import claims
from chandelier.scheduling.claims import Claim
from chandelier.store import Transaction
from chandelier.tenancy import members
from chandelier.tenancy.access import Principal
from factories import ACCEPTED, NOW, Town, a_user, after, submitted

PATIENCE = 30.0


def check(town: Town, seconds: float) -> Claim:
    """Claim a job to validate, some time after the beginning."""
    claim = town.store.write(lambda tx: claims.claim_validation(tx, "worker", after(seconds)))
    assert claim is not None
    return claim


def end(town: Town, claim: Claim) -> None:
    """Write that a program is right."""

    def work(tx: Transaction) -> None:
        outcomes.validated(tx, claim.job, ACCEPTED, after(100))
        claims.release(tx, claim)

    town.store.write(work)


def test_a_newcomer_is_next(town: Town) -> None:
    """However many jobs another has waiting, and also where none of them is in hand."""
    crowd = [submitted(town) for _ in range(20)]
    first = check(town, 1)
    end(town, first)
    new = submitted(town, after(2), town.bob)

    assert first.job.id == crowd[0].id
    assert check(town, 3).job.id == new.id
    assert check(town, 4).job.id == crowd[1].id


def test_whoever_has_the_fewest_in_hand_goes_first(town: Town) -> None:
    """So a user whose programs are slow to check does not gather all the slots."""
    slow = [submitted(town) for _ in range(4)]
    quick = [submitted(town, after(1), town.bob) for _ in range(3)]
    got = [check(town, 2)]
    for moment in (3, 4, 5):
        claim = check(town, moment)
        got.append(claim)
        end(town, claim)
    got += [check(town, 6), check(town, 7)]

    assert [claim.job.id for claim in got] == [job.id for job in (slow[0], *quick, slow[1], slow[2])]


def test_users_take_turns(town: Town) -> None:
    """One job each, each user's own in the order of their creation."""
    jobs = {who: [submitted(town, who=who) for _ in range(3)] for who in (town.ann, town.bob, town.operator)}
    got = []
    for moment in range(9):
        claim = check(town, moment)
        got.append(claim.job.id)
        end(town, claim)

    assert [set(got[turn : turn + 3]) for turn in (0, 3, 6)] == [
        {own[turn].id for own in jobs.values()} for turn in range(3)
    ]


def test_a_refused_program_was_a_turn_too(town: Town) -> None:
    """Bad programs get nobody ahead."""
    bad = [submitted(town) for _ in range(2)]
    other = submitted(town, after(1), town.bob)
    claim = check(town, 2)

    def work(tx: Transaction) -> None:
        outcomes.refused(tx, claim.job, tasks.Refused(8000, "No."), after(3))
        claims.release(tx, claim)

    town.store.write(work)

    assert claim.job.id == bad[0].id
    assert check(town, 4).job.id == other.id


def test_young_jobs_of_some_do_not_hide_old_ones_of_others(town: Town) -> None:
    """A slot that leaves new jobs to the others takes an old one, whoever is first in turn."""
    old = submitted(town)
    end(town, check(town, 0))
    older = submitted(town, after(1))
    submitted(town, after(9), town.bob)
    claim = town.store.write(lambda tx: claims.claim_validation(tx, "worker", after(9), waiting_since=after(5)))

    assert claim is not None
    assert claim.job.id == older.id != old.id


def test_several_workers_overlook_nobody(town: Town) -> None:
    """Each job is taken once, by one of those who ask at the same time."""
    people = [town.store.write(partial(_member, town=town, name=name)) for name in ("eve", "fay", "gus")]
    jobs = [submitted(town, who=who) for who in (town.ann, town.bob, *people) for _ in range(4)]
    start = threading.Barrier(5)

    def work(number: int) -> list[str]:
        got = []
        start.wait(PATIENCE)
        for turn in range(200):
            claim = town.store.write(partial(claims.claim_validation, holder=f"worker {number}", now=after(turn)))
            if claim is not None:
                got.append(str(claim.job.id))
            elif len(got) * 5 >= len(jobs):
                break
        return got

    with ThreadPoolExecutor(5) as threads:
        got = [job_id for one in threads.map(work, range(5)) for job_id in one]

    assert sorted(got) == sorted(job.id for job in jobs)


def _member(tx: Transaction, town: Town, name: str) -> Principal:
    who = a_user(tx, f"{name}@example.org")
    members.join(tx, town.home.project_id, who.user_id, NOW)
    return who
