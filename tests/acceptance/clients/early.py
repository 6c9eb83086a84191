# SPDX-License-Identifier: Apache-2.0
"""What only the scripts for the client of early 2020 share; for Python 3.7."""

from __future__ import annotations

import json
import time
from typing import Any

from qiskit import IBMQ


def disable() -> None:
    """Log out, so that another login may follow."""
    IBMQ.disable_account()


def poll(arguments: list[str]) -> Any:
    """Log in as behind a proxy: then the client asks for states by HTTP instead of by WebSocket."""
    return IBMQ.enable_account(arguments[2], arguments[1], proxies={"urls": {}})


def until(look: Any, limit: float = 60) -> None:
    """Ask until something is true."""
    end = time.monotonic() + limit
    while not look():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def report(provider: Any, **seen: Any) -> None:
    """Print what was seen; this client keeps its access token in its sessions only."""
    print(json.dumps({"access_token": provider._api.client_api.session.access_token, **seen}))  # noqa: T201
