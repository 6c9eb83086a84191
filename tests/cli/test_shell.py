# SPDX-License-Identifier: Apache-2.0
"""Hub administration from the shell: places, shares, grants, people, usage and the audit log."""

from typing import Any

import pytest
from shells import Shell, acts
from typer.testing import CliRunner

from chandelier import cli
from chandelier.store import Store
from chandelier.tenancy import access, audit, grants, network


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
        ("token.issue", ""),
        ("hub.add", "lab"),
        ("group.add", "lab/students"),
        ("group.add", "lab/staff"),
        ("project.add", "lab/students/qc1"),
    ]
    assert all(act.who.endswith(" (shell)") for act in store.read(audit.list_) if act.path)


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

    assert "with 2 groups and 1 project" in shell.text("hub", "remove", "lab", "--yes")
    assert [row["path"] for row in shell.json("project", "list")] == ["ibm-q/open/main"]
    assert shell.json("audit", "log", "lab", "--limit", "1")[0]["act"] == "hub.remove"
    shell.text("hub", "add", "lab")
    assert "cannot be deleted" in shell.refused("project", "remove", "ibm-q/open/main", "--yes")
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
        (["group", "add", "lab/UPPER"], "The name of the group is 'UPPER'; it must be 1 to 16 lowercase"),
        (["group", "add", "lab/x", "--share", "10001"], "from 1 to 10000"),
        (["project", "show", "lab/nogroup/x"], "There is no group lab/nogroup. See: chandelier group list lab"),
        (["project", "show", "lab//x"], "write HUB/GROUP/PROJECT"),
        (["hub", "add", "other", "--title", "a" * 201], "The title has 201 characters; at most 200"),
        (["hub", "change", "lab", "--description", "a" * 2001], "The description has 2001 characters"),
        (["share", "set", "lab", "0"], "The share is 0; it must be a whole number from 1 to 10000"),
        (["share", "show", "a/b/c/d"], "HUB or HUB/GROUP or HUB/GROUP/PROJECT"),
        (["grant", "set", "lab", "nodevice"], "nodevice"),
        (["grant", "set", "lab/staff", "manila"], "add --above"),
        (["grant", "set", "ibm-q", "manila", "--max-shots", "0"], "--max-shots is 0"),
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


def test_the_log_tells_what_changed(shell: Shell) -> None:
    """The last act first, before and after; of one place, those in it too."""
    shell.tree()
    shell.text("share", "set", "lab/staff", "2000")

    [last] = shell.json("audit", "log", "--limit", "1")
    assert last["act"] == "group.change"
    assert (last["before"], last["after"]) == ({"share": 1000}, {"share": 2000})
    assert "share 1000 > 2000" in shell.text("audit", "log", "lab/staff")
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
