# SPDX-License-Identifier: Apache-2.0
"""The old clients, each in a virtual environment of its own, since none can live beside a modern Qiskit."""

import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

SCRIPTS: Final = Path(__file__).parent / "clients"
PINS: Final = SCRIPTS / "ibmq-0.20.2.txt"
INSTALL_LIMIT: Final = 900
RUN_LIMIT: Final = 240


@dataclass(frozen=True)
class OldClient:
    """A Python with one of the old clients.

    Args:
        python: The interpreter of the virtual environment.
        environment: Variables for the scripts.
    """

    python: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run one of the scripts in `clients/` and return the JSON object that it prints."""
        done = subprocess.run(
            [str(self.python), str(SCRIPTS / f"{script}.py"), *arguments],
            capture_output=True,
            text=True,
            env=dict(self.environment),
            timeout=RUN_LIMIT,
            check=False,
        )
        assert done.returncode == 0, f"{script}:\n{done.stdout}\n{done.stderr}"
        return cast("dict[str, Any]", json.loads(done.stdout))


def python311() -> str | None:
    """Return a Python 3.11: the one that runs the tests, or the one on the path."""
    if platform.python_version_tuple()[:2] == ("3", "11"):
        return sys.executable
    found = shutil.which("python3.11")
    works = found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    return found if works else None


def build(
    python: str,
    cache: Path,
    environment: Mapping[str, str],
    pins: Path = PINS,
    *,
    first: Sequence[str] = (),
    arguments: Sequence[str] = (),
) -> OldClient:
    """Return a client, installed once for each set of pins; parallel test runs wait for each other.

    Args:
        python: An interpreter of the version that the pins are for.
        cache: Folder that keeps the virtual environments.
        environment: Variables for the installer and later for the scripts.
        pins: The file in pip's form that names the client and everything it needs.
        first: What is installed before the pins: the tools that their source packages are built with.
        arguments: More arguments of pip for the pins, such as `--no-build-isolation`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    recipe = pins.read_bytes()
    # The plain recipe keeps the name that it had before there were others.
    if first or arguments:
        recipe += json.dumps([list(first), list(arguments)]).encode()
    name = f"{pins.stem}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    folder = cache / name
    # A note beside the folder says that it is complete: an interrupted installation is started anew.
    complete = cache / f"{name}.complete"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _install([python, "-m", "venv", str(folder)], environment)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            if first:
                _install([*pip, *first], environment)
            _install([*pip, "--no-deps", *arguments, "-r", str(pins)], environment)
            complete.touch()
    return OldClient(folder / "bin" / "python", environment)


def _install(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(environment), timeout=INSTALL_LIMIT, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
