"""Beam search: the likeliest whole texts instead of drawn ones."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codegeex.engine.backend import Backend, Handle
from codegeex.engine.sampling import Choice, SamplingParams, largest, log_softmax
from codegeex.engine.stops import StopRule
from codegeex.engine.text import Completion, Finished, GrowingText, RuleFactory
from codegeex.tokenizer import Tokenizer

Step = Callable[[Sequence[Handle], Sequence[Sequence[int]]], NDArray[np.float32]]
"""Appends ids to sequences; the logits [B, V] of their next tokens, those that may not be generated at -inf."""


@dataclass(slots=True)
class _Beam:
    """A hypothesis: its sequence holds the prompt and all of its tokens but the last."""

    handle: Handle
    tokens: list[int]
    logprobs: list[float]
    total: float

    def score(self, penalty: float) -> float:
        """Σ log p / length ** penalty."""
        return float(self.total / len(self.tokens) ** penalty)


def beam_search(
    backend: Backend,
    step: Step,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    params: SamplingParams,
    make_rule: RuleFactory,
    room: int,
) -> Generator[list[Finished], None, None]:
    """The `params.n` best of the hypotheses found by keeping the `params.beams` likeliest at every length.

    Finished hypotheses are set aside and do not take up a beam. The search ends when there are as many as beams and no
    open one can still beat the worst of them, or when all have `room` tokens.

    Args:
        backend: keeps the sequences.
        step: runs the model.
        tokenizer: its vocabulary.
        prompt: ids.
        params: beams, n and length penalty.
        make_rule: gives a fresh stop rule for each hypothesis.
        room: most tokens.

    Yields:
        Nothing found, after every length but the last, so that the caller can let others use the model; then the
        hypotheses, the best first.
    """
    done: list[tuple[float, Completion]] = []
    beams = [_Beam(backend.open(), [], [], 0.0)]
    try:
        scores = log_softmax(step([beams[0].handle], [prompt]))  # [beams, V]
        while beams:
            grown: list[_Beam] = []
            for beam, token, logprob in _extensions(beams, scores, params.beams):
                child = _Beam(beam.handle, [*beam.tokens, token], [*beam.logprobs, logprob], beam.total + logprob)
                text = _replay(tokenizer, params, make_rule(), room, child)
                if text.finish_reason is not None:
                    done.append((child.score(params.length_penalty), text.completion()))
                elif len(grown) < params.beams:
                    grown.append(child)
            done = sorted(done, key=lambda entry: -entry[0])[: params.beams]
            if len(done) == params.beams and not any(_may_beat(done[-1][0], beam, params, room) for beam in grown):
                break
            _rehouse(backend, beams, grown)
            if beams:
                yield []
                scores = log_softmax(step([beam.handle for beam in beams], [beam.tokens[-1:] for beam in beams]))
    finally:
        for handle in {beam.handle for beam in beams}:
            backend.free(handle)
    yield [Finished(index, completion) for index, (_, completion) in enumerate(done[: params.n])]


def _extensions(beams: list[_Beam], scores: NDArray[np.float64], width: int) -> list[tuple[_Beam, int, float]]:
    """The likeliest extensions of all beams, best first: twice `width`, so that finished ones leave enough open."""
    totals = np.array([beam.total for beam in beams])[:, None] + scores  # [beams, V]
    flat = totals.ravel()
    wanted = min(2 * width, int(np.isfinite(flat).sum()))
    best = largest(flat, wanted)
    vocabulary = scores.shape[1]
    return [
        (beams[index // vocabulary], int(index % vocabulary), float(scores[index // vocabulary, index % vocabulary]))
        for index in best
    ]


def _replay(tokenizer: Tokenizer, params: SamplingParams, rule: StopRule | None, room: int, beam: _Beam) -> GrowingText:
    """The text of a hypothesis. Beams share beginnings, so each is read anew."""
    text = GrowingText(tokenizer, params, rule, room)
    for token, logprob in zip(beam.tokens, beam.logprobs, strict=True):
        text.add(Choice(token, logprob))
    return text


def _may_beat(worst: float, beam: _Beam, params: SamplingParams, room: int) -> bool:
    """Whether an open hypothesis can still score above `worst`: at best it gets longer at no cost."""
    longest = room if params.length_penalty > 0 else len(beam.tokens)
    return bool(beam.total / longest**params.length_penalty > worst)


def _rehouse(backend: Backend, beams: list[_Beam], children: list[_Beam]) -> None:
    """Put `children` in the place of their parents `beams`.

    Each gets a sequence of its own: the first of a parent inherits the parent's, the others fork it.
    """
    kept = {child.handle for child in children}
    for handle in {beam.handle for beam in beams} - kept:
        backend.free(handle)
    beams[:] = [next(child for child in children if child.handle == handle) for handle in kept]
    for child in children:
        if not any(child is beam for beam in beams):
            child.handle = backend.fork(child.handle)
            beams.append(child)
