# SPDX-License-Identifier: Apache-2.0
"""The queue from the shell: the line of a device, why a job waits, and what a change of a share would do to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shells import NOON, Shell

import factories
from chandelier import devices, errors, setup
from chandelier.jobs import outcomes, records, sessions
from chandelier.jobs.lifecycle import State
from chandelier.jobs.records import Draft
from chandelier.scheduling import accuracy
from chandelier.settings import Settings
from chandelier.store import Store, Transaction
from chandelier.tenancy import network, users

STUDENTS, STAFF = "lab/students/main", "lab/staff/main"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with two groups of one hub that share a device, to copy."""
    data = tmp_path_factory.mktemp("made") / "data"
    setup.initialise(Settings(data=data, devices={"manila": "manila"}), "op@example.org", NOON)
    shell = Shell(data)
    shell.text("hub", "add", "lab")
    for project in (STUDENTS, STAFF):
        shell.text("group", "add", project.rpartition("/")[0])
        shell.text("project", "add", project)
        shell.text("grant", "set", project, "manila", "--above")
    shell.text("device", "set", "manila", "--pace", "real", "--overhead", "10")
    return data


def wait(store: Store, path: str, seconds: float) -> str:
    """Let a job of the operator wait since some seconds ago, and return its id."""

    def work(tx: Transaction) -> str:
        place, device = network.find(tx, *path.split("/")), devices.get(tx, "manila")
        user = users.find_by_email(tx, "op@example.org")
        assert place is not None
        assert user is not None
        made = records.create(
            tx,
            user.id,
            place.project_id,
            device.id,
            datetime.now(UTC) - timedelta(seconds=seconds),
            kind="q-object",
            calibration=device.calibration,
            draft=Draft(),
            steps=(State.CREATING, State.CREATED, State.VALIDATING),
        )
        outcomes.validated(tx, made, factories.ACCEPTED, made.created)
        return made.id

    return store.write(work)


def run(store: Store, job_id: str) -> None:
    """Let a job begin."""
    now = datetime.now(UTC)
    job = records.JobId(job_id)
    store.write(lambda tx: records.advance(tx, job, (State.RUNNING,), now, started=now, occupies=10.0))


@pytest.fixture
def jobs(store: Store) -> list[str]:
    """A job that runs and two that wait behind it, of the students; one of the staff that came last."""
    made = [wait(store, path, 50 - 10 * number) for number, path in enumerate([STUDENTS] * 3 + [STAFF])]
    run(store, made[0])
    return made


def seconds(text: str) -> float:
    """Return how far away a moment is, s."""
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


def test_an_empty_queue_is_shown(shell: Shell) -> None:
    """Nobody waits, nobody is next."""
    shown = shell.json("queue", "show", "manila")

    assert (shown["waiting"], shown["running"], shown["next"], shown["projects"]) == (0, [], None, [])
    assert shell.text("queue", "show", "manila").startswith("manila: 0 waiting, 0 running")


@pytest.mark.usefixtures("jobs")
def test_the_queue_is_shown_by_project(shell: Shell) -> None:
    """Who is next first: shares, what waits and what runs, the place and the start of each one's next job."""
    shown = shell.json("queue", "show", "manila")
    first, second = shown["projects"]

    assert (shown["waiting"], len(shown["running"]), shown["next"]) == (3, 1, STAFF)
    assert [(row["path"], row["waiting"], row["running"], row["place"]) for row in (first, second)] == [
        (STAFF, 1, 0, 1),
        (STUDENTS, 2, 1, 2),
    ]
    assert [(row["share"], row["percent"], row["percent_of_all"]) for row in (first, second)] == [(1000, 100, 50)] * 2
    assert 5 < seconds(first["start"]) <= 10
    assert 15 < seconds(second["start"]) <= 20
    text = shell.text("queue", "show", "manila")
    assert text.startswith(f"manila: 3 waiting, 1 running; {STAFF} goes next\n")
    heads, row = text.splitlines()[1:3]
    assert heads.split("  ")[0] == "project"
    assert heads.index("of siblings") < heads.index("of all") < heads.index("priority")
    assert row.split()[1:6] == ["1000", "100.00", "%", "50.00", "%"]
    assert "among those who have work here or used something lately; `chandelier share show` counts all" in text


