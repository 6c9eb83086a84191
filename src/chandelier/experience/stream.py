# SPDX-License-Identifier: Apache-2.0
"""A job's state over a WebSocket, until it ends. Source: protocol 7.1."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from chandelier import errors, telemetry
from chandelier.experience import shelf
from chandelier.gateway import Call, Cloud
from chandelier.jobs import lifecycle
from chandelier.jobs.records import Job

_log = logging.getLogger(__name__)

_FAILED: Final = 4001
_JOB_ENDED: Final = 4002
_JOB_NOT_FOUND: Final = 4003
_POLICY: Final = 1008
_PATIENCE_SECONDS: Final = 30.0
#: The state is looked at, and repeated, this often even if no bell rings.
_REPEAT_SECONDS: Final = 20.0


class _Message(msgspec.Struct, frozen=True):
    type: str
    data: str = ""


class Stream:
    """One client that follows one job."""

    def __init__(self, cloud: Cloud, socket: WebSocket, *, versioned: bool) -> None:
        self._socket = socket
        self._call = Call(cloud, socket)
        self._versioned = versioned
        self._news = asyncio.Event()

    async def follow(self) -> None:
        """Greet, learn who asks, then tell each change until the job has ended or the client is gone."""
        await self._socket.accept()
        telemetry.stream_opened()
        try:
            await self._socket.close(await self._serve())
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client is gone
        except Exception:  # noqa: BLE001  # the last resort: nobody else would hear of it
            _log.exception("A status stream failed")
            with contextlib.suppress(RuntimeError):
                await self._socket.close(_FAILED)
        finally:
            telemetry.stream_closed()

    async def _serve(self) -> int:
        """Return the code with which to close."""
        try:
            await asyncio.wait_for(self._authenticate(), _PATIENCE_SECONDS)
        except (errors.Unauthenticated, msgspec.DecodeError, UnicodeDecodeError, RecursionError, TimeoutError):
            return _POLICY
        loop = asyncio.get_running_loop()
        topic = f"job:{self._call.path['job']}"
        # Listening begins before the first look, so that no change falls between them.

        def wake() -> None:
            loop.call_soon_threadsafe(self._news.set)

        stop = self._call.store.bell.listen(topic, wake)
        gone = asyncio.create_task(self._until_gone())
        try:
            return await self._tell(gone)
        except (errors.NotFound, errors.Invalid):  # no job, or an id that the database cannot even look up
            return _JOB_NOT_FOUND
        finally:
            stop()
            gone.cancel()

    async def _authenticate(self) -> None:
        message = await self._socket.receive()
        if message["type"] != "websocket.receive":
            raise WebSocketDisconnect
        greeting = msgspec.json.decode(message.get("text") or message.get("bytes") or b"", type=_Message)
        await run_in_threadpool(self._authenticate_as, greeting.data)
        await self._send({"type": "authenticated"})

    def _authenticate_as(self, token: str) -> None:
        with self._call:
            self._call.authenticate_as(token)

    async def _tell(self, gone: asyncio.Task[None]) -> int:
        last: dict[str, Any] = {}
        while True:
            self._news.clear()
            job, document = await run_in_threadpool(self._look)
            if document != last:
                await self._send({"type": "job-status", "data": document})
                last = document
            if job.state in lifecycle.FINAL:
                return _JOB_ENDED
            waiting = asyncio.create_task(self._news.wait())
            await asyncio.wait({waiting, gone}, timeout=_REPEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                waiting.cancel()
                raise WebSocketDisconnect
            if not waiting.done():
                waiting.cancel()
                last = {}

    def _look(self) -> tuple[Job, dict[str, Any]]:
        with self._call:
            job = shelf.own(self._call)
            return job, shelf.document(self._call, job, versioned=self._versioned, whole=False)

    async def _until_gone(self) -> None:
        # Whatever else the client says is not for us (protocol 7.1 knows no further message).
        while (await self._socket.receive())["type"] != "websocket.disconnect":
            pass

    async def _send(self, document: dict[str, Any]) -> None:
        # Binary frames: clients up to 0.13 cannot read text frames (traps 2).
        await self._socket.send_bytes(msgspec.json.encode(document))


def follower(cloud: Cloud, *, versioned: bool) -> Callable[[WebSocket], Awaitable[None]]:
    """Return what follows a job for each WebSocket that is opened."""

    async def follow(socket: WebSocket) -> None:
        await Stream(cloud, socket, versioned=versioned).follow()

    return follow
