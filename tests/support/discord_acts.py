"""What people do on Discord, as the events that the bot is sent for it.

``Acts`` refuses, by failing the test, what Discord's own client would not let a person do:
a command that is not offered there, a value out of bounds, a button that is not there, is
greyed out or belongs to a message that only somebody else sees.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

from tests.support.discord_offers import (
    check_usable,
    component_of,
    label_of,
    leaf_of,
    option_of,
    options_json,
    resolved_json,
)
from tests.support.discord_rules import attachment_json, message_json, who_and_where
from tests.support.discord_scene import (
    ACK_WITHIN_S,
    ALL_PERMISSIONS,
    APPLICATION_ID,
    CHANNEL_ID,
    FOREIGN_CHANNEL_ID,
    FOREIGN_GUILD_ID,
    GUILD_ID,
    PRIVATE_CHANNEL_ID,
    Scene,
    Where,
)
from tests.support.discord_state import Attachment, Interaction, Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.discord_gateway import Gateway
    from tests.support.discord_scene import Json
    from tests.support.discord_state import World

CHAT_INPUT, MESSAGE_MENU = 1, 3
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
SELECTS = {3, 5, 6, 7, 8}
MODAL_LISTS = {3, 5, 6, 7, 8, 22}  # parts of a dialog that are answered with a list


class Acts:
    """People's hands. Each act returns once the bot answered, or three seconds are over."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway

    async def slash(
        self, name: str, options: Mapping[str, Json], **where: Unpack[Where]
    ) -> Interaction:
        """Use a slash command; ``name`` holds sub-commands after blanks, as people type them.

        People, channels and roles are given by their ids, a file as its name and content.
        """
        interaction = await self.start_slash(name, options, **where)
        await self._answered(interaction)
        return interaction

    async def start_slash(
        self, name: str, options: Mapping[str, Json], **where: Unpack[Where]
    ) -> Interaction:
        """Use a slash command without waiting for any answer."""
        interaction = await self.hold_slash(name, options, **where)
        await self.dispatch(interaction)
        return interaction

    async def hold_slash(
        self, name: str, options: Mapping[str, Json], **where: Unpack[Where]
    ) -> Interaction:
        """Use a slash command whose event stays on its way until ``dispatch`` is called."""
        scene = self._scene(where)
        await self._gateway.wait_for_bot(scene)
        command, *path = name.split()
        known = self._command(command, CHAT_INPUT, scene)
        given: dict[str, Json] = {n: v for n, v in options.items() if isinstance(v, tuple)}
        files = {name: self._uploaded(scene, *file) for name, file in given.items()}
        values = {**options, **{name: file.id for name, file in files.items()}}
        data: dict[str, Json] = {
            "id": known["id"],
            "name": known["name"],
            "type": CHAT_INPUT,
            "options": options_json(known, path, values),
        }
        resolved = resolved_json(leaf_of(known, path), values, self._world.now(), scene)
        if files:
            resolved["attachments"] = {file.id: attachment_json(file) for file in files.values()}
        if resolved:
            data["resolved"] = resolved
        return self._new(COMMAND, scene, {"data": data})

    async def autocomplete(
        self, name: str, options: Mapping[str, Json], focused: str, **where: Unpack[Where]
    ) -> list[Json]:
        """Type into the option ``focused`` and return the choices that are suggested."""
        scene = self._scene(where)
        await self._gateway.wait_for_bot(scene)
        command, *path = name.split()
        known = self._command(command, CHAT_INPUT, scene)
        leaf = leaf_of(known, path)
        assert option_of(leaf, focused).get("autocomplete"), f"{focused} suggests nothing"
        typed = [
            {
                "name": option,
                "type": option_of(leaf, option)["type"],
                "value": value,
                **({"focused": True} if option == focused else {}),
            }
            for option, value in options.items()
        ]
        for inner in reversed(path):
            typed = [{"name": inner, "type": 1, "options": typed}]
        data = {"id": known["id"], "name": known["name"], "type": CHAT_INPUT, "options": typed}
        interaction = self._new(AUTOCOMPLETE, scene, {"data": data})
        await self.dispatch(interaction)
        await self._answered(interaction)
        assert interaction.choices is not None, "nothing was suggested in time"
        return interaction.choices

    async def menu(self, name: str, message: Message, **where: Unpack[Where]) -> Interaction:
        """Choose ``name`` from the menu of a message."""
        scene = self._scene_at(message, where)
        await self._gateway.wait_for_bot(scene)
        known = self._command(name, MESSAGE_MENU, scene)
        data = {
            "id": known["id"],
            "name": name,
            "type": MESSAGE_MENU,
            "target_id": message.id,
            "resolved": {"messages": {message.id: message_json(message)}},
        }
        return await self._send(self._new(COMMAND, scene, {"data": data}))

    async def click(
        self,
        message: Message,
        component: str,
        *,
        values: Sequence[str] = (),
        **where: Unpack[Where],
    ) -> Interaction:
        """Press a button, or choose ``values`` in a menu.

        ``component`` is its label, emoji or custom id, or the beginning of a custom id. The
        person is who caused the message, unless ``where`` says otherwise.
        """
        scene = self._scene_at(message, where)
        await self._gateway.wait_for_bot(scene)
        assert not message.is_deleted, "the message is gone"
        is_seen = not message.is_ephemeral or scene.user_id == message.scene.user_id
        assert is_seen, "only somebody else sees this message"
        used = component_of(message.components, component)
        assert not used.get("disabled"), f"{component} is greyed out"
        data = {"custom_id": used["custom_id"], "component_type": used["type"]}
        if used["type"] in SELECTS:
            _check_choice(used, values)
            data["values"] = list(values)
        interaction = self._new(COMPONENT, scene, {"data": data, "message": message_json(message)})
        interaction.source = message
        return await self._send(interaction)

    async def submit(
        self, opened_by: Interaction, values: Mapping[str, Json], **where: Unpack[Where]
    ) -> Interaction:
        """Fill the dialog that ``opened_by`` opened, by labels or custom ids, and send it."""
        assert opened_by.modal is not None, "no dialog was opened"
        modal = opened_by.modal
        parts = {component_of(modal["components"], n)["custom_id"]: v for n, v in values.items()}
        data = {
            "custom_id": modal["custom_id"],
            "components": [_filled(part, parts, modal) for part in modal["components"]],
        }
        about = {} if opened_by.source is None else {"message": message_json(opened_by.source)}
        scene = replace(opened_by.scene, **where)
        interaction = self._new(MODAL_SUBMIT, scene, {"data": data, **about})
        interaction.source = opened_by.source
        return await self._send(interaction)

    def say(
        self,
        content: str,
        *,
        attachments: Mapping[str, bytes] | None = None,
        **where: Unpack[Where],
    ) -> Message:
        """Write a message as a person; the bot is not told, for it has no intents."""
        scene = self._scene(where)
        message = self._world.new_message(scene.channel_id, scene)
        message.author_id, message.content = scene.user_id, content
        message.attachments += [
            self._uploaded(scene, name, data) for name, data in (attachments or {}).items()
        ]
        return message

    def _uploaded(self, scene: Scene, filename: str, data: bytes) -> Attachment:
        return self._world.upload(scene.channel_id, filename, data, None)

    def delete(self, message: Message) -> None:
        """Delete a message as its author or a moderator would."""
        message.is_deleted = True
        del self._world.messages[message.id]

    async def dispatch(self, interaction: Interaction) -> None:
        """Send the event of ``interaction`` to the bot (again)."""
        await self._gateway.send("INTERACTION_CREATE", interaction.payload, interaction.scene)

    # ------------------------------------------------------------------------ inside

    def _scene(self, where: Where) -> Scene:
        scene = Scene(**where)
        usual = {
            "guild": (GUILD_ID, CHANNEL_ID),
            "dm": (GUILD_ID, self._world.dm_channel_of(scene.user_id)),
            "elsewhere": (FOREIGN_GUILD_ID, FOREIGN_CHANNEL_ID),
            "private": (GUILD_ID, PRIVATE_CHANNEL_ID),
        }
        guild_id, channel_id = usual[scene.place]
        return replace(
            scene,
            guild_id=where.get("guild_id", guild_id),
            channel_id=where.get("channel_id", channel_id),
        )

    def _scene_at(self, message: Message, where: Where) -> Scene:
        """Who uses a message, where it is: its first asker unless ``where`` says otherwise."""
        changes: dict[str, Json] = {"channel_id": message.channel_id, **where}
        return replace(message.scene, **changes)

    def _command(self, name: str, kind: int, scene: Scene) -> Json:
        known = [*self._world.commands, *self._world.guild_commands.get(scene.guild_id, ())]
        found = [c for c in known if c["name"] == name and c.get("type", CHAT_INPUT) == kind]
        assert found, f"the bot told Discord of no {name}, only {[c['name'] for c in known]}"
        check_usable(found[0], scene)
        return found[0]

    def _new(self, kind: int, scene: Scene, what: Json) -> Interaction:
        now = self._world.now()
        number = self._world.snowflake(now)
        permissions = scene.permissions
        if permissions is None:
            permissions = self._world.channel_permissions.get(scene.channel_id, ALL_PERMISSIONS)
        payload: dict[str, Json] = {
            "id": number,
            "application_id": APPLICATION_ID,
            "type": kind,
            "token": f"interaction-token-{number}",
            "version": 1,
            "attachment_size_limit": self._world.file_limit_bytes,
            "app_permissions": str(permissions),
            "entitlements": [],
            "authorizing_integration_owners": scene.owners,
            "context": scene.context,
            "locale": scene.locale,
            **who_and_where(scene, now),
            **what,
        }
        interaction = Interaction(world=self._world, scene=scene, payload=payload, sent_at=now)
        self._world.interactions[interaction.token] = interaction
        return interaction

    async def _send(self, interaction: Interaction) -> Interaction:
        await self.dispatch(interaction)
        await self._answered(interaction)
        return interaction

    async def _answered(self, interaction: Interaction) -> None:
        with contextlib.suppress(AssertionError):  # the test looks at ack_after_s
            await self._world.until(lambda: interaction.ack_after_s is not None, ACK_WITHIN_S, str)


