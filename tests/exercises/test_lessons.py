"""Exercises as training documents: what is in them, and that their solutions still run."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from pyarrow import parquet

from codegeex import languages, prompts, tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.corpus import ledger
from codegeex.corpus.encoding import Encoder
from codegeex.corpus.settings import Settings
from codegeex.evaluation.builtin import Builtin, BuiltinProblem
from codegeex.exercises import lessons
from codegeex.exercises.families import FAMILIES, exercise
from codegeex.exercises.make import make, rows
from codegeex.shards import Shards

ONE = exercise("keep_chars", 3)


def test_documents_are_what_the_prompts_ask():
    """Each head is the prompt that a user, a translator or the benchmark sends."""
    written = list(rows(ONE))
    by_language = {row["language"]: row for row in written}
    found = Counter()
    for seed in range(8):
        for language, head, text in lessons.lessons(written, random.Random(seed)):
            row, tag = by_language[language], languages.get(language).tag
            problem = BuiltinProblem("x/0", language, row["prompt"], row["declaration"], row["solution"], "")
            whole = f"{row['declaration']}{row['solution']}"
            assert text.endswith("\n")
            assert not text.endswith("\n\n")
            if head == Builtin().prompt(problem, None):
                assert text.rstrip() == row["solution"].rstrip()
                found["described"] += 1
            elif _without_comments(head) == _without_comments(row["declaration"]):
                words = " ".join(re.sub(r"[/*]", " ", head).split())
                assert any(wording in words for wording in row["intents"] if wording.endswith("."))
                assert text.rstrip() == row["solution"].rstrip()
                found["inside" if _is_end_of_comment(head) else "above"] += 1
            elif "Explain the code line by line" in head:
                asked, first_line = prompts.explanation(whole, languages.get(language))
                assert head == asked
                lines = [line for line in (first_line + text).split("\n") if not _is_comment(line, language)]
                assert "\n".join(lines).rstrip() == whole.rstrip()
                assert len(lines) < len((first_line + text).split("\n"))
                found["explained"] += 1
            elif head.startswith("code translation\n"):
                source = next(one for one in written if head.startswith(f"code translation\n{_name(one)}:\n"))
                asked = BuiltinProblem("x/0", source["language"], "", source["declaration"], source["solution"], "")
                assert f"{head}{row['declaration']}" == Builtin().prompt(problem, asked)
                assert source["language"] != language
                assert text.rstrip() == whole.rstrip()
                found["translated"] += 1
            else:
                wordings = {variant for one in row["intents"] for variant in (one, one[0].swapcase() + one[1:])}
                assert head in {prompts.generation(wording, languages.get(language)) for wording in wordings}
                assert head.startswith(tag)
                assert text.rstrip() == whole.rstrip()
                found["intent"] += 1
    assert found["described"] + found["inside"] + found["above"] == found["intent"] == 48
    assert found["described"] > 16
    assert found["inside"] > 3
    assert found["above"] > 6
    assert 10 < found["translated"] < 38
    assert 1 < found["explained"] < 18


def test_only_the_forms_that_were_asked_for():
    written = list(rows(ONE))
    found = list(lessons.lessons(written, random.Random(1), ["described"]))
    assert [language for language, _, _ in found] == [row["language"] for row in written]
    assert not any(text.startswith(row["declaration"]) for (_, _, text), row in zip(found, written, strict=True))


def _without_comments(code: str) -> list[str]:
    return [line for line in re.sub(r"/\*.*?\*/|//[^\n]*", "", code, flags=re.DOTALL).split("\n") if line.strip()]


def _is_end_of_comment(head: str) -> bool:
    last = head.rstrip().split("\n")[-1].strip()
    return last.endswith("*/") or last.startswith("//")


def _is_comment(line: str, language: str) -> bool:
    return line.strip().startswith(languages.get(language).line_comment + " ")


@pytest.mark.parametrize("name", FAMILIES)
def test_explanations_are_the_solution_with_comments(name):
    """In all languages, whatever is emitted: without the comments, what is left is the solution."""
    for row in rows(exercise(name, 11)):
        told = row["explained"].split("\n")
        assert [line for line in told if not _is_comment(line, row["language"])] == row["solution"].split("\n")
        comments = [line.strip() for line in told if _is_comment(line, row["language"])]
        assert comments
        assert all(len(line.split()) < 25 and line.isascii() for line in comments)


def _name(row) -> str:
    return languages.get(row["language"]).name


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lessons")
    made = make(30, 9, ["keep_chars", "filter_numbers", "everyday_texts"])
    encoder = Encoder(
        tokenizer.load(EMBEDDED_MODEL), Settings(packing="fit", sequence_length=256, fim_rate=0.0), frozenset()
    )
    times = {"keep_chars": 1, "filter_numbers": 1, "everyday_texts": 3}
    report = lessons.write([row for one in made.exercises for row in rows(one)], folder / "shards", encoder, times)
    return folder / "shards", report, made, encoder


def test_shards_hold_every_document(shards):
    folder, report, made, encoder = shards
    read = Shards(folder, 256)
    assert report["exercises"] == 30
    assert 12 * 50 < report["documents"] < 24 * 50
    assert report["tokens"] == sum(report["languages"].values())
    assert report["languages"] == read.meta["tokens_per_language"]
    end = encoder.tokenizer.end_of_text
    ids = [int(token) for index in range(len(read)) for token in read.window(index)]
    text = encoder.tokenizer.decode([token for token in ids if token != end])
    for one in made.exercises:  # as none is longer than a window, each solution stands in one piece
        for row in rows(one):
            if row["language"] == "python":
                assert row["solution"].rstrip() in text


def test_the_ledger_names_the_exercises(shards):
    folder, _, made, _ = shards
    named = {row["path"] for index in range(len(Shards(folder, 256))) for row in ledger.origins(folder, index, 256)}
    assert named == {f"{one.family}/{one.id}" for one in made.exercises}


def test_exercises_of_small_families_are_written_more_often(shards):
    folder, _, made, _ = shards
    assert set(Counter(one.family for one in made.exercises).values()) == {10}
    paths = parquet.read_table(folder / ledger.FILE)["path"].to_pylist()  # a row for each document
    written = Counter(path.partition("/")[0] for path in paths)
    assert 2.6 < written["everyday_texts"] / written["keep_chars"] < 3.4


def test_families_are_evened_out():
    times = lessons.repeats({"large": 900, "usual": 300, "small": 30, "tiny": 2})
    assert times == {"large": 1, "usual": 1, "small": 10, "tiny": lessons.MOST_REPEATS}


def test_fill_in_the_middle_at_the_rate_that_is_asked_for(tmp_path):
    written = [row for one in make(40, 2, ["filter_numbers"]).exercises for row in rows(one)]
    shares = {}
    for rate in (0.0, 0.5):
        settings = Settings(packing="fit", fim_rate=rate)
        encoder = Encoder(tokenizer.load(EMBEDDED_MODEL), settings, frozenset())
        report = lessons.write(written, tmp_path / str(rate), encoder, {"filter_numbers": 1})
        read = Shards(tmp_path / str(rate), 512)
        middle = encoder.tokenizer.special_ids["<|fim_middle|>"]
        shares[rate] = sum(int((read.window(index) == middle).sum()) for index in range(len(read)))
        shares[rate] /= report["documents"]
    assert shares[0.0] == 0
    assert 0.4 < shares[0.5] < 0.6
