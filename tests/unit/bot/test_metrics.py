from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from bot.jobs import JobState, Platform
from bot.metrics import NO_RULE, Metrics
from bot.observer import Showing
from bot.outcomes import OUTCOMES
from bot.sentences import NOT_DRAWN
from bot.store.overview import Load
from bot.vitals import Vitals
from engine.api import DrawRequest, EngineStats
from tests.support.clock import NOON
from tests.support.factories import a_job, submission
from tests.support.scripted_engine import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text("utf-8")
DASHBOARD = (ROOT / "deploy" / "grafana-dashboard.json").read_text("utf-8")

EVERYTHING = Vitals(
    at=NOON,
    engine=EngineStats(slot_count=20, busy_slot_count=7, chunk_s=0.1, device_bytes=5),
    loads=(
        Load(
            platform=Platform.X,
            state=JobState.ACCEPTED,
            job_count=2,
            picture_count=18,
            oldest_at=NOON - timedelta(seconds=90),
        ),
    ),
    x_spent_usd=1.5,
    x_daily_usd=10.0,
    is_paused=False,
    open_report_count=3,
    platforms={"discord": True, "x": False},
)


MODERATION = r"^imagine_(prompts|pictures_checked|strike|reports)\w*?(?<!_created)(\{|$)"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def samples(metrics: Metrics, vitals: Vitals = EVERYTHING) -> dict[str, float]:
    """Every sample that is told, as ``name{labels}``."""
    lines = metrics.render(vitals).decode().splitlines()
    told = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in told}


def observe_everything(metrics: Metrics) -> None:
    job = a_job(submission(picture_count=3))
    metrics.accepted(job)
    metrics.refused(Platform.DISCORD, "over_quota")
    picture = drawn(DrawRequest(prompt="a", picture_count=3, seed=7))
    metrics.delivered(job, picture, picture_count=2, duration_s=3.0)
    metrics.failed(job, "drawing_failed")
    metrics.cancelled(job)
    metrics.judged(Platform.X, level="strict", verdict="refuse", code="gore")
    metrics.judged(Platform.WEB, level="standard", verdict="allow", code="")
    metrics.looked_at(job, {Showing.SHOWN: 2, Showing.WITHHELD: 1})
    metrics.struck(Platform.X, code="hate", is_blocked=False)
    metrics.struck(Platform.X, code="terror", is_blocked=True)
    metrics.reported(Platform.DISCORD)
    metrics.acknowledged(0.2, is_in_time=True)
    metrics.acknowledged(2.75, is_in_time=False)


def test_what_becomes_of_requests_is_counted(metrics: Metrics) -> None:
    observe_everything(metrics)

    told = samples(metrics)
    discord = 'platform="discord"'
    assert told[f"imagine_requests_accepted_total{{{discord}}}"] == 1
    assert told[f'imagine_requests_refused_total{{error="over_quota",{discord}}}'] == 1
    assert told[f"imagine_requests_delivered_total{{{discord}}}"] == 1
    assert told[f"imagine_pictures_delivered_total{{{discord}}}"] == 2
    assert told[f'imagine_requests_failed_total{{error="drawing_failed",{discord}}}'] == 1
    assert told[f"imagine_requests_cancelled_total{{{discord}}}"] == 1
    assert told[f"imagine_request_duration_seconds_sum{{{discord}}}"] == 3.0
    assert told['imagine_stage_duration_seconds_count{stage="decoded"}'] == 1
    assert told['imagine_discord_acknowledgement_seconds_bucket{le="0.1"}'] == 0
    assert told['imagine_discord_acknowledgement_seconds_bucket{le="0.2"}'] == 1
    assert told["imagine_discord_acknowledgement_seconds_count"] == 2
    assert told["imagine_discord_unacknowledged_total"] == 1


def test_what_moderation_decides_is_counted(metrics: Metrics) -> None:
    observe_everything(metrics)

    told = samples(metrics)
    moderation = {name: value for name, value in told.items() if re.search(MODERATION, name)}
    assert moderation == {
        'imagine_prompts_judged_total{code="gore",level="strict",platform="x",verdict="refuse"}': 1,
        'imagine_prompts_judged_total{code="none",level="standard",platform="web",'
        'verdict="allow"}': 1,
        'imagine_pictures_checked_total{platform="discord",showing="shown"}': 2,
        'imagine_pictures_checked_total{platform="discord",showing="withheld"}': 1,
        'imagine_strikes_total{code="hate",platform="x"}': 1,
        'imagine_strikes_total{code="terror",platform="x"}': 1,
        'imagine_strike_blocks_total{platform="x"}': 1,
        'imagine_reports_total{platform="discord"}': 1,
        "imagine_reports_open": 3,
    }


