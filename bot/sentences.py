"""Every sentence that a person can see, in one place; in other languages only on Discord.

Each adapter's own sentences stand in a section of their own at the end of the file; what
they share is at the top. No logic beyond choosing and filling in words.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from bot.jobs import (
    BlockedError,
    ClosingError,
    CrashedError,
    DeliveryError,
    DuplicateEventError,
    InvalidRuleError,
    ModeratedError,
    NotCancellableError,
    OverBurstError,
    OverQuotaError,
    PausedError,
    PlaceRefusedError,
    RefusedError,
    TooManyJobsError,
    UnavailableError,
    UndeliverableError,
    UnknownPictureError,
)
from bot.phrases import GRAMMARS, fill
from engine.api import (
    CheckpointError,
    Drawing,
    DrawingFailedError,
    EngineBusyError,
    EngineClosedError,
    EngineError,
    InvalidRequestError,
    PicturesWithheldError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from bot.phrases import Phrase, Say
    from engine.api import Queued

    When = Callable[[datetime], str]
    Explanation = str | Callable[[Exception, datetime, When, Say], str]

# ---------------------------------------------------------------- refusals and failures


def explain(
    error: Exception, now: datetime, *, when: When | None = None, say: Say | None = None
) -> str:
    """Say in a sentence or two what went wrong and what to do about it.

    Args:
        error: What ``submit``, the engine or a delivery raised. An error without a row in
            ``EXPLANATIONS`` gets the row of its nearest base class.
        now: The present, aware.
        when: Renders a later moment the way the platform does; by default
            "at 00:00 UTC, in 3 h 12 min".
        say: Fills in the phrases of ``REASONS`` in another language than English.
    """
    row = next(EXPLANATIONS[kind] for kind in type(error).__mro__ if kind in EXPLANATIONS)
    say = say or in_english
    if isinstance(row, str):
        return say(row)
    return row(error, now, when or (lambda moment: in_words(moment, now)), say)


def in_english(key: str, /, **values: str | int) -> str:
    """Fill in a phrase of ``REASONS``."""
    return fill(REASONS[key], GRAMMARS["en"], values)


def in_words(moment: datetime, now: datetime) -> str:
    """Render a coming moment: "at 00:00 UTC, in 3 h 12 min". Minutes are rounded up."""
    minutes = max(1, -((now - moment) // timedelta(minutes=1)))
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes or not hours else []
    return f"at {moment:%H:%M} UTC, in {' '.join(parts)}"


def pictures(count: int) -> str:
    """Count pictures: "1 picture", "9 pictures"."""
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"


def _over_quota(error: Exception, now: datetime, when: When, say: Say) -> str:
    refusal = cast("OverQuotaError", error)
    reopens, allowance = when(refusal.reopens_at or now), refusal.allowance_count
    if refusal.left_count == 0:
        return say(f"reason_day_over_{refusal.scope}", count=allowance, when=reopens)
    left = refusal.left_count
    return say(f"reason_day_short_{refusal.scope}", count=left, allowance=allowance, when=reopens)


def _over_burst(error: Exception, now: datetime, when: When, say: Say) -> str:
    refusal = cast("OverBurstError", error)
    again = when(refusal.reopens_at or now)
    if refusal.left_count == 0:
        return say(f"reason_burst_over_{refusal.scope}", when=again)
    return say(f"reason_burst_short_{refusal.scope}", left=refusal.left_count, when=again)


def _too_many_jobs(error: Exception, _now: datetime, _when: When, say: Say) -> str:
    refusal = cast("TooManyJobsError", error)
    return say(f"reason_jobs_{refusal.scope}", count=refusal.allowance_count)


def _blocked(error: Exception, _now: datetime, when: When, say: Say) -> str:
    refusal = cast("BlockedError", error)
    where = "everywhere" if refusal.is_everywhere else "here"
    if refusal.until is None:
        return say(f"reason_blocked_{where}")
    return say(f"reason_blocked_{where}_until", when=when(refusal.until))


def _paused(error: Exception, _now: datetime, _when: When, say: Say) -> str:
    is_everywhere = cast("PausedError", error).is_everywhere
    return say("reason_paused_everywhere" if is_everywhere else "reason_paused_here")


def _engine_busy(error: Exception, now: datetime, when: When, say: Say) -> str:
    again = now + timedelta(seconds=cast("EngineBusyError", error).retry_after_s)
    return say("reason_busy", when=when(again))


def _moderated(error: Exception, _now: datetime, _when: When, say: Say) -> str:
    refusal = cast("ModeratedError", error)
    if refusal.code not in NOT_DRAWN:
        return say("reason_moderated")
    what = say(f"not_drawn_{refusal.code}")
    if refusal.code in _MAY_NEED_HELP:
        return say("reason_moderated_help", what=what)
    return say("reason_moderated_grave" if refusal.is_grave else "reason_moderated_here", what=what)


def _in_its_own_words(error: Exception, _now: datetime, _when: When, say: Say) -> str:
    return say("reason_invalid", told=str(error))


_SECONDS_UP_TO: Final = 100
NOTHING_TAKEN: Final = "Nothing was taken from your allowance."
POSTPONED: Final = (
    "The bot had to stop before your pictures were done. Wait here: it carries on by itself "
    "when its admin has started it again."
)

# What is not drawn, by the code of a rule in bot/moderation/rules; a test fails if one is missing.
NOT_DRAWN: Final[Mapping[str, str]] = {
    "sexual_minor": "anyone sexually who is a child or may be taken for one",
    "sexual_youth": "anyone sexually who is a child or may be taken for one",
    "sexual_violence": "sexual violence",
    "sexual_animal": "sex with animals",
    "real_person_sexual": "real people naked or sexually",
    "hate": "hatred against people for what they are",
    "hate_symbol": "symbols of hatred",
    "slur": "insults against people for what they are",
    "extremism": "anything in favour of terror or tyranny",
    "mass_murder": "mass murder",
    "terror": "terror",
    "nazi": "the figures of tyranny",
    "self_harm": "self-harm",
    "suicide": "suicide",
    "sexual": "sex",
    "nudity": "nudity",
    "suggestive": "sexual hints",
    "real_person_violent": "violence against real people",
    "violence_minor": "violence against children",
    "cruelty": "cruelty to animals",
    "gore": "open wounds or cruelty",
    "violence": "violence",
    "drugs": "drugs",
}
_MAY_NEED_HELP: Final = frozenset({"self_harm", "suicide"})
_OTHER_WORDS: Final = "Put it in other words, or describe something else. " + NOTHING_TAKEN

# What is said of an error, by key: phrases with gaps, and plural forms where they count
# (bot.phrases). Other languages than English are the adapters' matter.
REASONS: Final[Mapping[str, Phrase]] = {
    "reason_refused": "The bot does not accept this request. " + NOTHING_TAKEN,
    "reason_day_over_person": {
        "one": "Today's allowance of {count} picture is used up. It reopens {when}.",
        "other": "Today's allowance of {count} pictures is used up. It reopens {when}.",
    },
    "reason_day_over_community": {
        "one": "Today's allowance of {count} picture for everybody here is used up. "
        "It reopens {when}.",
        "other": "Today's allowance of {count} pictures for everybody here is used up. "
        "It reopens {when}.",
    },
    "reason_day_over_bot": {
        "one": "Today's allowance of {count} picture for all people of this bot is used up. "
        "It reopens {when}.",
        "other": "Today's allowance of {count} pictures for all people of this bot is used up. "
        "It reopens {when}.",
    },
    "reason_day_short_person": {
        "one": "You have {count} picture left today, out of {allowance}. Ask for at most "
        "{count}, or come back when your allowance reopens {when}.",
        "other": "You have {count} pictures left today, out of {allowance}. Ask for at most "
        "{count}, or come back when your allowance reopens {when}.",
    },
    "reason_day_short_community": {
        "one": "Everybody here together has {count} picture left today, out of {allowance}. "
        "Ask for at most {count}, or come back when that allowance reopens {when}.",
        "other": "Everybody here together has {count} pictures left today, out of {allowance}. "
        "Ask for at most {count}, or come back when that allowance reopens {when}.",
    },
    "reason_day_short_bot": {
        "one": "All people of this bot together have {count} picture left today, out of "
        "{allowance}. Ask for at most {count}, or come back when that allowance reopens {when}.",
        "other": "All people of this bot together have {count} pictures left today, out of "
        "{allowance}. Ask for at most {count}, or come back when that allowance reopens {when}.",
    },
    "reason_burst_over_person": "You have asked for many pictures in a short time. "
    "Try again {when}. " + NOTHING_TAKEN,
    "reason_burst_over_community": "People here have asked for many pictures in a short time. "
    "Try again {when}. " + NOTHING_TAKEN,
    "reason_burst_over_bot": "People have asked this bot for many pictures in a short time. "
    "Try again {when}. " + NOTHING_TAKEN,
    "reason_burst_short_person": "You have asked for many pictures in a short time. "
    "Ask for at most {left} now, or try again {when}.",
    "reason_burst_short_community": "People here have asked for many pictures in a short time. "
    "Ask for at most {left} now, or try again {when}.",
    "reason_burst_short_bot": "People have asked this bot for many pictures in a short time. "
    "Ask for at most {left} now, or try again {when}.",
    "reason_jobs_person": {
        "one": "{count} request is waiting or being drawn for you, and more are not allowed at "
        "once. Try again when one is done. " + NOTHING_TAKEN,
        "other": "{count} requests are waiting or being drawn for you, and more are not allowed "
        "at once. Try again when one is done. " + NOTHING_TAKEN,
    },
    "reason_jobs_community": {
        "one": "{count} request is waiting or being drawn for people here, and more are not "
        "allowed at once. Try again when one is done. " + NOTHING_TAKEN,
        "other": "{count} requests are waiting or being drawn for people here, and more are not "
        "allowed at once. Try again when one is done. " + NOTHING_TAKEN,
    },
    "reason_jobs_bot": {
        "one": "{count} request is waiting or being drawn at this bot, and more are not allowed "
        "at once. Try again when one is done. " + NOTHING_TAKEN,
        "other": "{count} requests are waiting or being drawn at this bot, and more are not "
        "allowed at once. Try again when one is done. " + NOTHING_TAKEN,
    },
    "reason_unavailable": "The bot cannot accept requests at the moment. Please try again later; "
    "its admin finds the reason in the log. " + NOTHING_TAKEN,
    "reason_blocked_everywhere": "An admin has blocked you from asking this bot for pictures.",
    "reason_blocked_everywhere_until": "An admin has blocked you from asking this bot for "
    "pictures. That ends {when}.",
    "reason_blocked_here": "An admin has blocked you from asking the bot here for pictures.",
    "reason_blocked_here_until": "An admin has blocked you from asking the bot here for "
    "pictures. That ends {when}.",
    "reason_paused_everywhere": "Drawing is paused by an admin. Please try again later. "
    + NOTHING_TAKEN,
    "reason_paused_here": "Drawing is paused here by an admin. Please try again later. "
    + NOTHING_TAKEN,
    "reason_other_channels": "Pictures may be asked for only in other channels of this place. "
    + NOTHING_TAKEN,
    "reason_moderated": "The bot does not draw this. Please describe something else. "
    + NOTHING_TAKEN,
    "reason_moderated_here": "The bot does not draw {what} here. " + _OTHER_WORDS,
    "reason_moderated_grave": "The bot does not draw {what}. " + _OTHER_WORDS,
    "reason_moderated_help": "The bot does not draw {what}. If it is about you, please talk to "
    "somebody you trust, or to a crisis line: they listen at any hour. You can always ask for "
    "another picture.",
    **{f"not_drawn_{code}": what for code, what in NOT_DRAWN.items()},
    "reason_unknown_picture": "Nothing is kept of these pictures any more. Ask for new ones with "
    "the same words.",
    "reason_duplicate": "This request was accepted before; it is answered only once.",
    "reason_closing": "The bot is restarting and takes no requests just now. "
    "Try again in a minute.",
    "reason_not_cancellable": "There is nothing to cancel: the pictures are done or on their "
    "way, or the request is not yours.",
    "reason_crashed": "The bot broke down twice while it drew this, so it has given up. "
    "Try other words or another seed. " + NOTHING_TAKEN,
    "reason_failed": "The pictures could not be drawn. Please try again. " + NOTHING_TAKEN,
    "reason_withheld": "The pictures were drawn, but the bot takes them for ones that should not "
    "be shown. Try other words or another seed. " + NOTHING_TAKEN,
    "reason_invalid": "{told}",
    "reason_checkpoint": "The bot cannot draw at the moment because its model is not usable. "
    "Its admin finds the reason in the log. " + NOTHING_TAKEN,
    "reason_busy": "Too many pictures are waiting to be drawn just now. Try again {when}. "
    + NOTHING_TAKEN,
    "reason_postponed": POSTPONED,
    "reason_not_delivered": "The pictures were drawn but could not be sent here. "
    "Please try again later. " + NOTHING_TAKEN,
    "reason_undeliverable": "The pictures were drawn but may not or can no longer be sent here. "
    "Ask again where the bot is allowed to post pictures. " + NOTHING_TAKEN,
    "reason_unforeseen": "Something went wrong on the bot's side. Please try again later; "
    "its admin finds the reason in the log.",
}

# One row per error class: a key of REASONS, or a function that chooses and fills in one. A
# test fails if an error of engine.api or bot.jobs has none.
EXPLANATIONS: Final[Mapping[type, Explanation]] = {
    RefusedError: "reason_refused",
    OverQuotaError: _over_quota,
    OverBurstError: _over_burst,
    TooManyJobsError: _too_many_jobs,
    UnavailableError: "reason_unavailable",
    BlockedError: _blocked,
    PausedError: _paused,
    PlaceRefusedError: "reason_other_channels",
    ModeratedError: _moderated,
    UnknownPictureError: "reason_unknown_picture",
    InvalidRuleError: _in_its_own_words,
    DuplicateEventError: "reason_duplicate",
    ClosingError: "reason_closing",
    NotCancellableError: "reason_not_cancellable",
    CrashedError: "reason_crashed",
    EngineError: "reason_failed",
    InvalidRequestError: _in_its_own_words,
    CheckpointError: "reason_checkpoint",
    EngineBusyError: _engine_busy,
    EngineClosedError: "reason_postponed",
    DrawingFailedError: "reason_failed",
    PicturesWithheldError: "reason_withheld",
    DeliveryError: "reason_not_delivered",
    UndeliverableError: "reason_undeliverable",
    Exception: "reason_unforeseen",
}

# -------------------------------------------------------------------------- the Discord bot

# What people read on Discord stands in bot/discord/locales; here is what the admin reads.
DISCORD_LOGIN_MISSING: Final = (
    "DISCORD_TOKEN is empty or no token: copy the bot token from "
    "discord.com/developers, your application, Bot, Reset Token."
)
DISCORD_LOGIN_REFUSED: Final = (
    "DISCORD_TOKEN was refused by Discord: copy the bot token again from "
    "discord.com/developers, your application, Bot, Reset Token."
)
DISCORD_CONNECTION_REFUSED: Final = (
    "Discord does not let this application connect: check at discord.com/developers "
    "that it is a bot and is not disabled."
)
DISCORD_UNREACHABLE: Final = (
    "Discord could not be reached: check this machine's network connection and "
    "discordstatus.com, then start again."
)
DISCORD_HALF_REDIRECTED: Final = (
    "Set DISCORD_API_BASE and DISCORD_GATEWAY_URL together or neither: "
    "the bot would talk to two Discords at once."
)


def discord_start_refused(status: int) -> str:
    """Say that Discord refused the login or the commands."""
    return (
        f"Discord refused to start the bot ({status}): check at discord.com/developers "
        "that the application may be used and has no limit on its commands."
    )


def discord_when(moment: datetime) -> str:
    """Render a coming moment so that Discord counts down to it: "in 3 hours"."""
    return f"<t:{int(moment.timestamp())}:R>"


# ------------------------------------------------------------------------------- the X bot


def x_keys_refused(reason: str) -> str:
    """Tell the admin at start that X does not accept the keys; ``reason`` is X's own."""
    return (
        f"X does not accept the keys of the bot ({reason}). Check X_API_KEY, X_API_SECRET, "
        "X_ACCESS_TOKEN and X_ACCESS_TOKEN_SECRET: all four belong to one app, which may read "
        "and write, and the access token belongs to the bot's own account."
    )


