"""The load benchmark, in short: no error, no lost or mixed token, nobody far behind, no growing memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = Path(__file__).parents[2] / "benchmarks/server/load.py"


@pytest.mark.slow
def test_many_clients():
    options = ["--seconds", "6", "--clients", "60", "--rounds", "1"]
    done = subprocess.run([sys.executable, LOAD, *options], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["answers"] >= 2 * found["clients"]
    assert found["latency_max_over_median"] <= 3
    assert found["memory_mb_late"] <= 1.1 * found["memory_mb_early"]
