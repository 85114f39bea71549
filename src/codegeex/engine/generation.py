"""Generation above a backend: samples that share their prompt, streamed token by token; and beam search."""

from __future__ import annotations

import codecs
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from codegeex.engine.backend import Backend, Handle
from codegeex.engine.sampling import Sampler, SamplingParams, log_softmax
from codegeex.engine.stops import StopChecker, StopRule
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer import Tokenizer

FinishReason = Literal["stop", "length"]
"""Ended by end-of-text, a stop text or rule; or by max_tokens or a full context."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One finished sample.

    Attributes:
        text: what was generated, without what ended it.
        tokens: every id drawn, end-of-text included.
        logprobs: natural log-probability of each token under the untempered, unfiltered distribution.
        finish_reason: why it ended.
    """

    text: str
    tokens: list[int]
    logprobs: list[float]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that sample `index` has grown by."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Sample `index` is complete."""

    index: int
    completion: Completion


Event = Piece | Finished
RuleFactory = Callable[[], StopRule | None]


class _Growing:
    """A text that grows by tokens: bytes to characters to what has settled."""

    def __init__(self, tokenizer: Tokenizer, params: SamplingParams, rule: StopRule | None):
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._checker = StopChecker(params.stop, rule)
        self._shown = 0
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.finish_reason: FinishReason | None = None

    def add(self, token: int, logprob: float) -> None:
        """Append a token, and find out whether it ends the text."""
        self.tokens.append(token)
        self.logprobs.append(logprob)
        final = token == self._tokenizer.end_of_text
        piece = self._decoder.decode(b"" if final else self._tokenizer.decode_bytes([token]), final)
        if self._checker.feed(piece) or final:
            self.finish_reason = "stop"

    def out_of_room(self) -> None:
        """End the text because no more tokens may be drawn."""
        self._checker.feed(self._decoder.decode(b"", True))
        self.finish_reason = "length"

    def fresh(self) -> str:
        """What has settled since the last call; everything once the text is finished."""
        end = self._checker.settled if self.finish_reason is None else len(self._checker.text)
        start, self._shown = self._shown, max(self._shown, end)
        return self._checker.text[start : self._shown]

    def completion(self) -> Completion:
        assert self.finish_reason is not None
        return Completion(self._checker.text, self.tokens, self.logprobs, self.finish_reason)


def generate(
    backend: Backend,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    params: SamplingParams,
    make_rule: RuleFactory = lambda: None,
) -> Iterator[Event]:
    """Generate `params.n` completions of a prompt.

    The prompt is computed once and shared. Samples end on end-of-text, a stop text, the rule, `max_tokens` or a full
    context.

    Args:
        backend: the model.
        tokenizer: its vocabulary.
        prompt: ids, at least one, fewer than the model has positions.
        params: how to choose tokens.
        make_rule: gives a fresh stop rule for each sample.

    Yields:
        A `Piece` whenever a sample's text grows, a `Finished` when it ends. Beam search yields only the latter.

    Raises:
        CodeGeeXError: the prompt is empty or fills the context.
    """
    longest = backend.config.max_position_embeddings
    if not prompt:
        raise CodeGeeXError("the prompt is empty.")
    if len(prompt) >= longest:
        raise CodeGeeXError(f"the prompt has {len(prompt)} tokens; the model holds {longest}, answer included.")
    room = min(params.max_tokens, longest - len(prompt))
    choices = _Choices(tokenizer, backend.config.vocab_size)
    if params.beams > 1:
        yield from _beam_search(backend, tokenizer, prompt, params, make_rule, choices, room)
    else:
        yield from _sample(backend, tokenizer, prompt, params, make_rule, choices, room)


