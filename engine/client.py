"""An engine in a process of its own: who asked it for what, and what became of that.

``EngineProcess`` keeps a ticket for every drawing that somebody waits for. The process may
die at any time (``engine.supervisor`` starts another): its tickets stay, the new process
gets them all again, and since a request with its seed always gives the same pictures,
nobody can tell. Only a request that was being drawn both times when two processes died is
given up, for it may be what kills them.

Nothing here blocks the event loop: the pipes to the process are read and written by
asyncio, and all computing is on the other side.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from engine.api import (
    MAX_SEED,
    DrawEvent,
    Drawing,
    DrawingFailedError,
    Drawn,
    DrawRequest,
    EngineBusyError,
    EngineClosedError,
    EngineError,
    EngineStats,
    InvalidRequestError,
    PictureCheck,
    PicturesWithheldError,
    Priority,
    Queued,
)
from engine.contract import RunnerSettings
from engine.devices import Device
from engine.line import RequestId
from engine.messages import (
    Busy,
    Cancel,
    Done,
    Draw,
    Encode,
    Failed,
    Look,
    Render,
    Seen,
    Start,
    Told,
    Upscale,
    Withheld,
    Wrong,
)
from engine.supervisor import Supervisor
from engine.uploads import MAX_FILE_BYTES, decode_picture

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from engine.messages import FromEngine, Ready

RUNNER_LOADER = "engine.runner:load_runner"
MAX_DEATHS: Final = 2
MAX_WAITING_ERRANDS: Final = 32
_ERRAND_S: Final = 5.0  # about what one takes on a processor

_CLOSED = "The engine was closed before the pictures were done."
_BROKE = "The engine broke while it was drawing this request."
_BROKE_TWICE = "The engine broke twice over this request."


_Question = Upscale | Encode | Render


@dataclass(slots=True, kw_only=True, eq=False)
class _Ticket:
    """A drawing that somebody waits for."""

    draw: Draw
    events: asyncio.Queue[DrawEvent | EngineError] = field(
        default_factory=asyncio.Queue["DrawEvent | EngineError"]
    )
    was_accepted: bool = False
    is_being_drawn: bool = False
    death_count: int = 0

    @property
    def id(self) -> RequestId:
        return self.draw.request_id

    @property
    def picture_count(self) -> int:
        return self.draw.request.picture_count


@dataclass(slots=True, kw_only=True, eq=False)
class _Errand:
    """Something else that somebody waits for."""

    question: _Question
    answer: asyncio.Future[Any]
    death_count: int = 0


class EngineProcess:
    """An ``engine.api.Engine`` that draws in a process of its own."""

    def __init__(
        self,
        *,
        checkpoint_dir: Path,
        slot_count: int,
        cache_dir: Path | None = None,
        dtype: str = "auto",
        picture_check: PictureCheck = PictureCheck.STANDARD,
        device: Device | None = None,
        max_waiting_pictures: int = 512,
        restart_delay_s: float = 1.0,
        hang_limit_s: float = 300.0,
        runner_loader: str = RUNNER_LOADER,
    ) -> None:
        """Prepare; ``start`` does the work.

        Args:
            checkpoint_dir: The folder of the weights.
            slot_count: Pictures drawn at once.
            cache_dir: Where compiled programs are kept between starts.
            dtype: See ``engine.contract.RunnerSettings``.
            picture_check: How strictly pictures are looked at before they are handed over.
            device: Where it computes; by default wherever JAX can.
            max_waiting_pictures: How long the waiting line may be.
            restart_delay_s: The first pause between starts that fail; it doubles each time.
            hang_limit_s: How long a process that has work may be silent: far more than a
                chunk takes.
            runner_loader: ``module:function`` of an ``engine.contract.LoadRunner``.
        """
        self._device = device or Device()
        start = Start(
            runner_loader=runner_loader,
            runner=RunnerSettings(
                checkpoint_dir=checkpoint_dir,
                slot_count=slot_count,
                cache_dir=cache_dir,
                dtype=dtype,
                picture_check=picture_check,
            ),
            max_waiting_pictures=max_waiting_pictures,
            cpu_ids=self._device.cpu_ids,
        )
        self._process = Supervisor(
            start,
            self,
            environment=self._device.environment,
            restart_delay_s=restart_delay_s,
            hang_limit_s=hang_limit_s,
        )
        self._names = itertools.count(1)
        self._tickets: dict[RequestId, _Ticket] = {}
        self._errands: dict[RequestId, _Errand] = {}
        self._looks: dict[RequestId, asyncio.Future[EngineStats]] = {}
        self._picture_count = 0
        self._facts: Ready | None = None  # of the model; they outlive the process

    def __repr__(self) -> str:
        is_running = self._process.is_running
        condition = "ready" if self.is_ready else "starting" if is_running else "stopped"
        return (
            f"<EngineProcess {condition}, {len(self._tickets)} requests, "
            f"{self._process.restart_count} restarts>"
        )

    @property
    def process_id(self) -> int | None:
        """The id of the running process; ``None`` while there is none."""
        return self._process.process_id

    @property
    def is_ready(self) -> bool:
        """Whether there is a process that draws."""
        return self._process.is_ready

    @property
    def picture_count(self) -> int:
        """Pictures that somebody waits for."""
        return self._picture_count

    # --- what callers ask for ---------------------------------------------------------

    async def start(self) -> None:
        """Start the process; return when it has loaded and compiled everything.

        Raises:
            CheckpointError: The weights cannot be used.
            EngineError: The process ended while it was starting.
        """
        await self._process.start()

    async def close(self) -> None:
        """Give up what is not done (``EngineClosedError``) and end the process."""
        self.gave_up(EngineClosedError(_CLOSED))
        await self._process.close()
        self._end_looks()

    async def draw(
        self, request: DrawRequest, *, requester: str = "", priority: Priority = Priority.NORMAL
    ) -> AsyncGenerator[DrawEvent]:
        """Draw ``request``; see ``engine.api.Engine``. Closing the iterator gives it up."""
        self._check_open()
        if (refusal := self._refusal(request)) is not None:
            raise refusal
        ahead_count = self._picture_count
        ticket = self._take(request, requester, priority)
        try:
            if not self.is_ready:
                yield Queued(pictures_ahead=ahead_count)
            while True:
                event = await ticket.events.get()
                if isinstance(event, EngineError):
                    raise event
                yield event
                if isinstance(event, Drawn):
                    return
        finally:
            self._give_back(ticket)

    async def upscale(self, picture: bytes) -> bytes:
        """Return the picture four times as wide and high; see ``engine.api.Engine``."""
        _check_length(picture)
        name = RequestId(next(self._names))
        return cast("bytes", await self._run(Upscale(request_id=name, picture=picture)))

    async def encode(self, picture: bytes) -> tuple[int, ...]:
        """Return the image tokens of a picture; see ``engine.api.Engine``."""
        _check_length(picture)
        name = RequestId(next(self._names))
        question = Encode(request_id=name, picture=picture)
        return cast("tuple[int, ...]", await self._run(question))

    async def render(self, request: DrawRequest, index: int, tokens: tuple[int, ...]) -> bytes:
        """Return the file of a picture from its tokens; see ``engine.api.Engine``."""
        name = RequestId(next(self._names))
        question = Render(request_id=name, request=request, index=index, tokens=tokens)
        return cast("bytes", await self._run(question))

    async def stats(self) -> EngineStats:
        """Look how the engine is doing; answers after the present chunk, or at once."""
        stats = EngineStats(waiting_picture_count=self._picture_count)
        if self.is_ready:
            name = RequestId(next(self._names))
            look = self._looks[name] = asyncio.get_running_loop().create_future()
            self._process.send(Look(request_id=name))
            try:
                stats = await look
            finally:
                self._looks.pop(name, None)
        return dataclasses.replace(stats, restart_count=self._process.restart_count)

    # --- tickets and errands ----------------------------------------------------------

    def _check_open(self) -> None:
        if not self._process.is_running:
            raise EngineClosedError("The engine is not running.")

    def _refusal(self, request: DrawRequest) -> InvalidRequestError | None:
        """What is wrong with a request for this model, once that is known."""
        facts, kept = self._facts, request.keep
        if facts is None or not kept:
            return None
        if len(kept) < facts.image_length and max(kept) < facts.code_count:
            return None
        return InvalidRequestError(
            f"The picture to complete was not drawn by this model ({facts.model}): draw it anew, "
            "or upload it as a file."
        )

    def _take(self, request: DrawRequest, requester: str, priority: Priority) -> _Ticket:
        seed = secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed
        draw = Draw(
            request_id=RequestId(next(self._names)),
            request=dataclasses.replace(request, seed=seed),
            asked_at_s=time.monotonic(),
            requester=requester,
            priority=priority,
        )
        ticket = self._tickets[draw.request_id] = _Ticket(draw=draw)
        self._picture_count += ticket.picture_count
        self._process.send(draw)
        return ticket

    def _give_back(self, ticket: _Ticket) -> None:
        if self._forget(ticket.id) is not None:
            self._process.send(Cancel(request_id=ticket.id))

    def _forget(self, request_id: RequestId) -> _Ticket | None:
        ticket = self._tickets.pop(request_id, None)
        if ticket is not None:
            self._picture_count -= ticket.picture_count
        return ticket

    async def _run(self, question: _Question) -> object:
        self._check_open()
        if len(self._errands) >= MAX_WAITING_ERRANDS:
            raise EngineBusyError(len(self._errands) * _ERRAND_S)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        name = question.request_id
        self._errands[name] = _Errand(question=question, answer=answer)
        self._process.send(question)
        try:
            return await answer
        finally:
            if self._errands.pop(name, None) is not None:
                self._process.send(Cancel(request_id=name))

    def _end(self, request_id: RequestId, end: object) -> None:
        """End a drawing or an errand with its result or error."""
        if (ticket := self._forget(request_id)) is not None:
            ticket.events.put_nowait(cast("Drawn | EngineError", end))
        errand = self._errands.pop(request_id, None)
        if errand is None or errand.answer.done():
            return
        if isinstance(end, EngineError):
            errand.answer.set_exception(end)
        else:
            errand.answer.set_result(end)

    def _end_looks(self) -> None:
        for look in self._looks.values():
            if not look.done():
                look.set_result(EngineStats(waiting_picture_count=self._picture_count))

    # --- what the supervisor tells (engine.supervisor.Listener) -------------------------

    @property
    def has_work(self) -> bool:
        """Whether somebody waits for the process."""
        return bool(self._tickets or self._errands)

    def became_ready(self, ready: Ready) -> None:
        """Ask a new process for everything that somebody waits for."""
        self._facts = ready
        for ticket in list(self._tickets.values()):
            if (refusal := self._refusal(ticket.draw.request)) is not None:
                self._end(ticket.id, refusal)
            else:
                was_accepted = ticket.was_accepted
                self._process.send(
                    dataclasses.replace(ticket.draw, was_accepted_before=was_accepted)
                )
        for errand in self._errands.values():
            self._process.send(errand.question)

    def received(self, message: FromEngine) -> None:
        """Pass on what the process tells."""
        match message:
            case Told():
                self._tell(message)
            case Done(request_id=request_id, answer=answer):
                self._end(request_id, answer)
            case Seen(request_id=request_id, stats=stats):
                look = self._looks.get(request_id)
                if look is not None and not look.done():
                    look.set_result(stats)
            case Busy(request_id=request_id, retry_after_s=retry_after_s):
                self._end(request_id, EngineBusyError(retry_after_s))
            case Wrong(request_id=request_id, sentence=sentence):
                self._end(request_id, InvalidRequestError(sentence))
            case Withheld(request_id=request_id, sentence=sentence):
                self._end(request_id, PicturesWithheldError(sentence))
            case Failed(request_id=request_id):
                self._end(request_id, DrawingFailedError(_BROKE))
            case _:
                raise TypeError(f"{type(message).__name__} is the supervisor's to handle")

    def lost_process(self) -> None:
        """Count the death against what was being done, and give up what killed two."""
        self._end_looks()
        suspects: dict[RequestId, _Ticket | _Errand] = {
            **{name: ticket for name, ticket in self._tickets.items() if ticket.is_being_drawn},
            **self._errands,
        }
        for name, suspect in suspects.items():
            suspect.death_count += 1
            if suspect.death_count == MAX_DEATHS:
                self._end(name, DrawingFailedError(_BROKE_TWICE))
        for ticket in self._tickets.values():
            ticket.is_being_drawn = False

    def gave_up(self, error: EngineError) -> None:
        """Let nobody wait for a process that does not come."""
        for name in [*self._tickets, *self._errands]:
            self._end(name, error)

    def _tell(self, told: Told) -> None:
        ticket = self._tickets.get(told.request_id)
        if ticket is None:
            return  # given up while the event was on its way
        ticket.was_accepted = True
        if isinstance(told.event, Drawn):
            self._end(ticket.id, told.event)
            return
        if isinstance(told.event, Queued | Drawing):
            ticket.is_being_drawn = isinstance(told.event, Drawing)
        ticket.events.put_nowait(told.event)


def _check_length(picture: bytes) -> None:
    if len(picture) > MAX_FILE_BYTES:
        decode_picture(picture)  # refuses it for its length, without a look
