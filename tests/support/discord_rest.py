"""The REST side of our Discord: routes, their rules, and faults on the way to them.

Answers carry Discord's status and error codes. A route that is not known is a loud 404 and
a violation; so is every body that Discord's published schema refuses.

Source: Discord API documentation v10; what discord.py 2.7.1 sends.
"""

from __future__ import annotations

import asyncio
import mimetypes
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.support.discord_gateway import guild_json
from tests.support.discord_rules import channel_json, message_json, user_json
from tests.support.discord_scene import (
    ACK_WITHIN_S,
    APPLICATION_ID,
    BOT_USER,
    COMMAND_CREATES_PER_DAY,
    GUILD_ID,
    REQUEST_LIMIT_BYTES,
)
from tests.support.discord_schemas import complaints
from tests.support.discord_state import ApiError, Exchange
from tests.support.discord_wire import (
    BODY,
    Fault,
    RateLimit,
    fault_answer,
    half_of,
    json_answer,
    read_body,
    reset_connection,
)
from tests.support.discord_writing import Writing

if TYPE_CHECKING:
    from tests.support.discord_gateway import Gateway
    from tests.support.discord_scene import Json
    from tests.support.discord_state import Interaction, World

API = "/api/v10"
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, SUGGESTIONS, DIALOG = 4, 5, 6, 7, 8, 9
OLD_EDIT_WAIT_S = 0.05  # Discord's is not documented
ACKNOWLEDGED_TWICE = 40060
TOKEN_DEAD = 50027


