"""Credentials in a text: keys of known vendors, private keys, connection strings, passwords, values that look drawn by lot.

A finding is a kind and a place, never the text. Placeholders (`YOUR_API_KEY`, `${PASSWORD}`, `****`) and code that only
names a secret (`password = ask()`) are nothing.
"""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import DIGIT, Candidate, Detector
from hroute.router.signals.kinds.drawn import drawn, entropy, flips, is_hex, is_uuid, named_as_hash, plausible
from hroute.router.signals.kinds.vendors import VENDORS
from hroute.router.signals.scanner import TextScanner

VERSION: Final = "secrets/2"

_COMMON: Final = (
    "not wrong incorrect expired required invalid missing empty correct too the a an in on of is being set stored reset no longer weak strong safe secure lost forgotten changed different hashed encrypted "
    "password passwd pass secret token user username string str bytes int bool true false none null text hidden optional any and or to for with from that this what now still needed stolen case-sensitive protected "
    "valid invalid easy fine ok okay available simple unknown blank known test example sample value default basic bearer key input output"
)
_WORDS: Final = frozenset(_COMMON.split())


def _plausible(value: str) -> bool:
    return value.lower() not in _WORDS and plausible(value)


def _mixed(value: str) -> bool:
    """Letters with digits or signs: what a person's password has and an identifier of code has not."""
    return any(c.isdigit() or c in "!@#$%^&*?+~" for c in value) and any(c.isalpha() for c in value)


def _bare(value: str) -> str:
    return value.rstrip(".,;:!?)\"'")


def _is_code(found: Candidate, value: str) -> bool:
    called = found.after(1) in ("(", "[") or "(" in value or "::" in value or "->" in value
    called = called or (value.endswith("]") and "[" in value)
    return called or value[:1] in "$<{[(&%" or value.startswith(("self.", "os.", "this.", "args."))


def _quoted_password(found: Candidate) -> bool:
    return _plausible(found.value) and " " not in found.value.strip()


def _listed_password(found: Candidate) -> bool:
    """Beside the name, not assigned to it: only what no name of a field looks like."""
    value = found.value
    if not _quoted_password(found) or _is_code(found, value):
        return False
    return drawn(value) or _strange(value)


def _bare_password(found: Candidate) -> bool:
    """Without quotes it may be code: a call, an attribute, a name are nothing."""
    value = _bare(found.value)
    number = value.replace(".", "").replace("_", "").isdigit()
    return not _is_code(found, value) and _plausible(value) and _mixed(value) and not number


def _strange(value: str) -> bool:
    """Letters, digits and signs so mixed that no name of a field or a file is written like it."""
    sorts = (any(c.islower() for c in value), any(c.isupper() for c in value), any(c.isdigit() for c in value))
    return _mixed(value) and (any(c in "!@#$%^&*?~" for c in value) or all(sorts) or flips(value) >= 3)


def _argument(found: Candidate) -> bool:
    return _bare_password(found) and _strange(_bare(found.value))


def _spoken_password(found: Candidate) -> bool:
    """`my password is hunter2`: any word that is no word about passwords; a plain one only after
    `my` or `our`, and where the sentence ends."""
    value = _bare(found.value)
    if len(value) < 4 or not _plausible(value):
        return False
    owned = any(f" {whose} " in f" {found.before(60)}" for whose in ("my", "our"))
    return _mixed(value) or (owned and (value != found.value or found.after(1) in ("", "\n", '"', "'")))


def _login(found: Candidate) -> bool:
    """The password in `scheme://user:password@host`."""
    value = found.value.lower()
    named = value in ("password", "pass", "passwd", "pwd", "secret", "token", "user")
    return _plausible(found.value) and not named and not value.startswith(("%s", "$", "{", "<", "["))


def _authorization(found: Candidate) -> bool:
    return drawn(found.value, 20)


def _keyed(found: Candidate, least: int = 16) -> bool:
    """Beside a word that says secret, token or key."""
    value = found.value.strip("=.-_~")
    if named_as_hash(found.before(40)) or "://" in value or _is_code(found, value):
        return False
    if is_uuid(value):
        return True
    if value.isdigit():
        return len(value) >= 24
    if is_hex(value) and len(value) >= 24:
        return plausible(value)
    digits = sum(c.isdigit() for c in value)
    capitals = len(value) >= 16 and value.isupper() and digits >= 6
    long = len(value) >= 24 and value.isalnum() and digits >= 4 and not _holds_a_date(value)
    return ((capitals or long) and plausible(value)) or drawn(value, least)


