# SPDX-License-Identifier: Apache-2.0
"""The fixtures of the acceptance tests: clouds in their own processes, the old client in its own venv."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import oldclient
import pytest
from clouds import Cloud, Start

#: The variables of the test run without settings of a cloud; nothing else here reads the environment.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251
    if not name.startswith(("CHANDELIER_", "QE_", "QISKIT_"))
}


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known that only these tests use."""
    config.addinivalue_line("markers", "last: run after all other tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Look for secrets in the logs when everything else has had its chance to put them there."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One running cloud for all tests that leave it as they found it."""
    started = Cloud(tmp_path_factory.mktemp("cloud"), ENVIRONMENT)
    started.start()
    yield started
    started.clear()


@pytest.fixture
def start_cloud(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a private cloud; its keyword arguments become settings."""
    started: list[Cloud] = []

    def start(settings: Mapping[str, object] | None = None, *, serve: bool = True) -> Cloud:
        names = {f"CHANDELIER_{name.upper()}": str(value) for name, value in (settings or {}).items()}
        folder = tmp_path / f"cloud-{len(started)}"
        folder.mkdir()
        private = Cloud(folder, ENVIRONMENT | names)
        started.append(private)
        if serve:
            private.start()
        return private

    yield start
    for private in started:
        private.clear()


@pytest.fixture(scope="session")
def old_client(pytestconfig: pytest.Config) -> oldclient.OldClient:
    """The unmodified client qiskit-ibmq-provider 0.20.2; needs Python 3.11."""
    python = oldclient.python311()
    if python is None:
        pytest.skip("not run: the old client needs Python 3.11, and there is no python3.11 on the path")
    return oldclient.build(python, pytestconfig.rootpath / ".cache" / "clients", ENVIRONMENT)


@pytest.fixture(scope="session")
def observe(cloud: Cloud, old_client: oldclient.OldClient) -> Callable[..., dict[str, Any]]:
    """Return a function that runs a client script against the common cloud and returns what it saw."""

    def run(script: str, *arguments: str) -> dict[str, Any]:
        seen = old_client.run(script, cloud.url, cloud.token, *arguments)
        cloud.secrets.add(seen["access_token"])
        return seen

    return run
