"""What the bot writes on our Discord: answers, follow-ups and messages of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.support.discord_rules import check_message, is_v2, message_json
from tests.support.discord_scene import (
    APPLICATION_ID,
    ATTACH_FILES,
    COMPONENTS_V2,
    EPHEMERAL,
    FOLLOWUPS_OF_A_GUEST,
    LOADING,
    MANAGE_MESSAGES,
    SEND_MESSAGES,
    SUPPRESSED,
    TOKEN_LIFE,
    VIEW_CHANNEL,
    Scene,
)
from tests.support.discord_state import ApiError, Attachment

if TYPE_CHECKING:
    from tests.support.discord_scene import Files, Json
    from tests.support.discord_state import Attachment, Interaction, Message, World

ORIGINAL = "@original"
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, SUGGESTIONS, DIALOG = 4, 5, 6, 7, 8, 9
NEW_MESSAGES, CHANGES = {MESSAGE, DEFERRED}, {DEFERRED_UPDATE, UPDATE}
# What each kind of interaction may be answered with at first.
ANSWERS = {
    COMMAND: {MESSAGE, DEFERRED, DIALOG},
    COMPONENT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, DIALOG},
    AUTOCOMPLETE: {SUGGESTIONS},
    MODAL_SUBMIT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE},
}
AFTER_A_DEFERRAL = EPHEMERAL  # the only flag that may be sent with it


class Writing:
    """Keeps the rules of who may write what where. Every refusal is an ``ApiError``."""

    def __init__(self, world: World) -> None:
        self._world = world

    def is_over(self, interaction: Interaction) -> bool:
        return self._world.now() - interaction.sent_at > TOKEN_LIFE

    # ------------------------------------------------------------- answers by a token

    def answer(self, interaction: Interaction, payload: Json, files: Files) -> None:
        """The first answer to an interaction."""
        kind: int = payload["type"]
        data: dict[str, Json] = payload.get("data") or {}
        if kind not in ANSWERS[interaction.payload["type"]]:
            raise ApiError(400, 50035, f"Invalid Form Body: not an answer to that: {kind}")
        if kind in CHANGES and interaction.source is None:
            raise ApiError(400, 50035, "Invalid Form Body: there is no message to change")
        if kind in NEW_MESSAGES:
            self._begin(interaction, kind, data, files)
        elif kind in CHANGES:
            assert interaction.source is not None
            interaction.message = interaction.source
            if kind == UPDATE:
                self._fill(interaction.source, data, files)
        elif kind == DIALOG:
            interaction.modal = data
        else:
            interaction.choices = data["choices"]

    def _begin(self, interaction: Interaction, kind: int, data: Json, files: Files) -> None:
        flags = data.get("flags", 0)
        if kind == DEFERRED and flags & ~AFTER_A_DEFERRAL:
            raise ApiError(400, 50035, "Invalid Form Body: only EPHEMERAL may be deferred")
        channel_id = interaction.payload["channel"]["id"]
        kept = flags & EPHEMERAL | (LOADING if kind == DEFERRED else 0)
        message = self._world.new_message(channel_id, interaction.scene, kept)
        message.asked_by = interaction
        if kind == MESSAGE:
            try:
                self._fill(message, data, files)
            except ApiError:
                del self._world.messages[message.id]
                raise
        interaction.message = message

    def follow_up(self, interaction: Interaction, payload: Json, files: Files) -> Json:
        """One more message; the first one takes the place of a deferred answer."""
        original = interaction.message
        if original is not None and original.flags & LOADING:
            self._fill(original, payload, files)
            return message_json(original)
        if interaction.scene.is_guest and len(interaction.followups) >= FOLLOWUPS_OF_A_GUEST:
            raise ApiError(400, 40094, "This interaction has reached the maximum number")
        flags = payload.get("flags", 0) & EPHEMERAL
        channel_id = interaction.payload["channel"]["id"]
        message = self._world.new_message(channel_id, interaction.scene, flags)
        message.asked_by = interaction
        self._fill(message, payload, files)
        interaction.followups.append(message)
        return message_json(message)

    def get_answer(self, interaction: Interaction, which: str) -> Json:
        return message_json(self._answer(interaction, which))

    def edit_answer(
        self, interaction: Interaction, which: str, payload: Json, files: Files
    ) -> Json:
        message = self._answer(interaction, which)
        self._world.count_edit_of(message)
        self._fill(message, payload, files)
        return message_json(message)

    def delete_answer(self, interaction: Interaction, which: str) -> None:
        self._delete(self._answer(interaction, which))

    def _answer(self, interaction: Interaction, which: str) -> Message:
        own = [*([interaction.message] if interaction.message else []), *interaction.followups]
        for message in own:
            is_wanted = message.id == which or (which == ORIGINAL and message is own[0])
            if is_wanted and not message.is_deleted and interaction.message:
                return message
        raise ApiError(404, 10008, "Unknown Message")

    # ------------------------------------------------------ messages by the bot itself

    def post(self, channel_id: str, _message_id: str, payload: Json, files: Files) -> Json:
        self._check_channel(channel_id, SEND_MESSAGES | (ATTACH_FILES if files else 0))
        if payload.get("enforce_nonce"):
            if len(str(payload["nonce"])) > 25:
                raise ApiError(400, 50035, "nonce: Must be 25 or fewer in length.")
            for earlier in self._world.posts:
                if (earlier.channel_id, earlier.nonce) == (channel_id, payload["nonce"]):
                    return message_json(earlier)
        message = self._world.new_message(channel_id, self._scene_of(channel_id))
        self._fill(message, payload, files)
        message.nonce = payload.get("nonce")
        message.reference = payload.get("message_reference")
        self._world.posts.append(message)
        return message_json(message)

    def get(self, channel_id: str, message_id: str, _payload: Json, _files: Files) -> Json:
        self._check_channel(channel_id, 0)
        return message_json(self._public(channel_id, message_id))

    def edit(self, channel_id: str, message_id: str, payload: Json, files: Files) -> Json:
        self._check_channel(channel_id, ATTACH_FILES if files else 0)
        message = self._public(channel_id, message_id)
        if message.author_id != APPLICATION_ID:
            raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        self._world.count_edit_of(message)
        self._fill(message, payload, files)
        return message_json(message)

    def delete(self, channel_id: str, message_id: str, _payload: Json, _files: Files) -> None:
        self._check_channel(channel_id, 0)
        message = self._public(channel_id, message_id)
        may_moderate = self._world.permissions_in(channel_id) & MANAGE_MESSAGES
        if message.author_id != APPLICATION_ID and not may_moderate:
            raise ApiError(403, 50013, "Missing Permissions")
        self._delete(message)

    def _check_channel(self, channel_id: str, needed: int) -> None:
        partner = self._world.dm_partner(channel_id)
        if partner in self._world.closed_dms:
            raise ApiError(403, 50007, "Cannot send messages to this user")
        has = self._world.permissions_in(channel_id)
        if not has & VIEW_CHANNEL:
            raise ApiError(403, 50001, "Missing Access")
        if has & needed != needed:
            raise ApiError(403, 50013, "Missing Permissions")

    def _scene_of(self, channel_id: str) -> Scene:
        partner = self._world.dm_partner(channel_id)
        if partner is None:
            return Scene(channel_id=channel_id)
        return Scene(channel_id=channel_id, user_id=partner, place="dm")

    def _public(self, channel_id: str, message_id: str) -> Message:
        message = self._world.messages.get(message_id)
        if message is None or message.channel_id != channel_id or message.is_ephemeral:
            raise ApiError(404, 10008, "Unknown Message")
        return message

    # ------------------------------------------------------------------------- both

    def _delete(self, message: Message) -> None:
        message.is_deleted = True
        self._world.messages.pop(message.id, None)

    def _fill(self, message: Message, payload: Json, files: Files) -> None:
        """Change ``message`` as ``payload`` says, or refuse and leave it as it is."""
        wanted = payload.get("flags") or 0
        flags = message.flags & ~LOADING | wanted & (COMPONENTS_V2 | SUPPRESSED)
        content = payload.get("content", message.content) or ""
        components: list[Any] = payload.get("components", message.components) or []
        embeds: list[Any] = payload.get("embeds", message.embeds) or []
        attachments = self._attachments(message, payload, files)
        check_message(content, components, attachments, is_v2=is_v2(flags))
        if is_v2(flags) and embeds:
            raise ApiError(400, 50035, "Invalid Form Body: embeds beside components v2")
        if not (content or components or attachments or embeds):
            raise ApiError(400, 50006, "Cannot send an empty message")
        message.flags, message.content = flags, content
        message.components, message.attachments = components, attachments
        message.embeds = embeds
        message.allowed_mentions = payload.get("allowed_mentions")
        message.seen.append(message.text)
        message.edited_at_s.append(asyncio.get_running_loop().time())

    def _attachments(self, message: Message, payload: Json, files: Files) -> list[Attachment]:
        described: list[Json] | None = payload.get("attachments")
        if described is None:
            described = [{"id": a.id} for a in message.attachments]
            described += [{"id": number} for number in files]
        kept = {attachment.id: attachment for attachment in message.attachments}
        found: list[Attachment] = []
        for item in described:
            if str(item["id"]) in kept:
                found.append(kept[str(item["id"])])
            elif int(item["id"]) in files:
                filename, data = files[int(item["id"])]
                description = item.get("description")
                found.append(self._world.upload(message.channel_id, filename, data, description))
            else:
                raise ApiError(400, 50035, f"Invalid Form Body: no attachment {item['id']}")
        return found