def test_the_session_that_keeps_the_device_is_shown(shell: Shell, store: Store, jobs: list[str]) -> None:
    """Whose it is and until when at the latest; who waits is held by it, unless it is of the same project."""

    def work(tx: Transaction) -> None:
        job, device, now = records.get(tx, jobs[0]), devices.get(tx, "manila"), datetime.now(UTC)
        made = sessions.open_(tx, job.user_id, job.project_id, device, "dedicated", now, terms=sessions.Terms())
        records.note(tx, job.id, session_id=made.id)

    assert shell.json("queue", "show", "manila")["session"] is None
    store.write(work)
    shown = shell.json("queue", "show", "manila")

    assert shown["session"]["path"] == STUDENTS
    assert 7100 < seconds(shown["session"]["until"]) <= 7200
    assert {row["path"]: "session" in (row["held"] or "") for row in shown["projects"]} == {
        STAFF: True,
        STUDENTS: False,
    }
    assert f"Kept by a session of {STUDENTS} until " in shell.text("queue", "show", "manila")
    assert any("a session keeps the device" in line for line in shell.json("queue", "explain", jobs[3])["lines"])


@pytest.mark.usefixtures("jobs")
def test_shares_of_who_has_no_work_count_where_all_are_counted(shell: Shell) -> None:
    """Both tables say what their percentages are of, in the same words and keys."""
    shell.text("group", "add", "lab/idle")
    [queued] = [row for row in shell.json("queue", "show", "manila")["projects"] if row["path"] == STAFF]
    [shared] = [row for row in shell.json("share", "show", "lab") if row["path"] == STAFF]

    assert [queued[key] for key in ("share", "percent")] == [shared[key] for key in ("share", "percent")]
    assert (queued["percent_of_all"], shared["percent_of_all"]) == (50, pytest.approx(100 / 3 / 2, abs=0.01))
    assert "of all siblings" in shell.text("share", "show", "lab")
    assert "of all siblings before" in shell.text("share", "set", "lab/staff", "3", "--dry-run")


@pytest.mark.usefixtures("jobs")
def test_numbers_have_the_digits_that_mean_something(shell: Shell, store: Store) -> None:
    """Seconds are told to milliseconds, shares and priorities to six digits."""
    run(store, wait(store, STAFF, 5))
    shell.text("share", "set", "lab", "7000")
    shell.text("share", "set", "lab/students", "2000")
    rows = {row["path"]: row for row in shell.json("queue", "show", "manila")["projects"]}
    shared = {row["path"]: row for row in shell.json("share", "show", "lab")}

    assert rows[STAFF]["used"] == round(rows[STAFF]["used"], 3) > 0
    assert [rows[path]["percent_of_all"] for path in (STAFF, STUDENTS)] == [33.3333, 66.6667]
    assert shared["lab/students"]["percent_of_all"] == 58.3336


def test_why_a_job_waits_is_explained(shell: Shell, store: Store, jobs: list[str]) -> None:
    """Each level with its name and who goes first, for the operator by name; the estimate as a range."""
    device = store.read(lambda tx: devices.get(tx, "manila"))
    store.write(lambda tx: accuracy.note(tx, {device.id: [1.0, 2.0, 3.0, 4.0, 5.0]}))
    told = shell.json("queue", "explain", jobs[2])

    assert (told["position"], told["global_position"], told["path"]) == (2, 3, STUDENTS)
    assert [level["first"] for level in told["levels"]] == [True, False, True]
    assert told["levels"][1]["rival"] == {"name": "staff", "reason": "has used less for its share"}
    assert set(told["estimate"]) == {"start", "end", "earliest", "latest", "quality"}
    text = shell.text("queue", "explain", jobs[2])
    assert "The group staff goes before it: it has used less for its share." in text
    assert "nine times of ten between" in text


def test_a_job_that_is_not_there_cannot_be_explained(shell: Shell) -> None:
    """It says so in a sentence."""
    with pytest.raises(errors.NotFound):
        shell.text("queue", "explain", "0" * 24)


