# SPDX-License-Identifier: Apache-2.0
"""Version, login and the current user."""

from urllib.parse import parse_qs

import msgspec

from chandelier import __version__, errors
from chandelier.experience import documents
from chandelier.gateway import Call, Json
from chandelier.tenancy import users
from chandelier.tenancy.users import Login


class Credentials(msgspec.Struct, frozen=True, rename="camel"):
    """What a login carries: a token, or an address and a password; clients send either to either path."""

    api_token: str | None = None
    email: str | None = None
    password: str | None = None


def version(_call: Call) -> Json:
    """Say that this is the new API: clients look for `api-auth`. Source: protocol 3.1."""
    parts = dict.fromkeys(("api-auth", "api-app", "api-utils"), __version__)
    return Json({"new_api": True, **parts})


def log_in(call: Call) -> Json:
    """Exchange a token, or an address and a password, for an access token. Source: protocol 2.1."""
    credentials = _credentials(call)
    logins = call.cloud.logins
    _refuse_if(logins.wait(call.address))
    logins.count(call.address)
    if credentials.api_token is not None:
        return Json(documents.login(_by_token(call, credentials.api_token)))
    if credentials.email is not None and credentials.password is not None:
        return Json(documents.login(_by_password(call, credentials.email, credentials.password)))
    raise errors.Invalid("Send `apiToken`, or `email` and `password`, as JSON or as a form.", 1001)


def me(call: Call) -> Json:
    """Describe the caller and say where the API and the WebSockets are.

    Clients that say who they are get the form of 2021, which one of them checks strictly; others get that of 2020.
    Source: protocol 3.2.
    """
    if call.headers.get("x-qx-client-application"):
        return Json(documents.me(call.principal, documents.urls(call.url)))
    return Json(documents.me_of_2020(users.get(call.tx, call.principal.user_id), documents.urls(call.url)))


def _by_token(call: Call, token: str) -> Login:
    # A right token always passes: it cannot be guessed, and one broken script must not lock out its neighbours.
    try:
        return users.login_with_token(call.store, token, call.now)
    except errors.Unauthenticated:
        failures = call.cloud.failures
        _refuse_if(failures.wait(call.address))
        failures.count(call.address)
        raise


def _by_password(call: Call, email: str, password: str) -> Login:
    cloud = call.cloud
    account = f"account {email.strip().lower()}"
    _refuse_if(max(cloud.failures.wait(account), cloud.failures_of_address.wait(call.address)))
    try:
        return users.login_with_password(call.store, email, password, call.now)
    except errors.Unauthenticated:
        cloud.failures.count(account)
        cloud.failures_of_address.count(call.address)
        raise


def _refuse_if(seconds: float) -> None:
    if seconds > 0:
        raise errors.LimitReached(
            f"Too many logins. Wait {seconds:.0f} s and try again.", 1007, {"retryAfter": seconds}
        )


def _credentials(call: Call) -> Credentials:
    if call.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        try:
            form = parse_qs(call.body.decode(), max_num_fields=20)
        except ValueError as failure:
            raise errors.Invalid(f"The form cannot be read: {failure}", 1000) from failure
        return Credentials(*(form.get(name, [None])[0] for name in ("apiToken", "email", "password")))
    credentials = call.json(Credentials)
    assert isinstance(credentials, Credentials)
    return credentials
