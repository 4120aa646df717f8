from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.sessions import SESSION_LASTS, Passwords, Role, Sessions, session_key
from tests.support.clock import NOON

if TYPE_CHECKING:
    from pathlib import Path

BOTH = Passwords(page="page-password", admin="admin-password")
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("passwords", "open_role"),
    [
        (Passwords(), Role.ADMIN),
        (Passwords(admin="admin-password"), Role.PERSON),
        (Passwords(page="page-password"), None),
        (BOTH, None),
    ],
)
def test_what_one_may_do_without_a_password(passwords: Passwords, open_role: Role | None) -> None:
    assert passwords.open_role is open_role


@pytest.mark.parametrize(
    ("passwords", "given", "role"),
    [
        (BOTH, "page-password", Role.PERSON),
        (BOTH, "admin-password", Role.ADMIN),
        (BOTH, "page-passwor", None),
        (BOTH, "", None),
        (BOTH, "\ud83d", None),
        (Passwords(page="page-password"), "page-password", Role.ADMIN),
        (Passwords(admin="admin-password"), "", None),
        (Passwords(), "", None),
        (Passwords(), "anything", None),
    ],
)
def test_what_a_password_allows(passwords: Passwords, given: str, role: Role | None) -> None:
    assert passwords.role_for(given) is role


def test_a_session_is_good_until_it_expires() -> None:
    sessions = Sessions(KEY, BOTH)
    session = sessions.issue(Role.PERSON, NOON)
    end = NOON + SESSION_LASTS

    assert sessions.role_of(session, NOON) is Role.PERSON
    assert sessions.role_of(session, end - timedelta(seconds=1)) is Role.PERSON
    assert sessions.role_of(session, end) is None


def test_two_sessions_are_never_the_same() -> None:
    sessions = Sessions(KEY, BOTH)

    assert sessions.issue(Role.ADMIN, NOON) != sessions.issue(Role.ADMIN, NOON)


def test_a_session_that_was_changed_is_none() -> None:
    sessions = Sessions(KEY, BOTH)
    session = sessions.issue(Role.PERSON, NOON)
    _, expiry, nonce, signature = session.split(".")

    assert sessions.role_of(f"admin.{expiry}.{nonce}.{signature}", NOON) is None
    assert sessions.role_of(f"person.{int(expiry) + 1}.{nonce}.{signature}", NOON) is None


@given(st.text())
def test_no_words_of_a_stranger_are_a_session(words: str) -> None:
    assert Sessions(KEY, BOTH).role_of(words, NOON) is None


@pytest.mark.parametrize(
    ("key", "passwords"),
    [
        (b"another key of thirty-two bytes!", BOTH),
        (KEY, Passwords(page="another-password", admin="admin-password")),
        (KEY, Passwords(page="page-password", admin="another-password")),
        (KEY, Passwords(page="page-password\0admin-password")),
    ],
)
def test_another_key_or_password_ends_all_sessions(key: bytes, passwords: Passwords) -> None:
    session = Sessions(KEY, BOTH).issue(Role.ADMIN, NOON)

    assert Sessions(key, passwords).role_of(session, NOON) is None


def test_the_key_stays_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "web.key"

    key = session_key(path)

    assert session_key(path) == key == path.read_bytes()
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_a_crash_cut_short_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "web.key"
    path.write_bytes(b"short")

    assert len(session_key(path)) == 32
    assert path.stat().st_mode & 0o777 == 0o600


def test_passwords_do_not_show() -> None:
    assert repr(BOTH) == "Passwords()"
