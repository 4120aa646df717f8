"""A small model hub on loopback, which can cut connections, refuse, and lie.

It speaks what `huggingface_hub` asks: the listing of a repository with checksums, and its
files, large ones by way of a redirect, from any byte on.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Generator

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LARGE_BYTES = 1_000


@dataclass(slots=True)
class FakeHub:
    """What the hub holds and how it behaves.

    Attributes:
        repos: Content by repository and name.
        served: (name, first byte) of every file that was asked for.
        cut_after_bytes: By name, how many bytes of the answers to come are sent.
        announced: Content that the listing speaks of instead of the true one.
        status: By repository, the answer to everything, with the hub's error code.
        ignores_range: Answers with the whole file whatever was asked.
    """

    repos: dict[str, dict[str, bytes]]
    url: str = ""
    served: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    cut_after_bytes: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    announced: dict[str, bytes] = field(default_factory=dict[str, bytes])
    status: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    ignores_range: bool = False

    def listing(self, repo: str) -> dict[str, Any]:
        """The answer to ``/api/models/REPO``."""
        files = {name: self.announced.get(name, c) for name, c in self.repos[repo].items()}
        return {
            "id": repo,
            "sha": COMMIT,
            "siblings": [_sibling(name, content) for name, content in files.items()],
        }


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    sibling: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
    if len(content) >= _LARGE_BYTES:
        sha256 = hashlib.sha256(content).hexdigest()
        sibling["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
    return sibling


@contextmanager
def serve(hub: FakeHub) -> Generator[FakeHub]:
    """Serve ``hub`` at a free loopback port, ``hub.url``."""

    class Handler(_Handler):
        served_hub = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served_hub: FakeHub

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        is_listing = parts[:2] == ["api", "models"]
        repo = "/".join(
            parts[2:4] if is_listing else parts[1:3] if parts[0] == "cdn" else parts[:2]
        )
        name = "/".join(parts[4:])
        if repo in self.served_hub.status:
            status, code = self.served_hub.status[repo]
            self._answer(status, b'{"error": "no"}', {"X-Error-Code": code})
        elif repo not in self.served_hub.repos:
            self._answer(404, b'{"error": "no"}', {})
        elif is_listing:
            self._answer(200, json.dumps(self.served_hub.listing(repo)).encode(), {})
        elif parts[0] != "cdn" and len(self.served_hub.repos[repo][name]) >= _LARGE_BYTES:
            self._answer(302, b"", {"Location": f"{self.served_hub.url}/cdn{self.path}"})
        else:
            self._send_file(parts[-1], self.served_hub.repos[repo][parts[-1]])

    def _send_file(self, name: str, content: bytes) -> None:
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.served_hub.served.append((name, start))
        if self.served_hub.ignores_range:
            self._answer(200, content, {})
        else:
            where = f"bytes {start}-{len(content) - 1}/{len(content)}"
            cuts = self.served_hub.cut_after_bytes.get(name)
            sent = cuts.pop(0) if cuts else None
            self._answer(206, content[start:], {"Content-Range": where}, sent=sent)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], *, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = sent is not None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the library's name
        """Say nothing."""
