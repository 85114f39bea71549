"""Windows of every packing, against what each promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex import shards
from codegeex.corpus.packing import WAITING, Packer

END = 0
documents = st.lists(st.integers(1, 40), max_size=60)
"""Lengths, end-of-text included."""


def pack(packing, lengths, segment):
    """Every document is a run of a number of its own with end-of-text behind it."""
    out = []
    packer = Packer(
        packing, segment, END, lambda ids, origin, padding: out.append((ids.tolist(), origin["n"], padding))
    )
    for number, length in enumerate(lengths, 1):
        packer.add(np.array([number] * (length - 1) + [END], np.uint16), {"n": number})
    packer.close()
    return out


def windows(out, segment):
    stream = [token for ids, _, _ in out for token in ids]
    assert len(stream) % segment == 0
    return [stream[start : start + segment] for start in range(0, len(stream), segment)]


@given(documents)
def test_dense_is_one_after_another(lengths):
    out = pack("dense", lengths, 8)
    assert [(number, len(ids), padding) for ids, number, padding in out] == [
        (number, length, 0) for number, length in enumerate(lengths, 1)
    ]


@given(documents, st.integers(2, 20))
def test_a_file_has_a_window_of_its_own(lengths, segment):
    out = pack("file", lengths, segment)
    for number, (length, window) in enumerate(zip(lengths, windows(out, segment), strict=True), 1):
        whole = [number] * (length - 1) + [END] * (segment + 1)
        assert window == whole[:segment]
    assert [padding for _, _, padding in out] == [max(0, segment - length) for length in lengths]


@given(documents, st.integers(2, 20))
def test_what_fits_is_whole_and_in_one_window(lengths, segment):
    out = pack("fit", lengths, segment)
    seen = {}
    for window in windows(out, segment):
        for number in set(window) - {END}:
            seen.setdefault(number, []).append(window.count(number))
            # Side by side, from the beginning of the window or behind another document's end.
            first = window.index(number)
            assert window[first : first + window.count(number)] == [number] * window.count(number)
    for number, length in enumerate(lengths, 1):
        assert sum(seen.get(number, [])) == length - 1
        if length <= segment and length > 1:
            assert seen[number] == [length - 1]
    # No token is lost, and every end-of-text beyond the documents' own is told as padding.
    total = sum(len(ids) for ids, _, _ in out)
    assert sum(padding for _, _, padding in out) == total - sum(lengths)


def test_windows_of_fitting_documents_are_nearly_full():
    lengths = np.random.default_rng(0).lognormal(6, 1, 4 * WAITING).astype(int).clip(2) + 1
    out = pack("fit", lengths.tolist(), 2049)
    padding = sum(padding for _, _, padding in out)
    assert padding / sum(len(ids) for ids, _, _ in out) < 0.02


@pytest.mark.parametrize("packing", ["file", "fit"])
def test_readers_read_what_was_packed(tmp_path, packing):
    lengths = [3, 9, 30, 1, 8, 2, 12]
    out = pack(packing, lengths, 9)
    with shards.create(tmp_path / "s", 100, "x", segment=9) as writer:
        for ids, _, padding in out:
            writer.add(ids, "go", padding)
    read = shards.Shards(tmp_path / "s", 8)
    assert [read.window(index).tolist() for index in range(len(read))] == windows(out, 9)
    meta = read.meta
    assert meta["tokens"] - meta["padding"] == meta["tokens_per_language"]["go"]
    with pytest.raises(shards.CodeGeeXError, match="windows of 8 tokens, not 16"):
        shards.Shards(tmp_path / "s", 16)
