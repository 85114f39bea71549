"""Runs that start from a model directory."""

import json

import numpy as np
import pytest
import torch

import codegeex
from codegeex import checkpoint, tokenizer
from codegeex.errors import CodeGeeXError
from codegeex.training import loop
from codegeex.training import recipe as recipes


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory, write_recipe):
    path = tmp_path_factory.mktemp("trained")
    return loop.train(recipes.load(write_recipe(dataset, path)))


def start(recipe, directory, *overrides):
    records = []
    loop.train(recipes.load(recipe, [f"start={directory}", "schedule.steps=3", *overrides]), records.append)
    return records


@pytest.mark.parametrize("kind", ["half", "int8"])
def test_a_run_begins_where_another_ended(dataset, tmp_path, trained, write_recipe, kind):
    directory = trained
    if kind == "int8":
        directory = tmp_path / "int8"
        source = checkpoint.Int8Source(checkpoint.NativeSource(trained))
        checkpoint.write_model(directory, source, tokenizer.load(trained))
    recipe = write_recipe(dataset, tmp_path)
    end = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])["validation"]["python"]
    first = start(recipe, directory, "optimizer.muon_lr=0", "optimizer.adam_lr=0")[0]["validation"]["python"]
    assert first == pytest.approx(end, abs=0.005 if kind == "half" else 0.05)
    answer = codegeex.load(tmp_path / "model").complete(
        "def add(a, b):", language="python", temperature=0.0, max_tokens=30
    )
    assert answer.text == "\n    return a + b\n"


def test_the_shape_is_that_of_the_model(dataset, tmp_path, trained, write_recipe):
    path = write_recipe(dataset, tmp_path)
    text = path.read_text()
    path.write_text(text.replace('"model": {"hidden_size"', '"ignored": {"hidden_size"'))
    with pytest.raises(CodeGeeXError, match="unknown key ignored"):
        recipes.load(path, [f"start={trained}"])
    path.write_text(text)
    assert recipes.load(path, [f"start={trained}"]).model.hidden_size == 32
    with pytest.raises(CodeGeeXError, match="another shape; leave the key model out"):
        recipes.load(path, [f"start={trained}", "model.hidden_size=64"])
    with pytest.raises(CodeGeeXError):
        recipes.load(path, [f"start={tmp_path / 'nothing'}"])


def test_another_tokenizer_is_refused(dataset, tmp_path, trained, write_recipe):
    directory = tmp_path / "other"
    other = tokenizer.train(["something else entirely, again and again"], 270)
    checkpoint.write_model(directory, checkpoint.NativeSource(trained), other)
    with pytest.raises(CodeGeeXError, match="another tokenizer"):
        start(write_recipe(dataset, tmp_path), directory)


def test_fresh_weights_have_their_scales_and_depend_on_the_seed_alone(dataset, tmp_path, write_recipe):
    from codegeex.training.weights import starting_values

    path = write_recipe(dataset, tmp_path, model="base")
    h = 768

    def value(name, *shape, overrides=()):
        return starting_values(recipes.load(path, list(overrides)), None)(name, torch.Size(shape)).numpy()

    table = value("word_embeddings.weight", 5000, h)
    assert table.std() == pytest.approx(0.02, rel=0.01)
    assert abs(table.mean()) < 1e-4
    residual = value("layers.3.attention.dense.weight", h, h)
    assert residual.std() == pytest.approx(0.02 / np.sqrt(24), rel=0.01)
    assert not value("layers.3.attention.dense.bias", h).any()
    assert (value("layers.3.input_layernorm.weight", h) == 1).all()
    np.testing.assert_array_equal(table, value("word_embeddings.weight", 5000, h))
    assert (table != value("word_embeddings.weight", 5000, h, overrides=["seed=2"])).mean() > 0.99
