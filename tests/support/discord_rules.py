"""Discord's rules of what a message may hold and what a person may send, and its JSON forms.

Source: Discord API documentation v10, "Message", "Components", "Application Commands".
"""

from __future__ import annotations

import mimetypes
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.discord_scene import (
    APPLICATION_ID,
    BOT_USER,
    COMPONENTS_V2,
    MEDIA_GALLERY,
    TEXT_DISPLAY,
)
from tests.support.discord_state import ApiError, walk

if TYPE_CHECKING:
    from datetime import datetime

    from tests.support.discord_scene import Json, Scene
    from tests.support.discord_state import Attachment, Message


# ------------------------------------------------------------------- what a message may hold


def check_message(
    content: str, components: list[Json], attachments: list[Attachment], *, is_v2: bool
) -> None:
    """Refuse what Discord refuses, with its status and code.

    Raises:
        ApiError: 400.
    """
    for rule, is_kept in _rules(content, components, attachments, is_v2=is_v2).items():
        if not is_kept:
            raise ApiError(400, 50035, f"Invalid Form Body: {rule}")


def _rules(
    content: str, components: list[Json], attachments: list[Attachment], *, is_v2: bool
) -> dict[str, bool]:
    parts = walk(components)
    texts = [part["content"] for part in parts if part["type"] == TEXT_DISPLAY]
    galleries = [part["items"] for part in parts if part["type"] == MEDIA_GALLERY]
    shown = media_of(components)
    uploaded = {attachment.uri for attachment in attachments}
    urls = {attachment.url for attachment in attachments}
    custom_ids = Counter(part["custom_id"] for part in parts if "custom_id" in part)
    rows = [part["components"] for part in parts if part["type"] == 1]
    return {
        "content cannot be used with components v2": not (is_v2 and content),
        "components v2 need their flag": is_v2 or all(part["type"] < 9 for part in parts),
        "Must be 2000 or fewer in length.": len(content) <= 2000,
        "no more than 40 components": len(parts) <= 40,
        "texts of at most 4000 characters": sum(map(len, texts)) <= 4000,
        "texts that are not empty": all(texts),
        "galleries of 1 to 10": all(1 <= len(items) <= 10 for items in galleries),
        "rows of 1 to 5": all(1 <= len(row) <= 5 for row in rows),
        "one menu in a row": all(row[0]["type"] == 2 or len(row) == 1 for row in rows),
        "at most 5 rows": is_v2 or len(components) <= 5,
        "ids of their own": all(count == 1 for count in custom_ids.values()),
        "at most 10 attachments": len(attachments) <= 10,
        "alt texts of at most 1024": all(len(a.description or "") <= 1024 for a in attachments),
        "pictures that were uploaded": all(
            uri in uploaded for uri in shown if uri.startswith("attachment://")
        ),
        "files with names of their own": len(uploaded) == len(attachments),
        "files that are shown": not is_v2
        or all(a.uri in shown or a.url in shown for a in attachments),
        "links that go somewhere": all(
            uri.startswith(("attachment://", "https://")) or uri in urls for uri in shown
        ),
    }


def media_of(components: list[Json]) -> list[str]:
    """The addresses of all pictures and files shown by components."""
    found: list[str] = []
    for part in walk(components):
        found += [item["media"]["url"] for item in part.get("items", ()) if "media" in item]
        found += [part[key]["url"] for key in ("media", "file") if key in part]
    return found


# ------------------------------------------------------------------------------ JSON forms


def user_json(user_id: str) -> Json:
    if user_id == APPLICATION_ID:
        return BOT_USER
    return {"id": user_id, "username": f"user{user_id}", "discriminator": "0", "avatar": None}


def message_json(message: Message) -> Json:
    return {
        "id": message.id,
        "channel_id": message.channel_id,
        "type": 0,
        "author": user_json(message.author_id),
        "content": message.content,
        "timestamp": message.sent_at.isoformat(),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [attachment_json(attachment) for attachment in message.attachments],
        "embeds": message.embeds,
        "components": shown_components(message),
        "pinned": False,
        "flags": message.flags,
        **_cause_json(message),
    }


def _cause_json(message: Message) -> Json:
    """Which interaction a message answers, and whose it was."""
    cause = message.asked_by
    if cause is None:
        return {}
    return {
        "interaction_metadata": {
            "id": cause.id,
            "type": cause.payload["type"],
            "user": user_json(cause.scene.user_id),
            "authorizing_integration_owners": cause.scene.owners,
        }
    }


def attachment_json(attachment: Attachment) -> Json:
    kind, _ = mimetypes.guess_type(attachment.filename)
    return {
        "id": attachment.id,
        "filename": attachment.filename,
        "description": attachment.description,
        "size": len(attachment.data),
        "url": attachment.url,
        "proxy_url": attachment.url,
        "content_type": kind,
        **({"width": 16, "height": 16} if (kind or "").startswith("image/") else {}),
    }


def shown_components(message: Message) -> list[Json]:
    """Components as Discord gives them back: numbered, with links instead of uploads."""
    uploaded = {attachment.uri: attachment for attachment in message.attachments}
    numbers = iter(range(1, 1000))

    def shown(value: Json) -> Json:
        if isinstance(value, list):
            return [shown(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(value, dict):
            return value
        inner: dict[str, Json] = {key: shown(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
        if "type" in inner:
            inner["id"] = inner.get("id") or next(numbers)
        if isinstance(url := inner.get("url"), str) and url in uploaded:
            found = uploaded[url]
            inner |= {"url": found.url, "proxy_url": found.url, "attachment_id": found.id}
        return inner

    return shown(message.components)


def who_and_where(scene: Scene, now: datetime) -> Json:
    """The part of an interaction that tells of a person and a place."""
    user = user_json(scene.user_id)
    if scene.context in {1, 2}:
        channel = {"id": scene.channel_id, "type": 1, "recipients": [user], "flags": 0}
        if scene.context == 2:
            channel |= {"recipients": [user, user_json("77")]}
        return {"user": user, "channel": channel, "channel_id": scene.channel_id}
    return {
        "guild_id": scene.guild_id,
        "guild": {"id": scene.guild_id, "locale": scene.guild_locale, "features": []},
        "guild_locale": scene.guild_locale,
        "channel_id": scene.channel_id,
        "channel": channel_json(scene.channel_id, scene.guild_id, is_nsfw=scene.is_nsfw),
        "member": {"user": user, **member_json(scene, now)},
    }


def channel_json(channel_id: str, guild_id: str, *, is_nsfw: bool = False) -> Json:
    return {
        "id": channel_id,
        "type": 0,
        "guild_id": guild_id,
        "name": "pictures",
        "position": 0,
        "permission_overwrites": [],
        "nsfw": is_nsfw,
        "parent_id": None,
        "topic": None,
        "flags": 0,
    }


def member_json(scene: Scene, now: datetime) -> Json:
    return {
        "roles": list(scene.member_roles),
        "permissions": str(scene.member_permissions),
        "joined_at": now.isoformat(),
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def is_v2(flags: int) -> bool:
    return bool(flags & COMPONENTS_V2)
