"""Credentials in a text: keys of known vendors, private keys, tokens, connection strings, passwords, random assignments.

A finding is a kind and a place, never the text. Placeholders (`YOUR_API_KEY`, `${PASSWORD}`, `****`) and code that only
names a secret (`password = ask()`) are nothing. Patterns are the vendors' published key formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log2
from typing import Final

from hroute.router.signals.kinds.detector import Candidate
from hroute.router.signals.pii import MOST, Place, candidates
from hroute.router.signals.reading import Reading
from hroute.terms.pattern import PatternSet, Regexp, compiled

VERSION: Final = "secrets/1"

_PLACEHOLDERS: Final = ("your", "xxx", "placeholder", "changeme", "change_me", "redacted", "dummy", "<", "{{", "${", "$(", "...", "***", "insert", "todo", "none", "null", "undefined", "env.", "environ", "getenv", "process.")  # fmt: skip
_COMMON: Final = (
    "not wrong incorrect expired required invalid missing empty correct too the a an in on of is being set stored reset no longer weak strong safe secure lost forgotten changed different hashed encrypted "
    "password passwd pass secret token user username string str bytes int bool true false none null text hidden optional any and or to for with from that this what now still needed stolen case-sensitive protected "
    "valid invalid easy fine ok okay available simple unknown blank known test example sample value default basic bearer key input output"
)
_WORDS: Final = frozenset(_COMMON.split())


def _plausible(value: str) -> bool:
    """Whether a value could be a credential: no placeholder, no plain word of the language, not one character over and over."""
    low = value.lower()
    return len(set(value)) > 3 and low not in _WORDS and not any(word in low for word in _PLACEHOLDERS)


def entropy(value: str) -> float:
    """Shannon entropy in bits per character."""
    size = len(value)
    return -sum(n / size * log2(n / size) for n in (value.count(c) for c in set(value)))


def _mixed(value: str) -> bool:
    """Letters with digits or signs: what a person's password has and an identifier of code has not."""
    return any(c.isdigit() or c in "!@#$%^&*?+~" for c in value) and any(c.isalpha() for c in value)


def _key(found: Candidate) -> bool:
    return not found.text[max(0, found.start - 1) : found.start].isalnum() and _plausible(found.value)


def _random(found: Candidate) -> bool:
    """A long value that looks drawn by lot, assigned to a name that says key, token or secret."""
    value = found.value
    has_digit = any(c.isdigit() for c in value)
    return (
        _plausible(value)
        and has_digit
        and any(c.isalpha() for c in value)
        and entropy(value) >= (2.8 if len(value) < 24 else 3.2)
    )


def _quoted_password(found: Candidate) -> bool:
    return _plausible(found.value) and " " not in found.value.strip()


def _bare_password(found: Candidate) -> bool:
    """Without quotes it may be code: a call, an attribute, a name are nothing."""
    value = found.value.rstrip(".,;:!?)\"'")
    code = found.after(1) in ("(", "[") or value[:1] in "$<{[(&%" or "(" in value or "::" in value or "->" in value
    return not code and _plausible(value) and _mixed(value) and not value.replace(".", "").replace("_", "").isdigit()


def _spoken_password(found: Candidate) -> bool:
    """`my password is hunter2`: any word that is no word about passwords; a plain one only after
    `my` or `our`, and where the sentence ends."""
    value = found.value.rstrip(".,;:!?)\"'")
    if len(value) < 4 or not _plausible(value):
        return False
    owned = any(f" {whose} " in f" {found.before(60)}" for whose in ("my", "our"))
    return _mixed(value) or (owned and (value != found.value or found.after(1) in ("", "\n", '"', "'")))


def _login(found: Candidate) -> bool:
    """The password in `scheme://user:password@host`."""
    value = found.value.lower()
    return (
        _plausible(found.value)
        and value not in ("password", "pass", "passwd", "pwd", "secret", "token", "user")
        and not value.startswith(("%s", "$", "{", "<", "["))
    )


@dataclass(frozen=True, slots=True)
class _Format:
    kind: str
    trigger: str
    pattern: str
    accept: Callable[[Candidate], bool] = _key


def _prefixed(kind: str, pattern: str) -> _Format:
    """A format that says by itself whose key it is; case counts."""
    return _Format(kind, f"(?-i:{pattern})", f"(?-i:{pattern})")


_NAME: Final = r"(?:pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|contraseña|mot de passe|motdepasse)"
_KEYED: Final = r"(?:api[ _.-]?key|apikey|secret(?:[ _.-]?(?:key|access|token))?|access[ _.-]?key|access[ _.-]?token|auth[ _.-]?token|client[ _.-]?secret|private[ _.-]?key|signing[ _.-]?key|encryption[ _.-]?key|token|credentials?|bearer)"
_SET: Final = r"""[a-z0-9_.-]{0,24}["'\])]{0,2}\s{0,3}(?::=|=>|==|=|:|,|\bis\b)\s{0,3}"""

