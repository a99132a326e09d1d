"""Numbers, hashes, logs and code that are nobody's: they are hardly ever taken for personal data or a credential."""

from __future__ import annotations

import base64
import string
import uuid
from collections.abc import Callable
from random import Random

from hroute.router.signals.pii import pii_scanner
from hroute.router.signals.secrets import SECRETS
from hroute.terms.signal import PERSONAL_KINDS

LOT = Random(5)
CAPITALS = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
URL_SAFE = string.ascii_letters + string.digits + "_-"


def lot(length: int, signs: str = string.ascii_letters + string.digits) -> str:
    return "".join(LOT.choice(signs) for _ in range(length))


SAMPLES: dict[str, Callable[[], str]] = {
    "uuid": lambda: f"request id {uuid.UUID(int=LOT.getrandbits(128),version=4)} failed",
    "uuid2": lambda: str(uuid.UUID(int=LOT.getrandbits(128),version=4)),
    "sha": lambda: f"sha256:{lot(64, HEX)}  dist/pkg-1.2.{LOT.randrange(90)}.tar.gz",
    "git": lambda: f"commit {lot(40, HEX)}\nMerge: {lot(7, HEX)} {lot(7, HEX)}\nfix the build",
    "md5": lambda: f"{lot(32, HEX)}  file{LOT.randrange(99)}.iso",
    "integrity": lambda: f'"integrity": "sha512-{base64.b64encode(LOT.randbytes(64)).decode()}",',
    "poetry": lambda: f'    {{file = "x-1.0-py3-none-any.whl", hash = "sha256:{lot(64, HEX)}"}},',
    "cargo": lambda: f'[[package]]\nname = "serde"\nversion = "1.0.{LOT.randrange(200)}"\nsource = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "{lot(64, HEX)}"',
    "gosum": lambda: f'github.com/x/y v1.{LOT.randrange(20)}.{LOT.randrange(9)} h1:{base64.b64encode(LOT.randbytes(32)).decode()}',
    "ver": lambda: f"upgrade from {LOT.randrange(20)}.{LOT.randrange(20)}.{LOT.randrange(9999)}.{LOT.randrange(99)} to {LOT.randrange(9)}.{LOT.randrange(99)}.{LOT.randrange(99)}-rc{LOT.randrange(9)}",
    "price": lambda: f"it costs ${LOT.randrange(1,9999):,}.{LOT.randrange(100):02d} or €{LOT.randrange(1000)},{LOT.randrange(100):02d} per unit, total {LOT.randrange(10**9):,}",
    "isbn": lambda: f"ISBN 978-{LOT.randrange(10)}-{LOT.randrange(100,999)}-{LOT.randrange(10000,99999)}-{LOT.randrange(10)}",
    "isbn10": lambda: f"ISBN {LOT.randrange(10)}-{LOT.randrange(100,999)}-{LOT.randrange(10000,99999)}-X",
    "ts": lambda: f"2024-0{LOT.randrange(1,9)}-1{LOT.randrange(9)}T12:{LOT.randrange(10,59)}:0{LOT.randrange(9)}.{LOT.randrange(10**6):06d}Z INFO [worker-{LOT.randrange(20)}] processed {LOT.randrange(10**6)} rows in {LOT.random():.6f}s",
    "epoch": lambda: f"ts={LOT.randrange(1600000000,1800000000)} or {LOT.randrange(1600000000000,1800000000000)} ms",
    "nanos": lambda: f"start {LOT.randrange(1600000000000000000,1800000000000000000)} end",
    "float": lambda: f"loss {LOT.random():.16f} acc {LOT.random():.8f} grad {LOT.random()*1e-7:.3e}",
    "matrix": lambda: ' '.join(str(LOT.randrange(10000)) for _ in range(30)),
    "csv": lambda: ','.join(str(LOT.randrange(10**LOT.randrange(1,8))) for _ in range(12)),
    "b64img": lambda: "data:image/png;base64,"+base64.b64encode(LOT.randbytes(300)).decode(),
    "svg": lambda: '<path d="M'+' '.join(f"{LOT.random()*100:.3f},{LOT.random()*100:.3f}" for _ in range(10))+'z"/>',
    "hexdump": lambda: f"{LOT.randrange(2**32):08x}  "+' '.join(lot(2, HEX) for _ in range(16)),
    "asm": lambda: f"  {lot(8, HEX)}:\t48 89 e5\tmov %rsp,%rbp",
    "ptr": lambda: f"segfault at 0x{lot(12, HEX)} ip 0x{lot(16, HEX)} sp 0x{lot(16, HEX)}",
    "order": lambda: f"order {LOT.randrange(10**7,10**8)} shipped, tracking 1Z{lot(16, CAPITALS)}",
    "order2": lambda: f"invoice INV-2024-{LOT.randrange(10**5):05d}, PO {LOT.randrange(10**9,10**10)}",
    "coords": lambda: f"lat {LOT.uniform(-90,90):.6f}, lon {LOT.uniform(-180,180):.6f}",
    "bytes": lambda: f"{LOT.randrange(10**9,10**12)} bytes ({LOT.randrange(1,999)} MB) at {LOT.randrange(10**6)} B/s",
    "docker": lambda: f"Step 3/9 : RUN pip install\n ---> {lot(12, HEX)}\nRemoving intermediate container {lot(12, HEX)}",
    "k8s": lambda: f"pod/web-{lot(9, string.ascii_lowercase+string.digits)}-{lot(5, string.ascii_lowercase+string.digits)} 1/1 Running 0 {LOT.randrange(50)}d",
    "npmlog": lambda: f"npm http fetch GET 200 https://registry.npmjs.org/react {LOT.randrange(900)}ms",
    "access": lambda: f'GET /v1/items/{LOT.randrange(10**8)}?page={LOT.randrange(90)}&limit=50 HTTP/1.1" 200 {LOT.randrange(10**5)} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"',
    "trace": lambda: f"traceparent: 00-{lot(32, HEX)}-{lot(16, HEX)}-01",
    "etag": lambda: f'etag: W/"{lot(27)}"',
    "s3": lambda: f"s3://bucket-{lot(6, HEX)}/year=2024/month=0{LOT.randrange(1,9)}/part-0000{LOT.randrange(9)}-{uuid.UUID(int=LOT.getrandbits(128),version=4)}.parquet",
    "toolid": lambda: f'{{"id": "toolu_01{lot(22)}", "call_id": "call_{lot(24)}"}}',
    "msgid": lambda: f"chatcmpl-{lot(29)} msg_01{lot(22)} resp_{lot(48, HEX)} fc_{lot(48, HEX)}",
    "yt": lambda: f"https://www.youtube.com/watch?v={lot(11, URL_SAFE)} and https://docs.google.com/document/d/{lot(44, URL_SAFE)}/edit",
    "notebook": lambda: f'"execution_count": {LOT.randrange(99)}, "id": "{lot(8, HEX)}", "metadata": {{}}',
    "rgb": lambda: f"color: #{lot(6, HEX)}; background: rgba({LOT.randrange(255)}, {LOT.randrange(255)}, {LOT.randrange(255)}, .5); margin: 0 {LOT.randrange(99)}px",
    "score": lambda: f"Match ended {LOT.randrange(9)}-{LOT.randrange(9)}, halftime 1-0, attendance {LOT.randrange(10**5):,}, season 2023/24",
    "math": lambda: f"What is {LOT.randrange(10**5)} * {LOT.randrange(10**5)} + {LOT.randrange(10**9)} / {LOT.randrange(1,999)}?",
    "date": lambda: f"The meeting on {LOT.randrange(1,28)} March 20{LOT.randrange(10,30)} moved to 20{LOT.randrange(10,30)}-0{LOT.randrange(1,9)}-{LOT.randrange(10,28)} at 14:{LOT.randrange(10,59)}",
    "law": lambda: f"See § {LOT.randrange(999)} Abs. {LOT.randrange(9)} BGB and Art. {LOT.randrange(99)} GDPR, case C-{LOT.randrange(999)}/20",
    "spec": lambda: f"RFC {LOT.randrange(9999)}, ISO {LOT.randrange(10000,40000)}-{LOT.randrange(9)}:2018, EN 50{LOT.randrange(100,999)}, port {LOT.randrange(65535)}",
    "cron": lambda: f"{LOT.randrange(59)} {LOT.randrange(23)} * * {LOT.randrange(6)} /usr/bin/job --retries {LOT.randrange(9)} --timeout {LOT.randrange(900)}",
    "enum": lambda: f"ERROR_CODE_{LOT.randrange(9999)} = 0x{lot(8, HEX).upper()}; MAX_{lot(4, string.ascii_uppercase)} = {LOT.randrange(10**10)}",
    "password-code": lambda: LOT.choice(["password = getpass.getpass()","if password != confirm_password: raise ValueError('passwords differ')","user.set_password(form.cleaned_data['password'])","PASSWORD_MIN_LENGTH = 12","reset your password at the login page","token = request.headers.get('Authorization')","api_key=os.environ['OPENAI_API_KEY']","const secret = process.env.JWT_SECRET","the secret of good bread is time","password: string;","def login(username: str, password: str) -> Token:","How do I rotate an API key safely?","token_type_ids = tokenizer(text, return_tensors='pt')","max_tokens=4096, top_p=0.9, stop_token='</s>'","my password is wrong, help","what is a private key?","session_key = f'user:{user_id}:cart'","sort_key=lambda x: x.created_at","secretName: my-app-tls-certificate","key: app.kubernetes.io/name"]),
    "books": lambda: f"Figure {LOT.randrange(9)}.{LOT.randrange(20)} on page {LOT.randrange(500)}: {LOT.randrange(1000)} of {LOT.randrange(1000,9999)} patients, p < 0.0{LOT.randrange(1,9)}, 95% CI {LOT.random():.2f}-{LOT.random()+1:.2f}",
    "gtin": lambda: f"EAN {LOT.randrange(10**12,10**13)} SKU {lot(3, string.ascii_uppercase)}-{LOT.randrange(10**5)}",
    "phone-like": lambda: f"resolution 1920x1080, range 192-{LOT.randrange(200,999)}, ratio 16:9, chapters {LOT.randrange(9)}-{LOT.randrange(10,20)}, years 1998-2004",
}  # fmt: skip
TEXTS = [(kind, make()) for kind, make in SAMPLES.items() for _ in range(40)]


def test_at_most_one_of_a_hundred_is_taken_for_personal_data() -> None:
    scanner = pii_scanner(PERSONAL_KINDS)
    flagged = [kind for kind, text in TEXTS if scanner.scan(text)]
    assert len(flagged) <= 0.01 * len(TEXTS), flagged


def test_at_most_five_of_a_thousand_are_taken_for_credentials() -> None:
    flagged = [kind for kind, text in TEXTS if SECRETS.scan(text)]
    assert len(flagged) <= 0.005 * len(TEXTS), flagged


def test_no_kind_of_text_is_always_taken_for_something() -> None:
    scanner = pii_scanner(PERSONAL_KINDS)
    for kind in SAMPLES:
        texts = [text for name, text in TEXTS if name == kind]
        assert sum(bool(scanner.scan(text) or SECRETS.scan(text)) for text in texts) <= len(texts) / 4, kind
