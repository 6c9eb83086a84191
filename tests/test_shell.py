# SPDX-License-Identifier: Apache-2.0
"""Hub administration from the shell: places, shares, grants, people, usage and the audit log."""

import csv
import json
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chandelier import cli, devices, errors, setup
from chandelier.settings import Settings
from chandelier.store import Store
from chandelier.tenancy import access, audit, grants, members, network, usage, users

#: When the jobs of the usage tests ended.
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Shell:
    """A data folder, and whoever types commands for it."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def text(self, *words: str) -> str:
        """Return what a command prints; it must succeed."""
        done = CliRunner().invoke(cli.app, [*words, "--data", str(self.data)], terminal_width=200)
        if done.exception is not None:
            raise done.exception
        return done.stdout

    def json(self, *words: str) -> Any:
        """Return the JSON document that a command prints."""
        return json.loads(self.text(*words, "--json"))

    def refused(self, *words: str) -> str:
        """Return the sentence with which a command is refused."""
        with pytest.raises(errors.ChandelierError) as caught:
            self.text(*words)
        return caught.value.message

    def tree(self) -> None:
        """Make a hub with two groups, and a project."""
        self.text("hub", "add", "lab", "--title", "Our laboratory")
        self.text("group", "add", "lab/students", "--share", "3000")
        self.text("group", "add", "lab/staff")
        self.text("project", "add", "lab/students/qc1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that is ready, to copy."""
    data = tmp_path_factory.mktemp("made") / "data"
    setup.initialise(Settings(data=data, devices={"manila": "manila", "lima": "lima"}), "op@example.org", NOON)
    return data


@pytest.fixture
def shell(made: Path, tmp_path: Path) -> Shell:
    """A shell on a fresh data folder."""
    shutil.copytree(made, tmp_path / "data")
    return Shell(tmp_path / "data")


@pytest.fixture
def store(shell: Shell) -> Iterator[Store]:
    """The store of that folder."""
    opened = setup.open_store(Settings(data=shell.data))
    yield opened
    opened.close()


def acts(store: Store) -> list[tuple[str, str]]:
    """Return what the audit log has, the first first."""
    return [(act.act, act.path) for act in reversed(store.read(audit.list_))]


def test_a_tree_is_built_and_seen(shell: Shell, store: Store) -> None:
    """Each level is listed with its shares and what it has; each act is written down under the name of who typed."""
    shell.tree()

    assert [row["path"] for row in shell.json("hub", "list")] == ["ibm-q", "lab"]
    students, staff = shell.json("group", "list", "lab")
    assert (students["share"], students["percent"], students["projects"]) == (3000, 75.0, 1)
    assert (staff["share"], staff["percent"], staff["projects"]) == (1000, 25.0, 0)
    assert [row["path"] for row in shell.json("project", "list")] == ["ibm-q/open/main", "lab/students/qc1"]
    assert [row["path"] for row in shell.json("project", "list", "lab/staff")] == []
    shown = shell.json("hub", "show", "lab")
    assert (shown["title"], shown["groups"], shown["devices"]) == ("Our laboratory", ["students", "staff"], [])
    assert acts(store) == [
        ("hub.add", "lab"),
        ("group.add", "lab/students"),
        ("group.add", "lab/staff"),
        ("project.add", "lab/students/qc1"),
    ]
    assert all(act.who.endswith(" (shell)") for act in store.read(audit.list_))


def test_a_dry_run_shows_the_siblings_and_changes_nothing(shell: Shell, store: Store) -> None:
    """The percentages before and after, whether a node is added, changed or removed."""
    shell.tree()
    before = acts(store)

    added = shell.json("group", "add", "lab/guests", "--share", "4000", "--dry-run")
    assert added["shares"] == [
        {"path": path, "share_before": old, "percent_before": was, "share_after": new, "percent_after": becomes}
        for path, old, was, new, becomes in [
            ("lab/students", 3000, 75.0, 3000, 37.5),
            ("lab/staff", 1000, 25.0, 1000, 12.5),
            ("lab/guests", None, None, 4000, 50.0),
        ]
    ]
    changed = shell.json("share", "set", "lab/staff", "3000", "--dry-run")
    assert [row["percent_after"] for row in changed["shares"]] == [50.0, 50.0]
    gone = shell.json("group", "remove", "lab/students", "--dry-run")
    assert [row["percent_after"] for row in gone["shares"]] == [None, 100.0]
    assert "Nothing is changed" in shell.text("group", "remove", "lab/students", "--dry-run")
    assert [row["path"] for row in shell.json("group", "list", "lab")] == ["lab/students", "lab/staff"]
    assert acts(store) == before


