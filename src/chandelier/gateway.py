# SPDX-License-Identifier: Apache-2.0
"""What every HTTP face shares: routes as tables, who asks, bodies read under limits, errors in the face's words.

A face's handlers are plain functions from a `Call` to an `Answer`; nothing else in a face need be asynchronous.
"""

import asyncio
import contextlib
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from chandelier import errors, memory, telemetry
from chandelier.jobs.sessions import Terms as SessionTerms
from chandelier.memory import Memory
from chandelier.routing import Tree
from chandelier.scheduling.forecaster import Forecaster
from chandelier.scheduling.reservations import Terms
from chandelier.store import Store, Transaction
from chandelier.store.objects import Upload
from chandelier.tenancy import access
from chandelier.tenancy.access import Principal
from chandelier.throttle import Throttle

_log = logging.getLogger(__name__)

_encode: Final = msgspec.json.Encoder().encode
#: Longest body of a request that carries no program, in bytes.
_SMALL: Final = 1 << 20
#: Longest body that is read before the caller is known: the oldest clients send their token in it.
_ANONYMOUS: Final = 8 << 20


#: How long an answer is held back for better news: less than the half second after which clients ask again.
_PATIENCE_SECONDS: Final = 0.4
#: How long who asks for the same again and again waits for news.
_LULL_SECONDS: Final = 0.1
#: Answers that may be held back in one process; others are given at once, and their clients ask again.
_MOST_HELD: Final = 2000
#: How long a token is believed without looking: its end by time is noticed so much later, its revocation at once.
_TOKEN_SECONDS: Final = 5.0


class _Carrier(msgspec.Struct, frozen=True):
    """A body that carries the token; whatever else is in it is skipped, not built."""

    access_token: str | None = None


_token_in_body: Final = msgspec.json.Decoder(_Carrier)


class Rules(msgspec.Struct, frozen=True):
    """The limits that faces keep; each is a setting of the same name, but the terms of reservations and sessions."""

    public_url: str
    max_job_bytes: int
    max_pending_jobs: int
    url_seconds: int
    login_failures_per_minute: int
    logins_per_minute: int
    default_list_limit: int
    max_list_limit: int
    max_filter_jobs: int
    runners: int = 1
    terms: Terms = Terms()
    sessions: SessionTerms = SessionTerms()


class Json(msgspec.Struct, frozen=True):
    """An answer that is a JSON document."""

    document: Any


class Encoded(msgspec.Struct, frozen=True):
    """An answer that is encoded already, as a JSON document unless it is of another media type."""

    body: bytes
    media: str = "application/json"


class Stored(msgspec.Struct, frozen=True):
    """An answer that is a stored object, streamed from its file."""

    path: Path
    media: str = "application/json"


class Empty(msgspec.Struct, frozen=True):
    """An answer without a body, for clients that never look at it."""

    status: int = 200


class Recalled(msgspec.Struct, frozen=True):
    """An answer that is remembered.

    Attributes:
        topic: What is rung when there is a better one, if the same was given a moment ago: who asks so often is
            better served by waiting for it.
    """

    body: bytes
    topic: str | None = None


class Held(msgspec.Struct, frozen=True):
    """An answer that is held back for a moment, because better news may come: then the handler is asked again.

    Attributes:
        answer: What is given when the patience is over, or when too many answers are held back already.
    """

    answer: Json | Encoded


Answer = Json | Encoded | Stored | Empty | Held


