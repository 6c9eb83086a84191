# SPDX-License-Identifier: Apache-2.0
"""Who is asking: a client exchanges its API token for one that lasts an hour, and shows it with each request.

What it gets is a JSON Web Token, because clients read from it how long it lasts. It names the API token by its id and
is signed with a key of the installation, so nothing is kept of it; it ends at once with the API token that it names.

Source: protocol of the Runtime API 2.3.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from chandelier import errors
from chandelier.gateway import Call, Json
from chandelier.store import Transaction
from chandelier.tenancy import access
from chandelier.tenancy.access import Principal

#: How long a token lasts, s; clients ask for a new one when a fifth of it is left.
LIFETIME: Final = 3600
_GRANT: Final = "urn:ibm:params:oauth:grant-type:apikey"
_PURPOSE: Final = "runtime tokens"
_encode: Final = msgspec.json.Encoder().encode
_HEAD: Final = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()

#: What the kinds of errors are called by who gives tokens; others are BXNIM0109E.
_ERROR_CODES: Final[dict[type[errors.ChandelierError], tuple[int, str]]] = {
    errors.Unauthenticated: (400, "BXNIM0415E"),
    errors.LimitReached: (429, "BXNIM0429E"),
    errors.TooLarge: (413, "BXNIM0109E"),
    errors.Unavailable: (503, "BXNIM0500E"),
}


class Claims(msgspec.Struct, frozen=True):
    """What a token says: whose it is (`sub`), of which API token (`tid`), from when to when in s since 1970."""

    sub: str
    tid: str
    iat: int
    exp: int


_claims: Final = msgspec.json.Decoder(Claims)


def render_error(error: errors.ChandelierError) -> tuple[int, dict[str, Any]]:
    """Return status and document of an error, as who gives tokens words it."""
    status, code = _ERROR_CODES.get(type(error), (400, "BXNIM0109E"))
    message = error.message
    return status, {"errorCode": code, "errorMessage": message, "errors": [{"code": code, "message": message}]}


def give_token(call: Call) -> Json:
    """Exchange an API token for one that lasts an hour."""
    key = _api_key(call)
    logins = call.cloud.logins
    _refuse_if(logins.wait(call.address))
    logins.count(call.address)
    token_id, principal = _holder(call, key, call.tx)
    begun = int(call.now.timestamp())
    claims = Claims(principal.user_id, token_id, begun, begun + LIFETIME)
    return Json(
        {
            "access_token": sign(call.cloud.store.key(_PURPOSE), claims),
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "expiration": claims.exp,
            "scope": "ibm openid",
        }
    )


def authenticate(call: Call) -> None:
    """Learn who is asking, from a token, an API token or an access token of the former API.

    Raises:
        errors.Unauthenticated: There is none, or it is not valid (any more).
    """
    header = call.headers.get("authorization", "")
    scheme, _, credential = header.partition(" ")
    credential = credential.strip()
    if scheme.lower() == "bearer":
        call.identify(f"bearer {credential}", lambda tx: access.of_token_id(tx, _known(call, credential), call.now))
    elif scheme.lower() == "apikey":
        call.identify(f"apikey {credential}", lambda tx: _holder(call, credential, tx)[1])
    else:
        call.authenticate_as(call.headers.get("x-access-token"))


def _holder(call: Call, key: str, tx: Transaction) -> tuple[str, Principal]:
    """Return the id of an API token and whose it is.

    Raises:
        errors.Unauthenticated: It is not valid (any more).
        errors.LimitReached: There were too many from this address that were not.
    """
    try:
        return access.of_api_token(tx, key, call.now)
    except errors.Unauthenticated:
        # A right token always passes: it cannot be guessed, and one broken script must not lock out its neighbours.
        failures = call.cloud.failures
        _refuse_if(failures.wait(call.address))
        failures.count(call.address)
        raise


def sign(key: bytes, claims: Claims) -> str:
    """Return a JSON Web Token; RFC 7519, with HMAC-SHA256."""
    text = f"{_HEAD}.{_written(_encode(claims))}"
    return f"{text}.{_written(hmac.digest(key, text.encode(), hashlib.sha256))}"


def read(key: bytes, token: str, now: datetime) -> Claims:
    """Return what a token says that `sign` has made.

    Raises:
        errors.Unauthenticated: It is another's, was changed, or its time is over.
    """
    text, _, signature = token.rpartition(".")
    expected = _written(hmac.digest(key, text.encode(), hashlib.sha256))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise errors.Unauthenticated("The access token is not valid. Log in again.", 2001)
    try:
        body = text.partition(".")[2]
        claims = _claims.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError) as failure:
        raise errors.Unauthenticated("The access token is not valid. Log in again.", 2001) from failure
    if claims.exp <= now.timestamp():
        raise errors.Unauthenticated("The access token is not valid any more. Log in again.", 2001)
    return claims


def _known(call: Call, token: str) -> str:
    return read(call.cloud.store.key(_PURPOSE), token, call.now).tid


def _api_key(call: Call) -> str:
    try:
        form = parse_qs(call.body.decode(), max_num_fields=20)
    except ValueError as failure:
        raise errors.Invalid(f"The form cannot be read: {failure}", 1000) from failure
    if form.get("grant_type", [_GRANT])[-1] != _GRANT or "apikey" not in form:
        raise errors.Invalid(f"Send the form `grant_type={_GRANT}` with your API token as `apikey`.", 1001)
    return form["apikey"][-1]


def _refuse_if(seconds: float) -> None:
    if seconds > 0:
        raise errors.LimitReached(
            f"Too many logins. Wait {seconds:.0f} s and try again.", 1007, {"retryAfter": seconds}
        )


def _written(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
