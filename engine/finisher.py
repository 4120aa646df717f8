"""The engine's second thread: what is drawn is finished while the next is being drawn.

Work is done one piece at a time, first come, first served, so that requests are finished
in the order in which they were drawn. It is bounded from outside: the loop admits no new
pictures while ``has_room`` is false.
"""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

from engine.api import InvalidRequestError, PicturesWithheldError
from engine.messages import Failed, FromEngine, Withheld, Wrong
from engine.pace import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.line import RequestId

    Work = Callable[[], None]
    Submit = Callable[[Work], None]

logger = logging.getLogger(__name__)


class Finisher:
    """Does work for requests in another thread and sends what comes of it.

    Its methods are called by the loop's thread only.
    """

    def __init__(
        self,
        send: Callable[[FromEngine], None],
        *,
        submit: Submit,
        wake: Callable[[], None],
        max_pictures: int,
        clock: Callable[[], float],
    ) -> None:
        """Begin with nothing to do.

        Args:
            send: Takes the answers; called by the second thread.
            submit: Runs work, one piece after the other.
            wake: Called by the second thread whenever a piece of work is done.
            max_pictures: With how many in its hands it has no room for more.
            clock: Tells how long the present piece of work has taken.
        """
        self._send = send
        self._submit = submit
        self._wake = wake
        self._max_pictures = max_pictures
        self._lock = threading.Lock()
        self._pictures: dict[RequestId, int] = {}  # of work that nobody gave up
        self._running_count = 0  # of pieces of work, given up or not, that are not done
        self._clock = clock
        self._at_work: tuple[RequestId, float] | None = None  # on what, and since when

    def __repr__(self) -> str:
        return f"<Finisher {self.picture_count} pictures, {self._running_count} pieces of work>"

    @property
    def picture_count(self) -> int:
        """Pictures that wait for it or are in its hands."""
        with self._lock:
            return sum(self._pictures.values())

    @property
    def backlog(self) -> Backlog:
        """How far behind it is."""
        with self._lock:
            count = sum(self._pictures.values())
            if self._at_work is None:
                return Backlog(waiting_count=count)
            request_id, begun_at_s = self._at_work
            begun_count = self._pictures.get(request_id, 0)
            return Backlog(
                waiting_count=count - begun_count,
                begun_count=begun_count,
                begun_for_s=self._clock() - begun_at_s,
            )

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return self._running_count == 0

    @property
    def has_room(self) -> bool:
        """Whether it keeps up; if not, no new pictures must be begun."""
        return self.picture_count < self._max_pictures

    def add(
        self, request_id: RequestId, picture_count: int, work: Callable[[], FromEngine]
    ) -> None:
        """Do ``work`` for a request when its turn comes and send what it returns.

        A request has one piece of work at a time. One that breaks fails alone. Work on no
        drawn pictures counts none, so that it keeps no drawing from beginning.
        """
        with self._lock:
            self._pictures[request_id] = picture_count
        self._run(lambda: self._finish(request_id, work))

    def try_aside(self, request_id: RequestId, work: Callable[[], FromEngine]) -> bool:
        """Do ``work`` if there is nothing else to do; whether it will be done.

        It is a courtesy: if it breaks, that is logged and nothing is sent.
        """
        if not self.is_idle:
            return False
        self._run(lambda: self._do_aside(request_id, work))
        return True

    def cancel(self, request_id: RequestId) -> None:
        """Send nothing more for a request, and do not begin what it waits for."""
        with self._lock:
            self._pictures.pop(request_id, None)

    def _run(self, work: Work) -> None:
        with self._lock:
            self._running_count += 1
        self._submit(lambda: self._counted(work))

    def _counted(self, work: Work) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._running_count -= 1
            self._wake()

    def _finish(self, request_id: RequestId, work: Callable[[], FromEngine]) -> None:
        if request_id not in self._pictures:
            return  # given up while it waited
        self._at_work = request_id, self._clock()
        answer = _answer_of(request_id, work)
        with self._lock:
            self._at_work = None
            is_wanted = self._pictures.pop(request_id, None) is not None
        if is_wanted:
            self._send(answer)

    def _do_aside(self, request_id: RequestId, work: Callable[[], FromEngine]) -> None:
        try:
            self._send(work())
        except Exception:
            logger.exception("preview failed request_id=%d", request_id)


def _answer_of(request_id: RequestId, work: Callable[[], FromEngine]) -> FromEngine:
    try:
        return work()
    except InvalidRequestError as error:
        return Wrong(request_id=request_id, sentence=str(error))
    except PicturesWithheldError as error:
        return Withheld(request_id=request_id, sentence=str(error))
    except Exception:
        logger.exception("request failed request_id=%d", request_id)
        return Failed(request_id=request_id)


def in_a_thread() -> Submit:
    """Return a ``Submit`` that runs work in one thread of its own, in order."""
    line: queue.SimpleQueue[Work] = queue.SimpleQueue()

    def work_for_ever() -> None:
        while True:
            line.get()()

    threading.Thread(target=work_for_ever, name="engine-finisher", daemon=True).start()
    return line.put


def at_once(work: Work) -> None:
    """A ``Submit`` without a thread: for tests."""
    work()
