"""The only reader of the environment and of ``.env``.

A variable that we do not know but that looks like ours stops the start: a typo must not
silently become a default. Every problem is told at once, one sentence each, and no
sentence repeats a value, because the wrong value of one variable may be the secret of
another.
"""

from __future__ import annotations

import json
import os
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.loopback import require_loopback
from bot.store import UNLIMITED
from engine.api import DEMO_CHECKPOINT, MAX_PICTURE_COUNT, PictureCheck

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

ENV_FILE = Path(".env")

_OUR_PREFIXES = (
    *("DISCORD_", "ENGINE_", "PICTURE_", "WEB_"),
    *("DAILY_", "BURST_", "COMMUNITY_", "BOT_", "HISTORY_", "WORKER_", "MODERATION", "STRIKE"),
    *("X_API_", "X_ACCESS_", "X_POLL_", "X_DAILY_", "X_PRICES_", "X_POSTS_", "X_IGNORED_"),
    "X_MODERATION",
)
_X_KEYS = ("x_api_key", "x_api_secret", "x_access_token", "x_access_token_secret")


ModerationLevel = Literal["off", "relaxed", "standard", "strict"]


class SettingsError(Exception):
    """The settings cannot be used.

    Attributes:
        problems: One sentence each, naming the variable and what to do.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def _setting(must: str, description: str, example: str, **checks: Any) -> Any:
    """Describe one variable: ``must`` completes the sentence "NAME must …"."""
    return Field(
        description=description, json_schema_extra={"must": must, "example": example}, **checks
    )


def _secret(description: str) -> Any:
    return _setting("be the text that the developer portal shows", description, "")


class TierSettings(BaseModel):
    """The limits of a tier; what is left out is as wide as for everybody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    daily_pictures: int | None = Field(default=None, ge=0, le=1_000_000)
    burst_pictures: int | None = Field(default=None, ge=0, le=500)
    burst_refill_s: float | None = Field(default=None, ge=0.01, le=3_600)
    jobs_at_once: int | None = Field(default=None, ge=0, le=100_000)
    community_daily_pictures: int | None = Field(default=None, ge=0, le=1_000_000_000)
    community_jobs_at_once: int | None = Field(default=None, ge=0, le=1_000_000)


