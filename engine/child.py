"""One engine process and the pipes to it, seen from the one that started it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, cast

from engine.messages import (
    HEADER_BYTES,
    LENGTH_BYTES,
    FromEngine,
    Start,
    ToEngine,
    decode_frame,
    encode_frame,
    frame_shape,
    part_lengths,
)

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

logger = logging.getLogger(__name__)

_END_WITHIN_S = 5.0
_LAST_WORDS_BYTES = 8_192
_PIECE_BYTES = 1024 * 1024

# The same import path as here, and ``engine.process`` under its own name: run by ``-m`` it
# would be ``__main__``.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from engine.process import main; main()"


class Child:
    """A running engine process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last_bytes = b""
        self._listening = asyncio.create_task(self._listen(), name="engine-stderr")
        self.process_id = process.pid

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, start: Start, environment: Mapping[str, str]) -> AsyncGenerator[Child]:
        """Have a process while the block lasts; ``environment`` is added to our own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _PROGRAM,
            *sys.path,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_PIECE_BYTES,
        )
        child = cls(process)
        try:
            child.send(start)
            yield child
        finally:
            await child.end()

    @property
    def last_words(self) -> str:
        """The end of what the process wrote to standard error."""
        return self._last_bytes.decode(errors="replace").strip()

    def send(self, message: Start | ToEngine) -> None:
        """Queue a message; if the process is dead, it is lost with it."""
        assert self._process.stdin is not None  # noqa: S101 - it was made with a pipe
        if not self._process.stdin.is_closing():
            self._process.stdin.writelines(encode_frame(message))

    async def messages(self) -> AsyncIterator[FromEngine]:
        """What the process tells, until it ends."""
        with contextlib.suppress(asyncio.IncompleteReadError):  # the end, also in mid-frame
            while True:
                shape = frame_shape(await self._read(HEADER_BYTES))
                lengths = part_lengths(await self._read(LENGTH_BYTES * shape.part_count))
                body = await self._read(shape.body_bytes)
                parts = [await self._read(length) for length in lengths]
                yield cast("FromEngine", decode_frame(body, parts))

    async def _read(self, count: int) -> bytes:
        """Read so many bytes, without keeping the event loop for all of them at once."""
        assert self._process.stdout is not None  # noqa: S101 - it was made with a pipe
        pieces = [
            await self._process.stdout.readexactly(min(left, _PIECE_BYTES))
            for left in range(count, 0, -_PIECE_BYTES)
        ]
        # Joining many bytes lets go of the interpreter (Python 3.10, bpo-36051).
        return await asyncio.to_thread(b"".join, pieces) if len(pieces) > 1 else b"".join(pieces)

    async def wait(self) -> int:
        """Return the exit status once the process has ended and said everything."""
        await self._listening
        return await self._process.wait()

    def kill(self) -> None:
        """End it at once, whatever it does."""
        with contextlib.suppress(ProcessLookupError):  # it has just ended after all
            self._process.kill()

    async def end(self) -> None:
        """Close its standard input, which ends it; kill it if it does not listen."""
        assert self._process.stdin is not None  # noqa: S101 - it was made with a pipe
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self.wait(), _END_WITHIN_S)
        except TimeoutError:
            logger.warning("engine process killed: it did not end in %.0f s", _END_WITHIN_S)
            self.kill()
            await self._process.wait()
        finally:
            self._listening.cancel()

    async def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - it was made with a pipe
        while chunk := await self._process.stderr.read(_LAST_WORDS_BYTES):
            self._last_bytes = (self._last_bytes + chunk)[-_LAST_WORDS_BYTES:]
