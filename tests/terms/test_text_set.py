"""Many text tests at once say what each of them says alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.terms.pattern import PatternError, PatternFilter, Prepared, TextMatcher
from hroute.terms.text_set import TextSet

WORDS = st.text(alphabet=st.sampled_from("ab é-.Aß1*ñ日€’\n"), max_size=6)
PATTERNS = st.sampled_from((r"a.b", r"\bé", r"(?-i)A", r"b{2}", "", r"^a", r"[^a]$", "ß", r"\d|ñ"))
TESTS = st.builds(
    TextMatcher,
    any_of=st.lists(WORDS, max_size=3),
    all_of=st.lists(WORDS, max_size=2),
    matches=st.lists(PATTERNS, max_size=2),
    unless=st.lists(WORDS, max_size=2),
    glob=st.none() | WORDS,
)


@given(tests=st.lists(TESTS, max_size=6), text=st.text(alphabet=st.sampled_from("ab é-.Aß1ñ日€’\n"), max_size=16))
def test_a_set_holds_what_its_tests_hold_one_by_one(tests: list[TextMatcher], text: str) -> None:
    prepared = Prepared(text)
    assert TextSet(tests).holding(prepared) == {n for n, test in enumerate(tests) if test.holds(prepared)}


def test_tests_of_every_form_stand_side_by_side() -> None:
    tests = TextSet(
        (
            TextMatcher(any_of=("opening hours", "open*"), unless=("open source",)),
            TextMatcher(matches=(r"\bclos(?:e|ed)\b.{0,20}\bsun",)),
            TextMatcher(all_of=("are", "you")),
            TextMatcher(),
            TextMatcher(any_of=("5 €",)),
        )
    )
    assert tests.holding(Prepared("Are you opening, or CLOSED on Sundays?")) == {0, 1, 2, 3}
    assert tests.holding(Prepared("an open source thing for 5 €")) == {3, 4}
    assert TextSet(()).holding(Prepared("x")) == frozenset()


def test_a_bad_pattern_in_a_set_is_an_error() -> None:
    with pytest.raises(PatternError) as caught:
        TextSet((TextMatcher(matches=("fine",)), TextMatcher(matches=("a(b",)))).holding(Prepared("x"))
    assert caught.value.column == 2


def test_more_patterns_than_one_filter_takes_are_all_asked() -> None:
    patterns = PatternFilter([rf"word{n}\b.{{0,9}}x" for n in range(900)])
    assert patterns.hits(b"WORD7 x, word880 yx word899, x") == [7, 880, 899]
    assert patterns.hits(b"") == []