def test_shares_are_a_tree(shell: Shell) -> None:
    """The number, its part among siblings, and its part of everything; a change moves the siblings."""
    shell.tree()
    shell.text("hub", "add", "other", "--share", "2000")
    shell.text("share", "set", "lab/staff", "9000")

    rows = {row["path"]: row for row in shell.json("share", "show", "lab")}
    assert list(rows) == ["lab", "lab/students", "lab/students/qc1", "lab/staff"]
    assert (rows["lab"]["percent"], rows["lab"]["percent_of_all"]) == (25.0, 25.0)
    assert (rows["lab/staff"]["share"], rows["lab/staff"]["percent"]) == (9000, 75.0)
    assert rows["lab/students/qc1"]["percent_of_all"] == pytest.approx(6.25)
    text = shell.text("share", "show")
    assert "\n  students " in text
    assert "\n    qc1 " in text
    assert "6.25 %" in text
    assert [row["path"] for row in shell.json("share", "show", "lab/staff")] == ["lab", "lab/staff"]


def test_what_is_removed_takes_along_what_is_in_it(shell: Shell, store: Store) -> None:
    """The name is free again, and the log still tells of it; the default place stays."""
    shell.tree()

    assert "with 2 groups and 1 project" in shell.text("hub", "remove", "lab")
    assert [row["path"] for row in shell.json("project", "list")] == ["ibm-q/open/main"]
    assert shell.json("audit", "log", "lab", "--limit", "1")[0]["act"] == "hub.remove"
    shell.text("hub", "add", "lab")
    assert "cannot be deleted" in shell.refused("project", "remove", "ibm-q/open/main")
    assert acts(store)[-1] == ("hub.add", "lab")


def test_titles_can_be_mended(shell: Shell) -> None:
    """What is not named stays, and square brackets are only that."""
    shell.tree()
    shell.text("hub", "change", "lab", "--description", "[bold]ly")

    shown = shell.json("hub", "show", "lab")
    assert (shown["title"], shown["description"]) == ("Our laboratory", "[bold]ly")
    shell.text("hub", "change", "lab", "--title", "[red]lab")
    assert "[red]lab" in shell.text("hub", "list")
    assert "--title" in shell.refused("hub", "change", "lab")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["hub", "add", "lab"], "There is a hub 'lab' already"),
        (["hub", "add", "Lab"], "lowercase"),
        (["hub", "add", "lab/students"], "write HUB"),
        (["group", "add", "lab"], "write HUB/GROUP"),
        (["group", "add", "nolab/x"], "There is no hub nolab. See: chandelier hub list"),
        (["group", "add", "lab/UPPER"], "16 lowercase letters and digits"),
        (["group", "add", "lab/x", "--share", "10001"], "from 1 to 10000"),
        (["project", "show", "lab/nogroup/x"], "There is no group lab/nogroup. See: chandelier group list lab"),
        (["project", "show", "lab//x"], "write HUB/GROUP/PROJECT"),
        (["share", "set", "lab", "0"], "from 1 to 10000"),
        (["share", "show", "a/b/c/d"], "HUB or HUB/GROUP or HUB/GROUP/PROJECT"),
        (["grant", "set", "lab", "nodevice"], "nodevice"),
        (["grant", "set", "lab/staff", "manila"], "add --above"),
        (["grant", "set", "ibm-q", "manila", "--max-shots", "0"], "`max_shots` is 0"),
        (["grant", "remove", "lab", "manila"], "has no device"),
        (["member", "add", "lab", "nobody"], "not an e-mail address"),
        (["member", "add", "lab", "ann@example.org", "--role", "member"], "has admins, no members"),
        (["member", "add", "lab/students/qc1", "ann@example.org", "--role", "admin"], "has members, no admins"),
        (["member", "remove", "lab", "ann@example.org"], "ann@example.org"),
        (["usage", "report", "--from", "yesterday"], "--from is 'yesterday'"),
        (["usage", "report", "--csv", "--json"], "not both"),
    ],
)
def test_what_is_wrong_is_one_sentence(shell: Shell, store: Store, words: list[str], told: str) -> None:
    """It says what to do, and nothing is done."""
    shell.tree()
    before = acts(store)

    assert told in shell.refused(*words)
    assert acts(store) == before


