# SPDX-License-Identifier: Apache-2.0
"""A job's state over a WebSocket, until it ends. Source: protocol 7.1."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from chandelier import errors, telemetry
from chandelier.experience import glance
from chandelier.experience.watch import Follower, Watch
from chandelier.gateway import Cloud
from chandelier.store.database import Database
from chandelier.tenancy import access
from chandelier.tenancy.access import Principal

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS: Final = 30.0
#: Streams that may be open in one process. The server takes more connections than these, so that requests still get
#: through; clients that are refused a stream poll.
_MOST: Final = 6000
#: Longest id that is looked up; ids of jobs are hexadecimal.
_LONGEST_ID: Final = 24

_AUTHENTICATED: Final = msgspec.json.encode({"type": "authenticated"})


class _Message(msgspec.Struct, frozen=True):
    type: str
    data: str = ""


_greeting: Final = msgspec.json.Decoder(_Message)


class Outbox:
    """What one client has still to be told: the last message alone, so that one who does not read costs no memory."""

    __slots__ = ("_code", "_message", "_sending", "_socket")

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._message: bytes | None = None
        self._code: int | None = None
        self._sending: asyncio.Task[None] | None = None

    def tell(self, message: bytes | None, code: int | None) -> None:
        """Send a message, if there is one, then close, if there is a code; return at once."""
        self._message = message or self._message
        self._code = code or self._code
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())

    def drop(self) -> None:
        """Send nothing more."""
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self) -> None:
        try:
            # Binary frames: clients up to 0.13 cannot read text frames (traps 2).
            while self._message is not None:
                message, self._message = self._message, None
                await self._socket.send_bytes(message)
            if self._code is not None:
                await self._socket.close(self._code)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client is gone, which whoever listens to it learns too
        finally:
            self._sending = None


class Streams:
    """The door for those who follow jobs.

    Args:
        crowded: The answer to one too many.
    """

    def __init__(self, cloud: Cloud, crowded: Response) -> None:
        self._cloud = cloud
        self._crowded = crowded
        self._watch = Watch(cloud)
        self._open = 0

    def follower(self, *, versioned: bool) -> Callable[[WebSocket], Awaitable[None]]:
        """Return what follows a job for each WebSocket that is opened."""

        async def follow(socket: WebSocket) -> None:
            if self._open >= _MOST:
                await deny(socket, self._crowded)
                return
            self._open += 1
            telemetry.stream_opened()
            try:
                await self._follow(socket, versioned=versioned)
            finally:
                telemetry.stream_closed()
                self._open -= 1

        return follow

    async def _follow(self, socket: WebSocket, *, versioned: bool) -> None:
        """Greet, learn who asks, then have each change told until the job has ended or the client is gone."""
        try:
            await socket.accept()
            code = await self._serve(socket, versioned=versioned)
            if code is not None:
                await socket.close(code)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client is gone
        except Exception:  # noqa: BLE001  # the last resort: nobody else would hear of it
            _log.exception("A status stream failed")
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await socket.close(glance.FAILED)

    async def _serve(self, socket: WebSocket, *, versioned: bool) -> int | None:
        """Return the code with which to close; None if the client is gone, or the watch had the last word."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                token, principal = await self._authenticate(socket)
        except (errors.Unauthenticated, msgspec.DecodeError, UnicodeError, RecursionError, TimeoutError):
            return glance.POLICY
        await socket.send_bytes(_AUTHENTICATED)
        job = socket.path_params["job"]
        if not (job.isascii() and job.isalnum() and len(job) <= _LONGEST_ID):
            return glance.JOB_NOT_FOUND
        outbox = Outbox(socket)
        follower = Follower(job, principal.user_id, token, outbox.tell, versioned=versioned)
        try:
            self._watch.join(follower)
        except errors.LimitReached:
            return glance.CROWDED
        try:
            await _until_gone(socket)
        finally:
            self._watch.leave(follower)
            outbox.drop()
        return None

    async def _authenticate(self, socket: WebSocket) -> tuple[str, Principal]:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            raise WebSocketDisconnect
        token = _greeting.decode(message.get("text") or message.get("bytes") or b"").data
        database = self._cloud.store.database
        if database.embedded:
            return token, _known(database, token)
        return token, await run_in_threadpool(_known, database, token)


def denier(answer: Response) -> Callable[[WebSocket], Awaitable[None]]:
    """Return what refuses each WebSocket before it is opened."""

    async def refuse(socket: WebSocket) -> None:
        await deny(socket, answer)

    return refuse


async def deny(socket: WebSocket, answer: Response) -> None:
    """Refuse a WebSocket before it is opened: with an answer, or, where the server cannot give one, a bare 403."""
    extensions: dict[str, Any] = socket.scope.get("extensions") or {}
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        if "websocket.http.response" in extensions:
            await socket.send_denial_response(answer)
        else:
            await socket.close()


def _known(database: Database, token: str) -> Principal:
    with database.reading() as tx:
        return access.authenticate(tx, token, datetime.now(UTC))


async def _until_gone(socket: WebSocket) -> None:
    # Whatever else the client says is not for us (protocol 7.1 knows no further message).
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
