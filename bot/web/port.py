"""Takes the port of the page before anything slow is done, so that a taken one is told at once."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from bot import sentences

if TYPE_CHECKING:
    from collections.abc import Generator


class WebPortError(Exception):
    """The page cannot be served where the settings want it; the sentence says why."""


@contextmanager
def reserve_port(host: str, port: int) -> Generator[socket.socket]:
    """Take a port without answering on it yet; free it at the end.

    Raises:
        WebPortError: It is taken or not allowed.
    """
    with port_errors(host, port):
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        reserved = socket.socket(family, kind)
    with closing(reserved):
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with port_errors(host, port):
            reserved.bind(address)
        yield reserved


@contextmanager
def port_errors(host: str, port: int) -> Generator[None]:
    """Translate what the system says about a port.

    Raises:
        WebPortError: Instead of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WebPortError(sentences.web_port_taken(host, port, reason)) from error
