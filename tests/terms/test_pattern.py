"""Phrases and patterns have one meaning: whole words, whatever the alphabet, and RE2."""

from __future__ import annotations

import threading
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.terms.pattern import PatternError, PatternSet, Prepared, TextMatcher, check, encode, normalise


def phrase(*words: str) -> TextMatcher:
    return TextMatcher(any_of=words)


@pytest.mark.parametrize(
    "text", ["open", "are you open?", "OPEN now", "(open)", "open-air", "re_open", "¿open?", "an\topen"]
)
def test_a_phrase_is_found_as_a_whole_word(text: str) -> None:
    assert phrase("open").holds(text)


@pytest.mark.parametrize("text", ["opened", "reopen", "open2", "éopen", "openß", "opеn", "", "o p e n"])
def test_a_phrase_cuts_no_word(text: str) -> None:
    assert not phrase("open").holds(text)


def test_borders_are_those_of_every_alphabet() -> None:
    assert phrase("été").holds("L'ÉTÉ, enfin")
    assert not phrase("t").holds("été")
    assert phrase("мир").holds("Миру — МИР!")
    assert not phrase("мир").holds("мира")
    assert phrase("strasse").holds("Hauptstr., STRASSE, Straße")
    assert phrase("straße").holds("STRASSE")


def test_a_star_at_the_end_makes_a_prefix() -> None:
    assert phrase("refund*").holds("two refunds")
    assert phrase("refund*").holds("refund")
    assert not phrase("refund*").holds("prerefund")
    assert phrase("a*b").holds("an a*b c"), "a star elsewhere is a star"


def test_phrases_next_to_each_other_and_overlapping_all_count() -> None:
    assert TextMatcher(all_of=("new york", "york city", "city")).holds("New York City")
    assert TextMatcher(all_of=("a", "b", "c")).holds("a b c")
    assert TextMatcher(any_of=("b",)).holds("a a b")


def test_a_phrase_that_begins_or_ends_in_a_sign_needs_no_border_there() -> None:
    assert phrase(".py").holds("see main.py")
    assert not phrase(".py").holds("main.pyc")
    assert phrase("?").holds("why?")
    assert phrase("c++").holds("C++11")
    assert phrase("100%").holds("100%, really")


def test_an_empty_phrase_is_found_nowhere() -> None:
    assert not phrase("").holds("anything")
    assert not phrase("*").holds("anything")
    assert not phrase("").holds("")
    assert TextMatcher(any_of=("x",), unless=("",)).holds("x")


def test_text_and_phrases_are_compared_in_nfkc_with_runs_of_blanks_as_one() -> None:
    assert phrase("opening hours").holds("opening \n\t hours")
    assert phrase("opening   hours").holds("opening hours")
    assert phrase("file").holds("the ﬁle")
    assert phrase("cafe\u0301").holds("CAFÉ")
    assert normalise(" a\u00a0\u2003 b\r\n") == "a b"


def test_patterns_are_searched_for_without_case() -> None:
    matcher = TextMatcher(matches=(r"\b(open|close)[sd]?\b.{0,25}\b(today|\w+day)",))
    assert matcher.holds("Are you OPEN on Sundays?")
    assert not matcher.holds("Is it open?")


def test_case_counts_again_inside_a_pattern_that_says_so() -> None:
    assert TextMatcher(matches=("(?-i)WHO",)).holds("the WHO")
    assert not TextMatcher(matches=("(?-i)WHO",)).holds("who")
    assert TextMatcher(matches=("a(?-i)B",)).holds("AB")
    assert not TextMatcher(matches=("a(?-i)B",)).holds("Ab")


def test_phrases_and_patterns_are_alternatives_and_unless_overrules_both() -> None:
    matcher = TextMatcher(any_of=("opening hours",), matches=(r"are you open",), unless=("open on my",))
    assert matcher.holds("your opening hours?")
    assert matcher.holds("are you open")
    assert not matcher.holds("are you open on my screen")
    assert not matcher.holds("hello")


def test_all_of_needs_every_phrase_beside_the_rest() -> None:
    matcher = TextMatcher(any_of=("a",), all_of=("b", "c"))
    assert matcher.holds("c b a")
    assert not matcher.holds("b c")
    assert not matcher.holds("a b")


