"""Many texts at a time give the ids that one gives."""

import pickle
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex import tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer.batches import PROBES, BatchEncoder

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "codegeex-tokenizer"
VOCABULARIES = {"embedded": EMBEDDED_MODEL, "official": OFFICIAL}
pieces = st.lists(
    st.text(max_size=12)
    | st.sampled_from(
        [" ", "  ", " " * 10, " " * 11, "\t", "\n", "\r\n", "'s", "'Ma", "<|endoftext|>", "<|fim_middle|>", "a"]
    )
    | st.text(st.sampled_from(" \t\n\u00a0\u2003a1.'é"), max_size=30),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module", params=VOCABULARIES)
def both(request):
    directory = VOCABULARIES[request.param]
    if not directory.exists():
        pytest.skip(f"{directory} is not there")
    pytest.importorskip("fastokens")
    found = tokenizer.load(directory)
    encoder = BatchEncoder(found)
    assert encoder.library == "fastokens"
    return found, encoder


@given(texts=st.lists(pieces, max_size=8))
def test_arbitrary_texts(both, texts):
    found, encoder = both
    assert [ids.tolist() for ids in encoder(texts)] == [found.encode(text) for text in texts]


def test_real_files_with_other_line_ends_and_tabs(both):
    found, encoder = both
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[::3]
    ]
    texts += [text.replace("\n", "\r\n") for text in texts[::4]] + [text.replace("    ", "\t") for text in texts[1::4]]
    assert [ids.tolist() for ids in encoder(texts)] == found.encode_batch(texts)


def test_a_copy_encodes_as_well_and_bad_text_is_refused(both):
    found, encoder = both
    copy = pickle.loads(pickle.dumps(encoder))
    assert copy.library == "fastokens"
    assert [ids.tolist() for ids in copy(PROBES)] == found.encode_batch(PROBES)
    with pytest.raises(CodeGeeXError, match="surrogates"):
        encoder(["\ud800"])
    assert encoder([]) == []
    assert encoder([""])[0].tolist() == []


def test_without_the_fast_library_or_with_other_ids_the_usual_one_is_taken(tiny_tokenizer, monkeypatch):
    usual = BatchEncoder(tiny_tokenizer)
    monkeypatch.setitem(__import__("sys").modules, "fastokens", None)
    assert usual.library == "tokenizers"
    assert [ids.tolist() for ids in usual(PROBES)] == tiny_tokenizer.encode_batch(PROBES)

    class Wrong:
        """An encoder that knows no runs of spaces."""

        class Tokenizer:
            def __init__(self, tokenizer):
                self._inner = tokenizer

            @classmethod
            def from_json_str(cls, text):
                return cls(tiny_tokenizer)

            def encode_batch_flat(self, texts, split_special_tokens):
                import numpy as np

                ids = [self._inner.encode(text.replace("  ", " ")) for text in texts]
                ends = np.cumsum([0, *map(len, ids)]).astype("<u8")
                return np.array([one for part in ids for one in part], "<u4").tobytes(), ends.tobytes()

    monkeypatch.setitem(__import__("sys").modules, "fastokens", Wrong)
    assert BatchEncoder(tiny_tokenizer).library == "tokenizers"
