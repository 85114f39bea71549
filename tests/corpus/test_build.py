"""The corpus from archives to shards, on a registry cache made by hand; and what keeps benchmarks out."""

import gzip
import io
import json
import tarfile

import pytest

from codegeex import shards, tokenizer
from codegeex.corpus.build import balance, build, common_share
from codegeex.corpus.dataset import Settings
from codegeex.corpus.decontaminate import Benchmark, read_humaneval_x
from codegeex.corpus.sources import Document
from codegeex.errors import CodeGeeXError

SOLUTION = "    total = 0\n    for number in numbers:\n        total += number * number\n    return total\n"
HEADER = "# Copyright 2020 Somebody\n# SPDX-License-Identifier: MIT\n\n"
SETTINGS = Settings(vocab_size=400, sequence_length=64)


def module(name, count=12, body=None):
    """A Python file of documented functions, over a kilobyte long."""
    functions = [
        f'def {name}_{word}(first, second):\n    """Add {word} to the first number."""\n'
        + (body or f"    {word} = first + second * {index}\n    return {word} + {index}\n")
        for index, word in enumerate(f"item{letter}" for letter in "abcdefghijklmnopqrst"[:count])
    ]
    return HEADER + "\n\n".join(functions)


@pytest.fixture
def world(tmp_path):
    """A source list, a cache with an archive for each source, and a benchmark."""

    def archive(name, files):
        folder = tmp_path / "cache" / "pypi" / f"{name}-1.0"
        folder.mkdir(parents=True)
        with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as tar:
            for path, text in files.items():
                info = tarfile.TarInfo(path)
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))

    archive("alpha", {f"alpha/m{index}.py": module(f"alpha{index}") for index in range(6)} | {"alpha/s.py": "x = 1\n"})
    leak = module("leak", count=8) + "\n\n" + f'def leak(numbers):\n    """Sum the squares."""\n{SOLUTION}'
    archive("beta", {"beta/a.py": module("alpha0"), "beta/leak.py": leak, "beta/vendor/c.py": module("vendored")})
    archive("gamma", {f"gamma/m{index}.py": module(f"gamma{index}") for index in range(3)})
    names = "\n".join(
        f"  - {{name: {name}, registry: pypi, version: '1.0', licence: MIT, languages: [python]{extra}}}"
        for name, extra in (("alpha", ""), ("beta", ""), ("gamma", ", validation: true"))
    )
    (tmp_path / "sources.yaml").write_text(f"sources:\n{names}\n")
    (tmp_path / "bench").mkdir()
    with gzip.open(tmp_path / "bench" / "humaneval_python.jsonl.gz", "wt") as file:
        file.write(json.dumps({"task_id": "Python/0", "canonical_solution": SOLUTION, "text": "Sum."}) + "\n")
    return tmp_path


def run(world, name):
    return build([world / "sources.yaml"], world / name, world / "cache", [world / "bench"], settings=SETTINGS)


def test_from_archives_to_shards(world):
    report = run(world, "out")
    dropped = {stage["name"]: stage["dropped"] for stage in report["stages"]}
    assert dropped["clean"] == {"duplicate": 1, "benchmark": 1, "vendored path": 1}
    assert dropped["balance"] == {"too small": 1, "over its share": 0}
    assert report["languages"]["python"]["files"] == 6
    assert report["languages"]["python"]["pairs"] == 6 * 12
    assert json.loads((world / "out" / "report.json").read_text()) == report

    vocabulary = tokenizer.load(world / "out" / "tokenizer")
    texts = {
        name: vocabulary.decode(shards.Shards(world / "out" / name, 64).tokens.tolist())
        for name in ("files", "pairs", "validation/python")
    }
    assert "gamma" not in texts["files"] + texts["pairs"]
    assert "alpha" not in texts["validation/python"]
    assert "# language: Python\n# Add itema to the first number\ndef alpha0_itema(first, second):\n" in texts["pairs"]
    assert "<|fim_middle|>" in texts["pairs"]
    assert "Copyright" not in texts["files"]
    assert "numbers" not in texts["files"]
    assert texts["files"].endswith("<|endoftext|>")


def test_the_same_archives_give_the_same_shards(world):
    run(world, "first")
    run(world, "second")
    for name in ("tokenizer/tokenizer.json", "files/tokens.bin", "pairs/tokens.bin", "pairs/documents.bin"):
        assert (world / "first" / name).read_bytes() == (world / "second" / name).read_bytes()


def test_a_failure_leaves_nothing(world):
    (world / "cache" / "pypi" / "gamma-1.0" / "gamma-1.0.tar.gz").write_bytes(b"not an archive")
    with pytest.raises(CodeGeeXError, match="gamma"):
        run(world, "out")
    assert not (world / "out").exists()
    assert not list(world.glob(".out*"))


def test_overlaps_are_ten_words_and_idioms_do_not_count():
    words = [f"w{index}" for index in range(20)]
    idiom = "for ( int i = 0 ; i < n ;"
    problems = [("0", " ".join(words)), ("1", idiom), ("2", idiom), ("3", idiom), ("4", "too short to count")]
    benchmark = Benchmark(problems)
    assert benchmark.overlaps("before " + " ".join(words[5:15]) + " after")
    assert not benchmark.overlaps(" ".join(words[5:14]) + " other")
    assert not benchmark.overlaps(idiom)
    assert not benchmark.overlaps("too short to count")


def test_a_folder_without_the_benchmark_is_refused(tmp_path):
    with pytest.raises(CodeGeeXError, match=r"no humaneval_\*"):
        list(read_humaneval_x(tmp_path))


@pytest.mark.parametrize(
    ("sizes", "total", "share"),
    [
        ([5, 5], 10, float("inf")),
        ([1, 100], 11, 10),
        ([10, 10, 10], 15, 5),
        ([1, 2, 30, 40], 23, 10),
        ([], 5, float("inf")),
    ],
)
def test_common_share(sizes, total, share):
    assert common_share(sizes, total) == share
    assert sum(min(size, share) for size in sizes) <= total


def test_balance_keeps_every_package_and_leaves_tests_to_the_end():
    def document(source, path):
        return Document("x = 1  # text\n" * 100, "python", path, source, "MIT")

    documents = [document("large", f"tests/test_{index}.py") for index in range(10)]
    documents += [document("large", f"m{index}.py") for index in range(10)] + [document("small", "m.py")]
    kept, _ = balance(documents, 6 * 1400)
    assert sorted(file.source for file in kept) == ["large"] * 5 + ["small"]
    assert not any("test" in file.path for file in kept)
