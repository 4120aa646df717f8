"""What an admin reads, on the admin page and at the command line; said once, for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

ADMIN_NO_OBJECT: Final = "The request must be a JSON object."
ADMIN_PAUSED: Final = "Paused: nothing is accepted. What was accepted before is still drawn."
ADMIN_RESUMED: Final = "Resumed: requests are accepted again."


def admin_field_wrong(name: str) -> str:
    """Refuse a field of a form."""
    return f"The field {name} is missing or cannot be right."


def admin_no_platform(platforms: Iterable[str]) -> str:
    """Name the platforms there are."""
    return f"The platform must be one of {', '.join(platforms)}."


def moment(of: datetime) -> str:
    """Tell a moment to the minute: 2026-06-09 15:00 UTC."""
    return f"{of:%Y-%m-%d %H:%M} UTC"


def admin_blocked(platform: str, person: str, until: datetime | None) -> str:
    """Say that a block holds."""
    end = "until an admin unblocks them" if until is None else f"until {moment(until)}"
    return f"{platform}/{person} is blocked {end}."


def admin_unblocked(platform: str, person: str, *, was_blocked: bool) -> str:
    """Say that a block is over, or never was."""
    return f"{platform}/{person} {'may ask again' if was_blocked else 'was not blocked'}."


def admin_cancelled(job_id: str) -> str:
    """Say that a request was given up."""
    return f"Request {job_id} is given up; its pictures were given back."


def admin_granted(platform: str, of: str, tier: str) -> str:
    """Say which tier somebody has now."""
    return f"{platform}/{of} has {f'the tier {tier}' if tier else 'no tier any more'}."


def admin_limited(platform: str, community: str) -> str:
    """Say that the limits of a community are other ones now."""
    return f"The limits of {platform}/{community} are changed."


def admin_report_closed(id_: int, *, was_open: bool) -> str:
    """Say that a report is closed."""
    return f"Report {id_} is closed." if was_open else f"Report {id_} was not open."


def admin_no_report(id_: int) -> str:
    """Say that there is no such report."""
    return f"There is no report {id_}."


def admin_pictures_removed(platform: str, count: int) -> str:
    """Say which pictures are gone, and where they may still be seen."""
    if count == 0:
        return "Nothing was left to remove. The report is closed."
    gone = "1 picture is" if count == 1 else f"{count} pictures are"
    posted = _STILL_POSTED.get(platform, "")
    return f"{gone} removed for good, and the report is closed.{posted}"


_STILL_POSTED: Final = {
    "discord": " The message on Discord stays until a moderator deletes it there.",
    "x": " The reply on X stays until you delete it there.",
    "terminal": " The files that it wrote stay where they are.",
}


def admin_files_not_removed(reason: str) -> str:
    """Say that files stand in the way."""
    return (
        f"The files of these pictures cannot be removed ({reason}), so nothing was: see to the "
        "folder pictures in DATA_DIR, then try again."
    )


# ---------------------------------------------------------------------------- imagine check

DISCORD_CHECK_OFF: Final = "off (no token)"
CLOCK_RIGHT: Final = "right"
CLOCK_ALONE: Final = "not compared (no platform is set up)"
CLOCK_NOT_COMPARED: Final = "not compared (no platform can be reached)"

_UNIT: Final = 1_000
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def in_units(size_bytes: int) -> str:
    """Tell a size as people do: 12.3 GB."""
    size, unit = float(size_bytes), 0
    while size >= _UNIT and unit < len(_UNITS) - 1:
        size, unit = size / _UNIT, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size_bytes} bytes"


def disk_too_small(folder: str, free_bytes: int, *, growth_bytes: int) -> str:
    """Warn that the disk is smaller than what the settings let the database grow to."""
    return (
        f"The folder {folder} has {in_units(free_bytes)} left, but the database may grow by "
        f"{in_units(growth_bytes)}: make room, set DATA_DIR to a larger disk, or lower "
        "BOT_DAILY_PICTURES or HISTORY_DAYS."
    )


def disk_nearly_full(folder: str, free_bytes: int) -> str:
    """Warn before the database fails."""
    return (
        f"The folder {folder} has only {in_units(free_bytes)} left: make room, or set DATA_DIR to "
        "a larger disk."
    )


def disk_has_room(folder: str, free_bytes: int, *, growth_bytes: int | None) -> str:
    """Tell how much room there is, and how much of it the settings can use up."""
    room = f"{in_units(free_bytes)} free in {folder}"
    if growth_bytes is None:
        return room
    return f"{room}, of which the database may take {in_units(growth_bytes)}"


def clock_wrong(skew_s: float) -> str:
    """Say by how much the clock is wrong."""
    side = "ahead" if skew_s > 0 else "behind"
    return (
        f"The clock of this machine is {abs(skew_s):.0f} s {side}: let it be set by the network "
        "(timedatectl set-ntp true)."
    )


def discord_checked(
    name: str,
    *,
    is_for_users: bool,
    server_count: int,
    lacking: Mapping[str, Iterable[str]],
    surplus_intents: Sequence[str],
) -> str:
    """Say who the bot is on Discord, where it is, and what could be better there.

    Args:
        name: Of the bot.
        is_for_users: Whether people can take it along.
        server_count: How many servers it is in.
        lacking: The permissions that it lacks, by server.
        surplus_intents: The privileged intents that are on and not needed.
    """
    servers = "1 server" if server_count == 1 else f"{server_count:,} servers"
    parts = [f"{name}, in {servers}"]
    if not is_for_users:
        parts.append("people cannot take it along (User Install is off)")
    if lacking:
        told = "; ".join(f"{where}: {', '.join(what)}" for where, what in lacking.items())
        parts.append(f"its role there lacks permissions ({told})")
    if surplus_intents:
        intents = ", ".join(surplus_intents)
        parts.append(f"privileged intents are on that it does not need ({intents})")
    return "; ".join(parts)


def discord_endpoint_set(name: str) -> str:
    """Say that commands are sent elsewhere."""
    return (
        f"{name} is accepted, but Discord sends its commands to a web address instead of this bot: "
        "clear Interactions Endpoint URL under General Information at "
        "https://discord.com/developers/applications."
    )


def discord_code_grant_needed(name: str) -> str:
    """Say that no install link can work."""
    return (
        f"{name} is accepted, but nobody can install it: turn off Requires OAuth2 Code Grant "
        "under Bot at https://discord.com/developers/applications."
    )


def discord_install_lacks(name: str, missing: Iterable[str]) -> str:
    """Say what the install link does not grant."""
    return (
        f"{name} is accepted, but its install link lacks {', '.join(missing)}: add it under "
        "Installation at https://discord.com/developers/applications and open the link again."
    )


def database_checked(kind: str, unfinished_count: int) -> str:
    """Say which database it is and what waits in it."""
    requests = "request" if unfinished_count == 1 else "requests"
    return f"{kind}, {unfinished_count:,} unfinished {requests}"


# ---------------------------------------------------------------------------- imagine bench

BENCH_WHAT: Final = "what"
BENCH_MEDIAN: Final = "median"
BENCH_RATE: Final = "pictures a minute"


def bench_of(
    *,
    model: str,
    devices: str,
    dtype: str,
    slot_count: int,
    processor: str,
    core_count: int,
    jax: str,
) -> str:
    """Say what is measured, and on what."""
    return (
        f"Model {model}, devices {devices}, numbers {dtype}, {slot_count} slots, JAX {jax}, "
        f"{core_count} cores of {processor}. The machine should be quiet."
    )


# ---------------------------------------------------------------------------- imagine admin

ADMIN_IS_OPEN: Final = "Open: requests are accepted."


def admin_who_wrong(text: str, platforms: Iterable[str]) -> str:
    """Say how somebody is named."""
    names = ", ".join(platforms)
    return f"{text!r} names nobody: write PLATFORM/ID, where the platform is one of {names}."


def admin_times(hours: int, people_count: int, shares: Mapping[str, float]) -> str:
    """Say how many asked, and how long they waited."""
    people = "1 person" if people_count == 1 else f"{people_count:,} people"
    asked = f"{people} asked in the last {hours} h."
    if not shares:
        return f"{asked} Nothing was delivered."
    within = ", ".join(f"{share} within {seconds:.1f} s" for share, seconds in shares.items())
    return f"{asked} Delivered: {within}."


def admin_community_limits(
    name: str, *, daily: int | None, jobs: int | None, is_paused: bool
) -> str:
    """Tell the limits of a community."""
    pictures = "as the settings say" if daily is None else f"{daily:,}"
    requests = "as the settings say" if jobs is None else f"{jobs:,}"
    state = " Nothing is accepted there." if is_paused else ""
    return f"{name}: pictures a day {pictures}, requests at once {requests}.{state}"


def admin_exported(path: str) -> str:
    """Say where an export is."""
    return f"Written to {path}."


def admin_sure(who: str) -> str:
    """Ask before something is gone for good."""
    return f"Delete everything that is stored about {who}?"


def admin_deleted(who: str, job_count: int) -> str:
    """Say what is gone."""
    requests = "1 request" if job_count == 1 else f"{job_count:,} requests"
    its = "its" if job_count == 1 else "their"
    return (
        f"Deleted: {requests} of {who} with {its} pictures, and what else is kept about them. What "
        "stays, and why: docs/privacy.md."
    )


def admin_purged(job_count: int) -> str:
    """Say what was forgotten."""
    requests = "1 old request" if job_count == 1 else f"{job_count:,} old requests"
    return f"Forgotten: {requests}."
