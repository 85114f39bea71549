"""Official checkpoints in every form they come in give the model that they were made from."""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codegeex.model
from codegeex.checkpoint import NativeSource, OfficialSource, TensorSource, write_model
from codegeex.config import PRESETS
from codegeex.engine import Backend
from codegeex.engine.numpy_backend import NumpyBackend
from codegeex.engine.torch_backend import TorchBackend
from codegeex.errors import CodeGeeXError
from codegeex.model import CodeGeeX

TINY = Path(__file__).resolve().parents[3] / "shared" / "data" / "official-tiny"

IDS = torch.tensor([[5, 0, 47, 3, 3, 21, 8], [1, 2, 46, 9, 30, 0, 11]])

FORMS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "released": lambda official, state: {"module": official.nest(state)},
    "without module": lambda official, state: official.nest(state),
    "flat names": lambda official, state: state,
    "flat names under module": lambda official, state: {"module": state},
    "short flat names": lambda official, state: {
        name.removeprefix("language_model.").removeprefix("transformer."): tensor for name, tensor in state.items()
    },
    "beside an optimizer": lambda official, state: {
        "optimizer": {"step": 7, "layers.0.attention.query.weight": torch.ones(3)},
        "module": official.nest(state),
        "iteration": 7,
        "lr_scheduler": None,
        "args": argparse.Namespace(layers=2, dtype=torch.float16, device=torch.device("cpu")),
        "rng": np.random.default_rng(0).random(3),
    },
    "parameters of a module": lambda official, state: {
        "module": official.nest({name: torch.nn.Parameter(tensor) for name, tensor in state.items()})
    },
    "fused": lambda official, state: {"module": official.nest(official.fuse(state))},
    "transposed": lambda official, state: {
        "module": official.nest({name: tensor.t().contiguous().t() for name, tensor in state.items()})
    },
    "one storage": lambda official, state: {"module": official.nest(in_one_storage(state))},
}


