"""The server as a Ray Serve application, on a real cluster of this machine."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import codegeex
from codegeex.engine import Piece, SamplingParams

pytest.importorskip("ray.serve")

from pydantic import ValidationError

from codegeex.server.ray import Arguments

SCRIPT = Path(__file__).with_name("ray_cluster.py")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_replicas_answer_as_one_die_and_follow_the_load():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = subprocess.run([sys.executable, SCRIPT, str(port)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    model = codegeex.load()
    prompt = model.tokenizer.encode("def add(a, b):\n")
    expected = [
        "".join(
            event.text
            for event in model.engine.generate(prompt, SamplingParams(seed=seed, max_tokens=24))
            if isinstance(event, Piece)
        )
        for seed in range(8)
    ]
    assert found["answers"] == found["after_a_death"] == expected
    assert found["replicas"] == 2
    assert found["grown_and_shrunk"]
    assert not found["telemetry"]


@pytest.mark.parametrize("changes", [{"cpu": 1}, {"backend": "tpu"}, {"max_replicas": 0}, {"deadline": "soon"}])
def test_impossible_arguments(changes):
    with pytest.raises(ValidationError):
        Arguments(**changes)
