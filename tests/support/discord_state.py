"""What our Discord knows: its clock, people's interactions, messages, channels and rules broken.

The token of an interaction is a small machine: fresh, then (within three seconds)
acknowledged, then dead after fifteen minutes. Everything else here is plain memory.

Source: Discord API documentation v10, "Receiving and Responding", "Message".
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.discord_scene import (
    ACK_WITHIN_S,
    ALL_PERMISSIONS,
    APPLICATION_ID,
    DISCORD_EPOCH_MS,
    DM_CHANNEL_ID,
    EPHEMERAL,
    FILE_LIMIT_BYTES,
    FOREIGN_CHANNEL_ID,
    MEDIA_GALLERY,
    PRIVATE_CHANNEL_ID,
    TEXT_DISPLAY,
    TOKEN,
    VIEW_CHANNEL,
    Files,
    Json,
    Scene,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(kw_only=True)
class Exchange:
    """One request and the status it got; ``at_s`` on the loop's clock."""

    method: str
    path: str
    at_s: float
    payload: Json = None
    files: Files = field(default_factory=dict[int, tuple[str, bytes]])
    status: int | None = None

    @property
    def filenames(self) -> Sequence[str]:
        return tuple(name for name, _ in self.files.values())


@dataclass(kw_only=True)
class Attachment:
    id: str
    filename: str
    description: str | None
    data: bytes
    url: str = ""

    @property
    def uri(self) -> str:
        return f"attachment://{self.filename}"


@dataclass(kw_only=True)
class Message:
    """A message as it stands now. ``seen`` holds the text of each of its states so far.

    ``scene`` says where it is and who made the bot write it; ``author_id`` who wrote it;
    ``asked_by`` which interaction it answers.
    """

    id: str
    channel_id: str
    sent_at: datetime
    scene: Scene = field(default_factory=Scene)
    author_id: str = APPLICATION_ID
    flags: int = 0
    content: str = ""
    components: list[Json] = field(default_factory=list[Any])
    embeds: list[Json] = field(default_factory=list[Any])
    attachments: list[Attachment] = field(default_factory=list[Attachment])
    asked_by: Interaction | None = None
    allowed_mentions: Json = None
    nonce: str | None = None
    reference: Json = None
    seen: list[str] = field(default_factory=list[str])
    edited_at_s: list[float] = field(default_factory=list[float])
    is_deleted: bool = False

    @property
    def is_ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def text(self) -> str:
        """Content, or all text displays, one after the other."""
        displays = (c["content"] for c in walk(self.components) if c["type"] == TEXT_DISPLAY)
        return "\n".join([*([self.content] if self.content else []), *displays])

    @property
    def gallery(self) -> list[tuple[str, bytes]]:
        """Alt text and bytes of each picture shown, in order."""
        return [
            (item.get("description") or "", self._uploaded(item["media"]["url"]))
            for item in self.gallery_items
        ]

    @property
    def gallery_items(self) -> list[Json]:
        """The items of all galleries, as they were sent."""
        return [
            item
            for component in walk(self.components)
            if component["type"] == MEDIA_GALLERY
            for item in component["items"]
        ]

    @property
    def shows_result(self) -> bool:
        """Whether it shows pictures, and no preview, which has a button to cancel."""
        ids = [part["custom_id"] for part in self.buttons.values() if "custom_id" in part]
        return bool(self.gallery_items) and not any(each.startswith("im:cancel") for each in ids)

    @property
    def buttons(self) -> dict[str, Json]:
        """All buttons by their labels, or by the name of their emoji."""
        return {name_of(part): part for part in walk(self.components) if part["type"] == 2}

    def _uploaded(self, uri: str) -> bytes:
        return next(a.data for a in self.attachments if uri in (a.uri, a.url))


