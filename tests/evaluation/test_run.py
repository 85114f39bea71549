"""Runs: the same results however often they are interrupted, and however many work at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.evaluation import humanevalx
from codegeex.evaluation.models import Sampling, seed_of
from codegeex.evaluation.report import compare, make_report
from codegeex.evaluation.run import Run, Settings
from codegeex.evaluation.samples import Sample
from codegeex.sandbox import Result, Sandbox
from codegeex.sandbox.program import Limits

WORDS = ["    return x + x\n", "    return x % 2 == 0\n", "    return x\n", "    return (\n", "    while True: pass\n"]


class Scripted:
    """Answers out of `WORDS`, by the sample's seed; counts what it is asked for."""

    name = "scripted"

    def __init__(self, fail_after=None):
        self.asked, self._fail_after = [], fail_after

    def generate(self, wanted, sampling):
        for one in wanted:
            if self._fail_after is not None and len(self.asked) == self._fail_after:
                raise CodeGeeXError("the model is gone.")
            self.asked.append(one)
            yield one, WORDS[one.seed % len(WORDS)]


def settings(**changes):
    known = {
        "model": "scripted",
        "task": "generation",
        "source": None,
        "languages": ("python",),
        "samples": 6,
        "temperatures": {1: 0.2, 5: 0.8},
        "sampling": Sampling(),
        "seed": 1,
        "repairs": True,
    }
    return Settings(**(known | changes))


def execute(folder, data, model, workers=2, **changes):
    wanted = settings(**changes)
    run = Run(folder, wanted, {"python": humanevalx.load(data, "python")})
    with Sandbox(workers=workers, languages=["python"]) as sandbox:
        run.execute(model, sandbox)
    return sorted(
        (row["task_id"], row["temperature"], row["index"], row["completion"], row["verdict"]) for row in run.results()
    )


EXPECTED = {
    ("Python/0", WORDS[0]): "passed",
    ("Python/1", WORDS[1]): "passed",
    (None, WORDS[3]): "compile_error",
    (None, WORDS[4]): "timeout",
}


