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

VERSION: Final = "secrets/3"

_COMMON: Final = (
    "not wrong incorrect expired required invalid missing empty correct too the a an in on of is being set stored reset no longer weak strong safe secure lost forgotten changed different hashed encrypted "
    "password passwd pass secret token user username string str bytes int bool true false none null text hidden optional any and or to for with from that this what now still needed stolen case-sensitive protected "
    "valid invalid easy fine ok okay available simple unknown blank known test example sample value default basic bearer key input output "
    "base64 base32 sha1 sha256 sha384 sha512 md5 utf8 utf-8 utf-16 ascii argon2 argon2id argon2i pbkdf2 scrypt bcrypt oauth2 saml2 ntlmv2 latin1 iso8859-1 rfc2307"
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
    return called or value[:1] in "$<{[(&%*" or value.startswith(("self.", "os.", "this.", "args."))


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


def _told_password(found: Candidate) -> bool:
    """`the password for the server is kX9#mQ2v`: nobody says whose it is, so it has to look like one."""
    value = _bare(found.value)
    return len(value) >= 6 and _plausible(value) and not _is_code(found, value) and _strange(value)


def _beside_a_login(found: Candidate) -> bool:
    """Behind a name and a sign: with signs of its own, or letters and digits in each other's way."""
    value = _bare(found.value)
    signs = any(c in "!@#$%^&*?~" for c in found.value.rstrip(".,;:)\"'"))
    return _told_password(found) and (signs or flips(value) >= 3) and "/" not in value and "@" not in value[1:]


def _in_a_command(found: Candidate) -> bool:
    """Handed to a program that asks for it there: any word that is no placeholder and no variable."""
    value = _bare(found.value)
    return _plausible(value) and not _is_code(found, value) and _mixed(value)


def _tagged(found: Candidate) -> bool:
    """Between the tags of an element that is called so."""
    return _plausible(found.value) and not _is_code(found, found.value) and _mixed(found.value)


def _in_groups(found: Candidate) -> bool:
    """A code to recover or to unlock something: groups with letters and digits."""
    value = found.value
    return (
        found.stands_alone
        and sum(c.isdigit() for c in value) >= 2
        and sum(c.isalpha() for c in value) >= 2
        and plausible(value)
    )


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
    attribute = found.before(1) == "." and "." in value and value.partition(".")[0].isalpha()
    if attribute or named_as_hash(found.before(40)) or "://" in value or _is_code(found, value):
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
    if not named and _of_short_pieces(value):
        return False
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
    if value.startswith(_IDS) or _holds_a_date(value) or _is_id(found, value) or _of_short_pieces(value):
        return False
    if any(row in value.lower() for row in ("abcdefgh", "ghjklmn", "0123456789")):  # an alphabet
        return False
    several = digits >= 4 and sum(c.isalpha() for c in value) >= 8
    return several and drawn(value, 24) and entropy(value) >= 3.6


def _of_short_pieces(value: str) -> bool:
    """`Qwen3-Coder-30B-A3B-Instruct`: a model, a release, a file; keys are drawn in one piece."""
    return max(map(len, "".join(c if c.isalnum() else " " for c in value).split()), default=0) < 12


def _is_id(found: Candidate, value: str) -> bool:
    """A UUID behind a word that says of what (`fco_01a1...`), or whatever is called `id`."""
    name = found.before(24).rstrip("\"' :=").rpartition(" ")[2].strip("\"'{,")
    return name in ("id", "ids") or name.endswith(("_id", "-id", ".id")) or is_uuid(value[-36:])


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
_STRONG: Final = r"(?:secret(?:[ _-]?(?:key|token))?|token|tok|private(?:key)?|access(?:key|token)?|api[ _.-]?key|apikey|auth|authentication|authorization|credentials?|bearer|license[ _-]?key|client[ _.-]?id|signing[ _.-]?key|encryption[ _.-]?key|access[ _.-]?key|service[ _-]?key)"
_WEAK: Final = r"(?:key|api|salt|seed|cookie|session|signature|app[ _-]?id|srt|jwk|cred)"
_REST: Final = r"(?:(?:[_.-]|\d|(?-i:[A-Z]))[a-z0-9_.-]{0,30})?"
_WHOSE: Final = r"(?:my|our|mein|unser|dein|mon|notre|mi|nuestra|il mio|la mia|minha|meu|mijn|ons)"
_COPULA: Final = r"(?:is|was|are|ist|lautet|war|est|es|è|é)"
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
    Detector("password", rf"""\b(?:{_WHOSE}|the|your|his|her|their)\s{{1,3}}[\pL -]{{0,24}}?{_NAME}(?:\s{{1,3}}(?:for|to|on|of)\s{{1,3}}[\pL\pN. -]{{1,30}}?)?\s{{1,3}}(?:is|was|=|:)\s{{1,3}}["'`]?([^\s"'`]{{4,64}})""", (_NAME,), _spoken_password),
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

_SPOKEN: Final[tuple[Detector, ...]] = (
    Detector("password", rf"""{_NAME}(?:\s(?:for|to|on|of|at|für|zu|de|del|para|per)\s[^\n:=]{{1,40}}?)?\s?(?:\s{_COPULA}\s?:?|[:=])\s["'`]?([^\s"'`,;]{{6,64}})""", (_NAME,), _told_password),
    Detector("password", rf"""{_NAME}\s["'`]?([^\s"'`,;]{{6,64}})""", (_NAME,), _beside_a_login),
    Detector("password", rf"""\b{_WHOSE}\s(?:[\pL]{{2,12}}\s){{0,2}}pin(?:\s(?:code|number))?\s(?:{_COPULA}|=|:)\s(\d{{4,8}})\b""", (r" pin", DIGIT)),
    Detector("password", rf"""(?:log-?in|creds?|credentials?|user ?name|user|auth|wi-?fi|wlan|ssid)(?:\s(?:{_COPULA}|details|data))?[^a-z0-9\n]{{1,4}}["']?[a-z0-9._@+-]{{2,40}}["']?\s?[/:|,]\s?["']?([^\s"'`,;<>()]{{6,64}})""", (r"log-?in|creds?|credential|user|auth|wi-?fi|wlan|ssid", DIGIT), _beside_a_login),
    Detector("password", rf"""\bpin(?:\s(?:code|number))?\s(?:for|of|to)\s(?:{_WHOSE}|the)\s[\pL ]{{2,24}}?\s(?:{_COPULA}|=|:)\s(\d{{4,8}})\b""", (r" ?pin", DIGIT)),
    Detector("password", r"""\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[ =]?["']?[^\s:"'$]{1,60}:([^\s"']{4,64})""", (r"curl ", ":"), _in_a_command),
    Detector("password", r"""\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n]{0,120}?\s(?-i:-p)([^\s"'-][^\s"']{3,63})""", (r"mysql|mariadb",), _in_a_command),
    Detector("password", rf"""<[a-z0-9_:.-]{{0,40}}(?:{_NAME}|secret|token|apikey|api-key)[a-z0-9_-]{{0,20}}>([^<>\s]{{4,128}})</""", (rf"(?:{_NAME}|secret|token|api-?key)[a-z0-9_-]{{0,20}}>",), _tagged),
    Detector("password", r"""(?-i:\b[A-Z][A-Z0-9_]*(?:SECRET|TOKEN|KEY|PASS|PWD|PASSWORD|CREDENTIALS?|AUTH)[A-Z0-9_]*=)["']?([^\s"'`;]{8,128})""", (r"(?:secret|token|key|pass|pwd|password|credentials?|auth)[a-z0-9_]*=",), _argument),
    Detector("assigned_secret", r"""(?:recovery|backup|unlock|activation|licen[cs]e|product|one-time)\s(?:code|key)s?(?:\sis)?[^a-z0-9]{1,4}((?-i:[A-Z0-9]{3,8}(?:-[A-Z0-9]{3,8}){1,7}))""", (r"(?:recovery|backup|unlock|activation|licen[cs]e|product|one-time)\s(?:code|key)", DIGIT), _in_groups),
    Detector("private_key", r"""(?:seed|recovery|mnemonic|backup)\s(?:phrase|words|mnemonic)(?:\sis)?[^a-z0-9]{1,4}((?:[a-z]{3,8}\s){11,23}[a-z]{3,8})\b""", (r"(?:seed|recovery|mnemonic|backup)\s(?:phrase|words|mnemonic)",)),
    Detector("password_hash", r"""\$(?:2[abxy]?\$\d\d|apr1|1|5|6|y|argon2(?:id|i|d)|scrypt)\$[./A-Za-z0-9$=,+]{20,}""", (r"\$(?:2[abxy]?\$\d\d|apr1|1|5|6|y|argon2(?:id|i|d)|scrypt)\$",)),
)  # fmt: skip

DETECTORS: Final = (*VENDORS, *_FORMATS, *_SPOKEN)
SECRETS: Final = TextScanner(DETECTORS, VERSION)
