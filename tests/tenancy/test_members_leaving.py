# SPDX-License-Identifier: Apache-2.0
"""A project is lost at once: no job is taken any more for who was removed, or in what was deleted."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chandelier import errors
from chandelier.jobs import codes, finding, intake, outcomes, records
from chandelier.jobs.finding import Query
from chandelier.jobs.intake import Asked
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.scheduling import claims, ranking
from chandelier.store import Transaction
from chandelier.tenancy import access, members, network
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import Spot
from factories import ACCEPTED, LIMITS, NOW, Town, a_program, after, queued, reload, states

QASMS = b'[{"qasm": "OPENQASM 2.0;\\ninclude \\"qelib1.inc\\";\\nqreg q[1];\\ncreg c[1];\\nmeasure q -> c;\\n"}]'
CODE = codes.Draft("bell", "QASM2", "OPENQASM 2.0;")


def submit(town: Town, who: Principal) -> Job:
    """Submit a program."""
    return intake.submit(
        town.store, who, town.annex, town.device, a_program(), draft=Draft(), limits=LIMITS, now=after(9)
    )


def submit_texts(town: Town, who: Principal) -> Job:
    """Submit a text that is kept as a code."""
    return intake.submit_texts(
        town.store,
        who,
        town.annex,
        town.device,
        Asked(QASMS, shots=1),
        draft=Draft(),
        limits=LIMITS,
        now=after(9),
        code=CODE,
    )


def open_(town: Town, who: Principal) -> Job:
    """Begin an upload."""
    return town.store.write(
        lambda tx: intake.open_(tx, who, town.annex, town.device, draft=Draft(), limits=LIMITS, now=after(9))
    )


WAYS_IN: tuple[Callable[[Town, Principal], Job], ...] = (submit, submit_texts, open_)


def spots(town: Town) -> dict[str, Spot]:
    """Return the annex's hub, group and project."""
    annex = town.annex
    return {"hub": Spot(annex.hub), "group": Spot(annex.hub, annex.group), "project": annex.spot}


def take_away(town: Town, what: str) -> None:
    """Remove Bob from the annex, or delete some of the way to it."""

    def work(tx: Transaction) -> None:
        if what == "member":
            members.remove(tx, town.annex.spot, town.bob.email, after(5))
        else:
            network.remove(tx, spots(town)[what], after(5))

    town.store.write(work)


def kept(town: Town) -> tuple[int, int, int]:
    """Return how many jobs, codes and programs there are."""
    jobs = town.store.read(lambda tx: finding.find(tx, Query()).jobs)
    texts = town.store.read(lambda tx: codes.list_latest(tx, town.bob.user_id, 10))
    return len(jobs), len(texts), len([*(town.store.objects.root / "programs").rglob("*.json")])


@pytest.mark.parametrize("way", WAYS_IN, ids=lambda way: way.__name__)
@pytest.mark.parametrize("what", ["member", "project", "group", "hub"])
def test_no_job_is_taken_after_the_project_is_lost(town: Town, what: str, way: Callable[..., Job]) -> None:
    """Although whoever asks has found the place while it was theirs; nothing of the job is kept."""
    way(town, town.bob)
    before = kept(town)
    take_away(town, what)

    with pytest.raises(errors.NotFound) as caught:
        way(town, town.bob)
    assert caught.value.code == 3001
    assert "annex/main/main" in caught.value.message
    assert kept(town) == before


@pytest.mark.parametrize("way", WAYS_IN, ids=lambda way: way.__name__)
def test_operators_may_submit_anywhere_that_exists(town: Town, way: Callable[..., Job]) -> None:
    """They are members nowhere of necessity."""
    take_away(town, "member")
    assert way(town, town.operator).project_id == town.annex.project_id

    take_away(town, "project")
    with pytest.raises(errors.NotFound):
        way(town, town.operator)


@pytest.mark.parametrize("what", ["member", "project", "group", "hub"])
def test_an_upload_is_not_handed_over_after_the_project_is_lost(town: Town, what: str) -> None:
    """The job stays as it is, until it is given up with all whose program never came."""
    job = open_(town, town.bob)
    town.store.objects.put("programs", job.id, a_program())
    take_away(town, what)

    with pytest.raises(errors.NotFound) as caught:
        intake.accept(town.store, job, after(10))
    assert caught.value.code == 3001
    assert reload(town.store, job) == job

    assert town.store.write(lambda tx: intake.abandon(tx, after(20), after(30))) == 1
    assert states(town.store, job) == [State.CREATING, State.ERROR_CREATING_JOB]


