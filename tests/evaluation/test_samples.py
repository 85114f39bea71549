"""Journals that survive torn lines, and files of other projects."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.errors import CodeGeeXError
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


FILES = [
    ('{"task_id": "CPP/4", "prompt": "x", "generation": "a"}\n{"task_id": "CPP/4", "generation": "b"}\n', None),
    ('{"task_id": "HumanEval/4", "completion": "a"}\n\n{"task_id": "HumanEval/4", "solution": "b"}\n', "cpp"),
]


@pytest.mark.parametrize(("text", "language"), FILES)
def test_samples_of_other_projects(text, language, tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text(text)
    found = list(read_foreign(path, language))
    assert [(one.task_id, one.language, one.index, one.completion) for one in found] == [
        ("CPP/4", "cpp", 0, "a"),
        ("CPP/4", "cpp", 1, "b"),
    ]


def test_a_list_of_lists(tmp_path):
    path = tmp_path / "generations.json"
    path.write_text('[["a", "b"], ["c"]]')
    found = [(one.task_id, one.index, one.completion) for one in read_foreign(path, "go")]
    assert found == [("Go/0", 0, "a"), ("Go/0", 1, "b"), ("Go/1", 0, "c")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "line 1: a sample needs"),
        ('{"task_id": "Python/1"}', "line 1: a sample needs"),
        ('{"task_id": "HumanEval/1", "completion": ""}', "which language"),
        ('[["a"]]', "does not say which language"),
    ],
)
def test_what_is_no_samples_file(text, message, tmp_path):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(CodeGeeXError, match=message):
        list(read_foreign(path, None))
