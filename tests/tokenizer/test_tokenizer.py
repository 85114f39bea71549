"""The tokenizer against the facts of the original, and against the original's own way of doing it."""

import copy
import json
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from codegeex import tokenizer
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer.tokenizer import END_OF_TEXT, FIM_TOKENS
from codegeex.tokenizer.train import MIN_SIZE

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "codegeex-tokenizer"
needs_official = pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official vocabulary is not at hand")

# Worked with the released files (facts of the original, section 3.4).
WORKED_EXAMPLES = [
    ("# language: Python\n", [2, 3303, 25, 11361, 198]),
    ("// language: C++\n", [1003, 3303, 25, 327, 4880, 198]),
    ("a b", [64, 275]),
    ("a  b", [64, 50266, 65]),
    ("a   b", [64, 50267, 65]),
    ("def f(x):\n    return x\n", [4299, 277, 7, 87, 2599, 198, 50268, 7783, 2124, 198]),
    (" " * 8 + "x", [50272, 87]),
    (" " * 10 + "x", [50274, 87]),
    (" " * 11 + "x", [50274, 2124]),
    (" " * 12 + "x", [50274, 50266, 87]),
    (" " * 20, [50274, 50274]),
    ("\t\tx", [197, 197, 87]),
    ("\n\n\n", [628, 198]),
    ("a\n\n    b", [64, 628, 50268, 65]),
    ("    \t  x", [50268, 197, 50266, 87]),
    ("x = 1  # hi", [87, 796, 352, 50266, 2, 23105]),
    ("你好", [19526, 254, 25001, 121]),
    ("code translation\nJava:\n", [8189, 11059, 198, 29584, 25, 198]),
    ("\r\n", [201, 198]),
    ("x ", [87, 220]),
]

# Text that stresses the rules: spaces, line ends, tabs, spellings of special tokens, any character.
TEXTS = st.lists(
    st.one_of(
        st.integers(1, 25).map(lambda count: " " * count),
        st.sampled_from(
            ["\n", "\r\n", "\t", "def f(x):", END_OF_TEXT, "<|extratoken_15|>", "<|fim_middle|>", "é", "😀"]
        ),
        st.text(max_size=8),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def official():
    if not OFFICIAL.is_dir():
        pytest.skip("the official vocabulary is not at hand")
    return tokenizer.load(OFFICIAL)


@pytest.fixture(scope="module")
def trained():
    sources = [path.read_text() for path in sorted(Path(tokenizer.__file__).parent.glob("*.py"))]
    return tokenizer.train(sources, 600)


@pytest.fixture(scope="module")
def original_way():
    """The original: runs replaced by the tokens' names, then an encoder that knows these names."""
    if not OFFICIAL.is_dir():
        pytest.skip("the official vocabulary is not at hand")
    backend = Backend(BPE.from_file(str(OFFICIAL / "vocab.json"), str(OFFICIAL / "merges.txt")))
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False)
    names = json.loads((OFFICIAL / "added_tokens.json").read_text())
    backend.add_tokens([AddedToken(name, normalized=False) for name in sorted(names, key=names.get)])
    backend.add_special_tokens([AddedToken(END_OF_TEXT, normalized=False)])

    def encode(text):
        for length in range(10, 1, -1):
            text = text.replace(" " * length, f"<|extratoken_{8 + length}|>")
        return backend.encode(text, add_special_tokens=False).ids

    return encode


@needs_official
@pytest.mark.parametrize(("text", "ids"), WORKED_EXAMPLES, ids=lambda value: repr(value)[:20])
def test_worked_examples(official, text, ids):
    assert official.encode(text) == ids
    assert official.decode(ids) == text


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_special_encoding_is_the_original_one(official, original_way, text):
    assert official.encode(text, special=True) == original_way(text)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_every_text_comes_back(official, trained, text):
    for vocabulary in (official, trained):
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text
        assert vocabulary.decode_bytes(ids) == text.encode()
        assert vocabulary.end_of_text not in ids
        assert vocabulary.encode_batch([text, "x"])[0] == ids


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_runs_of_spaces_follow_the_rule(trained, text):
    """Every run costs ⌈length / 10⌉ tokens at the most, a remainder of one space being the next word's."""
    expected = [min(10, len(run) - start) for run in re.findall(" {2,}", text) for start in range(0, len(run), 10)]
    lengths = [len(trained.decode([index])) for index in trained.encode(text) if index in trained.space_run_ids]
    assert lengths == [length for length in expected if length > 1]


def test_official_size(official):
    assert len(official) == 50400
    assert official.end_of_text == 50256
    assert not official.has_fim


def test_special_text_is_plain_text_by_default(official):
    text = f"a{END_OF_TEXT}<|extratoken_15|>b"
    assert {50256, 50271}.isdisjoint(official.encode(text))
    assert official.encode(text, special=True) == [64, 50256, 50271, 65]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda vocabulary: pickle.loads(pickle.dumps(vocabulary))])
def test_copies_keep_special_text_plain(official, copied):
    text = f"a{END_OF_TEXT}<|extratoken_15|>b"
    assert copied(official).encode(text) == official.encode(text)
    assert copied(official).encode(text, special=True) == [64, 50256, 50271, 65]


def test_trained_layout(trained):
    assert len(trained) == 600
    assert trained.has_fim
    assert trained.end_of_text == 600 - 1 - 9 - len(FIM_TOKENS)
    assert [trained.special_ids[token] for token in FIM_TOKENS] == list(range(596, 600))


def test_smallest_vocabulary_still_encodes_everything():
    vocabulary = tokenizer.train(["abc"], MIN_SIZE)
    assert len(vocabulary) == MIN_SIZE
    assert vocabulary.decode(vocabulary.encode("héllo\n   wörld 😀")) == "héllo\n   wörld 😀"


def test_training_is_reproducible_and_saved_whole(trained, tmp_path):
    sources = [path.read_text() for path in sorted(Path(tokenizer.__file__).parent.glob("*.py"))]
    assert tokenizer.train(sources, 600).fingerprint == trained.fingerprint
    trained.save(tmp_path)
    loaded = tokenizer.load(tmp_path)
    assert loaded.fingerprint == trained.fingerprint
    assert loaded.encode("def f():\n        pass") == trained.encode("def f():\n        pass")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize("ids", [[-1], [10**9], ["1"], [None]])
def test_unknown_ids_are_refused(trained, ids):
    with pytest.raises(CodeGeeXError, match="token ids must be"):
        trained.decode(ids)


def test_lone_surrogates_are_refused(trained):
    for encode in (trained.encode, lambda text: trained.encode_batch([text])):
        with pytest.raises(CodeGeeXError, match="surrogates"):
            encode("a\ud800b")


def test_bytes_that_are_not_text_decode_to_the_replacement(trained):
    first_byte = trained.encode("é")[:1]
    assert trained.decode(first_byte) == "\ufffd"


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(CodeGeeXError, match="at least"):
        tokenizer.train(["abc"], MIN_SIZE - 1)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer.json": "{"},
        {"tokenizer.json": "[]"},
        {"vocab.json": "{}", "merges.txt": ""},
        {"vocab.json": f'{{"{END_OF_TEXT}": 0}}', "merges.txt": "a b\n", "added_tokens.json": "{}"},
    ],
)
def test_broken_directories_are_refused(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(CodeGeeXError):
        tokenizer.load(tmp_path)
