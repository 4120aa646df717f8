"""Turns what an admin has set into the rules of the store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bot.jobs import Platform
from bot.moderation import Level
from bot.store import Limits, Rules, Tier
from bot.store.house import StrikeLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.settings import Settings, TierSettings


def rules_of(settings: Settings) -> Rules:
    """All limits that the settings name; 0 in a setting is no limit."""
    return Rules(
        person=Limits(
            daily_count=settings.daily_pictures or None,
            burst_count=settings.burst_pictures or None,
            refill_s=settings.burst_refill_s,
            jobs_count=settings.jobs_at_once or None,
        ),
        community=Limits(
            daily_count=settings.community_daily_pictures or None,
            jobs_count=settings.community_jobs_at_once or None,
        ),
        bot=Limits(
            daily_count=settings.bot_daily_pictures or None,
            jobs_count=settings.bot_jobs_at_once or None,
        ),
        tiers={name: _tier(tier, settings) for name, tier in settings.tiers.items()},
    )


def levels_of(settings: Settings) -> Mapping[Platform, Level]:
    """How strictly words are read on each platform."""
    everywhere = dict.fromkeys(Platform, Level(settings.moderation))
    return everywhere | {Platform.X: Level(settings.x_moderation)}


def strike_limit_of(settings: Settings) -> StrikeLimit | None:
    """When asking for something grave gets a person blocked; 0 is never."""
    if settings.strikes_a_day == 0:
        return None
    return StrikeLimit(
        count=settings.strikes_a_day,
        within=timedelta(days=1),
        block_for=timedelta(hours=settings.strike_block_h),
    )


def _tier(tier: TierSettings, settings: Settings) -> Tier:
    """What a tier leaves out is as for everybody."""
    return Tier(
        person=Limits(
            daily_count=_chosen(tier.daily_pictures, settings.daily_pictures),
            burst_count=_chosen(tier.burst_pictures, settings.burst_pictures),
            refill_s=tier.burst_refill_s or settings.burst_refill_s,
            jobs_count=_chosen(tier.jobs_at_once, settings.jobs_at_once),
        ),
        community=Limits(
            daily_count=_chosen(tier.community_daily_pictures, settings.community_daily_pictures),
            jobs_count=_chosen(tier.community_jobs_at_once, settings.community_jobs_at_once),
        ),
    )


def _chosen(count: int | None, usual_count: int) -> int | None:
    return (usual_count if count is None else count) or None