def _assigned(found: Candidate) -> bool:
    """Assigned to such a word: a shorter value will do."""
    return _keyed(found, 11)


_OTHER_KEYS: Final = ("primary", "foreign", "partition", "sort", "cache", "idempotency", "row", "object", "dedup", "group", "unique", "lookup", "issue", "public", "foreign", "session", "storage")  # fmt: skip


def _weakly_keyed(found: Candidate) -> bool:
    """Assigned to something that says `key`, `id`, `salt`: keys of caches and of fields are called so, too."""
    value, before = found.value.strip("=.-_~"), found.before(24)
    if any(other in before for other in _OTHER_KEYS) or sum(c.isdigit() for c in value) < 2:
        return False
    named = any(mark in before for mark in ("_key", "-key", "<key"))
    return _keyed(found) and (named or not is_uuid(value))


_IDS: Final = (
    "toolu_",
    "call_",
    "msg_",
    "req_",
    "chatcmpl-",
    "resp_",
    "run_",
    "thread_",
    "asst_",
    "file-",
    "evt_",
    "xn--",
)


def _unnamed(found: Candidate) -> bool:
    """Assigned to a name that says nothing: only a long value with letters and digits in each other's way, no checksum."""
    value = found.value.strip("=.-_~")
    digits = sum(c.isdigit() for c in value)
    if is_hex(value) or named_as_hash(found.before(40)) or found.value[:1] in "/-" or found.after(1) == "(":
        return False
    if value.startswith(_IDS) or _holds_a_date(value):
        return False
    if any(row in value.lower() for row in ("abcdefgh", "ghjklmn", "0123456789")):  # an alphabet
        return False
    several = digits >= 4 and sum(c.isalpha() for c in value) >= 8
    return several and drawn(value, 24) and entropy(value) >= 3.6


def _holds_a_date(value: str) -> bool:
    """`WebSearchTool20260318Param`: versions that are days."""
    runs = "".join(c if c.isdigit() else " " for c in value).split()
    return any(len(run) == 8 and run[:2] in ("19", "20") for run in runs)


def _standing(found: Candidate) -> bool:
    """A word of a sentence that no language has: letters and digits in each other's way all along, and no checksum."""
    value = found.value
    return _unnamed(found) and flips(value) >= len(value) / 4 and not value.isupper()


_NAME: Final = r"(?:pass(?:word|wd|phrase|code|wort)|pa?s?s?w(?:or)?d|psswrd|pswd|passwd|pwd|kennwort|contraseña|mot de passe|motdepasse|senha|wachtwoord|hasło|пароль|密码|パスワード)"
_SHORT: Final = r"(?:(?:^|[^a-z])(?:pass|pw|pin)|(?:sql|db|user|admin|root|my)pass)"
_STRONG: Final = r"(?:secret(?:key|token)?|token|tok|private(?:key)?|access(?:key|token)?|api[ _.-]?key|apikey|auth|authentication|authorization|credentials?|bearer|license[ _-]?key|client[ _.-]?id|signing[ _.-]?key|encryption[ _.-]?key|access[ _.-]?key|service[ _-]?key)"
_WEAK: Final = r"(?:key|api|salt|seed|cookie|session|signature|app[ _-]?id|srt|jwk|cred)"
_REST: Final = r"(?:(?:[_.-]|\d|(?-i:[A-Z]))[a-z0-9_.-]{0,30})?"
_OPERATOR: Final = r"(?::=|=>|===?|=|:|\bis\b)"
_SET: Final = rf"""[a-z0-9_.-]{{0,24}}["'\])]{{0,2}}(?:\s?:\s?[a-z]{{2,8}})?\s{{0,3}}{_OPERATOR}\s{{0,3}}"""
_BETWEEN: Final = r"""(?:[^a-z0-9\n]{1,6}(?:key|token|code|tok|id|secret|access|value|is)\b){0,3}[^a-z0-9]{1,6}"""
_VALUE: Final = r"[a-z0-9+/_.=~%-]"