FORMATS: Final[tuple[_Format, ...]] = (
    _Format("private_key", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY", r"""-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r|["'+,\s])*[A-Za-z0-9+/]{4}""", lambda _: True),
    _prefixed("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    _prefixed("anthropic_key", r"sk-ant-[A-Za-z0-9_-]{16,}"),
    _prefixed("openai_key", r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}"),
    _prefixed("openrouter_key", r"sk-or-v1-[0-9a-f]{32,}"),
    _prefixed("aws_access_key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    _prefixed("google_api_key", r"AIza[A-Za-z0-9_-]{33,}"),
    _prefixed("google_oauth", r"(?:GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9_-]{20,})"),
    _prefixed("github_token", r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,})"),
    _prefixed("gitlab_token", r"gl(?:pat|dt|rt|ptt|oas|ft|soat)-[A-Za-z0-9_=-]{16,}"),
    _prefixed("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _prefixed("slack_webhook", r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}"),
    _prefixed("discord_webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[A-Za-z0-9_-]{30,}"),
    _prefixed("stripe_key", r"(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}"),
    _prefixed("sendgrid_key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _prefixed("mailgun_key", r"key-[0-9a-f]{32}"),
    _prefixed("mailchimp_key", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    _prefixed("twilio_key", r"(?:SK|AC)[0-9a-f]{32}"),
    _prefixed("npm_token", r"npm_[A-Za-z0-9]{30,}"),
    _prefixed("pypi_token", r"pypi-[A-Za-z0-9_-]{40,}"),
    _prefixed("huggingface_token", r"(?:hf|api_org)_[A-Za-z0-9]{30,}"),
    _prefixed("groq_key", r"(?:gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,})"),
    _prefixed("digitalocean_token", r"do[opr]_v1_[0-9a-f]{40,}"),
    _prefixed("shopify_token", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{28,}"),
    _prefixed("square_token", r"(?:sq0[a-z]{3}-[A-Za-z0-9_-]{20,}|EAAA[A-Za-z0-9_-]{56,})"),
    _prefixed("telegram_token", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34}"),
    _prefixed("databricks_token", r"dapi[0-9a-f]{32}"),
    _prefixed("vault_token", r"hv[sbr]\.[A-Za-z0-9_-]{24,}"),
    _prefixed("grafana_token", r"(?:glsa_[A-Za-z0-9_]{32,}|glc_[A-Za-z0-9+/=]{32,})"),
    _prefixed("new_relic_key", r"(?:NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32})"),
    _prefixed("linear_key", r"(?:lin_api_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43})"),
    _prefixed("atlassian_token", r"ATATT3[A-Za-z0-9_=-]{50,}"),
    _prefixed("age_key", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    _prefixed("azure_key", r"AccountKey=[A-Za-z0-9+/]{40,}={0,2}"),
    _prefixed("doppler_token", r"dp\.(?:pt|st|ct|sa)\.[A-Za-z0-9_.-]{30,}"),
    _prefixed("planetscale_token", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.-]{32,}"),
    _Format("connection_string", r"[a-z]://[^\s/@]*:[^\s/@]+@", r"""[a-z][a-z0-9+.-]*://[^\s:/@"']*:([^\s/@"']{3,})@[^\s"']""", _login),
    _Format("authorization", r"\b(?:bearer|basic) [a-z0-9]", r"\b(?:bearer|basic) ([a-z0-9+/_.=-]{20,})", _random),
    _Format("password", _NAME, rf"""{_NAME}{_SET}["'`]([^"'`\n]{{4,64}})["'`]""", _quoted_password),
    _Format("password", _NAME, rf"""{_NAME}[a-z0-9_.-]{{0,24}}["']?\s{{0,2}}[:=]\s{{0,2}}([^\s"'`,;]{{6,64}})""", _bare_password),
    _Format("password", _NAME, rf"""\b(?:my|our|the|your|his|her|their)\s[\pL -]{{0,24}}?{_NAME}(?:\s(?:for|to|on|of)\s[\pL\pN. -]{{1,30}}?)?\s(?:is|was|=|:)\s["'`]?([^\s"'`]{{4,64}})""", _spoken_password),
    _Format("assigned_secret", _KEYED, rf"""{_KEYED}{_SET}["'`]?([a-z0-9+/_.=~-]{{16,512}})""", _random),
)  # fmt: skip


class SecretScanner:
    """All formats, compiled once. Thread-safe; keeps no text."""

    version = VERSION

    def __init__(self) -> None:
        self._first = PatternSet([form.trigger for form in FORMATS])
        self._patterns: dict[int, Regexp] = {}

    def scan(self, text: str) -> tuple[Place, ...]:
        """Every credential found, by its position."""
        reading = Reading(text)
        places = [place for index in self._first.hits(reading.data) for place in self._places(index, reading)]
        return tuple(sorted(set(places), key=lambda place: place.start))

    def _places(self, index: int, reading: Reading) -> list[Place]:
        form, places = FORMATS[index], list[Place]()
        pattern = self._patterns.get(index)
        if pattern is None:
            pattern = self._patterns[index] = compiled(form.pattern, captures=True)
        for found in candidates(pattern, reading):
            if form.accept(found):
                places.append(Place(form.kind, reading.original(found.start), reading.original(found.end - 1) + 1))
                if len(places) == MOST:
                    break
        return places


SECRETS: Final = SecretScanner()