class _Choices:
    """Leaves only ids that may be generated: padding rows and special tokens but end-of-text are out of the draw."""

    def __init__(self, tokenizer: Tokenizer, vocab_size: int):
        banned = [index for index in tokenizer.special_ids.values() if index != tokenizer.end_of_text]
        runs = tokenizer.space_run_ids
        self._banned = np.array(
            sorted({index for index in banned if index not in runs} | set(range(len(tokenizer), vocab_size))), dtype=int
        )

    def __call__(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        logits[..., self._banned] = -np.inf
        return logits


def _sample(
    backend: Backend,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    params: SamplingParams,
    make_rule: RuleFactory,
    choices: _Choices,
    room: int,
) -> Iterator[Event]:
    seed = secrets.randbits(63) if params.seed is None else params.seed
    texts = [_Growing(tokenizer, params, make_rule()) for _ in range(params.n)]
    samplers = [Sampler(params, seed, index) for index in range(params.n)]
    first, logits = backend.prefill(prompt)
    sequences: dict[int, Handle] = {0: first}
    try:
        for index in range(1, params.n):
            sequences[index] = backend.fork(first)
        step = np.broadcast_to(choices(logits.copy()), (params.n, len(logits)))
        while sequences:
            for (index, handle), row in zip(list(sequences.items()), step, strict=True):
                text = texts[index]
                text.add(*samplers[index].draw(row))
                if text.finish_reason is None and len(text.tokens) >= room:
                    text.out_of_room()
                if piece := text.fresh():
                    yield Piece(index, piece)
                if text.finish_reason is not None:
                    del sequences[index]
                    backend.free(handle)
                    yield Finished(index, text.completion())
            if sequences:
                last = [texts[index].tokens[-1] for index in sequences]
                step = choices(np.array(backend.decode(list(sequences.values()), last)))
    finally:  # also when the caller stops listening
        for handle in sequences.values():
            backend.free(handle)


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


def _beam_search(
    backend: Backend,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    params: SamplingParams,
    make_rule: RuleFactory,
    choices: _Choices,
    room: int,
) -> Iterator[Event]:
    """The `params.n` best of the hypotheses found by keeping the `params.beams` likeliest at every length.

    Finished hypotheses are set aside and do not take up a beam. The search ends when there are as many as beams and no
    open one can still beat the worst of them, or when the room is used up.
    """
    done: list[tuple[float, Completion]] = []
    handle, logits = backend.prefill(prompt)
    beams = [_Beam(handle, [], [], 0.0)]
    scores = log_softmax(choices(logits.copy()))[None]  # [beams, V]
    try:
        while beams:
            candidates = _extensions(beams, scores, params.beams)
            grown: list[_Beam] = []
            for beam, token, logprob in candidates:
                child = _Beam(beam.handle, [*beam.tokens, token], [*beam.logprobs, logprob], beam.total + logprob)
                text = _replay(tokenizer, params, make_rule(), child)
                if text.finish_reason is None and len(child.tokens) >= room:
                    text.out_of_room()
                if text.finish_reason is not None:
                    done.append((child.score(params.length_penalty), text.completion()))
                elif len(grown) < params.beams:
                    grown.append(child)
            done = sorted(done, key=lambda entry: -entry[0])[: params.beams]
            if len(done) == params.beams and not any(_may_beat(done[-1][0], beam, params, room) for beam in grown):
                break
            beams = _rehouse(backend, beams, grown)
            if beams:
                step = backend.decode([beam.handle for beam in beams], [beam.tokens[-1] for beam in beams])
                scores = log_softmax(choices(np.array(step)))
    finally:
        for handle in {beam.handle for beam in beams}:
            backend.free(handle)
    for index, (_, completion) in enumerate(done[: params.n]):
        yield Finished(index, completion)


def _extensions(beams: list[_Beam], scores: NDArray[np.float64], width: int) -> list[tuple[_Beam, int, float]]:
    """The likeliest extensions of all beams, best first: twice `width`, so that finished ones leave enough open."""
    totals = np.array([beam.total for beam in beams])[:, None] + scores  # [beams, V]
    flat = totals.ravel()
    wanted = min(2 * width, int(np.isfinite(flat).sum()))
    best = np.argsort(-flat, kind="stable")[:wanted]
    vocabulary = scores.shape[1]
    return [
        (beams[index // vocabulary], int(index % vocabulary), float(scores[index // vocabulary, index % vocabulary]))
        for index in best
    ]


def _replay(tokenizer: Tokenizer, params: SamplingParams, rule: StopRule | None, beam: _Beam) -> _Growing:
    """The text of a hypothesis. Beams share beginnings, so each is read anew."""
    text = _Growing(tokenizer, params, rule)
    for token, logprob in zip(beam.tokens, beam.logprobs, strict=True):
        text.add(token, logprob)
    return text


def _may_beat(worst: float, beam: _Beam, params: SamplingParams, room: int) -> bool:
    """Whether an open hypothesis can still score above `worst`: at best it gets longer at no cost."""
    longest = room if params.length_penalty > 0 else len(beam.tokens)
    return bool(beam.total / longest**params.length_penalty > worst)


def _rehouse(backend: Backend, parents: list[_Beam], children: list[_Beam]) -> list[_Beam]:
    """Give every child a sequence of its own: the first of a parent inherits the parent's, the others fork it."""
    inherited: set[Handle] = set()
    for child in children:
        parent = child.handle
        if parent in inherited:
            child.handle = backend.fork(parent)
        inherited.add(parent)
    for handle in {beam.handle for beam in parents} - inherited:
        backend.free(handle)
    return children
