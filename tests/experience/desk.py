# SPDX-License-Identifier: Apache-2.0
"""A cloud that answers requests in this process and has no worker: tests do what a worker would do."""

import contextlib
import json
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import conformance
import httpx
import msgspec
from starlette.testclient import TestClient

import factories
from chandelier import app, experience, gateway
from chandelier.formats import tasks
from chandelier.gateway import Route
from chandelier.jobs import outcomes, records
from chandelier.jobs.lifecycle import State
from chandelier.scheduling import claims, ranking
from chandelier.scheduling.claims import Claim
from chandelier.settings import Settings
from chandelier.store import Transaction
from chandelier.tenancy import users
from factories import Town

PROJECT = "/Network/ibm-q/Groups/open/Projects/main"
ENVELOPE = {"status", "statusCode", "name", "code", "message"}
RESULT = {"backend_name": "device", "backend_version": "1.0.0", "job_id": "", "success": True, "results": []}
REFUSED = tasks.Refused(8001, "The instruction 'rxx' is not a basis gate of device.")
SMALL = {"max_job_bytes": 200_000}


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


#: Opens a cloud with other settings than usual.
OpenDesk = Callable[..., "Desk"]


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request that no client library would send."""

    status: int
    headers: dict[str, str]
    body: bytes


class Desk:
    """The door of a cloud, and who knocks."""

    def __init__(self, town: Town, tokens: dict[str, str], http: TestClient) -> None:
        self.town = town
        self.store = town.store
        self.tokens = tokens
        self.http = http

    def ask(self, method: str, path: str, who: str | None = "ann", **more: Any) -> httpx.Response:
        """Send a request of somebody, or of nobody."""
        headers = {"X-Access-Token": self.tokens[who]} if who else {}
        answer: httpx.Response = self.http.request(
            method, "/api" + path, headers=headers | more.pop("headers", {}), follow_redirects=False, **more
        )
        return answer

    def get(self, path: str, who: str | None = "ann", **more: Any) -> Any:
        """Return the document that a GET is answered with."""
        return succeed(self.ask("GET", path, who, **more))

    def post(self, path: str, body: Any = None, who: str | None = "ann", **more: Any) -> Any:
        """Return the document that a POST is answered with."""
        return succeed(self.ask("POST", path, who, **({} if body is None else {"json": body}), **more))

    def put(self, path: str, body: Any, who: str | None = "ann") -> Any:
        """Return the document that a PUT is answered with."""
        return succeed(self.ask("PUT", path, who, json=body))

    def listed(self, path: str = "/Jobs/status/v/1", who: str = "ann", **wanted: Any) -> list[dict[str, Any]]:
        """Return a list of jobs by a filter."""
        found: list[dict[str, Any]] = self.get(path, who, params={"filter": json.dumps(wanted)})
        return found

    def knock(
        self,
        method: str,
        path: bytes,
        *,
        query: bytes = b"",
        headers: Iterable[tuple[bytes, bytes]] = (),
        chunks: Iterable[bytes] = (),
        cut: bool = False,
    ) -> Reply:
        """Send a request as a server of the web would hand it over, byte by byte.

        Args:
            chunks: The body; none of them is empty. They are taken only as they are read.
            cut: The client is gone after the first of them.
        """
        arriving = iter(chunks)
        held = next(arriving, b"") if cut else None
        sent: list[Any] = []
        whole = False

        async def receive() -> dict[str, Any]:
            nonlocal held, whole
            if cut and held is not None:
                chunk, held = held, None
                return {"type": "http.request", "body": chunk, "more_body": True}
            if cut or whole:
                return {"type": "http.disconnect"}
            chunk = next(arriving, b"")
            whole = not chunk
            return {"type": "http.request", "body": chunk, "more_body": not whole}

        async def send(message: Any) -> None:
            sent.append(message)

        raw = path.decode("ascii")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": urllib.parse.unquote(raw),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [*headers],
            "client": ("127.0.0.1", 40000),
            "server": ("testserver", 80),
            "state": {},
        }
        assert self.http.portal is not None
        self.http.portal.call(self.http.app, scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))

    def token(self, who: str = "ann") -> tuple[bytes, bytes]:
        """Return the header that says who knocks."""
        return b"x-access-token", self.tokens[who].encode()

    def opened(self, who: str = "ann", **more: Any) -> Any:
        """Begin a job by object storage and return its document."""
        return self.post("/Jobs", {"backend": {"name": "device"}, "allowObjectStorage": True} | more, who)

    def uploaded(self, who: str = "ann", **more: Any) -> str:
        """Hand a job over by object storage and return its id."""
        job = self.opened(who, **more)
        assert self.http.put(job["objectStorageInfo"]["uploadUrl"], content=factories.a_program()).status_code == 200
        self.post(f"/Jobs/{job['id']}/jobDataUploaded", who=who)
        return str(job["id"])

    def inline(self, who: str = "ann", **more: Any) -> str:
        """Submit a job with its program and return its id."""
        program = json.loads(factories.a_program())
        return str(self.post("/Jobs", {"backend": {"name": "device"}, "qObject": program} | more, who)["id"])

    def brought(self, state: State, *, inline: bool = False, **more: Any) -> str:
        """Return the id of a job that was brought to a state as it would come there, if it is the only one."""
        if state in {State.CREATING, State.CREATED, State.ERROR_CREATING_JOB}:
            job_id = records.JobId(self.opened(**more)["id"])
            if state is not State.CREATING:
                self.store.write(lambda tx: records.advance(tx, job_id, (state,), now()))
            return job_id
        job_id = records.JobId(self.inline(**more) if inline else self.uploaded(**more))
        if state is State.VALIDATED:
            self.store.write(lambda tx: records.advance(tx, job_id, (state,), now()))
        elif state is State.CANCELLED:
            self.post(f"/Jobs/{job_id}/cancel")
        elif state is State.ERROR_VALIDATING_JOB:
            self.settle(self.validating(), REFUSED)
        elif state is not State.VALIDATING:
            self.validate()
            if state is not State.QUEUED:
                claim = self.run()
                if state is not State.RUNNING:
                    self.settle(claim, RESULT if state is State.COMPLETED else REFUSED)
        assert records_state(self, job_id) is state
        return job_id

    def validating(self) -> Claim:
        """Take the job that waits to be validated, as a worker does."""
        claim = self.store.write(lambda tx: claims.claim_validation(tx, "worker", now()))
        assert claim is not None
        return claim

    def validate(self) -> None:
        """Find that the job that waits to be validated can run."""
        claim = self.validating()

        def work(tx: Transaction) -> None:
            claims.hold(tx, claim)
            outcomes.validated(tx, claim.job, factories.ACCEPTED, now())
            claims.release(tx, claim)

        self.store.write(work)

    def run(self) -> Claim:
        """Begin to run the job that goes next, as a worker does."""
        claim = self.store.write(lambda tx: claims.claim_run(tx, ranking.fair, "worker", now()))
        assert claim is not None
        return claim

    def settle(self, claim: Claim, outcome: tasks.Refused | dict[str, Any], *, success: bool = True) -> None:
        """End a job with a refusal or with a result, as a worker does."""
        if isinstance(outcome, dict):
            content = json.dumps(outcome | {"job_id": claim.job.id}).encode()
            self.store.objects.put("results", claim.token, content)
            finished = tasks.Finished(success, 0 if success else 8020, "" if success else "One failed.", 0.25, 10, 1)

        def work(tx: Transaction) -> None:
            claims.hold(tx, claim)
            if isinstance(outcome, dict):
                outcomes.settle(tx, claim.job, finished, claim.token, now())
            else:
                outcomes.refused(tx, claim.job, outcome, now())
            claims.release(tx, claim)

        self.store.write(work)


@contextlib.contextmanager
def open_desk(town: Town, tokens: dict[str, str], folder: Path, **settings: Any) -> Iterator[Desk]:
    """Serve a town in this process."""
    chosen = Settings(data=folder, **SMALL | settings)
    pool: Any = _Pool()
    worker: Any = _Worker()
    with TestClient(app.build(town.store, pool, chosen, worker)) as http:
        http.event_hooks = {"response": [conformance.check]}
        yield Desk(town, tokens, http)


def log_in(town: Town) -> dict[str, str]:
    """Return an access token of everybody."""
    people = {"ann": town.ann, "bob": town.bob, "root": town.operator}

    def work(tx: Transaction) -> dict[str, str]:
        return {name: users.issue(tx, who.user_id, "access", now())[0] for name, who in people.items()}

    return town.store.write(work)


def now() -> datetime:
    """Return the time at which the cloud acts: requests are dated by the clock, so tests are too."""
    return datetime.now(UTC)


def succeed(answer: httpx.Response) -> Any:
    """Return the document of an answer that must be a success; old clients take nothing but 200 for one."""
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert not isinstance(document, dict) or document.get("error", 1) is not None
    return document


def error(answer: httpx.Response, status: int, code: int) -> dict[str, Any]:
    """Return the error of an answer that must be a failure, and check its envelope."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert set(document) == {"error"}
    failure: dict[str, Any] = document["error"]
    assert set(failure) == ENVELOPE
    assert failure["status"] == failure["statusCode"] == status
    assert (failure["code"], type(failure["code"])) == (code, int)
    assert isinstance(failure["name"], str)
    assert failure["message"]
    return failure


def records_state(desk: Desk, job_id: str) -> State:
    """Return a job's state as its row has it."""
    return desk.store.read(lambda tx: records.get(tx, job_id).state)


def all_paths(**wanted: Any) -> list[tuple[Route, str]]:
    """Return every route and each of its paths, of those routes whose attributes are as wanted."""
    return [
        (route, path)
        for route in experience.ROUTES
        if all(getattr(route, name) == value for name, value in wanted.items())
        for path in gateway.paths(route)
    ]


def filled(path: str, **names: str) -> str:
    """Fill the parameters of a path: the usual place and device unless `names` says otherwise."""
    usual = {
        "hub": "ibm-q",
        "group": "open",
        "project": "main",
        "device": "device",
        "job": "0" * 24,
        "name": "0" * 24,
        "code": "0" * 24,
        "execution": "0" * 24,
        "booking": "0" * 24,
        "user": "0" * 24,
    }
    return path.format(**usual | names)