def test_how_things_are_is_read_from_the_vital_signs(metrics: Metrics) -> None:
    told = samples(metrics)

    assert told['imagine_queue_requests{platform="x",state="accepted"}'] == 2
    assert told['imagine_queue_pictures{platform="x",state="accepted"}'] == 18
    assert told['imagine_queue_oldest_seconds{platform="x",state="accepted"}'] == 90
    assert (told["imagine_engine_slots"], told["imagine_engine_busy_slots"]) == (20, 7)
    assert (told["imagine_x_spent_usd"], told["imagine_x_daily_limit_usd"]) == (1.5, 10)
    assert told['imagine_platform_up{platform="x"}'] == 0
    assert told["imagine_ready"] == 0


def test_what_could_not_be_read_has_no_sample(metrics: Metrics) -> None:
    told = samples(metrics, Vitals(at=NOON))

    names = {name.partition("{")[0] for name in told}
    assert "imagine_engine_slots" not in names
    assert "imagine_engine_restarts_total" not in names
    assert "imagine_queue_requests" not in names
    assert "imagine_x_spent_usd" not in names
    assert "imagine_paused" not in names
    assert "imagine_reports_open" not in names
    assert told["imagine_ready"] == 0


def test_two_registries_count_apart(metrics: Metrics) -> None:
    other = Metrics(CollectorRegistry())
    observe_everything(metrics)

    assert 'imagine_requests_accepted_total{platform="discord"}' not in samples(other)


def told_families(metrics: Metrics) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """Name, kind, meaning and labels of every metric, as Prometheus reads them."""
    observe_everything(metrics)
    text = metrics.render(EVERYTHING).decode()
    for family in text_string_to_metric_families(text):
        name, kind = str(family.name), str(family.type)
        if name.endswith("_created"):
            continue  # when a counter began; made by the library
        full_name = f"{name}_total" if kind == "counter" else name
        labels = {label for sample in family.samples for label in sample.labels}
        yield full_name, kind, str(family.documentation), frozenset(labels - {"le"})


def documented() -> Iterator[tuple[str, str, str, frozenset[str]]]:
    for line in DOCUMENT.splitlines():
        if match := re.fullmatch(r"\| `(imagine_\w+)` \| (\w+) \| (.*?) ?\| (.*) \|", line):
            name, kind, labels, meaning = match.groups()
            yield name, kind, meaning, frozenset(re.findall(r"`(\w+)`", labels))


def test_the_document_lists_every_metric_with_its_kind_meaning_and_labels(
    metrics: Metrics,
) -> None:
    listed = {
        (name, kind, "" if name == "imagine_build_info" else meaning, labels)
        for name, kind, meaning, labels in documented()
    }
    told = {
        (name, kind, "" if name == "imagine_build_info" else meaning, labels)
        for name, kind, meaning, labels in told_families(metrics)
    }
    assert listed == told


def test_the_document_explains_every_label_of_an_error() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", DOCUMENT, re.MULTILINE))

    assert explained == {outcome.label for outcome in OUTCOMES.values()}


def test_the_document_explains_every_rule_in_the_words_that_people_read() -> None:
    explained = dict(re.findall(r"^- `(\w+)`: (.+)$", DOCUMENT, re.MULTILINE))

    assert explained == {**NOT_DRAWN, NO_RULE: "no rule speaks of it"}


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\bimagine_\w+", text))


def test_the_dashboard_and_the_alerts_use_only_metrics_that_exist(metrics: Metrics) -> None:
    observe_everything(metrics)
    text = metrics.render(EVERYTHING).decode()
    exist = {name.partition("{")[0] for name in samples(metrics)} | {"imagine_build_info"}
    alerts = DOCUMENT.partition("Worth an alert")[2]

    panels = cast("list[dict[str, Any]]", json.loads(DASHBOARD)["panels"])
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(asked) > 20
    for expression in asked:
        assert names_in(expression), expression
        assert names_in(expression) <= exist, expression
    assert names_in(alerts)
    assert names_in(alerts) <= exist
    assert names_in(DASHBOARD) <= exist | names_in(text)


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD)["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
