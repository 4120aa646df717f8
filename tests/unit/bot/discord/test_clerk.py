from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import app_commands

from bot.desk import CommunityRules, Profile
from bot.discord.commands.clerk import Clerk, suggested
from bot.discord.guests import guest_of, stranger_of
from bot.discord.intake import Answer, Unheard, submission_of
from bot.jobs import BlockedError, JobId, PlaceRefusedError
from bot.store import StoreError
from engine.api import DrawRequest
from tests.support.clock import Clock

if TYPE_CHECKING:
    from bot.discord.commands.clerk import Call

NO: Any = None


class ADesk:
    """Knows one profile and the rules of one server, or fails."""

    def __init__(self, profile: Profile | None = None, rules: CommunityRules | None = None) -> None:
        self.given = profile or Profile()
        self.rules = rules or CommunityRules()
        self.error: Exception | None = None

    async def profile(self, _person: object) -> Profile:
        if self.error is not None:
            raise self.error
        return self.given

    async def community(self, _platform: object, _community: str) -> CommunityRules:
        return self.rules


class AnInteraction:
    """What the clerk sees of an interaction; ``said`` is what the person reads last."""

    def __init__(self, *, locale: str = "en-GB", guild_id: int | None = 8) -> None:
        self.id, self.token, self.application_id = 1, "secret", 9
        self.user: Any = SimpleNamespace(id=42)
        self.locale = locale
        self.guild_id, self.channel_id, self.channel = guild_id, 7, None
        self.filesize_limit = 1_000
        self.expires_at = Clock()()
        self.context = app_commands.AppCommandContext(guild=True)
        self.response = self
        self.client = SimpleNamespace(heard=Unheard())
        self.extras: dict[str, Any] = {}
        self.deferred: list[dict[str, Any]] = []
        self.said = ""

    async def defer(self, **how: Any) -> None:
        self.deferred.append(how)

    async def edit_original_response(self, *, view: discord.ui.LayoutView, **_: Any) -> None:
        texts = [item for item in view.walk_children() if isinstance(item, discord.ui.TextDisplay)]
        self.said = "\n".join(text.content for text in texts)

    def is_guild_integration(self) -> bool:
        return False


def clerk_with(desk: Any) -> Clerk:
    return Clerk(service=NO, studio=NO, desk=desk, delivery=NO, clock=Clock())


def failing(error: Exception) -> Any:
    async def work(_call: Call) -> None:
        raise error

    return work


async def test_the_sign_of_life_comes_before_the_store_is_asked() -> None:
    interaction: Any = AnInteraction()
    desk = ADesk()
    desk.error = StoreError("the disk is full")

    await clerk_with(desk).attend(interaction, failing(AssertionError()))

    assert interaction.deferred == [{"thinking": True, "ephemeral": True}]
    assert interaction.said.startswith("The bot cannot accept requests at the moment.")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            Answer.WHISPER,
            "Ein Admin hat dich davon ausgeschlossen, diesen Bot um Bilder zu bitten.",
        ),
        (Answer.MESSAGE, "관리자가 차단하여 이 봇에 그림을 부탁할 수 없습니다."),
    ],
)
async def test_a_refusal_is_told_in_the_language_of_those_who_read_it(
    answer: Answer, sentence: str
) -> None:
    interaction: Any = AnInteraction(locale="fr")
    desk = ADesk(Profile(language="de"), CommunityRules(language="ko"))

    await clerk_with(desk).attend(interaction, failing(BlockedError(until=None)), answer)

    assert interaction.said == sentence


async def test_channels_where_one_may_ask_can_be_clicked() -> None:
    interaction: Any = AnInteraction()

    await clerk_with(ADesk()).attend(interaction, failing(PlaceRefusedError(("5", "6"))))

    assert interaction.said.startswith("Pictures may be asked for only in <#5> <#6>.")


async def test_a_button_of_another_version_says_so() -> None:
    interaction: Any = AnInteraction(locale="de")

    await clerk_with(ADesk()).press(interaction, "dance", "1")

    assert interaction.said.startswith("Dieser Knopf stammt aus einer anderen Version des Bots.")


async def test_a_mistake_behind_a_button_is_logged_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    interaction: Any = AnInteraction()
    clerk = clerk_with(ADesk())

    async def fails(_call: Call, of: str) -> None:
        raise KeyError(of)

    clerk.on_press("page", Answer.CHANGE, fails)
    await clerk.press(interaction, "page", "1")

    assert interaction.said.startswith("Something went wrong on the bot's side.")
    assert "button failed: interaction_id=1" in caplog.text


async def test_what_is_attended_to_is_awaited_at_the_end() -> None:
    interaction: Any = AnInteraction()
    clerk, begun, gate = clerk_with(ADesk()), asyncio.Event(), asyncio.Event()

    async def work(call: Call) -> None:
        begun.set()
        await gate.wait()
        await call.say("help")

    attending = asyncio.create_task(clerk.attend(interaction, work))
    begin = asyncio.create_task(begun.wait())
    await asyncio.wait({attending, begin}, return_when=asyncio.FIRST_COMPLETED)
    assert begun.is_set()
    await begin
    finishing = asyncio.create_task(clerk.finish(within_s=10))
    gate.set()
    await finishing
    await attending

    assert interaction.said.startswith("**Pictures from words**")


async def test_suggestions_that_take_too_long_are_left_out() -> None:
    interaction: Any = AnInteraction()

    async def find() -> list[app_commands.Choice[str]]:
        await asyncio.Event().wait()
        raise AssertionError

    assert await suggested(interaction, find, within_s=0) == []


async def test_a_guest_has_the_tiers_of_their_roles_and_of_no_others() -> None:
    interaction: Any = AnInteraction()
    member: Any = discord.Member.__new__(discord.Member)
    member._user = SimpleNamespace(id=42)
    member._roles = discord.utils.SnowflakeList([5, 6])
    interaction.user = member
    desk: Any = ADesk(rules=CommunityRules(role_tiers={"5": "gold", "7": "lead"}))

    guest = await guest_of(interaction, desk)

    assert guest.tiers == {"gold"}
    assert stranger_of(interaction).tiers == frozenset()


async def test_a_request_in_a_thread_is_one_in_its_channel() -> None:
    interaction: Any = AnInteraction()
    thread = discord.Thread.__new__(discord.Thread)
    thread.parent_id = 70
    interaction.channel = thread

    assert stranger_of(interaction).channel == "70"


async def test_a_submission_carries_what_is_known_of_its_guest() -> None:
    interaction: Any = AnInteraction(locale="fr")
    desk: Any = ADesk(Profile(language="de"), CommunityRules(language="ko"))
    guest = await guest_of(interaction, desk)

    submission = submission_of(
        interaction, DrawRequest(prompt="a cat"), guest=guest, origin=JobId("ab")
    )
    plain = submission_of(interaction, DrawRequest(prompt="a cat"))

    assert submission.address["locale"] == "ko"
    assert plain.address["locale"] == "fr"
    assert (submission.community, submission.channel, submission.origin) == ("8", "7", "ab")
    assert submission.request.preview
