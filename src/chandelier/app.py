# SPDX-License-Identifier: Apache-2.0
"""Put the house together, open the door, and close it cleanly."""

import contextlib
import fcntl
import functools
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from chandelier import errors, experience, front, gateway, migrations, pools, recalibration, runtime, setup
from chandelier.fairshare import accounts
from chandelier.fairshare.rules import Rules
from chandelier.formats import tasks
from chandelier.jobs import counts
from chandelier.pools import Pool
from chandelier.scheduling import ranking
from chandelier.settings import FairShare, Settings
from chandelier.store import Store
from chandelier.worker import Budget, Worker

_log = logging.getLogger(__name__)

#: Beyond these the server answers 503; status streams count.
_MOST_CONNECTIONS: Final = 8192
_SWITCH_SECONDS: Final = 0.0005
#: How long the calibrator may take to leave what it does.
_CALIBRATOR_SECONDS: Final = 10.0


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Args:
        announce: Called with the URL of the listener once it accepts requests.

    Raises:
        errors.Unavailable: The folder is not initialised or served by another process, or the port is in use.
    """
    _set_up_logging(settings.log_level)
    # A request crosses several threads, and each crossing waits for up to this long while another thread computes.
    sys.setswitchinterval(_SWITCH_SECONDS)
    opened = setup.open_store(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(opened.close)
        if opened.database.embedded:
            stack.enter_context(_only_server(opened))
        listener = stack.enter_context(_listen(settings))
        migrations.upgrade(opened)
        opened.write(lambda tx: accounts.set_rules(tx, _policy(settings.fairshare), datetime.now(UTC)))
        opened.database.watch()
        pool = pools.open_pool(pools.ENGINE, settings.runners + 1)
        stack.callback(pool.close)
        worker = _worker(opened, pool, settings)
        app = build(opened, pool, settings, worker)
        stack.enter_context(_calibrating(opened, settings))
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        _raise_file_limit()
        stack.callback(settings.address_file.unlink, missing_ok=True)

        def ready() -> None:
            settings.address_file.write_text(f"{url}\n", encoding="ascii")
            announce(url)

        _Server(app, ready).run(sockets=[listener])
    _log.info("Stopped")


def build(opened: Store, pool: Pool, settings: Settings, worker: Worker) -> Starlette:
    """Return the web application: every face, and what operators look at."""
    made = {"terms", "sessions"}
    limits = {name: getattr(settings, name) for name in gateway.Rules.__struct_fields__ if name not in made}
    rules = gateway.Rules(**limits, terms=setup.terms(settings), sessions=setup.session_terms(settings))
    cloud = gateway.Cloud(opened, rules)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        worker.start(alone=opened.database.embedded)
        yield
        worker.stop(settings.stop_seconds)

    app = Starlette(
        routes=[*experience.routes(cloud), *runtime.routes(cloud), *front.routes(lambda: _facts(opened, pool))],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error, Exception: _unforeseen},
    )
    # Clients make a GET of a POST that is redirected (traps 13).
    app.router.redirect_slashes = False
    return app


def _worker(opened: Store, pool: Pool, settings: Settings) -> Worker:
    budget = Budget(
        settings.job_memory_bytes,
        settings.job_seconds,
        settings.validation_seconds,
        settings.url_seconds,
        settings.retention.deleted_days,
        setup.terms(settings).idle,
    )
    return Worker(opened, pool, ranking.fair, budget, slots=settings.runners + 1, runners=settings.runners)


@contextlib.contextmanager
def _calibrating(opened: Store, settings: Settings) -> Iterator[None]:
    """Keep the devices calibrated, in a thread of its own."""
    limits = tasks.Limits(settings.job_memory_bytes, settings.job_seconds)
    open_pool = functools.partial(pools.open_pool, pools.ENGINE, 1)
    calibrator = recalibration.Calibrator(opened, limits, lambda: datetime.now(UTC), open_pool)
    run = functools.partial(calibrator.run, alone=opened.database.embedded)
    thread = threading.Thread(target=run, name="calibrator", daemon=True)
    thread.start()
    try:
        yield
    finally:
        calibrator.close()
        thread.join(_CALIBRATOR_SECONDS)


def _policy(numbers: FairShare) -> Rules:
    """Return the numbers of the fair-share queue in the units that are worked with."""
    return Rules(
        half_life=86400 * numbers.half_life_days,
        credit=3600 * numbers.credit_hours,
        max_gap=3600 * numbers.max_gap_hours,
        guard_fraction=numbers.guard_fraction,
        guard_burst=3600 * numbers.guard_burst_hours,
    )


def _facts(opened: Store, pool: Pool) -> front.Facts:
    states = [slot.state for slot in pool.health()]
    return front.Facts(
        jobs=dict(opened.read(counts.by_state)),
        children={state: states.count(state) for state in states},
    )


def _http_error(_request: Request, failure: Exception) -> Response:
    """Word what Starlette refuses (no such path, another method) as the Experience API does."""
    assert isinstance(failure, HTTPException)
    if failure.status_code == 405:
        error: errors.ChandelierError = errors.Invalid("This path exists, but not with this method.", 1005)
    else:
        error = errors.NotFound("There is no such path. GET /docs lists the endpoints.", 1004)
    return gateway.respond(*experience.render_error(error))


def _unforeseen(_request: Request, _failure: Exception) -> Response:
    return gateway.respond(*experience.render_error(gateway.unforeseen()))


class _Server(uvicorn.Server):
    """Uvicorn, saying when it is ready."""

    def __init__(self, app: Starlette, ready: Callable[[], None]) -> None:
        # The access log would hold tokens, because old clients send them in query strings; the same holds for
        # what is said of WebSockets below the level of a warning.
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                log_config=None,
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=65536,
                timeout_graceful_shutdown=5,
                limit_concurrency=_MOST_CONNECTIONS,
                server_header=False,
                backlog=2048,
            )
        )
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on Ctrl-C and SIGTERM; unlike uvicorn's own, does not die of the signal afterwards."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._ready()


@contextlib.contextmanager
def _only_server(opened: Store) -> Iterator[None]:
    """Hold the database's lock: two servers on one SQLite would each take the other's leases for a dead worker's."""
    path = Path(f"{opened.database.url.database}.lock")
    with path.open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise errors.Unavailable(
                f"Another server serves {path.parent}. Stop it, or use another --data folder.", 1008
            ) from None
        yield


def _listen(settings: Settings) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except (OSError, OverflowError) as failure:
        reason = os.strerror(failure.errno) if isinstance(failure, OSError) and failure.errno else str(failure)
        raise errors.Unavailable(
            f"Cannot listen on {settings.host} port {settings.port}: {reason}. Choose another with --port.", 1008
        ) from failure


def _raise_file_limit() -> None:
    """Take as many open files as the system allows: each connection is one, and the usual limit is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * _MOST_CONNECTIONS
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(hard, wanted), hard))


def _set_up_logging(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("uvicorn", "uvicorn.error", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says of each WebSocket that is refused before it begins: anybody could fill the log."""
    return "without completing handshake" not in record.getMessage()
