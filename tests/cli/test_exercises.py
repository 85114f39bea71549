"""`codegeex exercises` and `codegeex eval builtin` as a person meets them."""

from __future__ import annotations

import json

import pytest

from codegeex import tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.cli.main import main
from codegeex.evaluation.builtin import load
from codegeex.exercises.make import read
from codegeex.shards import Shards
from codegeex.training.examples import Examples

PROBLEM = {
    "task_id": "Python/7",
    "prompt": "def filter_even(values):\n    '''tell whether the values of a list are odd ones, all and sundry'''\n",
    "canonical_solution": "    return values\n",
}


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def test_build_and_check(run, tmp_path):
    file = tmp_path / "exercises.jsonl"
    code, out, _ = run("exercises", "build", "--output", file, "--count", 8, "--seed", 3, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["exercises"] == 8
    rows = read(file)
    assert len(rows) == 48
    assert len({row["id"] for row in rows}) == 8
    code, out, _ = run("exercises", "check", file, "--sample", 6, "--workers", 1, "--json")
    assert code == 0
    assert sum(one["passed"] for one in json.loads(out)["languages"].values()) == 6


def test_encode(run, tmp_path):
    pytest.importorskip("daft")
    file = tmp_path / "exercises.jsonl"
    run("exercises", "build", "--output", file, "--count", 2, "--json")
    asked = "--tokenizer", EMBEDDED_MODEL, "--output"
    code, out, _ = run("exercises", "encode", file, *asked, tmp_path / "shards", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["exercises"] == 2
    assert report["tokens"] == sum(Shards(tmp_path / "shards", 512).meta["tokens_per_language"].values())
    code, _, err = run("exercises", "encode", file, *asked, tmp_path / "shards")
    assert code == 2
    assert "exists already" in err
    code, _, err = run("exercises", "encode", tmp_path / "none", *asked, tmp_path / "other")
    assert code == 2
    assert "no file of exercises" in err
    assert not (tmp_path / "other").exists()


def test_lessons_are_what_is_encoded_and_their_solutions_are_learned(run, tmp_path):
    pytest.importorskip("daft")
    file, lessons = tmp_path / "exercises.jsonl", tmp_path / "lessons.jsonl"
    run("exercises", "build", "--output", file, "--count", 3, "--json")
    code, out, _ = run("exercises", "lessons", file, "--output", lessons, "--json")
    written = [json.loads(line) for line in lessons.read_text().splitlines()]
    assert (code, json.loads(out)["examples"]) == (0, len(written))
    vocabulary = tokenizer.load(EMBEDDED_MODEL)
    run("exercises", "encode", file, "--tokenizer", EMBEDDED_MODEL, "--output", tmp_path / "shards")
    shards = Shards(tmp_path / "shards", 512)
    tokens = [token for index in range(len(shards)) for token in shards.window(index)]
    encoded = vocabulary.decode([token for token in tokens if token != vocabulary.end_of_text])
    whole = sum(f"{one['prompt']}{one['solution']}" in encoded for one in written)
    assert whole > len(written) / 2  # the others have a middle at their end
    windows = Examples(lessons, vocabulary, 512)
    learned = [token for window in map(windows.window, range(len(windows))) for token in window if token >= 0]
    told = vocabulary.decode([token for token in learned if token != vocabulary.end_of_text])
    assert told == "".join(one["solution"] for one in written)
    code, _, err = run("exercises", "lessons", file, "--output", tmp_path / "other.jsonl", "--forms", "described,told")
    assert (code, (tmp_path / "other.jsonl").exists()) == (2, False)
    assert "unknown form 'told'; known: described, intent, translated, explained." in err


def test_check_finds_what_is_wrong(run, tmp_path):
    file = tmp_path / "exercises.jsonl"
    run("exercises", "build", "--output", file, "--count", 1, "--families", "filter_numbers", "--json")
    row = next(row for row in read(file) if row["language"] == "python")
    file.write_text(json.dumps(row | {"solution": "    return None\n"}) + "\n")
    code, out, err = run("exercises", "check", file, "--workers", 1)
    assert code == 1
    assert "filter_numbers" in out
    assert "1 solutions fail" in err


def test_a_benchmark_is_kept_out(run, tmp_path):
    pytest.importorskip("daft")
    benchmark = tmp_path / "problems.jsonl"
    benchmark.write_text(json.dumps(PROBLEM) + "\n")
    file = tmp_path / "exercises.jsonl"
    arguments = ("exercises", "build", "--output", file, "--count", 200, "--families", "filter_numbers", "--json")
    code, out, _ = run(*arguments, "--benchmark", benchmark)
    report = json.loads(out)
    assert code == 0
    assert report["refused"]["name of problem 7"] > 0
    assert "filter_even" not in {row["name"] for row in read(file)}
    assert report["nearest"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--families", "nonsense"), "no family"),
        (("--families", "peaks"), "held out"),
        (("--levels", "9"), "--levels"),
        (("--families", "filter_numbers", "--levels", "3"), "of level 3"),
    ],
)
def test_bad_input(run, tmp_path, arguments, words):
    code, _, err = run("exercises", "build", "--output", tmp_path / "x.jsonl", *arguments)
    assert code == 2
    assert words in err
    assert not (tmp_path / "x.jsonl").exists()


def test_no_file_of_exercises(run, tmp_path):
    file, packed = tmp_path / "x.jsonl", tmp_path / "x.jsonl.gz"
    run("exercises", "build", "--output", packed, "--count", 4, "--families", " filter_numbers,sum_numbers ", "--json")
    assert {row["family"] for row in read(packed)} == {"filter_numbers", "sum_numbers"}
    row = read(packed)[0]
    whole = bytearray(packed.read_bytes())
    whole[len(whole) // 2 :] = bytes(len(whole) - len(whole) // 2)
    packed.write_bytes(whole)
    for key in ("id", "family", "intents"):
        file.write_text(json.dumps({name: value for name, value in row.items() if name != key}) + "\n")
        for verb in (("check", file), ("encode", file, "--tokenizer", EMBEDDED_MODEL, "--output", tmp_path / "shards")):
            code, _, err = run("exercises", *verb)
            assert (code, f"line 1: no file of exercises (no {key})" in err) == (2, True)
    for path, content in ((file, "{}\n"), (file, "[1]\n"), (file, "no json\n"), (packed, None)):
        if content:
            path.write_text(content)
        code, _, err = run("exercises", "check", path)
        assert code == 2
        assert "no file of exercises" in err


def test_builtin_judges_samples_made_elsewhere(run, tmp_path):
    samples = tmp_path / "samples.jsonl"
    problems = load("python")[:6]
    lines = [
        {"task_id": one.task_id, "completion": "    return None\n" if one.held_out else one.solution}
        for one in problems
    ]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, _ = run(
        "eval",
        "builtin",
        "--samples",
        samples,
        "--langs",
        "python",
        "--output",
        tmp_path / "run",
        "--workers",
        1,
        "--json",
    )
    report = json.loads(out)
    assert code == 0
    assert report["languages"]["python"]["pass@1"] == pytest.approx(0.5)
    assert report["seen_pass@1"] == 1.0
    assert report["unseen_pass@1"] == 0.0
