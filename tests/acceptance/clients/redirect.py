# SPDX-License-Identifier: Apache-2.0
"""Leads the host names that a client knows by heart to a port of this machine, inside the client's own process."""

import socket
from typing import Any

#: Everything below this name is looked up here.
DOMAIN = ".quantum-computing.ibm.com"


def to(port: int) -> None:
    """From now on, find every host below the domain at a port of this machine, and no other host at all."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, _port: Any, *arguments: Any, **options: Any) -> Any:
        if not str(host).endswith(DOMAIN):
            raise OSError(f"{host} is none of the hosts that this client may reach")
        return look_up("127.0.0.1", port, *arguments, **options)

    socket.getaddrinfo = getaddrinfo
