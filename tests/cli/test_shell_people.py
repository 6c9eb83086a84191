# SPDX-License-Identifier: Apache-2.0
"""People from the shell: one by one, or a class at once."""

import csv
import json
import stat
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from shells import NOON, Shell, acts

from chandelier import errors, setup
from chandelier.store import Store, sqlite
from chandelier.tenancy import members, users


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
    assert acts(store)[-6:] == [
        ("member.add", "lab/students/qc1"),
        ("member.add", "lab"),
        ("user.add", ""),
        ("member.join", "lab"),
        ("member.add", "ibm-q/open/main"),
        ("member.remove", "lab/students/qc1"),
    ]


def test_an_account_begins_in_the_project_that_is_named(shell: Shell, store: Store) -> None:
    """Not in the default one, where no limits of a course hold; the answer to an invitation says how."""
    shell.tree()
    told = shell.text("member", "add", "lab/students/qc1", "ann@example.org")
    assert "chandelier user add ann@example.org --project lab/students/qc1\n" in told
    told = shell.text("member", "add", "lab", "bob@example.org")
    assert "chandelier user add bob@example.org --no-project\n" in told

    ann = shell.json("user", "add", "ann@example.org", "--project", "lab/students/qc1")
    assert ann["projects"] == ["lab/students/qc1"]
    assert [place.path for place in store.read(lambda tx: members.places_of(tx, ann["id"]))] == ann["projects"]
    bob = shell.json("user", "add", "bob@example.org", "--no-project")
    assert (bob["projects"], bob["administers"]) == ([], ["lab"])
    assert [row["invited"] for row in shell.json("member", "list", "lab")] == [False]
    assert shell.json("user", "add", "cid@example.org")["projects"] == ["ibm-q/open/main"]
    assert "not both" in shell.refused("user", "add", "d@example.org", "--no-project", "--project", "lab/students/qc1")
    assert "no project lab/students/nope" in shell.refused(
        "user", "add", "d@example.org", "--project", "lab/students/nope"
    )
    assert store.read(lambda tx: users.find_by_email(tx, "d@example.org")) is None


def test_who_adds_an_account_reads_what_it_may(shell: Shell) -> None:
    """What it is a member of, and what it administers because it was invited to."""
    shell.tree()
    for path in ("lab/students", "lab", "lab/students/qc1"):
        shell.text("member", "add", path, "bob@example.org")
    told = shell.text("user", "add", "bob@example.org", "--no-project")

    assert "member of lab/students/qc1, administrator of lab, lab/students\n" in told
    assert "administrator" not in shell.text("user", "add", "ann@example.org")


def test_a_class_is_brought_in(shell: Shell, store: Store, tmp_path: Path) -> None:
    """Accounts, memberships and tokens in one go, and one file, for the operator's eyes, to hand out."""
    shell.tree()
    shell.text("user", "add", "ann@example.org", "--name", "Ann")
    roster = tmp_path / "class.csv"
    people = [f"student{number}@example.org,Zoë {number}" for number in range(300)]
    roster.write_text("\n".join(["email,name", "ANN@example.org,Another", *people]), encoding="utf-8")

    done = shell.json("member", "import", "lab/students/qc1", str(roster))
    out = tmp_path / "class-tokens.csv"
    assert (done["accounts"], done["joined"], done["tokens"], done["out"]) == (300, 301, 300, str(out))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["email", "name", "token"]
    assert [(row["email"], row["name"]) for row in rows[:2]] == [
        ("student0@example.org", "Zoë 0"),
        ("student1@example.org", "Zoë 1"),
    ]
    login = users.login_with_token(store, rows[-1]["token"], NOON)
    [place] = store.read(lambda tx: members.places_of(tx, login.user_id))
    assert place.path == "lab/students/qc1"
    assert rows[-1]["token"] not in json.dumps(done)
    assert acts(store)[-1] == ("member.import", "lab/students/qc1")


def test_a_dry_import_only_tells(shell: Shell, store: Store, tmp_path: Path) -> None:
    """Who would get an account, who would join, where the tokens would be; no file, no account."""
    shell.tree()
    shell.text("user", "add", "ann@example.org")
    roster, out = tmp_path / "class.csv", tmp_path / "class-tokens.csv"
    roster.write_text("ann@example.org\nbob@example.org\n", encoding="utf-8")
    before = acts(store)
    words = ("member", "import", "lab/students/qc1", str(roster), "--dry-run")

    told = shell.json(*words)
    assert [(row["email"], row["created"], row["joined"], row["token"]) for row in told["people"]] == [
        ("ann@example.org", False, True, False),
        ("bob@example.org", True, True, True),
    ]
    assert (told["accounts"], told["known"], told["tokens"]) == (1, 1, 1)
    assert (told["out"], told["out_exists"]) == (str(out), False)
    text = shell.text(*words)
    assert [line.split() for line in text.splitlines()[1:3]] == [
        ["ann@example.org", "-", "known", "joins", "keeps", "theirs"],
        ["bob@example.org", "-", "new", "account", "joins", "new", "token"],
    ]
    assert "lab/students/qc1: 1 new account, 2 new members, 1 new token\n" in text
    assert f"The tokens go to {out} (readable by you alone)" in text
    assert not out.exists()
    assert store.read(lambda tx: users.find_by_email(tx, "bob@example.org")) is None
    assert acts(store) == before
    out.write_text("the tokens of last year", encoding="utf-8")
    assert shell.json(*words)["out_exists"]
    assert f"The tokens go to {out}, WHICH EXISTS" in shell.text(*words)


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


