# SPDX-License-Identifier: Apache-2.0
"""The shell: what an operator types, in a process of its own, beside a server or without one."""

import csv
import json
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import programs
import pytest
from api import error
from clouds import Cloud, Start, eventually

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> Cloud:
    """A data folder without a server."""
    return Cloud(tmp_path_factory.mktemp("idle"), cloud.environment)


def test_init_is_idempotent(idle: Cloud) -> None:
    """A second `init` changes nothing and tells the same token."""
    assert idle.json("init") == idle.account


def test_init_tells_what_it_made(idle: Cloud) -> None:
    """Operator, hub, group and project are named."""
    assert set(idle.account) == {"data", "operator", "hub", "group", "project"}
    assert set(idle.account["operator"]) == {"id", "email", "token"}
    assert [idle.account[name] for name in ("hub", "group", "project")] == ["ibm-q", "open", "main"]
    assert idle.account["data"] == str(idle.data)


def test_secrets_are_for_the_operator_alone(idle: Cloud) -> None:
    """Every file that holds the token, or the secret that signs URLs, has mode 0600."""
    holders = [
        path
        for path in idle.data.rglob("*")
        if path.is_file() and (idle.token.encode() in path.read_bytes() or path.name == "secret")
    ]
    assert len(holders) == 2
    assert [stat.S_IMODE(path.stat().st_mode) for path in holders] == [0o600, 0o600]


def test_doctor_is_content_with_a_good_folder(idle: Cloud) -> None:
    """`doctor` ends with 0."""
    done = idle.command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(idle.command("doctor", "--json").stdout)


def test_doctor_finds_what_is_broken(start_cloud: Start) -> None:
    """Without its database a folder is ill; `doctor` says what to do."""
    broken = start_cloud(serve=False)
    for path in broken.data.glob("*.sqlite*"):
        path.write_bytes(b"this was a database")
    done = broken.command("doctor")
    assert done.returncode != 0
    assert "database" in (done.stdout + done.stderr).lower()
    assert "Traceback" not in done.stdout + done.stderr


def test_devices_are_added_to_a_data_folder(idle: Cloud) -> None:
    """By name and snapshot, or as a set; other words are told what is wanted."""
    [rome] = idle.json("device", "add", "my_rome", "--snapshot", "rome")
    era = idle.json("device", "add", "--set", "era-2020")

    assert rome == {"name": "my_rome", "qubits": 5, "snapshot": "rome"}
    assert {"ibmqx2", "ibmq_16_melbourne", "ibmq_essex"} <= {device["name"] for device in era}
    assert {"my_rome", "ibmqx2"} <= {device["name"] for device in idle.json("device", "list")}
    for words in ([], ["x"], ["--set", "era-1920"], ["x", "--snapshot", "rome", "--set", "default"]):
        done = idle.command("device", "add", *words)
        assert (done.returncode, "era-2020" in done.stderr) == (1, True)
        assert "Traceback" not in done.stderr