def test_a_device_goes_down_the_tree_with_its_limits(shell: Shell, store: Store) -> None:
    """A project has it once all above have it; what is not named stays; the least limit holds."""
    shell.tree()
    shell.text("grant", "set", "lab", "manila", "--max-shots", "4096", "--open-pulse", "off")
    shell.text("grant", "set", "lab/students/qc1", "manila", "--above", "--share", "7", "--max-shots", "9000")
    shell.text("grant", "set", "lab/students/qc1", "manila", "--max-running", "2")

    [listed] = shell.json("grant", "list", "lab/students/qc1")
    assert (listed["device"], listed["share"], listed["percent"]) == ("manila", 7, 100.0)
    assert (listed["max_shots"], listed["max_running"], listed["open_pulse"]) == (9000, 2, None)
    place = store.read(lambda tx: network.find(tx, "lab", "students", "qc1"))
    assert place is not None
    available = store.read(lambda tx: access.device(tx, place, "manila"))
    assert available.limits == grants.Limits(max_shots=4096, open_pulse=False, max_running=2)
    assert shell.json("project", "show", "lab/students/qc1")["devices"] == ["manila"]
    shell.text("grant", "set", "lab/students/qc1", "manila", "--no-limits", "--max-experiments", "5")
    [listed] = shell.json("grant", "list", "lab/students/qc1")
    assert (listed["share"], listed["max_shots"], listed["max_experiments"]) == (7, None, 5)
    assert acts(store)[-5:] == [
        ("grant.set", "lab"),
        ("grant.set", "lab/students"),
        *[("grant.set", "lab/students/qc1")] * 3,
    ]


def test_a_device_s_shares_are_among_those_who_have_it(shell: Shell) -> None:
    """And a grant that is taken away leaves them to the others."""
    shell.tree()
    for group, share in (("lab/students", "100"), ("lab/staff", "300")):
        shell.text("grant", "set", group, "manila", "--above", "--share", share)

    rows = {row["path"]: row["percent"] for row in shell.json("share", "show", "lab", "--device", "manila")}
    assert rows == {"lab": 50.0, "lab/students": 25.0, "lab/staff": 75.0}
    rehearsed = shell.json("grant", "remove", "lab/staff", "manila", "--dry-run")
    assert [row["percent_after"] for row in rehearsed["shares"]] == [100.0, None]
    shell.text("grant", "remove", "lab/staff", "manila")
    assert shell.json("grant", "list", "lab/staff") == []


def test_people_come_and_go(shell: Shell, store: Store) -> None:
    """Who has an account has the role at once; others are invited and have it with the account."""
    shell.tree()
    shell.text("user", "add", "ann@example.org")
    shell.text("member", "add", "lab/students/qc1", "Ann@Example.org")
    invited = shell.json("member", "add", "lab", "bob@example.org", "--role", "admin")

    assert invited == {"path": "lab", "email": "bob@example.org", "role": "admin", "invited": True}
    [ann] = shell.json("member", "list", "lab/students/qc1")
    assert (ann["email"], ann["role"], ann["invited"]) == ("ann@example.org", "member", False)
    shell.text("user", "add", "bob@example.org")
    assert [row["invited"] for row in shell.json("member", "list", "lab")] == [False]
    shell.text("member", "remove", "lab/students/qc1", "ann@example.org")
    assert shell.json("member", "list", "lab/students/qc1") == []
    assert acts(store)[-3:] == [
        ("member.add", "lab/students/qc1"),
        ("member.add", "lab"),
        ("member.remove", "lab/students/qc1"),
    ]


