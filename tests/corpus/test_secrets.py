"""Secrets are masked; code that only looks like them is not."""

import base64
import json
import random
import string
import sysconfig
from pathlib import Path

import daft
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.corpus import secrets

RNG = random.Random(5)


def some(letters, count):
    return "".join(RNG.choices(letters, k=count))


WORD = string.ascii_letters + string.digits
TOKEN = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234567890", "admin": True})
)


PIECES = (
    "AKIA" + some("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
    "ghp_" + some(WORD, 36),
    "github_pat_" + some(WORD, 30),
    "glpat-" + some(WORD, 20),
    "xoxb-" + some(string.digits, 12),
    "AIza" + some(WORD, 35),
    "sk_live_" + some(WORD, 24),
    "sk-ant-" + some(WORD, 32),
    "npm_" + some(WORD, 36),
    "pypi-AgEIcHlwaS5vcmc" + some(WORD, 50),
    TOKEN + "." + some(WORD, 43),
    "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    f'PASSWORD_2 := "{some(WORD, 20)}"',
    f"'apiKey': '{some(WORD, 20)}'",
    "jane.doe+lists@mail.company.co.uk",
    "a@b.cd",
    "user@example.com",
    "@decorator.name",
    "é@é.de",
    *(" ", "\n", "x", "=", '"', "é", ".", "@"),
)


@pytest.mark.parametrize(
    ("secret", "placeholder"),
    [
        ("AKIA" + some("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16), "<KEY>"),
        ("ghp_" + some(WORD, 36), "<KEY>"),
        ("glpat-" + some(WORD, 20), "<KEY>"),
        ("xoxb-" + some(string.digits, 12) + "-" + some(WORD, 24), "<KEY>"),
        ("AIza" + some(WORD, 35), "<KEY>"),
        ("sk_live_" + some(WORD, 24), "<KEY>"),
        ("npm_" + some(WORD, 36), "<KEY>"),
        ("hf_" + some(WORD, 34), "<KEY>"),
        (f"{TOKEN}.{some(WORD, 43)}", "<KEY>"),
        ("jane.doe+lists@mail.company.co.uk", "<EMAIL>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----", "<PRIVATE KEY>"),
        (
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1.2\n\nlQO+/=\n-----END PGP PRIVATE KEY BLOCK-----",
            "<PRIVATE KEY>",
        ),
        ("jane@test.com", "<EMAIL>"),
    ],
)
def test_each_kind_is_masked_where_it_stands(secret, placeholder):
    for before, after in (("x = '", "'"), ("# see ", " for more"), ('{"a": "', '"}')):
        masked, counts = secrets.mask(before + secret + after)
        assert masked == before + placeholder + after
        assert counts == {placeholder: 1}


def test_random_values_of_passwords_are_masked_and_words_are_not():
    value = "x7Kq93mZpL0vTr5w"
    masked, counts = secrets.mask(f'password = "{value}"\napi_key: "{value}",\nname = "{value}"\n')
    assert masked == f'password = "<SECRET>"\napi_key: "<SECRET>",\nname = "{value}"\n'
    assert counts == {"<SECRET>": 2}
    for line in (
        "SECRET_KEY = 'django-insecure-4k#x(9vq$8wz%2m)'",
        f'const apiKey: string = "{value}"',
        f'api_key: str = "{value}"',
        f"export API_KEY={value}",
        f"DB_PASSWORD={value}",
    ):
        assert secrets.mask(line)[1] == {"<SECRET>": 1}, line
    for line in (
        'password = "correct horse battery"',
        'token = "not-a-real-token"',
        'secret_name = "projects/default/secrets"',
        "password = getpass()",
        'api_key = os.environ["SERVICE_API_KEY"]',
        'PASSWORD_RESET_URL = "https://host/{token}/reset"',
        'password = "%(user1)s-of-%(host2)s"',
        'tokenizer = "facebook/opt-125m"',
        'access_token_url = "https://api.login.company.com/oauth/v2/get_token"',
        'tokenUrl: "/api/v1/auth/token"',
        'secretName: "my-app-tls-cert-v2"',
        "TOKEN_FILE=/run/secrets/key-1",
        "API_KEY=$SERVICE_API_KEY_2",
    ):
        assert secrets.mask(line) == (line, {})


@pytest.mark.parametrize(
    "line",
    [
        "mail to user@example.com or root@localhost",
        "@property\ndef a(self): ...",
        "git@github.com:owner/name.git",
        "x = a @ b.T",
        "@app.route('/x')",
        "assert 'AKIA' in text",
        "scores = q@k.transpose(-2, -1)",
        "val name = this@MainActivity.binding.name",
        "first = a@b.rows[0]",
        "BEGIN = '-----BEGIN PRIVATE KEY-----'\ndef find(text): {return text}\nEND = '-----END PRIVATE KEY-----'",
    ],
)
def test_what_only_looks_like_it_stays(line):
    masked, _ = secrets.mask(line)
    assert masked == line.replace("git@github.com", "<EMAIL>")


def test_a_standard_library_keeps_its_code():
    """Real code without secrets: hardly anything may be touched but addresses of authors."""
    touched = addresses = files = 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        masked, counts = secrets.mask(text)
        files += 1
        touched += sum(count for kind, count in counts.items() if kind != "<EMAIL>")
        addresses += counts["<EMAIL>"]
        if not counts:
            assert masked == text
    assert files > 100
    assert touched <= 2
    assert addresses < files  # of authors, in comments


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_a_column_is_masked_as_its_texts_are(pieces):
    """What Rust looks for first must be in every text in which there is something to mask."""
    texts = ["".join(pieces), *pieces, None]
    column = daft.from_pydict({"text": texts}).select(secrets.masked(daft.col("text")).alias("text"))
    assert column.to_pydict()["text"] == [None if text is None else secrets.mask(text)[0] for text in texts]


def test_real_files_are_masked_as_a_column_as_they_are_one_by_one():
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))[::10]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    column = daft.from_pydict({"text": texts}).select(secrets.masked(daft.col("text")).alias("text"))
    assert column.to_pydict()["text"] == [secrets.mask(text)[0] for text in texts]
    assert any(secrets.mask(text)[1] for text in texts)
