"""Write the cafe's month of the article as a log (JSONL): its shares, its token counts, made-up words.

The same 60,000 lines every time, or as many as the argument says. 61 % hours, addresses, prices, delivery; 18 % menu; 12 % complaints; 9 % documents
and writing. 420 tokens in, of which 400 are the bot's system prompt, and 176 out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

REQUESTS = 60_000
SHARES = {"faq": 0.61, "menu": 0.18, "complaint": 0.12, "writing": 0.09}
INPUT_TOKENS, OUTPUT_TOKENS = 420, 176
START = datetime(2026, 10, 1, tzinfo=UTC)
MONTH = timedelta(days=31)

PHRASES = {
    "faq": (
        "Are you open on {day}?",
        "What are your opening hours on {day}?",
        "Hi! When do you close?",
        "What's your address?",
        "Where are you exactly?",
        "How much is a {drink}?",
        "Is delivery free?",
        "Do you deliver a {drink} to the office?",
    ),
    "menu": (
        "Is the {cake} vegan?",
        "Which ingredients are in the {cake}?",
        "Can I have the {drink} with oat milk?",
        "Is the {cake} gluten free?",
        "Can I see the menu for {day}?",
    ),
    "complaint": (
        "My {drink} came cold again.",
        "I got the wrong order: a {drink} and no {cake}.",
        "I am still waiting for my {cake}, this is a complaint.",
        "You overcharged me for the {cake}, I want a refund.",
    ),
    "writing": (
        "Write a birthday invitation for {day} that mentions the {cake}.",
        "Write a short review of your {drink} for my blog.",
        "Draft an email to my colleagues about {day}'s breakfast with {cake}.",
    ),
}
WORDS = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "drink": ("cappuccino", "flat white", "espresso", "filter coffee", "hot chocolate", "chai"),
    "cake": ("carrot cake", "cheesecake", "croissant", "brownie", "lemon tart"),
}


def rows(requests: int = REQUESTS, seed: int = 1) -> Iterator[dict[str, object]]:
    """The month as rows of a log, in order of time. Shares hold exactly where `requests` is a multiple of 100."""
    random = Random(seed)
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * requests))]
    random.shuffle(kinds)
    for number, kind in enumerate(kinds):
        words = {slot: random.choice(choices) for slot, choices in WORDS.items()}
        yield {
            "ts": (START + MONTH * number / requests).isoformat(timespec="seconds"),
            "id": f"cafe-{number:05}",
            "session": f"guest-{random.randrange(requests // 4)}",
            "cost_center": "telegram-bot",
            "model": "claude-sonnet",
            "prompt": random.choice(PHRASES[kind]).format(**words),
            "input_tokens": INPUT_TOKENS,
            "output_tokens": OUTPUT_TOKENS,
        }


def main() -> None:
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else REQUESTS):
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
