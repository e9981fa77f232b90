"""Law 9 and what other libraries, and Python itself, say; and the search for leaks, searched."""

import asyncio
import base64
import io
import json
import logging
import logging.config
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from server.common.logs import frames_only, quiet_hooks
from tests.support.leaks import captured, leaks

SECRET = "hemmelig fra et bibliotek æøå"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything the product's own logging says, at debug level."""
    with captured() as stream:
        yield stream


def test_leaks_are_found() -> None:
    """The search itself: every disguise is seen through."""
    secret = "hemmelig æøå 12345"
    for form in (secret, json.dumps(secret), repr(secret.encode()), secret.encode().hex(), quote(secret)):
        assert leaks(f"before {form} after".encode(), {secret}), form
    assert leaks(base64.b64encode(secret.encode()), {secret})
    assert leaks(b"nothing here", {secret}) == []


@pytest.mark.parametrize(
    "name", ["asyncio", "twisted", "django", "django.request", "websockets.server", "autobahn", "x.y"]
)
@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_a_library_that_says_too_much(log: io.StringIO, name: str, level: int) -> None:
    """A template stays; its arguments, an exception's message, and what stands behind the first line do not."""
    library = logging.getLogger(name)
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        library.log(level, "failed: %s", error, exc_info=True)
        library.log(level, "failed: %s", error)
        library.log(level, f"Task exception was never retrieved\nfuture: {error!r}", exc_info=error)
        library.log(level, error, exc_info=True)
        library.log(level, "%(body)s", {"body": SECRET})
    assert leaks(log.getvalue().encode(), {SECRET}) == []


def test_a_task_nobody_waits_for(log: io.StringIO) -> None:
    async def forgotten() -> None:
        async def fails() -> None:
            raise ValueError(SECRET)

        loop = asyncio.get_running_loop()
        loop.create_task(fails())  # noqa: RUF006 - forgotten is what it is about
        loop.call_soon(lambda: 1 / len(SECRET[:0]))
        await asyncio.sleep(0.01)
        loop.call_exception_handler({"message": "odd", "exception": ValueError(SECRET)})

    asyncio.run(forgotten())
    assert "message withheld" in log.getvalue()
    assert leaks(log.getvalue().encode(), {SECRET}) == []


def test_frames_stand_in_for_messages() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        event = frames_only(None, "error", {"event": "x", "exc_info": True})
    assert event["exception"] == "ValueError"
    assert len(event["frames"]) == 1
    assert SECRET not in json.dumps(event)


def test_python_itself(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that die, exceptions nobody can catch, and the last one of all are told without their messages."""
    for where, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(where, name, getattr(where, name))
    quiet_hooks()

    def dies() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=dies, name="loop-test")
    thread.start()
    thread.join()

    class Odd:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    Odd()
    try:
        dies()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    said = log.getvalue()
    assert said.count('"exception": "ValueError"') == 3
    assert leaks(said.encode(), {SECRET}) == []
