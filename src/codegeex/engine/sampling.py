"""From logits to the next token (order as in the original: temperature, top-k, top-p, draw)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from codegeex.errors import CodeGeeXError, WorkFailed

Probabilities = NDArray[np.float64]

MAX_LENGTH_PENALTY = 10
"""Beyond any use, and 2,048 ** 10 is still far from the largest float."""

MOST_PENALTY = 2
MOST_BIAS = 100
MOST_TOP_LOGPROBS = 20
"""These three as in the interface that most clients speak."""

Likeliest = tuple[tuple[int, float], ...]
"""Ids and their log-probabilities, the likeliest first."""


class Choice(NamedTuple):
    """A token, and its log-probability under the untempered, unfiltered distribution."""

    token: int
    logprob: float
    top: Likeliest = ()


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How tokens are chosen.

    Attributes:
        temperature: divides the logits; 0 is greedy.
        top_k: draw from the k likeliest tokens; 0 for all.
        top_p: draw from the smallest set of likeliest tokens whose probability exceeds p; 1 for all.
        max_tokens: most tokens to generate.
        n: samples of the same prompt.
        seed: makes sampling reproducible, and sample i independent of how many others there are; None for a fresh one.
        stop: texts before which generation ends.
        beams: width of beam search; 1 for none.
        min_p: leaves out tokens less likely than this part of the likeliest one; 0 for none.
        presence_penalty, frequency_penalty: taken off the logit of a token that was generated before, once and for each
            time.
        logit_bias: added to the logits of these ids.
        top_logprobs: how many of the likeliest tokens to report in each place.
        length_penalty: beam hypotheses are ranked by Σ log p / length ** length_penalty; 0 as in the original.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    max_tokens: int = 256
    n: int = 1
    seed: int | None = None
    stop: tuple[str, ...] = field(default=())
    beams: int = 1
    length_penalty: float = 0.0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    top_logprobs: int = 0

    def __post_init__(self) -> None:
        counts = {"max-tokens": self.max_tokens, "n": self.n, "beams": self.beams}
        seed = 0 if self.seed is None else self.seed
        for name, value in ({"top-k": self.top_k, "seed": seed} | counts).items():
            if type(value) is not int:
                raise CodeGeeXError(f"{name} must be a whole number, not {value!r}.")
        # Written so that NaN fails too.
        if not 0 <= self.temperature < float("inf"):
            raise CodeGeeXError(f"temperature must be 0 (greedy) or above, not {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise CodeGeeXError(f"top-p must be above 0 and at most 1, not {self.top_p}.")
        if self.top_k < 0:
            raise CodeGeeXError(f"top-k must be 0 (off) or above, not {self.top_k}.")
        for name, value in counts.items():
            if value < 1:
                raise CodeGeeXError(f"{name} must be at least 1, not {value}.")
        if self.beams > 1 and self.n > self.beams:
            raise CodeGeeXError(f"beam search with {self.beams} beams cannot give {self.n} answers.")
        if seed < 0:
            raise CodeGeeXError(f"seed must be 0 or above, not {seed}.")
        if not abs(self.length_penalty) <= MAX_LENGTH_PENALTY:
            raise CodeGeeXError(
                f"length-penalty must be from -{MAX_LENGTH_PENALTY} to {MAX_LENGTH_PENALTY}, not {self.length_penalty}."
            )
        if not 0 <= self.min_p <= 1:
            raise CodeGeeXError(f"min-p must be from 0 (off) to 1, not {self.min_p}.")
        penalties = {"presence-penalty": self.presence_penalty, "frequency-penalty": self.frequency_penalty}
        for name, penalty in penalties.items():
            if not abs(penalty) <= MOST_PENALTY:
                raise CodeGeeXError(f"{name} must be from -{MOST_PENALTY} to {MOST_PENALTY}, not {penalty}.")
        if not all(type(index) is int and abs(bias) <= MOST_BIAS for index, bias in self.logit_bias.items()):
            raise CodeGeeXError(f"logit-bias gives token ids numbers from -{MOST_BIAS} to {MOST_BIAS}.")
        if not 0 <= self.top_logprobs <= MOST_TOP_LOGPROBS:
            raise CodeGeeXError(f"top-logprobs must be from 0 to {MOST_TOP_LOGPROBS}, not {self.top_logprobs}.")
        if self.beams > 1 and self.adjusts:
            raise CodeGeeXError("beam search knows no min-p, penalties or logit-bias.")
        if self.beams > 1 and self.top_logprobs:
            raise CodeGeeXError("beam search reports no top-logprobs.")
        if isinstance(self.stop, str):  # whose characters would each stop
            raise CodeGeeXError(f"stop must be several texts, not one: write ({self.stop!r},).")
        if any(not isinstance(text, str) or not text for text in self.stop):
            raise CodeGeeXError("a stop text must not be empty.")

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def adjusts(self) -> bool:
        """Whether logits are changed before the draw."""
        return bool(self.min_p or self.presence_penalty or self.frequency_penalty or self.logit_bias)


def probabilities(logits: NDArray[np.float32], params: SamplingParams) -> Probabilities:
    """The distribution [V] that a token is drawn from, given logits [V]; float64."""
    scaled = logits.astype(np.float64)
    if params.greedy:
        chosen = np.zeros_like(scaled)
        chosen[scaled.argmax()] = 1
        return chosen
    # Shifted first, so that a tiny temperature does not overflow.
    scaled = (scaled - scaled.max()) / params.temperature
    if 0 < params.top_k < len(scaled):
        threshold = np.partition(scaled, -params.top_k)[-params.top_k]
        scaled[scaled < threshold] = -np.inf
    result: Probabilities = np.exp(scaled)
    result /= result.sum()
    if params.top_p < 1:
        order = np.argsort(-result, kind="stable")
        before = np.cumsum(result[order]) - result[order]
        # A token stays while the likelier ones have not exceeded p: the one that crosses the line is kept.
        result[order[before > params.top_p]] = 0
        result /= result.sum()
    return result


def log_softmax(logits: NDArray[np.float32]) -> Probabilities:
    """Log-probabilities of the untempered, unfiltered distribution, along the last axis."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    result: Probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def largest(values: Probabilities, count: int) -> NDArray[np.intp]:
    """Where the `count` largest of values [N] are, the largest first; of equal ones, the first."""
    count = min(count, len(values))
    if not count:
        return np.empty(0, np.intp)
    least = np.partition(values, -count)[-count]
    candidates = np.flatnonzero(values >= least)  # far cheaper than to sort them all
    return candidates[np.argsort(-values[candidates], kind="stable")][:count]


