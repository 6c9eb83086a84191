# SPDX-License-Identifier: Apache-2.0
"""How long programs run on a device, learned from those that ran; the only writer of what was learned.

The engine predicts processor time from a program's content, by numbers that were measured on another machine. Here the
run time of each device and kind of program is learned as a line, seconds = a + b · predicted, from every job that ran
to its end. Residuals count relative to a job's size, so that short jobs teach as much as long ones.

The line is the least-squares one of sums that fade with every job (recursive least squares with a forgetting factor),
held towards a = 0, b = 1 by a little weight, so that it exists whatever was seen. A residual beyond three times their
median counts less (Huber's weight), so that an outlier moves the line no further than that; the median follows by
steps of its sign, so that a machine that has changed is believed after some tens of jobs.

Source: L. Ljung, System Identification (2nd ed., 1999), section 11.2; P. J. Huber, Ann. Math. Statist. 35 (1964) 73;
for the median H. Robbins and S. Monro, Ann. Math. Statist. 22 (1951) 400.
"""

import math
from typing import Final

import msgspec
import sqlalchemy as sa

from chandelier.devices import DeviceId
from chandelier.store import Transaction, database
from chandelier.store.prepared import Prepared

#: The prediction holds as it is until this many jobs were seen.
ENOUGH: Final = 10
#: What each further job leaves of what was learned before, and one that is far off: the last fifty or so count.
_KEPT: Final = 0.98
_KEPT_AFTER_SURPRISE: Final = 0.85
#: Residuals are relative to the predicted time and this much more, s.
_LEAST: Final = 0.05
#: How firmly the line is held towards a = 0, b = 1, where one job is 1; a is large when it is this many seconds.
_FIRMNESS: Final = 0.2
_LARGE: Final = 1.0
#: A residual that is this many medians large begins to count less.
_BEYOND: Final = 3.0
#: By how much the median moves with each job, and where it stays.
_STEP: Final = 0.08
_SPREADS: Final = (0.01, 10.0)
#: Nothing runs longer, s; keeps the sums finite.
_LONGEST: Final = 1e7

_estimates: Final = sa.Table(
    "estimates",
    database.metadata,
    sa.Column("device_id", sa.ForeignKey("devices.id"), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("jobs", sa.BigInteger, nullable=False),
    *(sa.Column(name, sa.Float(53), nullable=False) for name in ("w", "wx", "wxx", "wy", "wxy", "spread")),
)


class Line(msgspec.Struct, frozen=True):
    """What was learned of one kind of program on a device.

    Attributes:
        jobs: From how many jobs.
        w: Sum of the weights; each fades, and is over the square of the scale of its job, 1/s².
        wx: The same of the predicted times, 1/s.
        wxx: Of their squares.
        wy: Of the times that the runs took, 1/s.
        wxy: Of the products of both.
        spread: Median of the residuals' size, relative to the scale of their jobs.
    """

    jobs: int = 0
    w: float = 0.0
    wx: float = 0.0
    wxx: float = 0.0
    wy: float = 0.0
    wxy: float = 0.0
    spread: float = 0.5


_COLUMNS: Final = tuple(_estimates.c[name] for name in Line.__struct_fields__)
# Built once, because each job runs them.
_LINE: Final = sa.select(*_COLUMNS).where(
    _estimates.c.device_id == sa.bindparam("device"), _estimates.c.kind == sa.bindparam("program")
)
_GET: Final = Prepared(_LINE)
_GET_LOCKED: Final = Prepared(_LINE.with_for_update())
_SET: Final = Prepared(
    sa.update(_estimates)
    .where(_estimates.c.device_id == sa.bindparam("device"), _estimates.c.kind == sa.bindparam("program"))
    .values({name: sa.bindparam(f"new_{name}") for name in Line.__struct_fields__})
)


def coefficients(line: Line) -> tuple[float, float]:
    """Return a, s, and b of the line; neither is negative."""
    first, second = line.w + _FIRMNESS / _LARGE**2, line.wxx + _FIRMNESS
    left, right = line.wy, line.wxy + _FIRMNESS
    determinant = first * second - line.wx * line.wx
    a = (left * second - line.wx * right) / determinant
    b = (first * right - line.wx * left) / determinant
    if a < 0:
        return 0.0, max(0.0, right / second)
    return (a, b) if b >= 0 else (max(0.0, left / first), 0.0)


def expected(line: Line, predicted: float, most: float = math.inf) -> float:
    """Return how long a program is expected to run, s: from 0 to `most`.

    Args:
        predicted: What the engine predicts, s.
    """
    if line.jobs < ENOUGH:
        return min(max(0.0, predicted), most)
    a, b = coefficients(line)
    return min(a + b * min(max(0.0, predicted), _LONGEST), most)


def taught(line: Line, predicted: float, seconds: float) -> Line:
    """Return what is known after one job more.

    Args:
        predicted: What the engine had predicted, s.
        seconds: How long it ran, s.
    """
    if not (math.isfinite(predicted) and math.isfinite(seconds)):
        return line
    x, y = (min(max(0.0, value), _LONGEST) for value in (predicted, seconds))
    known = expected(line, x)
    scale = x + _LEAST
    residual = abs(y - known) / (min(y, known) + _LEAST)
    surprise = residual > _BEYOND * line.spread
    weight = (_BEYOND * line.spread / residual if surprise else 1.0) / (scale * scale)
    kept = _KEPT_AFTER_SURPRISE if surprise else _KEPT
    spread = line.spread * math.exp(_STEP if residual > line.spread else -_STEP)
    return Line(
        line.jobs + 1,
        kept * line.w + weight,
        kept * line.wx + weight * x,
        kept * line.wxx + weight * x * x,
        kept * line.wy + weight * y,
        kept * line.wxy + weight * x * y,
        min(max(spread, _SPREADS[0]), _SPREADS[1]),
    )


def get(tx: Transaction, device_id: DeviceId, kind: str) -> Line:
    """Return what was learned of a kind of program on a device."""
    return _get(tx, device_id, kind, _GET)


def learn(tx: Transaction, device_id: DeviceId, kind: str, predicted: float, seconds: float) -> None:
    """Learn from a job that ran to its end; arguments as of `taught`."""
    values = {"device_id": device_id, "kind": kind} | msgspec.structs.asdict(Line())
    locked = _GET_LOCKED if tx.skips_locked else _GET
    line = _get(tx, device_id, kind, locked)
    if line.jobs == 0 and database.insert_if_absent(tx, _estimates, values) is False:
        line = _get(tx, device_id, kind, locked)  # another's first job was as quick
    new = msgspec.structs.asdict(taught(line, predicted, seconds))
    tx.execute(_SET, {"device": device_id, "program": kind} | {f"new_{name}": value for name, value in new.items()})


def _get(tx: Transaction, device_id: DeviceId, kind: str, query: Prepared) -> Line:
    row = tx.execute(query, {"device": device_id, "program": kind}).first()
    return Line() if row is None else Line(*row)
