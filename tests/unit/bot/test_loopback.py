import pytest

from bot.loopback import require_loopback


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/api/v10",
        "http://127.8.4.2",
        "ws://[::1]:9000/gateway",
        "http://LOCALHOST:80",
    ],
)
def test_an_address_on_this_machine_is_kept(url: str) -> None:
    assert require_loopback("DISCORD_API_BASE", url) == url


def test_a_trailing_slash_is_dropped() -> None:
    url = require_loopback("X_API_BASE", "http://127.0.0.1:9000/")

    assert url == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "url",
    [
        "https://discord.com/api/v10",
        "http://127.0.0.1.example.org",
        "http://127.0.0.1@example.org/",
        "http://10.0.0.1:9000",
        "http://[::ffff:8.8.8.8]/",
        "http://[::1/",
        "http://127.0.0.1:notaport/",
        "127.0.0.1:9000",
        "localhost",
        "",
    ],
)
def test_any_other_address_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="DISCORD_API_BASE") as caught:
        require_loopback("DISCORD_API_BASE", url)

    assert str(caught.value) == (
        "DISCORD_API_BASE may only point to this machine (127.0.0.1, ::1 or localhost), "
        "as in http://127.0.0.1:9000: remove it to use the real service."
    )
