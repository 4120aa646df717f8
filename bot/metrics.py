"""What Prometheus reads: counters of what became of requests, gauges of how things are.

``docs/metrics.md`` lists every metric; a test compares it with what is registered here.
Labels of errors are those of ``bot.outcomes``. No label ever names a person, a community or
a prompt: their number has no bound, and they are nobody's business.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry, Metric

    from bot.jobs import Job, Platform
    from bot.observer import Showing
    from bot.vitals import Vitals
    from engine.api import Drawn, EngineStats

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
NO_RULE: Final = "none"
"""The code of a prompt that no rule speaks of."""

# A lone picture takes a third of a second on a laptop; a queue in a bad week, hours.
REQUEST_BUCKETS_S: Final = (
    *(0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600),
    *(1_800, 3_600, 14_400, 86_400),
)
STAGE_BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 3_600)
# Discord gives up after three seconds.
ACKNOWLEDGEMENT_BUCKETS_S: Final = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2, 2.5, 3)


class Metrics:
    """Counts for Prometheus. An ``Observer`` of the service.

    Args:
        registry: Where the metrics are registered; nothing is global.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._accepted = Counter(
            "imagine_requests_accepted",
            "Requests that were stored and will be drawn.",
            ["platform"],
            registry=registry,
        )
        self._refused = Counter(
            "imagine_requests_refused",
            "Requests that were not accepted, by reason.",
            ["platform", "error"],
            registry=registry,
        )
        self._delivered = Counter(
            "imagine_requests_delivered",
            "Requests whose pictures have arrived.",
            ["platform"],
            registry=registry,
        )
        self._failed = Counter(
            "imagine_requests_failed",
            "Requests that an error ended or left to the next start.",
            ["platform", "error"],
            registry=registry,
        )
        self._cancelled = Counter(
            "imagine_requests_cancelled",
            "Requests that were given up by their person or an admin.",
            ["platform"],
            registry=registry,
        )
        self._pictures = Counter(
            "imagine_pictures_delivered",
            "Pictures that have arrived.",
            ["platform"],
            registry=registry,
        )
        self._duration = Histogram(
            "imagine_request_duration_seconds",
            "From acceptance to the arrival of the pictures.",
            ["platform"],
            buckets=REQUEST_BUCKETS_S,
            registry=registry,
        )
        self._stages = Histogram(
            "imagine_stage_duration_seconds",
            "Time of a request in the engine, by stage: waited, decoded, rendered.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=registry,
        )
        self._acknowledgement = Histogram(
            "imagine_discord_acknowledgement_seconds",
            "From the arrival of an interaction to Discord's answer that it is acknowledged.",
            buckets=ACKNOWLEDGEMENT_BUCKETS_S,
            registry=registry,
        )
        self._unacknowledged = Counter(
            "imagine_discord_unacknowledged",
            "Interactions that Discord let go before they were acknowledged.",
            registry=registry,
        )
        self._judged = Counter(
            "imagine_prompts_judged",
            "Prompts that were read, by what became of them and by which rule.",
            ["platform", "level", "verdict", "code"],
            registry=registry,
        )
        self._looked_at = Counter(
            "imagine_pictures_checked",
            "Pictures that were drawn and looked at, by what became of them.",
            ["platform", "showing"],
            registry=registry,
        )
        self._strikes = Counter(
            "imagine_strikes",
            "Requests for something grave that count against their person.",
            ["platform", "code"],
            registry=registry,
        )
        self._strike_blocks = Counter(
            "imagine_strike_blocks",
            "People who were blocked for a while by a strike too many.",
            ["platform"],
            registry=registry,
        )
        self._reports = Counter(
            "imagine_reports",
            "Reports by people who find fault with pictures.",
            ["platform"],
            registry=registry,
        )
        self._readings = _Readings()
        registry.register(self._readings)

    def __repr__(self) -> str:
        return "<Metrics>"

    def render(self, vitals: Vitals) -> bytes:
        """Everything in Prometheus' text format, with how things are at that moment."""
        self._readings.vitals = vitals
        return generate_latest(self._registry)

    def acknowledged(self, duration_s: float, *, is_in_time: bool) -> None:
        """Note how long Discord waited for a sign of life, and whether it came in time."""
        self._acknowledgement.observe(duration_s)
        if not is_in_time:
            self._unacknowledged.inc()

    def accepted(self, job: Job) -> None:
        """See ``Observer``."""
        self._accepted.labels(_platform(job)).inc()

    def refused(self, platform: Platform, label: str) -> None:
        """See ``Observer``."""
        self._refused.labels(str(platform), label).inc()

    def delivered(self, job: Job, drawn: Drawn, *, picture_count: int, duration_s: float) -> None:
        """See ``Observer``."""
        platform, timings = _platform(job), drawn.timings
        self._delivered.labels(platform).inc()
        self._pictures.labels(platform).inc(picture_count)
        self._duration.labels(platform).observe(duration_s)
        self._stages.labels("waited").observe(timings.waited_s)
        self._stages.labels("decoded").observe(timings.decoded_s)
        self._stages.labels("rendered").observe(timings.rendered_s)

    def failed(self, job: Job, label: str) -> None:
        """See ``Observer``."""
        self._failed.labels(_platform(job), label).inc()

    def cancelled(self, job: Job) -> None:
        """See ``Observer``."""
        self._cancelled.labels(_platform(job)).inc()

    def judged(self, platform: Platform, *, level: str, verdict: str, code: str) -> None:
        """See ``Observer``."""
        self._judged.labels(str(platform), level, verdict, code or NO_RULE).inc()

    def struck(self, platform: Platform, *, code: str, is_blocked: bool) -> None:
        """See ``Observer``."""
        self._strikes.labels(str(platform), code).inc()
        if is_blocked:
            self._strike_blocks.labels(str(platform)).inc()

    def looked_at(self, job: Job, showings: Mapping[Showing, int]) -> None:
        """See ``Observer``."""
        for showing, count in showings.items():
            self._looked_at.labels(_platform(job), str(showing)).inc(count)

    def reported(self, platform: Platform) -> None:
        """See ``Observer``."""
        self._reports.labels(str(platform)).inc()