@pytest.fixture(scope="module", autouse=True)
def impatience():
    """Endless loops are ended soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("codegeex.evaluation.run.LEAST_SECONDS", 0.5)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    return execute(tmp_path_factory.mktemp("runs") / "whole", data, Scripted())


def test_every_sample_gets_its_verdict(whole):
    assert len(whole) == 2 * 2 * 6
    for task, temperature, index, completion, verdict in whole:
        assert completion == WORDS[seed_of(1, task, temperature, index) % len(WORDS)]
        assert verdict == (EXPECTED.get((task, completion)) or EXPECTED.get((None, completion), "wrong"))
    assert {verdict for *_, verdict in whole} >= {"passed", "wrong", "compile_error", "timeout"}


def test_a_compilation_that_explodes_is_ended_soon(tmp_path, data, monkeypatch):
    """Each level doubles what the compiler tries; this one would take hours."""
    monkeypatch.setattr("codegeex.evaluation.run.LEAST_COMPILE_SECONDS", 1.0)
    monkeypatch.setattr("codegeex.evaluation.run.REFERENCE_FACTOR", 4.0)
    nested = "    return stoi(" + "string(" * 32 + "0)),\n}\n"
    run = Run(tmp_path, settings(languages=("cpp",)), {"cpp": humanevalx.load(data, "cpp")})
    with Sandbox(workers=1, languages=["cpp"]) as sandbox:
        run.execute([Sample("CPP/0", "cpp", 0, 0.2, "", nested, 1)], sandbox)
    (row,) = run.results()
    assert (row["verdict"], row["stage"]) == ("timeout", "compile")
    assert row["seconds"] < 15


def test_the_number_of_workers_changes_nothing(whole, tmp_path, data):
    assert execute(tmp_path / "eight", data, Scripted(), workers=8) == whole


def test_an_interrupted_run_goes_on_where_it_was(whole, tmp_path, data):
    with pytest.raises(CodeGeeXError, match="the model is gone"):
        execute(tmp_path / "run", data, Scripted(fail_after=7))
    made = (tmp_path / "run/samples.jsonl").read_bytes()
    (tmp_path / "run/samples.jsonl").write_bytes(made[:-9])  # as a crash would leave it
    judged = (tmp_path / "run/results.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run/results.jsonl").write_bytes(b"".join(judged[:3]) + judged[3][:20])
    second = Scripted()
    assert execute(tmp_path / "run", data, second) == whole
    assert len(second.asked) == 24 - 6


def test_a_killed_run_loses_and_repeats_nothing(tmp_path, data):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "codegeex", "eval", "humaneval-x", "--output", str(folder), "--data", str(data)]
    command += ["--langs", "python", "--n", "40", "--max-tokens", "24", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = folder / "results.jsonl"
    deadline = time.monotonic() + 200
    while not (results.exists() and results.read_bytes().count(b"\n") >= 5):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = (folder / "samples.jsonl").read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert (folder / "samples.jsonl").read_bytes().startswith(before)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert Counter((row["task_id"], row["index"]) for row in rows) == Counter(
        (f"Python/{number}", index) for number in range(2) for index in range(40)
    )
    assert json.loads(done.stdout)["languages"]["python"]["samples"] == 80


def test_a_sample_that_was_judged_is_not_judged_again(whole, tmp_path, data):
    """Its line is gone, its result is there: it is made again, and counts once."""
    assert execute(tmp_path / "run", data, Scripted()) == whole
    journal = tmp_path / "run/samples.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[1:]))
    assert execute(tmp_path / "run", data, Scripted()) == whole


def test_what_the_sandbox_could_not_run_has_no_verdict(tmp_path, data):
    class Broken:
        workers, limits, healthy = 1, Limits(), False

        def run(self, program, limits=None, *, alone=False):
            return Result("passed" if self.healthy else "sandbox_error", "run", 0.1, 1.0, "no room for containers")

        def describe(self):
            return {}

    run = Run(tmp_path, settings(), {"python": humanevalx.load(data, "python")})
    with pytest.raises(WorkFailed, match=r"24 programs could not be run \(no room for containers\); the same command"):
        run.execute(Scripted(), Broken())
    assert not list(run.results())
    Broken.healthy = True
    run.execute(Scripted(), Broken())
    assert len(list(run.results())) == 24


def test_a_folder_belongs_to_one_run(tmp_path, data):
    execute(tmp_path / "run", data, Scripted(), samples=1)
    with pytest.raises(CodeGeeXError, match=r"other settings \(seed\)"):
        execute(tmp_path / "run", data, Scripted(), samples=1, seed=2)
    with pytest.raises(CodeGeeXError, match=r"other settings \(fingerprint\)"):
        execute(tmp_path / "run", data, Scripted(), samples=1, fingerprint="of other weights")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(CodeGeeXError, match="not empty and holds no run"):
        execute(tmp_path / "other", data, Scripted())


def test_the_same_program_runs_once(tmp_path, data, monkeypatch):
    ran = []
    run = Sandbox.run

    def counted(self, program, limits=None, *, alone=False):
        if not alone:  # which is how a timeout is tried again
            ran.append(program)
        return run(self, program, limits, alone=alone)

    monkeypatch.setattr(Sandbox, "run", counted)
    execute(tmp_path / "run", data, Scripted(), samples=12)
    for program, times in Counter(ran).items():
        reference = any(f"{word}\n" in program.source for word in WORDS[:2])  # measured first, for the limits
        assert times <= 1 + reference
    assert len(ran) < 2 * 2 * 12


def test_the_report_counts_right(whole):
    results = [
        {
            "task_id": t,
            "language": "python",
            "temperature": at,
            "index": i,
            "prompt": "",
            "completion": c,
            "verdict": v,
            "detail": "",
        }
        for t, at, i, c, v in whole
    ]
    report = make_report(settings().to_dict(), results)
    passed = Counter((t, at) for t, at, _, _, v in whole if v == "passed")
    expected = sum(passed[f"Python/{number}", 0.2] / 6 for number in range(2)) / 2
    assert report["languages"]["python"]["pass@1"] == pytest.approx(expected)
    assert report["languages"]["python"]["samples"] == 24
    assert sum(report["verdicts"]["python"].values()) == 24
    assert compare(report, report)["languages"]["python"]["p"] == 1.0
    assert report["problems"]["Python/0"]["passed"] == passed["Python/0", 0.2]  # what pass@1 is of, not the other
    assert make_report(settings().to_dict(), results * 2) == report  # a row that is there twice counts once
