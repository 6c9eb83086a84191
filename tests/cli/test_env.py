# SPDX-License-Identifier: Apache-2.0
"""What `chandelier env` prints and saves, so that a program for IBM's service runs here."""

import json
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from shells import NOON, Shell, acts
from typer.testing import CliRunner

from chandelier import cli
from chandelier.cli import env
from chandelier.runtime import instances
from chandelier.store import Store
from chandelier.tenancy import users

NAMES = {
    "QISKIT_IBM_CHANNEL",
    "QISKIT_IBM_TOKEN",
    "QISKIT_IBM_URL",
    "QISKIT_IBM_INSTANCE",
    "IAM_URL",
    "QISKIT_FUNCTIONS_EXPERIMENTAL",
}
STRANGE = 'it\'s $HOME `x` \\ "y" ‘z’'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, where the client's accounts would be."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def variables(shell: Shell, *words: str) -> dict[str, str]:
    """Return the variables that are set."""
    answer: dict[str, dict[str, str]] = shell.json("env", *words)
    return answer["variables"]


def saved(home: Path) -> dict[str, Any]:
    """Return the client's accounts."""
    known: dict[str, Any] = json.loads((home / ".qiskit" / "qiskit-ibm.json").read_text(encoding="utf-8"))
    return known


def test_the_operators_shell_finds_the_cloud(shell: Shell, store: Store) -> None:
    """With the token of the file: nothing is made, however often a shell asks."""
    before = acts(store)

    found = variables(shell)
    assert set(found) == NAMES
    assert found["QISKIT_IBM_TOKEN"] == (shell.data / "operator-token").read_text(encoding="ascii").strip()
    assert found["QISKIT_IBM_CHANNEL"] == "ibm_quantum_platform"
    assert found["QISKIT_IBM_URL"] == "http://127.0.0.1:8000/experimental"
    assert found["IAM_URL"] == "http://127.0.0.1:8000"
    assert instances.names(found["QISKIT_IBM_INSTANCE"]) == ("ibm-q", "open", "main")
    assert variables(shell) == found
    assert acts(store) == before


def test_a_shell_can_evaluate_what_is_printed(shell: Shell) -> None:
    """Each line sets a variable, and nothing else is on standard output."""
    script = (
        f"{shell.text('env')}\n{shlex.quote(sys.executable)} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    )
    done = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True, check=True, env={})

    assert variables(shell).items() <= json.loads(done.stdout).items()


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("sh", r"""export NAME='it'"'"'s $HOME `x` \ "y" ‘z’'"""),
        ("fish", r"""set -gx NAME 'it\'s $HOME `x` \\ "y" ‘z’'"""),
        ("powershell", r"""$env:NAME = 'it''s $HOME `x` \ "y" ‘‘z’’'"""),
    ],
)
def test_values_are_quoted(language: str, line: str) -> None:
    """Nothing in a value is a command, in any of the languages."""
    assert env.LINES[language]("NAME", STRANGE) == line
    program = shutil.which(language)
    if program is not None and language != "powershell":
        printed = subprocess.run(
            [program, "-c", f'{line}; printf %s "$NAME"'], capture_output=True, text=True, check=True
        )
        assert printed.stdout == STRANGE


def test_every_language_says_the_same(shell: Shell) -> None:
    """One line for each variable."""
    for language, start in (("sh", "export "), ("fish", "set -gx "), ("powershell", "$env:")):
        lines = shell.text("env", "--shell", language).splitlines()
        assert len(lines) == len(NAMES)
        assert all(line.startswith(start) for line in lines)


def test_somebody_elses_shell_gets_a_token_of_theirs(shell: Shell, store: Store) -> None:
    """Made for it, named, in the audit log, and told on standard error how to end it."""
    shell.tree()
    ann = shell.json("user", "add", "ann@example.org", "--project", "lab/students/qc1")

    found = variables(shell, "--user", "Ann@example.org")
    assert found["QISKIT_IBM_TOKEN"] != ann["token"]
    assert store.read(lambda tx: users.holder(tx, found["QISKIT_IBM_TOKEN"], NOON)) == ann["id"]
    assert instances.names(found["QISKIT_IBM_INSTANCE"]) == ("lab", "students", "qc1")
    listed = shell.json("token", "list", "ann@example.org")
    assert [token["name"] for token in listed] == ["first", "chandelier env"]
    assert acts(store)[-1][0] == "token.issue"
    status, told = shell.ended("env", "--user", "ann@example.org")
    newest = shell.json("token", "list", "ann@example.org")[-1]["id"]
    assert status == 0
    assert told == f"A new API token for ann@example.org. To end it: chandelier token revoke {newest}\n"


