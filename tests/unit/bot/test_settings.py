from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.settings import Settings, SettingsError, env_example, read_settings
from engine.api import PictureCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    Reads = Callable[..., Settings]

ROOT = Path(__file__).parents[3]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Reads:
    """Reads these variables and nothing else, with ``lines`` as the ``.env``."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def read(lines: str = "", **variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        env_file = tmp_path / ".env"
        env_file.write_text(lines, "utf-8")
        return read_settings(env_file)

    return read


def problems(reads: Reads, lines: str = "", **variables: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        reads(lines, **variables)
    return caught.value.problems


def test_without_any_variable_everything_has_a_default(reads: Reads) -> None:
    settings = reads()

    assert settings.store_url == "sqlite+aiosqlite:///data/imagine.db"
    assert (settings.web_host, settings.web_port, settings.daily_pictures) == (
        "127.0.0.1",
        8080,
        90,
    )
    assert settings.engine_checkpoint == ROOT / "engine" / "assets" / "demo"
    assert settings.discord_token is None


def test_the_environment_wins_over_the_file_and_an_empty_value_is_no_value(reads: Reads) -> None:
    settings = reads("WEB_PORT=1\nDAILY_PICTURES=5\nDISCORD_TOKEN=\n", WEB_PORT="2")

    assert (settings.web_port, settings.daily_pictures) == (2, 5)
    assert settings.discord_token is None


def test_all_problems_are_told_at_once_and_none_repeats_a_value(reads: Reads) -> None:
    assert problems(
        reads,
        WEB_PORT="my-secret",
        DAILY_PICTURES="-1",
        LOG_LEVEL="loud",
        X_API_KEY="my-secret",
        X_ACCESS_TOKEN="my-secret",
        X_API_BASE="https://my-secret.example",
        WEB_HOST="0.0.0.0",  # noqa: S104 # it is refused
        ENGINE_SLOT="3",
        WEB_="1",
    ) == (
        "ENGINE_SLOT in the environment is not a setting: did you mean ENGINE_SLOTS?",
        "WEB_ in the environment is not a setting: did you mean WEB_PORT?",
        (
            "X needs all four keys: set X_API_SECRET and X_ACCESS_TOKEN_SECRET too, or remove the "
            "others."
        ),
        "DAILY_PICTURES must be a whole number from 0 (no limit) to 1000000.",
        "WEB_PORT must be a whole number from 1 to 65535.",
        (
            "WEB_HOST lets others reach the page, so it needs a password: set WEB_PASSWORD to at "
            "least 12 characters, or WEB_HOST to 127.0.0.1."
        ),
        "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR.",
        (
            "X_API_BASE may only point to this machine (127.0.0.1, ::1 or localhost), as in "
            "http://127.0.0.1:9000: remove it to use the real service."
        ),
    )


@pytest.mark.parametrize(
    ("value", "networks"),
    [
        ("", []),
        ("127.0.0.1", ["127.0.0.1/32"]),
        ("127.0.0.1, 10.0.0.0/8 ::1", ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]),
    ],
)
def test_trusted_proxies_are_addresses_and_networks(
    reads: Reads, value: str, networks: list[str]
) -> None:
    settings = reads(WEB_TRUSTED_PROXIES=value)

    assert [str(network) for network in settings.trusted_networks] == networks


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.7/8", "127.0.0.1;::1", "10.0.0.0/33"])
def test_what_is_no_proxy_is_refused(reads: Reads, value: str) -> None:
    assert problems(reads, WEB_TRUSTED_PROXIES=value) == (
        (
            "WEB_TRUSTED_PROXIES must be addresses or networks, separated by spaces or commas, "
            "such as 127.0.0.1 10.0.0.0/8."
        ),
    )


@pytest.mark.parametrize("value", ["0.0.0.0/0", "127.0.0.1 ::/0"])
def test_not_everybody_can_be_a_trusted_proxy(reads: Reads, value: str) -> None:
    assert problems(reads, WEB_TRUSTED_PROXIES=value) == (
        (
            "WEB_TRUSTED_PROXIES must not hold everybody, who could then ask as anybody: name the "
            "addresses of your proxies."
        ),
    )


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("auto", ["auto"]),
        ("cpu", ["cpu"]),
        ("CPU, cpu", ["cpu", "cpu"]),
        ("gpu:0,gpu:1", ["gpu:0", "gpu:1"]),
    ],
)
def test_each_device_gets_an_engine_of_its_own(reads: Reads, value: str, names: list[str]) -> None:
    assert reads(ENGINE_DEVICES=value).engine_device_names == names


@pytest.mark.parametrize("value", ["gpu", "gpu:", "gpu:0;gpu:1", "tpu", "cpu,", "auto,cpu", "0"])
def test_what_is_no_device_is_refused(reads: Reads, value: str) -> None:
    assert problems(reads, ENGINE_DEVICES=value) == (
        "ENGINE_DEVICES must be auto, or a list such as cpu, or cpu,cpu, or gpu:0,gpu:1.",
    )


def test_numbers_of_another_kind_are_refused(reads: Reads) -> None:
    assert reads(ENGINE_DTYPE="BFloat16").engine_dtype == "bfloat16"
    assert problems(reads, ENGINE_DTYPE="int8") == (
        "ENGINE_DTYPE must be auto, float32, bfloat16 or float16.",
    )


def test_the_picture_check_is_standard_unless_an_admin_says_otherwise(reads: Reads) -> None:
    assert reads().picture_check is PictureCheck.STANDARD
    assert reads(PICTURE_CHECK=" Strict").picture_check is PictureCheck.STRICT
    assert problems(reads, PICTURE_CHECK="none") == (
        "PICTURE_CHECK must be off, standard or strict.",
    )


def test_a_mistyped_line_of_the_file_is_refused(reads: Reads, tmp_path: Path) -> None:
    assert problems(reads, "DISCORD_TOKN=abc\nCOLOUR=red\n") == (
        f"DISCORD_TOKN in {tmp_path}/.env is not a setting: did you mean DISCORD_TOKEN?",
        f"COLOUR in {tmp_path}/.env is not a setting: remove it (see .env.example).",
    )


def test_a_file_that_is_no_text_is_refused_with_a_sentence(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_bytes(b"WEB_PORT=\xff\xfe")

    with pytest.raises(SettingsError) as caught:
        read_settings(env_file)

    assert caught.value.problems == (
        f"{env_file} cannot be read: make it a UTF-8 text file that you may read.",
    )


def test_variables_of_other_programs_are_none_of_our_business(reads: Reads) -> None:
    assert reads(HOME="/home/ada", X_DISPLAY="1").web_port == 8080


def test_secrets_do_not_show(reads: Reads) -> None:
    settings = reads(DISCORD_TOKEN="my-secret", DATABASE_URL="postgresql+asyncpg://a:my-secret@h/d")

    assert "my-secret" not in repr(settings)
    assert "my-secret" not in str(settings.model_dump())


def test_the_example_file_says_what_the_settings_are() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == env_example()


def test_the_example_file_can_be_used_as_it_is(reads: Reads) -> None:
    uncommented = env_example().replace("\n#", "\n").replace("\n ", "\n# ")

    assert reads(uncommented) == reads()


def test_the_readme_tells_the_true_defaults() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    for name in (
        *("DAILY_PICTURES", "BURST_PICTURES", "BURST_REFILL_S", "JOBS_AT_ONCE", "HISTORY_DAYS"),
        *("COMMUNITY_DAILY_PICTURES", "COMMUNITY_JOBS_AT_ONCE", "BOT_DAILY_PICTURES"),
        *(
            "BOT_JOBS_AT_ONCE",
            "WORKER_NAME",
            "DATA_DIR",
            "WEB_PORT",
            "ENGINE_SLOTS",
            "ENGINE_DEVICES",
            "X_DAILY_USD",
            "MODERATION",
            "X_MODERATION",
            "STRIKES_A_DAY",
            "STRIKE_BLOCK_H",
        ),
    ):
        row = next(line for line in readme.splitlines() if line.startswith(f"| `{name}`"))
        default = Settings.model_fields[name.lower()].default
        assert row.split("|")[3].strip(" `") in {str(default), str(default).removesuffix(".0")}


def test_tiers_are_read_from_json(reads: Reads) -> None:
    settings = reads(TIERS='{"friend": {"daily_pictures": 500, "burst_refill_s": 0.5}}')

    friend = settings.tiers["friend"]
    assert (friend.daily_pictures, friend.burst_refill_s, friend.jobs_at_once) == (500, 0.5, None)


@pytest.mark.parametrize("value", ["friend", "[]", '{"unlimited": {}}'])
def test_tiers_that_are_no_tiers_are_refused_with_an_example(reads: Reads, value: str) -> None:
    assert problems(reads, TIERS=value) == (
        (
            'TIERS must look like {"friend": {"daily_pictures": 500, "jobs_at_once": 20}}; '
            'the tier "unlimited" is there without it.'
        ),
    )


@pytest.mark.parametrize(
    "value", ['{"friend": {"daily": 5}}', '{"friend": {"jobs_at_once": -1}}', '{"friend": 7}']
)
def test_limits_of_a_tier_that_cannot_be_right_are_refused(reads: Reads, value: str) -> None:
    assert problems(reads, TIERS=value) == (
        'TIERS must look like {"friend": {"daily_pictures": 500, "jobs_at_once": 20}}.',
    )


def test_a_burst_has_room_for_the_biggest_request(reads: Reads) -> None:
    assert problems(reads, BURST_PICTURES="9") == (
        (
            "BURST_PICTURES must be 0 (no limit) or at least 16: so many can be asked for in one "
            "request."
        ),
    )
    assert reads(BURST_PICTURES="0").burst_pictures == 0
    assert reads(BURST_PICTURES="16").burst_pictures == 16


def test_a_mistyped_limit_is_refused(reads: Reads) -> None:
    assert problems(reads, BURST_PICTURE="5", COMMUNITY_DAILY="5") == (
        "BURST_PICTURE in the environment is not a setting: did you mean BURST_PICTURES?",
        (
            "COMMUNITY_DAILY in the environment is not a setting: "
            "did you mean COMMUNITY_DAILY_PICTURES?"
        ),
    )


def test_the_page_may_be_served_elsewhere_with_a_password_and_none_shows(reads: Reads) -> None:
    settings = reads(
        WEB_HOST="0.0.0.0",  # noqa: S104 # with a password
        WEB_PASSWORD="a long password",
        WEB_ADMIN_PASSWORD="another long password",
    )

    assert settings.web_password is not None
    assert settings.web_password.get_secret_value() == "a long password"
    assert "long password" not in repr(settings)


def test_a_short_password_is_none(reads: Reads) -> None:
    assert problems(reads, WEB_PASSWORD="11 letters!", WEB_ADMIN_PASSWORD="short") == (
        "WEB_PASSWORD must have at least 12 characters.",
        "WEB_ADMIN_PASSWORD must have at least 12 characters.",
    )
