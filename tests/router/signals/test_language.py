"""A language is named where script or common words decide, and not guessed elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals.language import detect


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Why is the sky blue?", "en"),
        ("Warum ist der Himmel blau und nicht grün?", "de"),
        ("Pourquoi le ciel est bleu et pas vert ?", "fr"),
        ("¿Por qué el cielo es azul?", "es"),
        ("Perché il cielo è blu?", "it"),
        ("Почему небо синее?", "ru"),
        ("Чому небо синє і як це працює?", "uk"),
        ("空はなぜ青いのですか", "ja"),
        ("天空为什么是蓝色的", "zh"),
        ("하늘은 왜 파란가요", "ko"),
    ],
)
def test_a_language_is_known_by_script_or_common_words(text: str, code: str) -> None:
    assert detect(text) == code


@pytest.mark.parametrize("text", ["", "Hello", "42", "asdf qwer", "print(x)", "🙂"])
def test_too_little_text_has_no_language(text: str) -> None:
    assert detect(text) is None


@given(st.text(alphabet=st.characters(categories=None)))
def test_no_text_crashes_it(text: str) -> None:
    assert detect(text) is None or len(str(detect(text))) == 2
