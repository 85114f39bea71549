import json

import numpy as np
import pytest

from codegeex import shards
from codegeex.errors import CodeGeeXError


def write(directory, documents, vocab_size=100):
    with shards.create(directory, vocab_size, "fingerprint") as writer:
        for ids, language in documents:
            writer.add(ids, language)
    return directory


def test_windows_cover_the_stream_and_overlap_by_one(tmp_path):
    stream = list(range(95))
    read = shards.Shards(write(tmp_path / "s", [(stream[:40], "go"), (stream[40:], "c")]), 10)
    assert len(read) == 9
    assert [read.window(index).tolist() for index in range(9)] == [stream[i : i + 11] for i in range(0, 90, 10)]


def test_files_are_what_the_contract_says(tmp_path):
    directory = write(tmp_path / "s", [([1, 2, 3], "go"), ([4, 5], "c"), ([6], "go")], vocab_size=70_000)
    assert np.fromfile(directory / "tokens.bin", "<u4").tolist() == [1, 2, 3, 4, 5, 6]
    assert np.fromfile(directory / "documents.bin", "<u8").tolist() == [0, 3, 5, 6]
    meta = json.loads((directory / "meta.json").read_text())
    assert (meta["tokens"], meta["documents"], meta["tokenizer"]) == (6, 3, "fingerprint")
    assert meta["tokens_per_language"] == {"c": 2, "go": 4}
    assert meta["dtype"] == "uint32"


def test_every_epoch_is_a_permutation_and_the_order_depends_only_on_the_seed(tmp_path):
    read = shards.Shards(write(tmp_path / "s", [(list(range(101)), "c")]), 10)
    first = [read.shuffled(index, seed=1)[0] for index in range(30)]
    for epoch in range(3):
        assert sorted(first[epoch * 10 : epoch * 10 + 10]) == list(range(0, 100, 10))
    assert first[:10] != first[10:20]
    again = shards.Shards(tmp_path / "s", 10)
    assert [again.shuffled(index, seed=1)[0] for index in reversed(range(30))] == first[::-1]
    assert [again.shuffled(index, seed=2)[0] for index in range(30)] != first


def test_a_failed_writer_leaves_nothing(tmp_path):
    def fail():
        with shards.create(tmp_path / "s", 100, "f") as writer:
            writer.add([1], "c")
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_damaged_shards_are_refused(tmp_path):
    directory = write(tmp_path / "s", [(list(range(50)), "c")])
    with pytest.raises(CodeGeeXError, match="fewer than one window"):
        shards.Shards(directory, 50)
    (directory / "tokens.bin").write_bytes(b"\0\0")
    with pytest.raises(CodeGeeXError, match="holds 1 ids, not 50"):
        shards.Shards(directory, 10)
    (directory / "meta.json").write_text('{"format_version": 9}')
    with pytest.raises(CodeGeeXError, match="version 1"):
        shards.Shards(directory, 10)
    with pytest.raises(CodeGeeXError, match="cannot read"):
        shards.Shards(tmp_path / "nowhere", 10)


def test_spread_windows_are_from_all_over(tmp_path):
    read = shards.Shards(write(tmp_path / "s", [(list(range(101)), "c")]), 10)
    assert read.spread(3) == [0, 3, 6]
    assert read.spread(100) == list(range(10))
    assert read.spread(1) == [0]
