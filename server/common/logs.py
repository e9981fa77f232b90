"""Structured logs. Content never gets here (law 9): identifiers, codes and durations only.

Tracebacks are rendered without the exception's message and without locals, because a message may quote content
(a database error repeats the row, a parser repeats the text). The exception's class and the frames remain.
"""

import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

SILENT_BELOW_WARNING = (
    "django.db.backends",  # statements, with their parameters
    "asyncio",
    "daphne",
    "daphne.ws_protocol",
    "daphne.http_protocol",
    "daphne.server",
    "websockets",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "httpx",
    "httpcore",
    "hpack",
    "urllib3",
    "redis",
    "channels_redis",
    "psycopg",
    "psycopg.pool",
    "parso",
)


def frames_only(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the exception's class and its frames; messages and locals are dropped."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[0] is not None:
        event["exception"] = info[0].__name__
        event["frames"] = [
            f"{frame.filename.rsplit('/site-packages/', 1)[-1].rsplit('/server/', 1)[-1]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(info[2], limit=-12)
        ]
    return event


def foreign_without_arguments(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """A library's log line keeps its template only: the arguments may be frames, statements or addresses."""
    record = event.get("_record")
    if isinstance(record, logging.LogRecord) and not event.get("_from_structlog"):
        event["event"] = record.msg if isinstance(record.msg, str) and record.args else str(record.msg)[:200]
        if not record.name.startswith("server") and not record.args:
            event["event"] = f"{record.name}: message withheld" if record.exc_info else event["event"]
        event["logger"] = record.name
    event.pop("positional_args", None)
    return event


def logging_config(*, level: str, style: str) -> dict[str, Any]:
    """A `logging.dictConfig` dictionary; `style` is `json` or `console`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            frames_only,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*shared, foreign_without_arguments, frames_only],
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **{name: {"level": "WARNING"} for name in SILENT_BELOW_WARNING},
            # An outage is told by whoever waited; a pipelined write that is rolled back, by whoever wrote.
            "psycopg": {"level": "ERROR"},
            "psycopg.pool": {"level": "ERROR"},
            "django.request": {"level": "CRITICAL"},  # said once already, by our own request line
        },
    }


def quiet_hooks() -> None:
    """Let Python itself tell of exceptions that nobody caught as everybody else does: without their messages.

    For processes of our own only (`manage.py serve`).
    """
    log = structlog.get_logger("server")

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught", exc_info=(kind, error, trace))

    def in_thread(told: threading.ExceptHookArgs) -> None:
        name = told.thread.name if told.thread is not None else ""
        log.error("thread_died", thread=name, exc_info=(told.exc_type, told.exc_value, told.exc_traceback))

    def unraisable(told: "sys.UnraisableHookArgs") -> None:
        log.error("unraisable", exc_info=(told.exc_type, told.exc_value, told.exc_traceback))

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
