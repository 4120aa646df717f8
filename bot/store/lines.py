"""The arithmetic of the fair order: whose job comes next. Pure functions of pictures.

Every community has a *line* of its own, and so has everybody who is alone with the bot. The
lines take turns, and within a line its people take turns, so that neither a person with many
wishes nor a community with many people keeps the others waiting.

Turns are counted in pictures. Between lines: a line that was served is due again as many
pictures later as it was given, and the line that is due first comes next; a line that was
empty cannot save up turns (start-time fair queueing). Within a line: a job stands as far
behind the one served last as its person has pictures under way already.

A worked example with jobs of 9: the line has reached 0. A person without jobs sends five,
which get the turns 0, 9, 18, 27, 36. When two of them are served the line has reached 9, and
somebody else sends one: it gets the turn 9 and comes before 18.

Source: Goyal, Vin and Cheng, "Start-time Fair Queueing", SIGCOMM 1996, for the lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of waiting jobs.

    Attributes:
        waiting_count: Jobs in it.
        due: When it comes next, counted in pictures of the whole bot.
        reached: The turn of the job that was served last, counted in pictures of its own.
    """

    waiting_count: int = 0
    due: int = 0
    reached: int = 0


def joined(line: Line, served_until: int) -> Line:
    """Let one more job wait. ``served_until`` is when the line that was served last was due."""
    due = line.due if line.waiting_count else max(line.due, served_until)
    return replace(line, waiting_count=line.waiting_count + 1, due=due)


def turn_of(line: Line, open_picture_count: int) -> int:
    """The turn of a new job of somebody who has this many pictures under way."""
    return line.reached + open_picture_count


def served(line: Line, *, turn: int, picture_count: int) -> Line:
    """Let the job with this turn leave to be drawn."""
    return Line(
        waiting_count=line.waiting_count - 1,
        due=line.due + picture_count,
        reached=max(line.reached, turn),
    )


def left(line: Line) -> Line:
    """Let a job leave that will not be drawn."""
    return replace(line, waiting_count=line.waiting_count - 1)
