"""Credentials are known by their vendor's format or by what they are assigned to; ordinary text and code have none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hroute.router.signals.kinds.drawn import drawn, entropy, of_words
from hroute.router.signals.secrets import SECRETS


def kinds(text: str) -> set[str]:
    return {place.kind for place in SECRETS.scan(text)}


def joined(*pieces: str) -> str:
    """A key in pieces, so that no scanner of repositories takes this file for a leak."""
    return "".join(pieces)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("anthropic_key", joined("sk-", "ant-api03-", "Ab3dEf6hIj9lMn2pQr5t")),
        ("openai_key", joined("sk-", "proj-", "Ab3dEf6hIj9lMn2pQr5tUv")),
        ("aws_access_key", joined("AKIA", "IOSFODNN7", "QZMPLA7")),
        ("github_token", joined("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a")),
        ("google_api_key", joined("AIza", "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY")),
        ("slack_token", joined("xoxb-", "123456789012-", "abcdefGHIJKL")),
        ("stripe_key", joined("sk_", "live_", "4eC39HqLyjWDarjtT1zdp7dc")),
        ("jwt", joined("eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0NTY3ODkwIn0", ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P")),
        ("private_key", joined("-----BEGIN RSA ", "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA")),
        ("private_key", joined('"-----BEGIN ', 'PRIVATE KEY-----\\nMIIEvQIBADANBg"')),
        ("connection_string", "postgres://admin:hunter2@db.example.com/shop"),
        ("authorization", joined("Authorization: Bearer ", "a8f5f167f44f4964e6c998dee827110c")),
        ("password", "my password is hunter2"),
        ("password", "our wifi password for guests is swordfish."),
        ("password", 'password = "tr0ub4dor&3"'),
        ("password", "DB_PASSWORD=s3cr3t!pw"),
        ("assigned_secret", joined("api_key: ", "a8f5f167f44f4964e6c998dee827110c")),
        ("assigned_secret", joined('client_secret = "', 'Zx9-kQ2_vB7nM4pL8sT1"')),
        ("assigned_secret", joined("shodan SECRET ", "q7w8e9r0t1y2u3i4o5p6a7s8")),
        ("assigned_secret", joined("squarespace-secret-", "123e4567-e89b-12d3-a456-426614174000")),
        ("assigned_secret", joined("weather_key = ", "b9dgkd4atdrm1tl7mdsrciiijh087fp3c58")),
        ("assigned_secret", joined("chart = ", "Z1VuI6jJ_fwA4MxLF4sFz7drsDOEW05p")),
        ("assigned_secret", joined("the value is ", "2e11kyDIiLGCGkHX7pAdSvKuqrEcZtYf82HrSVZxCZ")),
        ("password", "pw:dipPr129Gg!"),
        ("password", "mysql -u root --password Sne3sd8AZjq"),
        ("password", "CREATE USER x IDENTIFIED BY 'visFBPayAKq';"),
        ("password", 'os.environ.get("PASSWORD") or "at5G6zi!m"'),
        ("password", 'def connect(passwd: str = "cq2tPr1a2"):'),
        ("password", 'curl_easy_setopt(c, CURLOPT_PASSWORD, "KiASRCRiGFLPDiIdZZLBXaNz");'),
        ("sentry_dsn", joined("https://", "0123456789abcdef0123456789abcdee", "@o1.ingest.sentry.io")),
        ("platform_token", joined("sbp_", "abcd1234efgh5678ijkl9012mnop3456qrst7890")),
        ("registry_token", joined("rubygems_", "123abc01a15f32b0be0103de4c9b3dcb3f2fea0f")),
    ],
)  # fmt: skip
def test_a_credential_is_found(kind: str, text: str) -> None:
    assert kind in kinds(f"look: {text} thanks")


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password, how do I reset it?",
        "my password is not working. The password is required, and my password is wrong.",
        "Write a function to return true if the password is valid.",
        "password = get_password()",
        "def login(username: str, password: str) -> Token:",
        "token = tokens[index]; const token = request.headers.authorization",
        "api_key = os.environ['OPENAI_API_KEY']",
        "api_key: ${API_KEY}",
        "password: <your password here>",
        "postgres://user:password@localhost/db and https://example.com:8080/a@b",
        "sk-learn, risk-assessment-of-a-long-hyphenated, task-management",
        "the secret of a good soup is patience and time, said the cook",
        "a8f5f167f44f4964e6c998dee827110c",
        "commit 9bbee4b1c0d5f167f44f4964e6c998dee827110c",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq",
        "secret_access_key",
        'slots = ("username", "password", "host_name2", "query")',
        "'pass', 'raise', 'passed', 'skipped', 'bandpass', 'lowpass'",
        'result = {"failed": failed, "passed": passed, "skipped": skipped}',
        "token_type = draft201909_type_checker",
        "key: BetaAsyncAbstractComputerToolset20260801",
        '"id": "toolu_01D7FLrfh4GYq7yT1ULFeyMV"',
        "see https://github.com/python/cpython/issues/145331 and /usr/lib/python3.11/site-packages/numpy",
        "alphabet = 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "integrity sha512-9f71c52d839b5cd527645e42b5134f8b9f71c52d",
        "cache_key = 123e4567-e89b-12d3-a456-426614174000",
        "glyph-orientation-vertical, sk-something-without-any-number",
        "password[0], auth=(user, password=auth[1])",
        "The tokenizer splits text into tokens; the key insight of internationalization2 is patience",
        "",
    ],
)
def test_ordinary_text_and_code_hold_no_credential(text: str) -> None:
    assert kinds(text) == set()


def test_the_place_of_the_value_is_reported_and_nothing_of_its_text() -> None:
    text = "hi, my password is hunter2, ok"
    (place,) = SECRETS.scan(text)
    assert text[place.start : place.end].startswith("hunter2")
    assert "hunter2" not in repr(place)


def test_entropy_tells_a_random_value_from_a_word() -> None:
    assert entropy("aaaaaaaa") == 0
    assert entropy("a8f5f167f44f4964e6c998dee827110c") > 3 > entropy("banana")


def test_names_are_of_words_and_keys_are_drawn() -> None:
    for name in (
        "Draft201909Validator",
        "my_storage_account123",
        "python3.11",
        "X25519PrivateKey",
        "a-long-hyphenated-name",
    ):
        assert of_words(name)
        assert not drawn(name)
    for key in ("a1b2c3d4e5f6g7h8i9j0", "KWcZQBfQGS20sq4oFSnmUj", "abcdefghijklmnopqrstuvwxyz123456"):
        assert drawn(key)


@given(st.text(alphabet=st.characters(categories=None)))
def test_no_text_crashes_the_scanner(text: str) -> None:
    for place in SECRETS.scan(text):
        assert 0 <= place.start < place.end <= len(text)


@given(
    st.lists(
        st.sampled_from(
            ["password", " is ", "=", '"', "my ", "://", "a:b@", "sk-", "eyJ", "token", "\n", "x9y8z7" * 4]
        ),
        max_size=12,
    ).map("".join)
)
def test_no_row_of_cues_crashes_the_scanner(text: str) -> None:
    SECRETS.scan(text)
