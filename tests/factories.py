# SPDX-License-Identifier: Apache-2.0
"""People, places, devices and jobs for tests, made through the functions that the house itself uses."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from chandelier import devices
from chandelier.devices import Device
from chandelier.formats import simulators, tasks
from chandelier.formats.device import DeviceDocument
from chandelier.jobs import intake, outcomes, records
from chandelier.jobs.intake import Limits
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft, Job
from chandelier.store import Store, Transaction, database, parcels
from chandelier.store.objects import Kind
from chandelier.tenancy import grants, members, network, users
from chandelier.tenancy.access import Principal
from chandelier.tenancy.network import Place

#: When every test begins, unless it says otherwise.
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
LIMITS = Limits(program_bytes=1_000_000, pending_jobs=-1)
SUMMARY = tasks.Summary(
    kind="QASM", experiments=1, shots=100, qubits=2, gates=3, memory_slots=2, memory=False, n_qubits=2
)
ACCEPTED = tasks.Accepted(SUMMARY, seconds=0.5, memory_bytes=1000)

#: The moves that take a fresh job to each state.
PATHS: dict[State, tuple[State, ...]] = {
    State.CREATING: (),
    State.CREATED: (State.CREATED,),
    State.VALIDATING: (State.CREATED, State.VALIDATING),
    State.VALIDATED: (State.CREATED, State.VALIDATING, State.VALIDATED),
    State.QUEUED: (State.CREATED, State.VALIDATING, State.VALIDATED, State.QUEUED),
    State.RUNNING: (State.CREATED, State.VALIDATING, State.VALIDATED, State.QUEUED, State.RUNNING),
    State.COMPLETED: (
        State.CREATED,
        State.VALIDATING,
        State.VALIDATED,
        State.QUEUED,
        State.RUNNING,
        State.COMPLETED,
    ),
    State.CANCELLED: (State.CANCELLED,),
    State.ERROR_CREATING_JOB: (State.ERROR_CREATING_JOB,),
    State.ERROR_VALIDATING_JOB: (State.CREATED, State.VALIDATING, State.ERROR_VALIDATING_JOB),
    State.ERROR_RUNNING_JOB: (
        State.CREATED,
        State.VALIDATING,
        State.VALIDATED,
        State.QUEUED,
        State.RUNNING,
        State.ERROR_RUNNING_JOB,
    ),
}


class Town(msgspec.Struct, frozen=True):
    """Who and what there is in most tests.

    Attributes:
        home: The default project; Ann and Bob are its members.
        annex: Another project; Bob alone is its member.
        device: Granted to both projects.
        hidden: Granted to the annex alone.
    """

    store: Store
    operator: Principal
    ann: Principal
    bob: Principal
    home: Place
    annex: Place
    device: Device
    hidden: Device


def after(seconds: float) -> datetime:
    """Return a moment some time after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def a_program(shots: int | None = 100, name: str = "bell", experiments: int = 1) -> bytes:
    """Return a Qobj with an envelope that is right; what it would compute plays no part."""
    config = {} if shots is None else {"shots": shots}
    experiment: dict[str, Any] = {"header": {"name": name}, "config": {}, "instructions": []}
    document = {
        "qobj_id": name,
        "type": "QASM",
        "schema_version": "1.3.0",
        "header": {},
        "config": config,
        "experiments": [experiment] * experiments,
    }
    return json.dumps(document).encode()


def a_device_document(name: str, *, dated: str = "", **facts: Any) -> DeviceDocument:
    """Return the document of a small simulator under another name."""
    simulator = simulators.document("ibmq_qasm_simulator")
    properties = {"last_update_date": dated, "qubits": [], "gates": [], "general": []} if dated else None
    return DeviceDocument(simulator.configuration | {"backend_name": name} | facts, properties)


def a_device(store: Store, name: str) -> Device:
    """Install a device and return it."""
    return devices.install(store, a_device_document(name), NOW, NOW)