def test_a_token_that_exists_is_used(shell: Shell, store: Store) -> None:
    """Its owner is who it is for; no other is made."""
    shell.tree()
    ann = shell.json("user", "add", "ann@example.org", "--project", "lab/students/qc1")
    before = acts(store)

    found = variables(shell, "--token", ann["token"])
    assert found["QISKIT_IBM_TOKEN"] == ann["token"]
    assert instances.names(found["QISKIT_IBM_INSTANCE"]) == ("lab", "students", "qc1")
    assert acts(store) == before


def test_a_token_can_be_read_instead_of_typed(shell: Shell) -> None:
    """From standard input, so that no history of a shell has it."""
    ann = shell.json("user", "add", "ann@example.org")

    words = ["env", "--token", "-", "--json", "--data", str(shell.data)]
    done = CliRunner().invoke(cli.app, words, input=f"{ann['token']}\n")
    assert json.loads(done.stdout)["account"]["token"] == ann["token"]


def test_a_project_can_be_named(shell: Shell, store: Store) -> None:
    """One that the user is a member of; of another nothing is made."""
    shell.tree()
    shell.text("project", "add", "lab/students/qc2")
    shell.text("user", "add", "ann@example.org", "--project", "lab/students/qc1")
    before = acts(store)

    told = shell.refused("env", "--user", "ann@example.org", "--project", "lab/students/qc2")
    assert told.endswith("chandelier member add lab/students/qc2 ann@example.org")
    assert "lab/students/nope" in shell.refused("env", "--project", "lab/students/nope")
    assert acts(store) == before
    shell.text("member", "add", "lab/students/qc2", "ann@example.org")
    found = variables(shell, "--user", "ann@example.org", "--project", "lab/students/qc2")
    assert instances.names(found["QISKIT_IBM_INSTANCE"]) == ("lab", "students", "qc2")


def test_who_cannot_use_it_reads_why(shell: Shell) -> None:
    """A wrong token, an unknown address, nobody's project, two answers to one question, a folder without a token."""
    shell.text("user", "add", "ann@example.org", "--no-project")

    assert "not valid here" in shell.refused("env", "--token", "0" * 128)
    assert "no user bob@example.org" in shell.refused("env", "--user", "bob@example.org")
    assert "member of no project" in shell.refused("env", "--user", "ann@example.org")
    assert "not both" in shell.refused("env", "--user", "ann@example.org", "--token", "x")
    (shell.data / "operator-token").unlink()
    assert "chandelier init" in shell.refused("env")


def test_the_address_is_that_of_the_settings(shell: Shell) -> None:
    """The public one, or host and port; `--url` goes before both."""
    settings = shell.data / "chandelier.toml"
    for text, root in (
        ('host = "0.0.0.0"\nport = 8123\n', "http://127.0.0.1:8123"),
        ('host = "::"\n', "http://[::1]:8000"),
        ('host = "10.1.2.3"\n', "http://10.1.2.3:8000"),
        ('port = 0\npublic_url = "https://quantum.example.org/"\n', "https://quantum.example.org"),
    ):
        settings.write_text(text, encoding="utf-8")
        assert variables(shell)["IAM_URL"] == root
    assert variables(shell, "--url", "http://other:9000/")["QISKIT_IBM_URL"] == "http://other:9000/experimental"
    settings.write_text("port = 0\n", encoding="utf-8")
    assert "--url" in shell.refused("env")
    for wrong in (
        "other:9000",
        "http://other/api",
        "ftp://other",
        "http://other/?a=b",
        "http://a b",
        "http://a:b@c",
        "http://",
    ):
        assert "without a path" in shell.refused("env", "--url", wrong)