class Cloud:
    """What handlers work with: the store, the rules, what is remembered of logins and names, what is foretold."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self.store = store
        self.rules = rules
        self.logins = Throttle(rules.logins_per_minute)
        self.failures = Throttle(rules.login_failures_per_minute)
        self.failures_of_address = Throttle(10 * rules.login_failures_per_minute)
        self.memory = Memory(store.bell)
        self.forecaster = Forecaster(store, rules.runners, self.memory.told_waiting.clear)
        #: Answers that are held back at present.
        self.held = 0


class Call:
    """One request, as a handler sees it."""

    def __init__(self, cloud: Cloud, request: Request | WebSocket, body: bytes = b"") -> None:
        self.cloud = cloud
        self.path: Mapping[str, str] = request.path_params
        self.headers: Headers = request.headers
        self.body = body
        self._request = request
        self.upload: Upload | None = None
        self.now = datetime.now(UTC)
        self._principal: Principal | None = None
        self._view = contextlib.ExitStack()
        self._tx: Transaction | None = None

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters; of one that is repeated the last."""
        return self._request.query_params

    def queries(self, name: str) -> list[str]:
        """Return every value of a query parameter."""
        values: list[str] = self._request.query_params.getlist(name)
        return values

    @property
    def address(self) -> str:
        """Where the request came from."""
        return self._request.client.host if self._request.client else ""

    @property
    def tx(self) -> Transaction:
        """One view of the database for all that is read before anything is written."""
        if self._tx is None:
            self._tx = self._view.enter_context(self.cloud.store.database.reading())
        return self._tx

    @property
    def store(self) -> Store:
        """The store, for writing; the view is given up, so that what is read later shows what was written."""
        self.close()
        return self.cloud.store

    def again(self) -> Self:
        """Return the same request as if it came only now."""
        return type(self)(self.cloud, self._request, self.body)

    def close(self) -> None:
        """Give up the view, and the connection with it."""
        self._tx = None
        self._view.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: Any) -> None:
        """Give up the view, which words the database's failures as ours."""
        self._tx = None
        self._view.__exit__(*failure)

    @property
    def principal(self) -> Principal:
        """Who is asking; routes that are public have no business with it."""
        assert self._principal is not None
        return self._principal

    @property
    def open_token(self) -> str | None:
        """The token, if it came in the header or in the query string."""
        return self.headers.get("x-access-token") or self.query.get("access_token")

    def recognise(self) -> Principal | None:
        """Return who is asking if the token came openly and its holder is remembered; reads nothing."""
        token = self.open_token
        return None if token is None else self.cloud.memory.principals.get(memory.digest(token))

    def authenticate(self) -> None:
        """Find the token in one of its three places and learn whose it is.

        Raises:
            errors.Unauthenticated: There is none, or it is not valid (any more).
        """
        token = self.open_token or _body_token(self.body)
        self.authenticate_as(token)

    def authenticate_as(self, token: str | None) -> None:
        """Learn whose token this is.

        Raises:
            errors.Unauthenticated: There is none, or it is not valid (any more).
        """
        self.identify(token or "", lambda tx: access.authenticate(tx, token, self.now))

    def identify(self, credential: str, look: Callable[[Transaction], Principal]) -> None:
        """Learn who is asking by what `look` says of a credential, or what it said a moment ago.

        Raises:
            errors.Unauthenticated: `look` says that it is not valid (any more).
        """
        known = self.cloud.memory.principals
        key = memory.digest(credential)
        self._principal = known.get(key)
        if self._principal is None:
            self._principal = look(self.tx)
            known.keep(self.tx, key, self._principal, _TOKEN_SECONDS)

    def url(self, path: str, *, scheme: str = "http") -> str:
        """Return an absolute URL of this server, as the client that asks reaches it.

        Args:
            scheme: `http` or `ws`; secured where the client's own request was.
        """
        origin = self._request.base_url
        base = self.cloud.rules.public_url.rstrip("/") or f"{origin.scheme}://{origin.netloc}"
        _, _, rest = base.partition("://")
        secure = "s" if base.startswith(("https:", "wss:")) else ""
        return f"{scheme}{secure}://{rest}{path}"

    def json(self, shape: type[Any]) -> Any:
        """Return the body as a value of `shape`.

        Raises:
            errors.Invalid: It is not JSON, or has another shape; the message names the field.
        """
        try:
            if not self.body.isascii():
                self.body.decode()  # parts that are taken undecoded, such as programs, would not be looked at
            return msgspec.json.decode(self.body or b"{}", type=shape)
        except msgspec.ValidationError as failure:
            raise errors.Invalid(f"The request body is not as documented: {failure}", 1000) from failure
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            raise errors.Invalid(f"The request body is not JSON: {failure}", 1000) from failure
        except RecursionError as failure:
            raise errors.Invalid("The request body is nested too deeply.", 1000) from failure


