# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the answer is an error in the usual envelope, never a failure of the server's own."""

import json
from typing import Any

import desk as desks
import pytest
from desk import Desk
from hypothesis import given, settings
from hypothesis import strategies as st

import factories
from chandelier import errors, experience, gateway
from chandelier.jobs.lifecycle import State

NUL = "\x00"
DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
#: One route of each handler.
HANDLED = {route.handler: route for route in experience.ROUTES}.values()
#: Bodies that are no JSON, or not of a form that any endpoint takes.
BODIES = {
    "cut": b'{"a"',
    "list": b"[1, 2]",
    "text": b'"text"',
    "number": b"1e999",
    "not UTF-8": b'{"name": "\xff", "apiToken": "\xff", "backend": {"name": "\xff"}}',
    "not UTF-8 in a key": b'{"\xff": 1}',
    "UTF-16": '{"name": "a"}'.encode("utf-16"),
    "deep": DEEP,
    "deep token": b'{"access_token": ' + DEEP + b"}",
    "lone surrogate": rb'{"name": "\ud800", "apiToken": "\udfff"}',
    "long number": b'{"shots": ' + b"9" * 5000 + b"}",
    "huge string": b'{"name": "' + b"a" * 100_000 + b'"}',
    "wrong types": b'{"name": 1, "tags": {}, "apiToken": [], "backend": [], "access_token": {}}',
}
#: Paths' parameters that nothing is called.
NAMES = ["a%00b", "%FF%F0%9F%92%A1", "%2e%2e%2fetc", "a" * 5000, "'%20OR%201=1--", "%0A"]
#: What an answer to a name that nothing has may be: nothing of the name, or a signature that is not ours.
NOT_THERE = {1001, 1004, 1005, 2004, 3001, 3100, 3250, 3254, 3500}
HOSTS = [
    b"[",
    b"[::1",
    b"a b",
    b"host:port:port",
    b"evil.example/path?x=#",
    b"user:pw@host",
    b"\xff\xfe",
    b"",
    b":",
    b"[",
]


def refused(reply: desks.Reply) -> dict[str, Any]:
    """Return the error of an answer that must be one of the 400s in the usual envelope."""
    assert 400 <= reply.status < 500, (reply.status, reply.body[:500])
    failure: dict[str, Any] = json.loads(reply.body)["error"]
    assert set(failure) == desks.ENVELOPE
    assert failure["code"] in errors.CODES
    return failure


KINDS = [
    (errors.Invalid("m", 1000), 400, "Invalid"),
    (errors.Unauthenticated("m", 2001), 401, "Unauthenticated"),
    (errors.Forbidden("m", 2004), 403, "Forbidden"),
    (errors.NotFound("m", 3250), 404, "NotFound"),
    (errors.Invalid("m", 1005), 405, "Invalid"),
    (errors.Conflict("m", 3251), 409, "Conflict"),
    (errors.TooLarge("m", 1006), 413, "TooLarge"),
    (errors.LimitReached("m", 1007), 429, "LimitReached"),
    (errors.LimitReached("m", 3458), 400, "LimitReached"),
    (errors.ProgramRefused("m", 8001), 400, "ProgramRefused"),
    (errors.Unavailable("m", 1008), 503, "Unavailable"),
    (errors.ChandelierError("m", 1009), 500, "Error"),
]


@pytest.mark.parametrize(("error", "status", "name"), KINDS, ids=lambda value: type(value).__name__)
def test_each_kind_of_error_has_its_status_and_all_keys(error: errors.ChandelierError, status: int, name: str) -> None:
    """Both spellings of the status, because clients differ; code and message always, or clients show neither."""
    document = {"status": status, "statusCode": status, "name": name, "code": error.code, "message": "m"}

    assert experience.render_error(error) == (status, {"error": document})


def test_no_kind_of_error_is_forgotten() -> None:
    """A kind without a status would be a 500, which old clients repeat five times."""
    assert set(experience.STATUS) == set(errors.ChandelierError.__subclasses__())
    assert {type(error) for error, _, _ in KINDS} == {errors.ChandelierError, *experience.STATUS}