X_HELP: Final = (
    "Mention this account with a few words, and it draws them. Say only stop and it never answers "
    "you again (start undoes that); say only delete and your last pictures go."
)


X_CHECK_OFF: Final = "off (no keys)"
X_UNREACHABLE: Final = (
    "X cannot be asked just now. Check this machine's network connection and the credit at "
    "developer.x.com, then try again."
)


X_READ_ONLY: Final = (
    "X_ACCESS_TOKEN may only read, so nobody could be answered: choose Read and write under User "
    "authentication at developer.x.com, then make the access token anew and set X_ACCESS_TOKEN "
    "and X_ACCESS_TOKEN_SECRET."
)


def x_checked(username: str, limit_count: int | None, skew_s: float | None, post_count: int) -> str:
    """Tell what a look at X has shown."""
    limit = f"{limit_count} looks in 15 min" if limit_count else "no limit told"
    clock = "clock not told" if skew_s is None else f"clock {abs(skew_s):.0f} s apart"
    fields = f"fields seen on {post_count}" if post_count else "no mention yet to see fields on"
    return f"@{username}, {limit}, {clock}, {fields}"


def x_clock_wrong(skew_s: float) -> str:
    """Say that requests would be refused because of the clock."""
    return (
        f"The clock of this machine is {abs(skew_s):.0f} s off X's. X refuses requests that are "
        "minutes off: set the clock (timedatectl set-ntp true)."
    )