def test_a_member_who_is_back_goes_on(town: Town) -> None:
    """With the upload that was begun before."""
    job = open_(town, town.bob)
    town.store.objects.put("programs", job.id, a_program())
    take_away(town, "member")
    town.store.write(lambda tx: members.add(tx, town.annex.spot, town.bob.email, after(6)))

    assert intake.accept(town.store, job, after(10)).state is State.VALIDATING


@pytest.mark.parametrize("what", ["member", "project", "group", "hub"])
def test_what_was_accepted_is_run(town: Town, what: str) -> None:
    """A job that waits when its project is lost waits on, is run, and is counted: an answer is a promise."""
    job = submit(town, town.bob)
    take_away(town, what)
    town.store.write(lambda tx: outcomes.validated(tx, job, ACCEPTED, after(6)))

    claim = town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", after(7)))
    assert claim is not None
    assert (claim.job.id, reload(town.store, job).state) == (job.id, State.RUNNING)


@pytest.mark.parametrize("what", ["member", "project"])
def test_administrators_keep_the_jobs_of_who_was_removed(town: Town, what: str) -> None:
    """They read and cancel them; who was removed does neither."""
    job = submit(town, town.bob)
    town.store.write(lambda tx: members.add(tx, Spot(town.annex.hub), town.ann.email, NOW))
    rights = (access.may_act_on_job, access.may_cancel_job)

    def may(who: Principal) -> list[bool]:
        known: Any = {"principal": who, "owner": job.user_id, "project_id": job.project_id}
        read = town.store.read(partial(access.may_read_job, **known, share=None))
        return [*(town.store.read(partial(right, **known)) for right in rights), read]

    assert (may(town.bob), may(town.ann)) == ([True] * 3, [False, True, True])
    take_away(town, what)
    # Of a project that is deleted nobody was removed.
    assert (may(town.bob), may(town.ann)) == ([what == "project"] * 3, [False, True, True])


def test_the_roles_of_a_hub_end_with_it(town: Town) -> None:
    """Its jobs are then those of their submitters and of operators alone, whoever administered it."""
    job = submit(town, town.bob)
    hub, group = spots(town)["hub"], spots(town)["group"]
    town.store.write(lambda tx: [members.add(tx, spot, town.ann.email, NOW) for spot in (hub, group)])
    known: Any = {"owner": job.user_id, "project_id": job.project_id}

    def may() -> list[bool]:
        people = (town.ann, town.bob, town.operator)
        cancel = [town.store.read(partial(access.may_cancel_job, principal=who, **known)) for who in people]
        read = [town.store.read(partial(access.may_read_job, principal=who, share="hub", **known)) for who in people]
        assert cancel == read
        return read

    assert may() == [True, True, True]
    take_away(town, "hub")
    assert may() == [False, True, True]


@pytest.mark.parametrize("what", ["member", "project", "group", "hub"])
def test_who_takes_away_waits_for_who_submits(crowded: Town, impatient: Town, what: str) -> None:
    """Between the look at the membership and the commit of the job nobody removes the member, where several write."""

    def work(tx: Transaction) -> None:
        place = crowded.annex
        intake.open_(tx, crowded.bob, place, crowded.device, draft=Draft(), limits=LIMITS, now=after(9))
        with pytest.raises(errors.Unavailable, match="lock timeout"):
            take_away(impatient, what)

    crowded.store.write(work)
    take_away(impatient, what)
    with pytest.raises(errors.NotFound):
        open_(crowded, crowded.bob)


def test_other_submissions_do_not_wait(crowded: Town, impatient: Town) -> None:
    """Members look at the same project side by side."""

    def work(tx: Transaction) -> None:
        access.hold(tx, crowded.bob, crowded.annex)
        impatient.store.write(lambda other: access.hold(other, crowded.bob, crowded.annex))

    crowded.store.write(work)


def test_a_queued_job_of_who_was_removed_is_theirs_no_more(town: Town) -> None:
    """Neither in lists: of what they have left the projects are not asked for."""
    mine, lost = queued(town, who=town.bob), submit(town, town.bob)
    assert town.store.read(lambda tx: access.own_projects(tx, town.bob)) is None
    take_away(town, "member")

    assert town.store.read(lambda tx: access.own_projects(tx, town.bob)) == frozenset({mine.project_id})
    assert town.store.read(lambda tx: access.own_projects(tx, town.operator)) is None
    assert town.store.read(lambda tx: records.get(tx, lost.id)).state is State.VALIDATING
