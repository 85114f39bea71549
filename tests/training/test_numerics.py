"""Half precision, the guard, dropout, and the paper's Adam, against their definitions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from torch import nn

from codegeex.model.loss import cross_entropy
from codegeex.training import loop
from codegeex.training import recipe as recipes
from codegeex.training.guard import MOST_SKIPPED, RECENT, Guard
from codegeex.training.muon import Muon, orthogonalize
from codegeex.training.optimizer import make_optimizers, set_rate

CHANGES = {"schedule": {"steps": 24, "warmup": 3}, "save_every": 5, "validate_every": 30, "batch_size": 4}
HALF = ["precision=float16", "guard.loss_scale=4294967296", "guard.window=6", "dropout=0.1", "optimizer.muon_lr=0.0"]


class Crash(Exception):
    pass


def train(path, overrides=(), crash_at=None):
    records = []

    def report(record):
        records.append(record)
        if record.get("step") == crash_at and "loss" in record:
            raise Crash

    loop.train(recipes.load(path, list(overrides)), report)
    return [record for record in records if "loss" in record]


def test_adam_without_bias_correction_is_the_papers():
    """w ← w − lr (m / (√v + ε) + λ w), in plain float64 arithmetic, one step of which is skipped."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"some_embeddings": nn.Linear(3, 4).double(), "layernorm": nn.LayerNorm(3).double()})
    expected = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    moments = {name: [torch.zeros_like(value), torch.zeros_like(value)] for name, value in expected.items()}
    optimizers = make_optimizers(model, recipes.Optimizer(muon_lr=0.0, adam_lr=0.01, weight_decay=0.1))
    for step in range(6):
        factor = (step + 1) / 6
        set_rate(optimizers, factor, bias_correction=False)
        if step == 2:
            continue
        for name, parameter in model.named_parameters():
            gradient = parameter.grad = torch.randn_like(parameter) * 10.0 ** (-step)
            m, v = moments[name]
            m.mul_(0.9).add_(0.1 * gradient)
            v.mul_(0.95).add_(0.05 * gradient**2)
            decay = 0.1 if parameter.ndim > 1 else 0.0
            expected[name] = expected[name] - 0.01 * factor * (m / (v.sqrt() + 1e-8) + decay * expected[name])
        for optimizer in optimizers:
            optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_scaled_loss_keeps_gradients_that_half_precision_has_no_numbers_for(dtype):
    torch.manual_seed(0)
    hidden, table = torch.randn(4096, 16), torch.randn(50, 16) * 0.02
    labels, weights = torch.randint(0, 50, (4096,)), torch.ones(4096)
    exact = hidden.clone().requires_grad_()
    nn.functional.cross_entropy(exact @ table.T, labels).backward()
    scale = 2.0**14
    low, rows = hidden.to(dtype).requires_grad_(), table.clone().requires_grad_()
    (cross_entropy(low, rows, labels, weights) * scale).backward()
    found = low.grad.float() / scale
    error = (exact.grad - found).norm() / exact.grad.norm()
    assert error < (0.002 if dtype is torch.float16 else 0.01)
    if dtype is torch.float16:  # what the scale is for
        unscaled = hidden.to(dtype).requires_grad_()
        cross_entropy(unscaled, table, labels, weights).backward()
        assert (exact.grad - unscaled.grad.float()).norm() / exact.grad.norm() > 2 * error


def test_float16_learns_as_float32(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    changes = ["optimizer.muon_lr=0.0"]
    single = train(path, [f"output={tmp_path / 'single'}", *changes])
    half = train(path, [f"output={tmp_path / 'half'}", *changes, "precision=float16", "guard.loss_scale=512"])
    assert half[-1]["skipped"] == 0
    for one, other in zip(half, single, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=0.02)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=0.05)


def test_float16_finds_its_scale(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES | {"schedule": {"steps": 80, "warmup": 5}})
    half = train(path, [f"output={tmp_path / 'half'}", *HALF[:2], "optimizer.muon_lr=0.0"])
    scales = [record["loss_scale"] for record in half]
    skipped = [record["skipped"] for record in half]
    assert scales == [2.0 ** (32 - count) for count in [0, *skipped[:-1]]]  # a halving for each step that is not taken
    assert skipped[9] == 10
    assert 10 < skipped[-1] < 25
    assert half[-1]["loss"] < 1 < 5 < half[0]["loss"]
    assert half[-1]["gradient_norm"] < 10  # the scale is taken off


