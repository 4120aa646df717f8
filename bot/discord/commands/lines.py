"""What lists say, line by line. Pure text: no Discord, no store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bot.discord.cards import plain
from bot.discord.words import words_of
from bot.jobs import Scope
from bot.sentences import discord_when

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from bot.desk import Block, CommunityRules, CommunityStats, Profile
    from bot.discord.words import Words
    from bot.jobs import Job
    from bot.store import Past, Standing
    from bot.studio import QueueView
    from engine.pictures import PictureInfo

PROMPT_CHARS: Final = 120
CHOICE_CHARS: Final = 100  # Source: Discord API documentation, "Application Command Option Choice"
SHOWN_JOBS: Final = 10
SHOWN_BLOCKS: Final = 20
SHOWN_RULES: Final = 40  # a message holds 4,000 characters


def shortened(text: str, limit_chars: int) -> str:
    """Return ``text`` on one line, cut off with an ellipsis where it is too long."""
    line = " ".join(text.split())
    return line if len(line) <= limit_chars else f"{line[: limit_chars - 1]}…"


def prompt_of(job: Job) -> str:
    """Return the beginning of what was asked for, to be shown letter for letter."""
    return plain(shortened(job.submission.request.prompt, PROMPT_CHARS))


def choice_of(job: Job) -> str:
    """Return how a job is named in a list of suggestions, which knows no markdown."""
    return shortened(job.submission.request.prompt, CHOICE_CHARS)


def day(moment: datetime) -> str:
    """Render a moment so that Discord writes it in each reader's own way."""
    return f"<t:{int(moment.timestamp())}:f>"


# ---------------------------------------------------------------------------- own matters


def quota_text(standing: Mapping[Scope, Standing], words: Words) -> str:
    """Tell how much is left to somebody, here and now."""
    return "\n".join(_quota_lines(standing, words)) or words.say("quota_unlimited")


def _quota_lines(standing: Mapping[Scope, Standing], words: Words) -> Iterator[str]:
    own = standing[Scope.PERSON]
    if own.daily_left_count is not None:
        yield words.say("quota_day", count=own.daily_left_count, when=discord_when(own.reopens_at))
    if own.burst_left_count is not None:
        yield words.say("quota_burst", count=own.burst_left_count)
    if own.jobs_left_count is not None:
        yield words.say("quota_jobs", count=own.jobs_left_count)
    for scope in (Scope.COMMUNITY, Scope.BOT):
        left = scope in standing and standing[scope].daily_left_count
        if left is not None and left is not False:
            yield words.say(f"quota_{scope}", count=left)


def queue_text(view: QueueView, words: Words) -> str:
    """Tell what waits, and what of it is one's own."""
    if not (view.waiting_count or view.drawing_count or view.own):
        return words.say("queue_empty")
    lines = [
        words.say("queue_waiting", count=view.waiting_count, pictures=view.waiting_picture_count),
        words.say("queue_drawing", count=view.drawing_count),
    ]
    if view.own:
        lines += ["", words.say("queue_own", count=len(view.own))]
        lines += [f"- {own_line(job, words)}" for job in view.own[:SHOWN_JOBS]]
    else:
        lines += [words.say("queue_none")]
    return "\n".join(lines)


def own_line(job: Job, words: Words) -> str:
    """Tell of one's own job that is not done."""
    state = words.say(f"state_{job.state}")
    return f"**{prompt_of(job)}** · {state} · {discord_when(job.accepted_at)}"


def past_line(past: Past, words: Words) -> str:
    """Tell of a job in one's history."""
    request = past.job.submission.request
    count = len(past.pictures)
    made = words.say("pictures", count=count) if count else words.say(f"state_{past.job.state}")
    seed = words.say("history_seed", seed=str(request.seed))
    return f"**{prompt_of(past.job)}**\n-# {day(past.job.accepted_at)} · {made} · {seed}"


