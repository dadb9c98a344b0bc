"""The access log: one line of JSON for each request."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from service.http.exchange import Exchange

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ACCESS_LOG: Final = "hpkg.access"
"""The name of the access log's logger."""

_to_json: Final = json.JSONEncoder(ensure_ascii=False).encode


class _StandardErrorHandler(logging.Handler):
    """Writes each message as a line to the current `sys.stderr`."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{record.getMessage()}\n")
        except (OSError, ValueError):
            self.handleError(record)


def access_logger() -> logging.Logger:
    """Return the logger of the access log; without other handlers, it writes to standard error."""
    logger = logging.getLogger(ACCESS_LOG)
    if not logger.handlers:
        logger.addHandler(_StandardErrorHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False
    return logger


def log_exchange(logger: logging.Logger, environ: "WSGIEnvironment", exchange: Exchange, seconds: float) -> None:
    """Log an answered request, without the search for the calling code that `Logger.info` makes."""
    line = _log_line(environ, exchange, seconds)
    logger.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, line, (), None))


def _log_line(environ: "WSGIEnvironment", exchange: Exchange, seconds: float) -> str:
    """Format a request as JSON: `time` in UTC, `seconds` and `engine` in seconds, null for what is unknown."""
    facts = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "id": exchange.id,
        "method": exchange.method,
        "path": environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace"),
        "status": exchange.status,
        "bytes": exchange.length,
        "seconds": round(seconds, 6),
        "format": exchange.media_type,
        "cache": exchange.cache_outcome,
        "engine": None if exchange.engine_seconds is None else round(exchange.engine_seconds, 6),
        "error": exchange.error_code,
    }
    return _to_json(facts)
