# SPDX-License-Identifier: Apache-2.0
"""Version, logins and the current user."""

import re
from typing import Any

import argon2
import desk as desks
import pytest
from desk import Desk, OpenDesk

from chandelier.store import Transaction
from chandelier.tenancy import users
from chandelier.tenancy.users import Token

PASSWORD = "correct horse battery"
#: What the real service said of a user in 2021; the strictest client refuses any other key. Source: protocol 3.2.
USER = {
    "applications": [],
    "canScheduleBackends": False,
    "email": "ann@example.org",
    "emailVerified": True,
    "firstName": "Ann",
    "ibmQNetwork": False,
    "institution": None,
    "iqxPreferences": {},
    "lastName": None,
    "loginAccounts": [],
    "needsRefill": False,
    "qNetworkRoles": [],
    "readOnly": False,
    "roles": [],
    "servicesRoles": [],
    "terms": {},
    "userType": "Standard",
    "username": "ann@example.org",
}


#: A real hash, made cheaply: checking one of the usual strength takes a good part of a second.
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def add(desk: Desk, email: str, name: str = "") -> str:
    """Add an account with the usual password and return its API token."""

    def work(tx: Transaction) -> str:
        user = users.create(tx, email, desks.now(), name=name, password_hash=CHEAP)
        return users.issue(tx, user.id, "api", desks.now())[0]

    return desk.store.write(work)


@pytest.fixture
def account(desk: Desk) -> str:
    """The API token of an account that has a password too."""
    return add(desk, "Cy@Example.org", "Cy Young")


def log_in(desk: Desk, path: str = "/users/loginWithToken", **sent: Any) -> Any:
    """Return the answer to a login."""
    return desk.ask("POST", path, None, **sent)


def test_version_has_the_key_that_clients_look_for(desk: Desk) -> None:
    """Without a token."""
    version = desk.get("/version", None)

    assert isinstance(version["api-auth"], str)
    assert version["new_api"] is True


@pytest.mark.parametrize("path", ["/users/login", "/users/loginWithToken", "/USERS/LOGINWITHTOKEN/"])
@pytest.mark.parametrize("form", ["json", "data"])
@pytest.mark.parametrize("by", ["token", "password"])
def test_every_form_of_login_is_taken_on_every_path(desk: Desk, account: str, path: str, form: str, by: str) -> None:
    """JSON and form, token or password; the address in any case."""
    credentials = {"apiToken": account} if by == "token" else {"email": "cy@EXAMPLE.org", "password": PASSWORD}
    sent: dict[str, Any] = {form: credentials}
    login = desks.succeed(log_in(desk, path, **sent))

    assert set(login) == {"id", "ttl", "created", "userId"}
    assert re.fullmatch(r"[0-9a-f]{64}", login["id"])
    assert (login["ttl"], type(login["ttl"])) == (1209600, int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", login["created"])
    me = desks.succeed(desk.ask("GET", "/users/me", None, headers={"X-Access-Token": login["id"]}))
    assert (me["id"], me["firstName"], me["lastName"]) == (login["userId"], "Cy", "Young")


def test_a_form_may_say_its_character_set(desk: Desk, account: str) -> None:
    """As some libraries do."""
    headers = {"Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}

    desks.succeed(log_in(desk, content=f"apiToken={account}", headers=headers))


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"apiToken": "wrong"}, 2001),
        ({"apiToken": ""}, 2001),
        ({"email": "cy@example.org", "password": "wrong password"}, 2002),
        ({"email": "cy@example.org", "password": ""}, 2002),
        ({"email": "nobody@example.org", "password": PASSWORD}, 2002),
        ({"email": "ann@example.org", "password": PASSWORD}, 2002),
    ],
)
@pytest.mark.parametrize("form", ["json", "data"])
def test_wrong_credentials_are_unauthenticated(
    desk: Desk, account: str, credentials: dict[str, str], code: int, form: str
) -> None:
    """One answer for an unknown address, a wrong password and an account without one."""
    assert account
    empty = form == "data" and "" in credentials.values()  # a form cannot tell an empty value from none

    sent: dict[str, Any] = {form: credentials}
    desks.error(log_in(desk, **sent), *((400, 1001) if empty else (401, code)))