class Settings(BaseSettings):
    """Everything an admin can choose. The field ``web_port`` is the variable ``WEB_PORT``."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, env_file_encoding="utf-8"
    )

    discord_token: Annotated[
        SecretStr | None,
        _secret("Discord bot token (discord.com/developers, your application, Bot)."),
    ] = None
    x_api_key: Annotated[
        SecretStr | None,
        _secret("X: API key (developer.x.com, your app, Keys and tokens). All four or none."),
    ] = None
    x_api_secret: Annotated[SecretStr | None, _secret("X: API key secret.")] = None
    x_access_token: Annotated[
        SecretStr | None, _secret("X: access token of the bot's account, with write access.")
    ] = None
    x_access_token_secret: Annotated[SecretStr | None, _secret("X: access token secret.")] = Field(
        default=None, validate_default=True
    )
    x_poll_interval_s: Annotated[
        float,
        _setting(
            "be a number of seconds from 0.1 to 3600",
            "X: seconds between two looks for new mentions; never shorter than X allows (3 s).",
            "5",
            ge=0.1,
            le=3_600,
        ),
    ] = 5.0
    x_daily_usd: Annotated[
        float,
        _setting(
            "be a number of dollars from 0 (no limit) to 100000",
            "X: dollars that a day (UTC) may cost; an answer costs about 0.016. 0 is no limit.",
            "10",
            ge=0,
            le=100_000,
        ),
    ] = 10.0
    x_prices_usd: Annotated[
        str,
        _setting(
            "be a table such as mention=0.001 reply=0.01",
            "X: what X charges, in dollars for one of each; change it when X does.",
            "mention=0.001 own_post=0.001 post=0.005 user=0.01 alt_text=0.005 reply=0.01 "
            "delete=0.01",
        ),
    ] = "mention=0.001 own_post=0.001 post=0.005 user=0.01 alt_text=0.005 reply=0.01 delete=0.01"
    x_posts_per_15_min: Annotated[
        int,
        _setting(
            "be a whole number from 1 to 10000",
            "X: posts in any 15 minutes; X allows 100.",
            "100",
            ge=1,
            le=10_000,
        ),
    ] = 100
    x_posts_per_3_h: Annotated[
        int,
        _setting(
            "be a whole number from 1 to 100000",
            "X: posts in any 3 hours; X's limit for accounts is 300.",
            "300",
            ge=1,
            le=100_000,
        ),
    ] = 300
    x_ignored_ids: Annotated[
        str,
        _setting(
            "be account ids, separated by spaces",
            "X: ids of accounts that are not answered, such as other bots.",
            "",
            pattern=r"^[\d ,]*$",
        ),
    ] = ""
    data_dir: Annotated[
        Path,
        _setting("be a folder", "Folder of the database, pictures and compiled code.", "data"),
    ] = Path("data")
    database_url: Annotated[
        SecretStr | None,
        _setting(
            "look like sqlite+aiosqlite:////folder/imagine.db",
            "Database (postgresql+asyncpg://user:password@host/name for several bots); "
            "without it, imagine.db in DATA_DIR.",
            "",
        ),
    ] = None
    daily_pictures: Annotated[
        int,
        _setting(
            "be a whole number from 0 (no limit) to 1000000",
            "Pictures a person may ask for in a day (UTC); 0 is no limit.",
            "90",
            ge=0,
            le=1_000_000,
        ),
    ] = 90
    burst_pictures: Annotated[
        int,
        _setting(
            "be a whole number from 16, or 0 (no limit), to 500",
            "Pictures a person may ask for in a short time; 0 is no limit.",
            "45",
            ge=0,
            le=500,
        ),
    ] = 45
    burst_refill_s: Annotated[
        float,
        _setting(
            "be a number of seconds from 0.01 to 3600",
            "Seconds until a person may ask for one picture more after that.",
            "10",
            ge=0.01,
            le=3_600,
        ),
    ] = 10.0
    jobs_at_once: Annotated[
        int,
        _setting(
            "be a whole number from 0 (no limit) to 100000",
            "Requests of a person that may wait or be drawn at once; 0 is no limit.",
            "5",
            ge=0,
            le=100_000,
        ),
    ] = 5
    community_daily_pictures: Annotated[
        int,
        _setting(
            "be a whole number from 0 (no limit) to 1000000000",
            "Pictures that all people of a community (a Discord server) may ask for in a day.",
            "0",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 0
    community_jobs_at_once: Annotated[
        int,
        _setting(
            "be a whole number from 0 (no limit) to 1000000",
            "Requests of a community that may wait or be drawn at once; 0 is no limit.",
            "1000",
            ge=0,
            le=1_000_000,
        ),
    ] = 1_000
    bot_daily_pictures: Annotated[
        int,
        _setting(
            "be a whole number from 0 (no limit) to 1000000000",
            "Pictures that everybody together may ask for in a day; 0 is no limit.",
            "0",
            ge=0,
            le=1_000_000_000,
        ),
    ] = 0
    bot_jobs_at_once: Annotated[
        int,
        _setting(
            "be a whole number from 0 (no limit) to 1000000",
            "Requests of everybody that may wait or be drawn at once; 0 is no limit.",
            "100000",
            ge=0,
            le=1_000_000,
        ),
    ] = 100_000
    tiers: Annotated[
        dict[str, TierSettings],
        NoDecode,
        _setting(
            'look like {"friend": {"daily_pictures": 500, "jobs_at_once": 20}}',
            "Wider limits by name, as JSON: daily_pictures, burst_pictures, burst_refill_s, "
            "jobs_at_once, community_daily_pictures, community_jobs_at_once.",
            "",
        ),
    ] = Field(default_factory=dict[str, TierSettings])
    history_days: Annotated[
        int,
        _setting(
            "be a whole number from 0 (for ever) to 36500",
            "Days that finished requests and the tokens of their pictures are kept; 0 is for ever.",
            "365",
            ge=0,
            le=36_500,
        ),
    ] = 365
    moderation: Annotated[
        ModerationLevel,
        _setting(
            "be off, relaxed, standard or strict",
            "How strictly the words of requests are read, where a community has not chosen.",
            "standard",
        ),
    ] = "standard"
    x_moderation: Annotated[
        ModerationLevel,
        _setting(
            "be off, relaxed, standard or strict",
            "X: the same there, where everybody reads along.",
            "strict",
        ),
    ] = "strict"
    strikes_a_day: Annotated[
        int,
        _setting(
            "be a whole number from 0 (nobody is blocked) to 1000",
            "Requests for something grave within 24 hours that block a person; 0 blocks nobody.",
            "3",
            ge=0,
            le=1_000,
        ),
    ] = 3
    strike_block_h: Annotated[
        float,
        _setting(
            "be a number of hours from 0.01 to 8760",
            "Hours that such a block lasts.",
            "24",
            ge=0.01,
            le=8_760,
        ),
    ] = 24.0
    worker_name: Annotated[
        str,
        _setting(
            "be a name of 1 to 64 letters, digits, dots, dashes or underscores",
            "Name of this bot in the database; several bots on one database need different ones.",
            "bot",
            pattern=r"^[A-Za-z0-9._-]{1,64}$",
        ),
    ] = "bot"
    web_host: Annotated[
        str,
        _setting(
            "be an address of this machine",
            "Address at which the page is served; any but 127.0.0.1 needs WEB_PASSWORD.",
            "127.0.0.1",
        ),
    ] = "127.0.0.1"
    web_port: Annotated[
        int,
        _setting(
            "be a whole number from 1 to 65535",
            "Port of the page.",
            "8080",
            ge=1,
            le=65_535,
        ),
    ] = 8_080
    web_password: Annotated[
        SecretStr | None,
        _setting(
            "have at least 12 characters",
            "Password of the page; without one it is open to this machine only.",
            "",
        ),
    ] = Field(default=None, min_length=12, validate_default=True)
    web_admin_password: Annotated[
        SecretStr | None,
        _setting(
            "have at least 12 characters",
            "Password for /admin; without one, whoever may use the page is an admin.",
            "",
            min_length=12,
        ),
    ] = None
    web_trusted_proxies: Annotated[
        str,
        _setting(
            "be addresses or networks such as 127.0.0.1 10.0.0.0/8",
            "Proxies in front of the page (addresses, networks) that say in X-Forwarded-For who "
            "asks.",
            "",
        ),
    ] = ""
    engine_checkpoint: Annotated[
        Path,
        _setting(
            "be mini, mega or a folder",
            "Model: mini or mega, after imagine fetch; or a folder; without it, the demo model.",
            "",
        ),
    ] = Field(default=DEMO_CHECKPOINT)
    engine_slots: Annotated[
        int,
        _setting(
            "be a whole number from 1 to 256",
            "Pictures drawn at once; more need more memory.",
            "20",
            ge=1,
            le=256,
        ),
    ] = 20
    engine_devices: Annotated[
        str,
        _setting(
            "be auto, or a list such as cpu, or cpu,cpu, or gpu:0,gpu:1",
            "Where pictures are drawn, one process for each: auto, cpu, gpu:0, or gpu:0,gpu:1.",
            "auto",
            pattern=r"^(auto|(cpu|gpu:\d{1,3})(,(cpu|gpu:\d{1,3}))*)$",
        ),
    ] = "auto"
    engine_dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        _setting(
            "be auto, float32, bfloat16 or float16",
            "Numbers the model computes with; auto is float32 on a CPU, bfloat16 on a GPU.",
            "auto",
        ),
    ] = "auto"
    picture_check: Annotated[
        PictureCheck,
        _setting(
            "be off, standard or strict",
            "Pictures that look explicit are not shown: off, standard or strict.",
            "standard",
        ),
    ] = PictureCheck.STANDARD
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        _setting("be DEBUG, INFO, WARNING or ERROR", "How much is logged.", "INFO"),
    ] = "INFO"
    discord_card: Annotated[
        Literal["gallery", "grid"],
        _setting(
            "be gallery or grid",
            "Discord: gallery shows each picture by itself, grid all of them in one.",
            "gallery",
        ),
    ] = "gallery"
    discord_api_base: Annotated[
        str | None,
        _setting("be an address", "For tests: a Discord REST server on this machine.", ""),
    ] = None
    discord_gateway_url: Annotated[
        str | None,
        _setting("be an address", "For tests: a Discord gateway on this machine.", ""),
    ] = None
    x_api_base: Annotated[
        str | None, _setting("be an address", "For tests: an X server on this machine.", "")
    ] = None

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator(
        "engine_devices",
        "engine_dtype",
        "moderation",
        "picture_check",
        "x_moderation",
        mode="before",
    )
    @classmethod
    def _without_spaces_in_small_letters(cls, value: object) -> object:
        return "".join(value.lower().split()) if isinstance(value, str) else value

    @field_validator("burst_pictures")
    @classmethod
    def _room_for_one_request(cls, count: int) -> int:
        if 0 < count < MAX_PICTURE_COUNT:  # it would have to be exceeded
            raise ValueError(
                f"BURST_PICTURES must be 0 (no limit) or at least {MAX_PICTURE_COUNT}: "
                "so many can be asked for in one request."
            )
        return count

    @field_validator("tiers", mode="before")
    @classmethod
    def _tiers_of_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            tiers = json.loads(value)
        except json.JSONDecodeError:
            tiers = None
        if not isinstance(tiers, dict) or UNLIMITED in tiers:
            raise ValueError(
                'TIERS must look like {"friend": {"daily_pictures": 500, "jobs_at_once": 20}}; '
                f'the tier "{UNLIMITED}" is there without it.'
            )
        return cast("dict[str, object]", tiers)

    @field_validator("web_password")
    @classmethod
    def _open_to_this_machine_only(cls, password: SecretStr | None, info: Any) -> SecretStr | None:
        host = cast("dict[str, str]", info.data).get("web_host", "")
        if password is None and not _is_this_machine(host):
            raise ValueError(
                "WEB_HOST lets others reach the page, so it needs a password: set WEB_PASSWORD to "
                "at least 12 characters, or WEB_HOST to 127.0.0.1."
            )
        return password

    @field_validator("web_trusted_proxies")
    @classmethod
    def _networks_that_are_not_everybody(cls, value: str) -> str:
        try:
            networks = _networks_of(value)
        except ValueError:
            raise ValueError(
                "WEB_TRUSTED_PROXIES must be addresses or networks, separated by spaces or "
                "commas, such as 127.0.0.1 10.0.0.0/8."
            ) from None
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError(
                "WEB_TRUSTED_PROXIES must not hold everybody, who could then ask as anybody: name "
                "the addresses of your proxies."
            )
        return value

    @field_validator("discord_api_base", "discord_gateway_url", "x_api_base")
    @classmethod
    def _only_loopback_platforms(cls, url: str | None, info: Any) -> str | None:
        return None if url is None else require_loopback(str(info.field_name).upper(), url)

    @field_validator("x_access_token_secret")
    @classmethod
    def _all_x_keys_or_none(cls, last: SecretStr | None, info: Any) -> SecretStr | None:
        keys = dict.fromkeys(_X_KEYS) | cast("dict[str, object]", info.data)
        missing = [n.upper() for n in _X_KEYS[:-1] if keys[n] is None]
        missing += [] if last else [_X_KEYS[-1].upper()]
        if 0 < len(missing) < len(_X_KEYS):
            raise ValueError(
                f"X needs all four keys: set {' and '.join(missing)} too, or remove the others."
            )
        return last

    @property
    def engine_device_names(self) -> list[str]:
        """One name for each engine process."""
        return self.engine_devices.split(",")

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Where the proxies are that may say on whose behalf they ask."""
        return _networks_of(self.web_trusted_proxies)

    @property
    def store_url(self) -> str:
        """The SQLAlchemy URL of the database, which may hold a password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir / 'imagine.db'}"


def read_settings(env_file: Path = ENV_FILE) -> Settings:
    """Read the environment, which wins, and ``env_file``, which may be absent.

    Raises:
        SettingsError: With all problems found, one sentence each.
    """
    problems = [*_unknown_variables(os.environ), *_unknown_lines(env_file)]
    try:
        settings = Settings(_env_file=env_file)  # pyright: ignore[reportCallIssue] # pydantic's own
    except ValidationError as error:
        # The chain is cut: pydantic's error repeats the values, secrets among them.
        raise SettingsError([*problems, *map(_sentence, error.errors())]) from None
    if problems:
        raise SettingsError(problems)
    return settings


def env_example() -> str:
    """Return the text of ``.env.example``: every variable, described, with its default."""
    head = "# Copy to .env and uncomment what you change. The environment wins over this file.\n"
    return head + "".join(_example_lines(*item) for item in Settings.model_fields.items())


def _example_lines(name: str, info: FieldInfo) -> str:
    return f"\n# {info.description}\n#{name.upper()}={_extra(info)['example']}\n"


def _extra(info: FieldInfo) -> dict[str, str]:
    return cast("dict[str, str]", info.json_schema_extra)


def _names() -> list[str]:
    return [name.upper() for name in Settings.model_fields]


def _unknown_variables(names: Iterable[str]) -> Iterator[str]:
    for name in sorted(names):
        if name.upper().startswith(_OUR_PREFIXES) and name.upper() not in _names():
            yield _unknown(name, "the environment")


def _unknown_lines(env_file: Path) -> Iterator[str]:
    for name in _names_in(env_file):
        if name.upper() not in _names():
            yield _unknown(name, str(env_file))


def _names_in(env_file: Path) -> Iterable[str]:
    if not env_file.exists():
        return ()
    try:
        return dotenv_values(env_file, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"{env_file} cannot be read: make it a UTF-8 text file that you may read."]
        ) from error


def _unknown(name: str, place: str) -> str:
    nearest = get_close_matches(name.upper(), _names(), n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "remove it (see .env.example)."
    return f"{name} in {place} is not a setting: {hint}"


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "value_error":  # raised by our own checks: already a sentence
        return error["msg"].removeprefix("Value error, ")
    name = str(error["loc"][0])
    return f"{name.upper()} must {_extra(Settings.model_fields[name])['must']}."


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(each) for each in text.replace(",", " ").split())
