"""Who may do what on the page, and the signed words by which a browser proves it.

A session is ``role.expiry.nonce.signature``. Nothing is kept on the server but a key in a file
of its own, so sessions outlive a restart. The passwords are mixed into the key: changing one
ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

SESSION_LASTS: Final = timedelta(days=7)
_KEY_BYTES: Final = 32


class Role(StrEnum):
    """What somebody at the page may do; an admin may do all that a person may."""

    PERSON = "person"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passwords:
    """What opens the page.

    Attributes:
        page: For everybody; ``None`` leaves the page open to this machine only.
        admin: For admins; ``None`` makes everybody who may use the page one.
    """

    page: str | None = field(default=None, repr=False)
    admin: str | None = field(default=None, repr=False)

    @property
    def open_role(self) -> Role | None:
        """What somebody of this machine may do without a password."""
        if self.page is not None:
            return None
        return Role.ADMIN if self.admin is None else Role.PERSON

    @property
    def is_any_set(self) -> bool:
        """Whether there is anything to log in with."""
        return self.page is not None or self.admin is not None

    def role_for(self, password: str) -> Role | None:
        """What a password allows; takes equally long whether it is nearly right or not."""
        is_admin = _is_same(password, self.admin)
        is_page = _is_same(password, self.page)
        if is_admin or (is_page and self.admin is None):
            return Role.ADMIN
        return Role.PERSON if is_page else None


class Sessions:
    """Issues sessions and reads them back."""

    def __init__(self, key: bytes, passwords: Passwords) -> None:
        mixed = f"{passwords.page or ''}\0{passwords.admin or ''}".encode()
        self._key = hmac.digest(key, mixed, hashlib.sha256)

    def issue(self, role: Role, now: datetime) -> str:
        """Make a session that begins now."""
        expiry = int((now + SESSION_LASTS).timestamp())
        claim = f"{role}.{expiry}.{secrets.token_hex(8)}"
        return f"{claim}.{self._signature(claim)}"

    def role_of(self, session: str, now: datetime) -> Role | None:
        """What a session allows; ``None`` if it has expired or was not issued here."""
        claim, _, signature = session.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(claim).encode()):
            return None
        role, expiry, _ = claim.split(".")  # ours: it is signed
        return Role(role) if now.timestamp() < int(expiry) else None

    def _signature(self, claim: str) -> str:
        return hmac.new(self._key, claim.encode(), hashlib.sha256).hexdigest()


def session_key(path: Path) -> bytes:
    """Return the key in a file, which only its owner may read; made if it is not there.

    Raises:
        OSError: It can be neither read nor written.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
    key = path.read_bytes()
    if len(key) < _KEY_BYTES:  # a crash cut it short
        path.unlink()
        return session_key(path)
    return key


def _is_same(given: str, right: str | None) -> bool:
    """Compare digests, so that not even the length of the right one shows in the time."""
    digests = [
        hashlib.sha256(text.encode("utf-8", "surrogatepass")) for text in (given, right or "")
    ]
    return hmac.compare_digest(*(digest.digest() for digest in digests)) and right is not None