@pytest.mark.parametrize("credentials", [{}, {"email": "cy@example.org"}, {"password": PASSWORD}, {"apiToken": None}])
@pytest.mark.parametrize("form", ["json", "data"])
def test_incomplete_credentials_are_refused(desk: Desk, credentials: dict[str, Any], form: str) -> None:
    """The message says what to send."""
    kept = {key: value for key, value in credentials.items() if value is not None or form == "json"}
    sent: dict[str, Any] = {form: kept}

    assert "apiToken" in desks.error(log_in(desk, **sent), 400, 1001)["message"]


def test_one_kind_of_token_is_not_the_other(desk: Desk, account: str) -> None:
    """The API token opens nothing but the login; an access token does not log in."""
    desks.error(desk.ask("GET", "/users/me", None, headers={"X-Access-Token": account}), 401, 2001)
    desks.error(log_in(desk, json={"apiToken": desk.tokens["ann"]}), 401, 2001)


def test_revoking_a_token_ends_its_logins(desk: Desk) -> None:
    """At once."""
    user_id = desk.town.ann.user_id

    def work(tx: Transaction) -> tuple[str, Token]:
        return users.issue(tx, user_id, "api", desks.now())

    text, token = desk.store.write(work)
    access = {"X-Access-Token": desks.succeed(log_in(desk, json={"apiToken": text}))["id"]}
    desks.succeed(desk.ask("GET", "/users/me", None, headers=access))
    desk.store.write(lambda tx: users.revoke(tx, token.id, desks.now()))

    desks.error(desk.ask("GET", "/users/me", None, headers=access), 401, 2001)


def test_an_access_token_ends_after_its_life(desk: Desk) -> None:
    """Fourteen days."""
    made = desks.now() - users.ACCESS_LIFETIME

    def work(tx: Transaction) -> str:
        return users.issue(tx, desk.town.ann.user_id, "access", made, lifetime=users.ACCESS_LIFETIME)[0]

    access = {"X-Access-Token": desk.store.write(work)}

    desks.error(desk.ask("GET", "/users/me", None, headers=access), 401, 2001)


def test_wrong_passwords_are_counted_by_account(open_desk: OpenDesk) -> None:
    """After some of them even the right one has to wait; other accounts, and tokens, do not."""
    desk = open_desk(login_failures_per_minute=3)
    token = add(desk, "cy@example.org")
    add(desk, "di@example.org")
    wrong = {"email": "cy@example.org", "password": "wrong password"}
    for _ in range(3):
        desks.error(log_in(desk, json=wrong), 401, 2002)

    refusal = desks.error(log_in(desk, json=wrong | {"email": " CY@example.org", "password": PASSWORD}), 429, 1007)
    assert re.search(r"[Ww]ait for (at least )?\d+ s|Wait \d+ s", refusal["message"])
    desks.succeed(log_in(desk, json={"email": "di@example.org", "password": PASSWORD}))
    desks.succeed(log_in(desk, json={"apiToken": token}))


def test_wrong_tokens_are_counted_by_address(open_desk: OpenDesk) -> None:
    """A right one passes all the same, for it cannot be guessed."""
    desk = open_desk(login_failures_per_minute=3)
    token = add(desk, "cy@example.org")
    for _ in range(3):
        desks.error(log_in(desk, json={"apiToken": "wrong"}), 401, 2001)

    desks.error(log_in(desk, json={"apiToken": "wrong"}), 429, 1007)
    desks.succeed(log_in(desk, json={"apiToken": token}))


def test_all_logins_are_counted_by_address(open_desk: OpenDesk) -> None:
    """Right ones too."""
    desk = open_desk(logins_per_minute=2)
    token = add(desk, "cy@example.org")
    for _ in range(2):
        desks.succeed(log_in(desk, json={"apiToken": token}))

    desks.error(log_in(desk, json={"apiToken": token}), 429, 1007)