@dataclass(eq=False, kw_only=True)
class Interaction:
    """Somebody's use of the bot, and what the bot made of it.

    Attributes:
        source: The message whose component was used.
        answer_type: Of the bot's first answer, by Discord's numbers.
        message: What ``@original`` means; of a component that was only acknowledged, ``source``.
        followups: What the bot wrote besides.
        modal: The dialog that it opened.
        choices: What it suggested.
    """

    world: World
    scene: Scene
    payload: Json
    sent_at: datetime
    source: Message | None = None
    ack_after_s: float | None = None
    answer_type: int | None = None
    message: Message | None = None
    followups: list[Message] = field(default_factory=list[Message])
    modal: Json = None
    choices: list[Json] | None = None
    is_known_dead: bool = False

    @property
    def id(self) -> str:
        return self.payload["id"]

    @property
    def token(self) -> str:
        return self.payload["token"]

    async def message_when(
        self, predicate: Callable[[Message], bool], timeout_s: float = 10.0
    ) -> Message:
        """Wait until the bot's answer satisfies ``predicate`` and return it."""
        await self.world.until(
            lambda: self.message is not None and predicate(self.message),
            timeout_s,
            lambda: f"the answer is {self.message and self.message.text!r}",
        )
        assert self.message is not None
        return self.message

    async def pictures(self, timeout_s: float = 10.0) -> Message:
        """Wait until the answer shows pictures that can no longer be cancelled."""
        return await self.message_when(lambda message: message.shows_result, timeout_s)

    async def said(self, timeout_s: float = 10.0) -> Message:
        """Wait until the answer says anything at all and return it."""
        return await self.message_when(lambda message: bool(message.text), timeout_s)

    async def followup_when(self, count: int = 1, timeout_s: float = 10.0) -> Message:
        """Wait for the ``count``-th follow-up and return it."""
        await self.world.until(
            lambda: len(self.followups) >= count,
            timeout_s,
            lambda: f"{len(self.followups)} follow-ups",
        )
        return self.followups[count - 1]


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}

    @property
    def code(self) -> int:
        return self.body["code"]  # pyright: ignore[reportReturnType] # put in above