def profile_text(profile: Profile, words: Words) -> str:
    """Tell what somebody has chosen."""
    count = profile.picture_count
    usual = words.say("settings_usual")
    yes, no = words.say("yes"), words.say("no")
    language = profile.language
    return "\n".join(
        [
            words.say("settings_head"),
            words.say("settings_pictures", value=usual if count is None else str(count)),
            words.say("settings_style", value=words.say(f"style_{profile.style or 'none'}")),
            words.say(
                "settings_language",
                value=_language_name(language, words, "language_discord"),
            ),
            words.say("settings_dm", value=yes if profile.may_dm else no),
            words.say("settings_spoiler", value=yes if profile.spoiler else no),
        ]
    )


def _language_name(language: str | None, words: Words, none: str) -> str:
    return words.say(none) if language is None else words_of(language).say("language")


# -------------------------------------------------------------------------------- pictures


def info_text(infos: list[tuple[str, PictureInfo | None]], words: Words) -> str:
    """Tell what picture files say of themselves, by their names."""
    blocks = [
        words.say("info_unknown", name=plain(name)) if info is None else _info(name, info, words)
        for name, info in infos
    ]
    return "\n\n".join(blocks)


def _info(name: str, info: PictureInfo, words: Words) -> str:
    options = info.options
    chosen = {
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "condition_scale": options.condition_scale,
    }
    told = [f"{option} {value:g}" for option, value in chosen.items() if value is not None]
    which = (
        words.say("info_grid")
        if info.index is None
        else words.say("info_candidate", number=info.index + 1)
    )
    facts = [which, words.say("history_seed", seed=str(info.seed)), plain(info.model), *told]
    prompt = plain(shortened(info.prompt, 300))
    return f"{plain(name)}\n**{prompt}**\n-# {' · '.join(facts)}"


# --------------------------------------------------------------------------------- admins


def rules_text(rules: CommunityRules, words: Words) -> str:
    """Tell what the admins of a server have chosen."""
    yes, no = words.say("yes"), words.say("no")
    channels = _listed([f"<#{id_}>" for id_ in rules.channels]) or words.say("admin_everywhere")
    tiers = _listed([f"<@&{role}> {plain(tier)}" for role, tier in rules.role_tiers.items()])
    usual = words.say("settings_usual")
    daily, at_once = rules.daily_pictures, rules.jobs_at_once
    language = _language_name(rules.language, words, "language_auto")
    return "\n".join(
        [
            words.say("admin_head"),
            words.say("admin_daily", value=usual if daily is None else str(daily)),
            words.say("admin_jobs", value=usual if at_once is None else str(at_once)),
            words.say("admin_tiers", value=tiers or no),
            words.say("admin_channels", value=channels),
            words.say("admin_moderation", value=words.say(f"level_{rules.moderation or 'usual'}")),
            words.say("settings_language", value=language),
            words.say("admin_paused", value=yes if rules.is_paused else no),
        ]
    )


def _listed(items: list[str]) -> str:
    more = [f"… +{len(items) - SHOWN_RULES}"] if len(items) > SHOWN_RULES else []
    return ", ".join([*items[:SHOWN_RULES], *more])


def blocks_text(blocks: list[Block], words: Words) -> str:
    """Tell who is blocked in a server."""
    if not blocks:
        return words.say("admin_no_blocks")
    lines = [_block_line(block, words) for block in blocks[:SHOWN_BLOCKS]]
    return "\n".join([words.say("admin_blocks", count=len(blocks)), *lines])


def _block_line(block: Block, words: Words) -> str:
    end = words.say("admin_for_ever") if block.until is None else discord_when(block.until)
    reason = plain(shortened(block.reason, PROMPT_CHARS))
    return f"- <@{block.person.id}> · {end}" + (f" · {reason}" if reason else "")


def stats_text(stats: CommunityStats, days: int, words: Words) -> str:
    """Tell what happened in a server."""
    return "\n".join(
        [
            words.say("stats_head", count=days),
            words.say("stats_requests", count=stats.request_count),
            words.say("stats_pictures", count=stats.picture_count),
            words.say("stats_people", count=stats.people_count),
            words.say("stats_failed", count=stats.failed_count),
        ]
    )