def _platform(job: Job) -> str:
    return str(job.submission.person.platform)


class _Readings(Collector):
    """Turns the vital signs into gauges. What could not be read has no sample."""

    def __init__(self) -> None:
        self.vitals: Vitals | None = None

    def collect(self) -> Iterator[Metric]:
        """Called by the registry."""
        yield InfoMetricFamily(
            "imagine_build", "The running version.", {"version": version("imagine-bot")}
        )
        yield from _queue(self.vitals)
        yield from _engine(None if self.vitals is None else self.vitals.engine)
        yield from _house(self.vitals)


def _queue(vitals: Vitals | None) -> Iterator[Metric]:
    requests = GaugeMetricFamily(
        "imagine_queue_requests", "Unfinished requests in the database.", labels=_QUEUE_LABELS
    )
    pictures = GaugeMetricFamily(
        "imagine_queue_pictures", "Pictures of unfinished requests.", labels=_QUEUE_LABELS
    )
    oldest = GaugeMetricFamily(
        "imagine_queue_oldest_seconds", "Age of the oldest of them.", labels=_QUEUE_LABELS
    )
    for load in (vitals and vitals.loads) or ():
        labels = [str(load.platform), str(load.state)]
        requests.add_metric(labels, load.job_count)
        pictures.add_metric(labels, load.picture_count)
        if vitals is not None:
            oldest.add_metric(labels, (vitals.at - load.oldest_at).total_seconds())
    yield from (requests, pictures, oldest)


_QUEUE_LABELS: Final = ("platform", "state")


# Name in Prometheus, meaning, attribute of ``EngineStats``.
_ENGINE_GAUGES: Final = (
    ("slots", "Pictures that can be drawn at once.", "slot_count"),
    ("busy_slots", "Pictures that are being drawn.", "busy_slot_count"),
    ("waiting_pictures", "Pictures at the engine without a slot.", "waiting_picture_count"),
    ("finishing_pictures", "Pictures being rendered and ranked.", "finishing_picture_count"),
    ("pictures_per_second", "Pictures finished, over the last minute.", "pictures_per_s"),
    ("chunk_seconds", "What a chunk of decode steps took lately.", "chunk_s"),
    ("memory_bytes", "Resident memory of the engine's processes.", "memory_bytes"),
    ("device_memory_bytes", "Memory in use on accelerators.", "device_bytes"),
)
_ENGINE_COUNTERS: Final = (
    ("restarts", "Times an engine process was started again.", "restart_count"),
    ("compilations", "Programs compiled; stands still after the start.", "compile_count"),
    ("text_cache_hits", "Prompts whose encoding was remembered.", "text_cache_hits"),
    ("text_cache_misses", "Prompts that had to be encoded.", "text_cache_misses"),
)


def _engine(stats: EngineStats | None) -> Iterator[Metric]:
    for name, meaning, attribute in _ENGINE_GAUGES:
        value: float | None = getattr(stats, attribute, None)
        yield _gauge(f"imagine_engine_{name}", meaning, value)
    for name, meaning, attribute in _ENGINE_COUNTERS:
        counter = CounterMetricFamily(f"imagine_engine_{name}", meaning)
        if (count := getattr(stats, attribute, None)) is not None:
            counter.add_metric((), count)
        yield counter


def _house(vitals: Vitals | None) -> Iterator[Metric]:
    spent, limit = "imagine_x_spent_usd", "imagine_x_daily_limit_usd"
    yield _gauge(spent, "Dollars that X has cost today (UTC).", vitals and vitals.x_spent_usd)
    yield _gauge(limit, "Dollars that a day may cost.", vitals and vitals.x_daily_usd)
    reports = vitals and vitals.open_report_count
    yield _gauge("imagine_reports_open", "Reports that no admin has seen to yet.", reports)
    paused = None if vitals is None or vitals.is_paused is None else float(vitals.is_paused)
    yield _gauge("imagine_paused", "1 while an admin has paused the bot.", paused)
    up = GaugeMetricFamily(
        "imagine_platform_up", "1 while the platform is listened to.", labels=["platform"]
    )
    for name, is_up in () if vitals is None else vitals.platforms.items():
        up.add_metric([name], float(is_up))
    yield up
    ready = None if vitals is None else float(not vitals.obstacles)
    yield _gauge("imagine_ready", "1 while a new request would be drawn; see /readyz.", ready)


def _gauge(name: str, meaning: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning)
    if value is not None:
        family.add_metric((), value)
    return family
