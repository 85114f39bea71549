"""Masking what should not be learned by heart: keys, passwords, e-mail addresses.

Each kind is replaced by a placeholder, so that the code around it stays code. Patterns are those that their issuers
document: a known prefix and length. Assignments to names like `password` need a value that looks random as well.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType, Expression, Series, functions

from codegeex.corpus.measures import array

_RANDOM_BITS = 3.0
"""Bits of entropy a character from which a value counts as random: words have 2 to 2.8, keys 3.3 and more."""

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "<PRIVATE KEY>",
        # Base64 between them, with a head of its own or as lines of strings: not the code that looks for one.
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\w+/=\s\"'\\,:.-]{1,20000}?"
            r"-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----"
        ),
    ),
    ("<KEY>", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b")),  # Amazon
    ("<KEY>", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b")),
    ("<KEY>", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),  # GitLab
    ("<KEY>", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}")),  # Slack
    ("<KEY>", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),  # Google
    ("<KEY>", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}")),  # Stripe
    ("<KEY>", re.compile(r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}")),  # OpenAI, Anthropic
    ("<KEY>", re.compile(r"\bhf_[A-Za-z0-9]{34}\b")),  # Hugging Face
    ("<KEY>", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b|\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}")),
    ("<KEY>", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),  # JSON Web Token
)

_ASSIGNMENT = re.compile(
    r"""((?:passw(?:or)?d|secret|token|api_?key|access_?key|auth_?key)\w{0,20})(["']?(?:\s*:\s*\w{1,20})?"""
    r"""\s*(?::=|[:=]|=>)\s*["'])([^\s"'<>{}]{12,200})(["'])""",
    re.IGNORECASE,
)
_SHELL = re.compile(
    r"^((?:export )?[A-Z0-9_]{0,40}(?:PASSW(?:OR)?D|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|AUTH_?KEY)[A-Z0-9_]{0,20})(=)"
    r"([\w+/=.-]{16,200})()$",
    re.MULTILINE,
)
"""What a shell and files of settings write without quotes."""

_NO_SECRET = re.compile(
    r"^tokeni[sz]|(?:ur[il]|endpoint|name|type|class|path|file|dir|algo(?:rithm)?|hasher|header|field|param(?:eter)?)$",
    re.IGNORECASE,
)
"""Names of what is not secret although they speak of it: `tokenizer`, `access_token_url`, `secretName`."""

_ADDRESS = re.compile(r"://|^(?:/|urn:|arn:|\./)")

_HOST = r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
_USER = r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}"
_EMAIL = re.compile(_HOST)
_BEFORE = re.compile(rf"(?<![A-Za-z0-9._%+-]){_USER}\Z")
_NOBODY = re.compile(r"@(?:[\w-]+\.)*(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.IGNORECASE)
"""Addresses that RFC 2606 keeps for examples."""

_LABELLED = frozenset({"this", "super", "return", "break", "continue"})
"""Words that Kotlin puts a label behind: `this@Activity.name` is code."""

_SUSPECTS = (
    r"-----BEGIN [A-Z ]*PRIVATE|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|glpat-|xox[abposr]-|AIza|[rs]k_live_|npm_"
    r"|hf_[A-Za-z0-9]{34}|sk-[A-Za-z0-9_-]{32}|pypi-AgEI|eyJ[A-Za-z0-9_-]{10}",
    f"(?i:{_ASSIGNMENT.pattern})|(?:PASSW(?:OR)?D|SECRET|TOKEN|KEY)[A-Z0-9_]*=[A-Za-z0-9_+/=.-]{{16}}",
    _USER + _HOST,
)
"""Expressions that match in every text in which `mask` finds keys, assignments and addresses, and in few others. Rust
tries each of them at 300 MB/s on a core; what `mask` does takes Python to 20."""


def masked(text: Expression) -> Expression:
    """`mask` of each text, without the counts; null for null."""
    return _masked(text, *(functions.regexp(text, pattern) for pattern in _SUSPECTS))


@daft.func.batch(return_dtype=DataType.string(), use_process=False)
def _masked(text: Series, keys: Series, assignments: Series, addresses: Series) -> pa.Array:
    texts = array(text)
    suspects = [array(column).fill_null(False) for column in (keys, assignments, addresses)]
    some = pc.or_(pc.or_(*suspects[:2]), suspects[2])
    rows = zip(*(column.filter(some).to_pylist() for column in (texts, *suspects)), strict=True)
    changed = pa.array([mask(one, *found)[0] for one, *found in rows], texts.type)
    return pc.replace_with_mask(texts, some, changed)


def mask(text: str, keys: bool = True, assignments: bool = True, addresses: bool = True) -> tuple[str, Counter[str]]:
    """The text without secrets and addresses, and how many of each placeholder there are now.

    Args:
        keys, assignments, addresses: whether to look for them.
    """
    counts: Counter[str] = Counter()

    def replace(placeholder: str) -> str:
        counts[placeholder] += 1
        return placeholder

    if keys:
        for placeholder, pattern in _KINDS:
            text = pattern.sub(lambda match, placeholder=placeholder: replace(placeholder), text)  # type: ignore[misc]
    if assignments:
        for pattern in (_ASSIGNMENT, _SHELL):
            text = pattern.sub(
                lambda match: (
                    f"{match[1]}{match[2]}{replace('<SECRET>')}{match[4]}"
                    if _is_secret(match[1], match[3])
                    else match[0]
                ),
                text,
            )
    if addresses:
        text = _without_addresses(text, replace)
    return text, counts


def _without_addresses(text: str, replace: Callable[[str], str]) -> str:
    # From each @ back to what is before it: the other way round, every word is the beginning of an address.
    kept: list[str] = []
    done = 0
    for host in _EMAIL.finditer(text):
        user = _BEFORE.search(text, max(done, host.start() - 65), host.start())
        called = text[host.end() : host.end() + 1] in ("(", "[")  # a product of matrices: q@k.transpose(0, 1)
        if user and not called and user[0] not in _LABELLED and not _NOBODY.search(host[0]):
            kept += [text[done : user.start()], replace("<EMAIL>")]
            done = host.end()
    return "".join(kept) + text[done:] if kept else text


def _is_secret(name: str, value: str) -> bool:
    """Whether the value that is given to a name would be a key; "%(" is filled in later."""
    return looks_random(value) and "%(" not in value and not _NO_SECRET.search(name) and not _ADDRESS.search(value)


def looks_random(value: str) -> bool:
    """Whether the characters of a value are spread as those of a key: digits and letters, few of them repeated."""
    if not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares) >= _RANDOM_BITS
