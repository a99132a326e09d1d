"""Credentials as vendors draw them and as people write them down: each of these taints a request. The keys are drawn anew."""

from __future__ import annotations

import string
from random import Random

import pytest

from hroute.router.signals.secrets import SECRETS

LOT = Random(5)
MIXED = string.ascii_letters + string.digits
CAPITALS = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"


def lot(length: int, signs: str = MIXED) -> str:
    return "".join(LOT.choice(signs) for _ in range(length))


def uuid() -> str:
    return f"{lot(8, HEX)}-{lot(4, HEX)}-4{lot(3, HEX)}-a{lot(3, HEX)}-{lot(12, HEX)}"


URL_SAFE = MIXED + "_-"
BASE64 = MIXED + "+/"

VENDORS = (
    f"AKIA{lot(16, CAPITALS)}",
    f"aws_secret_access_key = {lot(40, BASE64)}",
    f"AWS_SECRET_ACCESS_KEY={lot(40, BASE64)}",
    f"aws_session_token={lot(200, BASE64)}",
    f"AIza{lot(35, URL_SAFE)}",
    f'"private_key_id": "{lot(40, HEX)}"',
    f"ya29.{lot(60, URL_SAFE)}",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={lot(86, BASE64)}==;EndpointSuffix=core.windows.net",
    f"client_secret: {lot(3)}8Q~{lot(34)}",
    f"?sv=2022-11-02&ss=b&sig={lot(43)}%3D",
    f"ghp_{lot(36)}",
    f"github_pat_{lot(22)}_{lot(59)}",
    f"https://x-access-token:ghs_{lot(36)}@github.com/a/b",
    f"glpat-{lot(20, URL_SAFE)}",
    f"xoxb-{lot(12, string.digits)}-{lot(12, string.digits)}-{lot(24)}",
    f"https://hooks.slack.com/services/T{lot(8, CAPITALS)}/B{lot(8, CAPITALS)}/{lot(24)}",
    f"sk_live_{lot(24)}",
    f"whsec_{lot(32)}",
    f"sk-{lot(48)}",
    f"sk-proj-{lot(48, URL_SAFE)}",
    f"sk-ant-api03-{lot(93, URL_SAFE)}AA",
    f"hf_{lot(34)}",
    f"//registry.npmjs.org/:_authToken=npm_{lot(36)}",
    f"_authToken={uuid()}",
    f"pypi-AgEIcHlwaS5vcmc{lot(60, URL_SAFE)}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{lot(43, URL_SAFE)}",
    f"SG.{lot(22, URL_SAFE)}.{lot(43, URL_SAFE)}",
    f"123456789:AA{lot(33)}",
    f"shpat_{lot(32, HEX)}",
    f"key-{lot(32, HEX)}",
    f"hvs.{lot(30)}",
    f"https://{lot(32, HEX)}@o1.ingest.sentry.io/2",
    f"DATADOG_API_KEY={lot(32, HEX)}",
    f"CLOUDFLARE_API_TOKEN={lot(40, URL_SAFE)}",
    f"HEROKU_API_KEY={uuid()}",
    f"DISCORD_TOKEN=M{lot(23)}.{lot(6)}.{lot(27)}",
)
FORMS = (
    f"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA{lot(40)}",
    f"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA{lot(30)}",
    f"-----BEGIN EC PRIVATE KEY-----\\nMHcCAQ{lot(30)}",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF{lot(30)}",
    "postgres://admin:S3cr3tPw@db.host:5432/x",
    "mongodb+srv://user:p4ssW0rd@cluster0.mongodb.net",
    "redis://:s3cr3tpass@cache:6379",
    "Server=tcp:x.database.windows.net;User ID=sa;Password=Str0ng!Pass;",
    "jdbc:mysql://h/db?user=root&password=Adm1nPw99",
    "https://user:Pa55word1@example.com/repo.git",
    "DB_PASSWORD=Xk29dkPq",
    "JWT_SECRET=my$up3rS3cret!",
    "REDIS_PASS: z8Hk2!pQ",
    "MYSQL_ROOT_PASSWORD: rootpw123",
    '{"password": "Winter2024"}',
    "<password>Winter2024</password>",
    'password="letmein"',
    "x-api-key: " + lot(32, HEX),
    "Cookie: session=" + lot(40),
    "private key 0x" + lot(64, HEX),
    "curl -u admin:S3cr3t99 https://x.example",
    "mysql -u root -pS3cr3t99",
    "PGPASSWORD=s3cretpw psql",
    f"bob:$apr1${lot(8)}${lot(22)}",
    f"$2b$12${lot(53)}",
    "recovery code: 8F3K-29DL-K3M9",
    "seed phrase: abandon ability able about above absent absorb abstract absurd abuse access accident",
)
PROSE = (
    "my password is hunter2",
    "my password is sunshine",
    "the wifi password is Sunflower88!",
    "login: admin / Passw0rd!",
    "creds are admin:S3cretPw9",
    "auth: ('bob', 's3cr3tpw!')",
    "username: bob password: tr0ub4dor&3",
    "password for the server is 'kX9#mQ2v'",
    "ssh root@10.0.0.1 password xT9!kk2",
    "pwd: qwertz123",
    "Das Passwort lautet Geheim123!",
    "mein Passwort ist Sommer2024",
    "le mot de passe est Soleil2024!",
    "la contraseña es Gato1234",
    "root password: toor123",
    "my pin is 4821",
    f"The API key is {lot(32)}",
    f"here's the token: {lot(40)}",
)


