"""The chunked loss against the plain one, in float64."""

from __future__ import annotations

import pytest
import torch

from codegeex.model.loss import CHUNK, cross_entropy


@pytest.mark.parametrize("count", [1, 7, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
@pytest.mark.parametrize("weighting", ["all", "some left out", "uneven"])
def test_value_and_gradients(count: int, weighting: str) -> None:
    torch.manual_seed(count)
    hidden = torch.randn(count, 6, requires_grad=True)
    embeddings = torch.randn(11, 6, requires_grad=True)
    labels = torch.randint(0, 11, (count,))
    weights = {
        "all": torch.ones(count),
        "some left out": (torch.arange(count) % 3 != 1).float(),
        "uneven": torch.rand(count) + 0.1,
    }[weighting]
    loss = cross_entropy(hidden, embeddings, labels, weights)
    (3 * loss).backward()

    exact_hidden = hidden.detach().double().requires_grad_()
    exact_embeddings = embeddings.detach().double().requires_grad_()
    losses = torch.nn.functional.cross_entropy(exact_hidden @ exact_embeddings.T, labels, reduction="none")
    expected = (losses * weights).sum() / weights.double().sum()
    (3 * expected).backward()

    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-6)
    assert hidden.grad is not None
    assert embeddings.grad is not None
    torch.testing.assert_close(hidden.grad.double(), exact_hidden.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(embeddings.grad.double(), exact_embeddings.grad, rtol=1e-4, atol=1e-6)


def test_nothing_to_learn_from_is_no_loss() -> None:
    hidden = torch.randn(4, 6, requires_grad=True)
    loss = cross_entropy(hidden, torch.randn(11, 6), torch.zeros(4, dtype=torch.long), torch.zeros(4))
    loss.backward()
    assert loss.item() == 0
    assert not hidden.grad.any()


def test_half_precision_projects_in_half_and_sums_in_float32() -> None:
    torch.manual_seed(0)
    hidden, embeddings = torch.randn(50, 16, dtype=torch.bfloat16), torch.randn(30, 16)
    labels = torch.randint(0, 30, (50,))
    expected = torch.nn.functional.cross_entropy(hidden.float() @ embeddings.bfloat16().float().T, labels)
    loss = cross_entropy(hidden.requires_grad_(), embeddings.requires_grad_(), labels, torch.ones(50))
    loss.backward()
    assert loss.dtype == torch.float32
    assert (hidden.grad.dtype, embeddings.grad.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(loss, expected, rtol=1e-2, atol=1e-2)
