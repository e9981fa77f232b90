"""Answers that are made while they go out: in constant memory, whichever server asks for them."""

from collections.abc import AsyncIterator, Generator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, StreamingHttpResponse

Chunks = Generator[bytes, None, None]


def streamed(request: HttpRequest, chunks: Chunks, *, content_type: str, headers: dict[str, str]) -> Any:
    """An answer of these chunks. What makes them runs in the request's own thread, and is closed when the reader has
    gone away; between two chunks no connection to the database is kept, however slowly somebody reads.
    """
    content = _apart(chunks) if isinstance(request, ASGIRequest) else chunks
    return StreamingHttpResponse(content, content_type=content_type, headers=headers)


async def _apart(chunks: Chunks) -> AsyncIterator[bytes]:
    try:
        while (chunk := await sync_to_async(_next)(chunks)) is not None:
            yield chunk
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
