# SPDX-License-Identifier: Apache-2.0
"""Requests byte by byte as a client wrote them, sent to one server whatever host they name."""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

LIMIT = 60.0


@dataclass(frozen=True)
class Reply:
    """An answer as it came.

    Attributes:
        status: HTTP status, which some clients never look at.
        headers: By lower-case name.
        body: As it came.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def target(url: str) -> tuple[str, str]:
    """Split an absolute URL into the host header and the request target."""
    parts = urlsplit(url)
    return parts.netloc, f"{parts.path}?{parts.query}" if parts.query else parts.path


def send(port: int, head: str, body: str = "") -> Reply:
    """Send a request to a server on this machine, over a connection of its own, and return the answer.

    Args:
        head: Request line and header lines, without the empty line at the end.
        body: Sent as UTF-8; its length must stand in the head.
    """
    with socket.create_connection(("127.0.0.1", port), LIMIT) as connection:
        connection.sendall("\r\n".join([*head.splitlines(), "", ""]).encode() + body.encode())
        response = http.client.HTTPResponse(connection, method=head.split(" ", 1)[0])
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, headers, response.read())