def a_machine(store: Store, name: str) -> Device:
    """Install a device that is no simulator and return it; its calibration is of `NOW`."""
    document = a_device_document(name, dated="2026-03-14T15:09:26Z", simulator=False)
    return devices.install(store, document, NOW, NOW)


def a_user(tx: Transaction, email: str, *, operator: bool = False) -> Principal:
    """Add an account and return who it is."""
    user = users.create(tx, email, NOW, name=email.partition("@")[0].title(), operator=operator)
    return Principal(user.id, user.email, user.name, user.operator)


def a_place(tx: Transaction, hub: str, group: str, project: str, now: datetime = NOW) -> Place:
    """Add a hub with one group and one project."""
    made = network.add_hub(tx, hub, now)
    under = network.add_group(tx, made, group, now)
    return Place(made, under, network.add_project(tx, under, project, now))


def a_town(store: Store) -> Town:
    """Fill a store with the usual people, places and devices."""
    device, hidden = a_device(store, "device"), a_device(store, "hidden")

    def work(tx: Transaction) -> Town:
        home = network.ensure_default(tx, NOW)
        annex = a_place(tx, "annex", "main", "main", after(1))
        people = {name: a_user(tx, f"{name}@example.org", operator=name == "root") for name in ("root", "ann", "bob")}
        for principal in people.values():
            members.join(tx, home.project_id, principal.user_id, NOW)
        members.join(tx, annex.project_id, people["bob"].user_id, NOW)
        grants.allow(tx, home, [device.id], NOW)
        grants.allow(tx, annex, [device.id, hidden.id], NOW)
        return Town(store, people["root"], people["ann"], people["bob"], home, annex, device, hidden)

    return store.write(work)


def submitted(town: Town, now: datetime = NOW, who: Principal | None = None, **draft: Any) -> Job:
    """Submit a program of Ann's, or of somebody else, to the device, and return the job."""
    return intake.submit(
        town.store,
        who or town.ann,
        town.home,
        town.device,
        a_program(),
        draft=Draft(**draft),
        limits=LIMITS,
        now=now,
    )


def a_job(tx: Transaction, town: Town, state: State = State.CREATING, **details: Any) -> Job:
    """Add a job in any state; `details` may have `who`, `place`, `device`, `now` and a draft's fields."""
    who, place, device, now = (
        details.pop(name, usual)
        for name, usual in (("who", town.ann), ("place", town.home), ("device", town.device), ("now", NOW))
    )
    job = records.create(
        tx,
        who.user_id,
        place.project_id,
        device.id,
        now,
        kind="q-object",
        calibration=device.calibration,
        draft=Draft(**details),
    )
    for step in PATHS[state]:
        records.advance(tx, job.id, (step,), job.created)
    return records.get(tx, job.id)


def queued(town: Town, now: datetime = NOW, **details: Any) -> Job:
    """Submit a program and write that it can run."""
    job = submitted(town, now, **details)
    town.store.write(lambda tx: outcomes.validated(tx, job, ACCEPTED, now))
    return reload(town.store, job)


def reload(store: Store, job: Job) -> Job:
    """Return the job as it is now."""
    return store.read(lambda tx: records.get(tx, job.id))


def states(store: Store, job: Job) -> list[State]:
    """Return the states that the job has entered, in order."""
    return [state for state, _ in store.read(lambda tx: records.events(tx, job.id))]


def kept(store: Store, kind: Kind, name: str) -> bytes:
    """Return an object, wherever it is kept."""
    return store.read(lambda tx: store.read_object(tx, kind, name))


def programs(store: Store) -> list[str]:
    """Return the names of the stored programs, wherever they are kept."""
    table = database.metadata.tables["parcels"]
    query = sa.select(table.c.name).where(table.c.kind == "programs")
    small = store.read(lambda tx: tx.execute(query).scalars().all())
    return sorted([*small, *(path.stem for path in (store.objects.root / "programs").rglob("*.json"))])


def lose_program(store: Store, job_id: str) -> None:
    """Remove a program."""
    store.write(lambda tx: parcels.remove(tx, ("programs",), [job_id]))