def test_the_address_of_a_server_that_runs_is_known(shell: Shell) -> None:
    """Whatever port it was given; not so if the settings say how others reach it, or if the file is no address."""
    address, settings = shell.data / "address", shell.data / "chandelier.toml"
    for written, root in (
        ("http://127.0.0.1:8123\n", "http://127.0.0.1:8123"),
        ("http://0.0.0.0:8124\n", "http://127.0.0.1:8124"),
        ("http://[::]:8125\n", "http://[::1]:8125"),
        ("http://[::1]:8126\n", "http://[::1]:8126"),
        ("http://[:\n", "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
    ):
        address.write_text(written, encoding="ascii")
        assert variables(shell)["IAM_URL"] == root
    address.write_text("http://127.0.0.1:8123\n", encoding="ascii")
    settings.write_text('public_url = "https://quantum.example.org"\n', encoding="utf-8")
    assert variables(shell)["IAM_URL"] == "https://quantum.example.org"
    assert variables(shell, "--url", "http://other:9000")["IAM_URL"] == "http://other:9000"


def test_earlier_clients_need_less(shell: Shell) -> None:
    """The channel of 2025 and before has the URL of the former API and a path instead of a CRN."""
    found = variables(shell, "--channel", "ibm_quantum")

    token = (shell.data / "operator-token").read_text(encoding="ascii").strip()
    assert found == {
        "QISKIT_IBM_CHANNEL": "ibm_quantum",
        "QISKIT_IBM_TOKEN": token,
        "QISKIT_IBM_URL": "http://127.0.0.1:8000/api",
        "QISKIT_IBM_INSTANCE": "ibm-q/open/main",
    }


def test_python_is_a_program(shell: Shell) -> None:
    """The same, for a notebook: the variables that no argument stands for, and the service."""
    text = shell.text("env", "--python")
    tree = compile(text, "snippet", "exec")

    assert tree.co_names[:1] == ("os",)
    found = variables(shell)
    for name in ("QISKIT_IBM_TOKEN", "QISKIT_IBM_URL", "QISKIT_IBM_INSTANCE", "IAM_URL"):
        assert json.dumps(found[name]) in text
    assert text.index("IAM_URL") < text.index("qiskit_ibm_runtime")


def test_an_account_is_saved(shell: Shell, home: Path) -> None:
    """For the client alone to read, as the default; what it cannot hold is printed."""
    printed = shell.text("env", "--save")

    found = variables(shell)
    file = home / ".qiskit" / "qiskit-ibm.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert saved(home) == {
        "chandelier": {
            "channel": "ibm_quantum_platform",
            "token": found["QISKIT_IBM_TOKEN"],
            "url": "http://127.0.0.1:8000/experimental",
            "instance": found["QISKIT_IBM_INSTANCE"],
            "private_endpoint": False,
            "verify": True,
            "is_default_account": True,
        }
    }
    assert printed == "export IAM_URL=http://127.0.0.1:8000\nexport QISKIT_FUNCTIONS_EXPERIMENTAL=1\n"


def test_other_accounts_are_left_alone(shell: Shell, home: Path) -> None:
    """Only which is the default changes, and that is told; another account of ours is replaced."""
    file = home / ".qiskit" / "qiskit-ibm.json"
    file.parent.mkdir()
    theirs = {"channel": "ibm_quantum_platform", "token": "theirs", "is_default_account": True}
    file.write_text(json.dumps({"real": theirs, "other": {"token": "x"}, "chandelier": {"token": "old"}}))
    file.chmod(0o644)

    status, told = shell.ended("env", "--save")
    assert status == 0
    assert "Before, that was real: QiskitRuntimeService(name='real')" in told
    known = saved(home)
    assert known["real"] == {"channel": "ibm_quantum_platform", "token": "theirs"}
    assert known["other"] == {"token": "x"}
    assert known["chandelier"]["is_default_account"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_saved_token_is_kept(shell: Shell, home: Path, store: Store) -> None:
    """Saving again for the same user makes no other token, for another user one."""
    for email in ("ann@example.org", "bob@example.org"):
        shell.text("user", "add", email)
    shell.text("env", "--save", "--user", "ann@example.org")
    first = saved(home)["chandelier"]["token"]
    before = acts(store)

    shell.text("env", "--save", "--user", "ann@example.org")
    assert saved(home)["chandelier"]["token"] == first
    assert acts(store) == before
    shell.text("env", "--save", "--user", "bob@example.org")
    assert saved(home)["chandelier"]["token"] != first


@pytest.mark.parametrize("text", ["not JSON", "[]", '{"default": 1}'])
def test_a_file_that_cannot_be_read_is_not_written(shell: Shell, home: Path, text: str, store: Store) -> None:
    """Nor is a token made."""
    file = home / ".qiskit" / "qiskit-ibm.json"
    file.parent.mkdir()
    file.write_text(text)
    before = acts(store)

    assert str(file) in shell.refused("env", "--save", "--user", "op@example.org")
    assert file.read_text() == text
    assert acts(store) == before


def test_saving_is_for_todays_client(shell: Shell) -> None:
    """An account of the former channel would stop today's client from finding any."""
    assert "save_account" in shell.refused("env", "--save", "--channel", "ibm_quantum")
