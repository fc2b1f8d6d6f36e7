"""Structured logs: one JSON object a line on stderr."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog


def configure(level: int = logging.INFO, *, for_good: bool = True) -> None:
    """Write kiban's log lines from `level` on, and the warnings of libraries, as JSON.

    Args:
        for_good: False where the process will configure them anew, as one that prepares something before it serves.
    """
    # Frames' variables can hold passwords and tokens.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=for_good,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def _dumps(value: Any, **_: Any) -> bytes:
    return orjson.dumps(value, default=repr)


class _Forward(logging.Handler):
    """What libraries log through Python's own logging, in the same shape."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)
