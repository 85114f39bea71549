"""The sampling distribution against its definition, and the draws against the distribution."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codegeex.engine.sampling import Row, Sampler, SamplingParams, log_softmax, probabilities
from codegeex.errors import CodeGeeXError

LOGITS = np.log(np.array([0.4, 0.05, 0.25, 0.1, 0.2], dtype=np.float32))
PARAMS = (
    SamplingParams(),
    SamplingParams(temperature=0.5),
    SamplingParams(temperature=1.7, top_k=3),
    SamplingParams(top_p=0.7),
    SamplingParams(temperature=0.8, top_k=4, top_p=0.9),
    SamplingParams(top_k=1),
    SamplingParams(temperature=0),
)


def by_definition(logits: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    """Facts section 6.1 in plain Python: temperature, then top-k, then top-p."""
    scaled = [logit / temperature for logit in logits]
    if top_k:
        threshold = sorted(scaled, reverse=True)[:top_k][-1]
        scaled = [x if x >= threshold else -math.inf for x in scaled]
    weights = [math.exp(x - max(scaled)) for x in scaled]
    result = [weight / sum(weights) for weight in weights]
    kept: set[int] = set()
    for index in sorted(range(len(result)), key=lambda index: -result[index]):
        if top_p == 1 or math.fsum(result[other] for other in kept) <= top_p:
            kept.add(index)
    rest = sum(result[index] for index in kept)
    return [probability / rest if index in kept else 0 for index, probability in enumerate(result)]


# Multiples of 1/1024 are told apart after any subtraction.
LOGIT_LISTS = st.lists(
    st.one_of(st.integers(-20000, 20000).map(lambda units: units / 1024), st.sampled_from([-1.0, 0.0, 1.0, -math.inf])),
    min_size=1,
    max_size=9,
).filter(lambda logits: max(logits) > -math.inf)


@given(LOGIT_LISTS, st.floats(0.05, 5), st.integers(0, 10), st.one_of(st.floats(1e-6, 1), st.just(1.0)))
def test_the_distribution_is_the_defined_one(logits: list[float], temperature: float, top_k: int, top_p: float) -> None:
    likeliest_first = sorted(by_definition(logits, temperature, top_k, 1), reverse=True)
    # What is kept must not hang on the last digit of a sum.
    assume(abs(np.cumsum(likeliest_first) - top_p).min() > 1e-9 or top_p == 1)
    params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p)
    actual = probabilities(np.array(logits, dtype=np.float32), params)
    np.testing.assert_allclose(actual, by_definition(logits, temperature, top_k, top_p), atol=1e-9)
    assert actual.dtype == np.float64


@pytest.mark.parametrize(
    ("weights", "changes", "kept"),
    [
        # The token that crosses the line stays; reaching p exactly is not exceeding it.
        ([4, 3, 2, 1], {"top_p": 0.35}, [0]),
        ([4, 3, 2, 1], {"top_p": 0.45}, [0, 1]),
        ([4, 3, 2, 1], {"top_p": 0.75}, [0, 1, 2]),
        ([1, 1, 1, 1], {"top_p": 0.5}, [0, 1, 2]),
        ([1, 1, 1, 1], {"top_p": 0.49}, [0, 1]),
        # p is of what top-k left ...
        ([5, 3, 2], {"top_k": 2, "top_p": 0.6}, [0]),
        ([5, 3, 2], {"top_p": 0.6}, [0, 1]),
        # ... after the temperature.
        ([5, 3, 2], {"temperature": 0.5, "top_p": 0.6}, [0]),
        ([5, 3, 2], {"temperature": 4.0, "top_p": 0.71}, [0, 1, 2]),
        # Equally likely tokens are not told apart by top-k.
        ([3, 2, 2, 1], {"top_k": 2}, [0, 1, 2]),
        ([3, 2, 2, 1], {"top_k": 9}, [0, 1, 2, 3]),
    ],
)
def test_what_the_filters_keep(weights: list[float], changes: dict[str, Any], kept: list[int]) -> None:
    result = probabilities(np.log(np.array(weights, dtype=np.float32)), SamplingParams(**changes))
    assert np.flatnonzero(result).tolist() == kept
    assert result.sum() == pytest.approx(1)


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_draws_follow_the_distribution(params: SamplingParams) -> None:
    draws = 4000
    sampler = Sampler(params, seed=11, index=0)
    counts = np.bincount([sampler.draw(Row(LOGITS))[0] for _ in range(draws)], minlength=len(LOGITS))
    expected = draws * np.array(
        by_definition(LOGITS.tolist(), params.temperature, params.top_k, params.top_p)
        if not params.greedy
        else [1, 0, 0, 0, 0]
    )
    possible = expected > 0
    assert not counts[~possible].any()
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    freedom = possible.sum() - 1
    # The 99.9 % quantile by Wilson and Hilferty's approximation.
    limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3 if freedom else 0
    assert chi_square <= limit


@given(LOGIT_LISTS)
def test_greedy_takes_the_likeliest(logits: list[float]) -> None:
    array = np.array(logits, dtype=np.float32)
    token, *_ = Sampler(SamplingParams(temperature=0), seed=0, index=0).draw(Row(array))
    assert array[token] == array.max()
    result = probabilities(array, SamplingParams(temperature=0))
    assert (result[token], result.sum()) == (1, 1)


@given(LOGIT_LISTS, st.sampled_from([1e-6, 1e-300]))
def test_a_tiny_temperature_is_nearly_greedy(logits: list[float], temperature: float) -> None:
    array = np.array(logits, dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        result = probabilities(array, SamplingParams(temperature=temperature))
    assert result.sum() == pytest.approx(1)
    assert array[result.argmax()] == array.max()


def test_seed_and_index_make_the_stream() -> None:
    def stream(seed: int, index: int) -> list[int]:
        sampler = Sampler(SamplingParams(), seed, index)
        return [sampler.draw(Row(LOGITS))[0] for _ in range(40)]

    assert stream(3, 1) == stream(3, 1)
    assert len({tuple(stream(seed, index)) for seed in (0, 1, 2) for index in (0, 1, 2)}) == 9


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_logprobs_are_of_the_plain_distribution(params: SamplingParams) -> None:
    sampler = Sampler(params, seed=5, index=0)
    for _ in range(20):
        token, logprob, _ = sampler.draw(Row(LOGITS + 3))
        assert logprob == pytest.approx(float(LOGITS[token]), abs=1e-6)


def frequencies(params: SamplingParams, draws: int = 4000) -> Any:
    """How often each token comes first, over many seeds."""
    first = [Sampler(params, seed, index=0).draw(Row(LOGITS)).token for seed in range(draws)]
    return np.bincount(first, minlength=len(LOGITS)) / draws


def test_a_bias_is_added_to_logits() -> None:
    expected = np.exp(LOGITS + np.array([0, 2, 0, -100, 0], dtype=np.float32))
    found = frequencies(SamplingParams(logit_bias={1: 2.0, 3: -100.0, 10**6: 5.0}))
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.03)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_min_p_leaves_out_what_is_far_less_likely(temperature: float) -> None:
    powers = np.exp(LOGITS.astype(float) / temperature)
    expected = np.where(powers >= 0.3 * powers.max(), powers, 0)
    assert 1 < (expected > 0).sum() < len(LOGITS)
    found = frequencies(SamplingParams(min_p=0.3, temperature=temperature))
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.03)


def test_penalties_count_what_was_generated() -> None:
    """Greedy choices from equal logits walk in circles: each token waits until all others are as much used."""
    logits = np.array([0.3, 0.2, 0.1, 0.0], dtype=np.float32)
    sampler = Sampler(SamplingParams(temperature=0, frequency_penalty=1.0), seed=0, index=0)
    assert [sampler.draw(Row(logits)).token for _ in range(12)] == [0, 1, 2, 3] * 3
    sampler = Sampler(SamplingParams(temperature=0, presence_penalty=1.0), seed=0, index=0)
    assert [sampler.draw(Row(logits)).token for _ in range(6)] == [0, 1, 2, 3, 0, 0]


@given(LOGIT_LISTS, st.integers(1, 6))
def test_the_likeliest_are_reported_of_the_plain_distribution(logits: list[float], count: int) -> None:
    array = np.array(logits, dtype=np.float32)
    params = SamplingParams(top_logprobs=count, logit_bias={0: -50.0}, temperature=0.5)
    choice = Sampler(params, seed=0, index=0).draw(Row(array))
    plain = log_softmax(array)
    assert [logprob for _, logprob in choice.top] == sorted(plain, reverse=True)[:count]
    assert all(plain[token] == logprob for token, logprob in choice.top)
    assert choice.logprob == plain[choice.token]


def test_log_softmax() -> None:
    logits = np.array([[1000, 1001, -np.inf], [0, 0, 0]], dtype=np.float32)
    expected = [[-math.log1p(math.e), 1 - math.log1p(math.e), -math.inf], [-math.log(3)] * 3]
    np.testing.assert_allclose(log_softmax(logits), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -0.1}, "temperature must be"),
        ({"temperature": math.nan}, "temperature must be"),
        ({"temperature": math.inf}, "temperature must be"),
        ({"top_p": 0}, "top-p must be"),
        ({"top_p": 1.1}, "top-p must be"),
        ({"top_p": math.nan}, "top-p must be"),
        ({"top_k": -1}, "top-k must be"),
        ({"n": 0}, "n must be at least 1"),
        ({"max_tokens": 0}, "max-tokens must be at least 1"),
        ({"beams": 0}, "beams must be at least 1"),
        ({"beams": 2, "n": 3}, "2 beams cannot give 3 answers"),
        ({"seed": -1}, "seed must be"),
        ({"stop": ("x", "")}, "stop text must not be empty"),
        ({"stop": "END"}, "stop must be several texts"),
        ({"length_penalty": math.nan}, "length-penalty must be"),
        ({"min_p": 1.1}, "min-p must be"),
        ({"presence_penalty": -2.1}, "presence-penalty must be"),
        ({"frequency_penalty": math.nan}, "frequency-penalty must be"),
        ({"logit_bias": {3: 101.0}}, "logit-bias gives"),
        ({"logit_bias": {"3": 1.0}}, "logit-bias gives"),
        ({"top_logprobs": 21}, "top-logprobs must be"),
        ({"beams": 2, "min_p": 0.1}, "beam search knows no"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CodeGeeXError, match=message):
        SamplingParams(**changes)
    with pytest.raises(CodeGeeXError, match=message):
        replace(SamplingParams(), **changes)


def test_extreme_parameters_are_allowed() -> None:
    SamplingParams(temperature=0, top_p=1e-9, top_k=10**9, n=4, beams=1, seed=0, stop=("}",), length_penalty=-2)