def _check_choice(menu: Json, values: Sequence[str]) -> None:
    offered = [option["value"] for option in menu.get("options", ())]
    assert menu["type"] != 3 or set(values) <= set(offered), f"{values} are not all offered"
    low, high = menu.get("min_values", 1), menu.get("max_values", 1)
    assert low <= len(values) <= high, f"{low} to {high} are to be chosen"


def _filled(part: Json, values: Mapping[str, Json], modal: Json) -> Json:
    """One part of a dialog as it is sent back."""
    if part["type"] == 1:
        return {"type": 1, "components": [_filled(p, values, modal) for p in part["components"]]}
    if part["type"] == 18:
        return {"type": 18, "component": _filled(part["component"], values, modal)}
    if "custom_id" not in part:
        return {"type": part["type"]}
    answer: dict[str, Json] = {"type": part["type"], "custom_id": part["custom_id"]}
    value = values.get(part["custom_id"], _untouched(part))
    name = label_of(modal["components"], part) or part.get("label") or part["custom_id"]
    is_required = part.get("required", part["type"] not in {22, 23})
    assert value not in (None, "", []) or not is_required, f"{name} is missing"
    if isinstance(value, str) and part["type"] == 4:
        low, high = part.get("min_length", 0), part.get("max_length", 4000)
        assert low <= len(value) <= high, f"{name} must be {low} to {high} characters"
    return answer | {"values" if part["type"] in MODAL_LISTS else "value": value}


def _untouched(part: Json) -> Json:
    """What a part of a dialog holds if nobody touches it."""
    chosen = [option["value"] for option in part.get("options", ()) if option.get("default")]
    if part["type"] in MODAL_LISTS:
        return chosen
    if part["type"] == 21:
        return chosen[0] if chosen else None
    return part.get("default", False) if part["type"] == 23 else part.get("value", "")
