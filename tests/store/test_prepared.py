# SPDX-License-Identifier: Apache-2.0
"""Prepared statements answer as SQLAlchemy's own execution does, on both databases."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import sqlalchemy as sa

from chandelier import errors
from chandelier.jobs import records
from chandelier.store import Store, Transaction, database, prepared
from chandelier.store.prepared import Prepared
from factories import Town, queued

_DEVICES: Final = database.metadata.tables["devices"]
_JOBS: Final = database.metadata.tables["jobs"]
_RULES: Final = database.metadata.tables["fair_rules"]


def both(tx: Transaction, statement: sa.Select[Any], values: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return what each way of running a statement gives, as plain tuples."""
    return [tuple(row) for row in tx.execute(Prepared(statement), values)], [
        tuple(row) for row in tx.execute(statement, values)
    ]


def test_rows_are_those_of_sqlalchemy(town: Town) -> None:
    """Of times, documents, numbers and nothing at all."""
    job = queued(town)
    ours, theirs = town.store.read(
        lambda tx: both(tx, sa.select(_JOBS).where(_JOBS.c.id == sa.bindparam("id")), {"id": job.id})
    )

    assert ours == theirs
    assert isinstance(ours[0][list(_JOBS.c).index(_JOBS.c.created)], datetime)
    assert isinstance(ours[0][list(_JOBS.c).index(_JOBS.c.summary)], dict)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_lists_may_be_of_any_length(town: Town, count: int) -> None:
    """Each length is a text of its own; an empty list matches nothing."""
    jobs = [queued(town) for _ in range(3)]
    query = sa.select(_JOBS.c.id).where(_JOBS.c.id.in_(sa.bindparam("ids", expanding=True))).order_by(_JOBS.c.created)
    ours, theirs = town.store.read(lambda tx: both(tx, query, {"ids": [job.id for job in jobs[:count]]}))

    assert ours == theirs
    assert len(ours) == count


def test_what_a_statement_fixes_itself_is_given_too(town: Town) -> None:
    """Constants of other types than their columns' are turned into what the database keeps."""
    queued(town)
    query = sa.select(_JOBS.c.id).where(_JOBS.c.created < datetime(2100, 1, 1, tzinfo=UTC), _JOBS.c.state == "QUEUED")
    ours, theirs = town.store.read(lambda tx: both(tx, query, {}))

    assert ours == theirs
    assert len(ours) == 1


def test_rows_have_names(town: Town) -> None:
    """As many as they need: one, none and just one are told apart."""
    query = Prepared(sa.select(_DEVICES.c.name, _DEVICES.c.qubits).where(_DEVICES.c.id == sa.bindparam("id")))

    def look(tx: Transaction) -> tuple[Any, Any, Any, int]:
        rows = tx.execute(query, {"id": town.device.id})
        nothing = tx.execute(query, {"id": "?"})
        return rows.one().name, rows.first().qubits, nothing.first() or nothing.scalar(), len(nothing.all())

    assert town.store.read(look) == (town.device.name, town.device.qubits, None, 0)


def test_several_rows_are_written_at_once(town: Town) -> None:
    """With the number of those concerned."""
    jobs = [queued(town) for _ in range(3)]
    rename = Prepared(
        sa.update(_JOBS).where(_JOBS.c.id == sa.bindparam("job")).values(name=sa.bindparam("new", type_=sa.String))
    )
    count = town.store.write(
        lambda tx: tx.execute(rename, [{"job": job.id, "new": f"{place}"} for place, job in enumerate(jobs)]).rowcount
    )

    assert count == 3
    assert [town.store.read(lambda tx, job=job: records.get(tx, job.id)).name for job in jobs] == ["0", "1", "2"]  # type: ignore[misc]


def test_a_row_that_is_there_is_not_inserted(store: Store) -> None:
    """`insert_if_absent` is prepared, and tells."""
    row = {"number": 1} | dict.fromkeys((each.name for each in _RULES.c if each.name != "number"), 1.0)

    assert store.write(lambda tx: database.insert_if_absent(tx, _RULES, row))
    assert not store.write(lambda tx: database.insert_if_absent(tx, _RULES, row))


def test_failures_are_those_of_sqlalchemy(store: Store) -> None:
    """So what the house makes of them holds; values, which may be secrets, are not told."""
    insert = Prepared(sa.insert(_RULES))
    row = {"number": 1} | dict.fromkeys((each.name for each in _RULES.c if each.name != "number"), 1.0)
    with pytest.raises(sa.exc.IntegrityError) as caught:
        store.write(lambda tx: [tx.execute(insert, row) for _ in range(2)])

    assert "1.0" not in str(caught.value).split("SQL:")[1]


def test_a_value_that_no_column_holds_is_invalid(postgres_town: Town) -> None:
    """PostgreSQL says so; SQLite holds it."""
    query = Prepared(sa.select(_DEVICES.c.id).where(_DEVICES.c.qubits == sa.bindparam("qubits")))
    with pytest.raises(errors.Invalid):
        postgres_town.store.read(lambda tx: tx.execute(query, {"qubits": 1 << 40}))


def test_several_threads_may_be_the_first(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each learns how rows are read; what one learns does not add to what another did."""
    job = queued(town)
    together = threading.Barrier(2)
    query = Prepared(sa.select(_JOBS.c.created, _JOBS.c.summary).where(_JOBS.c.id == sa.bindparam("id")))
    known = prepared._named

    def named(names: tuple[str, ...]) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(5)
        return known(names)

    monkeypatch.setattr(prepared, "_named", named)

    def read(_number: int) -> Any:
        return town.store.read(lambda tx: tuple(tx.execute(query, {"id": job.id}).one()))

    with ThreadPoolExecutor(2) as threads:
        rows = list(threads.map(read, range(2)))

    assert rows[0] == rows[1] == read(0)


def test_lists_of_many_lengths_share_a_few_texts(town: Town) -> None:
    """Nobody's list can make the memory of statements grow without end."""
    query = Prepared(sa.select(_JOBS.c.id).where(_JOBS.c.id.in_(sa.bindparam("ids", expanding=True))))
    for count in range(200):
        town.store.read(lambda tx, count=count: tx.execute(query, {"ids": [f"{n}" for n in range(count)]}).all())  # type: ignore[misc]

    assert len(query._forms) < 12
