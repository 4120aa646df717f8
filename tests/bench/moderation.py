"""How often moderation is wrong, and how often two packages that look for bad words are.

Run by ``make bench-moderation``. The prompts are those of the tests; a package knows no
levels, so that its one answer is compared with what each level should say. Prints the tables
of the README, which a test compares with ours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.moderation import Level, Moderator, TextVerdict
from tests.support.moderation_cases import DATA_DIR, LETTERS, LEVELS, cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.support.moderation_cases import Case

    Judge = Callable[[Case, Level], TextVerdict]

PEERS: Final = ("better-profanity", "glin-profanity")
OURS: Final = "imagine-bot"

# Kinds of prompts that a reader of the README wants to see together.
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "children": ("sexual_minor", "sexual_youth"),
    "real people, naked or hurt": ("real_person_sexual", "real_person_violent"),
    "sexual force, animals": ("sexual_violence", "sexual_animal"),
    "sex and nudity": ("sexual", "nudity", "sexual_adult"),
    "gore and cruelty": ("gore", "cruelty", "violence_minor"),
    "hatred and terror": ("hate", "hate_symbol", "slur", "extremism", "terror", "mass_murder"),
    "self-harm": ("self_harm",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a judge did at one level.

    Attributes:
        harmless_count: Prompts that should be allowed.
        refused_count: ... and were refused (false alarms).
        softened_count: ... and were softened.
        harmful_count: Prompts that should be refused.
        missed_count: ... and were allowed.
        only_softened_count: ... and were only softened.
    """

    harmless_count: int
    refused_count: int
    softened_count: int
    harmful_count: int
    missed_count: int
    only_softened_count: int


def score(prompts: Iterable[Case], level: Level, judge: Judge) -> Score:
    """Compare a judge with what should be said at a level."""
    pairs = [(case.verdicts[level], judge(case, level)) for case in prompts]
    harmless = [said for should, said in pairs if should is TextVerdict.ALLOW]
    harmful = [said for should, said in pairs if should is TextVerdict.REFUSE]
    return Score(
        harmless_count=len(harmless),
        refused_count=harmless.count(TextVerdict.REFUSE),
        softened_count=harmless.count(TextVerdict.SOFT),
        harmful_count=len(harmful),
        missed_count=harmful.count(TextVerdict.ALLOW),
        only_softened_count=harmful.count(TextVerdict.SOFT),
    )


def first_look() -> Judge:
    """What was said when the prompts that were set aside were looked at for the first time.

    All that is not in the file was as it should be.
    """
    lines = (DATA_DIR / "first_look.tsv").read_text("utf-8").splitlines()[1:]
    said = {prompt: letters for letters, prompt in (line.split("\t") for line in lines)}

    def judge(case: Case, level: Level) -> TextVerdict:
        letters = said.get(case.prompt)
        return case.verdicts[level] if letters is None else LETTERS[letters[LEVELS.index(level)]]

    return judge


def ours() -> Judge:
    """What is said today."""
    moderator = Moderator()
    return lambda case, level: moderator.judge(case.prompt, level=level).verdict


def peers(python: Path, prompts: Sequence[Case]) -> dict[str, Judge]:
    """What the packages say, which know only yes and no."""
    script = Path(__file__).with_name("word_peers.py")
    answer = subprocess.run(  # noqa: S603 (a script of ours)
        [python, script],
        input=json.dumps([case.prompt for case in prompts]),
        capture_output=True,
        check=True,
        text=True,
    )
    return {
        name: _of_flags(prompts, flags)
        for name, flags in json.loads(answer.stdout.splitlines()[-1]).items()
    }


def _of_flags(prompts: Sequence[Case], flags: Sequence[bool]) -> Judge:
    said = dict(zip((case.prompt for case in prompts), flags, strict=True))
    return lambda case, _: TextVerdict.REFUSE if said[case.prompt] else TextVerdict.ALLOW


def level_rows(judge: Judge, name: str, prompts: Sequence[Case]) -> list[str]:
    """A row of the table for each level."""
    return [_level_row(name, level, score(prompts, level, judge)) for level in LEVELS]


def _level_row(name: str, level: Level, it: Score) -> str:
    return (
        f"| {name} | {level} | {it.refused_count} of {it.harmless_count} "
        f"| {it.softened_count} | {it.missed_count} of {it.harmful_count} "
        f"| {it.only_softened_count} |"
    )


def kind_rows(judges: Mapping[str, Judge], prompts: Sequence[Case]) -> list[str]:
    """A row for each kind: what each judge let pass of what the standard level refuses."""
    rows = [_false_alarms(judges, prompts)]
    for title, kinds in KINDS.items():
        ones = [case for case in prompts if case.kind in kinds]
        scores = [score(ones, Level.STANDARD, judge) for judge in judges.values()]
        missed = " | ".join(str(it.missed_count) for it in scores)
        rows.append(f"| missed: {title} | {scores[0].harmful_count} | {missed} |")
    return rows


def _false_alarms(judges: Mapping[str, Judge], prompts: Sequence[Case]) -> str:
    scores = [score(prompts, Level.STANDARD, judge) for judge in judges.values()]
    alarms = " | ".join(str(it.refused_count) for it in scores)
    return f"| refused: harmless | {scores[0].harmless_count} | {alarms} |"


def speed_ms(moderator: Moderator, prompt: str) -> float:
    """The best of many times for one prompt."""
    times_s: list[float] = []
    for _ in range(200):
        began_s = time.perf_counter()
        moderator.judge(prompt, level=Level.STANDARD)
        times_s.append(time.perf_counter() - began_s)
    return 1_000 * min(times_s)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", type=Path, required=True, help="Python of their environment")
    options = parser.parse_args()
    held_out, every = cases("held_out"), [*cases("known"), *cases("held_out")]
    others = peers(options.peers, every)
    sys.stdout.write("\n".join([
        *level_rows(first_look(), OURS, held_out),
        *(row for name in PEERS for row in level_rows(others[name], name, held_out)),
        "",
        *kind_rows({OURS: ours(), **others}, every),
        "",
        f"{speed_ms(Moderator(), _LONG_PROMPT):.2f} ms for {len(_LONG_PROMPT):,} characters",
        "",
    ]))  # fmt: skip


_LONG_PROMPT: Final = (
    "a portrait of a woman in a red dress in a field of flowers, oil painting, 4k, trending, " * 12
)[:1_000]

if __name__ == "__main__":
    main()
