# SPDX-License-Identifier: Apache-2.0
"""How far off past forecasts were, for each device; the only writer of its table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from chandelier.store import Transaction, database

#: So many of the last errors are kept for each device.
KEPT: Final = 200
#: Fewer say nothing.
_LEAST: Final = 5

_errors: Final = sa.Table(
    "forecast_errors",
    database.metadata,
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("seconds", sa.JSON, nullable=False),
)


class Quality(msgspec.Struct, frozen=True):
    """How far off forecasts of a start were, either way: half of them by less than `p50` s, nine of ten by `p90` s."""

    p50: float
    p90: float


def note(tx: Transaction, off: Mapping[str, Sequence[float]]) -> None:
    """Keep how far off some forecasts were, s, by device."""
    for device_id, seconds in off.items():
        database.insert_if_absent(tx, _errors, {"device_id": device_id, "seconds": []})
        mine = _errors.c.device_id == device_id
        known = tx.execute(sa.select(_errors.c.seconds).where(mine)).scalar_one()
        kept = [round(error, 3) for error in (*known, *seconds)][-KEPT:]
        tx.execute(sa.update(_errors).where(mine).values(seconds=kept))


def qualities(tx: Transaction) -> dict[str, Quality]:
    """Return how good forecasts are, by device; without those of which too little is known."""
    rows = tx.execute(sa.select(_errors.c.device_id, _errors.c.seconds))
    return {row.device_id: quality(row.seconds) for row in rows if len(row.seconds) >= _LEAST}


def quality(seconds: Sequence[float]) -> Quality:
    """Return what to expect after two or more errors, s."""
    tenths = statistics.quantiles(seconds, n=10, method="inclusive")
    return Quality(tenths[4], tenths[8])
