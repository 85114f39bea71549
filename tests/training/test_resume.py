"""Runs that are cut off: whatever stops them, the same command ends with the same weights, bit by bit."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.training import loop, step
from codegeex.training import recipe as recipes

CHANGES = {"schedule": {"steps": 20, "warmup": 3}, "save_every": 5, "validate_every": 8, "batch_size": 2}


class Crash(Exception):
    pass


def run(recipe, crash_at=None, stop_at=None):
    """Train, and crash or be told to stop after a step; returns the records."""
    records = []

    def report(record):
        records.append(record)
        if record.get("step") == crash_at and "loss" in record:
            raise Crash
        if record.get("step") == stop_at and "loss" in record:
            os.kill(os.getpid(), signal.SIGTERM)

    loop.train(recipe, report)
    return records


def plain(records):
    """What must be equal between runs: everything but times."""
    times = ("tokens_per_second", "seconds", "seconds_left", "tflops", "mfu")
    return [{key: value for key, value in record.items() if key not in times} for record in records]


@pytest.fixture(scope="module")
def uninterrupted(dataset, tmp_path_factory, write_recipe):
    path = tmp_path_factory.mktemp("whole")
    recipe = recipes.load(write_recipe(dataset, path, **CHANGES))
    return plain(run(recipe)), load_file(path / "model" / "model.safetensors")


def assert_same(path, uninterrupted):
    records, weights = uninterrupted
    written = [json.loads(line) for line in (path / "model" / "metrics.jsonl").read_text().splitlines()]
    assert plain(written) == records
    found = load_file(path / "model" / "model.safetensors")
    assert found.keys() == weights.keys()
    for name, tensor in weights.items():
        np.testing.assert_array_equal(found[name], tensor)
    assert not (path / "model.run").exists()


@pytest.mark.parametrize("moments", [[1], [4], [5], [7, 9, 19], [20]])
def test_a_crash_costs_nothing_but_time(dataset, tmp_path, uninterrupted, moments, write_recipe):
    recipe = recipes.load(write_recipe(dataset, tmp_path, **CHANGES))
    for moment in moments:
        with pytest.raises(Crash):
            run(recipe, crash_at=moment)
    records = run(recipe)
    saved = (moments[-1] - 1) // 5 * 5  # the crash comes before the step is saved
    assert records[0].get("resumed") == (saved or None)
    assert_same(tmp_path, uninterrupted)


def test_a_run_that_is_told_to_stop_saves_first(dataset, tmp_path, uninterrupted, write_recipe):
    recipe = recipes.load(write_recipe(dataset, tmp_path, **CHANGES))
    with pytest.raises(WorkFailed, match="stopped after step 8; the same command goes on"):
        run(recipe, stop_at=8)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert run(recipe)[0] == {"resumed": 8}
    assert_same(tmp_path, uninterrupted)


KILLED = """
import os, signal, sys
from codegeex.training import loop, recipe
def report(record):
    if record.get("step") == 6 and "loss" in record:  # the checkpoint of step 5 may be half written
        os.kill(os.getpid(), signal.SIGKILL)
loop.train(recipe.load(sys.argv[1]), report)
"""


def test_kill_9_at_any_moment(dataset, tmp_path, uninterrupted, write_recipe):
    recipe = write_recipe(dataset, tmp_path, **CHANGES)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(recipe)], capture_output=True, timeout=100)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "model.run").exists()
    command = [sys.executable, "-m", "codegeex", "train", str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path, uninterrupted)


def test_only_the_newest_checkpoints_are_kept(dataset, tmp_path, write_recipe):
    recipe = recipes.load(write_recipe(dataset, tmp_path, **CHANGES | {"save_every": 2}))
    with pytest.raises(Crash):
        run(recipe, crash_at=13)
    assert sorted(path.name for path in (tmp_path / "model.run").glob("step-*")) == ["step-00000010", "step-00000012"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_good(dataset, tmp_path, uninterrupted, write_recipe):
    recipe = recipes.load(write_recipe(dataset, tmp_path, **CHANGES))
    with pytest.raises(Crash):
        run(recipe, crash_at=13)
    newest = tmp_path / "model.run" / "step-00000010"
    for file in newest.glob("*.distcp"):
        file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CodeGeeXError, match="step-00000010 is damaged"):
        run(recipe)
    shutil.rmtree(newest)
    run(recipe)
    assert_same(tmp_path, uninterrupted)


def test_another_recipe_does_not_take_over_a_run(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    with pytest.raises(Crash):
        run(recipes.load(path), crash_at=6)
    with pytest.raises(CodeGeeXError, match="unfinished run with another batch_size and seed"):
        run(recipes.load(path, ["seed=9", "batch_size=3"]))
    run(recipes.load(path, ["validate_every=3", "keep=1"]))


def test_before_the_first_step_nothing_is_saved(dataset, tmp_path, monkeypatch, write_recipe):
    """PyTorch counts a step in order to have moments to save: Adam's next one would be another."""
    whole, calls = step.batch_loss, iter(range(10**6))

    def overflowing(model, batch, recipe):
        loss = whole(model, batch, recipe)
        return loss * float("inf") if model.training and next(calls) % 20 < 6 else loss

    monkeypatch.setattr(step, "batch_loss", overflowing)
    weights = []
    for every in (5, 50):
        overrides = [f"save_every={every}", f"output={tmp_path / f'model-{every}'}", "validate_every=100"]
        records = run(recipes.load(write_recipe(dataset, tmp_path, **CHANGES), overrides))
        assert records[-2]["skipped"] == 6
        weights.append(load_file(tmp_path / f"model-{every}" / "model.safetensors"))
    for name, tensor in weights[0].items():
        np.testing.assert_array_equal(weights[1][name], tensor)


