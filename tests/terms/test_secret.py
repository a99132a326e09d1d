"""References resolve, literals are recognised, and nothing that looks like a credential survives redaction."""

from __future__ import annotations

import pytest

from hroute.terms.secret import is_reference, looks_literal, redact, resolve

KEYS = [
    "sk-ant-api03-abcDEF123456_ghiJKL7890",
    "sk-proj-a1B2c3D4e5F6g7H8i9J0",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Bearer sk-1234567890abcdefghij",
]


@pytest.mark.parametrize("text", ["env:ANTHROPIC_API_KEY", "env:_x", "keyring:anthropic", "keyring:work account"])
def test_a_reference_names_its_store(text: str) -> None:
    assert is_reference(text)


@pytest.mark.parametrize("text", ["", "env:", "env:1X", "env:A-B", "env:Ä", "keyring:", "ENV:X", "http://x", KEYS[0]])
def test_anything_else_is_no_reference(text: str) -> None:
    assert not is_reference(text)


def test_an_environment_reference_reads_only_that_environment() -> None:
    assert resolve("env:A", {"A": " v\n"}) == "v"
    assert resolve("env:A", {}) is None
    assert resolve("env:A", {"A": "  "}) is None


def test_a_keyring_reference_asks_the_keyring_by_name() -> None:
    assert resolve("keyring:work", {"work": "wrong"}, {"work": "right"}.get) == "right"
    assert resolve("keyring:home", {}, {"work": "right"}.get) is None


def test_a_text_that_is_no_reference_is_itself() -> None:
    assert resolve("http://127.0.0.1:11434", {}) == "http://127.0.0.1:11434"


@pytest.mark.parametrize("text", KEYS)
def test_a_pasted_key_is_recognised(text: str) -> None:
    assert looks_literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "env:ANTHROPIC_API_KEY", "claude-sonnet-4-5-20250929", "llama3.1:8b", "https://api.deepseek.com/v1/a1b2c3d4e5f6a7b8c9d0e1f2",
        "dummy", "client", "", "the quick brown fox jumps over 12 dogs", "gpt-4o-2024-08-06",
    ],
)  # fmt: skip
def test_names_and_addresses_are_no_keys(text: str) -> None:
    assert not looks_literal(text)


@pytest.mark.parametrize("key", [k for k in KEYS if k.startswith(("sk", "AK", "gh", "AI"))])
def test_redaction_leaves_no_part_of_a_key(key: str) -> None:
    out = redact(f"401: invalid x-api-key {key}, see docs")
    assert key not in out
    assert key[8:] not in out
    assert out.startswith("401: invalid x-api-key")


def test_redaction_takes_headers_queries_and_userinfo() -> None:
    out = redact("Authorization: Bearer abcdefgh12345 GET http://joe:hunter22@host/?api_key=abcdef123")
    assert "abcdefgh12345" not in out
    assert "hunter22" not in out
    assert "abcdef123" not in out
    assert "host" in out


def test_redaction_leaves_plain_words_alone() -> None:
    text = "connection refused by 127.0.0.1:11434 after 2 tries"
    assert redact(text) == text
