# SPDX-License-Identifier: Apache-2.0
"""The clients of the Runtime API: unmodified, each in a virtual environment of its own, told where the cloud is."""

import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import oldclient
import pytest
from clouds import Cloud
from oldclient import OldClient

#: Today's client; the last one of the channel `ibm_quantum`; the one before it.
TODAY: Final = "runtime-0.51.0"
FORMER: Final = "runtime-0.40.1"
PROVIDER: Final = "provider-0.11.0"
#: What would send a client elsewhere, whoever runs the tests.
ELSEWHERE: Final = ("IAM_", "GLOBAL_", "RESOURCE_", "IBM_")


def build(config: pytest.Config, cloud: Cloud, pins: str, home: Path) -> OldClient:
    """Return a client whose user has an empty home.

    Args:
        pins: The file in `clients/` that names it and everything it needs, without its ending.
    """
    kept = {name: value for name, value in cloud.environment.items() if not name.startswith(ELSEWHERE)}
    surroundings = kept | {"HOME": str(home), "CHANDELIER_DATA": str(cloud.data)}
    cache = config.rootpath / ".cache" / "clients"
    return oldclient.build(sys.executable, cache, surroundings, oldclient.SCRIPTS / f"{pins}.txt")


def surrounded(client: OldClient, variables: dict[str, str]) -> OldClient:
    """Return a client whose surroundings have some variables more."""
    return dataclasses.replace(client, environment={**client.environment, **variables})


def told(client: OldClient, cloud: Cloud, *options: str) -> OldClient:
    """Return a client for whom `chandelier env` has set the variables."""
    answer = cloud.json("env", "--url", cloud.root, *options)
    cloud.secrets.add(answer["account"]["token"])
    return surrounded(client, answer["variables"])


def saved(cloud: Cloud, environment: Mapping[str, str]) -> dict[str, str]:
    """Save an account with `chandelier env --save`, and return the variables that it prints, as a shell reads them."""
    command = [sys.executable, "-m", "chandelier", "env", "--save", "--url", cloud.root, "--data", str(cloud.data)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    pairs = (shlex.split(line)[1].partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs}


def in_shell(client: OldClient, cloud: Cloud, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script as people do: in a shell that has read what `chandelier env` prints."""
    command = [sys.executable, "-m", "chandelier", "env", "--data", str(cloud.data), *options]
    line = 'variables="$("$@")" || exit 1; eval "$variables"; exec "$PYTHON" "$SCRIPT"'
    named = {"PYTHON": str(client.python), "SCRIPT": str(oldclient.SCRIPTS / f"{script}.py")}
    return subprocess.run(
        ["sh", "-c", line, "sh", *command],
        capture_output=True,
        text=True,
        env={**client.environment, **named},
        timeout=oldclient.RUN_LIMIT,
        check=False,
    )


def printed(client: OldClient, program: str) -> str:
    """Run a program in Python and return what it prints."""
    done = subprocess.run(
        [str(client.python), "-c", program],
        capture_output=True,
        text=True,
        env=client.environment,
        timeout=oldclient.RUN_LIMIT,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
