"""What does not change the work moves the score little and flips no verdict about personal data or credentials."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hroute.router.signals.extract import Extraction
from hroute.terms.message import Request, prompt

Extract = Callable[..., Extraction]

PROMPTS = (
    "Why is the sky blue?",
    "Are you open on Sundays?",
    "Compare PostgreSQL and MySQL for a shop with many writes.",
    "Fix the bug in this function: def f(x): return x + y",
    "My SSN is 078-05-1120, fill the form for me.",
    "Pay it with 4111 1111 1111 1111 and write to jane@example.org, please.",
    "The database password is hunter2-x9, connect to it.",
)
SYSTEM = "You are a helpful assistant of a company that sells furniture. " * 1_200  # some 16,000 tokens
PERTURBED: dict[str, Callable[[str], Request]] = {
    "capitals": lambda text: prompt(text.upper()),
    "small letters": lambda text: prompt(text.lower()),
    "a wrapper": lambda text: prompt(f"Please help me with the following. {text} Thank you in advance."),
    "step by step": lambda text: prompt(f"{text} Think step by step."),
    "a long system prompt": lambda text: prompt(text, system=SYSTEM),
    "blanks": lambda text: prompt("\n\n  " + text.replace(" ", "  ") + "\n"),
    "a letter nobody sees": lambda text: prompt(text.replace("1", "1\u200b").replace("e", "e\u200b")),
}


@pytest.mark.parametrize("name", PERTURBED)
@pytest.mark.parametrize("text", PROMPTS)
def test_no_perturbation_flips_a_verdict(extract: Extract, text: str, name: str) -> None:
    plain, changed = extract(text), extract(PERTURBED[name](text))
    assert changed.ask("contains_pii") == plain.ask("contains_pii")
    assert changed.ask("contains_secret") == plain.ask("contains_secret")


@pytest.mark.parametrize("name", [name for name in PERTURBED if name != "a letter nobody sees"])
@pytest.mark.parametrize("text", PROMPTS)
def test_no_perturbation_moves_the_score_far(extract: Extract, text: str, name: str) -> None:
    plain, changed = extract(text).ask("score"), extract(PERTURBED[name](text)).ask("score")
    assert isinstance(plain, float)
    assert isinstance(changed, float)
    assert abs(plain - changed) <= 0.1
