# SPDX-License-Identifier: Apache-2.0
"""The least that Starlette can do for a status poll: one route, one constant document, no token and no data."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

BODY = b'{"id": "0123456789abcdef01234567", "status": "COMPLETED", "kind": "q-object-external-storage"}'


async def status(_request: Request) -> Response:
    """Return the document."""
    return Response(BODY, media_type="application/json")


app = Starlette(routes=[Route("/api/Jobs/{job}/status/v/1", status)])