@pytest.mark.parametrize(
    "path", ["", "/", "/nothing", "/Jobs/x/nothing", "/Network/a/b", "/users", "/objects", "/objects/devices/00"]
)
def test_an_unknown_path_is_not_found(desk: Desk, path: str) -> None:
    """With the envelope, and without asking for a token."""
    desks.error(desk.ask("GET", path, None), 404, 1004)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/users/login"), ("POST", "/version"), ("PATCH", "/Jobs"), ("DELETE", "/Jobs"), ("PUT", "/Network")],
)
def test_another_method_is_not_allowed(desk: Desk, method: str, path: str) -> None:
    """With the envelope too."""
    desks.error(desk.ask(method, path), 405, 1005)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_odd_bodies_are_refused_everywhere(desk: Desk, body: bytes) -> None:
    """Every endpoint that reads its body refuses what is no JSON; the others do not mind."""
    job = desk.opened()["id"]
    for route in HANDLED:
        path = route.path
        reply = desk.knock(
            route.method,
            b"/api" + desks.filled(path, job=job).encode(),
            headers=[desk.token()],
            chunks=[body],
        )
        assert reply.status < 500, (route.method, path, reply.body)
        if route.handler.__name__ in {"submit", "log_in"} or (
            route.handler.__name__ == "change" and body != BODIES["huge string"]
        ):
            assert refused(reply)["code"] in {1000, 1001, 2001}


def test_a_program_that_is_not_utf8_is_refused(desk: Desk) -> None:
    """Deep inside too: shown again, it would spoil the list that it is in."""
    program = factories.a_program().replace(b'{"name": "bell"}', b'{"name": "\xff"}')
    assert b"\xff" in program
    body = b'{"backend": {"name": "device"}, "qObject": ' + program + b"}"
    reply = desk.knock("POST", b"/api/Jobs", headers=[desk.token()], chunks=[body])

    assert refused(reply)["code"] == 1000
    assert desk.listed("/Jobs") == []


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_odd_bodies_without_a_token_are_unauthenticated(desk: Desk, body: bytes) -> None:
    """The token is looked for in the body, which need not be JSON."""
    assert refused(desk.knock("GET", b"/api/users/me", chunks=[body]))["code"] == 2001


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_in_paths_are_not_found(either: Desk, name: str) -> None:
    """Whatever stands in a path where a name belongs, on either database."""
    body = b'{"name": "n", "backend": {"name": "device"}, "allowObjectStorage": true}'
    names = dict.fromkeys(("hub", "group", "project", "device", "job", "name", "code", "execution", "user"), name)
    for route in HANDLED:
        for path in gateway.paths(route):
            if "{" not in path:
                continue
            target = b"/api" + desks.filled(path, **names).encode()
            reply = either.knock(route.method, target, headers=[either.token()], chunks=[body])
            assert refused(reply)["code"] in NOT_THERE


@pytest.mark.parametrize("host", HOSTS)
def test_an_odd_host_is_no_failure(desk: Desk, host: bytes) -> None:
    """The host of a request becomes part of URLs, and may be anything."""
    desk.brought(State.QUEUED)
    for path in (b"/users/me", b"/Jobs/v/1", b"/Jobs", b"/Jobs/status"):
        reply = desk.knock("GET", b"/api" + path, headers=[desk.token(), (b"host", host)])
        assert reply.status < 500, (path, reply.body)


@pytest.mark.parametrize(
    "query",
    [
        b"filter=\xff",
        b"filter=" + b'{"a":' * 2000,
        b"filter=%00",
        b"access_token=%FF%00",
        b"&&&=&;",
        b"filter=%7B&" * 500,
        b"expires=9&signature=%F0%9F",
    ],
)
def test_odd_query_strings_are_no_failure(either: Desk, query: bytes) -> None:
    """Every endpoint, with and without a token in the header."""
    for route in HANDLED:
        path = b"/api" + desks.filled(route.path).encode()
        reply = either.knock(route.method, path, query=query, headers=[either.token()])
        assert reply.status < 500, (route.method, path, reply.body)
        assert either.knock(route.method, path, query=query).status < 500


texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "device",
            "hidden",
            NUL,
            "a" * 600,
            "\U0010ffff",
            "2026-03-14T15:09:26.000Z",
            "0001-01-01",
            "9999-12-31T23:59:59.999Z",
            "QUEUED",
            "^E",
            "%",
        ]
    ),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)


