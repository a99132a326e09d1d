"""The conversation's state: the user's own words, without what a harness adds."""

from __future__ import annotations

import pytest

from hroute.router.signals.conversation import Conversation, read, without_harness
from hroute.terms.message import Message, Request, Text, ToolResult, ToolUse


def talk(*turns: str) -> Conversation:
    """Turns of the user, each answered."""
    messages: list[Message] = []
    for turn in turns:
        messages += [Message("user", (Text(turn),)), Message("assistant", (Text("Here you are."),))]
    return read(Request(tuple(messages[:-1])))


def test_text_that_a_harness_adds_is_not_the_users_message() -> None:
    said = "<system-reminder>\nDo not write files.\n</system-reminder>\nFix it<system-reminder>x</system-reminder>"
    assert without_harness(said) == "Fix it"


def test_an_element_that_never_closes_is_the_users_own_text() -> None:
    assert without_harness("what is <system-reminder> for?") == "what is <system-reminder> for?"


def test_a_turn_of_tool_results_or_reminders_alone_is_no_turn_of_the_user() -> None:
    messages = (
        Message("user", (Text("List the files"),)),
        Message("assistant", (ToolUse("1", "ls", {}),)),
        Message("user", (ToolResult("1", "a.py"), Text("<system-reminder>go</system-reminder>"))),
        Message("user", (Text("a document"),), context=True),
    )
    assert read(Request(messages)) == Conversation("List the files", "List the files", ("List the files",))


@pytest.mark.parametrize("reply", ["yes", "Go on.", "OK, go!", "continue"])
def test_a_short_reply_stands_for_the_turn_that_it_answers(reply: str) -> None:
    state = talk("Design a database for a hospital", reply)
    assert state.message == reply
    assert state.subject == ("Design a database for a hospital" if reply != "OK, go!" else reply)


def test_turns_that_ask_again_are_counted_from_the_end() -> None:
    assert talk("Where is my parcel?", "That's not what I asked", "I meant the second parcel").clarifying_turns == 2
    assert talk("Where is my parcel?", "That's not what I asked", "Thanks, a table for two").clarifying_turns == 0


def test_the_same_question_again_is_asking_again() -> None:
    assert talk("when does the Berlin shop open", "when does the Berlin shop open??").clarifying_turns == 1


def test_a_first_turn_never_asks_again() -> None:
    assert talk("it still doesn't work").clarifying_turns == 0


def test_an_empty_request_has_no_message() -> None:
    assert read(Request(())) == Conversation()
