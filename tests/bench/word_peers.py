"""Judges prompts with two packages that look for bad words; runs in an environment of theirs.

Reads a JSON list of prompts, writes for each package a list of whether it objects.
"""

import json
import sys

from better_profanity import profanity
from glin_profanity import Filter


def main() -> None:
    """Answer on standard output."""
    prompts = json.load(sys.stdin)
    # Every language that it knows, and all that it has against disguises.
    glin = Filter({"all_languages": True, "detect_leetspeak": True, "normalize_unicode": True})
    json.dump(
        {
            "better-profanity": [profanity.contains_profanity(prompt) for prompt in prompts],
            "glin-profanity": [glin.is_profane(prompt) for prompt in prompts],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
