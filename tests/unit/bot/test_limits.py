from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from bot.jobs import Platform, Scope
from bot.limits import levels_of, rules_of, strike_limit_of
from bot.moderation import Level
from bot.settings import Settings, TierSettings
from bot.store import Limits, Tier
from bot.store.house import StrikeLimit


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, data_dir=Path("data"), **values)  # pyright: ignore[reportCallIssue, reportArgumentType] # pydantic's own


def test_every_setting_of_a_limit_becomes_a_rule() -> None:
    rules = rules_of(
        settings(
            daily_pictures=1,
            burst_pictures=16,
            burst_refill_s=3.0,
            jobs_at_once=4,
            community_daily_pictures=5,
            community_jobs_at_once=6,
            bot_daily_pictures=7,
            bot_jobs_at_once=8,
        )
    )

    assert rules.person == Limits(daily_count=1, burst_count=16, refill_s=3.0, jobs_count=4)
    assert rules.community == Limits(daily_count=5, jobs_count=6)
    assert rules.bot == Limits(daily_count=7, jobs_count=8)


def test_zero_is_no_limit() -> None:
    nothing = dict.fromkeys(
        (
            *("daily_pictures", "burst_pictures", "jobs_at_once", "community_daily_pictures"),
            *("community_jobs_at_once", "bot_daily_pictures", "bot_jobs_at_once"),
        ),
        0,
    )

    limits = rules_of(settings(**nothing)).limits(person_tiers=[], community_tier=None)

    assert limits[Scope.PERSON] == Limits(refill_s=10.0)
    assert limits[Scope.COMMUNITY] == limits[Scope.BOT] == Limits()


def test_a_tier_leaves_what_it_does_not_say_as_it_is_for_everybody() -> None:
    rules = rules_of(
        settings(
            daily_pictures=9,
            jobs_at_once=2,
            community_daily_pictures=100,
            tiers={"friend": TierSettings(daily_pictures=90, community_jobs_at_once=0)},
        )
    )

    assert rules.tiers == {
        "friend": Tier(
            person=Limits(daily_count=90, burst_count=45, refill_s=10.0, jobs_count=2),
            community=Limits(daily_count=100, jobs_count=None),
        )
    }


def test_x_has_a_level_of_its_own_and_is_strict_unless_an_admin_says_otherwise() -> None:
    usual = levels_of(settings())
    chosen = levels_of(settings(moderation="off", x_moderation="relaxed"))

    assert usual == dict.fromkeys(Platform, Level.STANDARD) | {Platform.X: Level.STRICT}
    assert chosen == dict.fromkeys(Platform, Level.OFF) | {Platform.X: Level.RELAXED}


def test_strikes_block_as_the_settings_say_and_zero_blocks_nobody() -> None:
    assert strike_limit_of(settings(strikes_a_day=0)) is None
    assert strike_limit_of(settings(strikes_a_day=2, strike_block_h=1.5)) == StrikeLimit(
        count=2, within=timedelta(days=1), block_for=timedelta(minutes=90)
    )
