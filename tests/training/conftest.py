"""A toy corpus, and a recipe that learns it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from codegeex import shards, tokenizer

SENTENCE = "def add(a, b):\n    return a + b\n"
VARIANTS = {"a": SENTENCE, "b": "# it adds\n" + SENTENCE, "validation/python": SENTENCE}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """Two streams and a validation set that hold nothing but one function, over and over; the second with a comment."""
    root = tmp_path_factory.mktemp("data")
    vocabulary = tokenizer.train(list(VARIANTS.values()), 300)
    (root / "tokenizer").mkdir()
    vocabulary.save(root / "tokenizer")
    for name, text in VARIANTS.items():
        ids = [*vocabulary.encode("# language: Python\n" + text), vocabulary.end_of_text]
        with shards.create(root / name, len(vocabulary), vocabulary.fingerprint) as writer:
            for _ in range(100):
                writer.add(ids, "python")
    return root


def _write_recipe(dataset, path, **changes):
    content = {
        "output": str(path / "model"),
        "model": {
            "hidden_size": 32,
            "num_layers": 1,
            "num_attention_heads": 2,
            "vocab_size": 320,
            "max_position_embeddings": 64,
        },
        "data": {
            "tokenizer": str(dataset / "tokenizer"),
            "streams": [{"shards": str(dataset / "a"), "weight": 3}, {"shards": str(dataset / "b")}],
            "validation": str(dataset / "validation"),
            "sequence_length": 48,
        },
        "schedule": {"steps": 80, "warmup": 5},
        "batch_size": 4,
        "validate_every": 40,
        "precision": "float32",
    } | changes
    recipe = path / "recipe.yaml"
    recipe.write_text(json.dumps(content))  # JSON is YAML
    return recipe


@pytest.fixture(scope="session")
def write_recipe():
    return _write_recipe


def _launch(processes, jobs, directory):
    """Run jobs, each [recipe, overrides, step to stop after or None], one after the other in a group of processes."""
    plan = directory / "jobs.json"
    plan.write_text(json.dumps(jobs))
    # Standalone: the processes meet at a port that the launcher itself keeps open.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command += [str(Path(__file__).with_name("run_recipes.py")), str(plan)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as launcher:
        try:
            said, errors = launcher.communicate(timeout=240)
        except BaseException:
            launcher.terminate()  # it ends its processes, which live in sessions of their own
            raise
    assert "ALL DONE" in said, said[-2000:] + errors[-6000:]


@pytest.fixture(scope="session")
def launch():
    return _launch
