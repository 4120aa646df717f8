"""Keeps a redirected platform client on this machine.

A setting may point the Discord or the X client at another server, so that anyone can try
the real process against a server of their own. Only this machine is allowed: whoever
could set such an address elsewhere would receive the bot's secrets.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def require_loopback(setting_name: str, url: str) -> str:
    """Return ``url`` without a trailing slash if its host is this machine.

    Names other than ``localhost`` are not resolved: what they mean may change between
    the check and the use.

    Raises:
        ValueError: With the sentence for the admin.
    """
    if not _is_loopback(url):
        raise ValueError(
            f"{setting_name} may only point to this machine (127.0.0.1, ::1 or localhost), "
            f"as in http://127.0.0.1:9000: remove it to use the real service."
        )
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port  # reading a bad port raises
        return bool(parts.scheme) and (host == "localhost" or ip_address(host).is_loopback)
    except ValueError:
        return False
