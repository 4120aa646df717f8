"""What the admin page is told: plain JSON objects, made by pure functions.

No prompt is among them but those of open reports, which cannot be judged without: who runs the
bot sees who waits and for how many pictures, not what people wish for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.minutes import total
from bot.observer import Showing
from engine.api import Verdict

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bot.desk import AuditEntry, Block, CommunityRules, Grant, Report, StrikeTally
    from bot.jobs import JobId, Json, Platform
    from bot.minutes import Minute
    from bot.store.history import KeptPicture, Past
    from bot.store.overview import Crowd
    from bot.vitals import Vitals

    View = dict[str, Json]

SHARES: Final = (("p50_s", 0.5), ("p95_s", 0.95), ("p99_s", 0.99))
QUOTA_LABELS: Final = ("over_quota", "over_burst", "too_many_jobs")


def now_view(vitals: Vitals) -> View:
    """How everything is."""
    engine = vitals.engine
    return {
        "at": vitals.at.isoformat(),
        "is_paused": vitals.is_paused,
        "obstacles": list(vitals.obstacles),
        "platforms": dict(vitals.platforms),
        "open_report_count": vitals.open_report_count,
        "x_spent_usd": vitals.x_spent_usd,
        "x_daily_usd": vitals.x_daily_usd,
        "engine": None
        if engine is None
        else {
            "slot_count": engine.slot_count,
            "busy_slot_count": engine.busy_slot_count,
            "waiting_picture_count": engine.waiting_picture_count,
            "finishing_picture_count": engine.finishing_picture_count,
            "pictures_per_min": round(60 * engine.pictures_per_s, 1),
            "restart_count": engine.restart_count,
            "memory_bytes": engine.memory_bytes,
            "device_bytes": engine.device_bytes,
        },
        "loads": None
        if vitals.loads is None
        else [
            {
                "platform": load.platform,
                "state": load.state,
                "job_count": load.job_count,
                "picture_count": load.picture_count,
                "oldest_s": _age_s(load.oldest_at, vitals.at),
            }
            for load in vitals.loads
        ],
    }


def crowd_view(crowd: Crowd, now: datetime) -> View:
    """Who waits, and for what."""
    people: list[Json] = [
        {
            "platform": each.platform,
            "person": each.person_id,
            "job_count": each.job_count,
            "picture_count": each.picture_count,
            "oldest_s": _age_s(each.oldest_at, now),
        }
        for each in crowd.people
    ]
    jobs: list[Json] = [
        {
            "job_id": job.id,
            "platform": job.submission.person.platform,
            "person": job.submission.person.id,
            "community": job.submission.community,
            "picture_count": job.submission.request.picture_count,
            "state": job.state,
            "age_s": _age_s(job.accepted_at, now),
        }
        for job in crowd.jobs
    ]
    return {"people": people, "jobs": jobs}


def span_view(minutes: Sequence[Minute], *, in_each: int) -> View:
    """What happened in a span, as one sum and as points for the charts.

    Args:
        minutes: Each of them ``in_each`` minutes added up, oldest first.
        in_each: How many minutes a point stands for.
    """
    whole = total(minutes)
    return {
        "minutes_each": in_each,
        "points": [_point(minute, in_each) for minute in minutes],
        "accepted_count": whole.accepted_count,
        "delivered_count": whole.delivered_count,
        "picture_count": whole.picture_count,
        "cancelled_count": whole.cancelled_count,
        "quota_refusal_count": sum(whole.refused[label] for label in QUOTA_LABELS),
        "refused": _sorted(whole.refused),
        "failed": _sorted(whole.failed),
        "moderation": _moderation(whole),
        **{name: whole.percentile_s(share) for name, share in SHARES},
    }


def house_view(
    *,
    blocks: Sequence[Block],
    grants: Sequence[Grant],
    communities: Mapping[tuple[Platform, str], CommunityRules],
    struck: Sequence[StrikeTally],
    tier_names: Sequence[str],
) -> View:
    """What admins have decided, and who was struck."""
    return {
        "blocks": [_block(block) for block in blocks],
        "grants": [
            {"platform": each.platform, "scope": each.scope, "of": each.of, "tier": each.tier}
            for each in grants
        ],
        "communities": [
            {
                "platform": platform,
                "community": community,
                "is_paused": rules.is_paused,
                "daily_pictures": rules.daily_pictures,
                "jobs_at_once": rules.jobs_at_once,
            }
            for (platform, community), rules in communities.items()
        ],
        "strikes": [
            {
                "platform": each.person.platform,
                "person": each.person.id,
                "count": each.strike_count,
                "last_at": each.last_at.isoformat(),
                "codes": list(each.codes),
            }
            for each in struck
        ],
        "tiers": list(tier_names),
    }


def reports_view(shown: Sequence[Report], pasts: Mapping[JobId, Past], *, whole_count: int) -> View:
    """Reports, each with what is kept of its pictures.

    Args:
        shown: Those that are told.
        pasts: Of their jobs, those that are kept; of closed reports none need be here.
        whole_count: How many reports there are of this kind.
    """
    return {
        "whole_count": whole_count,
        "reports": [_report(report, pasts.get(report.job_id)) for report in shown],
    }


def audit_view(entries: Sequence[AuditEntry]) -> View:
    """Lines of the audit log."""
    return {
        "entries": [
            {
                "id": entry.id,
                "at": entry.at.isoformat(),
                "by": entry.by,
                "act": entry.act,
                "subject": entry.subject,
                "detail": entry.detail,
            }
            for entry in entries
        ]
    }


def _point(minute: Minute, in_each: int) -> View:
    return {
        "at_s": minute.number * 60,
        "pictures_per_min": minute.picture_count / in_each,
        "accepted_count": minute.accepted_count,
        "refused_count": minute.refused.total(),
        "failed_count": minute.failed.total(),
        "waiting_count": minute.waiting_count,
        "busy_slot_count": minute.busy_slot_count,
        "p50_s": minute.percentile_s(0.5),
        "p95_s": minute.percentile_s(0.95),
    }


def _sorted(counts: Counter[str]) -> Json:
    return [{"label": label, "count": count} for label, count in counts.most_common()]


def _block(block: Block) -> View:
    return {
        "platform": block.person.platform,
        "person": block.person.id,
        "community": block.community,
        "until": None if block.until is None else block.until.isoformat(),
        "reason": block.reason,
        "by": block.by,
        "at": block.at.isoformat(),
    }


def _report(report: Report, past: Past | None) -> View:
    return {
        "id": report.id,
        "job_id": report.job_id,
        "platform": report.owner.platform,
        "person": report.owner.id,
        "community": report.community,
        "reason": report.reason,
        "at": report.at.isoformat(),
        "closed_at": None if report.closed_at is None else report.closed_at.isoformat(),
        "closed_by": report.closed_by,
        "prompt": None if past is None else past.job.submission.request.prompt,
        "pictures": []
        if past is None
        else [_picture(report, picture, past) for picture in past.pictures],
    }


def _picture(report: Report, picture: KeptPicture, past: Past) -> View:
    return {
        "url": f"/api/admin/reports/{report.id}/pictures/{picture.rank}",
        "rank": picture.rank,
        "was_covered": past.job.submission.is_soft or picture.verdict is not Verdict.SAFE,
    }


def _moderation(whole: Minute) -> View:
    """What words and pictures were judged to be."""
    looked_at = [(*_labels(key), count) for key, count in whole.looked_at.items()]
    platforms = sorted({platform for platform, _, _ in looked_at})
    judged = [(*_labels(key), count) for key, count in sorted(whole.judged.items())]
    return {
        "judged": [
            {"level": level, "verdict": verdict, "code": code, "count": count}
            for level, verdict, code, count in judged
        ],
        "pictures": [
            {
                "platform": platform,
                **{str(showing): whole.looked_at[f"{platform}/{showing}"] for showing in Showing},
            }
            for platform in platforms
        ],
        "strike_count": whole.strike_count,
        "strike_block_count": whole.strike_block_count,
        "report_count": whole.report_count,
    }


def _labels(key: str) -> list[str]:
    return key.split("/")


def _age_s(then: datetime, now: datetime) -> int:
    return max(0, round((now - then).total_seconds()))
