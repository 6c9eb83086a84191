# SPDX-License-Identifier: Apache-2.0
"""What faces share: throttles, calls, and how an endpoint answers whatever happens."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from chandelier import errors, gateway, telemetry, throttle
from chandelier.gateway import Answer, Call, Cloud, Dialect, Empty, Json, Route, Rules, Stored
from chandelier.store import Transaction
from chandelier.tenancy import users
from factories import NOW, Town

RULES = Rules(
    public_url="",
    max_job_bytes=10_000,
    max_pending_jobs=5,
    url_seconds=60,
    login_failures_per_minute=3,
    logins_per_minute=60,
    default_list_limit=10,
    max_list_limit=20,
    max_filter_jobs=100,
)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.mark.usefixtures("clock")
def test_a_throttle_lets_as_many_pass_as_it_says() -> None:
    """Then it says how long to wait; looking counts nothing, and keys are apart."""
    limit = throttle.Throttle(3)
    for _ in range(3):
        assert limit.wait("ann") == 0
        assert limit.wait("ann") == 0
        limit.count("ann")

    assert limit.wait("ann") == pytest.approx(20)
    assert limit.wait("bob") == 0


def test_a_throttle_recovers_with_time(clock: Clock) -> None:
    """One event for each third of a minute, and no more than all of them."""
    limit = throttle.Throttle(3)
    for _ in range(3):
        limit.count("ann")
    clock.seconds += 19
    assert limit.wait("ann") == pytest.approx(1)
    clock.seconds += 1
    assert limit.wait("ann") == pytest.approx(0)

    clock.seconds += 10_000
    for _ in range(3):
        assert limit.wait("ann") == 0
        limit.count("ann")
    assert limit.wait("ann") > 0


def test_who_goes_on_waits_longer(clock: Clock) -> None:
    """Events beyond the limit count too, if they are counted."""
    limit = throttle.Throttle(6)
    for _ in range(12):
        limit.count("ann")

    assert limit.wait("ann") == pytest.approx(70)
    clock.seconds += 70
    assert limit.wait("ann") == pytest.approx(0)


def test_a_throttle_forgets_old_keys(clock: Clock) -> None:
    """An attacker with many addresses fills no memory; who is still over the limit is not forgotten."""
    limit = throttle.Throttle(60)
    for number in range(10_001):
        limit.count(f"address {number}")
    clock.seconds += 60
    for _ in range(200):
        limit.count("ann")

    assert len(limit._levels) < 10
    assert limit.wait("ann") > 100


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=40), st.integers(1, 20))
def test_a_throttle_never_lets_more_pass_than_its_bucket(steps: list[tuple[float, bool]], most: int) -> None:
    """In any stretch of time: at most the limit, and the limit again for each minute of it."""
    clock, passed = Clock(), []
    limit = throttle.Throttle(most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(throttle, "time", SimpleNamespace(monotonic=clock.monotonic))
        for seconds, asks in steps:
            clock.seconds += seconds
            if asks and limit.wait("ann") == 0:
                limit.count("ann")
                passed.append(clock.seconds)
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], start=1):
            assert last <= most + (end - start) * most / 60 + 1e-6


def a_call(town: Town, *, rules: Rules = RULES, body: bytes = b"", **scope: Any) -> Call:
    """Return a call as a request makes it."""
    headers = [(name.lower().encode(), value.encode()) for name, value in scope.pop("headers", {}).items()]
    usual = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "server": ("cloud.example", 8000),
        "path": "/api/x",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.7", 1),
    }
    return Call(Cloud(town.store, rules), Request(usual | scope), body)


@pytest.fixture(name="token")
def _token(town: Town) -> str:
    return town.store.write(lambda tx: users.issue(tx, town.ann.user_id, "access", NOW)[0])


def test_a_token_is_found_in_three_places(town: Town, token: str) -> None:
    """In the header, in the query string, in the body of whatever request; the first of them counts."""
    for details in (
        {"headers": {"X-Access-Token": token}},
        {"query_string": f"access_token={token}".encode()},
        {"body": json.dumps({"other": [1], "access_token": token}).encode()},
        {"headers": {"X-Access-Token": token}, "query_string": b"access_token=wrong"},
        {"query_string": f"access_token={token}".encode(), "body": b'{"access_token": "wrong"}'},
    ):
        with a_call(town, **details) as call:
            call.authenticate()
            assert call.principal == town.ann


def test_a_wrong_token_is_not_made_good_by_another(town: Town, token: str) -> None:
    """The first place that has one decides."""
    body = json.dumps({"access_token": token}).encode()
    with a_call(town, headers={"X-Access-Token": "wrong"}, body=body) as call, pytest.raises(errors.Unauthenticated):
        call.authenticate()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"access_token": 1}',
        b'{"access_token": null}',
        b'{"access_token": ["x"]}',
        b'{"access_token": "\xff"}',
        b"\xff\xfe{",
        b'{"a":' * 100_000,
        b'{"access_token": "wrong"}',
    ],
    ids=range(11),
)
def test_bodies_without_a_token_are_not_authenticated(sqlite_town: Town, body: bytes) -> None:
    """And break nothing."""
    with a_call(sqlite_town, body=body) as call, pytest.raises(errors.Unauthenticated):
        call.authenticate()


@pytest.mark.parametrize(
    ("public", "scheme", "asked", "url"),
    [
        ("", "http", "http", "http://cloud.example:8000/api/y"),
        ("", "http", "ws", "ws://cloud.example:8000/api/y"),
        ("", "https", "http", "https://cloud.example:8000/api/y"),
        ("", "https", "ws", "wss://cloud.example:8000/api/y"),
        ("", "ws", "http", "http://cloud.example:8000/api/y"),
        ("", "wss", "http", "https://cloud.example:8000/api/y"),
        ("https://q.example", "http", "http", "https://q.example/api/y"),
        ("https://q.example/", "http", "ws", "wss://q.example/api/y"),
        ("http://q.example:81", "https", "ws", "ws://q.example:81/api/y"),
    ],
)
def test_urls_are_those_by_which_the_client_came(
    sqlite_town: Town, public: str, scheme: str, asked: str, url: str
) -> None:
    """Or the public one, if there is one."""
    rules = msgspec.structs.replace(RULES, public_url=public)

    assert a_call(sqlite_town, rules=rules, scheme=scheme).url("/api/y", scheme=asked) == url


class Shape(msgspec.Struct):
    """What a body should be."""

    name: str = "nobody"


def test_a_body_is_read_as_its_shape(sqlite_town: Town) -> None:
    """No body is an empty one; what has another shape is told by field."""
    assert a_call(sqlite_town).json(Shape).name == "nobody"
    assert a_call(sqlite_town, body=b'{"name": "ann", "more": 1}').json(Shape).name == "ann"
    for body, told in (
        (b'{"name": 1}', "$.name"),
        (b"[]", "object"),
        (b"{", "not JSON"),
        (b'{"name": "\xff"}', "not JSON"),
        (b'{"more": ' + b"[" * 100_000, "nested"),
    ):
        with pytest.raises(errors.Invalid, match=told.replace("$", r"\$")) as caught:
            a_call(sqlite_town, body=body).json(Shape)
        assert caught.value.code == 1000


def test_a_call_reads_one_view_until_it_writes(sqlite_town: Town) -> None:
    """What is read after writing shows what was written."""

    def names(tx: Transaction) -> int:
        return len(users.list_tokens(tx, sqlite_town.ann.user_id))

    with a_call(sqlite_town) as call:
        assert names(call.tx) == 0
        sqlite_town.store.write(lambda tx: users.issue(tx, sqlite_town.ann.user_id, "api", NOW))
        assert names(call.tx) == 0
        call.store.write(lambda tx: users.issue(tx, sqlite_town.ann.user_id, "api", NOW))
        assert names(call.tx) == 2


def _raise(failure: Exception) -> Callable[[Call], Answer]:
    def handler(_call: Call) -> Answer:
        raise failure

    return handler


def render(error: errors.ChandelierError) -> tuple[int, Any]:
    """Word an error as no face does."""
    return 418, {"kind": error.kind, "code": error.code, "message": error.message}


def _who(call: Call) -> Answer:
    return Json({"email": call.principal.email, "project": call.path.get("project"), "thing": call.path["thing"]})


def _keep(call: Call) -> Answer:
    assert call.upload is not None
    return Json({"size": call.upload.size})


def _admit(call: Call) -> Empty:
    if call.query.get("pass") != "yes":
        raise errors.Forbidden("no pass", 2004)
    return Empty()


@pytest.fixture(name="client")
def _client(sqlite_town: Town, tmp_path: Path) -> Iterator[TestClient]:
    file = tmp_path / "stored.json"
    file.write_bytes(b'{"stored": true}')
    cloud = Cloud(sqlite_town.store, RULES)
    table = (
        Route("GET", "/Things/{thing}", _who, "Say who asks.", prefixed=True),
        Route("GET", "/stored", lambda _call: Stored(file), "Send a file.", public=True),
        Route("GET", "/empty", lambda _call: Empty(), "Send nothing.", public=True, quick=True),
        Route("POST", "/echo", lambda call: Json(len(call.body)), "Count.", public=True, large=True),
        Route("POST", "/small", lambda call: Json(len(call.body)), "Count.", public=True),
        Route("GET", "/foreseen", _raise(errors.Conflict("not now", 3251)), "Fail.", public=True),
        Route("GET", "/unforeseen", _raise(RuntimeError("secret detail")), "Fail.", public=True),
        Route("PUT", "/upload", _keep, "Keep.", public=True, admit=_admit),
    )
    with TestClient(Starlette(routes=[gateway.Desk(cloud, "/api", table, Dialect(render))])) as client:
        yield client


@pytest.fixture(name="ann")
def _ann(sqlite_town: Town) -> dict[str, str]:
    text = sqlite_town.store.write(lambda tx: users.issue(tx, sqlite_town.ann.user_id, "access", NOW)[0])
    return {"X-Access-Token": text}


def refusal(response: httpx.Response) -> tuple[int, str, int]:
    """Return status, kind and code of an error."""
    return response.status_code, response.json()["kind"], response.json()["code"]


def test_a_handler_answers_whoever_has_a_token(client: TestClient, ann: dict[str, str]) -> None:
    """And nobody else."""
    assert client.get("/api/Things/One", headers=ann).json() == {
        "email": "ann@example.org",
        "project": None,
        "thing": "One",
    }
    assert refusal(client.get("/api/Things/One")) == (418, "Unauthenticated", 2001)


@pytest.mark.parametrize("path", ["/api/things/One", "/API/THINGS/One/", "/api//Things/One"])
def test_static_segments_match_in_any_case(client: TestClient, ann: dict[str, str], path: str) -> None:
    """Parameters stay as they are written."""
    assert client.get(path, headers=ann).json()["thing"] == "One"


def test_prefixed_routes_exist_under_a_project_too(client: TestClient, ann: dict[str, str]) -> None:
    """With its names."""
    answer = client.get("/api/Network/h/Groups/g/Projects/P/Things/One", headers=ann)

    assert answer.json()["project"] == "P"


def test_answers_have_their_forms(client: TestClient) -> None:
    """A document, a file, nothing."""
    assert client.post("/api/echo", content=b"12345").json() == 5
    stored = client.get("/api/stored")
    assert (stored.content, stored.headers["content-type"]) == (b'{"stored": true}', "application/json")
    assert (client.get("/api/empty").status_code, client.get("/api/empty").content) == (200, b"")


def test_failures_are_worded_by_the_face(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """Those that nobody foresaw too, without their details, which the log has."""
    assert refusal(client.get("/api/foreseen")) == (418, "Conflict", 3251)
    assert caplog.text == ""
    unforeseen = client.get("/api/unforeseen")
    assert refusal(unforeseen) == (418, "Error", 1009)
    assert "secret" not in unforeseen.text
    assert "secret detail" in caplog.text


def test_bodies_that_are_too_large_are_refused(client: TestClient) -> None:
    """Whether they say their length or not, by routes that take programs and by others."""
    too_much = b"x" * (9 << 20)
    for path in ("/api/echo", "/api/small"):
        assert refusal(client.post(path, content=too_much)) == (418, "TooLarge", 1006)
        assert refusal(client.post(path, content=iter([too_much[: 5 << 20]] * 2))) == (418, "TooLarge", 1006)
    assert client.post("/api/small", content=b"x" * 1000).json() == 1000
    assert refusal(client.post("/api/small", content=b"x" * (2 << 20))) == (418, "TooLarge", 1006)


def test_uploads_are_admitted_before_they_are_read(client: TestClient, sqlite_town: Town) -> None:
    """Under the size limit of programs; what is not kept is gone."""
    assert client.put("/api/upload?pass=yes", content=b"x" * 10_000).json() == {"size": 10_000}
    assert refusal(client.put("/api/upload", content=b"x")) == (418, "Forbidden", 2004)
    assert refusal(client.put("/api/upload?pass=yes", content=b"x" * 10_001)) == (418, "TooLarge", 1006)
    assert refusal(client.put("/api/upload?pass=yes", content=iter([b"x" * 6000] * 2))) == (418, "TooLarge", 1006)
    assert list((sqlite_town.store.objects.root / "incoming").iterdir()) == []


@pytest.mark.parametrize("path", ["/apiThings/a", "/ap", "/api2/Things/a", "/xapi/Things/a", "/api///Things/a"])
def test_only_the_base_path_is_served(client: TestClient, path: str) -> None:
    """Not what merely begins like it."""
    assert client.get(path).status_code == 404


def test_requests_are_counted_by_pattern(client: TestClient) -> None:
    """Never by what a client wrote into the path."""
    client.get("/api/Things/SomebodysSecret")
    metrics = telemetry.render({"QUEUED": 3}, {"idle": 2}).decode()

    assert 'chandelier_requests_total{method="GET",route="/Things/{thing}",status="418"}' in metrics
    assert "SomebodysSecret" not in metrics
    assert 'chandelier_jobs{state="QUEUED"} 3.0' in metrics
    assert 'chandelier_pool_children{state="idle"} 2.0' in metrics
    assert 'state="QUEUED"' not in telemetry.render({}, {}).decode()
