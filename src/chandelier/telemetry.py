# SPDX-License-Identifier: Apache-2.0
"""Metrics in the form of Prometheus; no label ever has a token, an id or a URL that a client sent."""

import functools
from typing import Final

import prometheus_client

#: What a scraper must be told of the form of `render`.
CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_LATEST

_registry: Final = prometheus_client.CollectorRegistry()
prometheus_client.ProcessCollector(registry=_registry)

_requests: Final = prometheus_client.Counter(
    "chandelier_requests",
    "Requests answered, by route pattern, method and status.",
    ("route", "method", "status"),
    registry=_registry,
)
_latency: Final = prometheus_client.Histogram(
    "chandelier_request_seconds",
    "Time from request to answer, by route pattern.",
    ("route",),
    registry=_registry,
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60),
)
_jobs: Final = prometheus_client.Gauge(
    "chandelier_jobs", "Jobs that have not ended, by state.", ("state",), registry=_registry
)
_run: Final = prometheus_client.Histogram(
    "chandelier_run_seconds",
    "Time that jobs took to run.",
    registry=_registry,
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)
_failed: Final = prometheus_client.Counter("chandelier_runs_failed", "Runs that left no result.", registry=_registry)
_streams: Final = prometheus_client.Gauge(
    "chandelier_status_streams", "Open WebSockets that follow a job.", registry=_registry
)
_opened: Final = prometheus_client.Counter(
    "chandelier_status_streams_opened", "WebSockets that followed a job.", registry=_registry
)
_children: Final = prometheus_client.Gauge(
    "chandelier_pool_children", "Child processes of the pool, by state.", ("state",), registry=_registry
)


def request_answered(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request; `route` is the pattern, never the path."""
    count, latency = _of_request(route, method, status)
    count.inc()
    latency.observe(seconds)


@functools.cache
def _of_request(route: str, method: str, status: int) -> tuple[prometheus_client.Counter, prometheus_client.Histogram]:
    # Looking them up by their labels costs more than counting.
    return _requests.labels(route, method, str(status)), _latency.labels(route)


def job_ended(seconds: float | None) -> None:
    """Count a run; None if it left no result."""
    if seconds is None:
        _failed.inc()
    else:
        _run.observe(seconds)


def stream_opened() -> None:
    """Count a WebSocket that follows a job."""
    _streams.inc()
    _opened.inc()


def stream_closed() -> None:
    """Count the end of one."""
    _streams.dec()


def render(jobs: dict[str, int], children: dict[str, int]) -> bytes:
    """Return all metrics as text, with the present numbers of jobs and children by state."""
    _jobs.clear()
    for state, count in jobs.items():
        _jobs.labels(state).set(count)
    _children.clear()
    for state, count in children.items():
        _children.labels(state).set(count)
    return prometheus_client.generate_latest(_registry)
