from __future__ import annotations

import logging

from bot.telemetry import LineFormatter


def test_an_event_is_one_line_of_phrase_and_fields() -> None:
    record = logging.makeLogRecord(
        {
            "name": "bot.service",
            "levelname": "INFO",
            "msg": "job delivered",
            "created": 0.0,
            "job_id": "a1",
            "reason": "no room",
        }
    )

    assert LineFormatter().format(record) == (
        "1970-01-01T00:00:00Z INFO bot.service job delivered job_id=a1 reason='no room'"
    )
