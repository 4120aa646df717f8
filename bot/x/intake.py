"""Looks at stored mentions and decides what each of them gets.

A mention becomes a job of the service (pictures), a sentence (a refusal, help), a control
word that is obeyed, or nothing. Only as many are worked on at once as ``max_under_way``
says; the rest wait in the store, and authors take turns: one who asks twenty times does not
hold up one who asks once.

A sentence is said at most once a day to each author, whatever the reasons: more would be
spam by X's rules. Nobody is told that the bot is busy: the mention goes back into the line.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from bot import sentences
from bot.jobs import (
    ClosingError,
    DuplicateEventError,
    JobState,
    ModeratedError,
    Person,
    Platform,
    RefusedError,
    Submission,
    UnavailableError,
)
from bot.store import StoreError
from bot.store.x_states import IN_DOUBT, MentionState
from bot.x.ids import moment_of
from bot.x.mentions import Control
from engine.api import DrawRequest, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bot.jobs import Job, Submitter
    from bot.store.x_records import XRecords
    from bot.store.x_states import MentionRecord
    from bot.x.config import XConfig

# Reasons to leave mentions where they are: a later look finds them again.
NOT_NOW = (ClosingError, UnavailableError)
# A mention that a mistake of ours stumbles over is looked at so often.
MAX_LOOKS = 3
STUMBLE_PAUSE = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class Intake:
    """Takes mentions out of the store.

    Args:
        config: Limits.
        records: Where each mention stands.
        service: Takes the submissions.
        say: Called with a mention that a sentence is to be posted for.
        erase: Called with a mention that wants a reply of ours deleted.
        clock: Gives the present (aware, UTC).
    """

    def __init__(
        self,
        *,
        config: XConfig,
        records: XRecords,
        service: Submitter,
        say: Callable[[int], None],
        erase: Callable[[int], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._records = records
        self._service = service
        self._say = say
        self._erase = erase
        self._clock = clock
        self._look_counts: dict[int, int] = {}

    async def resume(self) -> None:
        """Carry on with what was under way when the process ended.

        Pictures come from the service, which resumes its jobs by itself; of a job that had
        just failed, only the sentence is left.
        """
        under_way = [MentionState.DRAWING, MentionState.SAYING, MentionState.ERASING, *IN_DOUBT]
        for mention in await self._records.mentions.in_states(under_way):
            await self._take(mention, self._resume)

    async def _resume(self, mention: MentionRecord) -> None:
        if mention.state is MentionState.ERASING:
            self._erase(mention.root_id)
        elif mention.sentence is not None:
            self._say(mention.root_id)
        else:
            await self._hand_over(mention)

    async def take_up(self) -> None:
        """Look at mentions as long as there are some and there is room.

        Raises:
            Exception: One of ``NOT_NOW``; the mentions stay where they are.
        """
        max_under_way = self._config.max_under_way
        while mentions := await self._records.mentions.next_seen(max_under_way, now=self._clock()):
            for mention in mentions:
                await self._take(mention, self._decide)

    async def _take(
        self, mention: MentionRecord, look: Callable[[MentionRecord], Awaitable[None]]
    ) -> None:
        try:
            await look(mention)
        except (*NOT_NOW, StoreError):
            raise
        except Exception:  # noqa: BLE001 (one mention: the others must not wait for it)
            await self._stumbled(mention)

    async def _stumbled(self, mention: MentionRecord) -> None:
        """Look again in a minute, but not for ever: the others must not wait for it."""
        root_id = mention.root_id
        count = self._look_counts[root_id] = 1 + self._look_counts.get(root_id, 0)
        _log.exception("x mention failed root_id=%d look=%d", root_id, count)
        if count < MAX_LOOKS:
            now = self._clock()
            await self._records.mentions.send_back(root_id, not_before=now + STUMBLE_PAUSE, now=now)
        else:
            await self._end(mention, MentionState.DEAD, "mistake")

    async def _decide(self, mention: MentionRecord) -> None:
        if await self._obeyed(mention) or await self._ignored(mention):
            return
        await self._records.mentions.begin_drawing(mention.root_id, now=self._clock())
        await self._hand_over(mention)

    # --- control words

    async def _obeyed(self, mention: MentionRecord) -> bool:
        """Do what a mention says that is nothing but a control word."""
        now, root_id, author_id = self._clock(), mention.root_id, mention.author_id
        match mention.command:
            case Control.STOP:
                await self._records.people.opt_out(root_id, author_id, now=now)
            case Control.START:
                await self._records.people.opt_in(root_id, author_id, now=now)
            case Control.DELETE:
                await self._delete(mention)
            case Control.HELP if not await self._records.people.is_opted_out(author_id):
                await self._tell(mention, sentences.X_HELP)
            case _:
                return False
        _log.info("x control word obeyed root_id=%d word=%s", root_id, mention.command)
        return True

    async def _delete(self, mention: MentionRecord) -> None:
        erase_id = await self._records.mentions.answer_to_erase(
            mention.author_id, mention.answers_id
        )
        if erase_id is None:
            await self._end(mention, MentionState.DONE, "nothing_to_delete")
            return
        await self._records.mentions.decide(
            mention.root_id, MentionState.ERASING, now=self._clock(), erase_id=erase_id
        )
        self._erase(mention.root_id)

    # --- what is not answered

    async def _ignored(self, mention: MentionRecord) -> bool:
        if await self._records.people.is_opted_out(mention.author_id):
            await self._end(mention, MentionState.OPTED_OUT, None)
        elif await self._records.people.is_blocked(mention.author_id, now=self._clock()):
            await self._end(mention, MentionState.IGNORED, "blocked")
        elif self._is_too_old(mention):
            await self._end(mention, MentionState.IGNORED, "too_old")
        elif await self._is_over_cap(mention):
            await self._end(mention, MentionState.IGNORED, "conversation_cap")
        else:
            return False
        return True

    def _is_too_old(self, mention: MentionRecord) -> bool:
        age = self._clock() - moment_of(mention.root_id)
        return age > timedelta(seconds=self._config.give_up_after_s)

    async def _is_over_cap(self, mention: MentionRecord) -> bool:
        """Whether this conversation has had its answers; the mention itself is counted."""
        count = await self._records.mentions.count_in_conversation(mention)
        return count > self._config.answers_per_conversation

    async def _end(self, mention: MentionRecord, to: MentionState, reason: str | None) -> None:
        _log.info("x mention over root_id=%d state=%s reason=%s", mention.root_id, to, reason)
        await self._records.mentions.decide(mention.root_id, to, now=self._clock(), reason=reason)

    # --- what is answered

    async def _hand_over(self, mention: MentionRecord) -> None:
        """Hand a mention to the service; doing it twice is harmless."""
        try:
            await self._service.submit(await self._submission(mention))
        except DuplicateEventError as error:
            await self._known(mention, error.job)
        except NOT_NOW:
            raise
        except ModeratedError as error:
            await self._moderated(mention, error)
        except (RefusedError, InvalidRequestError) as error:
            await self._tell(mention, self.explain(error))

    async def _moderated(self, mention: MentionRecord, error: ModeratedError) -> None:
        """Say why nothing is drawn, but let what asks for harm go without an answer.

        A reply would show it to more people, and its author is not looking for a reason.
        """
        if error.is_grave:
            await self._end(mention, MentionState.IGNORED, "moderated")
        else:
            await self._tell(mention, self.explain(error))

    async def _known(self, mention: MentionRecord, job: Job) -> None:
        """Bring a mention to where its job is: a process ended between the two."""
        if job.state is JobState.DELIVERED:
            await self._end(mention, MentionState.SENT, "answered_before")
        elif job.state is JobState.FAILED:
            sentence = self.explain(RuntimeError())
            await self._records.mentions.say(mention.root_id, sentence, now=self._clock())
            self._say(mention.root_id)

    async def _submission(self, mention: MentionRecord) -> Submission:
        person = Person(platform=Platform.X, id=mention.author_id)
        turn = f"~{mention.round_count}" if mention.round_count else ""
        return Submission(
            person=person,
            event_id=f"{mention.root_id}{turn}",
            request=DrawRequest(
                prompt=mention.prompt, picture_count=await self._picture_count(person)
            ),
            address={
                "mention_id": str(mention.latest_id),
                "root_id": str(mention.root_id),
                "author_id": mention.author_id,
            },
        )

    async def _picture_count(self, person: Person) -> int:
        """Nobody can name a number in a mention, so the last of a day get what is left."""
        wanted = self._config.picture_count
        left = await self._service.allowance_left(person)
        return min(wanted, left) if left else wanted

    async def _tell(self, mention: MentionRecord, sentence: str) -> None:
        is_said = await self._records.people.say_once_a_day(
            mention.root_id, mention.author_id, sentence, now=self._clock()
        )
        if is_said:
            self._say(mention.root_id)

    def explain(self, error: Exception) -> str:
        """Put into words, in a way that stays true, why there are no pictures."""
        return sentences.explain(error, self._clock(), when=sentences.x_moment)
