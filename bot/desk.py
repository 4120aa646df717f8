"""What an admin may do, and what people may ask about themselves; every act is on record.

An admin is named by the adapter that knows them: ``"discord:1234"``, ``"page"``,
``"terminal"``. Who is an admin is for adapters to decide; nothing here asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.clock import utc_now
from bot.jobs import InvalidRuleError, NotCancellableError, Scope
from bot.store import UNLIMITED
from bot.store.house import (
    Act,
    AuditEntry,
    Block,
    CommunityRules,
    CommunityStats,
    Grant,
    Profile,
    Report,
    Strike,
    StrikeTally,
)
from bot.store.privacy import Eraser
from bot.store.rows import account_id

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from bot.clock import Clock
    from bot.jobs import Job, JobId, Json, Person, Platform, Revoker
    from bot.store import Store

__all__ = [
    "Act",
    "AuditEntry",
    "Block",
    "CommunityRules",
    "CommunityStats",
    "Desk",
    "Eraser",
    "Grant",
    "Profile",
    "Report",
    "Strike",
    "StrikeTally",
]


class Desk:
    """Rules, blocks, pauses, grants, reports, and what is kept about somebody.

    Every method may raise ``StoreError``: the database failed, and nothing was changed.

    Args:
        store: Where it is all kept.
        clock: Tells the present.
        tiers: The names of the tiers that the settings define.
        canceller: Gives up jobs that this process is carrying out; where there is none
            (a command beside the running bot) the store is told, and whoever carries the
            job out finds it cancelled.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock = utc_now,
        tiers: Collection[str] = (),
        canceller: Revoker | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._canceller = canceller
        self.tiers = frozenset(tiers)

    def on_erase(self, eraser: Eraser) -> None:
        """Let somebody who keeps files remove them before their jobs are erased."""
        self._store.privacy.on_erase(eraser)

    # ------------------------------------------------------------------- people's own choices

    async def profile(self, person: Person) -> Profile:
        """What somebody has chosen for their requests."""
        return await self._store.people.profile(person)

    async def set_profile(self, person: Person, profile: Profile) -> None:
        """Put these choices in place of those of somebody."""
        await self._store.people.set_profile(person, profile)

    # -------------------------------------------------------------------------- communities

    async def community(self, platform: Platform, community: str) -> CommunityRules:
        """The rules of a community; answered from memory."""
        return (await self._store.house.house(self._clock())).rules_of(platform, community)

    async def communities(self) -> Mapping[tuple[Platform, str], CommunityRules]:
        """All communities that have rules of their own."""
        return (await self._store.house.house(self._clock())).communities

    async def set_community(
        self, platform: Platform, community: str, rules: CommunityRules, *, by: str
    ) -> None:
        """Put these rules in place of those of a community.

        Raises:
            InvalidRuleError: A role is to get a tier that the settings do not define.
        """
        for tier in rules.role_tiers.values():
            self._require_tier(tier)
        await self._store.house.set_rules(platform, community, rules, by=by, now=self._clock())

    async def community_stats(
        self, platform: Platform, community: str, *, since: datetime
    ) -> CommunityStats:
        """What was asked for in a community since then."""
        return await self._store.archive.community_stats(platform, community, since=since)

    # ---------------------------------------------------------------------- blocks and tiers

    async def block(
        self, person: Person, *, community: str | None, until: datetime | None, reason: str, by: str
    ) -> None:
        """Accept nothing from somebody any more, here or (``None``) everywhere.

        An earlier block of the same place is replaced. What was accepted before is drawn.
        """
        await self._store.house.block(
            Block(
                person=person,
                community=community,
                until=until,
                reason=reason,
                by=by,
                at=self._clock(),
            )
        )

    async def unblock(self, person: Person, *, community: str | None, by: str) -> bool:
        """End a block; whether there was one."""
        now = self._clock()
        return await self._store.house.unblock(person, community=community, by=by, now=now)

    async def blocks(self, community: str | None = None) -> list[Block]:
        """The blocks that hold in a community, newest first; ``None`` are those everywhere."""
        return [block for block in await self.all_blocks() if block.community == community]

    async def all_blocks(self) -> list[Block]:
        """The blocks that hold anywhere, newest first."""
        now = self._clock()
        held = (await self._store.house.house(now)).blocks.values()
        return _newest_first(block for block in held if block.holds(now))

    async def grant(
        self, platform: Platform, scope: Scope, of: str, tier: str | None, *, by: str
    ) -> None:
        """Give a person or a community a tier that stays; ``None`` takes it away again.

        Raises:
            InvalidRuleError: The settings define no such tier.
        """
        if tier is not None and tier != UNLIMITED:
            self._require_tier(tier)
        grant = Grant(platform=platform, scope=scope, of=of, tier=tier)
        await self._store.house.grant(grant, by=by, now=self._clock())

    async def grants(self) -> list[Grant]:
        """The tiers that persons and communities have for good."""
        return await self._store.house.grants()

    # -------------------------------------------------------------------------- the whole bot

    async def pause(self, *, by: str) -> None:
        """Accept nothing from anybody. What was accepted before is still drawn."""
        await self._store.house.set_paused(True, by=by, now=self._clock())

    async def resume(self, *, by: str) -> None:
        """Accept requests again."""
        await self._store.house.set_paused(False, by=by, now=self._clock())

    async def is_paused(self) -> bool:
        """Whether the whole bot is paused."""
        return (await self._store.house.house(self._clock())).is_paused

    async def cancel(self, job_id: JobId, *, by: str) -> Job:
        """Give up anybody's job, and give the quota back.

        Raises:
            NotCancellableError: It is finished, being delivered or unknown.
            UnavailableError: The database failed.
        """
        job = await self._store.job(job_id)
        if job is None:
            raise NotCancellableError
        owner = job.submission.person
        cancelled = await self._cancel(job_id, owner)
        await self.note(Act.CANCEL, subject_of(owner), by=by, detail=f"job {job_id}")
        return cancelled

    # ------------------------------------------------------------- reports, strikes, the log

    async def reports(self, *, is_open: bool = True, community: str | None = None) -> list[Report]:
        """What people have reported, oldest first; only from a community if one is named."""
        return await self._store.people.reports(is_open=is_open, community=community)

    async def close_report(self, id_: int, *, by: str) -> bool:
        """Note that an admin has seen to a report; whether it was open."""
        return await self._store.people.close_report(id_, by=by, now=self._clock())

    async def report(self, id_: int) -> Report | None:
        """The report of that id, open or closed, while it is kept."""
        return await self._store.people.report_of(id_)

    async def remove_pictures(self, report: Report, *, by: str) -> int:
        """Remove the pictures that a report is about, and close all reports about them.

        They can no longer be shown, enlarged or varied; what was posted on a platform stays
        there. How many are gone.

        Raises:
            OSError: Files of theirs could not be removed; nothing else was.
        """
        return await self._store.privacy.remove_pictures(
            report.owner, report.job_id, by=by, now=self._clock()
        )

    async def struck_people(self, *, limit: int = 50) -> list[StrikeTally]:
        """Those with strikes, whoever was struck last first."""
        return await self._store.people.struck_people(limit=limit)

    async def strikes(self, person: Person | None = None, *, limit: int = 100) -> list[Strike]:
        """The newest refusals for words, newest first; of everybody, or of somebody."""
        return await self._store.people.strikes(person, limit=limit)

    async def audit(self, *, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """The newest acts of admins, newest first; or those before the one of that id."""
        return await self._store.house.audit(limit=limit, before=before)

    async def note(self, act: str, subject: str = "bot", *, by: str, detail: str = "") -> None:
        """Write down an act that is done elsewhere."""
        entry = AuditEntry(act=act, subject=subject, by=by, at=self._clock(), detail=detail)
        await self._store.house.note(entry)

    # ------------------------------------------------------------------------------- privacy

    async def export(self, person: Person, *, by: str | None = None) -> dict[str, Json]:
        """Everything that is stored about somebody, of all tables.

        Args:
            person: Whom it is about.
            by: The admin who asks; ``None`` is the person, who need not be put on record.
        """
        exported = await self._store.privacy.export(person)
        if by is not None:
            await self.note(Act.EXPORT, subject_of(person), by=by)
        return exported

    async def erase(self, person: Person, *, by: str) -> int:
        """Remove what is stored about somebody, as far as ``bot.store.privacy`` says.

        Jobs that wait or are drawn are cancelled first. What is being delivered just then
        goes when that is over, at the latest with the next daily purge.

        Returns:
            How many jobs are gone.
        """
        for job in await self._store.archive.open_jobs(person):
            try:
                await self._cancel(job.id, person)
            except NotCancellableError:
                continue  # it is on its way to the person
        return await self._store.privacy.erase(person, by=by, now=self._clock())

    async def _cancel(self, job_id: JobId, person: Person) -> Job:
        if self._canceller is not None:
            return await self._canceller.revoke(job_id, person)
        job = await self._store.cancel(job_id, person, now=self._clock())
        if job is None:
            raise NotCancellableError
        return job

    def _require_tier(self, tier: str) -> None:
        if tier not in self.tiers:
            known = ", ".join(sorted(self.tiers)) or "none; TIERS in .env defines them"
            raise InvalidRuleError(f"There is no tier {tier}. Tiers are: {known}.")


def subject_of(person: Person) -> str:
    """How the audit log names somebody: ``"person/discord/1234"``."""
    return account_id(Scope.PERSON, person.platform, person.id)


def _newest_first(blocks: Iterable[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: block.at, reverse=True)
