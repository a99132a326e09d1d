"""Keys and tokens that say by themselves whose they are: the formats that vendors publish. Case counts."""

from __future__ import annotations

from typing import Final

from hroute.router.signals.kinds.detector import Candidate, Detector
from hroute.router.signals.kinds.drawn import of_words, plausible


def _key(found: Candidate) -> bool:
    before = found.text[max(0, found.start - 2) : found.start]
    escaped = before[-1:] == "m" and "[" in found.text[max(0, found.start - 6) : found.start]  # a terminal's colour
    return (escaped or not before[-1:].isalnum()) and plausible(found.value) and not of_words(found.value)


def _openai(found: Candidate) -> bool:
    """Also in one piece of 32 letters and digits or more, which no name of a class or a file has."""
    rest = found.value.removeprefix("sk-")
    sorts = any(c.isupper() for c in rest) and any(c.islower() for c in rest)
    unbroken = len(rest) >= 32 and rest.isalnum() and sorts and plausible(found.value)
    return _key(found) or (unbroken and not found.before(1).isalnum())


def _aws(found: Candidate) -> bool:
    return found.stands_alone and plausible(found.value)


def _prefixed(kind: str, prefix: str, rest: str) -> Detector:
    """`prefix` is what the first pass looks for; the pattern is the prefix and `rest`."""
    return Detector(kind, f"(?-i:(?:{prefix}){rest})", (f"(?-i:{prefix})",), _key)


_W: Final = "[A-Za-z0-9_-]"
_A: Final = "[A-Za-z0-9]"