Handler = Callable[[Call], Answer]


class Route(msgspec.Struct, frozen=True):
    """One endpoint.

    Attributes:
        path: With parameters in braces; static segments match in any case.
        summary: One sentence for the reference.
        request: Shape of the JSON body, for the reference; the handler reads it by itself.
        response: Shape of the answer, for the reference and the tests; None where it is no JSON document.
        media: Media type of an answer that is none; beside `response` of the other form of the answer.
        query: Shape of the query parameters, for the reference; a field that is an object is sent as JSON.
        failures: Kinds of errors that this endpoint answers with besides those that every one of its sort does.
        form: Takes its body as a form too.
        public: Needs no token.
        quick: Does a few indexed reads and nothing that can wait, so the event loop may run it; or says if so.
        prefixed: Exists under the project prefix too.
        large: Takes programs, so its body may be as large as they.
        admit: For uploads: checks, before the body is read, that it may be sent.
        right: What the caller needs the right to, if it takes more than a token; for the reference and the tests.
        recall: Returns the answer if it can be told from memory; asked before anything is read.
        topic: Returns what is rung when there may be better news than an answer that is `Held`.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    request: type[Any] | None = None
    public: bool = False
    quick: bool | Callable[[Call], bool] = False
    prefixed: bool = False
    large: bool = False
    admit: Handler | None = None
    recall: Callable[[Call], Recalled | None] | None = None
    topic: Callable[[Call], str] | None = None
    response: Any = None
    query: type[Any] | None = None
    failures: tuple[type[errors.ChandelierError], ...] = ()
    form: bool = False
    media: str | None = None
    right: str = ""


class Dialect(msgspec.Struct, frozen=True):
    """How a face words errors and is told who asks.

    Attributes:
        render: Returns the HTTP status and the document.
        authenticate: Finds out who is asking, or raises `errors.Unauthenticated`.
    """

    render: Callable[[errors.ChandelierError], tuple[int, Any]]
    authenticate: Callable[[Call], None] = Call.authenticate


#: The way to a project, before a route's own path.
PROJECT_PREFIX: Final = "/Network/{hub}/Groups/{group}/Projects/{project}"


class Table:
    """The endpoints under one base path, found by method and path.

    Static segments match in any case, a slash at the end is ignored, and so is a second one behind the base, because
    users give a URL that ends in a slash, to which clients add theirs.

    Args:
        base: Before the paths of the routes, in lower case; or what returns how long it is, -1 where there is none.
    """

    def __init__(self, base: str | Callable[[str], int], routes: Iterable[Route]) -> None:
        self._begin = _after(base) if isinstance(base, str) else base
        self._tree: Tree[tuple[str, Route]] = Tree()
        for route in routes:
            for path in paths(route):
                self._tree.add(route.method, path, (path, route))

    def find(self, method: str, path: str) -> tuple[tuple[str, Route] | None, Mapping[str, str]] | None:
        """Return who answers a request, with its path below the base, and the values of its parameters.

        Returns:
            None if there is no such path; no endpoint if the path exists, but not with this method.
        """
        begin = self._begin(path)
        rest = path[begin:] if begin >= 0 else ""
        if not rest.startswith("/"):
            return None
        return self._tree.find("GET" if method == "HEAD" else method, rest[1:] if rest.startswith("//") else rest)


class Desk(BaseRoute):
    """A table of endpoints, as Starlette asks it."""

    def __init__(
        self, cloud: Cloud, base: str | Callable[[str], int], routes: Sequence[Route], dialect: Dialect
    ) -> None:
        self._table = Table(base, routes)
        self._endpoints = {route: _endpoint(cloud, route, dialect) for route in routes}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell Starlette whether a request is for one of the endpoints."""
        found = self._table.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            return Match.NONE, {}
        named, parameters = found
        if named is None:
            return Match.PARTIAL, {"endpoint": None}
        return Match.FULL, {"endpoint": self._endpoints[named[1]], "path_params": parameters}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matches."""
        if scope["endpoint"] is None:
            raise HTTPException(405)
        response = await scope["endpoint"](Request(scope, receive, send))
        await response(scope, receive, send)


def _after(base: str) -> Callable[[str], int]:
    return lambda path: len(base) if path[: len(base)].lower() == base else -1


def paths(route: Route) -> tuple[str, ...]:
    """Return the paths of a route: its own, and the prefixed one if it has it."""
    return (route.path, PROJECT_PREFIX + route.path) if route.prefixed else (route.path,)


def mount_socket(base: str, path: str, follow: Callable[[WebSocket], Any]) -> WebSocketRoute:
    """Return the web route of a WebSocket."""
    route = WebSocketRoute(base + path, follow)
    route.path_regex = re.compile(route.path_regex.pattern.removesuffix("$") + r"/?\Z", re.IGNORECASE)
    return route


def respond(status: int, document: Any) -> Response:
    """Return a JSON response."""
    return Response(_encode(document), status, media_type="application/json")


def _endpoint(cloud: Cloud, route: Route, dialect: Dialect) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        begun = time.perf_counter()
        try:
            response = await _answer(cloud, route, request, dialect)
        except errors.ChandelierError as error:
            response = respond(*dialect.render(error))
            if "retryAfter" in error.data:
                response.headers["Retry-After"] = str(math.ceil(error.data["retryAfter"]))
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception:  # noqa: BLE001  # the last resort: nobody else would word it
            _log.exception("%s %s failed in a way nobody foresaw", route.method, route.path)
            response = respond(*dialect.render(unforeseen()))
        telemetry.request_answered(route.path, route.method, response.status_code, time.perf_counter() - begun)
        return response

    return endpoint


def unforeseen() -> errors.ChandelierError:
    """Return the error for what no code expected; the log has the details, the client never."""
    return errors.ChandelierError(
        "The server failed in a way nobody foresaw. Tell its operator the time of the request.", 1009
    )


async def _answer(cloud: Cloud, route: Route, request: Request, dialect: Dialect) -> Response:
    if route.admit is not None:
        return await _answer_upload(cloud, route, request, dialect)
    call = Call(cloud, request)
    if route.recall is not None and (known := await _recalled(route.recall, call)) is not None:
        return _respond(Encoded(known))
    call.body = await _read(request, await _body_limit(route, call, dialect))
    if route.topic is None:
        return _respond(await _hear(route, call, dialect))
    return _respond(await _hear_patiently(route, call, dialect, route.topic(call)))


async def _recalled(recall: Callable[[Call], Recalled | None], call: Call) -> bytes | None:
    """Return an answer that is remembered; who asks again at once waits a little for a better one."""
    known = recall(call)
    if known is not None and known.topic is not None and call.cloud.held < _MOST_HELD:
        async with _listening(call.cloud, known.topic) as news:
            known = recall(call)  # what changed before the listening began is told now
            if known is not None and known.topic is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LULL_SECONDS):
                        await news.wait()
                known = recall(call)
    return None if known is None else known.body


@contextlib.asynccontextmanager
async def _listening(cloud: Cloud, topic: str) -> AsyncIterator[asyncio.Event]:
    """Hear a topic while an answer is held back."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    stop = cloud.store.bell.listen(topic, lambda: _wake(loop, news))
    cloud.held += 1
    try:
        yield news
    finally:
        cloud.held -= 1
        stop()