def in_one_storage(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Every tensor a view at an offset of the same storage."""
    storage = torch.cat([tensor.flatten() for tensor in state.values()])
    sizes = [tensor.numel() for tensor in state.values()]
    views = storage.split(sizes)
    return {name: view.view(tensor.shape) for (name, tensor), view in zip(state.items(), views, strict=True)}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tensors(form, tmp_path, official, state, model, same_tensors) -> None:
    torch.save(FORMS[form](official, state), tmp_path / "model.pt")
    source = OfficialSource(tmp_path / "model.pt", official.heads)
    assert source.config == model.config
    same_tensors(source, model)


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_tensor_parallel_parts_are_joined(parts, fused, tmp_path, official, state, model, same_tensors) -> None:
    states = [official.fuse(part) if fused else part for part in official.split(state, parts)]
    source = OfficialSource(official.save_parts(tmp_path / "parts", states), official.heads)
    assert source.config == model.config
    same_tensors(source, model)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("parts", [1, 2])
def test_logits_of_the_converted_model(dtype, parts, tmp_path, official, state, model, same_tensors) -> None:
    """The precision of the file is kept; the reference is the module itself, its weights rounded to that precision."""
    rounded = copy.deepcopy(model).to(dtype).float()
    states = official.split({name: tensor.to(dtype) for name, tensor in state.items()}, parts)
    write_model(tmp_path / "native", OfficialSource(official.save_parts(tmp_path / "parts", states), official.heads))

    native = NativeSource(tmp_path / "native")
    assert {spec.dtype for spec in native.specs.values()} == {native_name(dtype)}
    same_tensors(native, rounded)
    with torch.inference_mode():
        actual = codegeex.model.load(tmp_path / "native")(IDS)
        torch.testing.assert_close(actual, rounded(IDS), atol=1e-5, rtol=0)


def native_name(dtype: torch.dtype) -> str:
    return {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}[dtype]


def test_a_directory_with_one_file(released, official, model, same_tensors) -> None:
    same_tensors(OfficialSource(released.parent, official.heads), model)


def test_heads_are_taken_from_a_preset_of_the_same_shape(released, official, monkeypatch) -> None:
    with pytest.raises(CodeGeeXError, match="num_attention_heads"):
        OfficialSource(released)
    monkeypatch.setitem(PRESETS, "like this one", official.config)
    assert OfficialSource(released).config == official.config


def test_feed_forward_width_is_inferred(tmp_path, official) -> None:
    config = codegeex.config.ModelConfig(16, 0, 2, 24, max_position_embeddings=8, ffn_hidden_size=40)
    path = official.save(tmp_path / "model.pt", official.state(CodeGeeX(config).initialize()))
    assert OfficialSource(path, {"num_attention_heads": 2}).config == config


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_smaller_vocabulary_keeps_the_first_rows(parts, tmp_path, official, state, model) -> None:
    path = official.save_parts(tmp_path / "parts", official.split(state, parts))
    source = OfficialSource(path, official.heads | {"vocab_size": 41})
    assert source.specs["word_embeddings.weight"].shape == (41, 32)
    write_model(tmp_path / "native", source)
    with torch.inference_mode():
        expected = model(IDS % 41)[..., :41]
        torch.testing.assert_close(codegeex.model.load(tmp_path / "native")(IDS % 41), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"vocab_size": 49}, "word_embeddings.weight"),
        ({"hidden_size": 64}, "word_embeddings.weight"),
        ({"max_position_embeddings": 8}, "position_embeddings.weight"),
        ({"num_layers": 3}, "layers.2.input_layernorm.weight"),
        ({"num_layers": 1}, "layers.1."),
        ({"num_layers": 10**12}, "1000000000000 layers"),
        ({"ffn_hidden_size": 64}, "layers.0.mlp.dense_h_to_4h.weight"),
        ({"num_attention_heads": 5}, "num_attention_heads"),
        ({"hidden_size": "32"}, "hidden_size"),
        ({"format_version": 99}, "version 99"),
    ],
    ids=str,
)
def test_a_config_that_contradicts_the_tensors(change, name, released, official, refused) -> None:
    refused(lambda: OfficialSource(released, official.heads | change), name)


# The tiny checkpoint made with the original code, and what the original code computes with it.


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not TINY.is_dir():
        pytest.skip("the official tiny checkpoint is not beside the repository (shared/data/official-tiny)")
    directory = tmp_path_factory.mktemp("tiny") / "native"
    config = json.loads((TINY / "config.json").read_text())
    write_model(directory, OfficialSource(TINY / "codegeex_tiny.pt", config))
    return directory


@pytest.fixture(scope="module")
def expected(tiny: Path) -> dict[str, Any]:
    with np.load(TINY / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture(params=["numpy", "torch"])
def backend(request: pytest.FixtureRequest, tiny: Path) -> Backend:
    if request.param == "numpy":
        return NumpyBackend(NativeSource(tiny))
    return TorchBackend(codegeex.model.load(tiny))


def assert_logits(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_official_logits_of_the_module(tiny, expected) -> None:
    module, ids = codegeex.model.load(tiny), torch.from_numpy(expected["input_ids"])
    assert_logits(module(ids), expected["logits"])


def test_official_logits_of_a_backend(backend, expected) -> None:
    """Each prefix in one pass; then both sequences together, token by token through the cache."""
    ids, logits = expected["input_ids"], expected["logits"]
    for length in (1, 2, 17, ids.shape[1]):
        for row, wanted in zip(ids, logits, strict=True):
            handle, last = backend.prefill(row[:length].tolist())
            assert_logits(last, wanted[length - 1])
            backend.free(handle)
    handles, first = zip(*(backend.prefill([start]) for start in ids[:, 0].tolist()), strict=True)
    assert_logits(np.stack(first), logits[:, 0])
    for position in range(1, ids.shape[1]):
        assert_logits(backend.decode(handles, ids[:, position].tolist()), logits[:, position])


def test_official_greedy_ids(backend, expected) -> None:
    ids = expected["greedy_prompt"].tolist()
    handle, logits = backend.prefill(ids)
    while True:
        ids.append(int(logits.argmax()))
        if len(ids) == len(expected["greedy_ids"]):
            break
        logits = backend.decode([handle], ids[-1:])[0]
    assert ids == expected["greedy_ids"].tolist()


def test_official_checkpoint_is_read_bit_for_bit(tiny) -> None:
    """Against torch.load, name by name."""
    module = torch.load(TINY / "codegeex_tiny.pt", map_location="cpu", weights_only=True)["module"]["language_model"]
    source: TensorSource = NativeSource(tiny)
    for name, tensor in module["transformer"].items():
        native = source.read(name.replace("topQueryLayer", "top_query_layer"))
        np.testing.assert_array_equal(native, tensor.numpy(), name)
    for native_table, tensor in {
        "word_embeddings": module["embedding"]["word_embeddings"]["weight"],
        "position_embeddings": module["embedding"]["position_embeddings"]["weight"],
        "query_embeddings": module["topQueryEmbedding"]["top_query_embeddings"]["weight"],
    }.items():
        np.testing.assert_array_equal(source.read(f"{native_table}.weight"), tensor.numpy(), native_table)