@pytest.mark.parametrize("text", [*VENDORS, *FORMS, *PROSE])
def test_it_is_found(text: str) -> None:
    assert SECRETS.scan(text)


@pytest.mark.parametrize("text", PROSE)
def test_it_is_found_in_the_middle_of_a_message(text: str) -> None:
    assert SECRETS.scan(f"Good morning,\n\nplease help me to set this up. {text}\nThank you, and see you on Monday.")


@pytest.mark.parametrize(
    "text",
    [
        "The password is base64 encoded.",
        "the password for v2 is stored as argon2id",
        "Is my password too short? It says the password is required!",
        "user: octocat/hello-world",
        "auth: basic, see RFC7617",
        "my pin code is wrong",
        "the recovery code is sent by e-mail",
        "token_type_ids = tokenizer(text)",
        "API_KEY=${API_KEY}",
        "SECRET_KEY=os.environ['SECRET_KEY']",
        "PRIVATE_KEY_PATH=/etc/ssl/private/server.key",
        "curl -u $USER:$PASS https://x.example",
        "curl https://x.example:8080/users",
        "<password>changeme</password>",
        "<token>{{ token }}</token>",
        "seed phrase: twelve words that nobody else knows",
        "password: string;",
        "Enter your username, password and e-mail address.",
    ],
)
def test_words_about_passwords_are_none(text: str) -> None:
    assert not SECRETS.scan(text)


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-5-sonnet-20241022",
        "Qwen3-Coder-30B-A3B-Instruct",
        "meta-llama/Llama-3.1-8B-Instruct",
        "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        "gpt-4o-mini-2024-07-18",
        "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
    ],
)
@pytest.mark.parametrize("place", ["model: {}", 'name="{}",', "the api model {} is slow", "key: {}", "MODEL={}", "token limit for {}"])  # fmt: skip
def test_the_name_of_a_model_is_no_secret(model: str, place: str) -> None:
    assert not SECRETS.scan(place.format(model))


def test_a_key_in_one_piece_is_found_though_it_has_hardly_a_digit() -> None:
    assert SECRETS.scan("backend: sk-" + "yBqKdJzJkejWLPGOFRAZCOHvrhS9mRFB")
    assert not SECRETS.scan("class sk-loading-indicator-wrapper-element-outer")
