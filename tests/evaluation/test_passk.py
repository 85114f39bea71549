"""Scores against brute force and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.evaluation import passk


@pytest.mark.parametrize("n", range(1, 9))
def test_pass_at_k_is_the_share_of_choices_with_a_pass(n):
    for c, k in product(range(n + 1), range(1, n + 1)):
        chosen = list(combinations([True] * c + [False] * (n - c), k))
        assert passk.pass_at_k(n, c, k) == pytest.approx(sum(map(any, chosen)) / len(chosen), abs=1e-15)


@given(st.integers(1, 400), st.data())
def test_pass_at_k_is_exact(n, data):
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    exact = Fraction(1)
    for i in range(n - c + 1, n + 1):  # the paper's product, in fractions
        exact *= 1 - Fraction(k, i)
    expected = Fraction(1) if n - c < k else 1 - exact
    assert passk.pass_at_k(n, c, k) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 6), (5, 2, 0)])
def test_what_makes_no_sense_is_refused(n, c, k):
    with pytest.raises(ValueError, match="makes no sense"):
        passk.pass_at_k(n, c, k)


def test_a_shared_budget_counts_problems_that_any_sample_solves():
    counts = {"python": [(4, 1), (4, 0)], "go": [(4, 2), (4, 3)]}
    budget = {"python": 2, "go": 1}
    expected = []
    for problem in range(2):
        solved = []
        outcomes = {
            name: [True] * values[problem][1] + [False] * (4 - values[problem][1]) for name, values in counts.items()
        }
        for first in combinations(outcomes["python"], 2):
            for second in combinations(outcomes["go"], 1):
                solved.append(any(first + second))
        expected.append(np.mean(solved))
    assert passk.shared_budget(counts, budget) == pytest.approx(np.mean(expected))


@given(st.integers(0, 200), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_a_split_budget_is_whole_and_near(budget, weights):
    named = {str(i): weight for i, weight in enumerate(weights)}
    parts = passk.split(budget, named)
    assert sum(parts.values()) == budget
    for name, weight in named.items():
        assert abs(parts[name] - budget * weight / sum(weights)) < 1 + 1e-9


def test_the_interval_covers_as_often_as_it_says():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        chances = random.uniform(0, 1, 80)  # problems drawn from a population whose mean is 0.5
        counts = [(10, int(random.binomial(10, chance))) for chance in chances]
        low, high = passk.interval(counts, 1, draws=400)
        covered += low <= 0.5 <= high
    assert 180 <= covered <= 199


def test_problems_of_a_kind_count_as_one():
    """Kinds of three problems that stand or fall together: drawn one by one, they would promise too much."""
    random = np.random.default_rng(3)
    covered = {True: 0, False: 0}
    for _ in range(200):
        counts = [(1, int(right)) for right in random.uniform(0, 1, 40) < 0.5 for _ in range(3)]
        kinds = [f"kind {place // 3}" for place in range(120)]
        for known in covered:
            low, high = passk.interval(counts, 1, draws=400, kinds=kinds if known else None)
            covered[known] += low <= 0.5 <= high
    assert 180 <= covered[True] <= 199
    assert covered[False] < 165


def test_the_paired_test_against_every_permutation():
    ours, theirs = [0.9, 0.8, 0.3, 0.5, 0.5, 0.1], [0.5, 0.9, 0.1, 0.5, 0.2, 0.0]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=6)]
    expected = np.mean([value >= abs(sum(differences)) - 1e-12 for value in sums])
    assert passk.paired_p_value(ours, theirs) == pytest.approx(expected)
    assert passk.paired_p_value(ours, ours) == 1.0


def test_the_paired_test_by_drawing_agrees_with_the_normal_approximation():
    random = np.random.default_rng(2)
    ours, theirs = random.uniform(0, 1, 150) + 0.03, random.uniform(0, 1, 150)
    differences = ours - theirs
    from math import erfc, sqrt

    z = abs(differences.sum()) / sqrt((differences**2).sum())
    assert passk.paired_p_value(ours, theirs) == pytest.approx(erfc(z / sqrt(2)), abs=0.02)