def x_fields_missing(fields: str) -> str:
    """Say that posts arrive without something that is needed to read them rightly."""
    return (
        f"X sends mentions without {fields}. The bot answers nothing until they come back: look "
        "for a newer version of it."
    )


def x_answer(picture_count: int) -> str:
    """Accompany the grid of pictures. Names nobody and repeats nothing of the request."""
    if picture_count == 1:
        return "Here is your picture, drawn by an AI."
    return f"Here are your {picture_count} pictures, drawn by an AI, best first."


def x_alt_text(prompt: str, picture_count: int, *, limit_chars: int) -> str:
    """Describe the grid to people who cannot see it."""
    kind = "A picture" if picture_count == 1 else f"A grid of {picture_count} pictures"
    text = f"{kind}, drawn by an AI from the words: {prompt}"
    return text if len(text) <= limit_chars else f"{text[: limit_chars - 1]}…"


def x_moment(moment: datetime) -> str:
    """Render a moment for a post that stays: "at 00:00 UTC on 23 November"."""
    return f"at {moment:%H:%M} UTC on {moment.day} {moment:%B}"


# ------------------------------------------------------------------------ the local web page

WEB_FOREIGN_HOST: Final = "This page answers only under 127.0.0.1 or localhost."
WEB_FOREIGN_PAGE: Final = (
    "Only this page may ask for pictures: send JSON (Content-Type: application/json) "
    "without the Origin of another page."
)
WEB_NOT_JSON: Final = (
    'Send a JSON object such as {"prompt": "a green cube", "pictures": 9, "seed": 7}.'
)
WEB_NOT_A_SENTENCE: Final = "The prompt must be text: say in a few words what to draw."
WEB_NOT_A_COUNT: Final = "The number of pictures must be a whole number."
WEB_NOT_A_SEED: Final = "The seed must be a whole number; leave it out for a random one."
WEB_NO_SUCH_JOB: Final = "There are no pictures under this address. Start a new drawing instead."
WEB_NO_SUCH_PAGE: Final = "There is nothing under this address."
WEB_CANCELLED: Final = f"This one was given up before it was drawn. {NOTHING_TAKEN}"
WEB_LONG_FAILED: Final = f"This one could not be drawn. {NOTHING_TAKEN}"
WEB_TOO_LONG: Final = "That is far too long: say in a few words what to draw."


