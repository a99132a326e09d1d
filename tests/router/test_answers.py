"""Where the answer stands in what small models really write, and where it cannot be told."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.router.answers import READ, Unclear, answer, field
from hroute.router.canonical import Canonical
from hroute.router.json_in_text import Parsed, readings


def found(text: str, on: str = "answer", choices: tuple[str, ...] = ()) -> Canonical:
    got = answer(text, on=on, choices=choices)
    assert isinstance(got, Canonical), got
    return got


def unclear(text: str, on: str = "answer", choices: tuple[str, ...] = ()) -> str:
    got = answer(text, on=on, choices=choices)
    assert isinstance(got, Unclear), got
    return got.why


EIGHTEEN = [
    "18", "$18", "18 dollars.", "It is 18.", "Answer: 18", "**Answer:** 18 dollars", "The answer is 18.", "So the final answer is $18. I hope this helps!", "Reasoning...\n#### 18",
    r"Thus $\boxed{18}$.", "**Final Answer:**\n\n18", "16 - 3 - 4 = 9 eggs. " * 12 + "Therefore, she makes 9 * 2 = $18 every day.", "Die Antwort ist: 18", "Відповідь: 18",
    "She sells the rest for two dollars each. " * 8 + "She makes 9 * 2 = $18 a day.", "She sells the rest. " * 12 + "She makes **18 dollars**.", "First 16 - 7 = 9.\nTotal: $18", '{"reasoning": "9 * 2", "answer": "18"}', '{"reasoning": "9 * 2", "answer": 18}', '```json\n{"answer": "18"}\n```', 'Here you are:\n```\n{"answer": "$18"}\n```\nThe answer is above, see line 3.',
    '{"reasoning": "first\nthen \\(9 \\times 2\\)", "answer": "18"}', '{"answer": "answer": "18"}', '{"reasoning": "she said "hello" twice", "answer": "18"}', '{"reasoning": "x", "answer": 18',
    '{"result": 18, "steps": ["9 * 2"]}', '{"total": 18, "explanation": "nine times two"}', '{"final_answer": "18", "answer": "the draft said 17"}', "{'reasoning': 'x', 'answer': '18'}",
]  # fmt: skip


@pytest.mark.parametrize("text", EIGHTEEN)
def test_a_number_is_found_in_whatever_is_wrapped_around_it(text: str) -> None:
    got = found(text)
    assert (got.kind, got.value) == ("number", Fraction(18))


@pytest.mark.parametrize(
    "text",
    ["B", "(B)", "The correct answer is (B).", "Answer: B) Paris", '{"reasoning": "...", "answer": "B"}', r"\boxed{B}", "**Answer: B**"],
)  # fmt: skip
def test_an_option_is_found(text: str) -> None:
    got = found(text)
    assert (got.kind, got.value) == ("choice", "B")


def test_choices_of_the_policy_narrow_what_an_answer_may_be() -> None:
    wanted = ("refund", "delivery")
    assert found("Category: Refund.", choices=wanted).value == "refund"
    assert found('{"label": "delivery", "confidence": 0.8}', choices=wanted).value == "delivery"
    assert unclear("Category: praise", choices=wanted)


def test_what_is_compared_can_be_prescribed() -> None:
    assert found("She makes $18 every day", on="number").value == 18
    assert found("First 3 eggs are eaten. " * 20 + "She makes $18 every day.", on="number").value == 18
    assert unclear("between 3 and 5", on="number") == "it holds no single number"
    assert found("Sentiment: positive", on="label").value == "positive"
    assert found("**Yes**, because it rains", on="label").value == "yes"
    assert found("The capital is Paris", on="text").value == "capital is paris"
    assert found('so: {"b": 1, "a": 2.0}', on="json").value == '{"a":2,"b":1}'
    assert unclear("no json", on="json") == "there is no JSON in it"
    assert found("(c)", on="choice").value == "C"
    assert unclear("perhaps", on="choice") == "it is none of the choices"


def test_json_without_an_answer_in_it_is_the_answer_itself() -> None:
    one = found('{"name": "Ada", "born": 1815, "reasoning": "line 1"}')
    other = found('```json\n{"born": 1815, "name": "ada", "reasoning": "the first line"}\n```')
    assert one.kind == "json"
    assert one.same(other)


def test_json_that_was_read_already_is_not_looked_for_again() -> None:
    assert answer("ignored 17", json_of=Parsed({"answer": "18"}, "")) == found("18")


@pytest.mark.parametrize("text", ["[1, 2]", '{"answer": [1, 2]}', "The answer is [1, 2]."])
def test_a_list_is_a_value(text: str) -> None:
    assert found(text).value == "[1,2]"


@pytest.mark.parametrize(
    "text",
    ["", "We are open every day. " * 20, '{"reasoning": "Ruby is', '```json\n{"reasoning": "cut', '{"reasoning": "x", "answer": "cut of', "Cannot be determined", '{"answer": "There is not enough information."}', "```python\nprint(1)\n```"],
)  # fmt: skip
def test_where_no_answer_can_be_told_that_is_said(text: str) -> None:
    why = unclear(text)
    assert why
    assert "Ruby" not in why
    assert "open" not in why


def test_a_number_in_the_middle_of_a_long_text_is_no_answer() -> None:
    assert unclear(
        "We open at 9 and close at 18. " * 10 + "See you soon in our shop, number 7, any day of the week you like!"
    )


def test_the_last_word_counts() -> None:
    assert found("The answer is 17. Wait, I forgot one.\nThe answer is 18.").value == 18
    assert found(r"First \boxed{17}, corrected: \boxed{18}").value == 18


def test_the_answer_of_a_json_value_is_named_by_its_key_or_is_the_only_one() -> None:
    assert field({"reasoning": "x", "answer": "a"}) == "a"
    assert field({"label": "a", "confidence": 1}) == "a"
    assert field({"a": 1, "b": 2}) == {"a": 1, "b": 2}
    assert field("plain") == "plain"
    assert field([1]) == [1]


def test_line_breaks_and_latex_inside_json_strings_are_read_as_they_were_meant() -> None:
    parsed = next(iter(readings('{"a": "one\ntwo \\(x\\) \\"q\\""}', mend=False)))
    assert parsed.value == {"a": 'one\ntwo \\(x\\) "q"'}


def test_only_so_much_of_a_reply_is_read() -> None:
    assert found("x " * READ + "The answer is 18.").value == 18


@pytest.mark.parametrize(
    "text",
    ['{"answer": ' * 20_000, "answer is " * 20_000, "\\boxed{" * 20_000, "#### " * 20_000, '"answer": "' * 10_000, "{" * 100_000, "[" * 100_000, "```" * 30_000, "Therefore " + "1 " * 50_000],
)  # fmt: skip
def test_a_hostile_reply_costs_little(text: str) -> None:
    assert isinstance(answer(text), (Canonical, Unclear))
    assert isinstance(answer(text, on="number"), (Canonical, Unclear))


pieces = st.sampled_from(
    ['{"answer": ', '"answer":', "```json\n", "```", "\\boxed{", "}", "{", "[", "]", '"', "'", "####", "The answer is ", "Therefore ", "=", " = ", "18", "1/2", "$", "%",
     ",", ".", " ", "\n", "B)", "(b)", "yes", "½", "²", "\\frac{1}{2}", "1,5", "e9", "x", "\ud800", "\x00", "٣", "null", "**"]
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(pieces, max_size=14).map("".join), st.sampled_from(["answer", "number", "choice", "label", "json", "text"])
)
def test_whatever_a_model_writes_has_an_answer_or_is_unclear(text: str, on: str) -> None:
    got = answer(text, on=on)
    assert isinstance(got, (Canonical, Unclear))
    if isinstance(got, Canonical):
        assert got.same(got)
