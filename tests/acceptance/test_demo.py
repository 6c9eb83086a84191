# SPDX-License-Identifier: Apache-2.0
"""`chandelier demo`, which is what `make run` calls: from nothing to a first result, and again."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.acceptance


@contextmanager
def demonstration(data: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demonstration on a free port, and stop it as Ctrl-C does."""
    command = [sys.executable, "-m", "chandelier", "demo", "--data", str(data), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the JSON document that the demonstration prints when its jobs are done."""
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert isinstance(document, dict)
    return document


def test_the_first_result_comes_by_itself_and_the_cloud_goes_on(tmp_path: Path) -> None:
    """Both histograms are those of a Bell state, one with noise, and the server serves on with the same token."""
    with demonstration(tmp_path / "data", "--json") as process:
        told = first_line(process)
        ideal, noisy = told["counts"]["ibmq_qasm_simulator"], told["counts"]["ibmq_manila"]
        with urllib.request.urlopen(f"{told['ready']}/health") as answer:
            assert json.load(answer)["status"] == "ok"
        assert (tmp_path / "data" / "address").read_text(encoding="ascii").strip() == told["ready"]
    assert not (tmp_path / "data" / "address").exists()

    assert sum(ideal.values()) == sum(noisy.values()) == 4096
    assert set(ideal) == {"00", "11"}
    assert abs(ideal["00"] - 2048) < 6 * 32
    assert 0.02 < (noisy["01"] + noisy["10"]) / 4096 < 0.2

    with demonstration(tmp_path / "data", "--json") as process:
        assert first_line(process)["token"] == told["token"]


def test_the_text_has_what_to_paste(tmp_path: Path) -> None:
    """The printed page names URL and token, in four snippets, within the width of a terminal where it draws."""
    with demonstration(tmp_path / "data") as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("ready http://"):
            lines.append(process.stdout.readline())
            assert lines[-1], "the demonstration ended early"
        url = lines[-1].split()[1]
    text = "".join(lines)
    token = (tmp_path / "data" / "operator-token").read_text(encoding="ascii").strip()

    assert f"env --url {url} --data {(tmp_path / 'data').resolve()})" in text
    assert text.index("QiskitRuntimeService()") < text.index("IBMQ.enable_account")
    for snippet in (f'IBMQ.enable_account("{token}", "{url}/api")', f'api, token = "{url}/api"', f"curl -s {url}/api"):
        assert snippet in text
    assert all(len(line.rstrip("\n")) <= 80 for line in lines if "%" in line)


@pytest.mark.parametrize("option", ["--port", "--data"])
def test_what_is_in_the_way_is_one_sentence(tmp_path: Path, option: str) -> None:
    """A port that is taken, and a data folder that is a file, end it with one line that says what to do."""
    data = tmp_path / "data"
    with demonstration(data, "--json") as process:
        taken = first_line(process)["ready"].rsplit(":", 1)[1]
        (tmp_path / "file").write_text("in the way", encoding="ascii")
        options = {
            "--port": [f"--port={taken}", f"--data={tmp_path / 'other'}"],
            "--data": [f"--data={tmp_path / 'file'}"],
        }
        command = [sys.executable, "-m", "chandelier", "demo", *options[option]]
        failed = subprocess.run(command, capture_output=True, text=True, check=False)

    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 1
    assert option in failed.stderr
