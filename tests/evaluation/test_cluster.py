"""A run on a local Ray cluster gives what a run without one gives."""

from __future__ import annotations

import json

import pytest

from codegeex.cli.main import main

pytestmark = pytest.mark.slow


def test_a_cluster_changes_nothing(tmp_path, data, capsys):
    ray = pytest.importorskip("ray")
    results = {}
    for name, extra in (("alone", []), ("cluster", ["--ray", "local"])):
        command = ["eval", "humaneval-x", "--output", str(tmp_path / name), "--data", str(data), "--langs", "python"]
        with pytest.raises(SystemExit) as ended:
            main([*command, "--n", "5", "--max-tokens", "16", "--json", *extra])
        said = capsys.readouterr()
        assert not ended.value.code, said.err
        rows = [json.loads(line) for line in (tmp_path / name / "results.jsonl").read_text().splitlines()]
        results[name] = sorted((row["task_id"], row["index"], row["completion"], row["verdict"]) for row in rows)
    ray.shutdown()
    assert results["alone"] == results["cluster"]
    assert len(results["alone"]) == 10
