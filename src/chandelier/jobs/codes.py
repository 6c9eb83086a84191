# SPDX-License-Identifier: Apache-2.0
"""Codes: OpenQASM texts under a name, which clients of 2017 run and look up again."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NewType

import msgspec
import sqlalchemy as sa

from chandelier import errors
from chandelier.store import Transaction, database
from chandelier.tenancy.users import UserId

CodeId = NewType("CodeId", str)

_codes: Final = sa.Table(
    "codes",
    database.metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("user_id", sa.ForeignKey("users.id"), nullable=False),
    sa.Column("name", sa.String(500), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created", database.UtcMilliseconds, nullable=False),
    sa.Column("deleted", database.UtcMilliseconds),
    sa.Index("ix_codes_user_id_created", "user_id", "created"),
)


class Draft(msgspec.Struct, frozen=True):
    """What a user says of a code.

    Attributes:
        kind: What language it is in, as the client calls it.
    """

    name: str
    kind: str
    text: str


class Code(msgspec.Struct, frozen=True):
    """A code as its row tells it."""

    id: CodeId
    user_id: UserId
    name: str
    kind: str
    text: str
    created: datetime


_COLUMNS: Final = tuple(_codes.c[field] for field in Code.__struct_fields__)


def create(tx: Transaction, user_id: UserId, draft: Draft, now: datetime) -> Code:
    """Add a code."""
    code = Code(CodeId(secrets.token_hex(12)), user_id, draft.name, draft.kind, draft.text, now)
    tx.execute(sa.insert(_codes), msgspec.structs.asdict(code) | {"deleted": None})
    return code


def get(tx: Transaction, code_id: str) -> Code:
    """Return a code.

    Raises:
        errors.NotFound: There is none of this id, or it was deleted.
    """
    row = tx.execute(sa.select(*_COLUMNS).where(_codes.c.id == code_id, _codes.c.deleted.is_(None))).first()
    if row is None:
        raise errors.NotFound("Code not found.", 3254)
    return _code(row)


def list_latest(tx: Transaction, user_id: UserId, limit: int) -> list[Code]:
    """Return the codes of a user, the newest first."""
    query = sa.select(*_COLUMNS).where(_codes.c.user_id == user_id, _codes.c.deleted.is_(None))
    newest = query.order_by(_codes.c.created.desc(), _codes.c.id.desc()).limit(limit)
    return [_code(row) for row in tx.execute(newest)]


def delete(tx: Transaction, code_id: str, now: datetime) -> None:
    """Hide a code whose job is deleted."""
    tx.execute(sa.update(_codes).where(_codes.c.id == code_id).values(deleted=now))


def purge(tx: Transaction, code_ids: Iterable[str]) -> None:
    """Remove what deleted codes say; their rows stay, since jobs name them."""
    gone = sa.update(_codes).where(_codes.c.id.in_(list(code_ids)), _codes.c.deleted.is_not(None))
    tx.execute(gone.values(text="", name=""))


def _code(row: sa.Row[*tuple[Any, ...]]) -> Code:
    return Code(**row._asdict())
