"""Fine-tuning: examples of which only solutions are learned, low-rank adaptation, and what comes out of it."""

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch.distributed.checkpoint import FileSystemReader

import codegeex
from codegeex import checkpoint, tokenizer
from codegeex.cli.main import _run
from codegeex.errors import CodeGeeXError
from codegeex.model.transformer import CodeGeeX
from codegeex.training import loop, lora
from codegeex.training import recipe as recipes
from codegeex.training.data import make_batch
from codegeex.training.examples import Examples

PROMPT, SOLUTION = "def sub(a, b):\n", "    return a - b\n"


def write(path, examples):
    path.write_text("".join(json.dumps(example) + "\n" for example in examples))
    return path


texts = st.text("ab \n(é", max_size=40)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8), st.integers(4, 30), st.integers(1, 9))
def test_every_token_of_a_solution_is_learned_from_what_comes_before_it(byte_tokenizer, examples, length, stride):
    """And nothing else is: whatever attention lets a place see must end where its label begins in some example."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "a.jsonl", [{"prompt": p, "solution": s} for p, s in examples])
        try:
            windows = Examples(path, byte_tokenizer, length, stride)
        except CodeGeeXError:
            assert not any(p or s for p, s in examples)  # end-of-text alone, with nothing before it
            return
    assert windows.count == len(examples)
    batch = make_batch(np.stack([windows.window(row) for row in range(len(windows))]), byte_tokenizer.end_of_text)
    found = set()
    for row, place in batch.weights.nonzero().tolist():
        seen = batch.mask[row, 0, place].nonzero().flatten()
        found.add((*batch.input_ids[row, seen].tolist(), int(batch.labels[row, place])))
    wanted = set()
    for prompt, solution in examples:
        before = byte_tokenizer.encode(prompt)
        ids = [*before, *byte_tokenizer.encode(solution), byte_tokenizer.end_of_text]
        wanted |= {tuple(ids[: place + 1]) for place in range(max(1, len(before)), len(ids))}
    for one in found:
        assert any(whole[-len(one) :] == one for whole in wanted)
    for whole in wanted:
        assert any(whole[-len(one) :] == one for one in found)


def test_long_examples_are_cut_as_the_original_cuts_them(byte_tokenizer, tmp_path):
    text = "".join(chr(97 + place % 26) for place in range(120))
    windows = Examples(write(tmp_path / "a.jsonl", [{"code": text}]), byte_tokenizer, 32, 20)
    ids = [*byte_tokenizer.encode(text), byte_tokenizer.end_of_text]
    starts = [0, 20, 40, 60, 80, 121 - 33]
    assert [windows.window(index).tolist() for index in range(len(windows))] == [ids[s : s + 33] for s in starts]


def test_examples_may_be_packed(byte_tokenizer, tmp_path):
    path = write(tmp_path / "a.jsonl", [{"prompt": PROMPT, "solution": SOLUTION}])
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    one, other = Examples(path, byte_tokenizer, 64), Examples(packed, byte_tokenizer, 64)
    assert (one.window(0) == other.window(0)).all()


def test_a_language_puts_its_tag_before_the_prompt(byte_tokenizer, tmp_path):
    example = {"language": "go", "prompt": "// two\n", "solution": "x := 2\n"}
    windows = Examples(write(tmp_path / "a.jsonl", [example]), byte_tokenizer, 64)
    ids = windows.window(0)
    text = byte_tokenizer.decode([int(max(one, ~one)) for one in ids if one != ~byte_tokenizer.end_of_text])
    assert text.startswith("// language: Go\n// two\nx := 2\n")
    assert byte_tokenizer.decode([int(one) for one in ids if one >= 0]).startswith("x := 2\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"prompt": "a"}', "line 1: no file of examples"),
        ('{"solution": "a"}\n[1]', "line 2: no file of examples"),
        ('{"solution": 3}', "a text called solution"),
        ('{"solution": "a", "language": "klingon"}', "klingon"),
        ("not json", "line 1: no file of examples"),
        ("\n\n", "is empty"),
    ],
)
def test_bad_examples_are_named(byte_tokenizer, tmp_path, content, message):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(CodeGeeXError, match=message):
        Examples(tmp_path / "a.jsonl", byte_tokenizer, 16)
    with pytest.raises(CodeGeeXError, match="no file of examples that can be read: No such file"):
        Examples(tmp_path / "none.jsonl", byte_tokenizer, 16)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory, write_recipe):
    return loop.train(recipes.load(write_recipe(dataset, tmp_path_factory.mktemp("trained"))))


@pytest.fixture
def finetuning(dataset, trained, tmp_path, write_recipe):
    """A recipe that teaches the trained model another function."""
    examples = write(tmp_path / "examples.jsonl", [{"language": "python", "prompt": PROMPT, "solution": SOLUTION}] * 9)
    (tmp_path / "validation").mkdir()
    write(tmp_path / "validation" / "python.jsonl", [{"language": "python", "prompt": PROMPT, "solution": SOLUTION}])
    path = write_recipe(dataset, tmp_path, start=str(trained), samples=[f"# language: Python\n{PROMPT}"])
    content = json.loads(path.read_text())
    content["data"] |= {"streams": [{"examples": str(examples)}], "validation": str(tmp_path / "validation")}
    content |= {"schedule": {"steps": 40, "warmup": 2}, "validate_every": 20, "sample_tokens": 12}
    path.write_text(json.dumps(content))
    return path


LORA = ["lora.rank=4", "optimizer.adam_lr=0.03", "schedule.steps=60"]


@pytest.mark.parametrize("overrides", [[], LORA])
def test_a_model_learns_from_examples(finetuning, trained, tmp_path, overrides):
    records = []
    directory = loop.train(recipes.load(finetuning, overrides), records.append)
    validations = [record for record in records if "validation" in record]
    assert validations[-1]["validation"]["python"] < 0.2 * validations[0]["validation"]["python"]
    # What is written during the run is what the model, loaded by another engine, writes.
    samples = validations[-1]["samples"]
    assert samples[0]["text"].startswith(SOLUTION)
    model = codegeex.load(directory)
    assert model.complete(PROMPT, language="python", temperature=0.0, max_tokens=12).text.startswith(SOLUTION)
    # An ordinary model came out, and an int8 one of it works too.
    assert load_file(directory / "model.safetensors").keys() == load_file(trained / "model.safetensors").keys()
    assert _run(["convert", "int8", str(directory), str(tmp_path / "int8")]) == 0
    answer = codegeex.load(tmp_path / "int8").complete(PROMPT, language="python", temperature=0.0, max_tokens=12)
    assert answer.text.startswith(SOLUTION)
    assert "What it writes" in (directory / "report.html").read_text()


def test_low_rank_adaptation_changes_what_it_should_and_resumes_exactly(finetuning, trained, tmp_path):
    whole = loop.train(recipes.load(finetuning, [*LORA, f"output={tmp_path / 'whole'}"]))
    before, after = load_file(trained / "model.safetensors"), load_file(whole / "model.safetensors")
    for name, tensor in before.items():
        if name.endswith(("attention.dense.weight", "query.weight", "dense_h_to_4h.weight")):
            change = after[name].astype(np.float32) - tensor
            assert np.linalg.matrix_rank(change, tol=0.02) <= 4
            assert np.abs(change).max() > 0.01
        elif "embeddings" in name or name.endswith(".bias") or "layernorm" in name:
            np.testing.assert_array_equal(after[name], tensor)

    class Stop(Exception):
        pass

    def stop(record):
        if record.get("step") == 27 and "loss" in record:
            raise Stop

    recipe = recipes.load(finetuning, [*LORA, "save_every=9"])
    with pytest.raises(Stop):
        loop.train(recipe, stop)
    saved = FileSystemReader(tmp_path / "model.run" / "step-00000018").read_metadata().state_dict_metadata
    learned = {name for name in saved if name.startswith("model.")}
    assert len(learned) == 2 * 6 * 2  # up and down of six maps in two layers, and nothing of the model itself
    assert all(lora.MARK in name for name in learned)
    loop.train(recipe)
    for name, tensor in load_file(tmp_path / "model" / "model.safetensors").items():
        np.testing.assert_array_equal(tensor, after[name])


def test_two_processes_adapt_as_one_does(finetuning, tmp_path, launch):
    """The model in shards (ZeRO-3), its frozen part among them; interrupted and resumed."""
    overrides = ["lora.rank=4", "schedule.steps=12", "save_every=4", "validate_every=12", "optimizer.adam_lr=0.01"]
    alone = loop.train(recipes.load(finetuning, [*overrides, f"output={tmp_path / 'alone'}"]))
    shared = [*overrides, f"output={tmp_path / 'shared'}", "layout.reshard=true"]
    launch(2, [[str(finetuning), shared, 6], [str(finetuning), shared, None]], tmp_path)
    expected = load_file(alone / "model.safetensors")
    for name, tensor in load_file(tmp_path / "shared" / "model.safetensors").items():
        np.testing.assert_allclose(tensor.astype(float), expected[name].astype(float), atol=2e-3)


def test_a_merged_model_computes_the_same(tiny_config):
    torch.manual_seed(0)
    model = CodeGeeX(tiny_config).initialize()
    ids = torch.randint(0, tiny_config.vocab_size, (2, 20))
    before = model(ids)
    lora.adapt(model, recipes.Lora(rank=3, alpha=6))
    for name, parameter in model.named_parameters():
        if lora.MARK in name:
            torch.nn.init.zeros_(parameter) if name.endswith("up") else torch.nn.init.normal_(parameter)
    torch.testing.assert_close(model(ids), before)
    for name, parameter in model.named_parameters():
        if name.endswith("up"):
            torch.nn.init.normal_(parameter, std=0.02)
    adapted = model(ids)
    assert (adapted - before).abs().max() > 0.01
    query = model.layers[0].attention.query
    by_hand = (
        query.parametrizations.weight.original
        + 2 * query.parametrizations.weight[0].up @ query.parametrizations.weight[0].down
    )
    lora.merge(model)
    torch.testing.assert_close(model.layers[0].attention.query.weight, by_hand)
    torch.testing.assert_close(model(ids), adapted)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["lora.rank=-1"], "lora.rank must be 0"),
        (["lora.rank=4", "start=''"], "lora needs a model to start from"),
        (["lora.rank=4", "layout.tensor=2"], "layout.tensor=1"),
        (["data.streams=[{weight: 1}]"], "either shards or examples"),
        (["data.streams=[{examples: a.jsonl, shards: b}]"], "either shards or examples"),
        (["tracking=paper"], "tracking must be one of none, tensorboard"),
    ],
)
def test_bad_settings_are_refused(finetuning, overrides, message):
    with pytest.raises(CodeGeeXError, match=message):
        recipes.load(finetuning, overrides)


def test_int8_models_can_be_adapted(finetuning, trained, tmp_path):
    source = checkpoint.Int8Source(checkpoint.NativeSource(trained))
    checkpoint.write_model(tmp_path / "int8", source, tokenizer.load(trained))
    records = []
    loop.train(recipes.load(finetuning, [f"start={tmp_path / 'int8'}", *LORA]), records.append)
    assert records[-1]["validation"]["python"] < 0.3 * records[0]["validation"]["python"]