def test_the_user_is_as_the_real_service_said(desk: Desk) -> None:
    """With its key set and types, for one client knows exactly these."""
    me = desk.get("/users/me", headers={"X-Qx-Client-Application": "any"})

    assert {key: me[key] for key in me if key not in {"id", "subscriptions", "urls"}} == USER
    assert isinstance(me["id"], str)
    assert set(me["subscriptions"]) <= {"surveys", "newsletter", "updates", "tips", "updatesInTool"}
    assert all(type(value) is int for value in me["subscriptions"].values())
    assert set(me["urls"]) == {"http", "ws", "services"}
    assert me["urls"]["services"] == {"runtime": "http://testserver/runtime"}


def test_who_does_not_say_what_client_it_is_gets_the_user_of_2020(desk: Desk) -> None:
    """With the keys and types of the first description of this API."""
    me = desk.get("/users/me")
    texts = "firstName lastName userTypeId institution status blocked creationDate username id lastModified"
    objects = "additionalData codesLastVersion iqxPreferences credit urls dpl userType subscriptions"

    assert all(isinstance(me[key], str) for key in texts.split())
    assert all(isinstance(me[key], dict) for key in objects.split())
    assert (me["emailVerified"], me["ibmQNetwork"], me["groups"], me["roles"]) == (True, False, [], [])
    assert me["username"] == "ann@example.org"
    assert me["userType"]["credit"]["credits"] == me["credit"]["remaining"] > 0
    assert me["creationDate"] == "2026-03-14T15:09:26.000Z"
    assert me["urls"] == desk.get("/users/me", headers={"X-Qx-Client-Application": "any"})["urls"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("cloud.example:8000", "cloud.example:8000"),
        ("cloud.example", "cloud.example"),
        ("[::1]:8000", "[::1]:8000"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
    ],
)
def test_urls_are_as_the_client_reached_the_server(desk: Desk, host: str, expected: str) -> None:
    """Without a configured URL, the host of the request is the best that is known."""
    headers = {"Host": host}
    urls = desk.get("/users/me", headers=headers)["urls"]
    upload = desk.ask(
        "POST", "/Jobs", json={"backend": {"name": "device"}, "allowObjectStorage": True}, headers=headers
    ).json()["objectStorageInfo"]["uploadUrl"]

    services = {"runtime": f"http://{expected}/runtime"}
    assert urls == {"http": f"http://{expected}/api", "ws": f"ws://{expected}/", "services": services}
    assert upload.startswith(f"http://{expected}/api/objects/programs/")


@pytest.mark.parametrize(
    ("public", "http", "ws"),
    [
        ("https://cloud.example", "https://cloud.example/api", "wss://cloud.example/"),
        ("https://cloud.example/", "https://cloud.example/api", "wss://cloud.example/"),
        ("http://cloud.example:81", "http://cloud.example:81/api", "ws://cloud.example:81/"),
    ],
)
def test_urls_are_as_configured(open_desk: OpenDesk, public: str, http: str, ws: str) -> None:
    """Behind a proxy the server is told how it is reached; no header of a request counts then."""
    desk = open_desk(public_url=public)
    headers = {"Host": "inside:8000", "X-Forwarded-Host": "evil.example"}
    body = {"backend": {"name": "device"}, "allowObjectStorage": True}
    job = desks.succeed(desk.ask("POST", "/Jobs", json=body, headers=headers))

    services = {"runtime": http.removesuffix("/api") + "/runtime"}
    assert desk.get("/users/me", headers=headers)["urls"] == {"http": http, "ws": ws, "services": services}
    assert job["objectStorageInfo"]["uploadUrl"].startswith(http + "/objects/programs/")
    assert desk.get(f"/Jobs/{job['id']}/jobUploadUrl", headers=headers)["url"].startswith(http)
    assert "inside" not in desk.ask("GET", f"/Jobs/{job['id']}/v/1", headers=headers).text
