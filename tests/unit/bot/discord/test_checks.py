"""What ``imagine check`` finds at Discord."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from bot.discord.checks import DiscordCheckError, check, missing_of
from bot.discord.config import DiscordConfig
from bot.discord.errors import DiscordStartError
from tests.support.bot_process import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# View Channels, Send Messages, Attach Files, Read Message History, Send Messages in Threads.
ALL = 1 << 10 | 1 << 11 | 1 << 15 | 1 << 16 | 1 << 38
ALL_NAMES = [
    *("View Channels", "Send Messages", "Send Messages in Threads", "Attach Files"),
    "Read Message History",
]
SCOPES = ["bot", "applications.commands"]


def guild(permissions: int = ALL, scopes: list[str] = SCOPES) -> dict[str, Any]:
    granted = {"permissions": str(permissions), "scopes": scopes}
    return {"0": {"oauth2_install_params": granted}}


@pytest.mark.parametrize(
    ("kinds", "missing"),
    [
        (guild(), []),
        (guild(1 << 3), []),  # Administrator
        (guild(ALL & ~(1 << 15)), ["Attach Files"]),
        (guild(0), ALL_NAMES),
        (guild(scopes=["bot"]), ["the scope applications.commands"]),
        ({"1": {}}, ["Guild Install"]),
        ({"0": {}}, ["the scope bot", "the scope applications.commands", *ALL_NAMES]),
    ],
)
def test_what_the_install_link_lacks_is_named_as_in_the_portal(
    kinds: dict[str, Any], missing: list[str]
) -> None:
    assert missing_of(kinds) == missing


class Portal:
    """The three answers of Discord that are asked for, to one token."""

    token = "a-token"

    def __init__(self) -> None:
        self.install_kinds: dict[str, Any] = {}
        self.about: dict[str, Any] = {}
        self.servers: dict[str, int] = {}
        self.api_base = ""

    async def me(self, request: web.Request) -> web.Response:
        user = {"id": "1", "username": "imagine", "discriminator": "0000", "avatar": None}
        return self._answer(request, {**user, "bot": True})

    async def application(self, request: web.Request) -> web.Response:
        owner = {"id": "2", "username": "admin", "discriminator": "0", "avatar": None}
        about = {"id": "1", "name": "imagine", "icon": None, "description": "", "owner": owner}
        flags = {"bot_public": True, "bot_require_code_grant": False, "verify_key": "00"}
        kinds = {"integration_types_config": self.install_kinds}
        return self._answer(request, {**about, **flags, **kinds, **self.about})

    async def guilds(self, request: web.Request) -> web.Response:
        servers = [
            {"id": str(number), "name": name, "permissions": str(permissions)}
            for number, (name, permissions) in enumerate(self.servers.items())
        ]
        return self._answer(request, servers)

    def _answer(self, request: web.Request, body: Any) -> web.Response:
        # discord.py reads JSON only from this very type, without a charset.
        headers, status = {"Content-Type": "application/json"}, 200
        if request.headers["Authorization"] != f"Bot {self.token}":
            body, status = {"message": "401: Unauthorized", "code": 0}, 401
        return web.Response(body=json.dumps(body).encode(), headers=headers, status=status)


@pytest.fixture
async def portal() -> AsyncIterator[Portal]:
    portal, application = Portal(), web.Application()
    application.router.add_get("/api/v10/users/@me", portal.me)
    application.router.add_get("/api/v10/oauth2/applications/@me", portal.application)
    application.router.add_get("/api/v10/users/@me/guilds", portal.guilds)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    portal.api_base = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v10"
    yield portal
    await runner.cleanup()


def config(portal: Portal, **changed: Any) -> DiscordConfig:
    settings: dict[str, Any] = {
        "token": portal.token,
        "api_base": portal.api_base,
        "gateway_url": portal.api_base.replace("http", "ws"),
        "retry_waits_s": (0.0,),
        **changed,
    }
    return DiscordConfig(**settings)


async def test_a_bot_that_is_set_up_is_named(portal: Portal) -> None:
    portal.install_kinds = {**guild(), "1": {}}
    portal.servers = {"Garden": ALL, "Attic": 1 << 3}

    assert await check(config(portal)) == "imagine#0000, in 2 servers"


async def test_what_could_be_better_is_said(portal: Portal) -> None:
    portal.install_kinds = guild()
    portal.servers = {"Garden": ALL & ~(1 << 15) & ~(1 << 16), "Attic": ALL, "Shed": ALL & ~1024}
    portal.about = {"flags": 1 << 13 | 1 << 18 | 1 << 23}

    assert await check(config(portal)) == (
        "imagine#0000, in 3 servers; people cannot take it along (User Install is off); its role "
        "there lacks permissions (Garden: Attach Files, Read Message History; Shed: View "
        "Channels); privileged intents are on that it does not need (Presence, Message Content)"
    )


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        (
            {"interactions_endpoint_url": "https://elsewhere.example"},
            (
                "imagine#0000 is accepted, but Discord sends its commands to a web address instead "
                "of this bot: clear Interactions Endpoint URL under General Information at "
                "https://discord.com/developers/applications."
            ),
        ),
        (
            {"bot_require_code_grant": True},
            (
                "imagine#0000 is accepted, but nobody can install it: turn off Requires OAuth2 "
                "Code Grant under Bot at https://discord.com/developers/applications."
            ),
        ),
    ],
)
async def test_settings_that_keep_people_from_using_it_are_named(
    portal: Portal, about: dict[str, Any], sentence: str
) -> None:
    portal.install_kinds = guild()
    portal.about = about

    with pytest.raises(DiscordCheckError) as caught:
        await check(config(portal))

    assert str(caught.value) == sentence


async def test_an_install_link_that_lacks_something_fails(portal: Portal) -> None:
    portal.install_kinds = guild(ALL & ~(1 << 38), scopes=["applications.commands"])

    with pytest.raises(DiscordCheckError) as caught:
        await check(config(portal))

    assert str(caught.value) == (
        "imagine#0000 is accepted, but its install link lacks the scope bot, Send Messages in "
        "Threads: add it under Installation at https://discord.com/developers/applications and "
        "open the link again."
    )


async def test_a_wrong_token_is_told_without_telling_it(portal: Portal) -> None:
    with pytest.raises(DiscordStartError) as caught:
        await check(config(portal, token="mistyped"))

    assert "mistyped" not in str(caught.value)


async def test_a_discord_that_is_not_there_is_told(portal: Portal) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/api/v10"

    with pytest.raises(DiscordStartError) as caught:
        await check(config(portal, api_base=nowhere))

    assert "discordstatus.com" in str(caught.value)
