# SPDX-License-Identifier: Apache-2.0
"""Whether a job that ran as soon as it was checked may be kept: only where it would have been the next anyhow."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from chandelier import devices
from chandelier.jobs.lifecycle import State
from chandelier.scheduling import claims, ranking, reservations
from chandelier.scheduling.reservations import Terms, Wanted
from chandelier.store import Transaction
from chandelier.tenancy import allowances, grants
from chandelier.tenancy.audit import By
from chandelier.tenancy.grants import Limits
from factories import NOW, Town, a_device_document, a_job, after, queued, submitted

BY = By("operator", NOW)


def nothing(_town: Town, _tx: Transaction) -> None:
    """Leave everything as it is."""


def another_waits(town: Town, tx: Transaction) -> None:
    """Let a job of another project wait for another device."""
    a_job(tx, town, State.QUEUED, place=town.annex, who=town.bob, device=town.hidden)


def pause(town: Town, tx: Transaction) -> None:
    """Let the device start no jobs."""
    devices.set_state(tx, town.device.name, "paused", "")


def reserve(town: Town, tx: Transaction) -> None:
    """Reserve the device for others."""
    wanted = Wanted("dedicated", after(0), after(3600))
    reservations.add(tx, BY, town.annex.spot, town.device, wanted, Terms(longest=86400.0), reservations.nobodys)


def use_up(town: Town, tx: Transaction) -> None:
    """Let the project have no device time left."""
    allowances.set_(tx, BY, town.home.spot, None, 0.0)


def use_up_elsewhere(town: Town, tx: Transaction) -> None:
    """Let another project have no device time left."""
    allowances.set_(tx, BY, town.annex.spot, None, 0.0)


@pytest.mark.parametrize(
    ("happen", "expected"),
    [
        (nothing, True),
        (another_waits, False),
        (pause, False),
        (reserve, False),
        (use_up, False),
        (use_up_elsewhere, True),
    ],
)
def test_a_job_is_unrivalled_where_nothing_is_in_its_way(
    town: Town, happen: Callable[[Town, Transaction], None], expected: bool
) -> None:
    """Neither another job nor anything that would hold it back."""
    job = submitted(town)
    town.store.write(lambda tx: happen(town, tx))

    assert town.store.read(lambda tx: ranking.is_unrivalled(tx, job, NOW + timedelta(seconds=1))) is expected


def test_as_many_as_may_run_are_in_its_way(town: Town) -> None:
    """Where it is limited how many run at once, those that run count."""
    most = Limits(max_running=1)
    town.store.write(lambda tx: grants.grant(tx, town.home.spot, town.device, 1, most, NOW))
    job = submitted(town)
    assert town.store.read(lambda tx: ranking.is_unrivalled(tx, job, after(1)))
    queued(town, after(1))
    assert town.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", after(2))) is not None

    assert not town.store.read(lambda tx: ranking.is_unrivalled(tx, job, after(3)))


def test_a_device_at_the_pace_of_a_machine_is_not_passed_through(town: Town) -> None:
    """A job occupies it for longer than it took."""
    qpu = devices.install(town.store, a_device_document("qpu", dated="2020-01-01", simulator=False), NOW, NOW)
    job = town.store.write(lambda tx: a_job(tx, town, State.VALIDATING, device=qpu))
    assert town.store.read(lambda tx: ranking.is_unrivalled(tx, job, after(1)))
    town.store.write(lambda tx: devices.set_pace(tx, "qpu", "real"))

    assert not town.store.read(lambda tx: ranking.is_unrivalled(tx, job, after(1)))
