"""What a person sees of a run: samples, TensorBoard, the report page, and checkpoints that do not hold it up."""

import json
import math
import sys
import threading
import types
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch.distributed.checkpoint import FileSystemWriter

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.training import loop
from codegeex.training import recipe as recipes
from codegeex.training.page import page, smooth, ticks
from codegeex.training.tracking import scalars

CHANGES = {"schedule": {"steps": 12, "warmup": 3}, "validate_every": 6, "save_every": 4, "samples": ["def add(", ""]}


@pytest.fixture(scope="module")
def tracked(dataset, tmp_path_factory, write_recipe):
    """A run that TensorBoard watches, crashed and resumed."""
    path = tmp_path_factory.mktemp("tracked")
    recipe = recipes.load(write_recipe(dataset, path, **CHANGES), ["tracking=tensorboard", "sample_tokens=5"])

    def crash(record):
        if record.get("step") == 7 and "loss" in record:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe, crash)
    records = []
    loop.train(recipe, records.append)
    assert records[0] == {"resumed": 4}
    return recipe, path / "model"


def test_tensorboard_reads_what_was_logged(tracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe, directory = tracked
    written = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    events = EventAccumulator(f"{recipe.output}.tensorboard")
    events.Reload()
    losses = {event.step: event.value for event in events.Scalars("loss")}
    assert losses == pytest.approx({record["step"]: record["loss"] for record in written if "loss" in record})
    assert len(events.Scalars("loss")) == 12  # what the crash had lost is not there twice
    assert [event.step for event in events.Scalars("validation/python")] == [0, 6, 12]
    assert "sample 1/text_summary" in events.Tags()["tensors"]


@pytest.mark.parametrize(("crash_at", "save_every"), [(3, 6), (7, 6)])
def test_tensorboard_shows_no_step_twice(dataset, tmp_path, write_recipe, crash_at, save_every):
    """A run that goes on where it was validated, and one that begins anew."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = recipes.load(
        write_recipe(dataset, tmp_path, **CHANGES), ["tracking=tensorboard", f"save_every={save_every}", "samples=[]"]
    )

    def crash(record):
        if record.get("step") == crash_at and "loss" in record:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe, crash)
    loop.train(recipe)
    events = EventAccumulator(f"{recipe.output}.tensorboard")
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 13))
    assert [event.step for event in events.Scalars("validation/python")] == [0, 6, 12]


def test_samples_are_part_of_the_records(tracked):
    written = [json.loads(line) for line in (tracked[1] / "metrics.jsonl").read_text().splitlines()]
    for record in written:
        if "validation" in record:
            assert [sample["prompt"] for sample in record["samples"]] == CHANGES["samples"]
            assert all(isinstance(sample["text"], str) for sample in record["samples"])


@pytest.mark.parametrize("kind", ["trackio", "wandb"])
def test_services_get_the_same_numbers(dataset, tmp_path, write_recipe, monkeypatch, kind):
    """Their functions are replaced by a recorder; none of them may send anything from a test."""
    calls = []
    module = types.ModuleType(kind)
    module.init = lambda **settings: calls.append(settings)
    module.log = lambda values, step: calls.append((step, values))
    module.finish = lambda: calls.append("end")
    monkeypatch.setitem(sys.modules, kind, module)
    records = []
    recipe = recipes.load(write_recipe(dataset, tmp_path, **CHANGES), [f"tracking={kind}"])
    loop.train(recipe, records.append)
    assert calls[0]["name"] == "model"
    assert calls[0]["config"]["batch_size"] == 4
    assert calls[1:-1] == [(record["step"], scalars(record)) for record in records]
    assert calls[-1] == "end"


def test_a_tracker_that_is_not_installed_is_named(dataset, tmp_path, write_recipe, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(CodeGeeXError, match="pip install wandb"):
        loop.train(recipes.load(write_recipe(dataset, tmp_path, **CHANGES), ["tracking=wandb"]))


class Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_and_has_the_curves(tracked):
    _, directory = tracked
    source = (directory / "report.html").read_text()
    parser = Text()
    parser.feed(source)
    assert not parser.open
    text = " ".join(parser.text)
    records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert f"{records[-1]['validation']['python']:.3f}" in text
    assert "http" not in source.replace("http://www.w3.org", "")  # needs nothing else
    charts = [f"<svg{part.split('</svg>')[0]}</svg>" for part in source.split("<svg")[1:]]
    assert len(charts) == 5
    for chart in charts:
        for line in ElementTree.fromstring(chart).iter("polyline"):
            for pair in line.get("points").split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= 860
                assert 0 <= y <= 260


def test_a_page_of_a_run_without_losses(tracked):
    recipe, _ = tracked
    text = page(recipe, [{"step": 0, "validation": {}, "bits_per_byte": {}}], 1e9)
    assert "Recipe" in text
    nothing = {"step": 1, "loss": None, "gradient_norm": None, "rate": 1.0, "tokens_per_second": 5, "tokens": 9}
    assert "<svg" in page(recipe, [nothing | {"seconds": 1.0, "skipped": 1}], 1e9)


finite = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(finite, st.floats(0, 1e9, allow_subnormal=False))
def test_ticks_are_few_round_and_around_the_values(low, span):
    high = low + span
    if span and span < 1e-6 * max(1.0, abs(low)):
        return
    marks = ticks(low, high)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    assert 1 <= len(marks) <= 9
    assert marks[0] <= low + 1e-6 * step
    assert marks[-1] >= high - 1e-6 * step
    digits = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(digits - one) for one in (1, 2, 2.5, 5, 10)) < 1e-3


@given(st.lists(st.floats(0, 10), min_size=1, max_size=80), st.integers(1, 30))
def test_smoothing_is_a_running_mean(values, width):
    smoothed = smooth(list(enumerate(values)), width)
    for place, (step, mean) in enumerate(smoothed):
        assert step == place
        assert mean == pytest.approx(np.mean(values[max(0, place - width + 1) : place + 1]), abs=1e-6)


def test_steps_go_on_while_a_checkpoint_is_written(dataset, tmp_path, write_recipe, monkeypatch):
    """The writer waits until two more steps are taken: a run that waited for it would never get there.

    A later checkpoint is begun only once the one before is published, however slow the disk is.
    """
    moved = threading.Event()
    write_data, waits, published, at_six = FileSystemWriter.write_data, [], [], []
    run = tmp_path / "model.run"

    def there():
        return sorted(path.name for path in run.glob("step-*"))

    def slow(self, plan, planner):
        published.append(there())
        waits.append(moved.wait(30))
        return write_data(self, plan, planner)

    def report(record):
        if "loss" in record and record["step"] == 6:
            at_six.append(there())
            moved.set()

    monkeypatch.setattr(FileSystemWriter, "write_data", slow)
    loop.train(recipes.load(write_recipe(dataset, tmp_path, **CHANGES)), report)
    assert waits == [True, True, True]
    assert at_six == [[]]
    assert published == [[], ["step-00000004"], ["step-00000004", "step-00000008"]]


def test_a_disk_that_is_full_stops_the_run_and_spares_the_checkpoint_before(
    dataset, tmp_path, write_recipe, monkeypatch
):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    write_data, calls = FileSystemWriter.write_data, []

    def full(self, plan, planner):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write_data(self, plan, planner)

    monkeypatch.setattr(FileSystemWriter, "write_data", full)
    with pytest.raises(WorkFailed, match=r"cannot write a checkpoint to .*No space left"):
        loop.train(recipes.load(path))
    assert [one.name for one in (tmp_path / "model.run").glob("*step-*")] == ["step-00000004"]
    monkeypatch.undo()
    records = []
    loop.train(recipes.load(path), records.append)
    assert records[0] == {"resumed": 4}


def test_a_plateau_can_be_made_longer(dataset, tmp_path, write_recipe):
    """What a longer run would have been from the beginning, bit by bit; steps in the past cannot be changed."""
    longer = ["schedule.steps=30", "schedule.decay=0.2"]
    path = write_recipe(dataset, tmp_path, **CHANGES | {"samples": []})
    loop.train(recipes.load(path, [*longer, f"output={tmp_path / 'whole'}"]))

    def stop(record):
        if record.get("step") == 9 and "loss" in record:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(recipes.load(path, ["schedule.decay=0.25"]), stop)
    with pytest.raises(CodeGeeXError, match="another schedule"):
        loop.train(recipes.load(path, ["schedule.warmup=2"]))
    loop.train(recipes.load(path, longer))
    expected = load_file(tmp_path / "whole" / "model.safetensors")
    for name, tensor in load_file(tmp_path / "model" / "model.safetensors").items():
        np.testing.assert_array_equal(tensor, expected[name])


@pytest.mark.slow
def test_compiled_layers_learn_the_same(dataset, tmp_path, write_recipe):
    curves = []
    for name, changes in {"plain": [], "compiled": ["layout.compile=true"]}.items():
        records = []
        path = write_recipe(dataset, tmp_path, **CHANGES)
        loop.train(recipes.load(path, [f"output={tmp_path / name}", "schedule.steps=6", *changes]), records.append)
        curves.append([record["loss"] for record in records if "loss" in record])
    np.testing.assert_allclose(curves[0], curves[1], atol=2e-3)
    assert len(curves[0]) == 6
