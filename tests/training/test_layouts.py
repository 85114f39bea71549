"""Every layout of processes gives the loss curve of one process, and one layout resumes what another has begun."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from codegeex.training import loop
from codegeex.training import recipe as recipes

STEPS = 12
CHANGES = {
    "schedule": {"steps": STEPS, "warmup": 3},
    "optimizer": {"muon_lr": 0.0},  # whose steps in half precision would hide small mistakes
    "save_every": 5,
    "validate_every": 6,
    "batch_size": 8,
}


def curve(directory):
    records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    losses = [record["loss"] for record in records if "loss" in record]
    norms = [record["gradient_norm"] for record in records if "loss" in record]
    validation = [record["validation"]["python"] for record in records if "validation" in record]
    return [*losses, *norms, *validation]


@pytest.fixture(scope="module")
def alone(dataset, tmp_path_factory, write_recipe):
    """The curve and weights of one process."""
    path = tmp_path_factory.mktemp("alone")
    loop.train(recipes.load(write_recipe(dataset, path, **CHANGES)))
    return curve(path / "model"), load_file(path / "model" / "model.safetensors")


def assert_same(directory, alone):
    expected, weights = alone
    # Sums in another order: the rounding of float32, of the records, and of half precision.
    np.testing.assert_allclose(curve(directory), expected, atol=1.1e-3)
    for name, tensor in load_file(directory / "model.safetensors").items():
        np.testing.assert_allclose(tensor.astype(float), weights[name].astype(float), atol=1e-3)


@pytest.mark.slow
def test_layouts_of_four_processes(dataset, tmp_path, alone, write_recipe, launch):
    layouts = {
        "dp4": ["layout.tensor=1"],
        "dp2tp2": ["layout.tensor=2", "layout.reshard=true"],
        "micro": ["layout.tensor=2", "layout.micro_batch=1", "layout.recompute=true"],
    }
    recipe = str(write_recipe(dataset, tmp_path, **CHANGES))
    muon = ["optimizer.muon_lr=0.02", "layout.tensor=2"]
    jobs = [[recipe, [f"output={tmp_path / name}", *changes], None] for name, changes in layouts.items()]
    launch(4, [*jobs, [recipe, [f"output={tmp_path / 'muon'}", *muon], None]], tmp_path)
    for name in layouts:
        assert_same(tmp_path / name, alone)
    loop.train(recipes.load(recipe, [f"output={tmp_path / 'muon alone'}", muon[0]]))
    np.testing.assert_allclose(curve(tmp_path / "muon"), curve(tmp_path / "muon alone"), atol=5e-3)


@pytest.mark.slow
def test_shares_need_not_be_of_equal_size(dataset, tmp_path, write_recipe, launch):
    """16 rows of a layer that two share are five or six for each of three: as 640 are for 192 in the paper's run."""
    changes = CHANGES | {"batch_size": 9}
    path = write_recipe(dataset, tmp_path, **changes)
    launch(6, [[str(path), ["layout.tensor=2", f"output={tmp_path / 'six'}"], 6]], tmp_path)
    launch(6, [[str(path), ["layout.tensor=2", f"output={tmp_path / 'six'}"], None]], tmp_path)
    loop.train(recipes.load(path))
    assert_same(tmp_path / "six", (curve(tmp_path / "model"), load_file(tmp_path / "model" / "model.safetensors")))


def test_a_run_goes_on_in_another_layout(dataset, tmp_path, alone, write_recipe, launch):
    """Two sharded processes, then one, then two that share every layer."""
    path = write_recipe(dataset, tmp_path, **CHANGES)
    launch(2, [[str(path), ["layout.tensor=1"], 4]], tmp_path)
    stopping = recipes.load(path)

    def stop(record):
        if record.get("step") == 7 and "loss" in record:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # after the checkpoint of step 5
        loop.train(stopping, stop)
    launch(2, [[str(path), ["layout.tensor=2"], None]], tmp_path)
    assert_same(tmp_path / "model", alone)


def test_a_layout_that_does_not_fit_is_refused(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    with pytest.raises(recipes.CodeGeeXError, match="torchrun --nproc-per-node 8"):
        loop.train(recipes.load(path, ["layout.tensor=8"]))
    assert not (tmp_path / "model.run").exists()


def test_micro_batches_and_recomputing_change_nothing(dataset, tmp_path, alone, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    loop.train(recipes.load(path, ["layout.micro_batch=3", "layout.recompute=true"]))
    assert_same(tmp_path / "model", alone)
