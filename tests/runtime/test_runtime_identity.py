# SPDX-License-Identifier: Apache-2.0
"""Who asks: tokens of an hour, API tokens and access tokens; each ends when its API token is revoked."""

import base64
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from window import OpenWindow, Window, error, now

from chandelier import errors
from chandelier.runtime import identity
from chandelier.runtime.identity import Claims
from chandelier.tenancy import users
from factories import NOW, after

KEY = b"a key of 32 bytes, for tests only"
CLAIMS = Claims("user", "token", int(NOW.timestamp()), int(NOW.timestamp()) + 3600)
GRANT = "urn:ibm:params:oauth:grant-type:apikey"


def exchange(window: Window, key: str, **more: str) -> httpx.Response:
    """Ask for a token as the client does."""
    form = {"grant_type": GRANT, "apikey": key, "response_type": "cloud_iam"} | more
    answer: httpx.Response = window.http.post("/identity/token", data=form)
    return answer


def bearer(window: Window, token: str) -> httpx.Response:
    """List devices with a token."""
    return window.ask("GET", "/backends", None, headers={"Authorization": f"Bearer {token}"})


def payload(token: str) -> dict[str, Any]:
    """Return what a client reads in a token."""
    body = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


def test_a_token_says_what_was_written() -> None:
    """To who has the key, as long as it lasts."""
    assert identity.read(KEY, identity.sign(KEY, CLAIMS), after(3599)) == CLAIMS


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", identity.sign(b"another", CLAIMS)])
def test_a_token_of_another_is_refused(token: str) -> None:
    """Whatever it looks like."""
    with pytest.raises(errors.Unauthenticated):
        identity.read(KEY, token, NOW)


def test_a_token_that_was_changed_is_refused() -> None:
    """In any of its parts, and one that is signed by nobody."""
    head, body, signature = identity.sign(KEY, CLAIMS).split(".")
    later = identity.sign(KEY, Claims("root", "token", CLAIMS.iat, CLAIMS.exp)).split(".")[1]
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    for changed in (f"{head}.{later}.{signature}", f"{unsigned}.{body}.", f"{unsigned}.{body}.{signature}"):
        with pytest.raises(errors.Unauthenticated):
            identity.read(KEY, changed, NOW)


def test_a_token_ends_after_an_hour() -> None:
    """To the second."""
    with pytest.raises(errors.Unauthenticated, match="any more"):
        identity.read(KEY, identity.sign(KEY, CLAIMS), after(3600))


def test_an_api_token_is_exchanged(either: Window) -> None:
    """For one that clients can read, and that opens the API."""
    answer = exchange(either, either.keys["ann"][0])
    document = answer.json()
    claims = payload(document["access_token"])

    assert answer.status_code == 200
    assert (document["token_type"], document["expires_in"]) == ("Bearer", 3600)
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["exp"] == document["expiration"]
    assert bearer(either, document["access_token"]).status_code == 200


def test_a_wrong_api_token_is_refused_in_the_words_of_the_service(window: Window) -> None:
    """Also an access token, which is no API token, and a form without any."""
    for key in ("nonsense", window.keys["ann"][1]):
        answer = exchange(window, key)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "BXNIM0415E")
    for form in ({}, {"apikey": "x", "grant_type": "password"}):
        assert window.http.post("/identity/token", data=form).json()["errorCode"] == "BXNIM0109E"


def test_who_guesses_is_stopped(window: Window) -> None:
    """But a right token still passes."""
    answers = [exchange(window, f"guess {number}").status_code for number in range(12)]

    assert answers == [400] * 10 + [429] * 2
    assert exchange(window, window.keys["ann"][0]).status_code == 200


def test_a_token_ends_with_its_api_token(window: Window) -> None:
    """At once, although it was in use a moment ago; so does the API token itself."""
    token = exchange(window, window.keys["ann"][0]).json()["access_token"]
    assert bearer(window, token).status_code == 200
    assert window.ask("GET", "/backends").status_code == 200
    mine = window.store.read(lambda tx: users.list_tokens(tx, window.town.ann.user_id))
    window.store.write(lambda tx: users.revoke(tx, mine[0].id, now()))

    error(bearer(window, token), 401, 2001)
    error(window.ask("GET", "/backends"), 401, 2001)


def test_every_way_to_say_who_asks_is_known(window: Window) -> None:
    """In any case of letters; an access token of the former API too."""
    key, access = window.keys["bob"]
    for headers in (
        {"Authorization": f"ApiKey {key}"},
        {"authorization": f"apikey  {key}"},
        {"X-Access-Token": access},
    ):
        assert window.ask("GET", "/backends", None, headers=headers).status_code == 200


def test_nobody_is_refused(window: Window) -> None:
    """And so is who shows a token in a way for which it was not made."""
    key, access = window.keys["ann"]
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": key},
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"apikey {access}"},
        {"X-Access-Token": key},
    ):
        error(window.ask("GET", "/backends", None, headers=headers), 401, 2001)


def test_a_key_of_another_purpose_opens_nothing(window: Window) -> None:
    """Keys of the installation are not the secret itself, and differ from each other."""
    assert window.store.key("a") != window.store.key("b")
    claims = Claims(window.town.operator.user_id, "x", int(now().timestamp()), int((now() + timedelta(1)).timestamp()))

    error(bearer(window, identity.sign(window.store.key("a"), claims)), 401, 2001)


def test_guesses_are_slowed_down_wherever_they_are_made(open_window: OpenWindow) -> None:
    """An API token in the header of a request is a guess as well; the right one always passes."""
    window = open_window(login_failures_per_minute=3)
    guesses = [window.http.get("/api/v1/backends", headers={"authorization": f"apikey {n}"}) for n in range(5)]

    assert [guess.status_code for guess in guesses] == [401, 401, 401, 429, 429]
