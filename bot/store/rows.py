"""Jobs and accounts as rows of their tables, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NewType

from bot.jobs import Job, JobId, JobState, Person, Platform, Scope, Submission
from bot.store.lines import Line
from bot.store.quotas import Account, day_of, new_account
from engine.api import DrawRequest, SamplingOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Row

AccountId = NewType("AccountId", str)

BOT_ACCOUNT: Final = AccountId("bot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A row of ``accounts``: who has used how much, with which tier, and their line.

    Attributes:
        id: See ``account_id``.
        platform: Whose people it is; "" for the whole bot.
    """

    id: AccountId
    platform: str
    account: Account
    line: Line = field(default_factory=Line)
    tier: str | None = None


def account_id(scope: Scope, platform: Platform, of: str) -> AccountId:
    """The account of a person or a community of a platform."""
    return AccountId(f"{scope}/{platform}/{of}")


def accounts_of(person: Person, community: str | None) -> Mapping[Scope, AccountId]:
    """The accounts that pay for what somebody asks for in a community, or alone."""
    ids = {
        Scope.PERSON: account_id(Scope.PERSON, person.platform, person.id),
        Scope.BOT: BOT_ACCOUNT,
    }
    if community is not None:
        ids[Scope.COMMUNITY] = account_id(Scope.COMMUNITY, person.platform, community)
    return ids


def line_of(person: Person, community: str | None) -> AccountId:
    """The account in whose line the jobs of somebody wait."""
    ids = accounts_of(person, community)
    return ids.get(Scope.COMMUNITY, ids[Scope.PERSON])


def new_holder(id_: AccountId, platform: str, now: datetime) -> Holder:
    """A row of somebody who never asked before."""
    return Holder(id=id_, platform=platform, account=new_account(now))


def holder_of(row: Row[Any]) -> Holder:
    """What a row of ``accounts`` holds."""
    return Holder(
        id=AccountId(row.id),
        platform=row.platform,
        tier=row.tier,
        account=Account(
            day=row.day,
            burst_at=row.burst_at,
            used_count=row.used_count,
            burst_count=row.burst_count,
            open_count=row.open_count,
            open_picture_count=row.open_picture_count,
        ),
        line=Line(waiting_count=row.waiting_count, due=row.due, reached=row.reached),
    )


def holder_values(holder: Holder) -> dict[str, Any]:
    """The columns of a row of ``accounts``."""
    account, line = holder.account, holder.line
    return {
        "id": holder.id,
        "platform": holder.platform,
        "tier": holder.tier,
        "day": account.day,
        "used_count": account.used_count,
        "burst_count": account.burst_count,
        "burst_at": account.burst_at,
        "open_count": account.open_count,
        "open_picture_count": account.open_picture_count,
        "waiting_count": line.waiting_count,
        "due": line.due,
        "reached": line.reached,
    }


def values_of(job: Job, *, worker: str | None, turn: int) -> dict[str, Any]:
    """The columns of a new job."""
    submission, request = job.submission, job.submission.request
    return {
        "id": job.id,
        "platform": submission.person.platform,
        "event_id": submission.event_id,
        "person_id": submission.person.id,
        "prompt": request.prompt,
        "picture_count": request.picture_count,
        "seed": request.seed,
        "options": asdict(request.options),
        "keep": list(request.keep),
        "preview": request.preview,
        "strict": request.strict,
        "address": dict(submission.address),
        "state": job.state,
        "attempt_count": job.attempt_count,
        "quota_day": day_of(job.accepted_at),
        "accepted_at": job.accepted_at,
        "community": submission.community,
        "held_count": request.picture_count,
        "begun_count": 0,
        "worker": worker,
        "line": line_of(submission.person, submission.community),
        "turn": turn,
        "channel": submission.channel,
        "origin": submission.origin,
        "is_soft": submission.is_soft,
        "strict": request.strict,
    }


def job_of(row: Row[Any]) -> Job:
    """The job that a row of ``jobs`` holds."""
    return Job(
        id=JobId(row.id),
        submission=Submission(
            person=Person(platform=Platform(row.platform), id=row.person_id),
            event_id=row.event_id,
            request=DrawRequest(
                prompt=row.prompt,
                picture_count=row.picture_count,
                seed=row.seed,
                options=SamplingOptions(**row.options),
                keep=tuple(row.keep),
                preview=row.preview,
                strict=row.strict,
            ),
            address=row.address,
            community=row.community,
            channel=row.channel,
            origin=row.origin,
            is_soft=row.is_soft,
        ),
        state=JobState(row.state),
        attempt_count=row.attempt_count,
        accepted_at=row.accepted_at,
        begun_count=row.begun_count,
    )
