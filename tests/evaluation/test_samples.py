"""Journals that survive torn lines, and files of other projects."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.errors import CodeGeeXError
from codegeex.evaluation import humanevalx
from codegeex.evaluation.samples import Journal, Sample, read_foreign, rows, sample_of, sample_row


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=6), st.data())
def test_a_journal_torn_anywhere_keeps_its_whole_lines(tmp_path_factory, written, data):
    path = tmp_path_factory.mktemp("journal") / "rows.jsonl"
    journal = Journal(path)
    for row in written:
        journal.append(row)
    journal.close()
    assert list(rows(path)) == written
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert list(rows(path)) == written[:kept]
    journal = Journal(path)
    journal.append({"new": "row"})
    journal.close()
    assert list(rows(path)) == [*written[:kept], {"new": "row"}]


@given(st.text(max_size=200))
def test_a_sample_comes_back_as_it_was(text):
    sample = Sample("Python/3", "python", 2, 0.8, text, text, 7)
    assert sample_of(json.loads(json.dumps(sample_row(sample)))) == sample


PROMPTS = {"CPP/4": "\nint f(int x){\n", "Python/1": "def f(x):\n", "Go/0": "func f() {\n", "Go/1": "func g() {\n"}

FILES = [
    ('{"task_id": "CPP/4", "prompt": "x", "generation": "a"}\n{"task_id": "CPP/4", "generation": "b"}\n', None),
    ('{"task_id": "HumanEval/4", "completion": "a"}\n\n{"task_id": "CPP/4", "completion": "b"}\n', "cpp"),
    ('{"task_id": "CPP/4", "solution": "int f(int x){\\na"}\n{"task_id": "CPP/4", "completion": "b"}\n', None),
    ('{"task_id": "CPP/9", "completion": "of no problem"}\n{"task_id": "CPP/4", "generation": "a"}\n'
     '{"task_id": "CPP/4", "generation": "b"}', None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "language"), FILES)
def test_samples_of_other_projects(text, language, tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text(text)
    found = list(read_foreign(path, language, PROMPTS))
    assert [(one.task_id, one.language, one.index, one.completion) for one in found] == [
        ("CPP/4", "cpp", 0, "a"),
        ("CPP/4", "cpp", 1, "b"),
    ]


def test_a_list_of_lists(tmp_path):
    path = tmp_path / "generations.json"
    path.write_text(json.dumps([["func f() {\na", "func f() {\nb"], ["func g() {\nc"]]))
    found = [(one.task_id, one.index, one.completion) for one in read_foreign(path, "go", PROMPTS)]
    assert found == [("Go/0", 0, "a"), ("Go/0", 1, "b"), ("Go/1", 0, "c")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "line 1: a sample needs"),
        ('{"task_id": "Python/1"}', "line 1: a sample needs"),
        ('{"task_id": "HumanEval/1", "completion": ""}', "which language"),
        ('[["a"]]', "does not say which language"),
        ('{"task_id": "Python/1", "completion": "", "temperature": "hot"}', "line 1: a sample needs"),
        (
            '{"task_id": "Python/1", "solution": "import math\\ndef f(x):\\n    return x"}',
            "does not begin with the problem",
        ),
        ('{"task_id": "Java/1", "completion": ""}', "no sample for any of the problems"),
    ],
)
def test_what_is_no_samples_file(text, message, tmp_path):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(CodeGeeXError, match=message):
        list(read_foreign(path, None, PROMPTS))


@pytest.mark.parametrize("text", ['["ab", "c"]', "[[1]]", "[[", '{"a": 1'])
def test_what_is_no_list_of_lists(text, tmp_path):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(CodeGeeXError, match=r"no list of lists of programs|a sample needs"):
        list(read_foreign(path, "go", PROMPTS))


def test_programs_of_a_published_benchmark_are_their_completions(published):
    """Every reference as bigcode writes it: the prompt, then the body."""
    problems = humanevalx.load(published, "python")
    programs = [[one.prompt.lstrip() + one.solution] for one in problems]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(programs, file)
        file.flush()
        found = list(read_foreign(Path(file.name), "python", {one.task_id: one.prompt for one in problems}))
    assert [one.completion.strip("\n") for one in found] == [one.solution.strip("\n") for one in problems]