class Rest:
    """All routes. ``faults`` and ``limits`` are looked at before any of them.

    ``checks_bodies``: against Discord's schemas, which takes some milliseconds each time.
    """

    def __init__(self, world: World, gateway: Gateway) -> None:
        self.faults: list[Fault] = []
        self.limits: list[RateLimit] = []
        self.checks_bodies = True
        self._world = world
        self._gateway = gateway
        self._writing = Writing(world)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._middleware], client_max_size=2**26)
        app.add_routes(self._routes())
        return app

    def _routes(self) -> list[web.RouteDef]:
        application, guild = f"{API}/applications/{{application}}", "/guilds/{guild}"
        webhook, channel = (
            f"{API}/webhooks/{{application}}/{{token}}",
            f"{API}/channels/{{channel}}",
        )
        writing = self._writing
        return [
            web.get("/gateway", self._gateway.serve),
            web.get("/attachments/{channel}/{attachment}/{filename}", self._attachment),
            web.get(f"{API}/gateway/bot", self._gateway_bot),
            web.get(f"{API}/users/@me", self._me),
            web.get(f"{API}/users/{{user}}", self._user),
            web.post(f"{API}/users/@me/channels", self._open_dm),
            web.get(f"{API}/oauth2/applications/@me", self._application),
            web.get(f"{application}/commands", self._get_commands),
            web.put(f"{application}/commands", self._put_commands),
            web.put(f"{application}{guild}/commands", self._put_commands),
            web.get(f"{API}{guild}", self._guild),
            web.get(channel, self._channel),
            web.post(f"{API}/interactions/{{id}}/{{token}}/callback", self._callback),
            web.post(webhook, self._follow_up),
            web.get(f"{webhook}/messages/{{message}}", self._get_answer),
            web.patch(f"{webhook}/messages/{{message}}", self._edit_answer),
            web.delete(f"{webhook}/messages/{{message}}", self._delete_answer),
            web.post(f"{channel}/messages", self._authorised(writing.post)),
            web.get(f"{channel}/messages/{{message}}", self._authorised(writing.get)),
            web.patch(f"{channel}/messages/{{message}}", self._authorised(writing.edit)),
            web.delete(f"{channel}/messages/{{message}}", self._authorised(writing.delete)),
        ]

    # ------------------------------------------------------------------- on the way

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/gateway" or request.path.startswith("/attachments/"):
            return await handler(request)
        exchange = await self._record(request)
        response = await self._respond(request, handler, self._fault_for(request))
        exchange.status = response.status
        self._world.tell()
        return response

    async def _record(self, request: web.Request) -> Exchange:
        body = await read_body(request)
        request[BODY] = body
        exchange = Exchange(
            method=request.method,
            path=request.path,
            at_s=asyncio.get_running_loop().time(),
            payload=body.payload,
            files=body.files,
        )
        self._world.journal.append(exchange)
        return exchange

    def _fault_for(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if fault.matches(request):
                if fault.skip == 0:
                    fault.times -= 1
                    return fault
                fault.skip -= 1
        return None

    async def _respond(
        self, request: web.Request, handler: Any, fault: Fault | None
    ) -> web.Response:
        if fault is None:
            return await self._answer(request, handler)
        match fault.kind:
            case "answer":
                return fault_answer(fault)
            case "hang":
                await fault.release.wait()
                return await self._answer(request, handler)
            case "commit then reset":
                await self._answer(request, handler)
            case "half":
                return half_of(await self._answer(request, handler), request)
            case "close":
                assert request.transport is not None
                request.transport.close()
                return json_answer(500, {})
            case "reset":
                pass
        if fault.also is not None:
            fault.also()
        reset_connection(request)
        return json_answer(500, {})

    async def _answer(self, request: web.Request, handler: Any) -> web.Response:
        headers: dict[str, str] = {}
        try:
            self._take_from_limits(request, headers)
            self._check_body(request)
            answer = await handler(request)
        except ApiError as error:
            self._note_refusal(request, error)
            body = error.body
            if error.status == 429:
                wait_s = float(headers.get("Retry-After", OLD_EDIT_WAIT_S))
                body = {**body, "retry_after": wait_s, "global": False}
            return json_answer(error.status, body, **headers)
        except web.HTTPException as error:
            self._world.blame(f"unknown to this Discord: {request.method} {request.path}")
            return json_answer(
                error.status, {"code": 0, "message": f"{error.status}: {request.path}"}
            )
        return json_answer(204 if answer is None else 200, answer, **headers)

    def _take_from_limits(self, request: web.Request, headers: dict[str, str]) -> None:
        limit = next((limit for limit in self.limits if limit.matches(request)), None)
        if limit is None:
            return
        left, wait_s = limit.take(request.path, asyncio.get_running_loop().time())
        headers.update(
            {
                "X-RateLimit-Limit": str(limit.count),
                "X-RateLimit-Remaining": str(max(left, 0)),
                "X-RateLimit-Reset-After": f"{wait_s:.3f}",
                "X-RateLimit-Bucket": f"{limit.method}{limit.path}",
            }
        )
        if left < 0:
            headers["Retry-After"] = f"{wait_s:.3f}"
            raise ApiError(429, 0, "You are being rate limited.")

    def _check_body(self, request: web.Request) -> None:
        body = request[BODY]
        for _, data in body.files.values():
            if len(data) > self._world.file_limit_bytes:
                raise ApiError(413, 40005, "Request entity too large")
        if sum(len(data) for _, data in body.files.values()) > REQUEST_LIMIT_BYTES:
            raise ApiError(413, 40005, "Request entity too large")
        resource = request.match_info.route.resource
        template = "" if resource is None else resource.canonical.removeprefix(API)
        if not self.checks_bodies:
            return
        for complaint in complaints(request.method, template, body.payload):
            raise ApiError(400, 50035, f"Invalid Form Body: {complaint}")

    def _note_refusal(self, request: web.Request, error: ApiError) -> None:
        """Blame the bot for what it could have known."""
        what = f"{request.method} {request.path}: {error.body['message']} ({error.code})"
        if error.status in {400, 413} and error.code != ACKNOWLEDGED_TWICE:
            self._world.blame(what)
        interaction = self._world.interactions.get(request.match_info.get("token", ""))
        if interaction is not None and error.code == TOKEN_DEAD:
            if interaction.is_known_dead:
                self._world.blame(f"{what}, and it had been told so before")
            interaction.is_known_dead = True

    # ------------------------------------------------------- who the bot is, where it is

    def _check_token(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bot {self._world.token}":
            raise ApiError(401, 0, "401: Unauthorized")

    def _authorised(self, handler: Any) -> Any:
        async def checked(request: web.Request) -> Json:
            self._check_token(request)
            body = request[BODY]
            return handler(
                request.match_info["channel"],
                request.match_info.get("message", ""),
                body.payload,
                body.files,
            )

        return checked

    async def _me(self, request: web.Request) -> Json:
        self._check_token(request)
        return BOT_USER

    async def _user(self, request: web.Request) -> Json:
        self._check_token(request)
        return user_json(request.match_info["user"])

    async def _guild(self, request: web.Request) -> Json:
        self._check_token(request)
        return guild_json(request.match_info["guild"])

    async def _channel(self, request: web.Request) -> Json:
        self._check_token(request)
        number = request.match_info["channel"]
        if self._world.permissions_in(number) == 0:
            raise ApiError(403, 50001, "Missing Access")
        return channel_json(number, GUILD_ID)

    async def _application(self, request: web.Request) -> Json:
        self._check_token(request)
        return {
            "id": APPLICATION_ID,
            "name": "imagine",
            "icon": None,
            "description": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": {"id": "1", "username": "admin", "discriminator": "0", "avatar": None},
            "verify_key": "00",
            "flags": 0,
        }

    async def _gateway_bot(self, request: web.Request) -> Json:
        self._check_token(request)
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return {
            "url": self._gateway.url,
            "shards": self._gateway.shard_count,
            "session_start_limit": limit,
        }

    async def _open_dm(self, request: web.Request) -> Json:
        self._check_token(request)
        user_id = str(request[BODY].payload["recipient_id"])
        number = self._world.dm_channel_of(user_id)
        return {"id": number, "type": 1, "recipients": [user_json(user_id)], "flags": 0}

    async def _attachment(self, request: web.Request) -> web.Response:
        """The CDN: any file that was ever uploaded."""
        found = self._world.uploads.get(request.match_info["attachment"])
        if found is None:
            return web.Response(status=404)
        kind, _ = mimetypes.guess_type(found.filename)
        return web.Response(body=found.data, content_type=kind or "application/octet-stream")

    # --------------------------------------------------------------------- commands

    async def _get_commands(self, request: web.Request) -> Json:
        self._check_token(request)
        return self._world.commands

    async def _put_commands(self, request: web.Request) -> Json:
        self._check_token(request)
        world, guild = self._world, request.match_info.get("guild")
        known = world.commands if guild is None else world.guild_commands.get(guild, [])
        ids = {(c.get("type", 1), c["name"]): c["id"] for c in known}
        told = [
            {
                "description": "",  # menus have none
                **command,
                "id": ids.get((command.get("type", 1), command["name"]), world.snowflake()),
                "application_id": APPLICATION_ID,
                "version": "1",
                "default_member_permissions": command.get("default_member_permissions"),
            }
            for command in request[BODY].payload
        ]
        world.command_creates_count += sum(command["id"] not in ids.values() for command in told)
        if world.command_creates_count > COMMAND_CREATES_PER_DAY:
            raise ApiError(429, 30034, "Max number of daily application command creates")
        world.sync_count += 1
        if guild is None:
            world.commands = told
        else:
            world.guild_commands[guild] = told
        return told

    # ----------------------------------------------------- interactions and their tokens

    async def _callback(self, request: web.Request) -> Json:
        world = self._world
        interaction = world.interactions.get(request.match_info["token"])
        if interaction is None or interaction.id != request.match_info["id"]:
            raise ApiError(404, 10062, "Unknown interaction")
        if interaction.ack_after_s is not None:
            raise ApiError(400, ACKNOWLEDGED_TWICE, "Interaction has already been acknowledged.")
        after_s = (world.now() - interaction.sent_at).total_seconds()
        if after_s > ACK_WITHIN_S:
            raise ApiError(404, 10062, "Unknown interaction")
        payload = request[BODY].payload
        self._writing.answer(interaction, payload, request[BODY].files)
        interaction.ack_after_s = after_s
        interaction.answer_type = payload["type"]
        if "with_response" not in request.query:
            return None
        return _callback_json(interaction, payload["type"])

    def _living(self, request: web.Request) -> Interaction:
        """The interaction whose token is used, if that is still good."""
        interaction = self._world.interactions.get(request.match_info["token"])
        if request.match_info["application"] != APPLICATION_ID or interaction is None:
            raise ApiError(404, 10015, "Unknown Webhook")
        if interaction.ack_after_s is None or interaction.answer_type == SUGGESTIONS:
            raise ApiError(404, 10015, "Unknown Webhook")
        if self._writing.is_over(interaction):
            raise ApiError(401, TOKEN_DEAD, "Invalid Webhook Token")
        return interaction

    async def _follow_up(self, request: web.Request) -> Json:
        body = request[BODY]
        return self._writing.follow_up(self._living(request), body.payload, body.files)

    async def _get_answer(self, request: web.Request) -> Json:
        return self._writing.get_answer(self._living(request), request.match_info["message"])

    async def _edit_answer(self, request: web.Request) -> Json:
        body = request[BODY]
        return self._writing.edit_answer(
            self._living(request), request.match_info["message"], body.payload, body.files
        )

    async def _delete_answer(self, request: web.Request) -> Json:
        self._writing.delete_answer(self._living(request), request.match_info["message"])


# ------------------------------------------------------------------------- on the wire


def _callback_json(interaction: Interaction, kind: int) -> Json:
    message = interaction.message
    told: dict[str, Json] = {"id": interaction.id, "type": interaction.payload["type"]}
    resource: dict[str, Json] = {"type": kind}
    if message is not None:
        resource["message"] = message_json(message)
        told |= {
            "response_message_id": message.id,
            "response_message_loading": kind == DEFERRED,
            "response_message_ephemeral": message.is_ephemeral,
        }
    return {"interaction": told, "resource": resource}
