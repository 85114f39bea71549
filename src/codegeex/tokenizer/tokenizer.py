"""The CodeGeeX tokenizer: GPT-2's byte-level BPE plus one token for every run of 2 to 10 spaces.

Code is indented, and GPT-2 spends one token on every space of an indentation. CodeGeeX (paper section 3.1) gives
each run of L = 2..10 spaces a token of its own. Longer runs are cut from the left into chunks of ten; a remainder of
one space stays an ordinary space, which BPE merges into the next word.

Here the runs are *added tokens whose text is the spaces themselves*: the `tokenizers` library matches added tokens
longest-first from the left before it runs BPE, which is precisely that rule, at native speed. Special tokens
(end-of-text, fill-in-the-middle) are added tokens too, but by default their spelling in a text is plain text: a file
that contains the characters `<|endoftext|>` must not be able to end a document.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from codegeex.config import read_json
from codegeex.errors import CodeGeeXError
from codegeex.files import write_text

END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, FIM_PAD = "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>"
FIM_TOKENS = (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, FIM_PAD)
"""Spelt as the Qwen and Granite families do, so that editors which match templates by name recognise them."""

SPACE_RUNS = range(2, 11)
"""Lengths of the runs of spaces that are one token."""

SPACE_RUN = re.compile(f" {{{SPACE_RUNS.start},{SPACE_RUNS.stop - 1}}}")
"""The rule as an expression: greedy chunks of ten, then the remainder where it is at least two."""

# In the released vocabulary a run of L spaces is called <|extratoken_(8+L)|> (facts of the original, section 3.2).
_EXTRA_TOKEN_OFFSET = 8


class Tokenizer:
    """Encodes text to ids and back, exactly: `decode(encode(text)) == text` for every valid text.

    Args:
        backend: a `tokenizers.Tokenizer` with a byte-level BPE model and the added tokens.
        special_names: further spellings of special ids that `encode(..., special=True)` recognises.
    """

    def __init__(self, backend: Backend, special_names: dict[str, int] | None = None):
        self.backend = backend
        # Special tokens met in a text are split into ordinary tokens instead of being recognised.
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self.special_ids: dict[str, int] = {
            token.content: index for index, token in backend.get_added_tokens_decoder().items() if token.special
        } | (special_names or {})
        if END_OF_TEXT not in self.special_ids:
            raise CodeGeeXError(f"this tokenizer has no {END_OF_TEXT} token, so it is not a codegeex tokenizer.")
        self.end_of_text: int = self.special_ids[END_OF_TEXT]

    def __reduce__(self) -> tuple[Any, ...]:
        # The library forgets `encode_special_tokens` in a copy, and with it the safety of plain text.
        return _restore, (self.backend.to_str(), self.special_ids)

    def __len__(self) -> int:
        """Number of ids; rows of an embedding table from here on are padding."""
        return self.backend.get_vocab_size(with_added_tokens=True)

    @property
    def has_fim(self) -> bool:
        """Whether the vocabulary has the fill-in-the-middle tokens."""
        return all(token in self.special_ids for token in FIM_TOKENS)

    @cached_property
    def space_run_ids(self) -> frozenset[int]:
        """Ids of the runs of spaces."""
        found = (self.backend.token_to_id(" " * length) for length in SPACE_RUNS)
        return frozenset(index for index in found if index is not None)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the serialised tokenizer: shards made with one tokenizer name it by this."""
        return hashlib.sha256(self.backend.to_str().encode()).hexdigest()

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """`text` as ids.

        Args:
            text: any text without lone surrogates.
            special: recognise the spelling of special tokens, as the original always does. Leave it off for text
                that you did not write yourself.

        Raises:
            CodeGeeXError: the text holds lone surrogates, which no UTF-8 file can.
        """
        if not special:
            return self._encode_plain(text)
        ids: list[int] = []
        for piece in self._special_pattern.split(text):
            index = self.special_ids.get(piece)
            ids.extend(self._encode_plain(piece) if index is None else (index,))
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` over many texts, on all cores."""
        try:
            return [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]
        except (UnicodeEncodeError, TypeError):
            raise CodeGeeXError(NOT_TEXT) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens give their spelling, and bytes that are not UTF-8 give U+FFFD.

        Raises:
            CodeGeeXError: an id that is not in the vocabulary.
        """
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of `ids`: what streaming needs, since a character may be spread over several tokens."""
        table = self._bytes_of_id
        try:
            return b"".join([table[index] for index in ids])
        except (KeyError, TypeError):
            raise CodeGeeXError(f"token ids must be whole numbers from 0 to {len(self) - 1}.") from None

    def save(self, directory: str | Path) -> Path:
        """Write `tokenizer.json` into `directory`, which exists; returns its path."""
        path = Path(directory) / "tokenizer.json"
        write_text(path, self.backend.to_str(pretty=False))
        return path

    def _encode_plain(self, text: str) -> list[int]:
        try:
            return self.backend.encode(text, add_special_tokens=False).ids
        except (UnicodeEncodeError, TypeError):  # the library calls a str with lone surrogates no str
            raise CodeGeeXError(NOT_TEXT) from None

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        # Longest first, so that no spelling hides a longer one.
        names = sorted(self.special_ids, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, names))})")

    @cached_property
    def _bytes_of_id(self) -> dict[int, bytes]:
        """Every id's bytes. Ordinary tokens are spelt in GPT-2's byte alphabet, added tokens in plain text."""
        byte_of = {character: byte for byte, character in _byte_alphabet().items()}
        vocabulary = self.backend.get_vocab(with_added_tokens=False)
        table = {
            index: bytes([byte_of[character] for character in token])
            for token, index in vocabulary.items()
            if all(character in byte_of for character in token)
        }
        for index, added in self.backend.get_added_tokens_decoder().items():
            table[index] = added.content.encode()
        return table


NOT_TEXT = "only text can be encoded: a str without lone surrogates."


def _restore(backend: str, special_ids: dict[str, int]) -> Tokenizer:
    """A pickled tokenizer."""
    return Tokenizer(Backend.from_str(backend), special_ids)


def _byte_alphabet() -> dict[int, str]:
    """GPT-2's printable stand-in for every byte: printable Latin-1 as itself, the others from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def make_backend(vocabulary: dict[str, int], merges: list[tuple[str, str]], added: Iterable[AddedToken]) -> Backend:
    """A byte-level BPE backend. Added tokens that `vocabulary` lacks get the next ids, in order."""
    backend = Backend(BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = ByteLevelDecoder()
    backend.add_tokens(list(added))
    return backend


def added_token(content: str, *, special: bool) -> AddedToken:
    """A token matched literally anywhere in a text, neither stripping nor normalising what is around it."""
    return AddedToken(content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=special)


def load(path: str | Path) -> Tokenizer:
    """The tokenizer of a directory: our `tokenizer.json`, or the official `vocab.json` and `merges.txt`.

    Raises:
        CodeGeeXError: the directory has neither, or their content is not a byte-level BPE vocabulary.
    """
    path = Path(path)
    native = path / "tokenizer.json" if path.is_dir() else path
    if native.is_file():
        try:
            return Tokenizer(Backend.from_file(str(native)))
        except CodeGeeXError:
            raise
        except Exception as error:  # the library raises bare Exception on any fault of the file
            raise CodeGeeXError(f"{native} is not a tokenizer file: {error}.") from None
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        return _load_official(path)
    raise CodeGeeXError(f"no tokenizer in {path}: expected tokenizer.json, or vocab.json and merges.txt.")


def _load_official(directory: Path) -> Tokenizer:
    """The released vocabulary: 50,257 GPT-2 ids, then <|extratoken_1|>..<|extratoken_143|>.

    Extra tokens 10 to 18 stand for runs of 2 to 10 spaces; they are loaded with the spaces as their text.
    """
    vocabulary = read_json(directory / "vocab.json")
    if not isinstance(vocabulary, dict) or END_OF_TEXT not in vocabulary:
        raise CodeGeeXError(f"{directory / 'vocab.json'} is not GPT-2's vocabulary: {END_OF_TEXT} missing.")
    merges = []
    try:
        lines = (directory / "merges.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise CodeGeeXError(f"{directory / 'merges.txt'} cannot be read as UTF-8 text.") from None
    for line in lines:
        if line and not line.startswith("#version"):
            left, _, right = line.partition(" ")
            merges.append((left, right))
    extra_path = directory / "added_tokens.json"
    extra = read_json(extra_path) if extra_path.is_file() else {}
    names = {f"<|extratoken_{_EXTRA_TOKEN_OFFSET + length}|>": length for length in SPACE_RUNS}
    if missing := [name for name in names if name not in extra]:
        raise CodeGeeXError(f"{extra_path}: {missing[0]} missing, so the runs of spaces have no tokens.")
    added = [added_token(END_OF_TEXT, special=True)]
    for name in sorted(extra, key=extra.__getitem__):
        added.append(
            added_token(" " * names[name], special=False) if name in names else added_token(name, special=True)
        )
    try:
        backend = make_backend(vocabulary, merges, added)
    except Exception as error:  # the library raises bare Exception on merges that the vocabulary lacks
        raise CodeGeeXError(f"{directory} does not hold a byte-level BPE vocabulary: {error}.") from None
    for name, index in extra.items():
        content = " " * names[name] if name in names else name
        if backend.token_to_id(content) != index:
            raise CodeGeeXError(f"{extra_path}: {name} has id {index}, expected {backend.token_to_id(content)}.")
    return Tokenizer(backend, special_names={name: extra[name] for name in names})
