"""What Discord's client offers a person, and lets them send.

Source: Discord API documentation v10, "Application Commands", "Components".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.discord_rules import channel_json, member_json, user_json
from tests.support.discord_scene import ADMINISTRATOR
from tests.support.discord_state import name_of, walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tests.support.discord_scene import Json, Scene

SUB_COMMAND, SUB_COMMAND_GROUP, USER, CHANNEL, ROLE = 1, 2, 6, 7, 8


def check_usable(command: Json, scene: Scene) -> None:
    """Fail the test where Discord would not offer this command to this person."""
    name = command["name"]
    contexts = command.get("contexts")
    assert contexts is None or scene.context in contexts, f"{name} is not offered there"
    brought_by = {int(kind) for kind in scene.owners}
    installs = command.get("integration_types") or [0]
    assert brought_by & set(installs), f"{name} is not installed that way"
    assert scene.is_nsfw or not command.get("nsfw"), f"{name} needs an age-restricted channel"
    needed = int(command.get("default_member_permissions") or 0)
    has = scene.member_permissions
    is_allowed = scene.context != 0 or has & ADMINISTRATOR or needed & has == needed
    assert is_allowed, f"{name} is hidden from this person"


def options_json(command: Json, path: Sequence[str], values: Mapping[str, Json]) -> Json:
    """The options of a command as its clients send them, inside their sub-commands."""
    if not path:
        _check_options(command, values)
        return [
            {"name": name, "value": value, "type": option_of(command, name)["type"]}
            for name, value in values.items()
        ]
    inner = option_of(command, path[0])
    assert inner["type"] in {SUB_COMMAND, SUB_COMMAND_GROUP}
    nested = options_json(inner, path[1:], values)
    return [{"name": inner["name"], "type": inner["type"], "options": nested}]


def leaf_of(command: Json, path: Sequence[str]) -> Json:
    for name in path:
        command = option_of(command, name)
    return command


def _check_options(command: Json, values: Mapping[str, Json]) -> None:
    for option in command.get("options", ()):
        is_given = option["name"] in values or not option.get("required")
        assert is_given, f"{option['name']} is missing"
    for name, value in values.items():
        option = option_of(command, name)
        if choices := option.get("choices"):
            assert value in [choice["value"] for choice in choices], f"{value} is no {name}"
        if isinstance(value, bool):
            continue
        size = len(value) if isinstance(value, str) else value
        low = option.get("min_length", option.get("min_value", size))
        high = option.get("max_length", option.get("max_value", size))
        assert low <= size <= high, f"{name} must be between {low} and {high}"


def option_of(command: Json, name: str) -> Json:
    known = {option["name"]: option for option in command.get("options", ())}
    assert name in known, f"{command['name']} has no {name}, only {', '.join(known)}"
    return known[name]


def resolved_json(command: Json, values: Mapping[str, Json], now: datetime, scene: Scene) -> Json:
    """What Discord knows about the people, channels and roles that options name."""
    resolved: dict[str, dict[str, Json]] = {"users": {}, "members": {}, "channels": {}, "roles": {}}
    for name, value in values.items():
        match option_of(command, name)["type"]:
            case kind if kind == USER:
                resolved["users"][value] = user_json(value)
                resolved["members"][value] = member_json(scene, now)
            case kind if kind == CHANNEL:
                resolved["channels"][value] = channel_json(value, scene.guild_id) | {
                    "permissions": str(scene.member_permissions)
                }
            case kind if kind == ROLE:
                resolved["roles"][value] = role_json(value)
            case _:
                pass
    return {key: found for key, found in resolved.items() if found}


def role_json(role_id: str) -> Json:
    return {
        "id": role_id,
        "name": f"role{role_id}",
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 1,
        "permissions": "0",
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }


def component_of(components: list[Json], wanted: str) -> Json:
    """The one component with this label, emoji or custom id (or the beginning of one)."""
    parts = [part for part in walk(components) if part.get("custom_id")]
    exact = [part for part in parts if wanted in (name_of(part), part["custom_id"])]
    exact = exact or [part for part in parts if label_of(components, part) == wanted]
    found = exact or [part for part in parts if part["custom_id"].startswith(wanted)]
    names = [f"{name_of(part)} ({part['custom_id']})" for part in parts]
    assert len(found) == 1, f"{len(found)} components are called {wanted}: {names}"
    return found[0]


def label_of(components: list[Json], component: Json) -> str | None:
    """The text of the label around a component of a dialog."""
    labels = [part for part in walk(components) if part.get("component") == component]
    return labels[0].get("label") if labels else None