def test_every_command_has_help(idle: Cloud) -> None:
    """`--help` answers for the program and for its groups."""
    nouns = ("user", "token", "member", "hub", "group", "project", "share", "device", "grant", "job", "usage", "audit")
    for words in ([], ["init"], ["serve"], ["doctor"], ["demo"], *([noun] for noun in nouns)):
        done = subprocess.run(
            [sys.executable, "-m", "chandelier", *words, "--help"],
            capture_output=True,
            text=True,
            env=idle.environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout


def test_a_port_in_use_is_one_clear_sentence(cloud: Cloud, idle: Cloud) -> None:
    """Serving where somebody else listens fails with a message, not with a traceback."""
    done = idle.command("serve", "--host", "127.0.0.1", "--port", str(cloud.port))
    assert done.returncode != 0
    assert str(cloud.port) in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_new_user_can_log_in_and_is_a_member(cloud: Cloud) -> None:
    """A user added beside the running server submits to the default project at once."""
    user = cloud.add_user("new@example.org", "--name", "New")
    assert set(user) >= {"id", "email", "token"}
    api = cloud.api(user["token"])
    assert api.get("/users/me")["email"] == "new@example.org"
    assert api.get("/Network")[0]["name"] == "ibm-q"
    assert api.wait(api.submit(programs.bell()))["status"] == "COMPLETED"


def test_an_address_has_one_account(cloud: Cloud) -> None:
    """A second account with the same address is refused with a reason."""
    cloud.add_user("twice@example.org")
    done = cloud.command("user", "add", "twice@example.org")
    assert done.returncode != 0
    assert "twice@example.org" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_class_works_with_the_tokens_that_were_handed_out(cloud: Cloud, tmp_path: Path) -> None:
    """Group, project, device and roster, all beside the running server; the report has what the class used."""
    cloud.json("group", "add", "ibm-q/class")
    cloud.json("project", "add", "ibm-q/class/lab")
    cloud.json("grant", "set", "ibm-q/class/lab", "ibmq_manila", "--above", "--max-shots", "500")
    (tmp_path / "class.csv").write_text("ada@example.org,Ada\ngrace@example.org,Grace\n", encoding="utf-8")
    imported = cloud.json("member", "import", "ibm-q/class/lab", str(tmp_path / "class.csv"))
    rows = list(csv.DictReader(Path(imported["out"]).read_text(encoding="utf-8").splitlines()))
    cloud.secrets.update(row["token"] for row in rows)

    assert [row["name"] for row in rows] == ["Ada", "Grace"]
    for row in rows:
        api = cloud.api(row["token"])
        assert list(api.get("/Network")[0]["groups"]) == ["class"]
        assert api.wait(api.submit(programs.device_bell(500), "ibmq_manila"))["status"] == "COMPLETED"
    over = api.wait(api.submit(programs.device_bell(501), "ibmq_manila"))
    assert over["status"] == "ERROR_VALIDATING_JOB"
    report = cloud.json("usage", "report", "ibm-q/class", "--by", "user")
    assert {row["user"]: row["jobs"] for row in report["rows"]} == {"ada@example.org": 1, "grace@example.org": 2}
    acts = [act["act"] for act in cloud.json("audit", "log", "ibm-q/class")]
    assert acts == ["member.import", "grant.set", "grant.set", "project.add", "group.add"]
    cloud.json("group", "remove", "ibm-q/class", "--yes")


def test_tokens_are_issued_listed_and_revoked(cloud: Cloud) -> None:
    """A revoked token logs nobody in, ends the logins made with it, and leaves other tokens alone."""
    first = cloud.add_user("tokens@example.org")
    second = cloud.json("token", "issue", "tokens@example.org")
    cloud.secrets.add(second["token"])
    listed = cloud.json("token", "list", "tokens@example.org")
    assert second["id"] in {token["id"] for token in listed}
    assert first["token"] not in json.dumps(listed)
    assert second["token"] not in json.dumps(listed)
    api = cloud.api(second["token"])
    assert api.get("/users/me")["email"] == "tokens@example.org"

    cloud.json("token", "revoke", second["id"])
    assert error(api.send("GET", "/users/me"))["code"] == 2001
    body = {"apiToken": second["token"]}
    answer = httpx.post(f"{cloud.url}/users/loginWithToken", json=body, trust_env=False)
    assert answer.status_code == 401
    assert cloud.api(first["token"]).get("/users/me")["email"] == "tokens@example.org"


def test_a_paused_device_says_so(start_cloud: Start) -> None:
    """A paused device is operational, for it takes jobs, but not active: they wait until it is resumed."""
    cloud = start_cloud()
    api = cloud.api()
    queue = "/devices/ibmq_manila/queue/status"
    cloud.json("device", "pause", "ibmq_manila")
    eventually(lambda: api.get(queue)["status"] == "paused" or None, 10, "the pause is not seen")
    assert api.get(queue)["state"]
    job = api.submit(programs.device_bell(), "ibmq_manila")
    elsewhere = api.submit(programs.device_bell(), "ibm_lagos")
    assert api.wait(elsewhere)["status"] == "COMPLETED"
    waiting = api.get(f"/Jobs/{job}/status/v/1")
    assert waiting["status"] in {"VALIDATING", "QUEUED"}
    assert api.get(queue)["lengthQueue"] == 1

    cloud.json("device", "resume", "ibmq_manila")
    eventually(lambda: api.get(queue)["status"] == "active" or None, 10, "the end of the pause is not seen")
    assert api.wait(job)["status"] == "COMPLETED"


def test_devices_are_listed_and_shown(cloud: Cloud) -> None:
    """`device list` and `device show` name the devices and their states."""
    names = {device["name"] for device in cloud.json("device", "list")}
    assert {"ibmq_qasm_simulator", "ibmq_manila", "ibm_sherbrooke"} <= names
    assert cloud.json("device", "show", "ibmq_manila")["name"] == "ibmq_manila"
    unknown = cloud.command("device", "show", "ibmq_atlantis")
    assert unknown.returncode != 0
    assert "Traceback" not in unknown.stdout + unknown.stderr


def test_jobs_are_listed_shown_and_cancelled(cloud: Cloud) -> None:
    """The operator sees a user's jobs and can cancel one that runs."""
    api = cloud.api(cloud.add_user("cancelled@example.org")["token"])
    job = api.submit(programs.slow(8000))
    assert job in {row["id"] for row in cloud.json("job", "list")}
    eventually(lambda: api.status(job) == "RUNNING", 60, "the job never ran")
    shown = cloud.json("job", "show", job)
    assert shown["id"] == job
    assert shown["state"] == "RUNNING"

    cloud.json("job", "cancel", job)
    assert api.wait(job)["status"] == "CANCELLED"
