# SPDX-License-Identifier: Apache-2.0
"""A cloud that answers the Runtime API in this process and has no worker: tests do what a worker would do."""

import contextlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
from starlette.testclient import TestClient

import factories
from chandelier import app
from chandelier.devices import Device
from chandelier.formats import tasks
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.runtime import instances
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import Claim
from chandelier.settings import Settings
from chandelier.store import Transaction
from chandelier.tenancy import grants, users
from factories import Town

#: What today's client says of itself.
HEADERS = {"IBM-API-Version": "2026-04-15", "X-Qx-Client-Application": "qiskit-version-2/qiskit_ibm_runtime-0.51.0,x/y"}
PARAMS = '{"pubs": [[{"__type__": "QuantumCircuit", "__value__": "eJw="}, [], 100]],  "version": 2, "é": 1e-07}'
RESULT = b'{"__type__": "PrimitiveResult", "__value__": {"pub_results": [], "metadata": {"version": 2}}}'
REFUSED = tasks.Refused(8001, "The instruction 'rxx' is not a basis gate of device.")


#: Opens a cloud with other settings than usual.
OpenWindow = Callable[..., "Window"]


class _Slot(msgspec.Struct):
    state: str = "idle"


class _Pool:
    """A pool of one child that is never given anything."""

    def health(self) -> list[_Slot]:
        """Say that the child is there."""
        return [_Slot()]


class _Worker:
    """A worker that does not work."""

    def start(self, *, alone: bool) -> None:
        """Do nothing."""

    def stop(self, seconds: float) -> None:
        """Do nothing."""


class Window:
    """The counter of a cloud, and who asks; Ann and Bob show their API tokens."""

    def __init__(self, town: Town, keys: dict[str, tuple[str, str]], http: TestClient, machine: Device) -> None:
        self.town = town
        self.store = town.store
        self.keys = keys
        self.http = http
        self.machine = machine
        self.crn = instances.crn(town.home)

    def ask(self, method: str, path: str, who: str | None = "ann", **more: Any) -> httpx.Response:
        """Send a request of somebody, or of nobody, about the default instance unless `crn` says otherwise."""
        crn = more.pop("crn", self.crn)
        headers = HEADERS | ({"Service-CRN": crn} if crn else {})
        if who is not None:
            headers["Authorization"] = f"apikey {self.keys[who][0]}"
        headers |= more.pop("headers", {})
        base = more.pop("base", "/api/v1")
        answer: httpx.Response = self.http.request(method, base + path, headers=headers, **more)
        return answer

    def get(self, path: str, who: str | None = "ann", **more: Any) -> Any:
        """Return the document that a GET is answered with."""
        answer = self.ask("GET", path, who, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, who: str | None = "ann", **more: Any) -> Any:
        """Return the document that a POST is answered with."""
        answer = self.ask("POST", path, who, json=body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, params: str = PARAMS, who: str = "ann", **more: Any) -> httpx.Response:
        """Submit a program with its parameters just as they are."""
        head = json.dumps({"program_id": "sampler", "backend": "device", "log_level": "WARNING"} | more)
        return self.ask("POST", "/jobs", who, content=f'{head[:-1]}, "params": {params}}}'.encode())

    def submit(self, who: str = "ann", **more: Any) -> str:
        """Submit a program and return the id of its job."""
        answer = self.send(who=who, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def former(self, path: str, who: str = "ann") -> httpx.Response:
        """Ask the former API."""
        answer: httpx.Response = self.http.get(f"/api{path}", headers={"X-Access-Token": self.keys[who][1]})
        return answer

    def run(self) -> Claim:
        """Check the only job that waits, and begin to run it, as a worker does."""

        def work(tx: Transaction) -> Claim:
            checking = claims.claim_validation(tx, "worker", now())
            assert checking is not None
            claims.hold(tx, checking)
            outcomes.validated(tx, checking.job, factories.ACCEPTED, now())
            claims.release(tx, checking)
            running = claims.claim_run(tx, ranking.fair, "worker", now())
            assert running is not None
            return running

        return self.store.write(work)

    def settle(self, claim: Claim, outcome: tasks.Refused | bytes = RESULT) -> None:
        """End a job with a refusal or with a result, as a worker does."""
        if isinstance(outcome, bytes):
            self.store.objects.put("results", claim.token, outcome)

        def work(tx: Transaction) -> None:
            claims.hold(tx, claim)
            if isinstance(outcome, bytes):
                finished = tasks.Finished(True, 0, "", 0.25, len(outcome), 1)
                outcomes.settle(tx, claim.job, finished, claim.token, now())
            else:
                outcomes.refused(tx, claim.job, outcome, now())
            claims.release(tx, claim)

        self.store.write(work)

    def state(self, job_id: str) -> State:
        """Return a job's state as its row has it."""
        return self.store.read(lambda tx: records.get(tx, job_id).state)


@contextlib.contextmanager
def open_window(town: Town, folder: Path, **settings: Any) -> Iterator[Window]:
    """Serve a town in this process; `machine` is a device of the default project that is no simulator."""
    machine = factories.a_machine(town.store, "machine")
    town.store.write(lambda tx: grants.allow(tx, town.home, [machine.id], now()))
    pool: Any = _Pool()
    worker: Any = _Worker()
    with TestClient(app.build(town.store, pool, Settings(data=folder, **settings), worker)) as http:
        yield Window(town, _keys(town), http, machine)


def _keys(town: Town) -> dict[str, tuple[str, str]]:
    """Return an API token and an access token of everybody."""
    people = {"ann": town.ann, "bob": town.bob, "root": town.operator}

    def work(tx: Transaction) -> dict[str, tuple[str, str]]:
        return {
            name: (
                users.issue(tx, who.user_id, "api", now())[0],
                users.issue(tx, who.user_id, "access", now())[0],
            )
            for name, who in people.items()
        }

    return town.store.write(work)


def now() -> datetime:
    """Return the time at which the cloud acts: requests are dated by the clock, so tests are too."""
    return datetime.now(UTC)


def error(answer: httpx.Response, status: int, code: int) -> str:
    """Return the message of an answer that must be a failure, and check that it is worded in both ways."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    message = str(document["error"]["message"])
    assert document == {"error": {"message": message, "code": code}, "errors": [{"code": code, "message": message}]}
    assert message
    return message
