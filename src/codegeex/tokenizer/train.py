"""Training a new vocabulary with the CodeGeeX scheme."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from codegeex.errors import CodeGeeXError
from codegeex.tokenizer.tokenizer import (
    END_OF_TEXT,
    FIM_TOKENS,
    SPACE_RUN,
    SPACE_RUNS,
    Tokenizer,
    added_token,
    make_backend,
)

MIN_SIZE = 256 + 1 + len(SPACE_RUNS) + len(FIM_TOKENS)
"""Every byte, end-of-text, the runs of spaces and the fill-in-the-middle tokens."""


def train(texts: Iterable[str], vocab_size: int, *, progress: bool = False) -> Tokenizer:
    """Learn a byte-level BPE vocabulary of `vocab_size` ids from `texts`.

    The layout follows the released vocabulary: bytes and merges first, then end-of-text, the runs of 2 to 10 spaces
    and the fill-in-the-middle tokens. Runs of spaces are cut out before merges are counted, as they are in encoding.
    A corpus too small to give enough merges gives fewer ids.

    Raises:
        CodeGeeXError: `vocab_size` leaves no room for the bytes and special tokens.
    """
    if vocab_size < MIN_SIZE:
        raise CodeGeeXError(f"a vocabulary needs at least {MIN_SIZE} ids (bytes and special tokens), not {vocab_size}.")
    learner = Backend(BPE())
    learner.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = BpeTrainer(
        vocab_size=vocab_size - (MIN_SIZE - 256),
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=progress,
    )
    learner.train_from_iterator(_between_runs(texts), trainer)
    model = _trained_model(learner)
    added = [added_token(END_OF_TEXT, special=True)]
    added += [added_token(" " * length, special=False) for length in SPACE_RUNS]
    added += [added_token(token, special=True) for token in FIM_TOKENS]
    return Tokenizer(make_backend(*model, added))


def _between_runs(texts: Iterable[str]) -> Iterator[str]:
    """The pieces of text that BPE sees once runs of spaces are tokens."""
    for text in texts:
        yield from filter(None, SPACE_RUN.split(text))


def _trained_model(learner: Backend) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a trained backend, which only its JSON form gives away."""
    import json

    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [
        tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in model["merges"]
    ]