class World:
    """The memory of our Discord. REST, gateway and the people of the tests share it.

    Attributes:
        violations: Rules of Discord that the bot broke, a sentence each.
        forbidden_channels: Where the bot may not post, though it is told that it may.
        channel_permissions: What it may do in a channel, and is told, if not all it needs.
        closed_dms: People who do not let the bot write to them.
        posts: Messages that the bot sent by itself, oldest first.
        old_edits_allowed: Edits of a message older than an hour before Discord refuses more;
            the real number is not documented.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.base_url = ""
        self.journal: list[Exchange] = []
        self.commands: list[Json] = []
        self.guild_commands: dict[str, list[Json]] = {}
        self.sync_count = 0
        self.command_creates_count = 0
        self.interactions: dict[str, Interaction] = {}
        self.messages: dict[str, Message] = {}
        self.posts: list[Message] = []
        self.uploads: dict[str, Attachment] = {}
        self.forbidden_channels: set[str] = set()
        self.channel_permissions: dict[str, int] = {}
        self.dm_channels = {"42": DM_CHANNEL_ID}
        self.closed_dms: set[str] = set()
        self.file_limit_bytes = FILE_LIMIT_BYTES
        self.old_edits_allowed = 3
        self._old_edits: Counter[str] = Counter()
        self._blamed: list[str] = []
        self._clock_offset = timedelta()
        self._begin: tuple[datetime, float] | None = None
        self._ids = itertools.count(1)
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    # ------------------------------------------------------------------ clock and ids

    def now(self) -> datetime:
        """The present on this Discord: it runs with the loop's clock, which never jumps."""
        loop_s = asyncio.get_running_loop().time()
        if self._begin is None:
            self._begin = datetime.now(UTC), loop_s
        begin, begin_s = self._begin
        return begin + timedelta(seconds=loop_s - begin_s) + self._clock_offset

    def advance(self, **duration: float) -> None:
        """Move Discord's clock forward, as in ``advance(minutes=16)``."""
        self._clock_offset += timedelta(**duration)

    def snowflake(self, moment: datetime | None = None) -> str:
        """A new id of this moment."""
        milliseconds = int((moment or self.now()).timestamp() * 1000) - DISCORD_EPOCH_MS
        return str((milliseconds << 22) | next(self._ids))

    # -------------------------------------------------------------------- news and blame

    def tell(self) -> None:
        """Let whoever waits for something look whether it has happened."""
        for condition, found in self._waiting:
            if not found.done() and condition():
                found.set_result(None)

    async def until(
        self, condition: Callable[[], bool], timeout_s: float, describe: Callable[[], str]
    ) -> None:
        """Wait until ``condition`` holds; it is looked at whenever something happens here."""
        if condition():
            return
        waiting = condition, asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                await waiting[1]
        except TimeoutError:
            raise AssertionError(f"waited {timeout_s} s in vain: {describe()}") from None
        finally:
            self._waiting.remove(waiting)

    def blame(self, violation: str) -> None:
        self._blamed.append(violation)

    @property
    def violations(self) -> list[str]:
        """Everything that a good bot never does, and interactions left without an answer."""
        late = [
            f"interaction {i.id} was not acknowledged"
            for i in self.interactions.values()
            if i.ack_after_s is None and self.now() - i.sent_at > timedelta(seconds=ACK_WITHIN_S)
        ]
        return self._blamed + late

    def forgive(self) -> None:
        """Forget what was broken so far, where a test breaks it on purpose."""
        self._blamed.clear()
        for token in [t for t, i in self.interactions.items() if i.ack_after_s is None]:
            del self.interactions[token]

    @property
    def refused_count(self) -> int:
        """Answers that count towards Discord's ban (10,000 in ten minutes)."""
        return sum(exchange.status in {401, 403, 429} for exchange in self.journal)

    # ----------------------------------------------------------------------- messages

    def new_message(self, channel_id: str, scene: Scene, flags: int = 0) -> Message:
        message = Message(
            id=self.snowflake(), channel_id=channel_id, scene=scene, sent_at=self.now(), flags=flags
        )
        self.messages[message.id] = message
        return message

    def upload(
        self, channel_id: str, filename: str, data: bytes, description: str | None
    ) -> Attachment:
        """Put a file on the CDN, where it stays."""
        number = self.snowflake()
        url = f"{self.base_url}/attachments/{channel_id}/{number}/{filename}"
        uploaded = Attachment(
            id=number, filename=filename, description=description, data=data, url=url
        )
        self.uploads[number] = uploaded
        return uploaded

    def count_edit_of(self, message: Message) -> None:
        """Refuse too many edits of a message older than an hour."""
        if self.now() - message.sent_at < timedelta(hours=1):
            return
        self._old_edits[message.id] += 1
        if self._old_edits[message.id] > self.old_edits_allowed:
            raise ApiError(429, 30046, "Maximum number of edits to messages older than 1 hour")

    def permissions_in(self, channel_id: str) -> int:
        """What the bot may do in a channel."""
        if channel_id in {FOREIGN_CHANNEL_ID, PRIVATE_CHANNEL_ID}:
            return 0
        if channel_id in self.forbidden_channels:
            return VIEW_CHANNEL
        return self.channel_permissions.get(channel_id, ALL_PERMISSIONS)

    def dm_channel_of(self, user_id: str) -> str:
        return self.dm_channels.setdefault(user_id, self.snowflake())

    def dm_partner(self, channel_id: str) -> str | None:
        return next((u for u, c in self.dm_channels.items() if c == channel_id), None)


def walk(components: Sequence[Json]) -> list[Json]:
    """All components, each before those inside it."""
    found: list[Json] = []
    for component in components:
        inner = [*component.get("components", ())]
        inner += [component[key] for key in ("accessory", "component") if component.get(key)]
        found += [component, *walk(inner)]
    return found


def name_of(component: Json) -> str:
    """What a person would call a component: its label, else its emoji, else its id."""
    emoji: dict[str, Json] = component.get("emoji") or {}
    return component.get("label") or emoji.get("name") or component.get("custom_id", "")