WEB_LOGIN_NEEDED: Final = (
    "Log in first: open /login in a browser, or send the password as Authorization: Bearer."
)
WEB_ADMIN_NEEDED: Final = "Only an admin may do this: log in with the password for admins."
WEB_NO_PASSWORD: Final = "Type the password."  # noqa: S105 # a sentence about it
WEB_WRONG_PASSWORD: Final = "This is not the password. Try again."  # noqa: S105 # as above


WEB_FOR_THIS_MACHINE: Final = (
    "This page has no password, so it answers its own machine only. Its admin can open it to "
    "others by setting WEB_PASSWORD."
)
WEB_UNREADABLE_PROXY: Final = (
    "The proxy in front of this page names you in a form that cannot be read: X-Forwarded-For "
    "must be a list of addresses."
)


def web_too_many_attempts(wait_s: float) -> str:
    """Refuse any password for a while."""
    return f"Too many wrong passwords came from here. Try again in {time_left(wait_s)}."


def web_unknown_option(name: str, known: Collection[str]) -> str:
    """Refuse an option that the page does not have; ``known`` are those that it has."""
    *firsts, last = known
    return f"There is no option {name!r}: use {', '.join(firsts)} and {last}."


def web_not_a_number(name: str) -> str:
    """Refuse an option of another kind."""
    return f"The option {name} must be a number; leave it out for the usual one."