@pytest.mark.parametrize(
    "line",
    ["ann@example.org;", '"ann@example.org', '"ann"@example.org', "ann @example.org", "Ann <ann@example.org>"],
)
def test_an_address_with_something_stray_is_told_by_its_line(
    shell: Shell, store: Store, tmp_path: Path, line: str
) -> None:
    """And makes no account."""
    shell.tree()
    before = acts(store)
    (tmp_path / "class.csv").write_text(f"email,name\nbob@example.org,Bob\n{line}\n", encoding="utf-8")

    assert "Line 3" in shell.refused("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))
    assert acts(store) == before
    assert [row["email"] for row in shell.json("user", "list")] == ["op@example.org"]


@pytest.mark.parametrize("path", ["lab", "lab/students"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_no_token_of_an_administrator_is_handed_out(
    shell: Shell, store: Store, tmp_path: Path, path: str, dry_run: bool
) -> None:
    """Of somebody who is invited to be one neither: the line is named, and what to do instead."""
    shell.tree()
    shell.text("member", "add", path, "bob@example.org")
    (tmp_path / "class.csv").write_text("ann@example.org\nBob@example.org\n", encoding="utf-8")
    words = ("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))
    before = acts(store)

    told = shell.refused(*words, *(["--dry-run"] if dry_run else []))
    assert f"Line 2: bob@example.org is invited to administer {path};" in told
    assert f"chandelier member remove {path} bob@example.org" in told
    assert acts(store) == before
    assert store.read(lambda tx: users.find_by_email(tx, "ann@example.org")) is None
    assert not (tmp_path / "class-tokens.csv").exists()

    shell.text("member", "remove", path, "bob@example.org")
    assert shell.json(*words)["tokens"] == 2


def test_who_joins_later_is_imported_by_the_same_roster(shell: Shell, store: Store, tmp_path: Path) -> None:
    """Those who have an account keep their token as the only one, unless others are asked for."""
    shell.tree()
    roster = tmp_path / "class.csv"
    words = ("member", "import", "lab/students/qc1", str(roster))
    roster.write_text("ann@example.org\n", encoding="utf-8")
    shell.text(*words)
    before = acts(store)
    assert "all are members already\n1 person has an account already" in shell.text(*words)
    assert acts(store) == before
    roster.write_text("ann@example.org\nbob@example.org\n", encoding="utf-8")

    assert "exists" in shell.refused(*words)
    out = tmp_path / "later.csv"
    later = shell.json(*words, "--out", str(out))
    assert [(row["email"], row["token"]) for row in later["people"]] == [
        ("ann@example.org", False),
        ("bob@example.org", True),
    ]
    assert [row["email"] for row in csv.DictReader(out.read_text(encoding="utf-8").splitlines())] == ["bob@example.org"]
    assert len(shell.json("token", "list", "ann@example.org")) == 1
    again = shell.json(*words, "--new-tokens", "--out", str(tmp_path / "again.csv"))
    assert (again["accounts"], again["joined"], again["tokens"]) == (0, 0, 2)
    assert len(shell.json("token", "list", "ann@example.org")) == 2


@pytest.mark.parametrize("moment", ["hashing", "making accounts", "writing the file"])
def test_an_import_that_is_stopped_leaves_nothing(
    shell: Shell, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Neither accounts nor a file, and it says so."""
    shell.tree()
    (tmp_path / "class.csv").write_text("ann@example.org\nbob@example.org,,password 1\n", encoding="utf-8")
    before, files = acts(store), sorted(tmp_path.iterdir())
    interrupted(monkeypatch, moment)

    status, told = shell.ended("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))
    assert (status, told) == (130, "Stopped. Nothing is imported.\n")
    assert sorted(tmp_path.iterdir()) == files
    assert acts(store) == before
    assert [row["email"] for row in shell.json("user", "list")] == ["op@example.org"]


def test_an_import_that_is_stopped_too_late_is_done(
    shell: Shell, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the writer has begun to commit, the tokens are valid and their file stays."""
    shell.tree()
    (tmp_path / "class.csv").write_text("ann@example.org\n", encoding="utf-8")
    interrupted(monkeypatch, "committing")

    status, told = shell.ended("member", "import", "lab/students/qc1", str(tmp_path / "class.csv"))
    assert (status, told) == (0, "")
    [row] = csv.DictReader((tmp_path / "class-tokens.csv").read_text(encoding="utf-8").splitlines())
    assert users.login_with_token(store, row["token"], NOON)


def interrupted(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Let somebody press Ctrl-C at a moment of an import: the main thread is told, the writer goes on."""
    if moment == "hashing":
        monkeypatch.setattr(users, "hash_password", stop)
        return
    reached, told = threading.Event(), threading.Event()
    where, name = {
        "making accounts": (members, "welcome"),
        "writing the file": (setup, "write_private"),
        "committing": (setup, "write_private"),
    }[moment]
    real = getattr(where, name)

    def slow(*arguments: Any) -> Any:
        if moment == "committing":
            real(*arguments)
        reached.set()
        told.wait(30)
        if moment == "writing the file":
            raise OSError(28, "No space left on device")
        return real(*arguments) if moment == "making accounts" else None

    class Impatient(Future[Any]):
        """What the main thread waits for until it is interrupted, once."""

        def result(self, timeout: float | None = None) -> Any:
            if not told.is_set():
                reached.wait(30)
                raise KeyboardInterrupt
            return super().result(timeout)

        def exception(self, timeout: float | None = None) -> BaseException | None:
            told.set()
            return super().exception(timeout)

    monkeypatch.setattr(where, name, slow)
    monkeypatch.setattr(sqlite, "Future", Impatient)


def stop(_password: str) -> str:
    """Be interrupted."""
    raise KeyboardInterrupt


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
