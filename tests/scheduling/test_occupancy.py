# SPDX-License-Identifier: Apache-2.0
"""One job at a time on a device that keeps the pace of a real machine, whoever asks for the next."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chandelier import devices
from chandelier.devices import Device, Pace
from chandelier.formats import tasks
from chandelier.jobs import counts, outcomes, records
from chandelier.scheduling import claims, limits, occupancy, ranking
from chandelier.scheduling.claims import Claim
from chandelier.store import Store, Transaction, open_store
from chandelier.tenancy import grants
from factories import ACCEPTED, NOW, SUMMARY, Town, a_device_document, a_town, queued, reload

PATIENCE: Final = 30.0
GOOD: Final = tasks.Finished(success=True, code=0, message="", seconds=1.5, bytes=10, experiments=1)
NAMES: Final = ("one", "two")


def a_machine(store: Store, town: Town, name: str, pace: Pace = "real") -> Town:
    """Return the town with a device that is no simulator in the place of its own."""
    device = devices.install(store, a_device_document(name, simulator=False), NOW, NOW)
    store.write(lambda tx: grants.allow(tx, town.home, [device.id], NOW))
    paced = store.write(lambda tx: devices.set_pace(tx, name, pace))
    return msgspec.structs.replace(town, device=paced)


def take(store: Store) -> Claim | None:
    """Take the next job."""
    return store.write(lambda tx: claims.claim_run(tx, ranking.fair, "somebody", NOW))


def end(store: Store, claim: Claim) -> None:
    """Settle a job and let it go."""
    store.write(lambda tx: outcomes.settle(tx, claim.job, GOOD, claim.token, NOW))
    store.write(lambda tx: claims.release(tx, claim))


def test_a_device_that_is_occupied_starts_nothing(town: Town) -> None:
    """Others do, and it does again when its job has ended."""
    there = a_machine(town.store, town, "machine")
    first, second = queued(there), queued(there)
    claim = take(town.store)
    assert claim is not None
    assert claim.job.id == first.id
    assert take(town.store) is None
    elsewhere = queued(town)
    other = take(town.store)
    assert other is not None
    assert other.job.id == elsewhere.id
    end(town.store, claim)
    again = take(town.store)

    assert again is not None
    assert again.job.id == second.id


def test_what_a_job_occupies_is_known_when_it_begins(town: Town) -> None:
    """Also if it was checked while the device was fast; never for longer than a job may."""
    there = a_machine(town.store, town, "machine", "fast")
    accepted = msgspec.structs.replace(ACCEPTED, summary=msgspec.structs.replace(SUMMARY, device_seconds=7.0))
    waiting = queued(there)
    assert waiting.estimate == ACCEPTED.seconds
    town.store.write(lambda tx: records.note(tx, waiting.id, summary=msgspec.to_builtins(accepted.summary)))
    town.store.write(lambda tx: devices.set_pace(tx, "machine", "real", 3.0))
    claim = take(town.store)
    assert claim is not None
    assert claim.job.occupies == reload(town.store, claim.job).occupies == 10.0
    end(town.store, claim)
    endless = queued(there)
    town.store.write(lambda tx: records.note(tx, endless.id, summary={"device_seconds": 1e9}))
    claim = take(town.store)
    assert claim is not None
    assert claim.job.occupies == devices.LONGEST


def test_a_job_that_would_keep_everybody_waiting_is_refused(town: Town) -> None:
    """At the pace of the machine only."""
    there = a_machine(town.store, town, "machine")
    job = queued(there)
    hours = msgspec.structs.replace(SUMMARY, device_seconds=devices.LONGEST)
    refusal = town.store.read(lambda tx: limits.beyond(tx, job, hours))
    assert refusal is not None
    assert refusal.code == 8014
    assert "machine would be occupied for 8 hours" in refusal.message
    assert town.store.read(lambda tx: limits.beyond(tx, job, SUMMARY)) is None
    town.store.write(lambda tx: devices.set_pace(tx, "machine", "fast"))

    assert town.store.read(lambda tx: limits.beyond(tx, job, hours)) is None


@pytest.fixture(name="crowded")
def _crowded(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store that several workers may write to at once."""
    opened = open_store(postgres_url, tmp_path / "objects", b"a secret")
    yield opened
    opened.close()