def objects(keys: list[str]) -> st.SearchStrategy[Any]:
    """Return JSON objects that often have the keys that an endpoint reads."""
    names = st.one_of(st.sampled_from(keys), texts)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=6)),
        max_leaves=20,
    )


def check(desk: Desk, method: str, path: str, **more: Any) -> None:
    """Send a request and expect anything but a failure of the server."""
    answer = desk.ask(method, path, **more)
    assert answer.status_code < 500, answer.text
    answer.json()


SUBMISSION = [
    "backend",
    "name",
    "qObject",
    "qasms",
    "allowObjectStorage",
    "shots",
    "tags",
    "shareLevel",
    "experimentTag",
    "liveDataEnabled",
]
QOBJ = ["qobj_id", "type", "schema_version", "header", "config", "experiments", "shots", "memory_slots"]
plain_submission = st.fixed_dictionaries(
    {"backend": st.just({"name": "device"})},
    optional={key: objects(QOBJ) for key in SUBMISSION[1:]},
)
program = st.fixed_dictionaries(
    {
        "qobj_id": texts,
        "type": st.just("QASM"),
        "experiments": st.lists(st.dictionaries(texts, objects(QOBJ), max_size=3), max_size=3),
    },
    optional={key: objects(QOBJ) for key in ("schema_version", "header", "config")},
)
inline_submission = st.fixed_dictionaries(
    {"backend": st.just({"name": "device"}), "qObject": program},
    optional={"shots": leaves, "name": texts, "tags": st.lists(texts)},
)


@settings(max_examples=25)
@given(body=st.one_of(objects(SUBMISSION), plain_submission, inline_submission))
def test_any_json_may_be_submitted(either: Desk, body: Any) -> None:
    """And whatever was taken can be shown again."""
    check(either, "POST", "/Jobs", json=body)
    either.get("/Jobs")


@settings(max_examples=25)
@given(body=objects(["name", "tags", "access_token"]))
def test_any_json_may_be_a_change(either: Desk, body: Any) -> None:
    """The job is shown all the same."""
    job = either.listed() or [either.opened()]
    check(either, "PUT", f"/Jobs/{job[0]['id']}", json=body)
    either.get(f"/Jobs/{job[0]['id']}/v/1")


@settings(max_examples=25)
@given(body=objects(["apiToken", "email", "password"]))
def test_any_json_may_be_a_login(either: Desk, body: Any) -> None:
    """Without an account nobody gets in."""
    answer = either.ask("POST", "/users/login", None, json=body)
    assert answer.status_code in {400, 401, 429}


@settings(max_examples=25)
@given(body=st.binary(max_size=200))
def test_any_bytes_may_be_a_form(either: Desk, body: bytes) -> None:
    """Neither does a form that is none."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = either.ask("POST", "/users/loginWithToken", None, content=b"apiToken=" + body, headers=headers)
    assert answer.status_code in {400, 401, 429}


FIELDS = [
    "where",
    "order",
    "limit",
    "skip",
    "fields",
    "id",
    "status",
    "creationDate",
    "backend.name",
    "tags",
    "userId",
    "and",
    "or",
    "inq",
    "nin",
    "gt",
    "lte",
    "between",
    "neq",
    "regexp",
    "like",
    "exists",
]
conditions = st.dictionaries(st.sampled_from(FIELDS), objects(FIELDS), max_size=4)


@settings(max_examples=25)
@given(
    wanted=st.one_of(
        objects(FIELDS), st.fixed_dictionaries({"where": conditions}, optional={"order": texts, "limit": leaves})
    )
)
def test_any_json_may_be_a_filter(either: Desk, wanted: Any) -> None:
    """Of a list of jobs, and of the properties of a device."""
    if not either.listed():
        either.inline(tags=["a", "b"], name="c")
    for path in ("/Jobs/status/v/1", "/Jobs", "/Devices/device/properties"):
        check(either, "GET", path, params={"filter": json.dumps(wanted)})


@pytest.mark.parametrize(
    "date",
    [
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59.999999",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-W01",
        "",
        NUL,
        None,
        1,
    ],
)
def test_any_date_may_be_asked_of_properties(either: Desk, date: Any) -> None:
    """Dates at the ends of time too."""
    check(
        either,
        "GET",
        "/devices/device/properties",
        params={"filter": json.dumps({"where": {"last_update_date": {"lt": date}}})},
    )