def web_not_a_whole_number(name: str) -> str:
    """Refuse an option of another kind."""
    return f"The option {name} must be a whole number; leave it out for the usual one."


def web_port_taken(host: str, port: int, reason: str) -> str:
    """Say that the page cannot be served where the settings want it."""
    return (
        f"The page cannot be served at {host} port {port} ({reason}): stop the other program "
        "or set WEB_PORT to another number."
    )


def web_not_kept(folder: str, reason: str) -> str:
    """Say that the pictures could not be written."""
    return f"The pictures cannot be written to {folder} ({reason}): make room or allow writing."


# ----------------------------------------------------------------------------- the terminal

TERMINAL_STARTING: Final = "Loading the model; the first start also compiles it."
TERMINAL_STOPPED: Final = "Stopped."
FETCH_STOPPED: Final = "Stopped. Run the command again; it goes on where it stopped."
TERMINAL_HALTED: Final = (
    "The database failed before the pictures were done. See why with imagine check, then draw "
    "again; what was taken from your allowance comes back within a day."
)
TERMINAL_CANCELLED: Final = f"An admin gave this request up. {NOTHING_TAKEN}"
TERMINAL_NO_TEXT: Final = "The prompt is not readable text: use UTF-8 in this terminal."
DISCORD_RUNS: Final = "Discord: /imagine answers."
DISCORD_WAITS: Final = (
    "Discord: not reached yet. The bot keeps trying; check this machine's network connection "
    "and discordstatus.com."
)
DISCORD_IS_OFF: Final = (
    'Discord: off. To add it, set DISCORD_TOKEN in .env (README, "Add Discord").'
)
X_RUNS: Final = "X: mentions are answered."
X_WAITS: Final = (
    "X: not reached yet. The bot keeps trying; check this machine's network connection."
)
X_IS_OFF: Final = 'X: off. To add it, put its four keys into .env (README, "Add X").'