def likeliest(logprobs: Probabilities, count: int) -> Likeliest:
    """The `count` likeliest ids of log-probabilities [V]."""
    return tuple((int(index), float(logprobs[index])) for index in largest(logprobs, count))


class NumpyDistribution:
    """What a token is drawn from, given logits [V]; arguments as in `SamplingParams`."""

    def __init__(self, logits: NDArray[np.float32], temperature: float, top_k: int, top_p: float):
        params = SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p)
        if not np.isfinite(logits.max()):
            raise ValueError("the logits are not finite")
        self._cumulative = np.cumsum(probabilities(logits, params))
        self._logprobs = log_softmax(logits)

    def draw(self, uniform: float) -> tuple[int, float]:
        """The token that `uniform` in [0, 1) points at, where all lie side by side, and its log-probability."""
        token = int(np.searchsorted(self._cumulative, uniform * self._cumulative[-1], side="right"))
        return token, float(self._logprobs[token])


_make: Callable[[NDArray[np.float32], float, int, float], Any]
try:
    from codegeex import _native
except ImportError:  # installed without a compiler
    _make = NumpyDistribution
else:
    _make = _native.Distribution


class Row:
    """Logits [V] of a next token, and what is made of them: once for all samples that draw from them."""

    def __init__(self, logits: NDArray[np.float32]):
        self.logits = logits
        self._distributions: dict[tuple[float, int, float], Any] = {}

    @cached_property
    def logprobs(self) -> Probabilities:
        """See `log_softmax`."""
        return log_softmax(self.logits)

    def distribution(self, arguments: tuple[float, int, float]) -> Any:
        """By temperature, top-k and top-p."""
        if arguments not in self._distributions:
            try:
                self._distributions[arguments] = _make(self.logits, *arguments)
            except ValueError as error:
                raise WorkFailed(f"the model cannot go on: {error}. Its weights may be damaged.") from None
        return self._distributions[arguments]


class Sampler:
    """Draws the tokens of one sample, from its own stream of random numbers."""

    def __init__(self, params: SamplingParams, seed: int, index: int):
        self._params = params
        self._rng = np.random.default_rng([seed, index])
        self._counts: Counter[int] = Counter()
        self._biased = np.fromiter(params.logit_bias, np.int64)
        self._bias = np.fromiter(params.logit_bias.values(), np.float32)
        # As the compiled class takes them; beyond these bounds a value means the same.
        self._arguments = (min(params.temperature, 1e30), min(params.top_k, 2**31 - 1), max(params.top_p, 1e-30))

    def draw(self, row: Row) -> Choice:
        """The next token."""
        params = self._params
        uniform = 0.0 if params.greedy else self._rng.random()
        source = Row(self._adjusted(row.logits)) if params.adjusts else row
        token, logprob = source.distribution(self._arguments).draw(uniform)
        if not (params.adjusts or params.top_logprobs):
            return Choice(token, logprob)
        self._counts[token] += 1
        return Choice(token, float(row.logprobs[token]), likeliest(row.logprobs, params.top_logprobs))

    def _adjusted(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits with the bias and the penalties, without tokens below `min_p`."""
        params = self._params
        logits = logits.copy()
        known = (self._biased >= 0) & (self._biased < len(logits))
        logits[self._biased[known]] += self._bias[known]
        for index, count in self._counts.items():
            logits[index] -= params.presence_penalty + params.frequency_penalty * count
        if params.min_p and not params.greedy:
            logits[logits < logits.max() + params.temperature * math.log(params.min_p)] = -np.inf
        return logits