def test_a_class_is_brought_in(shell: Shell, store: Store, tmp_path: Path) -> None:
    """Accounts, memberships and tokens in one go, and one file, for the operator's eyes, to hand out."""
    shell.tree()
    shell.text("user", "add", "ann@example.org", "--name", "Ann")
    roster = tmp_path / "class.csv"
    people = [f"student{number}@example.org,Zoë {number}" for number in range(300)]
    roster.write_text("\n".join(["email,name", "ANN@example.org,Another", *people]), encoding="utf-8")

    done = shell.json("member", "import", "lab/students/qc1", str(roster))
    out = tmp_path / "class-tokens.csv"
    assert (done["accounts"], done["joined"], done["tokens"], done["out"]) == (300, 301, 301, str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["email", "name", "token"]
    assert [(row["email"], row["name"]) for row in rows[:2]] == [
        ("ann@example.org", "Ann"),
        ("student0@example.org", "Zoë 0"),
    ]
    login = users.login_with_token(store, rows[-1]["token"], NOON)
    [place] = store.read(lambda tx: members.places_of(tx, login.user_id))
    assert place.path == "lab/students/qc1"
    assert rows[-1]["token"] not in json.dumps(done)
    assert acts(store)[-1] == ("member.import", "lab/students/qc1")


def test_a_dry_import_only_tells(shell: Shell, store: Store, tmp_path: Path) -> None:
    """Who would get an account and who would join; no file, no account."""
    shell.tree()
    shell.text("user", "add", "ann@example.org")
    (tmp_path / "class.csv").write_text("ann@example.org\nbob@example.org\n", encoding="utf-8")
    before = acts(store)

    told = shell.json("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"), "--dry-run")
    assert [(row["email"], row["created"], row["joined"]) for row in told["people"]] == [
        ("ann@example.org", False, True),
        ("bob@example.org", True, True),
    ]
    assert not (tmp_path / "class-tokens.csv").exists()
    assert store.read(lambda tx: users.find_by_email(tx, "bob@example.org")) is None
    assert acts(store) == before


