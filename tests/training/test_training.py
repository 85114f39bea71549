"""Training on a toy corpus: data, schedule, recipes, and a run from shards to a model that generates."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

import codegeex
from codegeex import shards, tokenizer
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.model.attention import Documents
from codegeex.training import loop
from codegeex.training import recipe as recipes
from codegeex.training.data import Mixture, make_batch
from codegeex.training.recipe import Schedule


def test_a_run_learns_and_its_model_generates(dataset, tmp_path, write_recipe):
    records = []
    directory = loop.train(recipes.load(write_recipe(dataset, tmp_path)), records.append)
    validation = [record["validation"]["python"] for record in records if "validation" in record]
    assert len(validation) == 3
    assert validation[0] > 5
    assert validation[-1] < 1
    written = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert written == records
    answer = codegeex.load(directory).complete("def add(a, b):", language="python", temperature=0.0, max_tokens=30)
    assert answer.text == "\n    return a + b\n"


def test_bits_per_byte_and_operations(dataset, tmp_path, write_recipe):
    """Against the definitions: all nats of the windows, over the bytes of their text."""
    records = []
    path = write_recipe(dataset, tmp_path)
    overrides = ["schedule.steps=4", "validation_windows=3", "layout.peak_tflops=0.5"]
    recipe = recipes.load(path, overrides)
    loop.train(recipe, records.append)
    final = records[-1]
    vocabulary = tokenizer.load(dataset / "tokenizer")
    data = shards.Shards(dataset / "validation" / "python", 48)
    text, tokens = b"", 0
    for index in data.spread(3):
        window = data.window(index).tolist()
        labels = [after for before, after in pairwise(window) if before != vocabulary.end_of_text]
        said = [label for label in labels if label != vocabulary.end_of_text]
        text, tokens = text + vocabulary.decode_bytes(said), tokens + len(labels)
    nats = final["validation"]["python"] * tokens
    assert final["bits_per_byte"]["python"] == pytest.approx(nats / np.log(2) / len(text), abs=2e-4)
    last = [record for record in records if "loss" in record][-1]
    matrices = 2 * (4 * 32 * 32 + 2 * 32 * 128) + 320 * 32
    each_token = 6 * matrices + 12 * 2 * 32 * 48
    assert last["tflops"] == pytest.approx(each_token * last["tokens_per_second"] / 1e12, rel=0.01)
    assert last["mfu"] == pytest.approx(last["tflops"] / 0.5, abs=1e-4)


def test_runs_are_reproducible(dataset, tmp_path, write_recipe):
    def losses(name):
        recipe = recipes.load(
            write_recipe(dataset, tmp_path), [f"output={tmp_path / name}", "schedule.steps=8", "precision=bfloat16"]
        )
        records = []
        loop.train(recipe, records.append)
        return [record["loss"] for record in records if "loss" in record]

    assert losses("first") == losses("second")


def test_batches_mask_documents_and_restart_positions():
    end = 9
    windows = np.array([[1, 2, end, 3, 4, 5, end, 6], [end, 1, 2, 3, 4, 5, 6, end]])
    batch = make_batch(windows, end)
    for row, ids in enumerate(windows):
        document, place = 0, 0
        documents = []
        for column, token in enumerate(ids[:-1]):
            documents.append(document)
            assert batch.position_ids[row, column] == place
            assert batch.weights[row, column] == (token != end)
            assert batch.labels[row, column] == ids[column + 1]
            place += 1
            if token == end:
                document, place = document + 1, 0
        for query in range(7):
            for key in range(7):
                allowed = key <= query and documents[key] == documents[query]
                assert batch.mask[row, 0, query, key] == allowed


def test_one_document_does_not_see_another():
    """The loss of a document in a packed window is what it is alone."""
    torch.manual_seed(0)
    config = codegeex.model.CodeGeeX(
        recipes.ModelConfig(hidden_size=16, num_layers=2, num_attention_heads=2, vocab_size=12)
    ).initialize(0.3)
    packed = make_batch(np.array([[1, 2, 9, 3, 4, 5, 6]]), 9)
    alone = make_batch(np.array([[3, 4, 5, 6]]), 9)
    together = config(packed.input_ids, packed.position_ids, packed.mask)[0, 3:]
    assert torch.allclose(together, config(alone.input_ids)[0], atol=1e-5)


def test_attention_document_by_document_is_attention_with_a_mask():
    """Values and gradients, where documents end inside windows, at their ends, and are one token long."""
    torch.manual_seed(0)
    config = recipes.ModelConfig(hidden_size=16, num_layers=2, num_attention_heads=2, vocab_size=12)
    model = codegeex.model.CodeGeeX(config).initialize(0.3)
    batch = make_batch(np.array([[1, 2, 9, 3, 4, 5, 6], [9, 9, 1, 2, 3, 9, 4], [1, 2, 3, 4, 5, 6, 7]]), 9)
    found = []
    for mask, memory in ((batch.mask, None), (None, Documents(batch.documents))):
        model.zero_grad()
        hidden = model.hidden(batch.input_ids, batch.position_ids, mask, memory)
        hidden.square().mean().backward()
        found.append([hidden.detach(), *(parameter.grad.clone() for parameter in model.parameters())])
    for masked, apart in zip(*found, strict=True):
        torch.testing.assert_close(apart, masked, atol=1e-6, rtol=1e-4)


def test_the_mixture_is_a_function_of_step_and_seed(dataset, tmp_path, write_recipe):
    recipe = recipes.load(write_recipe(dataset, tmp_path), ["schedule.steps=500"])
    streams = [shards.Shards(stream.shards, 48) for stream in recipe.data.streams]
    mixture, again = Mixture(recipe, streams), Mixture(recipe, streams)
    assert mixture.windows(0).shape == (4, 49)
    for step in (499, 3, 250):
        assert (mixture.windows(step) == again.windows(step)).all()
    share = (mixture.choices == 0).mean()  # weights 3 and 1, 2,000 draws: σ = 0.01
    assert abs(share - 0.75) < 0.05


def test_every_window_of_a_stream_comes_once_an_epoch(dataset, tmp_path, write_recipe):
    """Whatever the batches that it is spread over, and none of another stream instead."""
    recipe = recipes.load(write_recipe(dataset, tmp_path), ["schedule.steps=60"])
    streams = [shards.Shards(stream.shards, 48) for stream in recipe.data.streams]
    mixture = Mixture(recipe, streams)
    taken = [
        (stream, tuple(window))
        for step in range(60)
        for stream, window in zip(mixture.choices[step], mixture.windows(step), strict=True)
    ]
    for number, stream in enumerate(streams):
        drawn = [window for one, window in taken if one == number][: len(stream)]
        held = [tuple(stream.window(index)) for index in range(len(stream))]
        assert set(drawn) <= set(held)
        if len(drawn) == len(stream):
            assert Counter(drawn) == Counter(held)
    assert sum(one == 0 for one, _ in taken) >= len(streams[0])  # the first one has had an epoch
    assert not {window for one, window in taken if one == 0} & {window for one, window in taken if one == 1}


def test_streams_may_have_another_share_in_the_decay(dataset, tmp_path, write_recipe):
    streams = f"[{{shards: {dataset / 'a'}, weight: 3, decay_weight: 0}}, {{shards: {dataset / 'b'}, weight: 1}}]"
    overrides = [f"data.streams={streams}", "schedule.steps=500", "schedule.decay=0.4"]
    recipe = recipes.load(write_recipe(dataset, tmp_path), overrides)
    read = [shards.Shards(stream.shards, 48) for stream in recipe.data.streams]
    choices = Mixture(recipe, read).choices
    begins = recipe.schedule.decay_begins
    assert [recipe.schedule.factor(step) < 1 for step in (recipe.schedule.decay_begins, 301)] == [False, True]
    assert abs((choices[:begins] == 0).mean() - 0.75) < 0.05
    assert (choices[begins:] == 1).all()
    longer = recipes.load(write_recipe(dataset, tmp_path), [*overrides, "schedule.steps=600"])
    assert (Mixture(longer, read).choices[:begins] == choices[:begins]).all()  # a plateau can be gone on with


def test_schedule_warms_up_stays_and_decays():
    schedule = Schedule(steps=100, warmup=10, decay=0.5)
    factors = [schedule.factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9:51] == [1.0] * 42
    assert factors[99] == pytest.approx(0.02)
    assert all(later < earlier for earlier, later in pairwise(factors[50:]))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense=1", "unknown key nonsense"),
        ("schedule.stepz=1", r"unknown key schedule\.stepz"),
        ("schedule.steps=many", "schedule.steps must be int"),
        ("schedule.steps=0", "schedule.steps must be at least 1"),
        ("precision=int3", "precision must be one of float32, bfloat16"),
        ("model=huge", "unknown model preset 'huge'"),
        ("data.sequence_length=4096", "exceeds the model's 64 positions"),
        ("data.streams=[]", "at least one stream"),
        ("batch_size", "write it as key=value"),
        ("data.tokenizer=/nowhere", "no tokenizer in /nowhere"),
        ("data.validation=/nowhere", "no validation data"),
        ("data.sequence_length=[", "not valid YAML"),
        ("seed=-1", "seed must be 0 or above"),
        ("optimizer.clip=0", "optimizer.clip must be above 0"),
        ("schedule.kind=cosine", "decay_weight needs schedule.kind=trapezoid"),
    ],
)
def test_bad_recipes_are_refused_before_anything_is_written(dataset, tmp_path, override, message, write_recipe):
    path = write_recipe(dataset, tmp_path)
    streams = f"data.streams=[{{shards: {dataset / 'a'}, decay_weight: 2}}]"
    with pytest.raises(CodeGeeXError, match=message):
        loop.train(recipes.load(path, [streams, override]))
    assert not list(tmp_path.glob("model*"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes."),
    ],
    ids=["device", "processor"],
)
def test_too_little_memory_is_one_line(dataset, tmp_path, monkeypatch, write_recipe, error):
    def full(*arguments):
        raise error

    monkeypatch.setattr(loop, "backward", full)
    with pytest.raises(WorkFailed, match=r"not enough memory: take a smaller layout\.micro_batch"):
        loop.train(recipes.load(write_recipe(dataset, tmp_path)))


def test_validation_takes_no_more_windows_at_a_time_than_training(dataset, tmp_path, monkeypatch, write_recipe):
    from codegeex.training import validation

    make_batch, sizes = validation.make_batch, []

    def counted(windows, *arguments):
        sizes.append(len(windows))
        return make_batch(windows, *arguments)

    monkeypatch.setattr(validation, "make_batch", counted)
    path = write_recipe(dataset, tmp_path, schedule={"steps": 1, "warmup": 0}, validation_windows=7)
    losses = []
    for name, most in (("one", 1), ("three", 3)):
        sizes.clear()
        records = []
        loop.train(recipes.load(path, [f"layout.micro_batch={most}", f"output={tmp_path / name}"]), records.append)
        losses.append([record["validation"] for record in records if "validation" in record])
        assert max(sizes) == most
    assert losses[0] == losses[1]


def test_held_out_text_without_a_word_has_no_loss(dataset, tmp_path, write_recipe):
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "python.jsonl").write_text('{"prompt": "abc", "solution": ""}\n')
    records = []
    path = write_recipe(dataset, tmp_path, schedule={"steps": 1, "warmup": 0})
    loop.train(recipes.load(path, [f"data.validation={tmp_path / 'held'}"]), records.append)
    assert records[-1]["validation"] == records[-1]["bits_per_byte"] == {"python": None}


def test_a_loss_that_is_not_finite_is_no_number(dataset, tmp_path, monkeypatch, write_recipe):
    """The run goes on, and its records and its page can be read."""
    from codegeex.training import validation

    monkeypatch.setattr(validation, "batch_loss", lambda *arguments: torch.tensor(float("inf")))
    records = []
    recipe = recipes.load(write_recipe(dataset, tmp_path), ["schedule.steps=2"])
    directory = loop.train(recipe, records.append)
    assert records[0]["validation"] == {"python": None}
    assert "Infinity" not in (directory / "metrics.jsonl").read_text()
    assert "<svg" in (directory / "report.html").read_text()


@pytest.mark.parametrize("text", ["3e-4", "3E-04", "0.3e-3", "3.e-4", "0.0003"])
def test_numbers_are_written_as_people_write_them(dataset, tmp_path, write_recipe, text):
    assert recipes.load(write_recipe(dataset, tmp_path), [f"optimizer.adam_lr={text}"]).optimizer.adam_lr == 3e-4


def test_shards_of_another_tokenizer_are_refused(dataset, tmp_path, write_recipe):
    tokenizer.train(["something else"], 280).save(tmp_path)
    with pytest.raises(CodeGeeXError, match="another tokenizer"):
        loop.train(recipes.load(write_recipe(dataset, tmp_path), [f"data.tokenizer={tmp_path}"]))


def test_an_existing_output_is_refused(dataset, tmp_path, write_recipe):
    (tmp_path / "model").mkdir()
    with pytest.raises(CodeGeeXError, match="exists already"):
        loop.train(recipes.load(write_recipe(dataset, tmp_path)))
