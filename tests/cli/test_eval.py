"""`codegeex eval` as a person meets it."""

from __future__ import annotations

import gzip
import json

import pytest

from codegeex.cli.main import main

PROBLEM = {
    "task_id": "Python/0",
    "prompt": "def double(x):\n",
    "declaration": "def double(x):\n",
    "canonical_solution": "    return x + x\n",
    "test": "\ndef check(double):\n    assert double(2) == 4\n\ncheck(double)\n",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    with gzip.open(folder / "humaneval_python.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(PROBLEM) + "\n")
    return folder


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["eval", *map(str, arguments)])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def test_doctor(run, data):
    code, out, _ = run("doctor", "--data", data, "--langs", "python", "--mutants", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["languages"]["python"]["passed"] == report["languages"]["python"]["total"] == 1
    assert report["languages"]["python"]["failed"] == []
    assert report["languages"]["python"]["survivors"] == []
    assert report["toolchains"]["python"].startswith("Python 3")


def test_doctor_fails_where_a_reference_does(run, tmp_path):
    with gzip.open(tmp_path / "humaneval_python.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps(PROBLEM | {"canonical_solution": "    return x\n"}) + "\n")
    code, out, err = run("doctor", "--data", tmp_path, "--langs", "python")
    assert code == 1
    assert "Python/0: wrong" in out
    assert "no score from it can be trusted" in err


def test_samples_made_elsewhere_are_judged_and_compared(run, data, tmp_path):
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text('{"task_id": "Python/0", "generation": "    return 2 * x"}\n' * 2)
    bad.write_text('{"task_id": "Python/0", "generation": "    return x"}\n' * 2)
    for path, score in ((good, 1.0), (bad, 0.0)):
        folder = tmp_path / path.stem
        arguments = (
            "humaneval-x",
            "--samples",
            path,
            "--data",
            data,
            "--langs",
            "python",
            "--output",
            folder,
            "--k",
            "1,2",
        )
        code, out, err = run(*arguments, "--json")
        assert code == 0, err
        assert json.loads(out)["languages"]["python"]["pass@1"] == score
        assert json.loads(out)["languages"]["python"]["pass@2"] == score
        assert (folder / "report.html").read_text().startswith("<!doctype html>")
    code, out, _ = run("compare", tmp_path / "good", tmp_path / "bad", "--json")
    assert json.loads(out)["languages"]["python"] == {"problems": 1, "a": 1.0, "b": 0.0, "p": 1.0}
    code, out, _ = run("report", tmp_path / "good")
    assert "100.00%" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--langs", "perl"], "no problems in perl"),
        (["--langs", "pyton"], "did you mean"),
        (["--task", "sums"], "unknown task"),
        (["--task", "translation"], "needs --from"),
        (["--from", "go"], "only a translation"),
        (["--n", "0"], "at least 1"),
        (["--k", "x"], "whole numbers"),
        (["--temperature", "10:0.8"], "gives none for pass@1"),
        (["--temperature", "-1"], "must be 0"),
        (["--temperature", "nan"], "must be 0"),
        (["--top-p", "5"], "--top-p must be"),
        (["--max-tokens", "0"], "--max-tokens must be at least 1"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--k", "1,5", "--n", "2"], "pass@5 needs as many samples"),
        (["--data", "/nowhere"], "no humaneval_python"),
        (["--model", "nowhere"], "no model directory"),
        (["--model", "openai:x"], "is no address"),
        (["--samples", "/nowhere"], "cannot read samples"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message, run, data, tmp_path):
    output = tmp_path / "run"
    code, out, err = run("humaneval-x", "--data", data, "--langs", "python", "--output", output, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not output.exists()


def test_isolation_can_be_required(run, data, monkeypatch):
    monkeypatch.setattr("codegeex.sandbox.sandbox.isolation_problem", lambda: "bubblewrap is not installed.")
    code, _, err = run("doctor", "--data", data, "--langs", "python", "--require-isolation")
    assert (code, err.startswith("error: programs cannot be isolated here")) == (2, True)
    code, _, err = run("doctor", "--data", data, "--langs", "python")
    assert code == 0
    assert "NOT isolated" in err
