# SPDX-License-Identifier: Apache-2.0
"""The status WebSocket, spoken by hand."""

import json
from typing import Any

from clouds import Cloud
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def dial(cloud: Cloud, job: str, view: str = "/v/1", *, query: str = "") -> ClientConnection:
    """Open the status stream of a job."""
    return connect(f"ws://127.0.0.1:{cloud.port}/jobs/{job}/status{view}{query}", proxy=None)


def authenticate(socket: ClientConnection, token: str) -> None:
    """Send the first message, the one that a client owes."""
    socket.send(json.dumps({"type": "authentication", "data": token}))


def hear(socket: ClientConnection, limit: float = 60.0) -> dict[str, Any]:
    """Return the next message, which must come in a binary frame: clients up to 2020 call `decode` on it."""
    frame = socket.recv(timeout=limit)
    assert isinstance(frame, bytes), "a text frame"
    message: dict[str, Any] = json.loads(frame)
    return message


def hear_all(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """Return all further messages and the code with which the server closed; 0 if it gave none."""
    messages = []
    while True:
        try:
            messages.append(hear(socket))
        except ConnectionClosed as closed:
            return messages, closed.rcvd.code if closed.rcvd else 0


def follow(cloud: Cloud, job: str, token: str, view: str = "/v/1") -> tuple[list[dict[str, Any]], int]:
    """Follow a job to the end of its stream."""
    with dial(cloud, job, view) as socket:
        authenticate(socket, token)
        return hear_all(socket)
