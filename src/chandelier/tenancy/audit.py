# SPDX-License-Identifier: Apache-2.0
"""What was done by administrators: who, what, to what, before and after, when; written once and never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from chandelier.store import Transaction, database
from chandelier.tenancy.network import Spot

_acts: Final = sa.Table(
    "audit",
    database.metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at", database.UtcMilliseconds, nullable=False),
    sa.Column("who", sa.String(255), nullable=False),
    sa.Column("act", sa.String(64), nullable=False),
    # Both are empty for what was done outside the tree, so that no hub's administrators are told of it.
    sa.Column("path", sa.String(200), nullable=False),
    sa.Column("hub_id", sa.String(24), nullable=False),
    sa.Column("before", sa.JSON),
    sa.Column("after", sa.JSON),
    sa.Index("ix_audit_hub_id_number", "hub_id", "number"),
)


class By(msgspec.Struct, frozen=True):
    """Who acts, as this log names them, and when."""

    who: str
    now: datetime


class Act(msgspec.Struct, frozen=True):
    """One thing that was done.

    Attributes:
        number: Later acts have higher ones.
        who: Address of the administrator, or how else the act came about.
        act: What was done, like `group.add`.
        path: Hub, group and project it was done to, as people write them; empty for what belongs to no hub.
        before: What changed, as it was; None if there was nothing.
        after: What changed, as it is now; None if there is nothing.
    """

    number: int
    at: datetime
    who: str
    act: str
    path: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def write(
    tx: Transaction,
    who: str,
    act: str,
    spot: Spot | None,
    now: datetime,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Write down what is being done in this transaction.

    Args:
        spot: To what; None for accounts, tokens and devices, which belong to the installation.
    """
    row: dict[str, Any] = {"at": now, "who": who, "act": act, "path": "", "hub_id": ""}
    if spot is not None:
        row |= {"path": spot.path, "hub_id": spot.hub.id}
    tx.execute(sa.insert(_acts), row | {"before": before and dict(before), "after": after and dict(after)})


def list_(
    tx: Transaction,
    *,
    hub_id: str | None = None,
    path: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Act]:
    """Return acts, the last first.

    Args:
        hub_id: Only those in this hub.
        path: Only those to what has, or had, this path, and to what is in it.
        before: Only those with a lower number: where the next page goes on.
    """
    query = sa.select(*(_acts.c[name] for name in Act.__struct_fields__))
    if hub_id is not None:
        query = query.where(_acts.c.hub_id == hub_id)
    if path is not None:
        query = query.where(sa.or_(_acts.c.path == path, _acts.c.path.startswith(f"{path}/", autoescape=True)))
    if before is not None:
        query = query.where(_acts.c.number < before)
    return [Act(*row) for row in tx.execute(query.order_by(_acts.c.number.desc()).limit(limit))]