def page_runs(url: str) -> str:
    """Say where the page is."""
    return f"Page: {url} (stop with Ctrl+C)"


def terminal_bug(name: str) -> str:
    """Own up to an error that nobody foresaw."""
    return f"This is a mistake in the bot ({name}). LOG_LEVEL=DEBUG shows where it happened."


def terminal_progress(event: Queued | Drawing) -> str:
    """Say what is going on and when the pictures come: "drawing, 12 s left"."""
    if isinstance(event, Drawing):
        what = "drawing"
    else:
        ahead = event.pictures_ahead
        what = f"waiting for {pictures(ahead)}" if ahead else "waiting"
    return what if event.eta_s is None else f"{what}, {time_left(event.eta_s)} left"


def time_left(seconds: float) -> str:
    """Render how long something takes: "12 s", "2 min". Both are rounded up."""
    whole_s = max(1, math.ceil(seconds))
    return f"{whole_s} s" if whole_s < _SECONDS_UP_TO else f"{-(-whole_s // 60)} min"


def terminal_drawn(path: str, count: int, seed: int, singles: str | None) -> str:
    """Say where the pictures are and how to get them again.

    Args:
        path: The file of them all.
        count: How many are in it.
        seed: Of the request.
        singles: The folder of those by themselves; ``None`` if there is none.
    """
    where, again = f"{pictures(count)} in {path}", f"Seed {seed} draws"
    if count == 1:
        alone = "" if singles is None else f", and by itself in {singles}"
        return f"{where}{alone}. {again} it again."
    alone = "" if singles is None else f", and by themselves in {singles}"
    return f"{where}, best first{alone}. {again} them again."