async def _hear(route: Route, call: Call, dialect: Dialect) -> Answer:
    quick = route.quick(call) if callable(route.quick) else route.quick
    if quick and call.cloud.store.database.embedded:
        return _serve(route, call, dialect)
    return await run_in_threadpool(_serve, route, call, dialect)


async def _hear_patiently(route: Route, call: Call, dialect: Dialect, topic: str) -> Answer:
    """Return an answer; one that is `Held` only when nothing better came for a while. Nobody's thread waits."""
    cloud = call.cloud
    deadline, waits = asyncio.get_running_loop().time() + _PATIENCE_SECONDS, cloud.held < _MOST_HELD
    # Listening begins before the first look, so that nothing falls between them.
    async with _listening(cloud, topic) as news:
        while isinstance(answer := await _hear(route, call, dialect), Held) and waits:
            try:
                async with asyncio.timeout_at(deadline):
                    await news.wait()
            except TimeoutError:
                return answer.answer
            news.clear()
            call = call.again()
        return answer.answer if isinstance(answer, Held) else answer


def _wake(loop: asyncio.AbstractEventLoop, news: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(news.set)


async def _body_limit(route: Route, call: Call, dialect: Dialect) -> int:
    """Return how long a body may be: long ones are read only where they belong, and from those who are known."""
    if not route.large:
        return _SMALL
    anonymous = call.open_token is None and "authorization" not in call.headers
    if anonymous or 0 <= _length(call.headers) <= _ANONYMOUS:
        return _ANONYMOUS
    await run_in_threadpool(_admit, dialect.authenticate, call)
    return call.cloud.rules.max_job_bytes + _SMALL


async def _answer_upload(cloud: Cloud, route: Route, request: Request, dialect: Dialect) -> Response:
    call = Call(cloud, request)
    assert route.admit is not None
    await run_in_threadpool(_admit, route.admit, call)
    limit = cloud.rules.max_job_bytes
    _check_length(request, limit)
    with cloud.store.objects.receive() as upload:
        async for chunk in request.stream():
            _check_size(upload.size + len(chunk), limit)
            await run_in_threadpool(upload.write, chunk)
        call.upload = upload
        return _respond(await run_in_threadpool(_serve, route, call, dialect))


def _admit(check: Callable[[Call], object], call: Call) -> None:
    with call:
        check(call)


def _serve(route: Route, call: Call, dialect: Dialect) -> Answer:
    with call:
        if not route.public:
            dialect.authenticate(call)
        return route.handler(call)


def _respond(answer: Answer) -> Response:
    if isinstance(answer, Stored):
        return FileResponse(answer.path, media_type=answer.media)
    if isinstance(answer, Encoded):
        return Response(answer.body, media_type=answer.media)
    if isinstance(answer, Empty):
        return Response(status_code=answer.status)
    if isinstance(answer, Held):
        return _respond(answer.answer)
    return respond(200, answer.document)


async def _read(request: Request, limit: int) -> bytes:
    """Return the body, of a GET too: old clients put their token there."""
    _check_length(request, limit)
    body = bytearray()
    async for chunk in request.stream():
        _check_size(len(body) + len(chunk), limit)
        body += chunk
    return bytes(body)


def _check_length(request: Request, limit: int) -> None:
    _check_size(_length(request.headers), limit)


def _length(headers: Headers) -> int:
    """Return the length that a request announces; -1 if it announces none."""
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else -1


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise errors.TooLarge(
            f"The body has {size} bytes or more; at most {limit} are accepted. Split the job into several.", 1006
        )


def _body_token(body: bytes) -> str | None:
    if not body.lstrip().startswith(b"{"):
        return None
    try:
        return _token_in_body.decode(body).access_token
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
