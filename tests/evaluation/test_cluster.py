"""A run on a local Ray cluster gives what a run without one gives."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def test_a_cluster_changes_nothing(tmp_path, data):
    """In processes of its own: Ray leaves signal handlers behind."""
    pytest.importorskip("ray")
    results = {}
    for name, extra in (("alone", []), ("cluster", ["--ray", "local"])):
        command = [sys.executable, "-m", "codegeex", "eval", "humaneval-x", "--output", str(tmp_path / name)]
        command += ["--data", str(data), "--langs", "python", "--n", "5", "--max-tokens", "16", "--json", *extra]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in (tmp_path / name / "results.jsonl").read_text().splitlines()]
        results[name] = sorted((row["task_id"], row["index"], row["completion"], row["verdict"]) for row in rows)
    assert results["alone"] == results["cluster"]
    assert len(results["alone"]) == 10
