# SPDX-License-Identifier: Apache-2.0
"""Users and their tokens; the only writer of both tables.

Tokens are random and kept as SHA-256 digests: with 256 bits of entropy there is nothing to guess, so a slow hash would
only slow down each request. Passwords are chosen by people and hashed with argon2.
"""

import functools
import hashlib
import itertools
import re
import secrets
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal, NewType

import argon2
import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Store, Transaction, database
from chandelier.store.prepared import Prepared

UserId = NewType("UserId", str)
TokenId = NewType("TokenId", str)
TokenKind = Literal["api", "access"]

#: How long a login lasts; clients show it and never refresh. Source: protocol 2.1, recorded `ttl` 1209600.
ACCESS_LIFETIME: Final = timedelta(days=14)

#: Tokens, or addresses, in one statement.
_CHUNK: Final = 500

_hasher: Final = argon2.PasswordHasher()
# Each check takes 64 MiB and a core for a moment: a crowd of logins waits in line.
_verifying: Final = threading.BoundedSemaphore(2)
#: No control characters, and nothing at the beginning that a spreadsheet takes for a formula.
_EMAIL: Final = re.compile(r"(?![=+\-])[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,190}")

_users: Final = sa.Table(
    "users",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("email", sa.String(255), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("password_hash", sa.String(200)),
    sa.Column("operator", sa.Boolean, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
)

_tokens: Final = sa.Table(
    "tokens",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(100), nullable=False),
    # The API token that a login was made with: revoking it ends its logins too.
    sa.Column("parent_id", sa.String(24), index=True),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("expires", database.UtcMilliseconds, index=True),
    sa.Column("revoked", database.UtcMilliseconds),
)


class User(msgspec.Struct, frozen=True):
    """An account.

    Attributes:
        operator: Whether the user operates the installation and may do everything.
    """

    id: UserId
    email: str
    name: str
    operator: bool
    created: datetime


class Token(msgspec.Struct, frozen=True):
    """A token as it may be shown: everything but its text."""

    id: TokenId
    user_id: UserId
    kind: TokenKind
    name: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None


class Login(msgspec.Struct, frozen=True):
    """An access token just made; `text` is shown once."""

    text: str
    user_id: UserId
    created: datetime
    lifetime: timedelta


_USER: Final = (_users.c.id, _users.c.email, _users.c.name, _users.c.operator, _users.c.created)
_TOKEN: Final = tuple(_tokens.c[field] for field in Token.__struct_fields__)
_IS_VALID: Final = (
    _tokens.c.digest == sa.bindparam("digest"),
    _tokens.c.kind == sa.bindparam("kind"),
    _tokens.c.revoked.is_(None),
    sa.or_(_tokens.c.expires.is_(None), _tokens.c.expires > sa.bindparam("now")),
)
# Built once, because each request runs one of them.
_VALID: Final = Prepared(sa.select(*_TOKEN).where(*_IS_VALID))
# Where there are several writers the lock lets no login slip past a revocation that is going on.
_VALID_LOCKED: Final = Prepared(sa.select(*_TOKEN).where(*_IS_VALID).with_for_update(read=True))
_HOLDER: Final = Prepared(sa.select(*_USER).join(_tokens, _tokens.c.user_id == _users.c.id).where(*_IS_VALID))
_HOLDER_BY_ID: Final = Prepared(
    sa.select(*_USER)
    .join(_tokens, _tokens.c.user_id == _users.c.id)
    .where(_tokens.c.id == sa.bindparam("token"), *_IS_VALID[1:])
)
_HOLDERS: Final = (
    sa.select(_tokens.c.digest, *_USER)
    .join(_tokens, _tokens.c.user_id == _users.c.id)
    .where(_tokens.c.digest.in_(sa.bindparam("digests", expanding=True)), *_IS_VALID[1:])
)


def create(
    tx: Transaction,
    email: str,
    now: datetime,
    *,
    name: str = "",
    password_hash: str | None = None,
    operator: bool = False,
) -> User:
    """Add an account.

    Args:
        email: The address that identifies the user; kept in lower case.
        password_hash: What `hash_password` returned; None allows tokens only.

    Raises:
        errors.Invalid: The address is not one.
        errors.Conflict: An account with this address exists.
    """
    user = User(UserId(secrets.token_hex(12)), address(email), name[:200], operator, now)
    row = msgspec.structs.asdict(user) | {"password_hash": password_hash}
    reserve(tx, user.email)
    if not database.insert_if_absent(tx, _users, row):
        raise errors.Conflict(f"An account for {user.email} exists.", 3501)
    return user


def reserve(tx: Transaction, address: str) -> None:
    """Let no other transaction make an account for an address, or invite it, before this one has ended.

    Args:
        address: As accounts are known by it.
    """
    tx.alone(f"address:{address}")


def address(email: str) -> str:
    """Return an e-mail address as accounts are known by it.

    Raises:
        errors.Invalid: It is none.
    """
    known = email.strip().lower()
    if not _EMAIL.fullmatch(known):
        raise errors.Invalid(f"{email[:100]!r} is not an e-mail address.", 1001)
    return known


def find_by_email(tx: Transaction, email: str) -> User | None:
    """Return the account of an address, if there is one."""
    row = tx.execute(sa.select(*_USER).where(_users.c.email == email.strip().lower())).first()
    return None if row is None else User(*row)


def find_all_by_email(tx: Transaction, emails: Iterable[str]) -> dict[str, User]:
    """Return the accounts of some addresses, by address in lower case; without those that have none."""
    found: dict[str, User] = {}
    wanted = iter({email.strip().lower() for email in emails})
    while chunk := list(itertools.islice(wanted, _CHUNK)):
        for row in tx.execute(sa.select(*_USER).where(_users.c.email.in_(chunk))):
            found[row.email] = User(*row)
    return found


def get(tx: Transaction, user_id: str) -> User:
    """Return an account.

    Raises:
        errors.NotFound: There is none of this id.
    """
    row = tx.execute(sa.select(*_USER).where(_users.c.id == user_id)).first()
    if row is None:
        raise errors.NotFound(f"No user has the id {user_id}.", 3500)
    return User(*row)


def find_all(tx: Transaction, user_ids: Iterable[str]) -> dict[str, User]:
    """Return the accounts of some ids, by id."""
    query = sa.select(*_USER).where(_users.c.id.in_(sorted(user_ids)))
    return {row.id: User(*row) for row in tx.execute(query)}


def list_(tx: Transaction) -> list[User]:
    """Return every account, oldest first."""
    return [User(*row) for row in tx.execute(sa.select(*_USER).order_by(_users.c.created, _users.c.id))]


def find_operator(tx: Transaction) -> User | None:
    """Return the oldest operator account, if the installation has one."""
    query = sa.select(*_USER).where(_users.c.operator).order_by(_users.c.created).limit(1)
    row = tx.execute(query).first()
    return None if row is None else User(*row)


def hash_password(password: str) -> str:
    """Return the argon2 hash of a password; slow on purpose, so never inside a transaction.

    Raises:
        errors.Invalid: The password is shorter than 8 characters.
    """
    check_password(password)
    return _hasher.hash(password)


def check_password(password: str) -> None:
    """Refuse what cannot be a password.

    Raises:
        errors.Invalid: It is shorter than 8 characters.
    """
    if len(password) < 8:
        raise errors.Invalid("The password is too short: use at least 8 characters.", 1001)


def issue(
    tx: Transaction,
    user_id: UserId,
    kind: TokenKind,
    now: datetime,
    *,
    name: str = "",
    lifetime: timedelta | None = None,
    parent_id: TokenId | None = None,
) -> tuple[str, Token]:
    """Make a token and return its text, which is never seen again, and its record.

    The text is hexadecimal, because old clients put it into query strings without escaping.
    """
    text = secrets.token_hex(64 if kind == "api" else 32)
    expires = None if lifetime is None else now + lifetime
    token = Token(TokenId(secrets.token_hex(12)), user_id, kind, name[:100], now, expires, None)
    row = msgspec.structs.asdict(token) | {"digest": _digest(text), "parent_id": parent_id}
    tx.execute(sa.insert(_tokens), row)
    return text, token


def list_tokens(tx: Transaction, user_id: UserId) -> list[Token]:
    """Return a user's API tokens, oldest first, the revoked ones too."""
    query = sa.select(*_TOKEN).where(_tokens.c.user_id == user_id, _tokens.c.kind == "api")
    return [Token(*row) for row in tx.execute(query.order_by(_tokens.c.created, _tokens.c.id))]


def revoke(tx: Transaction, token_id: str, now: datetime) -> Token:
    """End a token, and every login made with it, at once.

    Raises:
        errors.NotFound: There is no such token, or it is revoked.
    """
    query = sa.select(*_TOKEN).where(_tokens.c.id == token_id, _tokens.c.revoked.is_(None))
    row = tx.execute(query.with_for_update()).first()
    if row is None:
        raise errors.NotFound(f"No valid token has the id {token_id}.", 3500)
    tx.ring("tokens")
    ended = sa.or_(_tokens.c.id == token_id, _tokens.c.parent_id == token_id)
    tx.execute(sa.update(_tokens).where(ended, _tokens.c.revoked.is_(None)).values(revoked=now))
    return Token(*row)


def login_with_token(store: Store, text: str, now: datetime) -> Login:
    """Exchange an API token for an access token.

    Raises:
        errors.Unauthenticated: The token is not a valid API token.
    """

    def work(tx: Transaction) -> Login:
        token = _find_valid(tx, text, "api", now)
        if token is None:
            raise errors.Unauthenticated("The API token is not valid. Copy it again from your account.", 2001)
        return _log_in(tx, token.user_id, now, token.id)

    return store.write(work)


def login_with_password(store: Store, email: str, password: str, now: datetime) -> Login:
    """Exchange an e-mail address and a password for an access token.

    Raises:
        errors.Unauthenticated: There is no such account, it has no password, or the password is another.
    """
    query = sa.select(_users.c.id, _users.c.password_hash).where(_users.c.email == email.strip().lower())
    row = store.read(lambda tx: tx.execute(query).first())
    # An unknown address costs as much time as a wrong password, so that neither can be told from the other.
    stored = row.password_hash if row is not None and row.password_hash else _dummy_hash()
    try:
        with _verifying:
            _hasher.verify(stored, password)
    except argon2.exceptions.VerificationError:
        row = None
    if row is None or row.password_hash is None:
        raise errors.Unauthenticated("E-mail address or password is wrong.", 2002)
    return store.write(lambda tx: _log_in(tx, UserId(row.id), now, None))


def holder(tx: Transaction, text: str, now: datetime) -> UserId | None:
    """Return whose API token this is; None when it is not valid (any more)."""
    token = _find_valid(tx, text, "api", now)
    return None if token is None else token.user_id


def authenticate(tx: Transaction, text: str, now: datetime) -> User | None:
    """Return whose access token this is; None when it is not valid (any more). One indexed read."""
    row = tx.execute(_HOLDER, {"digest": _digest(text), "kind": "access", "now": now}).first()
    return None if row is None else User(*row)


def of_api_token(tx: Transaction, text: str, now: datetime) -> tuple[TokenId, User] | None:
    """Return which API token this is, and whose; None when it is not valid (any more)."""
    row = tx.execute(_VALID, {"digest": _digest(text), "kind": "api", "now": now}).first()
    return None if row is None else (row.id, get(tx, row.user_id))


def by_token_id(tx: Transaction, token_id: str, now: datetime) -> User | None:
    """Return whose API token has this id; None when it is not valid (any more)."""
    row = tx.execute(_HOLDER_BY_ID, {"token": token_id, "kind": "api", "now": now}).first()
    return None if row is None else User(*row)


def authenticate_all(tx: Transaction, texts: Iterable[str], now: datetime) -> dict[str, User]:
    """Return what `authenticate` does for each of several tokens, without those that are not valid (any more)."""
    by_digest = {_digest(text): text for text in texts}
    found: dict[str, User] = {}
    digests = iter(by_digest)
    while chunk := list(itertools.islice(digests, _CHUNK)):
        for row in tx.execute(_HOLDERS, {"digests": chunk, "kind": "access", "now": now}):
            found[by_digest[row[0]]] = User(*row[1:])
    return found


def forget_expired(tx: Transaction, now: datetime) -> int:
    """Remove access tokens that expired; return how many."""
    gone = sa.delete(_tokens).where(_tokens.c.kind == "access", _tokens.c.expires < now)
    return tx.execute(gone).rowcount


def _log_in(tx: Transaction, user_id: UserId, now: datetime, parent_id: TokenId | None) -> Login:
    text, _ = issue(tx, user_id, "access", now, lifetime=ACCESS_LIFETIME, parent_id=parent_id)
    return Login(text, user_id, now, ACCESS_LIFETIME)


def _find_valid(tx: Transaction, text: str, kind: TokenKind, now: datetime) -> Token | None:
    query = _VALID_LOCKED if tx.skips_locked else _VALID
    row = tx.execute(query, {"digest": _digest(text), "kind": kind, "now": now}).first()
    return None if row is None else Token(*row)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _dummy_hash() -> str:
    """Return the hash of a password that nobody has; made when it is first needed, for it takes a moment."""
    return _hasher.hash(secrets.token_hex(16))