def test_a_wrong_roster_imports_nobody(shell: Shell, store: Store, tmp_path: Path) -> None:
    """Each wrong line is named with its number, and what is wrong with it."""
    shell.tree()
    lines = ["ann@example.org", "bob", "Ann@example.org", "cid@example.org,Cid,short", "op@example.org"]
    (tmp_path / "class.csv").write_text("\n".join(lines), encoding="utf-8")

    told = shell.refused("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))
    for part in ("Line 2: 'bob'", "Line 3: ann@example.org is in line 1", "Line 4: The password", "Line 5: op@example"):
        assert part in told
    assert store.read(lambda tx: users.find_by_email(tx, "ann@example.org")) is None
    assert not (tmp_path / "class-tokens.csv").exists()


def test_tokens_are_never_written_over_others(shell: Shell, tmp_path: Path) -> None:
    """Nor does an import happen whose tokens could not be written."""
    shell.tree()
    roster, out = tmp_path / "class.csv", tmp_path / "class-tokens.csv"
    roster.write_text("ann@example.org\n", encoding="utf-8")
    out.write_text("the tokens of last year", encoding="utf-8")

    assert "--out" in shell.refused("member", "import", "lab/students/qc1", str(roster))
    assert out.read_text(encoding="utf-8") == "the tokens of last year"
    nowhere = str(tmp_path / "missing" / "out.csv")
    assert "cannot be written" in shell.refused("member", "import", "lab/students/qc1", str(roster), "--out", nowhere)
    assert shell.json("member", "list", "lab/students/qc1") == []


def test_who_joins_later_is_imported_alone(shell: Shell, tmp_path: Path) -> None:
    """Members can be passed over; their tokens stay the only ones."""
    shell.tree()
    roster = tmp_path / "class.csv"
    words = ("member", "import", "lab/students/qc1", str(roster), "--skip-members")
    roster.write_text("ann@example.org\n", encoding="utf-8")
    shell.text(*words)
    roster.write_text("ann@example.org\nbob@example.org\n", encoding="utf-8")

    later = shell.json(*words, "--out", str(tmp_path / "later.csv"))
    assert [row["email"] for row in later["people"]] == ["bob@example.org"]
    assert len(shell.json("token", "list", "ann@example.org")) == 1
    nobody = shell.json(*words, "--out", str(tmp_path / "nobody.csv"))
    assert (nobody["tokens"], nobody["out"]) == (0, None)
    assert not (tmp_path / "nobody.csv").exists()


def test_a_roster_may_have_passwords_and_a_url(shell: Shell, store: Store, tmp_path: Path) -> None:
    """A new account logs in by its password; an old one keeps what it has."""
    shell.tree()
    shell.text("user", "add", "ann@example.org", "--password", "what Ann chose")
    (shell.data / "chandelier.toml").write_text('public_url = "https://cloud.example.org"\n', encoding="utf-8")
    (tmp_path / "class.csv").write_text("ann@example.org,,password 1\nbob@example.org,,password 2\n", encoding="utf-8")
    shell.text("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))

    assert users.login_with_password(store, "bob@example.org", "password 2", NOON)
    assert users.login_with_password(store, "ann@example.org", "what Ann chose", NOON)
    with pytest.raises(errors.Unauthenticated):
        users.login_with_password(store, "ann@example.org", "password 1", NOON)
    rows = list(csv.DictReader((tmp_path / "class-tokens.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["url"] for row in rows} == {"https://cloud.example.org/api"}


def use(store: Store, path: str, email: str, device: str, ended: datetime, run_ms: int) -> None:
    """Write what a job used into the ledger."""

    def work(tx: Any) -> None:
        place = network.find(tx, *path.split("/"))
        user = users.find_by_email(tx, email)
        assert place is not None
        assert user is not None
        number = f"{usage.total(tx, usage.Selection()).jobs:024}"
        device_id = devices.get(tx, device).id
        usage.record(tx, usage.Entry(number, ended, place.project_id, user.id, device_id, 10, 500, run_ms, run_ms))

    store.write(work)


@pytest.fixture
def used(shell: Shell, store: Store) -> Shell:
    """The shell of a cloud where jobs ran on two days, in three projects."""
    shell.tree()
    shell.text("project", "add", "lab/students/qc2")
    shell.text("user", "add", "ann@example.org")
    use(store, "lab/students/qc1", "op@example.org", "manila", NOON, 1000)
    use(store, "lab/students/qc1", "ann@example.org", "manila", NOON, 2000)
    use(store, "lab/students/qc2", "ann@example.org", "lima", NOON + timedelta(days=1), 4000)
    use(store, "ibm-q/open/main", "op@example.org", "lima", NOON + timedelta(days=1), 8000)
    return shell


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--by", "hub"], {"ibm-q": (1, 8), "lab": (3, 7)}),
        (["--by", "group"], {"ibm-q/open": (1, 8), "lab/students": (3, 7)}),
        ([], {"ibm-q/open/main": (1, 8), "lab/students/qc1": (2, 3), "lab/students/qc2": (1, 4)}),
        (["--by", "user"], {"ann@example.org": (2, 6), "op@example.org": (2, 9)}),
        (["--by", "device"], {"lima": (2, 12), "manila": (2, 3)}),
        (["--by", "day"], {"2026-03-14": (2, 3), "2026-03-15": (2, 12)}),
        (["lab", "--by", "day"], {"2026-03-14": (2, 3), "2026-03-15": (1, 4)}),
        (["lab/students/qc1", "--by", "user"], {"ann@example.org": (1, 2), "op@example.org": (1, 1)}),
        (["--by", "hub", "--to", "2026-03-14"], {"lab": (2, 3)}),
        (["--by", "hub", "--from", "2026-03-15", "--to", "2026-03-15"], {"ibm-q": (1, 8), "lab": (1, 4)}),
        (["--by", "hub", "--to", "2026-03-14T12:00"], {}),
        (["--by", "hub", "--from", "2026-03-14T12:00+00:00", "--to", "2026-03-14T12:00:01Z"], {"lab": (2, 3)}),
    ],
)
def test_usage_is_summed(used: Shell, words: list[str], expected: dict[str, tuple[int, int]]) -> None:
    """By hub, group, project, user, device or day: jobs and seconds that they ran."""
    report = used.json("usage", "report", *words)

    [key] = report["by"]
    assert {row[key]: (row["jobs"], row["run_seconds"]) for row in report["rows"]} == expected
    assert report["total"]["jobs"] == sum(jobs for jobs, _ in expected.values())


def test_usage_can_be_summed_by_several_things(used: Shell) -> None:
    """Whatever is asked for are the first columns, in that order."""
    report = used.json("usage", "report", "--by", "user", "--by", "hub")

    assert [(row["user"], row["hub"], row["jobs"]) for row in report["rows"]] == [
        ("ann@example.org", "lab", 2),
        ("op@example.org", "ibm-q", 1),
        ("op@example.org", "lab", 1),
    ]
    [first, *_] = report["rows"]
    assert first | {"user": "", "hub": ""} == {
        "user": "",
        "hub": "",
        "jobs": 2,
        "executions": 20,
        "queue_seconds": 1.0,
        "run_seconds": 6.0,
        "device_seconds": 6.0,
        "average_queue_seconds": 0.5,
        "average_run_seconds": 3.0,
    }


def test_usage_is_a_table_and_a_file_for_a_spreadsheet(used: Shell) -> None:
    """The table has a line for the total, the file has none."""
    text = used.text("usage", "report", "--by", "device")
    rows = list(csv.DictReader(used.text("usage", "report", "--by", "device", "--csv").splitlines()))

    assert text.splitlines()[-1].split()[:2] == ["total", "4"]
    assert [(row["device"], row["jobs"], row["run_seconds"]) for row in rows] == [
        ("lima", "2", "12.0"),
        ("manila", "2", "3.0"),
    ]


def test_usage_of_what_is_removed_stays(used: Shell) -> None:
    """Under its name, marked."""
    used.text("hub", "remove", "lab")

    assert [row["hub"] for row in used.json("usage", "report", "--by", "hub")["rows"]] == ["ibm-q", "lab (removed)"]


def test_the_log_tells_what_changed(shell: Shell) -> None:
    """The last act first, before and after; of one place, those in it too."""
    shell.tree()
    shell.text("share", "set", "lab/staff", "2000")

    [last] = shell.json("audit", "log", "--limit", "1")
    assert last["act"] == "group.change"
    assert (last["before"], last["after"]) == ({"priority": 1000}, {"priority": 2000})
    assert "priority 1000 > 2000" in shell.text("audit", "log", "lab/staff")
    assert [act["path"] for act in shell.json("audit", "log", "lab/students")] == ["lab/students/qc1", "lab/students"]


def test_the_program_ends_with_one_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """On standard error, with status 1."""
    monkeypatch.setattr("sys.argv", ["chandelier", "hub", "show", "nolab", "--data", str(shell.data)])
    with pytest.raises(SystemExit) as caught:
        cli.run()

    assert caught.value.code == 1
    assert capsys.readouterr() == ("", "chandelier: There is no hub nolab. See: chandelier hub list\n")


def test_each_command_helps() -> None:
    """With an example where one says more than words."""
    for noun in ("hub", "group", "project", "share", "grant", "member", "usage", "audit"):
        done = CliRunner().invoke(cli.app, [noun, "--help"])
        assert (done.exit_code, "Usage" in done.output) == (0, True)
    assert "chandelier group add lab/students" in CliRunner().invoke(cli.app, ["group", "add", "--help"]).output


def test_a_device_goes_through_its_states(shell: Shell, store: Store) -> None:
    """Lists show state and message, and the audit log who did it; going on takes the message away."""
    assert shell.text("device", "pause", "lima", "--message", "cooling down") == "lima is paused\n"
    assert shell.text("device", "maintenance", "lima", "--message", "new wiring") == "lima is in maintenance\n"
    shown = shell.json("device", "show", "lima")
    assert (shown["state"], shown["message"]) == ("maintenance", "new wiring")
    assert shell.text("device", "drain", "lima") == "lima is draining\n"
    [listed] = [row for row in shell.json("device", "list") if row["name"] == "lima"]
    assert (listed["state"], listed["message"]) == ("drain", "")
    assert shell.text("device", "resume", "lima") == "lima is active\n"
    acts = store.read(lambda tx: audit.list_(tx, path="lima"))

    assert [act.after for act in reversed(acts)] == [
        {"state": "paused", "message": "cooling down"},
        {"state": "maintenance", "message": "new wiring"},
        {"state": "drain", "message": ""},
        {"state": "active"},
    ]
    assert all(act.act == "device.set" and act.who.endswith("(shell)") for act in acts)


def test_a_device_gets_a_pace(shell: Shell) -> None:
    """With or without what each job takes besides its shots; a simulator gets none."""
    paced = shell.json("device", "set", "lima", "--pace", "real")
    assert paced == {"name": "lima", "pace": "real", "overhead": 2.0}
    assert shell.json("device", "set", "lima", "--pace", "real", "--overhead", "0.5")["overhead"] == 0.5
    shown = shell.json("device", "show", "lima")
    assert (shown["pace"], shown["overhead"]) == ("real", 0.5)
    assert shell.text("device", "set", "lima", "--pace", "fast") == "lima has the pace fast\n"
    shown = shell.json("device", "show", "lima")
    assert (shown["pace"], shown["overhead"]) == ("fast", None)
    [listed] = [row for row in shell.json("device", "list") if row["name"] == "lima"]

    assert listed["pace"] == "fast"
    assert "is a simulator" in shell.refused("device", "set", "ibmq_qasm_simulator", "--pace", "real")
    assert "it is fast or real" in shell.refused("device", "set", "lima", "--pace", "slow")
    assert "is not between" in shell.refused("device", "set", "lima", "--pace", "real", "--overhead", "-1")
