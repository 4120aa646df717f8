"""How the process tells what it does: one event per line, fixed phrase, then fields.

``log.info("job delivered", extra={"job_id": job.id, "duration_s": 1.2})`` becomes
``2026-11-22T16:50:39Z INFO bot.service job delivered job_id=… duration_s=1.2``.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_STANDARD_FIELDS: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName")
)

# These write tokens, prompts or one line per request when asked for more.
_TALKATIVE: Final = ("aiohttp.access", "alembic", "asyncio", "discord", "sqlalchemy", "tweepy")


class LineFormatter(logging.Formatter):
    """Writes the phrase of a record and the fields given as ``extra``."""

    converter = time.gmtime

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # logging's name
        """Append ``name=value`` for each field; a value with spaces is quoted."""
        fields = (item for item in vars(record).items() if item[0] not in _STANDARD_FIELDS)
        return " ".join([super().formatMessage(record), *(_field(*item) for item in fields)])


def configure_logging(level: str) -> None:
    """Send our events of ``level`` and above, and other libraries' warnings, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _field(name: str, value: object) -> str:
    text = str(value)
    return f"{name}={text!r}" if " " in text or "\n" in text else f"{name}={text}"
