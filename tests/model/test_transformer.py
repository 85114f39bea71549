"""The PyTorch module against the paper, written out again in float64 and plain numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from codegeex.config import PRESETS, ModelConfig, preset
from codegeex.model import CodeGeeX, fast_gelu, load
from codegeex.training.data import make_batch

Array = NDArray[np.float64]

TRAPS = (
    "residual is the query",
    "residual is normalised",
    "query is normalised",
    "query is of the next position",
    "query is the token",
    "keys see u unnormalised",
    "layer norm after",
    "first layer norm missing",
)
"""Ways to wire the top query layer wrongly (facts, section 1.5)."""


class Reference:
    """The forward pass of facts section 1 for one sequence, one head and one query at a time."""

    def __init__(self, model: CodeGeeX, trap: str | None = None):
        self.config = model.config
        self.trap = trap
        self.weights: dict[str, Array] = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def logits(self, ids: list[int]) -> Array:
        """[T, V]."""
        words, positions = self.weights["word_embeddings.weight"], self.weights["position_embeddings.weight"]
        x = np.stack([words[token] + positions[place] for place, token in enumerate(ids)])
        for index in range(self.config.num_layers):
            name = f"layers.{index}"
            normed = self.layer_norm(f"{name}.input_layernorm", x)
            x = x + self.attention(name, normed, normed)
            x = x + self.mlp(name, x)
        u = x if self.trap == "first layer norm missing" else self.layer_norm("final_layernorm", x)
        return self.top_query_layer(u, x) @ words.T

    def top_query_layer(self, u: Array, x: Array) -> Array:
        name = "top_query_layer"
        n = self.layer_norm(f"{name}.input_layernorm", u)
        places = np.arange(len(u)) + (self.trap == "query is of the next position")
        query = self.weights["query_embeddings.weight"][places]
        residual = {"residual is the query": query, "residual is normalised": n}.get(self.trap or "", u)
        if self.trap == "query is normalised":
            query = self.layer_norm(f"{name}.input_layernorm", query)
        if self.trap == "query is the token":
            query = n
        z = residual + self.attention(name, query, u if self.trap == "keys see u unnormalised" else n)
        z = z + self.mlp(name, z)
        return self.layer_norm("final_layernorm", z) if self.trap == "layer norm after" else z

    def attention(self, name: str, query_input: Array, x: Array) -> Array:
        query = self.linear(f"{name}.attention.query", query_input)
        key = self.linear(f"{name}.attention.key", x)
        value = self.linear(f"{name}.attention.value", x)
        size = self.config.hidden_size // self.config.num_attention_heads
        context = np.zeros_like(query)
        for head in range(self.config.num_attention_heads):
            part = slice(head * size, (head + 1) * size)
            for i in range(len(x)):
                scores = np.array([query[i, part] @ key[j, part] / math.sqrt(size) for j in range(len(x))])
                scores += np.where(np.arange(len(x)) > i, -10000.0, 0.0)
                weights = np.exp(scores - scores.max())
                context[i, part] = weights / weights.sum() @ value[:, part]
        return self.linear(f"{name}.attention.dense", context)

    def mlp(self, name: str, x: Array) -> Array:
        hidden = self.linear(f"{name}.mlp.dense_h_to_4h", self.layer_norm(f"{name}.post_attention_layernorm", x))
        gelu = hidden * np.exp(0.851 * (hidden - abs(hidden))) / (1 + np.exp(-1.702 * abs(hidden)))
        return self.linear(f"{name}.mlp.dense_4h_to_h", gelu)

    def linear(self, name: str, x: Array) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def layer_norm(self, name: str, x: Array) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def random_ids(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 400, count).tolist()


@torch.no_grad()
def forward(model: CodeGeeX, ids: list[int], **arguments: Any) -> NDArray[np.float32]:
    return model(torch.tensor([ids]), **arguments)[0].numpy()


@pytest.mark.parametrize("length", [1, 2, 17])
def test_logits_are_those_of_the_paper(tiny_model: CodeGeeX, length: int) -> None:
    ids = random_ids(length)
    np.testing.assert_allclose(forward(tiny_model, ids), Reference(tiny_model).logits(ids), atol=1e-4)


@pytest.mark.parametrize("trap", TRAPS)
def test_a_wrong_top_query_layer_would_be_noticed(tiny_model: CodeGeeX, trap: str) -> None:
    ids = random_ids(6)
    assert abs(forward(tiny_model, ids) - Reference(tiny_model, trap).logits(ids)).max() > 0.01


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (-4, -0.00441472),
        (-2, -0.06434138),
        (-1, -0.15420423),
        (-0.5, -0.14961156),
        (0, 0),
        (0.5, 0.35038844),
        (1, 0.84579577),
        (2, 1.93565862),
        (4, 3.99558528),
    ],
)
def test_fast_gelu(x: float, expected: float) -> None:
    assert fast_gelu(torch.tensor(x, dtype=torch.float64)).item() == pytest.approx(expected, abs=5e-9)


def test_too_many_tokens_are_refused(tiny_model: CodeGeeX) -> None:
    longest = tiny_model.config.max_position_embeddings
    assert forward(tiny_model, random_ids(longest)).shape == (longest, tiny_model.config.vocab_size)
    with pytest.raises(ValueError, match="97 tokens exceed"):
        forward(tiny_model, random_ids(longest + 1))


@torch.no_grad()
def test_packed_documents_are_computed_as_if_alone(tiny_model: CodeGeeX) -> None:
    end = 399
    documents = [[*random_ids(count, count), end] for count in (5, 0, 9)] + [random_ids(3, 8)]
    documents = [
        [token % 399 if place < len(ids) - 1 else token for place, token in enumerate(ids)] for ids in documents
    ]
    window = np.array([[*(token for ids in documents for token in ids), 0]])
    batch = make_batch(window, end)
    logits = tiny_model(batch.input_ids, batch.position_ids, batch.mask)[0].numpy()
    alone = np.concatenate([forward(tiny_model, ids) for ids in documents])
    np.testing.assert_allclose(logits, alone, atol=1e-4)
    assert batch.position_ids[0].tolist() == [place for ids in documents for place in range(len(ids))]
    assert batch.weights[0].tolist() == [float(token != end) for ids in documents for token in ids]


def test_the_future_does_not_matter(tiny_model: CodeGeeX) -> None:
    ids = random_ids(10)
    changed = [*ids[:6], *random_ids(4, 9)]
    np.testing.assert_allclose(forward(tiny_model, ids)[:6], forward(tiny_model, changed)[:6], atol=1e-5)


def test_initialisation() -> None:
    model = CodeGeeX(ModelConfig(128, 8, 4, 1000, 300))
    torch.manual_seed(0)
    model.initialize()
    for name, parameter in model.named_parameters():
        values = parameter.detach().double()
        if name.endswith(".bias"):
            assert not values.any(), name
        elif "layernorm" in name:
            assert (values == 1).all(), name
        else:
            residual = name.endswith(("attention.dense.weight", "mlp.dense_4h_to_h.weight"))
            expected = 0.02 / math.sqrt(2 * 8) if residual else 0.02
            assert values.std().item() == pytest.approx(expected, rel=0.03), name
            assert abs(values.mean().item()) < 0.03 * expected, name


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_size_they_claim(name: str) -> None:
    with torch.device("meta"):
        model = CodeGeeX(preset(name))
    assert sum(parameter.numel() for parameter in model.parameters()) == preset(name).num_parameters


def test_the_released_model_has_the_published_size() -> None:
    assert preset("13b").num_parameters == 12_873_943_040


def test_dropout_acts_in_training_only(tiny_config: ModelConfig) -> None:
    torch.manual_seed(0)
    model = CodeGeeX(tiny_config, dropout=0.5).initialize()
    ids = random_ids(8)
    assert not np.allclose(forward(model.train(), ids), forward(model, ids))
    np.testing.assert_array_equal(forward(model.eval(), ids), forward(model, ids))


def test_a_model_directory_gives_the_same_model(tiny_model: CodeGeeX, tiny_directory: Any) -> None:
    loaded = load(tiny_directory)
    assert not loaded.training
    np.testing.assert_array_equal(forward(loaded, random_ids(5)), forward(tiny_model, random_ids(5)))
