"""Compiled functions: when they are compiled, how often, and in which widths they may run.

A ``Program`` is one function for one set of shapes, compiled ahead of time. The token loop
has several, one for each ``Width``, and ``TokenLoop`` runs the narrowest that is wide enough:
a lone picture need not pay for the slots beside it, nor a young one for the places of tokens
that it does not have yet.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger(__name__)


class Tracer:
    """Counts how often JAX traces, which it does before it compiles.

    Attributes:
        count: Stands still once everything is compiled.
    """

    def __init__(self) -> None:
        self.count = 0

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; the count rises when JAX traces it, not when it runs."""

        def counted(*args: Any) -> Any:
            self.count += 1
            return function(*args)

        return counted


class Program:
    """A function with its parameters, for arguments of one set of shapes."""

    def __init__(
        self,
        tracer: Tracer,
        function: Callable[..., Any],
        parameters: Any,
        example: tuple[Any, ...],
        *,
        takes_over: bool = False,
    ) -> None:
        """Prepare; ``compile`` does the work.

        Args:
            tracer: Is told of the compilation.
            function: Called with ``parameters`` and the arguments.
            parameters: The same in every call.
            example: Arguments, or their ``jax.ShapeDtypeStruct``.
            takes_over: The first argument's buffers are reused for the result.
        """
        donated = (1,) if takes_over else ()
        self._jitted = jax.jit(tracer.watched(function), donate_argnums=donated)
        self._parameters = parameters
        self._example = jax.tree.map(_shape_of, example)
        self._compiled: Any = None

    def compile(self) -> None:
        """Compile, unless it was done. Other threads may compile other programs."""
        if self._compiled is None:
            self._compiled = self._jitted.lower(self._parameters, *self._example).compile()

    def __call__(self, *args: Any) -> Any:
        """Run on the device; returns before it has finished."""
        self.compile()
        return self._compiled(self._parameters, *args)


def _shape_of(array: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


def compile_all(programs: Iterable[Program]) -> None:
    """Compile on all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(Program.compile, programs))


class Width(NamedTuple):
    """How much of the state a program of the token loop works on.

    Attributes:
        slot_count: The first so many slots.
        length: The first so many places of the cache.
    """

    slot_count: int
    length: int


def widths(slot_count: int, image_length: int, chunk_steps: int) -> list[Width]:
    """The widths that are worth a program here, the whole last.

    Only a CPU takes much longer for more slots, and only there sums keep their bits. Half the
    places are worth it where pictures are long. Example: 20 slots and 256 tokens on a CPU
    are (2, 128), (2, 256), (4, 128), … (20, 256).
    """
    if jax.default_backend() != "cpu":
        return [Width(slot_count, image_length)]
    counts = [n for n in _SLOT_COUNTS if n < slot_count]
    half = image_length // 2
    lengths = [half] if image_length >= _LONG and half % chunk_steps == 0 else []
    return [Width(n, s) for n in (*counts, slot_count) for s in (*lengths, image_length)]


# Two slots are the fewest whose sums XLA runs in the usual order; four fill a row of its
# products; nine are the usual grid.
_SLOT_COUNTS = (2, 4, 9)
_LONG = 128


class TokenLoop:
    """The programs of the token loop."""

    def __init__(self, programs: Mapping[Width, Program]) -> None:
        """Take over the programs: one of each width, the whole last."""
        self._programs = dict(programs)
        self.whole = list(programs)[-1]

    def __repr__(self) -> str:
        shown = ", ".join(f"{width.slot_count}x{width.length}" for width in self._programs)
        return f"<TokenLoop {shown}>"

    @property
    def all(self) -> list[Program]:
        """To be compiled."""
        return list(self._programs.values())

    def narrowest(self, slot_count: int, length: int) -> Program:
        """The cheapest program that covers so many slots and places."""
        fitting = [w for w in self._programs if w.slot_count >= slot_count and w.length >= length]
        return self._programs[min(fitting)]

    def keep_equal(self, evidence_of: Callable[[Program], bytes]) -> None:
        """Give up every width whose bits are not those of the whole.

        Nothing promises that a product of few rows has the bits of one of many: it depends
        on the processor. A picture must not depend on its company, so it is tried.

        Args:
            evidence_of: Draws something with a program, and returns the bits of it.
        """
        truth = evidence_of(self._programs[self.whole])
        for width in [w for w in self._programs if w != self.whole]:
            if evidence_of(self._programs[width]) != truth:
                del self._programs[width]
                logger.info("width given up slots=%d length=%d", width.slot_count, width.length)
