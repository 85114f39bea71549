"""Fill-in-the-middle: how a text with a hole is laid out for a left-to-right model (arXiv 2207.14255).

A document is cut into prefix, middle and suffix and written prefix, suffix, middle (PSM), each part announced by its
token. A model trained on that fills a hole by continuing after the middle token. This goes beyond the original
CodeGeeX, whose vocabulary has no such tokens.
"""

from __future__ import annotations

import random

from codegeex.errors import CodeGeeXError
from codegeex.tokenizer.tokenizer import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, Tokenizer


def fim_prompt(tokenizer: Tokenizer, prefix: str, suffix: str) -> list[int]:
    """The ids after which a model writes what stands between `prefix` and `suffix`.

    Raises:
        CodeGeeXError: the vocabulary has no fill-in-the-middle tokens.
    """
    if not tokenizer.has_fim:
        raise CodeGeeXError(
            "this model cannot complete before a suffix: its vocabulary has no fill-in-the-middle tokens. "
            "Leave the suffix out."
        )
    special = tokenizer.special_ids
    return [
        special[FIM_PREFIX],
        *tokenizer.encode(prefix),
        special[FIM_SUFFIX],
        *tokenizer.encode(suffix),
        special[FIM_MIDDLE],
    ]


def fim_document(tokenizer: Tokenizer, head: str, text: str, rng: random.Random, *, spm: bool = False) -> list[int]:
    """A training document: `text` with a random middle moved to the end (cut between characters, uniformly).

    `head` (the language tag) stays at the start of the prefix. End-of-text is left to the caller.

    Args:
        spm: the suffix comes first, and prefix and middle are one piece of text behind it (SPM in the variant of the
            paper's appendix D: no token stands between prefix and middle, so that they are encoded together).
    """
    start, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    prefix, middle, suffix = head + text[:start], text[start:end], text[end:]
    if not spm:
        return fim_prompt(tokenizer, prefix, suffix) + tokenizer.encode(middle)
    special = tokenizer.special_ids
    ids = [special[FIM_PREFIX], special[FIM_SUFFIX], *tokenizer.encode(suffix), special[FIM_MIDDLE]]
    return ids + tokenizer.encode(prefix + middle)
