"""``imagine admin``: what the admin page does, from the terminal, beside a running bot or not.

Commands work on the database. A running bot sees pauses, blocks and limits within seconds; a
request that is cancelled here while it is drawn there is not delivered.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path  # noqa: TC003 # typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from bot import admin_sentences as sentences
from bot.clock import utc_now
from bot.commands.console import FAILED, out, say, show_table
from bot.jobs import InvalidRuleError, JobId, Person, Platform, Scope
from bot.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.desk import CommunityRules, Desk
    from bot.store import Limits, Rules, Store
    from bot.store.overview import Load, Span

    T = TypeVar("T")

admin = typer.Typer(
    help="See and decide who waits, who is blocked, what is kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SHOWN_SHARES: Final = (0.5, 0.95, 0.99)

Who = Annotated[str, typer.Argument(help="PLATFORM/ID, such as discord/123456789.")]
Community = Annotated[
    str | None, typer.Option("--community", help="Only in this community (a Discord server's id).")
]


@admin.command()
def stats(
    *,
    hours: Annotated[int, typer.Option(help="How far to look back.", min=1, max=24 * 366)] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> int:
    """Count requests and pictures of the last day, and who waits now."""

    async def look(store: Store, desk: Desk) -> tuple[Sequence[Load], Span, bool]:
        moment = utc_now() - timedelta(hours=hours)
        overview = store.overview
        return await overview.loads(), await overview.since(moment), await desk.is_paused()

    loads, span, is_paused = _at_desk(look)
    if as_json:
        whole = {"is_paused": is_paused, "hours": hours, **_span_json(span)}
        out.print(json.dumps({**whole, "waiting": _loads_json(loads)}), markup=False)
        return 0
    say(sentences.ADMIN_PAUSED if is_paused else sentences.ADMIN_IS_OPEN)
    out.print()
    show_table(
        ("platform", "became", "error", "requests", "pictures"),
        [(t.platform, t.state, t.error_label, t.job_count, t.picture_count) for t in span.tallies],
        numbers=("requests", "pictures"),
    )
    out.print()
    say(sentences.admin_times(hours, span.people_count, _shares(span)))
    out.print()
    show_table(
        ("waiting now", "state", "requests", "pictures", "oldest since"),
        [
            (
                each.platform,
                each.state,
                each.job_count,
                each.picture_count,
                sentences.moment(each.oldest_at),
            )
            for each in loads
        ],
        numbers=("requests", "pictures"),
    )
    return 0


@admin.command()
def limits(
    community: Annotated[
        str | None, typer.Argument(help="PLATFORM/ID of a community; without one, all is shown.")
    ] = None,
    *,
    daily: Annotated[
        int | None, typer.Option(help="Pictures a day of all its people; 0 takes the limit away.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Requests at once; 0 takes the limit away.")
    ] = None,
    paused: Annotated[
        bool | None, typer.Option("--pause/--resume", help="Accept nothing there, or again.")
    ] = None,
) -> int:
    """Show all limits, or change those of a community. Those of .env are changed there."""
    if community is None:
        return _show_limits()
    where = _person(community)

    async def change(_store: Store, desk: Desk) -> CommunityRules:
        rules = await desk.community(where.platform, where.id)
        changed = _changed(rules, daily=daily, jobs=jobs, paused=paused)
        if changed != rules:
            await desk.set_community(where.platform, where.id, changed, by=_name())
        return changed

    rules = _at_desk(change)
    say(sentences.admin_community_limits(
        f"{where.platform}/{where.id}",
        daily=rules.daily_pictures, jobs=rules.jobs_at_once, is_paused=rules.is_paused,
    ))  # fmt: skip
    return 0


@admin.command()
def grant(
    who: Who,
    tier: Annotated[str, typer.Argument(help="A tier of TIERS, or unlimited; none takes it away.")],
    *,
    is_community: Annotated[
        bool, typer.Option("--community", help="WHO is a community, not a person.")
    ] = False,
) -> int:
    """Give a person or a community a tier that stays."""
    whom, wanted = _person(who), None if tier == "none" else tier
    scope = Scope.COMMUNITY if is_community else Scope.PERSON
    _at_desk(lambda _, desk: desk.grant(whom.platform, scope, whom.id, wanted, by=_name()))
    say(sentences.admin_granted(whom.platform, whom.id, wanted or ""))
    return 0


@admin.command()
def block(
    who: Who,
    *,
    hours: Annotated[
        int | None, typer.Option(help="How long; without it, until it is lifted.", min=1)
    ] = None,
    community: Community = None,
    reason: Annotated[str, typer.Option(help="For the audit log.")] = "",
) -> int:
    """Accept nothing from somebody any more."""
    person = _person(who)
    until = None if hours is None else utc_now() + timedelta(hours=hours)
    _at_desk(
        lambda _, desk: desk.block(
            person, community=community, until=until, reason=reason, by=_name()
        )
    )
    say(sentences.admin_blocked(person.platform, person.id, until))
    return 0


@admin.command()
def unblock(who: Who, *, community: Community = None) -> int:
    """Accept requests from somebody again."""
    person = _person(who)
    was_blocked = _at_desk(lambda _, desk: desk.unblock(person, community=community, by=_name()))
    say(sentences.admin_unblocked(person.platform, person.id, was_blocked=was_blocked))
    return 0


@admin.command()
def pause() -> int:
    """Accept nothing from anybody; what was accepted before is still drawn."""
    _at_desk(lambda _, desk: desk.pause(by=_name()))
    say(sentences.ADMIN_PAUSED)
    return 0


@admin.command()
def resume() -> int:
    """Accept requests again."""
    _at_desk(lambda _, desk: desk.resume(by=_name()))
    say(sentences.ADMIN_RESUMED)
    return 0


@admin.command()
def cancel(job: Annotated[str, typer.Argument(help="The id of a request.")]) -> int:
    """Give up a request that waits or is being drawn; its pictures are given back."""
    cancelled = _at_desk(lambda _, desk: desk.cancel(JobId(job), by=_name()))
    say(sentences.admin_cancelled(cancelled.id))
    return 0


@admin.command()
def reports(
    *,
    close: Annotated[int | None, typer.Option(help="Close the report of this number.")] = None,
    remove: Annotated[
        int | None,
        typer.Option(help="Remove the pictures that this report is about, and close it."),
    ] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Show those that are closed.")] = False,
) -> int:
    """Show what people have reported, close a report, or remove its pictures for good."""
    if remove is not None:
        say(_at_desk(lambda _, desk: _removed(desk, remove)))
        return 0
    if close is not None:
        was_open = _at_desk(lambda _, desk: desk.close_report(close, by=_name()))
        say(sentences.admin_report_closed(close, was_open=was_open))
        return 0 if was_open else FAILED
    found = _at_desk(lambda _, desk: desk.reports(is_open=not closed))
    rows = [
        (
            each.id,
            sentences.moment(each.at),
            each.job_id,
            f"{each.owner.platform}/{each.owner.id}",
            each.reason,
        )
        for each in found
    ]
    show_table(("number", "when", "request", "drawn for", "reason"), rows, numbers=("number",))
    return 0


async def _removed(desk: Desk, id_: int) -> str:
    """Remove the pictures of a report, and say so.

    Raises:
        InvalidRuleError: There is no such report, or files stand in the way.
    """
    report = await desk.report(id_)
    if report is None:
        raise InvalidRuleError(sentences.admin_no_report(id_))
    try:
        count = await desk.remove_pictures(report, by=_name())
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidRuleError(sentences.admin_files_not_removed(reason)) from error
    return sentences.admin_pictures_removed(report.owner.platform, count)


@admin.command()
def audit(
    *, limit: Annotated[int, typer.Option(help="How many lines.", min=1, max=10_000)] = 50
) -> int:
    """Show what admins did, newest first."""
    entries = _at_desk(lambda _, desk: desk.audit(limit=limit))
    rows = [(sentences.moment(e.at), e.by, e.act, e.subject, e.detail) for e in entries]
    show_table(("when", "who", "act", "about", "detail"), rows)
    return 0


@admin.command()
def export(
    who: Who,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write, instead of stdout.")
    ] = None,
) -> int:
    """Write everything that is stored about somebody, as JSON. See docs/privacy.md."""
    person = _person(who)
    exported = _at_desk(lambda _, desk: desk.export(person, by=_name()))
    text = json.dumps(exported, indent=2, ensure_ascii=False)
    if output is None:
        out.print(text, markup=False)
        return 0
    output.write_text(f"{text}\n", "utf-8")
    say(sentences.admin_exported(str(output)))
    return 0


@admin.command()
def delete(
    who: Who, *, is_sure: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False
) -> int:
    """Delete what is stored about somebody; it cannot be undone. See docs/privacy.md."""
    person = _person(who)
    if not is_sure and not typer.confirm(sentences.admin_sure(who)):
        return FAILED
    count = _at_desk(lambda _, desk: desk.erase(person, by=_name()))
    say(sentences.admin_deleted(who, count))
    return 0


@admin.command()
def purge(
    *,
    days: Annotated[
        int | None, typer.Option(help="Instead of HISTORY_DAYS.", min=0, max=36_500)
    ] = None,
) -> int:
    """Forget now what was kept for HISTORY_DAYS; a running bot does it daily."""
    from bot import app as parts  # noqa: PLC0415 # as above

    settings = read_settings()
    kept_days = settings.history_days if days is None else days

    async def purge_old(store: Store, desk: Desk) -> int:
        now = utc_now()
        before = now - timedelta(days=kept_days) if kept_days or days is not None else None
        count = await store.purge(finished_before=before, now=now)
        if before is not None:
            await parts.keeper_of(settings).purge(before)
        await desk.note("purge", by=_name(), detail=f"{count} requests")
        return count

    say(sentences.admin_purged(_at_desk(purge_old)))
    return 0


def _at_desk(work: Callable[[Store, Desk], Awaitable[T]]) -> T:
    """Do something at the desk of the configured database."""
    from bot import app as parts  # noqa: PLC0415 # --help need not wait for every library

    settings = read_settings()

    async def run() -> T:
        async with parts.desk_beside(settings) as (store, desk):
            return await work(store, desk)

    return asyncio.run(run())


def _name() -> str:
    """Who acts, for the audit log."""
    from bot.terminal import user_name  # noqa: PLC0415 # as above

    return f"terminal:{user_name()}"


def _person(text: str) -> Person:
    """Read ``PLATFORM/ID``.

    Raises:
        InvalidRuleError: It is something else.
    """
    platform, _, id_ = text.partition("/")
    if platform not in [*Platform] or not id_:
        raise InvalidRuleError(sentences.admin_who_wrong(text, [*Platform]))
    return Person(platform=Platform(platform), id=id_)


def _changed(
    rules: CommunityRules, *, daily: int | None, jobs: int | None, paused: bool | None
) -> CommunityRules:
    """The rules with what was said; 0 takes a limit away."""
    if daily is not None:
        rules = replace(rules, daily_pictures=daily or None)
    if jobs is not None:
        rules = replace(rules, jobs_at_once=jobs or None)
    return rules if paused is None else replace(rules, is_paused=paused)


def _show_limits() -> int:
    from bot.limits import rules_of  # noqa: PLC0415 # as above

    async def look(_store: Store, desk: Desk) -> tuple[Any, Any]:
        return await desk.grants(), await desk.communities()

    grants, communities = _at_desk(look)
    numbers = ("pictures a day", "at once", "one back after", "requests")
    show_table(("limit of", *numbers), _limit_rows(rules_of(read_settings())), numbers=numbers)
    if communities:
        out.print()
        rows = [
            (f"{platform}/{of}", r.daily_pictures, r.jobs_at_once, "paused" if r.is_paused else "")
            for (platform, of), r in communities.items()
        ]
        show_table(("community", "pictures a day", "requests", ""), rows, numbers=numbers)
    if grants:
        out.print()
        rows = [(f"{each.platform}/{each.of}", each.scope, each.tier) for each in grants]
        show_table(("granted to", "a", "tier"), rows)
    return 0


def _limit_rows(rules: Rules) -> list[tuple[object, ...]]:
    rows = [
        ("a person", rules.person),
        ("a community", rules.community),
        ("the whole bot", rules.bot),
    ]
    for name, tier in rules.tiers.items():
        rows += [
            (f"a person with {name}", tier.person),
            (f"a community with {name}", tier.community),
        ]
    return [(name, *_limit_cells(limits_)) for name, limits_ in rows]


def _limit_cells(of: Limits) -> tuple[object, ...]:
    refill = f"{of.refill_s:g} s" if of.burst_count else None
    counts = (of.daily_count, of.burst_count, refill, of.jobs_count)
    return tuple("no limit" if cell is None else cell for cell in counts)


def _shares(span: Span) -> dict[str, float]:
    """Within how many seconds which share of requests was delivered."""
    times = span.durations_s
    if not times:
        return {}
    return {
        f"{share:.0%}": times[min(len(times) - 1, int(share * len(times)))]
        for share in SHOWN_SHARES
    }


def _loads_json(loads: Sequence[Load]) -> list[dict[str, Any]]:
    return [
        {
            "platform": load.platform,
            "state": load.state,
            "requests": load.job_count,
            "pictures": load.picture_count,
            "oldest_at": load.oldest_at.isoformat(),
        }
        for load in loads
    ]


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "people": span.people_count,
        "delivered_within_s": _shares(span),
        "requests": [
            {
                "platform": each.platform,
                "state": each.state,
                "error": each.error_label,
                "requests": each.job_count,
                "pictures": each.picture_count,
            }
            for each in span.tallies
        ],
    }