_FORMATS: Final[tuple[Detector, ...]] = (
    Detector("connection_string", r"""[a-z][a-z0-9+.-]*://[^\s:/@"']*:([^\s/@"']{3,})@[^\s"']""", ("://", "@"), _login),
    Detector("authorization", r"\b(?:bearer|basic)[ :]{1,2}([a-z0-9+/_.=-]{20,})", (r"(?:bearer|basic)[ :]",), _authorization),
    Detector("password", rf"""{_NAME}{_SET}["'`]([^"'`\n]{{4,64}})["'`]""", (_NAME,), _quoted_password),
    Detector("password", rf"""{_SHORT}["'`\])]{{0,2}}\s{{0,3}}{_OPERATOR}\s{{0,3}}["'`]([^"'`\n]{{6,64}})["'`]""", (_SHORT,), _listed_password),
    Detector("password", rf"""(?:{_NAME}|{_SHORT})[a-z0-9_.-]{{0,24}}["']?\s{{0,2}}(?::=|[:=])\s{{0,2}}([^\s"'`,;<>]{{6,64}})""", (rf"{_NAME}|{_SHORT}",), _bare_password),
    Detector("password", rf"""{_NAME}["'\])]{{0,3}}\s?(?:!==?|===?|\|\||\?\?|\bor\b|,|\bdefault\b)?\s?["'`]([^"'`\s]{{6,64}})["'`]""", (_NAME,), _listed_password),
    Detector("password", rf"""\b(?:my|our|the|your|his|her|their)\s{{1,3}}[\pL -]{{0,24}}?{_NAME}(?:\s{{1,3}}(?:for|to|on|of)\s{{1,3}}[\pL\pN. -]{{1,30}}?)?\s{{1,3}}(?:is|was|=|:)\s{{1,3}}["'`]?([^\s"'`]{{4,64}})""", (_NAME,), _spoken_password),
    Detector("password", r"""--?(?:password|passphrase|passwd|pw|pass|secret|token|api-key)[ =]["']?([^\s"'`,;<>]{6,64})""", (r"-(?:password|passphrase|passwd|pw|pass|secret|token|api-key)[ =]",), _argument),
    Detector("password", r"""(?:identified by|with (?:encrypted )?password|login password)\s["']([^"'`;\n]{4,64})["']""", (r"identified by|with (?:encrypted )?password|login password",), _quoted_password),
    Detector("password", r"""(?:identified by|with (?:encrypted )?password|login password)\s["']?([^\s"'`;]{4,64})""", (r"identified by|with (?:encrypted )?password|login password",), _argument),
    Detector("password", r"""securestring[a-z -]{0,40} ["']?([^\s"'`]{6,64})""", (r"securestring",), _argument),
    Detector("assigned_secret", r"""getenv\(["'][^"']+["'],\s?["']([^"']{8,64})["']""", (r"getenv\(",), _listed_password),
    Detector("assigned_secret", rf"""{_STRONG}{_REST}["'`\])]{{0,2}}\s{{0,3}}{_OPERATOR}\s{{0,3}}[a-z]?["'`]{{0,3}}({_VALUE}{{11,512}})""", (_STRONG,), _assigned),
    Detector("assigned_secret", rf"""{_STRONG}{_BETWEEN}({_VALUE}{{16,512}})""", (_STRONG,), _keyed),
    Detector("assigned_secret", rf"""{_WEAK}{_BETWEEN}({_VALUE}{{16,512}})""", (_WEAK,), _weakly_keyed),
    Detector("assigned_secret", rf"""[a-z][a-z0-9_.-]{{1,40}}["']?\s{{0,2}}[:=]\s{{0,2}}["']?({_VALUE}{{24,128}})(?:["'\s]|$)""", (DIGIT, rf"""[:=]\s{{0,2}}["']?{_VALUE}{{24}}"""), _unnamed),
    Detector("assigned_secret", r"""(?:^|[\s"'>])([a-z0-9_-]{28,80})=*(?:[\s"',;<]|$)""", (DIGIT, r"[a-z0-9_-]{28}"), _standing),
)  # fmt: skip

DETECTORS: Final = (*VENDORS, *_FORMATS)
SECRETS: Final = TextScanner(DETECTORS, VERSION)