def test_nothing_asked_holds_always_and_only_unless_holds_elsewhere() -> None:
    assert TextMatcher().holds("")
    assert TextMatcher(unless=("x",)).holds("y")
    assert not TextMatcher(unless=("x",)).holds("x")


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("claude-*", "claude-haiku", True),
        ("claude-*", "my claude-haiku", False),
        ("*-haiku", "claude-haiku", True),
        ("*-haiku", "claude-haiku-4", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*", "", True),
        ("exact", "exact", True),
        ("Claude*", "claude", False),
        ("a.c*", "abc", False),
        ("a*z", "a\nz", True),
    ],
)
def test_a_glob_fits_the_whole_text_with_its_case(glob: str, text: str, fits: bool) -> None:
    assert TextMatcher(glob=glob).holds(text) is fits


@pytest.mark.parametrize(
    ("pattern", "column"),
    [
        ("a(b", 2), ("a|(b|(c)", 3), ("ab)c(d)", 3), (r"\(a)", 4), ("[)]a)", 5), ("x[z-a]", 3), ("*a", 1), ("ab**", 3),
        ("(?=x)", 1), (r"a\1", 2), ("ab\\", 3), ("x[a", 2), ("é(ö", 2), (r"\Q(\E(", 6), ("a{2000}", 2), ("[[:foo:]]", 2),
    ],
)  # fmt: skip
def test_a_bad_pattern_is_an_error_with_its_column(pattern: str, column: int) -> None:
    with pytest.raises(PatternError) as caught:
        check(pattern)
    assert caught.value.column == column
    assert caught.value.message


def test_a_bad_pattern_writes_nothing_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatternError):
        check("(")
    with pytest.raises(PatternError):
        PatternSet(["ok", "("]).hits(b"")
    assert capfd.readouterr() == ("", "")


def test_a_pattern_that_is_too_large_is_an_error_and_not_a_silent_miss() -> None:
    with pytest.raises(PatternError, match="large"):
        check(r"\pL{1000}\pN{1000}")


def test_a_set_says_which_of_its_patterns_are_found() -> None:
    patterns = PatternSet([r"\bcat\b", "dog", "^bird", ""])
    assert patterns.hits(b"a CAT and a dogma") == [0, 1, 3]
    assert patterns.hits(b"bird") == [2, 3]


def test_a_large_set_agrees_with_its_patterns_one_by_one() -> None:
    words = [f"word{n}\\b.{{0,9}}\\pL+x{n}\\b" for n in range(200)]
    several, text = PatternSet(words), b"word7 then abcx7, word150 zx150 " * 50
    assert several.hits(text) == [7, 150] == several._one_by_one(text)


def test_a_set_that_runs_out_of_memory_is_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exhausted:
        def Match(self, text: bytes) -> None:
            return None

    patterns = PatternSet(["a", "b"])
    patterns._set = Exhausted()
    assert patterns.hits(b"b") == [1]


def test_threads_may_share_a_matcher() -> None:
    matcher, seen = TextMatcher(any_of=("open",), matches=("clos(e|ed)",)), []
    threads = [threading.Thread(target=lambda: seen.append(matcher.holds("we closed"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8


def test_a_prepared_text_gives_the_same_answer() -> None:
    text = "Straße  ÖFFNUNGSZEITEN"
    matcher = TextMatcher(any_of=("öffnungszeiten",), matches=("stra.e",), glob="Stra*")
    assert matcher.holds(text)
    assert matcher.holds(Prepared(text))


def plain_meaning(word: str, text: str) -> bool:
    """The reference: an occurrence in folded text whose ends cut no word."""
    word, text = normalise(normalise(word).casefold()), normalise(text).casefold()
    at = text.find(word) if word else -1
    while at >= 0:
        end = at + len(word)
        before = at > 0 and is_wordish(text[at - 1]) and is_wordish(word[0])
        after = end < len(text) and is_wordish(text[end]) and is_wordish(word[-1])
        if not before and not after:
            return True
        at = text.find(word, at + 1)
    return False


def is_wordish(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


LETTERS = st.text(alphabet=st.sampled_from("ab é-.Aß1_ñ日\u0301\n"), max_size=12)


@given(word=LETTERS, text=LETTERS)
def test_phrases_agree_with_their_plain_meaning(word: str, text: str) -> None:
    assert phrase(word).holds(text) is plain_meaning(word, text)


@given(text=st.text(alphabet=st.characters(categories=None)), pieces=st.lists(st.text(max_size=3), max_size=4))
def test_no_text_and_no_phrase_crashes(text: str, pieces: list[str]) -> None:
    TextMatcher(any_of=pieces, unless=pieces, glob="*".join(pieces)).holds(text)
    encode(text).decode()


def test_a_lone_surrogate_is_no_reason_to_crash() -> None:
    assert phrase("x").holds("x \ud800")
    assert TextMatcher(matches=("x",)).holds("\udfff x")