def terminal_withheld(count: int) -> str:
    """Say that more was drawn than is shown."""
    which, them = ("1 more picture was", "it") if count == 1 else (f"{count} more were", "them")
    return f"{which} drawn and withheld: the picture check takes {them} for not fit to be shown."


def terminal_doubtful(count: int) -> str:
    """Say that some of what is shown should be looked at alone."""
    which = "1 picture" if count == 1 else f"{count} pictures"
    return f"{which} may not be for everybody; the table says which."


TERMINAL_NOTE: Final = "Note"
TERMINAL_DOUBTFUL: Final = "may not be for everybody"
TERMINAL_RANK: Final = "Rank"
TERMINAL_SCORE: Final = "Score"
TERMINAL_FILE: Final = "File"
TERMINAL_SEED: Final = "Seed"
TERMINAL_MODEL: Final = "Model"
TERMINAL_WAITED: Final = "Waited"
TERMINAL_DECODED: Final = "Drawn in"
TERMINAL_RENDERED: Final = "Rendered and ranked in"


def terminal_seconds(seconds: float) -> str:
    """Tell a time in the table of a drawing."""
    return f"{seconds:.1f} s"


TERMINAL_OTHER_FILE: Final = "choose another file with -o"
TERMINAL_OTHER_FOLDER: Final = "choose another folder with --all"


def terminal_cannot_write(path: str, reason: str, advice: str) -> str:
    """Refuse an output file, before anything is drawn if possible."""
    return f"{path} cannot be written ({reason}): {advice}."


def terminal_unknown_kind(path: str) -> str:
    """Refuse an output file of another kind."""
    return (
        f"{path} must end in .png, .webp, .jpg or .jpeg: those are the kinds of files that are "
        "written."
    )


def terminal_is_folder(path: str) -> str:
    """Refuse a folder as the output file."""
    return f"{path} is a folder: name a file with -o, such as {path.rstrip('/')}/pictures.png."


def terminal_no_folder(path: str) -> str:
    """Refuse a file as the folder of single pictures."""
    return f"{path} is no folder: {TERMINAL_OTHER_FOLDER}."


def terminal_taken(path: str, advice: str) -> str:
    """Refuse to overwrite what the bot did not make."""
    return f"{path} exists and was not drawn by this bot: {advice}."


def terminal_left_over(path: str) -> str:
    """Refuse to mix the single pictures of two drawings in one folder."""
    return (
        f"{path} would be left among the new pictures from an earlier drawing: remove it, or "
        f"{TERMINAL_OTHER_FOLDER}."
    )


def terminal_twice(path: str) -> str:
    """Refuse one name for the grid and a single picture."""
    return f"{path} would be the grid and a single picture at once: {TERMINAL_OTHER_FILE}."


def data_dir_unusable(folder: str, reason: str) -> str:
    """Say that the data folder cannot be made or written."""
    return f"The folder {folder} cannot be used ({reason}): set DATA_DIR to one you may write to."


def data_dir_in_use(folder: str) -> str:
    """Refuse a second bot on the same data."""
    return (
        f"Another bot is running with the folder {folder}: stop it, or set DATA_DIR and WEB_PORT "
        "to others."
    )


def checkpoint_incomplete(folder: str, missing: str) -> str:
    """Say which files of a checkpoint are not there."""
    return f"The model in {folder} lacks {missing}: set ENGINE_CHECKPOINT to a complete folder."


def checkpoint_not_fetched(name: str) -> str:
    """Say that a released model is not on this machine, or not all of it."""
    return f"ENGINE_CHECKPOINT is {name}, which is not here yet: run imagine fetch {name}."


def checkpoint_fetched(value: str) -> str:
    """Say how to use a checkpoint that was fetched."""
    return (
        "The model is here and whole. To draw with it, put this line into .env:\n\n"
        f"ENGINE_CHECKPOINT={value}"
    )
