"""Answers that are made while they go out: in constant memory, whichever server asks for them."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

from server.common.asgi import FLOW, Flow

log = structlog.get_logger(__name__)

Chunks = Generator[bytes, None, None]
PAUSE_S = 0.05
"""Between two looks whether a slow reader has taken what was sent."""


def streamed(request: HttpRequest, chunks: Chunks, *, content_type: str, headers: dict[str, str]) -> Any:
    """An answer of these chunks. What makes them runs in the request's own thread, and is closed when the reader has
    gone away; between two chunks no connection to the database is kept, and no chunk is made while the one before it
    waits to be read, however slowly somebody reads. When a chunk fails, the answer
    ends there: what goes out must itself say how much there should have been.
    """
    content: Any = chunks
    if isinstance(request, ASGIRequest):
        content = _apart(chunks, request.scope.get("extensions", {}).get(FLOW))
    return StreamingHttpResponse(content, content_type=content_type, headers=headers)


async def _apart(chunks: Chunks, has_room: Flow | None) -> AsyncIterator[bytes]:
    try:
        while (chunk := await sync_to_async(_next)(chunks)) is not None:
            yield chunk
            while has_room is not None and not has_room():  # noqa: ASYNC110 - nobody tells when there is
                await asyncio.sleep(PAUSE_S)
    except Exception as error:
        log.error("answer_broke_off", exc_info=error)
    finally:
        await sync_to_async(_end)(chunks)


def _next(chunks: Chunks) -> bytes | None:
    try:
        return next(chunks, None)
    finally:
        _give_back()


def _end(chunks: Chunks) -> None:
    try:
        chunks.close()
    finally:
        _give_back()


def _give_back() -> None:
    if not connection.in_atomic_block:
        connection.close()
