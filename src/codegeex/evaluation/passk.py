"""Scores and what can be said about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

KS = (1, 10, 100)
"""What the paper reports."""

TRAINING_SHARES = {"cpp": 34.34, "python": 32.14, "java": 19.26, "javascript": 8.59, "go": 5.68}
"""Per cent of the paper's corpus, among the benchmark's languages (figure of the project's page)."""


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that of `k` samples out of so many, at least one passes; unbiased (Chen et al., 2021, equation 1).

    Raises:
        ValueError: fewer samples than k.
    """
    if not 0 <= passed <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} of {passed} in {samples} samples makes no sense")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def mean_pass_at_k(counts: Sequence[tuple[int, int]], k: int) -> float:
    """The mean over problems of `pass_at_k`; each is (samples, passed)."""
    return math.fsum(pass_at_k(samples, passed, k) for samples, passed in counts) / len(counts)


def interval(
    counts: Sequence[tuple[int, int]], k: int, draws: int = 2000, kinds: Sequence[str] | None = None
) -> tuple[float, float]:
    """Where 95 % of the scores lie that other problems would have given: a bootstrap over problems.

    Args:
        counts: (samples, passed) of each problem.
        k: of pass@k.
        draws: of the bootstrap.
        kinds: of each problem, where several are of one kind and stand or fall together; kinds are then drawn whole.
    """
    values = np.array([pass_at_k(samples, passed, k) for samples, passed in counts])
    _, kind = np.unique(np.arange(len(values)) if kinds is None else np.array(kinds), return_inverse=True)
    sums, sizes = np.bincount(kind, values), np.bincount(kind)
    random = np.random.default_rng(0)  # the same scores, the same interval
    drawn = random.integers(0, len(sums), (draws, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def shared_budget(counts: Mapping[str, Sequence[tuple[int, int]]], budget: Mapping[str, int]) -> float:
    """The share of problems that at least one sample solves where languages share a budget (paper, section 4.4).

    Args:
        counts: (samples, passed) of every problem, for each language, in one order.
        budget: samples in each language.
    """
    numbers = {len(values) for values in counts.values()}
    if len(numbers) != 1:
        raise ValueError("the languages must have the same problems")
    total = 0.0
    for problem in range(numbers.pop()):
        missed = 1.0
        for language, k in budget.items():
            samples, passed = counts[language][problem]
            missed *= math.comb(samples - passed, k) / math.comb(samples, k)
        total += 1.0 - missed
    return total / len(next(iter(counts.values())))


def split(budget: int, weights: Mapping[str, float]) -> dict[str, int]:
    """A budget in whole samples, as near to the weights as can be (largest remainders)."""
    total = math.fsum(weights.values())
    exact = {name: budget * weight / total for name, weight in weights.items()}
    parts = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: parts[name] - exact[name])[: budget - sum(parts.values())]:
        parts[name] += 1
    return parts


def paired_p_value(ours: Sequence[float], theirs: Sequence[float], draws: int = 10000) -> float:
    """How often chance alone would make two runs differ as much: a permutation test over problems, two-sided.

    With up to 16 problems that differ, over all permutations; otherwise over so many random ones.
    """
    differences: NDArray[np.float64] = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    seen = abs(differences.sum()) - 1e-12
    if len(differences) <= 16:
        bits = np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences)) & 1
        return float((np.abs((1 - 2 * bits) @ differences) >= seen).mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (draws, len(differences)))
    # The permutation that was observed is one of those counted: a p-value is never zero.
    return float((1 + (np.abs(signs @ differences) >= seen).sum()) / (1 + draws))
