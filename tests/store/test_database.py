# SPDX-License-Identifier: Apache-2.0
"""The database: transactions, the writer that commits in groups, and what other processes write."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from chandelier import errors
from chandelier.store import Transaction
from chandelier.store.bell import Bell
from chandelier.store.database import Database, UtcMilliseconds, from_milliseconds, insert_if_absent, to_milliseconds

PATIENCE = 30.0  # seconds until a test gives up; no test takes as long when the code works

#: Not one of the house's tables: these tests are about transactions, not about what is in them.
_words = sa.Table(
    "words",
    sa.MetaData(),
    sa.Column("word", sa.String(20), primary_key=True),
    sa.Column("at", UtcMilliseconds),
)


@pytest.fixture(name="bell")
def _bell() -> Bell:
    return Bell()


@pytest.fixture(name="database")
def _database(empty_database_url: str, bell: Bell) -> Iterator[Database]:
    opened = Database(empty_database_url, bell)
    opened.write(lambda tx: _words.create(tx.connection))
    yield opened
    opened.close()


def say(word: str) -> Callable[[Transaction], str]:
    """Return a write that inserts a word and returns it."""

    def work(tx: Transaction) -> str:
        tx.execute(sa.insert(_words), {"word": word})
        return word

    return work


def fail(word: str) -> Callable[[Transaction], str]:
    """Return a write that inserts a word and then raises."""

    def work(tx: Transaction) -> str:
        tx.execute(sa.insert(_words), {"word": word})
        raise errors.Conflict("on purpose", 3251)

    return work


def fail_to_wake() -> None:
    """Do as a listener whose event loop is closed."""
    raise RuntimeError("on purpose")


def said(database: Database) -> list[str]:
    """Return the words that are stored, in order."""
    query = sa.select(_words.c.word).order_by(_words.c.word)
    return list(database.read(lambda tx: tx.execute(query).scalars().all()))


def hold_writer(database: Database) -> Callable[[], None]:
    """Keep the writer busy, so that what is submitted meanwhile gathers in one batch; return what lets it go."""
    entered, leave = threading.Event(), threading.Event()

    def work(_tx: Transaction) -> None:
        entered.set()
        leave.wait(PATIENCE)

    database.submit(work)
    assert entered.wait(PATIENCE)
    return leave.set


def test_a_write_returns_what_its_function_returns(database: Database) -> None:
    """And what it wrote can be read when it has returned."""
    assert database.write(say("one")) == "one"
    assert said(database) == ["one"]


def test_a_failing_write_leaves_nothing_and_raises(database: Database) -> None:
    """The caller gets the very error that its function raised."""
    with pytest.raises(errors.Conflict, match="on purpose"):
        database.write(fail("never"))

    assert said(database) == []


def test_a_failing_write_does_not_undo_its_neighbours(database: Database) -> None:
    """Of those that are committed together, only the one that failed is undone."""
    let_go = hold_writer(database)
    futures = [database.submit(work) for work in (say("a"), fail("b"), say("c"), fail("d"), say("e"))]
    let_go()

    outcomes = [future.exception(PATIENCE) is None for future in futures]
    assert outcomes == [True, False, True, False, True]
    assert said(database) == ["a", "c", "e"]


def test_a_broken_constraint_does_not_undo_its_neighbours(database: Database) -> None:
    """An error of the database itself is undone as well as one of ours."""
    let_go = hold_writer(database)
    futures = [database.submit(say(word)) for word in ("a", "b", "a", "c")]
    let_go()

    failed = [future for future in futures if future.exception(PATIENCE) is not None]
    assert len(failed) == 1
    assert isinstance(failed[0].exception(), sa.exc.IntegrityError)
    assert said(database) == ["a", "b", "c"]


def test_writes_run_in_the_order_of_submission_on_sqlite(sqlite_url: str, bell: Bell) -> None:
    """One thread writes, first come, first served, over many batches too."""
    database = Database(sqlite_url, bell)
    order: list[int] = []
    let_go = hold_writer(database)

    def note(_tx: Transaction, number: int) -> None:
        order.append(number)

    futures = [database.submit(partial(note, number=number)) for number in range(200)]
    let_go()
    for future in futures:
        future.result(PATIENCE)
    database.close()

    assert order == list(range(200))


def test_one_who_writes_alone_wakes_no_other_thread(sqlite_url: str, bell: Bell) -> None:
    """The function runs in the thread that calls; one that is handed over runs in another."""
    database = Database(sqlite_url, bell)
    here = threading.get_ident()
    written = database.write(lambda _tx: threading.get_ident())
    handed_over = database.submit(lambda _tx: threading.get_ident()).result(PATIENCE)
    database.close()

    assert written == here
    assert handed_over != here


def test_writers_that_wait_are_done_by_whoever_leads(sqlite_url: str, bell: Bell) -> None:
    """Many threads write at once: each has its own answer, and every row is there."""
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))
    with ThreadPoolExecutor(16) as threads:
        let_go = hold_writer(database)
        answers = [threads.submit(database.write, say(f"{number:03}")) for number in range(300)]
        let_go()
        found = [answer.result(PATIENCE) for answer in answers]

    assert found == [f"{number:03}" for number in range(300)]
    assert said(database) == found
    database.close()


def test_a_writer_that_is_interrupted_leaves_nobody_waiting(sqlite_url: str, bell: Bell) -> None:
    """Ctrl-C in the thread that leads: its batch is told that nothing was written, later writes go on."""
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))
    let_go = hold_writer(database)

    def interrupted(_tx: Transaction) -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(database.write, interrupted)
        while not database._writer._waiting:  # type: ignore[union-attr]
            threading.Event().wait(0.01)
        neighbour = database.submit(say("neighbour"))
        let_go()
        with pytest.raises(KeyboardInterrupt):
            first.result(PATIENCE)
        with pytest.raises(errors.Unavailable):
            neighbour.result(PATIENCE)

    assert database.write(say("later")) == "later"
    assert said(database) == ["later"]
    database.close()


def test_a_write_that_is_taken_back_stops_nobody(sqlite_url: str, bell: Bell) -> None:
    """Its future is cancelled while another thread writes."""
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))
    let_go = hold_writer(database)
    taken_back, kept = database.submit(say("taken back")), database.submit(say("kept"))
    assert taken_back.cancel()
    let_go()

    assert kept.result(PATIENCE) == "kept"
    assert database.write(say("later")) == "later"
    assert said(database) == ["kept", "later"]
    database.close()


def test_only_what_promises_nothing_is_not_synced(sqlite_url: str, bell: Bell) -> None:
    """A write that need not be durable is committed all the same; those after it, and beside it, are synced."""
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))

    def look(tx: Transaction) -> int:
        return int(tx.execute(sa.text("PRAGMA synchronous")).scalar_one())

    normal, full = 1, 2
    assert database.write(look, durable=False) == normal
    assert database.write(look) == full
    assert database.write(say("kept"), durable=False) == "kept"
    assert said(database) == ["kept"]
    with pytest.raises(errors.Conflict):
        database.write(fail("lost"), durable=False)
    with ThreadPoolExecutor(2) as threads:
        let_go = hold_writer(database)
        both = [threads.submit(database.write, look, durable=durable) for durable in (False, True)]
        while len(database._writer._waiting) < 2:  # type: ignore[union-attr]
            threading.Event().wait(0.01)
        let_go()
        assert [each.result(PATIENCE) for each in both] == [full, full]
    database.close()


def test_what_need_not_be_durable_is_committed(database: Database) -> None:
    """On both databases."""
    assert database.write(say("kept"), durable=False) == "kept"
    assert said(database) == ["kept"]


def test_answers_are_given_after_the_commit(database: Database, empty_database_url: str) -> None:
    """Whoever has an answer finds the row on any other connection."""
    other = Database(empty_database_url, Bell())
    found: list[list[str]] = []

    def look(done: "Future[str]") -> None:
        found.append([word for word in said(other) if word == done.result()])

    let_go = hold_writer(database)
    futures = [database.submit(say(f"word{number}")) for number in range(5)]
    for future in futures:
        future.add_done_callback(look)
    let_go()
    database.close()
    other.close()

    assert sorted(found) == [[f"word{number}"] for number in range(5)]


def test_answers_are_true_when_the_disk_is_full(sqlite_url: str, bell: Bell) -> None:
    """Where the database itself rolls back in the middle of a batch, nobody is told of a success that is undone."""
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))
    pages = database.write(lambda tx: tx.execute(sa.text("PRAGMA page_count")).scalar_one())
    database.write(lambda tx: tx.execute(sa.text(f"PRAGMA max_page_count = {pages + 1}")).scalar_one())
    let_go = hold_writer(database)
    futures = {f"{number:020}": database.submit(say(f"{number:020}")) for number in range(400)}
    let_go()
    kept = {word for word, future in futures.items() if future.exception(PATIENCE) is None}
    failures = [future.exception() for future in futures.values() if future.exception() is not None]

    assert 0 < len(kept) < 400
    assert {type(failure) for failure in failures} == {errors.Unavailable}
    assert set(said(database)) == kept

    database.write(lambda tx: tx.execute(sa.text(f"PRAGMA max_page_count = {pages + 100}")).scalar_one())
    database.write(say("room again"))
    database.close()


def test_the_writer_outlives_a_listener_that_raises(database: Database, bell: Bell) -> None:
    """What a listener does wrong is not told to those who write."""
    heard: list[str] = []
    bell.listen("word", lambda: heard.append("before"))
    bell.listen("word", fail_to_wake)
    bell.listen("word", lambda: heard.append("after"))

    def work(tx: Transaction) -> None:
        tx.ring("word")

    database.write(work)
    database.write(work)
    database.write(say("still here"))

    assert sorted(heard) == ["after", "after", "before", "before"]


def test_the_bell_rings_after_the_commit(database: Database, bell: Bell) -> None:
    """Whoever is woken finds what was written."""
    found: list[list[str]] = []
    heard = threading.Event()

    def wake() -> None:
        found.append(said(database))
        heard.set()

    bell.listen("word", wake)

    def work(tx: Transaction) -> None:
        say("one")(tx)
        tx.ring("word")
        assert not found

    database.write(work)

    assert heard.wait(PATIENCE)
    assert found == [["one"]]


def test_a_write_that_fails_rings_no_bell(database: Database, bell: Bell) -> None:
    """There is nothing to look at."""
    heard: list[str] = []
    bell.listen("word", lambda: heard.append("word"))

    def work(tx: Transaction) -> None:
        tx.ring("word")
        fail("never")(tx)

    with pytest.raises(errors.Conflict):
        database.write(work)
    database.write(say("one"))  # the batch after it

    assert heard == []


def test_after_close_writes_are_refused(empty_database_url: str, bell: Bell) -> None:
    """And closing twice does no harm."""
    database = Database(empty_database_url, bell)
    database.close()
    database.close()

    with pytest.raises(errors.Unavailable) as caught:
        database.write(lambda _tx: None)
    assert caught.value.code == 1008


def test_close_finishes_what_was_submitted(database: Database, empty_database_url: str) -> None:
    """More than one batch that was taken before is committed and answered."""
    let_go = hold_writer(database)
    futures = [database.submit(say(f"{number:03}")) for number in range(150)]
    closing = threading.Thread(target=database.close)
    closing.start()
    let_go()
    closing.join(PATIENCE)

    assert all(future.done() and future.exception() is None for future in futures)
    again = Database(empty_database_url, Bell())
    assert len(said(again)) == 150
    again.close()


def test_writes_come_from_many_threads(database: Database) -> None:
    """None is lost, none is written twice."""

    def write_some(thread: int) -> None:
        for number in range(20):
            database.write(say(f"{thread}-{number}"))

    threads = [threading.Thread(target=write_some, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert len(said(database)) == 160


def test_a_read_sees_one_moment(sqlite_url: str, bell: Bell) -> None:
    """A statement does not see what was committed after the first one of its transaction.

    On SQLite only: PostgreSQL shows each statement a moment of its own, and nothing in the house relies on more.
    """
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))
    database.write(say("one"))

    def work(tx: Transaction) -> tuple[int, int]:
        count = sa.select(sa.func.count()).select_from(_words)
        first = tx.execute(count).scalar_one()
        database.write(say("two"))
        return first, tx.execute(count).scalar_one()

    assert database.read(work) == (1, 1)
    assert said(database) == ["one", "two"]
    database.close()


def test_another_process_rings_everybody(database: Database, bell: Bell, empty_database_url: str) -> None:
    """What the command line writes is heard by the server, which was idle until then."""
    heard = threading.Event()
    bell.listen("whatever", heard.set)
    database.watch()
    other = Database(empty_database_url, Bell())

    def work(tx: Transaction) -> None:
        say("hello")(tx)
        tx.ring("whatever")

    # More than once, because a listener that is just connecting may have missed the first.
    for _ in range(50):
        if heard.wait(0.1):
            break
        other.write(lambda tx: tx.execute(sa.delete(_words)))
        other.write(work)
    other.close()

    assert heard.is_set()


def test_a_child_process_rings_the_bell(sqlite_url: str, bell: Bell) -> None:
    """The same with a process of its own, that knows nothing of the watcher."""
    database = Database(sqlite_url, bell)
    database.write(lambda tx: _words.create(tx.connection))
    database.watch()
    database.write(say("mine"))
    heard = threading.Event()
    bell.listen("job:1", heard.set)
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()"
    file = sqlite_url.removeprefix("sqlite:///")
    subprocess.run([sys.executable, "-c", script, file, "INSERT INTO words VALUES ('theirs', 0)"], check=True)

    assert heard.wait(PATIENCE)
    assert said(database) == ["mine", "theirs"]
    database.close()


def test_topics_cross_processes_on_postgresql(postgres_url: str, bell: Bell) -> None:
    """Only those are woken whom a topic concerns; a list of topics that is too long for the database wakes all."""
    database, other = Database(postgres_url, bell), Database(postgres_url, Bell())
    listening, mine, foreign = threading.Event(), threading.Event(), threading.Event()
    stop = bell.listen("anything", listening.set)
    database.watch()
    assert listening.wait(PATIENCE)  # rings once when it begins to listen
    stop()
    bell.listen("job:1", mine.set)
    bell.listen("job:2", foreign.set)
    other.write(lambda tx: tx.ring("queue", "job:1"))

    assert mine.wait(PATIENCE)
    assert not foreign.is_set()

    other.write(lambda tx: tx.ring(*(f"job:{number:024}" for number in range(1000))))

    assert foreign.wait(PATIENCE)
    other.close()
    database.close()


def test_insert_if_absent_tells_whether_it_did(database: Database) -> None:
    """The second of a key is not inserted and not an error."""

    def work(tx: Transaction) -> bool:
        return insert_if_absent(tx, _words, {"word": "one", "at": None})

    assert database.write(work) is True
    assert database.write(work) is False
    assert said(database) == ["one"]


@pytest.mark.parametrize("url", ["mysql://host/name", "no url at all", ""])
def test_a_url_of_another_kind_is_refused(url: str, bell: Bell) -> None:
    """With a message, before anything is opened."""
    with pytest.raises(errors.Unavailable, match="database_url"):
        Database(url, bell)


def test_a_file_that_is_no_database_is_told(tmp_path: Path, bell: Bell) -> None:
    """Nobody waits for a writer that could not begin."""
    (tmp_path / "broken.sqlite").write_bytes(b"this is no database, and it is long enough to be sure of that" * 100)
    database = Database(f"sqlite:///{tmp_path / 'broken.sqlite'}", bell)
    future = database.submit(lambda _tx: None)

    with pytest.raises((errors.Unavailable, sa.exc.DatabaseError)):
        future.result(PATIENCE)
    database.close()


def test_a_missing_server_is_unavailable(bell: Bell) -> None:
    """PostgreSQL that does not answer is told as such, for reads and for writes."""
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing", bell)

    with pytest.raises(errors.Unavailable):
        database.read(lambda tx: tx.execute(sa.text("SELECT 1")))
    with pytest.raises(errors.Unavailable):
        database.write(lambda tx: tx.execute(sa.text("SELECT 1")))
    database.close()


def test_text_that_postgresql_cannot_hold_is_invalid(postgres_url: str, bell: Bell) -> None:
    """A NUL character from a client is the client's mistake, not the server's."""
    database = Database(postgres_url, bell)

    with pytest.raises(errors.Invalid):
        database.read(lambda tx: tx.execute(sa.text("SELECT :text"), {"text": "a\x00b"}))
    database.close()


def test_times_are_kept_at_the_millisecond(database: Database) -> None:
    """What is written with microseconds is read back cut to milliseconds, aware and in UTC."""
    zone = timezone(timedelta(hours=-7))
    moment = datetime(2026, 3, 14, 8, 9, 26, 535_897, tzinfo=zone)
    database.write(lambda tx: tx.execute(sa.insert(_words), {"word": "pi", "at": moment}))
    kept = database.read(lambda tx: tx.execute(sa.select(_words.c.at)).scalar_one())

    assert kept == datetime(2026, 3, 14, 15, 9, 26, 535_000, tzinfo=UTC)
    assert kept.tzinfo is UTC


@given(moment=st.datetimes(timezones=st.timezones()))
def test_a_time_round_trips_to_the_millisecond_below(moment: datetime) -> None:
    """For every moment that can be written down, before 1970 too: never later, by less than a millisecond."""
    kept = from_milliseconds(to_milliseconds(moment))

    assert timedelta(0) <= moment - kept < timedelta(milliseconds=1)
    assert to_milliseconds(kept) == to_milliseconds(moment)


@given(first=st.datetimes(), second=st.datetimes())
def test_milliseconds_keep_the_order_of_times(first: datetime, second: datetime) -> None:
    """The earlier of two moments never gets the larger number."""
    one, other = (to_milliseconds(moment.replace(tzinfo=UTC)) for moment in sorted((first, second)))

    assert one <= other


def test_the_last_moment_of_all_is_kept() -> None:
    """Where a floating-point number of seconds would round up."""
    last = datetime.max.replace(tzinfo=UTC)

    assert from_milliseconds(to_milliseconds(last)) == last.replace(microsecond=999_000)


def test_a_time_without_a_zone_is_a_mistake() -> None:
    """It is refused instead of guessed."""
    with pytest.raises(TypeError):
        to_milliseconds(datetime(2026, 3, 14))  # noqa: DTZ001