def test_half_precision_and_dropout_resume_exactly(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    whole = train(path, [f"output={tmp_path / 'whole'}", *HALF])
    cut = [f"output={tmp_path / 'cut'}", *HALF]
    for moment in (9, 22):
        with pytest.raises(Crash):
            train(path, cut, crash_at=moment)
    last = train(path, cut)
    keys = ("step", "loss", "gradient_norm", "skipped", "loss_scale")
    assert [[record[key] for key in keys] for record in last] == [
        [record[key] for key in keys] for record in whole[20:]
    ]
    expected, found = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_dropout_is_used_and_the_seed_decides_it(dataset, tmp_path, write_recipe):
    path = write_recipe(dataset, tmp_path, **CHANGES)

    def losses(name, *overrides):
        return [record["loss"] for record in train(path, [f"output={tmp_path / name}", *overrides])]

    with_dropout = losses("a", "dropout=0.3")
    assert with_dropout == losses("b", "dropout=0.3")
    assert with_dropout != losses("c")
    assert np.mean(with_dropout[-5:]) > np.mean(losses("d")[-5:])


def make_guard(precision="bfloat16", **settings):
    recipe = recipes.Recipe("x", precision=precision, guard=recipes.Guard(**settings))
    return Guard(recipe)


def test_the_scale_is_halved_and_doubled():
    guard = make_guard("float16", loss_scale=8, window=3)
    norms = [math.inf, math.nan, 1, 1, 1, 1, 1, math.inf, 1, 1, 1]
    scales = []
    for norm in norms:
        guard.admits(1.0, norm)
        scales.append(guard.scale)
    assert scales == [4, 2, 2, 2, 4, 4, 4, 2, 2, 2, 4]
    assert guard.skipped == 3


def test_overflows_are_hopeless_only_where_no_scale_is_left():
    guard = make_guard("float16", loss_scale=2.0**20)
    for _ in range(20):
        assert not guard.admits(1.0, math.inf)
    assert guard.scale == 1
    assert not guard.hopeless
    for _ in range(MOST_SKIPPED):
        guard.admits(1.0, math.inf)
    assert guard.hopeless


def test_a_spike_is_skipped_and_a_new_level_is_not_for_ever():
    guard, random = make_guard(spike=6), np.random.default_rng(0)
    usual = random.normal(2, 0.1, 2 * RECENT)
    assert all(guard.admits(float(loss), 1.0) for loss in usual)
    assert not guard.admits(4.0, 1.0)
    assert guard.admits(2.1, 1.0)
    taken = [guard.admits(3.5, 1.0) for _ in range(20)]
    assert all(taken[5:])
    assert make_guard().admits(1e9, 1.0)  # off unless asked for


@given(
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from([1.0, math.inf])), max_size=40),
    st.lists(st.tuples(st.floats(0, 10), st.sampled_from([1.0, math.inf])), max_size=40),
)
def test_a_guard_goes_on_from_its_state(before, after):
    first, second = (make_guard("float16", window=3, spike=1) for _ in range(2))
    for loss, norm in before:
        first.admits(loss, norm)
    second.restore(first.state())
    assert [first.admits(*one) for one in after] == [second.admits(*one) for one in after]
    assert first.state() == second.state()


def test_a_processor_without_bfloat16_computes_in_float32(dataset, tmp_path, write_recipe, monkeypatch):
    path = write_recipe(dataset, tmp_path, **CHANGES)
    losses = {}
    for capability, precision in (("AVX2", "bfloat16"), ("AVX2", "float32"), ("AVX512", "bfloat16")):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        records = train(path, [f"output={tmp_path / capability / precision}", f"precision={precision}"])
        losses[capability, precision] = [record["loss"] for record in records]
    assert losses["AVX2", "bfloat16"] == losses["AVX2", "float32"] != losses["AVX512", "bfloat16"]
    matrix = torch.randn(16, 32)
    assert orthogonalize(matrix).dtype is torch.bfloat16
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert orthogonalize(matrix).dtype is torch.float32


def test_muon_takes_pytorchs_steps(monkeypatch):
    """Ours differs where processes share a matrix, or bfloat16 is slow; else both write the same bits."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    torch.manual_seed(3)
    shapes = [(8, 8), (32, 8), (8, 32)]
    ours, theirs = ([nn.Parameter(torch.randn(shape)) for shape in shapes] for _ in range(2))
    for one, other in zip(ours, theirs, strict=True):
        other.data.copy_(one.data)
    settings = {"lr": 0.03, "weight_decay": 0.1, "momentum": 0.95}
    optimizers = Muon(ours, **settings), torch.optim.Muon(theirs, **settings)
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        for one, other in zip(ours, theirs, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("shape", [(16, 16), (64, 16), (16, 64)])
def test_orthogonalized_matrices_turn_and_do_not_stretch(shape):
    torch.manual_seed(4)
    rank = min(shape)
    matrix = torch.randn(shape[0], rank) @ torch.diag(torch.logspace(0, -1, rank)) @ torch.randn(rank, shape[1])
    turned = orthogonalize(matrix).float()
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(turned)
    assert values.max() < 1.3
    assert values.min() > 0.3
    nearest = u @ v
    assert torch.nn.functional.cosine_similarity(turned.flatten(), nearest.flatten(), dim=0) > 0.95
    assert (s[0] / s[-1]) > 5  # what it had to even out