def test_a_plateau_is_not_gone_on_with_once_windows_were_of_the_decay(dataset, tmp_path, write_recipe):
    """In the decay's first step the rates are still whole."""
    streams = f"data.streams=[{{shards: {dataset / 'a'}, decay_weight: 0}}, {{shards: {dataset / 'b'}}}]"
    path = write_recipe(dataset, tmp_path, **CHANGES | {"save_every": 1})
    with pytest.raises(Crash):
        run(
            recipes.load(path, [streams, "schedule.decay=0.25"]), crash_at=17
        )  # 16 are saved, the last one of the decay
    with pytest.raises(CodeGeeXError, match="another schedule"):
        run(recipes.load(path, [streams, "schedule.steps=30", "schedule.decay=0.2"]))


def test_steps_without_a_finite_gradient_are_skipped(dataset, tmp_path, monkeypatch, write_recipe):
    whole = step.batch_loss
    bad = {3, 4}
    calls = iter(range(1000))

    def sometimes_infinite(model, batch, recipe):
        loss = whole(model, batch, recipe)
        return loss * float("inf") if model.training and next(calls) in bad else loss

    monkeypatch.setattr(step, "batch_loss", sometimes_infinite)
    recipe = recipes.load(write_recipe(dataset, tmp_path, **CHANGES), ["validate_every=100"])
    records = [record for record in run(recipe) if "loss" in record]
    assert [record["skipped"] for record in records[:6]] == [0, 0, 0, 1, 2, 2]
    assert records[3]["loss"] is None
    assert all(np.isfinite(tensor).all() for tensor in load_file(tmp_path / "model" / "model.safetensors").values())

    bad.update(range(1000))
    with pytest.raises(WorkFailed, match="not finite 10 times in a row"):
        run(recipes.load(write_recipe(dataset, tmp_path, **CHANGES), [f"output={tmp_path / 'other'}"]))


def test_two_runs_do_not_share_a_directory(dataset, tmp_path, write_recipe):
    """The second one is refused while the first is at work, and the first goes on as if nothing had been."""
    path = write_recipe(dataset, tmp_path, schedule={"steps": 6, "warmup": 1}, save_every=2)
    refused = []

    def again(record):
        if record.get("step") == 5 and "loss" in record:
            with pytest.raises(CodeGeeXError, match="another process trains in"):
                loop.train(recipes.load(path))
            refused.append(1)

    loop.train(recipes.load(path), again)
    assert refused == [1]
    assert (tmp_path / "model" / "config.json").is_file()


def test_a_run_that_cannot_write_its_model_has_lost_nothing(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, schedule={"steps": 6, "warmup": 1}, save_every=250)

    def in_the_way(record):
        if record.get("step") == 6 and "loss" in record:
            (tmp_path / "model").mkdir()
            (tmp_path / "model" / "mine").touch()

    with pytest.raises(CodeGeeXError, match="exists already"):
        loop.train(recipes.load(path), in_the_way)
    shutil.rmtree(tmp_path / "model")
    records = []
    loop.train(recipes.load(path), records.append)
    assert records[0] == {"resumed": 6}
    assert not any("loss" in record for record in records)
    assert (tmp_path / "model" / "config.json").is_file()
