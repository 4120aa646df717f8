"""One reply to one post, exactly once in effect.

``POST /2/tweets`` has no key that would make a repetition harmless, and a lost answer
(connection reset, time-out, cut-off body, 5xx) says nothing about whether the reply is
out. So after each such end, and after a restart in the middle, the account's own posts are
searched before anything is posted again: at once and after 20, 80 and 380 seconds, because
X may show a new post late. A look that fails is repeated; it never counts as "not there".

What remains: a reply that X shows later than the last look is posted twice.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.jobs import DeliveryError, UndeliverableError
from bot.x.api import DeclinedError, UnknownOutcomeError
from bot.x.mentions import reply_target_ids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bot.x.api import Post, XApi
    from bot.x.pauses import Pause

_ATTEMPT_COUNT = 3

# What would cost twenty times the price, name somebody else or be refused by X, at sign
# and hash also in their wide forms.
_UNWELCOME = re.compile(r"https?://\S+|[@#$\uff20\uff03]")
# X counts 280; most letters count 1, CJK and emoji 2.
_MAX_TEXT_CHARS = 240

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """The grid of pictures, and its words for people who cannot see it."""

    png: bytes
    alt_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is to be said, once.

    Attributes:
        to_id: The post to reply to.
        root_id: The first version of that post, as ``Mention.root_id``.
        sentence: A sentence of ours; never the words of the person.
        expires_at: From then on it is not worth posting any more (aware, UTC).
        attachment: The pictures, if there are any.
    """

    to_id: str
    root_id: str
    sentence: str
    expires_at: datetime
    attachment: Attachment | None = None

    @property
    def ref(self) -> str:
        """What makes the text unlike every other reply and finds it again."""
        return f"(ref {hashlib.sha256(self.root_id.encode()).hexdigest()[:8]})"

    @property
    def text(self) -> str:
        """The text to post: the same in every attempt."""
        tame = _UNWELCOME.sub("", self.sentence)
        short = tame if len(tame) <= _MAX_TEXT_CHARS else f"{tame[: _MAX_TEXT_CHARS - 1]}…"
        return f"{short} {self.ref}"

    def is_out_as(self, post: Post) -> bool:
        """Say whether ``post``, one of our own, is this reply."""
        is_answer = not reply_target_ids(post).isdisjoint({self.to_id, self.root_id})
        return is_answer or self.ref in str(post.get("text"))


class Poster:
    """Posts replies, one attempt at a time and never a second one on suspicion.

    Args:
        api: The port to X.
        account_id: Whose posts are searched.
        posting: Holds back uploads and posts.
        looking: Holds back searches of own posts.
        look_delays_s: Pauses before each look; see the module.
        clock: Gives the present (aware, UTC).
        sleep: ``asyncio.sleep``, or a test's.
    """

    def __init__(
        self,
        api: XApi,
        *,
        account_id: str,
        posting: Pause,
        looking: Pause,
        look_delays_s: tuple[float, ...],
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._api = api
        self._account_id = account_id
        self._posting = posting
        self._looking = looking
        self._look_delays_s = look_delays_s
        self._clock = clock
        self._sleep = sleep

    async def post_once(self, reply: Reply, *, may_be_out: bool) -> None:
        """Return when ``reply`` is out; wait as long as X asks for it.

        Args:
            reply: What to say.
            may_be_out: An earlier attempt was begun and its end is not known.

        Raises:
            UndeliverableError: X will never take it, or it has expired.
            DeliveryError: Whether it is out could not be found out.
        """
        try:
            await self._post_once(reply, may_be_out=may_be_out)
        except DeclinedError as error:
            _log.info("x reply declined root_id=%s reason=%s", reply.root_id, error.reason)
            raise UndeliverableError(str(error)) from error

    async def _post_once(self, reply: Reply, *, may_be_out: bool) -> None:
        for _ in range(_ATTEMPT_COUNT):
            if may_be_out and await self._shows_up(reply):
                return
            try:
                await self._posting.call(lambda: self._post(reply))
            except UnknownOutcomeError as error:
                _log.warning("x reply in doubt root_id=%s reason=%s", reply.root_id, error)
                may_be_out = True
            else:
                return
        if not await self._shows_up(reply):
            raise DeliveryError(f"{_ATTEMPT_COUNT} attempts ended without an answer")

    async def _post(self, reply: Reply) -> None:
        """Upload and post. A pause in the middle repeats the upload, which is free."""
        if self._clock() >= reply.expires_at:
            raise UndeliverableError("the answer has become too old")
        media_id = await self._upload(reply.attachment)
        await self._api.reply(reply.text, to_id=reply.to_id, media_id=media_id)

    async def _upload(self, attachment: Attachment | None) -> str | None:
        if attachment is None:
            return None
        media_id = await self._api.upload_picture(attachment.png)
        try:
            await self._api.describe_picture(media_id, attachment.alt_text)
        except DeclinedError as error:  # a picture without words is better than none
            _log.warning("x alt text declined reason=%s", error)
        return media_id

    async def _shows_up(self, reply: Reply) -> bool:
        for delay_s in self._look_delays_s:
            await self._sleep(delay_s)
            if await self._looking.call(lambda: self._is_out(reply)):
                return True
        return False

    async def _is_out(self, reply: Reply) -> bool:
        """Look once through all own posts younger than the mention."""
        token: str | None = None
        seen_ids: set[str] = set()
        while True:
            page = await self._api.own_posts(
                self._account_id, since_id=reply.root_id, page_token=token
            )
            if any(map(reply.is_out_as, page.posts)):
                return True
            ids = {str(post.get("id")) for post in page.posts}
            token = page.next_token
            if token is None or ids <= seen_ids:  # X was seen to repeat a token for ever
                return False
            seen_ids |= ids
