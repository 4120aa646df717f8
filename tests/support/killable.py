"""A bot in a process of its own that can be killed at any point, and the wall it posts on.

The parent holds the ``Wall``: it hands out submissions and remembers what is posted, over a
loopback connection. What is posted cannot be taken back, and stands there twice if it is
posted twice. The process does what the real bot does, with the real service, store and
database file; only its pictures are plain squares.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bot.jobs import DuplicateEventError, OverQuotaError, Person, Platform, Submission
from bot.service import Service
from bot.store import Store
from engine.api import DrawingFailedError, DrawRequest, Priority
from tests.support.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from bot.jobs import Job, Progress
    from bot.store import Rules
    from engine.api import DrawEvent, Drawn

NEVER = 10**9


@dataclass(slots=True)
class Wall:
    """What people asked for and what they see.

    Attributes:
        wishes: What is still to be submitted; handed out again until it is known to be
            accepted, as a platform sends its events again.
        posts: What was posted, by event.
        refused: Events that were over a limit.
    """

    wishes: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    posts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: set[str] = field(default_factory=set[str])
    address: int = 0

    @contextlib.asynccontextmanager
    async def standing(self) -> AsyncGenerator[Wall]:
        """Be there for processes, on a free port."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(json.loads(line))).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # it was killed
        finally:
            writer.close()

    def _answer(self, question: dict[str, str]) -> object:
        event = question.get("event", "")
        match question["op"]:
            case "wishes":
                return list(self.wishes.values())
            case "accepted":
                self.wishes.pop(event, None)
            case "refused":
                self.wishes.pop(event, None)
                self.refused.add(event)
            case "look":
                return self.posts[event]
            case "post":
                self.posts[event].append(question["what"])
            case op:
                raise AssertionError(op)
        return "done"


BROKEN = "broken"  # how a prompt begins that no engine can draw


class Fuse:
    """Kills this process at its ``burns_at``-th point; ``None`` is never."""

    def __init__(self, burns_at: int | None) -> None:
        self._left_count = burns_at

    def point(self) -> None:
        if self._left_count is None:
            return
        self._left_count -= 1
        if self._left_count <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Connection:
    """A question at a time to the wall; the fuse may burn before and after each."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fuse: Fuse
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._fuse = fuse
        self._turn = asyncio.Lock()

    async def ask(self, op: str, **named: str) -> Any:
        async with self._turn:
            self._fuse.point()
            self._writer.write(json.dumps({"op": op, **named}).encode() + b"\n")
            await self._writer.drain()
            answer = json.loads(await self._reader.readline())
            self._fuse.point()
            return answer

    def close(self) -> None:
        self._writer.close()


class BurningStore:
    """A store whose every transaction may be the last, before it or after it."""

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse

    def __getattr__(self, name: str) -> object:
        member = getattr(self._store, name)
        return self._burning(member) if callable(member) else member

    def _burning(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def use_case(*args: object, **named: object) -> object:
            self._fuse.point()
            result = await method(*args, **named)
            self._fuse.point()
            return result

        return use_case


class BurningEngine(ScriptedEngine):
    """An engine that may be the last before each event; it breaks over "broken" prompts."""

    def __init__(self, fuse: Fuse, pause_s: float) -> None:
        super().__init__()
        self._fuse = fuse
        self._pause_s = pause_s

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        async for event in super().draw(request, requester=requester, priority=priority):
            await asyncio.sleep(self._pause_s)
            self._fuse.point()
            if request.prompt.startswith(BROKEN):
                raise DrawingFailedError("It is broken.")
            yield event


class WallDelivery:
    """Posts on the wall; looks there first if, and only if, something may stand there."""

    def __init__(self, wall: Connection) -> None:
        self._wall = wall

    async def show_progress(self, job: Job, event: Progress) -> None:
        """Show nothing."""

    async def deliver(self, job: Job, drawn: Drawn) -> None:
        del drawn
        await self._post(job, "pictures")

    async def apologise(self, job: Job, error: Exception) -> None:
        await self._post(job, f"apology for {type(error).__name__}")

    async def postpone(self, job: Job) -> None:
        raise AssertionError(f"{job.id} was postponed")

    async def cancelled(self, job: Job) -> None:
        raise AssertionError(f"{job.id} was given up")

    async def _post(self, job: Job, what: str) -> None:
        event = job.submission.event_id
        if job.attempt_count > 0 and await self._wall.ask("look", event=event):
            return
        await self._wall.ask("post", event=event, what=what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a process is given.

    Attributes:
        url: Its database.
        address: The port of the wall.
        burns_at: At which point it kills itself.
        room: Pictures with the engine at once.
        pause_s: Between two events of the engine.
    """

    url: str
    address: int
    rules: Rules
    burns_at: int = NEVER
    room: int = 6
    pause_s: float = 0.0


def live(life: Life) -> None:
    """The whole life of a process: submit what is wished for, and end when all is done."""
    logging.disable(logging.CRITICAL)  # what breaks here breaks on purpose
    asyncio.run(_live(life))


async def _live(life: Life) -> None:
    fuse = Fuse(life.burns_at)
    store = await Store.open(life.url)
    wall = Connection(*await asyncio.open_connection("127.0.0.1", life.address), fuse)
    service = Service(
        store=cast("Store", BurningStore(store, fuse)),
        engine=BurningEngine(fuse, life.pause_s),
        rules=life.rules,
        room=life.room,
        sleep=lambda _: asyncio.sleep(0),
    )
    service.register(Platform.DISCORD, WallDelivery(wall))
    await service.start()
    await asyncio.gather(*(_submit(service, wall, wish) for wish in await wall.ask("wishes")))
    while await store.unfinished([Platform.DISCORD]):  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.005)
    await service.close(1.0)
    wall.close()
    await store.close()


async def _submit(service: Service, wall: Connection, wish: dict[str, Any]) -> None:
    try:
        await service.submit(submission_of(wish))
    except DuplicateEventError:
        pass  # an earlier process accepted it and was killed before it could say so
    except OverQuotaError:
        await wall.ask("refused", event=wish["event"])
        return
    await wall.ask("accepted", event=wish["event"])


def submission_of(wish: dict[str, Any]) -> Submission:
    return Submission(
        person=Person(platform=Platform.DISCORD, id=wish["person"]),
        event_id=wish["event"],
        request=DrawRequest(prompt=wish["prompt"], picture_count=wish["count"], seed=7),
        community=wish["community"],
    )


def wishes(several: Sequence[tuple[str, str, int]]) -> dict[str, dict[str, Any]]:
    """Wishes of (person, prompt, pictures), by their events."""
    return {
        f"event-{number}": {
            "event": f"event-{number}",
            "person": person,
            "prompt": prompt,
            "count": count,
            "community": "guild" if number % 2 else None,
        }
        for number, (person, prompt, count) in enumerate(several)
    }
