# SPDX-License-Identifier: Apache-2.0
"""Statements that every job or every poll runs: compiled by SQLAlchemy once, then given to the driver as they are.

What SQLAlchemy does for each execution costs several times what SQLite does (43 µs beside 8 for a row by its key), and
half as much again as a round trip to PostgreSQL.
"""

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql import visitors

Processor = Callable[[Any], Any]

#: For LIMIT: PostgreSQL plans a statement anew each time if it is to expect any number of rows.
ONE: Final[sa.ColumnElement[int]] = sa.literal_column("1", sa.Integer)


class Rows:
    """What a statement returned: all rows, each a named tuple, and how many rows it concerned."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: list[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def all(self) -> list[Any]:
        """Return the rows."""
        return self._rows

    def first(self) -> Any:
        """Return the first row, or None."""
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        """Return the only row."""
        assert len(self._rows) == 1, len(self._rows)
        return self._rows[0]

    def scalar(self) -> Any:
        """Return the first column of the first row, or None."""
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        """Return the only column of the only row."""
        return self.one()[0]


class Prepared:
    """A statement that is run many times, with values for its named parameters."""

    def __init__(self, statement: sa.Executable) -> None:
        assert isinstance(statement, sa.ClauseElement)
        self.statement: Final = statement
        self._forms: dict[tuple[Any, ...], _Form] = {}
        parameters = [each for each in visitors.iterate(statement) if isinstance(each, sa.BindParameter)]
        self._lists = {each.key for each in parameters if each.expanding}

    def run(self, connection: sa.Connection, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> Rows:
        """Run it, for each of several mappings of values if it is given several.

        Raises:
            sqlalchemy.exc.DBAPIError: As SQLAlchemy would raise it.
        """
        several: Sequence[Mapping[str, Any]] = () if values is None or isinstance(values, Mapping) else values
        single = values if isinstance(values, Mapping) else {}
        given = dict(several[0] if several else single)
        given |= {name: _padded(given[name]) for name in self._lists if name in given}
        form = self._form(connection.dialect, given)
        cursor = connection.connection.cursor()
        try:
            if len(several) > 1:
                cursor.executemany(form.text, [form.bound(each) for each in several])
                return Rows([], cursor.rowcount)
            cursor.execute(form.text, form.bound(given))
            return Rows(form.rows(cursor) if cursor.description else [], cursor.rowcount)
        except Exception as failure:
            driver = connection.dialect.loaded_dbapi
            if not isinstance(failure, driver.Error):
                raise
            # Without its parameters, which may be addresses and hashes.
            raise sa.exc.DBAPIError.instance(
                form.text, None, failure, driver.Error, hide_parameters=True, dialect=connection.dialect
            ) from failure
        finally:
            cursor.close()

    def _form(self, dialect: sa.Dialect, values: Mapping[str, Any]) -> "_Form":
        # An insertion names the columns that it is given, and each length of a list is a text of its own.
        key = (dialect.name, *values, *(len(values[name]) for name in self._lists if name in values))
        form = self._forms.get(key)
        if form is None:
            self._forms[key] = form = _Form(self.statement, dialect, values)
        return form


class _Form:
    """A statement in the words of one database, for lists of certain lengths."""

    def __init__(self, statement: sa.ClauseElement, dialect: sa.Dialect, values: Mapping[str, Any]) -> None:
        keys = list(values) if isinstance(statement, sa.Insert) else None
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        state = compiled.construct_expanded_state(dict(values))
        self.text: str = state.statement
        self._dialect = dialect
        self._order: Sequence[str] | None = state.positiontup
        self._lists: Mapping[str, list[str]] = state.parameter_expansion
        self._writers: dict[str, Processor] = {}
        for parameter, name in compiled.bind_names.items():
            write = parameter.type.dialect_impl(dialect).bind_processor(dialect)
            if write is not None:
                self._writers |= dict.fromkeys(self._lists.get(name, [name]), write)
        of_values = {name for key in values for name in self._lists.get(key, [key])}
        self._constants = {name: value for name, value in state.parameters.items() if name not in of_values}
        columns = getattr(statement, "exported_columns", None)
        self._columns: list[Any] = [] if columns is None else [each.type for each in columns.values()]
        #: How to make a row; set in one piece, since several threads may be the first.
        self._reading: tuple[Callable[[Any], Any], list[tuple[int, Processor]]] | None = None

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Return values as the driver takes them."""
        found = dict(self._constants)
        for name, value in values.items():
            if name in self._lists:
                found.update(zip(self._lists[name], value, strict=True))
            else:
                found[name] = value
        for name, write in self._writers.items():
            found[name] = write(found[name])
        return found if self._order is None else tuple([found[name] for name in self._order])

    def rows(self, cursor: Any) -> list[Any]:
        """Return all that a cursor has, by the types of the columns."""
        if self._reading is None:
            self._reading = self._learned(cursor.description)
        make, readers = self._reading
        if not readers:
            return [make(row) for row in cursor.fetchall()]
        found = []
        for row in cursor.fetchall():
            read = list(row)
            for place, reader in readers:
                read[place] = reader(read[place])
            found.append(make(read))
        return found

    def _learned(
        self, description: Sequence[Sequence[Any]]
    ) -> tuple[Callable[[Any], Any], list[tuple[int, Processor]]]:
        readers = []
        for place, (type_, told) in enumerate(zip(self._columns, description, strict=True)):
            reader = type_.dialect_impl(self._dialect).result_processor(self._dialect, told[1])
            if reader is not None:
                readers.append((place, reader))
        return _named(tuple(str(told[0]) for told in description))._make, readers


@functools.cache
def _named(names: tuple[str, ...]) -> Any:
    return collections.namedtuple("Row", names, rename=True)  # the names are known only now


def _padded(values: Sequence[Any]) -> list[Any]:
    """Return a list of a power of two, its last value repeated, so that lists of all lengths share a few texts."""
    found = list(values)
    return found + found[-1:] * ((1 << (len(found) - 1).bit_length()) - len(found)) if found else found
