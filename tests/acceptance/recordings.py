# SPDX-License-Identifier: Apache-2.0
"""Recorded exchanges of clients that cannot be installed everywhere, sent again and compared."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import clouds
from api import Api
from clouds import Cloud

FOLDER: Final = Path(__file__).parent / "clients"
PROJECT: Final = "/api/Network/ibm-q/Groups/open/Projects/main"
#: Text whose value matters to the client; of all other values only the kind does.
WORDS: Final = frozenset({"status", "kind", "name", "gate", "unit", "backend_name"})
#: Keys that may be there only where they were recorded: the client takes them for news.
NEWS: Final = frozenset({"error", "infoQueue", "qObject", "qObjectResult"})
_PLACE: Final = re.compile(r"<[a-z0-9-]+>")


def read(name: str) -> dict[str, Any]:
    """Return a recording: its `exchanges`, and the `frames` of a WebSocket."""
    recording: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return recording


@dataclass
class Replay:
    """One run of a recording against a cloud.

    Args:
        bound: What the recording's placeholders (`<job-1>`) stand for on this cloud; grows with each answer.
    """

    cloud: Cloud
    bound: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Bind what is known before the first request."""
        self.bound |= {"<token>": self.cloud.token, "<project>": f"{self.cloud.root}{PROJECT}"}

    def play(self, exchange: dict[str, Any], api: Api) -> None:
        """Send one recorded request and compare the answer; a state that is still to come is asked for again."""
        path = self.fill(exchange["path"])
        url = path if path.startswith("http") else f"{self.cloud.root}{path}"
        headers = {"X-Access-Token": self.bound["<access>"]} if "<access>" in self.bound else {}
        headers["X-Qx-Client-Application"] = "ibmqprovider/0.4.6"

        def ask() -> Any:
            sent = json.loads(self.fill(json.dumps(exchange["sent"]))) if "sent" in exchange else None
            return api.http.request(exchange["method"], url, json=sent, params=exchange.get("query"), headers=headers)

        answer = ask()
        if exchange["method"] == "GET" and path.endswith("/status") and "status" in (exchange["answered"] or ()):
            answer = clouds.eventually(awaited(ask, exchange["answered"]), 60, f"{path} never said what was recorded")
        assert answer.status_code == exchange["status"], answer.text
        if exchange["answered"] is not None:
            self.compare(exchange["answered"], answer.json(), path)

    def fill(self, text: str) -> str:
        """Replace placeholders by what they stand for."""
        return _PLACE.sub(lambda place: self.bound[place.group()], text)

    def compare(self, recorded: Any, seen: Any, where: str) -> None:
        """Check that an answer has what was recorded, in the same form; bind placeholders that are new."""
        if isinstance(recorded, str) and _PLACE.fullmatch(recorded):
            assert self.bound.setdefault(recorded, seen) == seen, where
        elif isinstance(recorded, dict):
            assert recorded.keys() <= seen.keys(), where
            assert not (NEWS & seen.keys()) - recorded.keys(), where
            for key, value in recorded.items():
                if key in WORDS and isinstance(value, str):
                    assert seen[key] == value, f"{where}/{key}"
                self.compare(value, seen[key], f"{where}/{key}")
        elif isinstance(recorded, list):
            assert bool(recorded) <= bool(seen), where
            for index, value in enumerate(recorded[: len(seen)]):
                self.compare(value, seen[index], f"{where}/{index}")
        else:
            assert isinstance(seen, type(recorded)), f"{where}: {seen!r} is not as {recorded!r} was"


def awaited(ask: Callable[[], Any], recorded: dict[str, Any]) -> Callable[[], Any]:
    """Return a function that asks, and returns the answer once it tells a recorded status, with the same news."""

    def look() -> Any:
        answer = ask()
        seen = answer.json()
        told = seen.get("status") == recorded["status"] and NEWS & seen.keys() == NEWS & recorded.keys()
        return answer if told else None

    return look
