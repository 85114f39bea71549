"""`tools/mean_model.py`: the mean of two models, whatever they are stored as."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codegeex import tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.checkpoint import NativeSource, write_model
from codegeex.checkpoint.random_source import RandomSource
from codegeex.config import ModelConfig
from codegeex.model.loader import read_float32

TOOL = Path(__file__).parents[2] / "tools" / "mean_model.py"
SHAPE = ModelConfig(16, 1, 2, 8192, 8)


def mean(*arguments):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.fixture
def models(tmp_path):
    vocabulary = tokenizer.load(EMBEDDED_MODEL)
    write_model(tmp_path / "before", RandomSource(SHAPE, 1), vocabulary)
    write_model(tmp_path / "after", RandomSource(SHAPE, 2), vocabulary)
    write_model(tmp_path / "other", RandomSource(replace(SHAPE, num_layers=2), 2), vocabulary)
    return tmp_path


def test_every_weight_is_the_mean(models):
    """Of int8 models, and of an int8 one and a float one, as every mean is."""
    for other, output in (("after", "first"), ("first", "second")):
        done = mean(models / "before", models / other, "--share", 0.25, "--output", models / output)
        assert done.returncode == 0, done.stderr
        before, after, made = (NativeSource(models / name) for name in ("before", other, output))
        assert made.config == replace(SHAPE, quantization=None)
        for name in made.specs:
            expected = 0.75 * read_float32(before, name) + 0.25 * read_float32(after, name)
            np.testing.assert_allclose(read_float32(made, name), expected, rtol=1e-3, atol=1e-4)


def test_models_of_other_shapes_have_none(models):
    done = mean(models / "before", models / "other", "--output", models / "mean")
    assert "different shapes" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert not (models / "mean").exists()


def test_models_of_other_tokenizers_have_none(models, byte_tokenizer):
    write_model(models / "foreign", RandomSource(SHAPE, 2), byte_tokenizer)
    done = mean(models / "before", models / "foreign", "--output", models / "mean")
    assert "different tokenizers" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert not (models / "mean").exists()
