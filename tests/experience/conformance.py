# SPDX-License-Identifier: Apache-2.0
"""Holds answers against the description of the API: every one that a desk gives is of the shape of its route."""

import functools
import urllib.parse
from typing import Any

import httpx
import msgspec

from chandelier import experience, front, gateway
from chandelier.experience import shapes
from chandelier.gateway import Route

_BASE = "/api"
#: Each path as it is mounted, with its row of the table.
MOUNTED: list[tuple[str, Route]] = [
    (_BASE + path, route) for route in experience.ROUTES for path in gateway.paths(route)
]
_TABLE = gateway.Table(_BASE, experience.ROUTES)


def find(method: str, path: str) -> tuple[str, Route] | None:
    """Return who answers a request to a path below the server's root, as the router would choose."""
    found = _TABLE.find(method, path)
    return None if found is None or found[0] is None else (_BASE + found[0][0], found[0][1])


def check(answer: httpx.Response) -> None:
    """Fail unless an answer is as `/openapi.json` describes it."""
    request = answer.request
    found = find(request.method, urllib.parse.unquote(request.url.raw_path.partition(b"?")[0].decode()))
    if found is None or answer.status_code == 500:
        return
    answer.read()
    path, route = found
    what = f"{request.method} {path} answers {answer.status_code}"
    assert str(answer.status_code) in _operation(path, request.method)["responses"], f"{what}: not described"
    if answer.status_code != 200:
        _decode(answer.content, (shapes.Envelope,), what)
    elif route.media is not None and (route.response is None or answer.headers["content-type"] != "application/json"):
        assert answer.headers["content-type"].partition(";")[0] == route.media, what
    elif route.response is None:
        assert answer.content == b"", what
    else:
        assert answer.headers["content-type"] == "application/json", what
        _decode(answer.content, route.response if isinstance(route.response, tuple) else (route.response,), what)


def _decode(content: bytes, alternatives: tuple[Any, ...], what: str) -> None:
    failures = []
    for shape in alternatives:
        try:
            msgspec.json.decode(content, type=shape)
        except msgspec.ValidationError as failure:
            failures.append(str(failure))
        else:
            return
    raise AssertionError(f"{what}: {'; '.join(failures)}; {content[:2000]!r}")


@functools.cache
def _description() -> dict[str, Any]:
    return front.openapi()


def _operation(path: str, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = _description()["paths"][path][method.lower()]
    return operation