VENDORS: Final[tuple[Detector, ...]] = (
    _prefixed("jwt", r"eyJ[A-Za-z0-9]{2}", rf"{_W}{{8,}}\.{_W}{{8,}}(?:\.{_W}*)?"),
    _prefixed("anthropic_key", r"sk-ant-", rf"{_W}{{16,}}"),
    _prefixed("openrouter_key", r"sk-or-v1-", r"[0-9a-f]{32,}"),
    Detector("openai_key", rf"(?-i:sk-(?:proj-|svcacct-|admin-)?{_W}{{20,}})", (r"(?-i:sk-)",), _openai),
    Detector("aws_access_key", r"(?-i:(?:AKIA|ASIA|ABIA|ACCA|ABSK|A3T[A-Z0-9])[A-Z0-9]{16})", (r"(?-i:AKIA|ASIA|ABIA|ACCA|ABSK|A3T)",), _aws),
    _prefixed("google_api_key", r"AIza", rf"{_W}{{33,}}"),
    _prefixed("google_oauth", r"GOCSPX-|ya29\.", rf"{_W}{{20,}}"),
    _prefixed("github_token", r"gh[pousr]_", rf"{_A}{{30,}}"),
    _prefixed("github_token", r"github_pat_", r"[A-Za-z0-9_]{40,}"),
    _prefixed("gitlab_token", r"gl[a-z]{2,6}-|GR1348941", r"[A-Za-z0-9_=.-]{18,}"),
    _prefixed("slack_token", r"xox[abeoprs]-|xapp-", r"[A-Za-z0-9-]{10,}"),
    _prefixed("slack_webhook", r"hooks\.slack\.com/", r"(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}"),
    _prefixed("webhook", r"discord(?:app)?\.com/api/webhooks/|\.webhook\.office\.com/webhookb2/|hooks\.zapier\.com/hooks/catch/|/webhook/", r"[A-Za-z0-9/@_-]{24,}"),
    _prefixed("stripe_key", r"(?:sk|rk|pk)_(?:live|test)_|whsec_", rf"{_A}{{12,}}"),
    _prefixed("sendgrid_key", r"SG\.", rf"{_W}{{16,}}\.{_W}{{16,}}"),
    Detector("mailgun_key", r"(?-i:(?:pub)?key-[0-9a-f]{32})", (r"key-[0-9a-f]{2}",), _key),
    Detector("mailchimp_key", r"(?-i:[0-9a-f]{32}-us[0-9]{1,2})", (r"-us\d",), _key),
    _prefixed("twilio_key", r"(?:SK|AC)[0-9a-f]{6}", r"[0-9a-f]{26}"),
    _prefixed("registry_token", r"npm_|rubygems_|dckr_pat_|dckr_oat_|oy2|cio", rf"{_A}{{30,}}"),
    _prefixed("registry_token", r"pypi-Ag", rf"{_W}{{40,}}"),
    _prefixed("huggingface_token", r"hf_|api_org_", rf"{_A}{{30,}}"),
    _prefixed("model_api_key", r"gsk_|xai-|pplx-|r8_|nvapi-|tvly-|fw_|csk-|tgp_v1_|jina_|voyage-|pcsk_|co_|AI_|ms-", rf"{_W}{{28,}}"),
    _prefixed("digitalocean_token", r"do[opr]_v1_", r"[0-9a-f]{40,}"),
    _prefixed("shopify_token", r"shp(?:at|ca|pa|ss|tka)_", r"[0-9a-fA-F]{28,}"),
    _prefixed("square_token", r"sq0[a-z]{3}-|EAAA", rf"{_W}{{20,}}"),
    _prefixed("facebook_token", r"EAACEdEose0cBA|EAA[A-Z]", rf"{_A}{{40,}}"),
    Detector("telegram_token", r"(?-i:[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34})", (r"(?-i:\d:AA)",), _key),
    _prefixed("databricks_token", r"dapi[0-9a-f]{4}", r"[0-9a-f]{28}"),
    _prefixed("vault_token", r"hv[sbr]\.", rf"{_W}{{24,}}"),
    _prefixed("terraform_token", r"\.atlasv1\.", r"[A-Za-z0-9_=-]{60,}"),
    _prefixed("grafana_token", r"glsa_|glc_", r"[A-Za-z0-9_+/=]{32,}"),
    _prefixed("new_relic_key", r"NRAK-|NRII-|NRJS-|NRAA-|NRRA-", r"[A-Za-z0-9-]{19,}"),
    _prefixed("linear_key", r"lin_api_|lin_oauth_|ntn_", rf"{_A}{{32,}}"),
    _prefixed("notion_key", r"secret_", rf"{_A}{{43}}"),
    _prefixed("atlassian_token", r"ATATT3|ATCTT3|ATBB", r"[A-Za-z0-9_=-]{24,}"),
    _prefixed("bitbucket_token", r"BBDC-", r"[A-Za-z0-9+/]{40,}"),
    _prefixed("age_key", r"AGE-SECRET-KEY-1", r"[0-9A-Z]{50,}"),
    _prefixed("azure_key", r"(?:Account|SharedAccess)Key=", r"[A-Za-z0-9+/]{40,}={0,2}"),
    Detector("azure_key", r"(?-i:[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{30,36})", (r"(?-i:\dQ~)",), _key),
    _prefixed("doppler_token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"[A-Za-z0-9_.-]{30,}"),
    _prefixed("planetscale_token", r"pscale_(?:tkn|pw|oauth)_", r"[A-Za-z0-9_.-]{32,}"),
    _prefixed("platform_token", r"sbp_|tfp_|pul-|CCIPAT_|CCIPRJ_|PMAK-|sntrys_|sntryu_|sgp_|figd_|figo_|fo1_|FlyV1 |ops_|bkua_|rdme_|pat-na1-|dt0c01\.|dt0s16\.|rnd_|vercel_|nfp_|shippo_live_|shippo_test_|xkeysib-|EZAK|EZTK|rzp_live_|rzp_test_|duffel_test_|duffel_live_|phx_|phc_|lsv2_pt_|lsv2_sk_|wandb_v1_|tkn\.v1_|aio_|akab-|glagent-|cosmo_|LTAI|AKID|AIVEN|AVNS_|ubdx|pnu_|sk_prod_|ak_|APKA|CLOJARS_|ico-|b_live_|prefect|frp_|scw|waka_", r"[A-Za-z0-9_.=/+-]{20,}"),
    _prefixed("dropbox_token", r"sl\.", rf"(?:u\.)?{_W}{{60,}}"),
    _prefixed("google_oauth", r"1//0", rf"{_W}{{40,}}"),
    Detector("sentry_dsn", r"(?-i:https://[0-9a-f]{32}(?::[0-9a-f]{32})?@[a-z0-9.-]+)", (r"(?-i:https://[0-9a-f]{4})",)),
    Detector("private_key", r"""-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r|["'+,\s])*[A-Za-z0-9+/]{4}""", ("-----BEGIN", "PRIVATE KEY")),
    _prefixed("private_key", r"LS0tLS1CRUdJTi", r"[A-Za-z0-9+/]{20,}"),  # a PEM, in base64 once more
    Detector("private_key", r"PuTTY-User-Key-File-\d", (r"PuTTY-User-Key-File",)),
)  # fmt: skip
