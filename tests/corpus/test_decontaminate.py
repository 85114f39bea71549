"""Benchmarks are found in texts: hashes of many at once, against looking at all words of each."""

import gzip
import json
import random
import sysconfig
from pathlib import Path

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.corpus.decontaminate import Benchmark, read_benchmark
from codegeex.errors import CodeGeeXError

WORDS = [f"w{index}" for index in range(20)]
IDIOM = "for ( int i = 0 ; i < n ;"


def overlaps(benchmark, *texts):
    return benchmark.overlaps(pyarrow.array(texts, pyarrow.large_string()))


def test_overlaps_are_ten_words_and_idioms_do_not_count():
    problems = [("0", " ".join(WORDS)), ("1", IDIOM), ("2", IDIOM), ("3", IDIOM), ("4", "too short to count")]
    found = overlaps(
        Benchmark(problems),
        "before " + " ".join(WORDS[5:15]) + " after",
        "before\n\t" + "\n  ".join(WORDS[5:15]),
        " ".join(WORDS[5:14]) + " other",
        IDIOM,
        "too short to count",
        "",
    )
    assert found == ["0", "0", None, None, None, None]


def test_words_of_two_texts_make_none():
    assert overlaps(Benchmark([("0", " ".join(WORDS))]), " ".join(WORDS[:9]), " ".join(WORDS[11:])) == [None, None]


words = st.lists(st.sampled_from([*"abcdef", "longer_than_eight", "longer_then_eight", "é", "x" * 30]), max_size=40)
spaces = st.sampled_from([" ", "\n", "\t ", "  \n"])


@given(st.lists(words, max_size=6), st.lists(words, max_size=6), spaces)
def test_many_at_once_as_one_by_one(problems, many, space):
    benchmark = Benchmark([(str(index), " ".join(problem)) for index, problem in enumerate(problems)])
    texts = [space.join(text) for text in many] + [space.join(problem) for problem in problems]
    ngrams = {}
    for index, problem in enumerate(problems):
        for place in range(len(problem) - 9):
            ngrams.setdefault(tuple(problem[place : place + 10]), set()).add(str(index))
    for text, found in zip(texts, overlaps(benchmark, *texts), strict=True):
        tokens = text.split()
        hits = [ngrams.get(tuple(tokens[place : place + 10]), set()) for place in range(len(tokens) - 9)]
        assert (found is not None) == any(0 < len(hit) < 3 for hit in hits)


def test_real_files_with_a_problem_put_into_some():
    """A benchmark drawn from half of the standard library, looked for in all of it."""
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    ]
    rng = random.Random(1)
    benchmark = Benchmark([(str(index), text[:400]) for index, text in enumerate(texts) if rng.random() < 0.5])
    found = overlaps(benchmark, *texts)
    assert found == [benchmark.overlap(text) for text in texts]
    assert 0 < sum(one is not None for one in found) < len(texts)


def test_a_problem_in_many_languages_is_no_idiom(tmp_path):
    """Lines without a task_id, one a language, as MultiPL-E has them."""
    rows = [{"name": "HumanEval_0_f", "language": key, "prompt": " ".join(WORDS) + "\ud800"} for key in "abcd"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert Benchmark(read_benchmark(tmp_path / "a.jsonl")).overlap(" ".join(WORDS)) == "HumanEval_0_f"


def test_a_benchmark_in_files(tmp_path):
    problem = {"task_id": "Python/3", "canonical_solution": " ".join(WORDS), "prompt": "p", "text": "t", "test": "x"}
    with gzip.open(tmp_path / "humaneval_python.jsonl.gz", "wt") as file:
        file.write(json.dumps(problem) + "\n")
    (tmp_path / "mine.jsonl").write_text(json.dumps({"question": "q"}) + "\n")
    assert sorted(read_benchmark(tmp_path)) == [("3", "p"), ("3", "t"), ("3", " ".join(WORDS))]
    assert list(read_benchmark(tmp_path / "mine.jsonl")) == [("1", "q")]


@pytest.mark.parametrize("content", ["", "no json", '{"task_id": "a"}', "[1]", "\n\n"])
def test_what_is_no_benchmark_is_refused(tmp_path, content):
    with pytest.raises(CodeGeeXError, match=r"no humaneval_\*"):
        list(read_benchmark(tmp_path))
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(CodeGeeXError, match=r"a\.jsonl, line 1: no benchmark|a\.jsonl is empty"):
        list(read_benchmark(path))
    with pytest.raises(CodeGeeXError, match="missing"):
        list(read_benchmark(tmp_path / "missing.jsonl"))
