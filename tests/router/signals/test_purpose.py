"""Housekeeping requests of known clients are told from turns."""

from __future__ import annotations

from hroute.router.signals.purpose import read
from hroute.terms.message import Request, Tool, prompt


def purpose(request: Request) -> str:
    return read(request, request.last_user_text)


def test_a_question_is_a_turn() -> None:
    assert purpose(prompt("Write a catchy title for my post", system="You help with marketing.")) == "turn"


def test_a_title_request_is_known_by_its_words_and_by_having_no_tools() -> None:
    asks = prompt("say hi", system="Generate a concise, sentence-case title (3-7 words) for this session.")
    assert purpose(asks) == "title"
    assert purpose(prompt("say hi", system=asks.system, tools=(Tool("ls", "", {}),))) == "turn"


def test_summaries_subagents_and_probes_are_known() -> None:
    assert purpose(prompt("Your task is to create a detailed summary of the conversation so far")) == "summary"
    assert purpose(prompt("find x", system="You are an agent for Claude Code, a CLI.")) == "subagent"
    marked = "x-anthropic-billing-header: cc_version=2.1.197.8a5; cc_entrypoint=cli; cc_is_subagent=true;\nRead notes."
    assert purpose(prompt("find x", system=marked, tools=(Tool("ls", "", {}),))) == "subagent"
    assert purpose(prompt("quota", max_tokens=1)) == "count"