def test_a_dry_run_tells_what_would_become_of_the_queue(shell: Shell, store: Store, jobs: list[str]) -> None:
    """The place and the start of each sibling's next job, before and after; and nothing is changed."""
    command = ("grant", "set", "lab/students", "manila", "--share", "10000")
    # The staff has used half of what the students have used: with ten times the share these go first.
    run(store, jobs[1])
    run(store, wait(store, STAFF, 5))
    wait(store, STUDENTS, 4)
    before = shell.json("queue", "show", "manila")
    told = shell.json(*command, "--dry-run")
    rows = {row["path"]: row for row in told["queue"]}

    assert set(rows) == {"lab/students", "lab/staff"}
    assert {row["device"] for row in rows.values()} == {"manila"}
    assert [rows["lab/students"][f"place_{when}"] for when in ("before", "after")] == [2, 1]
    assert [rows["lab/staff"][f"place_{when}"] for when in ("before", "after")] == [1, 3]
    assert seconds(rows["lab/staff"]["start_after"]) > seconds(rows["lab/staff"]["start_before"])
    assert "The next job of each who waits:" in shell.text(*command, "--dry-run")
    after = shell.json("queue", "show", "manila")
    assert [row["path"] for row in after["projects"]] == [row["path"] for row in before["projects"]]
    assert "queue" not in shell.json(*command)


@pytest.mark.usefixtures("jobs")
def test_an_estimate_of_a_reserved_device_regards_the_reservation(shell: Shell, store: Store, jobs: list[str]) -> None:
    """It is listed, whoever it is for goes first, and nobody else starts before its end, however early it may be."""
    device = store.read(lambda tx: devices.get(tx, "manila"))
    store.write(lambda tx: accuracy.note(tx, {device.id: [600.0] * 5}))
    shell.text("reservation", "add", "lab/students", "manila", "--for", "1h", "--mode", "dedicated")
    shown = shell.json("queue", "show", "manila")

    assert [kept["path"] for kept in shown["reservations"]] == ["lab/students"]
    assert [row["path"] for row in shown["projects"]] == [STUDENTS, STAFF]
    assert "reserved for others" in shown["projects"][1]["held"]
    assert seconds(shown["projects"][1]["start"]) > 3500
    estimate = shell.json("queue", "explain", jobs[3])["estimate"]
    assert datetime.fromisoformat(estimate["earliest"]) == datetime.fromisoformat(shown["reservations"][0]["ends"])
    assert estimate["earliest"] <= estimate["start"] < estimate["latest"]
    assert seconds(shell.json("queue", "explain", jobs[1])["estimate"]["earliest"]) <= 10


@pytest.mark.usefixtures("jobs")
def test_what_runs_counts_in_a_limit(shell: Shell, store: Store) -> None:
    """As what it is expected to take, beside what ended jobs used; together they may be all that is allowed."""
    ended = wait(store, STUDENTS, 5)
    run(store, ended)
    job = records.JobId(ended)
    store.write(lambda tx: records.advance(tx, job, (State.COMPLETED,), datetime.now(UTC), cost=2.5, seconds=2.5))
    told = shell.text("limit", "set", "lab", "--seconds", "12")
    [row] = shell.json("limit", "list")

    assert "and has used 2.5 s; what runs now should take 10 s more.\nNote: with that all of it is used" in told
    assert (row["used"], row["running"], row["full"]) == (2.5, 10, True)
    assert shell.json("limit", "set", "lab", "--seconds", "13")["full"] is False
    assert shell.text("limit", "list").split("\n")[1].split()[:6] == ["lab", "all", "together", "13.0", "28", "2.5"]


@pytest.mark.usefixtures("jobs")
def test_what_a_failed_job_was_charged_is_shown(shell: Shell, store: Store) -> None:
    """What a job used before it failed is charged, and told with the job."""
    failed = wait(store, STUDENTS, 5)
    run(store, failed)
    where = records.JobId(failed), (State.ERROR_RUNNING_JOB,), datetime.now(UTC)
    store.write(lambda tx: records.advance(tx, *where, cost=1.5, error_code=8021, error_message="It failed."))
    shown = shell.json("job", "show", failed)

    assert (shown["state"], shown["charged"]) == ("ERROR_RUNNING_JOB", 1.5)
