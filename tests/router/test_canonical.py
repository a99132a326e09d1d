"""When two ways of writing are the same answer, and when they are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.router import canonical
from hroute.router.canonical import Canonical


def same(one: Canonical | None, other: Canonical | None) -> bool:
    assert one is not None
    assert other is not None
    assert one.same(other) == other.same(one)
    return one.same(other)


NUMBERS = [
    ("18", "$18"), ("18", "18 dollars"), ("$18", "18.00 USD"), ("18", "about 18 eggs"), ("18 eggs", "18 fresh duck eggs"), ("1,200.50", "1200.5"),
    ("1.234,56", "1234.56"), ("1,5", "1.5"), ("3 1/2", "3.5"), ("½", "0.5"), ("3½", "7/2"), ("x = 5", "5"), ("−45", "-45"), ("$-5", "-$5"), ("2 x 10^3", "2000"), ("1e3", "1,000"),
    ("2.5 million", "2500000"), ("twelve", "12"), ("65.4%", "65.4 percent"), ("5km", "5 kilometers"), ("1/3", "0.33"), ("33.33", "33.3333"), (r"\frac{1}{2}", "1/2"), (r"$\frac{3}{4}$", "0.75"),
    (r"\$8", "8"), ("**18**", "18."), ("10\u202f000", "10,000"), (".5", "1/2"), ("3 hrs", "3 hours"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), NUMBERS)
def test_a_number_is_one_number_however_it_is_written(one: str, other: str) -> None:
    assert same(canonical.number(one), canonical.number(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("18", "19"), ("18 minutes", "18 hours"), ("50%", "0.5"), ("-5", "5"), ("1.234", "1234"), ("$10.01", "$10.02"), ("3.1", "3.14"), ("0.3", "1/3"), ("1000", "1 million"), ("18 eggs", "18 ducks")],
)  # fmt: skip
def test_other_numbers_and_other_units_are_other_answers(one: str, other: str) -> None:
    assert not same(canonical.number(one), canonical.number(other))


@pytest.mark.parametrize(
    "text",
    ["", "Paris", "2:00 pm", "2024-05-01", "0,0.0", "5-7", "1.2.3", "3 and 5", "1.5x + 4", "10²", "1/0", "9" * 200, "1e999", "Paris 2024", "192.168.1.1", "12:30", "x" * 10_000, "-", ".", "$"],
)  # fmt: skip
def test_what_is_no_single_number_is_none(text: str) -> None:
    assert canonical.number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("so she makes $18 a day", "18"), ("5 * 2 = 10 dollars", "10"), ("He has 3 apples and 3 pears", "3"), ("Total: 1,250.", "1250")],
)  # fmt: skip
def test_the_only_number_of_a_sentence_is_found(text: str, value: str) -> None:
    assert same(canonical.only_number(text), canonical.number(value))


@pytest.mark.parametrize(
    "text",
    [
        "(5 + 3) * 8 = 8 * 8",
        "packs = pieces / 15",
        "3 apples and 4 pears",
        "from 9:00 to 18",
        "no number",
        "version 1.2.3",
        "on 2024-05-01",
    ],
)
def test_a_sentence_with_more_numbers_or_none_has_no_only_one(text: str) -> None:
    assert canonical.only_number(text) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [("B", "B"), ("(b)", "B"), ("B.", "B"), ("Option C", "C"), ("B) Paris", "B"), ("(b) Paris", "B"), ("**D**", "D"), ("Answer (A)", "A")],
)  # fmt: skip
def test_an_option_is_known_by_its_letter(text: str, letter: str) -> None:
    found = canonical.choice(text)
    assert found is not None
    assert found.value == letter


def test_an_option_with_its_text_is_the_option_without_but_not_another_text() -> None:
    assert same(canonical.choice("B) Paris"), canonical.choice("b"))
    assert not same(canonical.choice("A. Smith"), canonical.choice("A. Jones"))


@pytest.mark.parametrize("text", ["A dog", "Paris", "Z", "", "both A and B", "be"])
def test_words_are_no_option(text: str) -> None:
    assert canonical.choice(text) is None


def test_a_choice_is_one_of_those_that_are_given() -> None:
    assert same(canonical.choice("**Positive.**", ["positive"]), canonical.choice("Sentiment: positive", ["positive"]))
    assert canonical.choice("B", ["positive"]) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Positive", "sentiment: positive."),
        ("support_issue", "Support issue"),
        ("Yes", "Yes, because it rains."),
        ("true", "**True**"),
    ],
)
def test_a_label_is_the_same_through_its_wrapping(one: str, other: str) -> None:
    assert same(canonical.label(one), canonical.label(other))


def test_a_label_has_few_words() -> None:
    assert canonical.label("this is what one would call a rather long label") is None
    assert canonical.label("") is None
    assert not same(canonical.label("yes"), canonical.label("no"))


def test_json_is_compared_by_value_and_reasons_do_not_count() -> None:
    one = canonical.json_value({"name": "Ada  Lovelace", "age": 36.0, "reasoning": "it says so"})
    assert same(one, canonical.json_value({"age": 36, "name": "ada lovelace", "explanation": "see line 2"}))
    assert not same(one, canonical.json_value({"age": 37, "name": "Ada Lovelace"}))
    assert not same(canonical.json_value(["a", "b"]), canonical.json_value(["b", "a"]))
    assert not same(canonical.json_value({"a": True}), canonical.json_value({"a": 1}))
    assert same(canonical.json_value({"reason": "x"}), canonical.json_value({"reason": "X"}))


@pytest.mark.parametrize(
    ("one", "other"), [("Paris", "**paris**."), ("The Beatles", "beatles"), ("2:00 pm", "2:00 PM."), ("Curie, Marie", "curie marie"), ("red,green , blue", "Red, green, blue")]
)  # fmt: skip
def test_a_short_text_is_compared_without_dress(one: str, other: str) -> None:
    assert same(canonical.short_text(one), canonical.short_text(other))


def test_a_long_text_is_not_compared() -> None:
    assert canonical.short_text("word " * 20) is None
    assert canonical.short_text("x" * 500) is None
    assert canonical.short_text(" .. ") is None


def test_a_sum_written_out_is_what_it_comes_to() -> None:
    assert same(canonical.total("$6.00 + $8.00 + $20.00 = $34.00"), canonical.number("34"))
    assert same(canonical.total("In total he needs 240 + 70 = 310 ounces."), canonical.number("310"))
    assert canonical.total("x = y") is None
    assert canonical.total("8 + 8") is None
    assert canonical.total("5 = 8 * 8") is None


def test_formulas_and_lists_are_compared_by_their_signs() -> None:
    assert same(canonical.symbols("x + 1 = 2y"), canonical.symbols("$x+1=2y$"))
    assert same(canonical.symbols("[1, 2, 'a']"), canonical.symbols('[1,2,"a"]'))
    assert not same(canonical.symbols("10²"), canonical.symbols("10 * 2"))
    assert not same(canonical.symbols("'a b'"), canonical.symbols("'ab'"))
    assert not same(canonical.symbols("['a']"), canonical.symbols("['A']"))
    assert canonical.symbols("Paris") is None


def test_answers_of_two_kinds_are_never_the_same() -> None:
    assert not same(canonical.number("18"), canonical.label("18"))


FORMS = (canonical.number, canonical.only_number, canonical.choice, canonical.label, canonical.short_text, canonical.symbols, canonical.json_value)  # fmt: skip
words = st.text(st.sampled_from("0123456789.,-/$%=^e x()[]{}\\'\"½²€AbB:\n٣"), max_size=40)


@settings(max_examples=500, deadline=None)
@given(words, words)
def test_every_text_is_its_own_answer_and_likeness_goes_both_ways(one: str, other: str) -> None:
    for form in (*FORMS, canonical.total):
        first, second = form(one), form(other)
        if first is not None:
            assert first.same(first)
            assert form(one) == first
            if second is not None:
                assert first.same(second) == second.same(first)


@settings(max_examples=500, deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_numbers_are_the_same_exactly_where_they_are_equal(one: int, other: int) -> None:
    for text in (f"{one}", f"{one:,}", f"${one}", f"{one}.00", f"{one} eggs", f"**{one}**"):
        assert same(canonical.number(text), canonical.number(str(one)))
        assert same(canonical.number(text), canonical.number(str(other))) == (one == other)


@pytest.mark.parametrize(
    "text",
    ["9" * 100_000, "1/" * 50_000, "(" * 100_000, "\\frac{" * 20_000, "½" * 50_000, "{" * 100_000, " " * 100_000],
)
def test_a_hostile_text_costs_little(text: str) -> None:
    for form in FORMS[:-1]:
        form(text)