def test_two_workers_that_ask_at_once_do_not_start_two(crowded: Store) -> None:
    """The second waits until the first has committed, and starts nothing."""
    town = a_town(crowded)
    there = a_machine(crowded, town, "machine")
    queued(there)
    queued(there)
    taken, go = threading.Event(), threading.Event()

    def slowly(tx: Transaction) -> Claim | None:
        claim = claims.claim_run(tx, ranking.fair, "first", NOW)
        taken.set()
        assert go.wait(PATIENCE)
        return claim

    first = crowded.database.submit(slowly)
    assert taken.wait(PATIENCE)
    second = crowded.database.submit(lambda tx: claims.claim_run(tx, ranking.fair, "second", NOW))
    go.set()
    began = first.result(PATIENCE)

    assert began is not None
    assert began.job.device_id == there.device.id
    assert second.result(PATIENCE) is None
    assert take(crowded) is None


class Machines(msgspec.Struct):
    """Two devices and what runs on them."""

    towns: dict[str, Town]
    running: dict[str, list[Claim]]


def step(store: Store, machines: Machines, act: str, name: str) -> None:
    """Do one thing to a device, or to the job that began on it first."""
    town = machines.towns[name]
    running = machines.running[town.device.id]
    if act == "submit":
        queued(town)
    elif act in {"fast", "real"}:
        pace: Pace = "fast" if act == "fast" else "real"
        store.write(lambda tx: devices.set_pace(tx, name, pace))
    elif act in {"active", "paused"}:
        state: devices.DeviceState = "active" if act == "active" else "paused"
        store.write(lambda tx: devices.set_state(tx, name, state, ""))
    elif running:
        claim = running.pop(0)
        if act == "end":
            end(store, claim)
        elif act == "cancel":
            store.write(lambda tx: outcomes.cancel(tx, records.get(tx, claim.job.id), NOW))
            store.write(lambda tx: claims.let_go(tx, claim))
        else:
            store.write(lambda tx: claims.give_back(tx, claim, NOW, died=False))


def wake(store: Store, name: str, pace: Pace) -> None:
    """Let a device start jobs, at a pace."""
    store.write(lambda tx: devices.set_state(tx, name, "active", ""))
    store.write(lambda tx: devices.set_pace(tx, name, pace))


def look(store: Store, name: str) -> tuple[Device, bool]:
    """Return a device as it is now, and whether jobs wait for it."""

    def work(tx: Transaction) -> tuple[Device, bool]:
        device = devices.get(tx, name)
        waiting = counts.queued(tx)
        return device, any(waits.jobs for (device_id, _), waits in waiting.items() if device_id == device.id)

    return store.read(work)


@settings(max_examples=20)
@given(
    plan=st.lists(
        st.tuples(
            st.sampled_from(("submit", "submit", "end", "cancel", "lose", "fast", "real", "active", "paused")),
            st.sampled_from(NAMES),
        ),
        max_size=12,
    )
)
def test_whatever_happens_one_job_runs_and_none_waits_in_vain(sqlite_town: Town, plan: list[tuple[str, str]]) -> None:
    """A free device that starts jobs and has some starts one; one that is occupied starts none."""
    store = sqlite_town.store
    towns = {name: a_machine(store, sqlite_town, name) for name in NAMES}
    names = {town.device.id: name for name, town in towns.items()}
    for name in NAMES:
        wake(store, name, "real")
    machines = Machines(towns, {device_id: [] for device_id in names})
    for act, name in plan:
        step(store, machines, act, name)
        while (claim := take(store)) is not None:
            running = machines.running[claim.job.device_id]
            there, _ = look(store, names[claim.job.device_id])
            assert there.state == "active"
            assert there.pace == "fast" or not running
            running.append(claim)
        for each in NAMES:
            device, waits = look(store, each)
            free = device.state == "active" and (device.pace == "fast" or not machines.running[device.id])
            assert not (waits and free)
    # The next example begins with nothing that runs or waits.
    for name in NAMES:
        wake(store, name, "fast")
    while (claim := take(store)) is not None or any(machines.running.values()):
        end(store, claim or next(running.pop() for running in machines.running.values() if running))


def test_free_devices_are_those_that_start_jobs_and_are_not_occupied(town: Town) -> None:
    """A fast one may have any number of jobs."""
    there = a_machine(town.store, town, "machine")
    queued(there)
    queued(town)
    assert town.store.read(occupancy.free) == {there.device.id, town.device.id, town.hidden.id}
    while take(town.store) is not None:
        pass
    assert town.store.read(occupancy.free) == {town.device.id, town.hidden.id}
    town.store.write(lambda tx: devices.set_pace(tx, "machine", "fast"))
    assert town.store.read(occupancy.free) == {there.device.id, town.device.id, town.hidden.id}
