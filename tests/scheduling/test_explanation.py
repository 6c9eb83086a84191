# SPDX-License-Identifier: Apache-2.0
"""Why somebody else goes first, where what is held back is due."""

from typing import Any

import pytest

from chandelier.jobs import records
from chandelier.jobs.lifecycle import State
from chandelier.scheduling import explanation, forecast
from chandelier.store import Transaction
from chandelier.tenancy import allowances
from chandelier.tenancy.audit import By
from factories import NOW, Town, a_job, after


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        (True, "is the next that may start, because what waits here is held by a limit of device time"),
        (False, None),
    ],
)
def test_who_has_used_more_goes_first_because_the_other_is_held(town: Town, held: bool, reason: str | None) -> None:
    """And it is not said to have used as little."""

    def work(tx: Transaction) -> Any:
        used = a_job(tx, town, State.QUEUED, place=town.annex, who=town.bob)
        records.advance(tx, used.id, (State.RUNNING,), after(1), started=after(1))
        records.advance(tx, used.id, (State.COMPLETED,), after(101), seconds=100.0, cost=100.0)
        job = a_job(tx, town, State.QUEUED, now=after(102))
        a_job(tx, town, State.QUEUED, place=town.annex, who=town.bob, now=after(103))
        if held:
            allowances.set_(tx, By("root", NOW), town.home.spot, None, 0)
        seen = forecast.make(tx, after(104), slots=1)
        return explanation.explain(tx, seen, job, lambda _: True)

    told = town.store.write(work)

    top = told.steps[0]
    assert (top.first, None if top.rival is None else (top.rival.name, top.rival.reason)) == (
        not held,
        None if reason is None else ("annex", reason),
    )
    assert any(f"The hub annex goes before it: it {reason}." in line for line in told.lines) == held
