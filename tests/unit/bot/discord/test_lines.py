from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.desk import Block, CommunityRules, CommunityStats
from bot.discord.commands import lines
from bot.discord.words import words_of
from bot.jobs import Job, JobId, JobState, Person, Platform, Scope, Submission
from bot.store import Standing
from bot.studio import QueueView
from engine.api import DrawRequest, SamplingOptions
from engine.pictures import PictureInfo

NOW = datetime(2026, 6, 9, 12, tzinfo=UTC)
ADA = Person(platform=Platform.DISCORD, id="42")
ENGLISH, GERMAN = words_of("en"), words_of("de")
FREE = Standing(
    daily_left_count=None,
    reopens_at=NOW + timedelta(hours=12),
    burst_left_count=None,
    full_at=NOW,
    jobs_left_count=None,
)


def job(prompt: str, state: JobState = JobState.ACCEPTED) -> Job:
    request = DrawRequest(prompt=prompt, seed=7)
    submission = Submission(person=ADA, event_id="1", request=request)
    return Job(
        id=JobId("ab12"), submission=submission, state=state, attempt_count=0, accepted_at=NOW
    )


def test_a_long_prompt_is_one_line_that_is_cut_off() -> None:
    assert lines.shortened("a\ncat  sits", 100) == "a cat sits"
    assert lines.shortened("a" * 101, 100) == "a" * 99 + "…"
    assert len(lines.choice_of(job("a cat " * 100))) == 100


def test_who_has_no_limit_is_told_so() -> None:
    standing = {Scope.PERSON: FREE, Scope.COMMUNITY: FREE}

    assert lines.quota_text(standing, GERMAN) == "Für dich gibt es hier keine Grenze."


def test_every_limit_that_holds_has_its_line() -> None:
    own = replace(FREE, daily_left_count=1, burst_left_count=0, jobs_left_count=2)
    all_ = {
        Scope.PERSON: own,
        Scope.COMMUNITY: replace(FREE, daily_left_count=0),
        Scope.BOT: replace(FREE, daily_left_count=12_345),
    }

    assert lines.quota_text(all_, ENGLISH).splitlines() == [
        "**1** picture left for you today; the allowance is whole again <t:1781049600:R>.",
        "0 of them right now; more come back one by one.",
        "2 more requests may wait at the same time.",
        "0 pictures left today for everybody here together.",
        "12,345 pictures left today for all people of this bot together.",
    ]


def test_a_queue_of_others_says_that_nothing_is_yours() -> None:
    view = QueueView(waiting_count=1, waiting_picture_count=9, drawing_count=0, own=())

    assert lines.queue_text(view, ENGLISH) == (
        "1 request is waiting (pictures: 9).\n0 are being drawn.\nNone of them is yours."
    )


def test_only_some_of_many_own_requests_are_listed() -> None:
    view = QueueView(
        waiting_count=30, waiting_picture_count=270, drawing_count=0, own=(job("a *cat*"),) * 30
    )

    text = lines.queue_text(view, ENGLISH)

    assert "**Yours (30):**" in text
    assert text.count(r"- **a \*cat\*** · waiting · <t:") == lines.SHOWN_JOBS
    assert len(text) < 4_000


def test_what_a_file_says_is_told_letter_for_letter_and_what_it_leaves_out_is_not() -> None:
    info = PictureInfo(
        prompt="**b**", seed=7, index=None, options=SamplingOptions(top_p=0.5), model="mega"
    )

    assert lines.info_text([("a_b.png", info), ("c.png", None)], ENGLISH) == (
        "a\\_b.png\n**\\*\\*b\\*\\***\n-# a grid of all · seed 7 · mega · top_p 0.5\n\n"
        "c.png\nThis file does not say how it was made."
    )


def test_the_rules_of_a_server_are_told_in_the_language_of_the_admin() -> None:
    rules = CommunityRules(moderation="strict", language="en", daily_pictures=50)

    assert lines.rules_text(rules, GERMAN).splitlines() == [
        "**Einstellungen dieses Servers**",
        "Bilder am Tag für alle zusammen: 50",
        "Anfragen gleichzeitig: wie üblich",
        "Stufen nach Rolle: nein",
        "Kanäle: alle",
        "Moderation: streng",
        "Sprache: English",
        "Pausiert: nein",
    ]


def test_the_longest_rules_fit_into_a_message() -> None:
    ids = [str(10**18 + number) for number in range(100)]
    rules = CommunityRules(channels=tuple(ids), role_tiers=dict.fromkeys(ids, "gold"))

    text = lines.rules_text(rules, ENGLISH)

    assert len(text) < 4_000
    assert text.count("… +60") == 2


def test_blocks_that_are_for_ever_say_so() -> None:
    block = Block(person=ADA, community="1", until=None, reason="", by="discord:1", at=NOW)
    timed = replace(block, until=NOW, reason="# spam")

    assert lines.blocks_text([block, timed], ENGLISH) == (
        "**2 people are blocked:**\n- <@42> · for ever\n- <@42> · <t:1781006400:R> · \\# spam"
    )


def test_stats_count_in_the_plural_forms_of_the_language() -> None:
    stats = CommunityStats(request_count=21, picture_count=3, people_count=5, failed_count=1)

    assert lines.stats_text(stats, 7, words_of("uk")).splitlines()[1:] == [
        "21 запит",
        "3 картинки",
        "просили 5 людей",
        "1 запит не вдався з вини бота",
    ]
