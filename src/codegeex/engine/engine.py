"""Continuous batching: many samples of many requests in one model, joining and leaving between steps.

A sample is a list of tokens, the prompt first, of which the backend has computed some. Every step appends to each
sample what is missing: part of a prompt, the token drawn last, that token and a guess at the next ones. When nothing
is missing the last logits give the next token. There is no other state, so a sample that must make room for others
gives its sequence back and later computes its tokens anew, and a prompt that shares its beginning with another
sequence forks it and computes the rest.

What a sample says does not depend on who shares its steps: it has its own random numbers, and on the native backend
its logits are the same to the last bit.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import zip_longest
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from codegeex.engine.backend import Backend, Handle
from codegeex.engine.beam import beam_search
from codegeex.engine.lookup import PromptLookup
from codegeex.engine.sampling import Choice, Sampler, SamplingParams, likeliest, log_softmax
from codegeex.engine.text import Event, Finished, GrowingText, RuleFactory
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer import Tokenizer

SHARED = 16
"""Tokens of a common beginning that are worth waiting for, and keeping a sequence for."""

SCORED = 64
"""Tokens scored in one step, which has logits of all of them."""


@dataclass(eq=False, slots=True)
class Request:
    """What a caller waits for.

    Attributes:
        unfinished: samples that still grow.
        events: what has happened and nobody has taken yet.
        error: why nothing more will come.
        abandoned: whether nobody listens any more; set it to cancel the request.
    """

    unfinished: int
    events: deque[Event] = field(default_factory=deque)
    error: BaseException | None = None
    abandoned: bool = False

    @property
    def ready(self) -> bool:
        """Whether there is something to hear."""
        return bool(self.events) or not self.unfinished or self.error is not None


@dataclass(frozen=True, slots=True)
class Load:
    """Samples in the batch and waiting, and tokens since the engine was made."""

    running: int
    waiting: int
    prompt_tokens: int
    shared_tokens: int
    """Of prompts, found computed."""
    generated_tokens: int


@dataclass(eq=False, slots=True)
class _Sample:
    """One text in the making.

    Attributes:
        tokens: the prompt and what has been drawn.
        handle: its sequence, where it has one.
        computed: how many of the tokens the sequence holds.
        lookup: guesses at the next tokens; None for no guesses.
    """

    request: Request
    index: int
    tokens: list[int]
    text: GrowingText
    sampler: Sampler
    lookup: PromptLookup | None
    handle: Handle | None = None
    computed: int = 0

    @property
    def missing(self) -> int:
        return len(self.tokens) - self.computed


@dataclass(frozen=True, slots=True)
class _Work:
    """What a sample appends in one step: tokens that are missing, then a guess; and the rows of logits it wants."""

    sample: _Sample
    ids: list[int]
    guess: list[int]
    wanted: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """The sequence of a finished sample, for requests that begin like it."""

    handle: Handle
    tokens: list[int]


class Engine:
    """Generates text for any number of callers at once; safe to use from several threads.

    With `generate`, the thread of a caller who waits runs the next step, for all of them. A server rather hands in
    requests with `submit`, and has one thread call `step`.

    Args:
        backend: runs the model; the engine is its only user.
        tokenizer: the model's vocabulary.
        batch: most samples in one step; the others wait.
        chunk: most tokens of prompts in one step, so that a long prompt does not hold up the others for long.
        kept: sequences of finished samples that are kept for requests that begin like them.
        speculate: whether to guess tokens (see `lookup`). It changes nothing but speed, up to the rounding of a backend
            that computes several tokens together differently from one by one.
    """

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        *,
        batch: int = 64,
        chunk: int = 256,
        kept: int = 8,
        speculate: bool = True,
    ):
        self.backend, self.tokenizer = backend, tokenizer
        self._batch, self._chunk, self._most_kept, self._speculate = batch, chunk, kept, speculate
        self._arrived: SimpleQueue[_Sample] = SimpleQueue()
        self._waiting: deque[_Sample] = deque()
        self._running: list[_Sample] = []  # who came first stands first
        self._kept: list[_Kept] = []  # the one used last stands last
        self._crowded = False  # a sample had to make room, and none has left since
        self._prompt_tokens = self._shared_tokens = self._generated_tokens = 0
        self._stepping = False
        self._turn = threading.Condition()
        self._banned = _banned_ids(tokenizer, backend.config.vocab_size)

    def generate(
        self, prompt: Sequence[int], params: SamplingParams, make_rule: RuleFactory = lambda: None
    ) -> Iterator[Event]:
        """Generate `params.n` completions of a prompt.

        Samples end on end-of-text, a stop text, the rule, `max_tokens` or a full context. Whoever stops listening
        cancels what is unfinished.

        Args:
            prompt: ids, at least one, fewer than the model has positions.
            params: how to choose tokens.
            make_rule: gives a fresh stop rule for each sample.

        Yields:
            A `Piece` whenever a sample's text grows, a `Finished` when it ends. Beam search yields only the latter.

        Raises:
            CodeGeeXError: the prompt is empty or fills the context, or not even this request alone fits in memory.
        """
        if params.beams > 1:
            yield from self._search(prompt, params, make_rule, self._room(prompt, params))
            return
        request = self.submit(prompt, params, make_rule)
        try:
            while True:
                self._wait_for(request)
                ended = not request.unfinished  # asked first: what another thread adds after this is for the next turn
                while request.events:
                    yield request.events.popleft()
                if request.error is not None:
                    raise request.error
                if ended:
                    return
        finally:
            request.abandoned = True
            if request.unfinished:
                self._tidy()

    def submit(self, prompt: Sequence[int], params: SamplingParams, make_rule: RuleFactory = lambda: None) -> Request:
        """Hand in a request, whose events the coming steps bring; arguments as those of `generate`, but no beams."""
        room = self._room(prompt, params)
        if params.beams > 1:
            raise CodeGeeXError("beam search cannot be handed in; use generate.")
        request = Request(params.n)
        seed = secrets.randbits(63) if params.seed is None else params.seed
        for index in range(params.n):
            tokens = list(prompt)
            text = GrowingText(self.tokenizer, params, make_rule(), room)
            lookup = PromptLookup(tokens) if self._speculate else None
            self._arrived.put(_Sample(request, index, tokens, text, Sampler(params, seed, index), lookup))
        return request

    def score(self, prompt: Sequence[int], top: int = 0) -> list[Choice]:
        """How likely each token of a prompt but the first is after those before it, with the `top` likeliest there.

        Raises:
            CodeGeeXError: the prompt is empty, too long, or does not fit in memory.
        """
        self._room(prompt, SamplingParams(max_tokens=1))
        found: list[Choice] = []
        sequence: Handle | None = None
        try:
            for start in range(0, len(prompt) - 1, SCORED):
                ids = prompt[start : start + SCORED]
                with self._own_turn():
                    sequence = self.backend.open() if sequence is None else sequence
                    plain = log_softmax(self._guest_step([sequence], [ids], [len(ids)]))
                for row, token in zip(plain, prompt[start + 1 :], strict=False):
                    found.append(Choice(token, float(row[token]), likeliest(row, top)))
        except MemoryError:
            raise CodeGeeXError("the prompt does not fit in the memory that is left for keys and values.") from None
        finally:
            if sequence is not None:
                with self._own_turn():
                    self.backend.free(sequence)
        return found

    def step(self) -> bool:
        """Run one step, if there is anything to do; whether there is more."""
        with self._own_turn():
            self._drop_abandoned()
            if self.busy:
                self._step()
            return self.busy

    @property
    def busy(self) -> bool:
        """Whether some request is unfinished."""
        return bool(self._running or self._waiting or not self._arrived.empty())

    @property
    def load(self) -> Load:
        waiting = len(self._waiting) + self._arrived.qsize()
        return Load(len(self._running), waiting, self._prompt_tokens, self._shared_tokens, self._generated_tokens)

    def forget(self) -> None:
        """Give back the memory of kept sequences."""
        with self._own_turn():
            while self._kept:
                self.backend.free(self._kept.pop().handle)

    # ---- whose turn it is --------------------------------------------------------------------------------------------

    def _wait_for(self, request: Request) -> None:
        """Run steps, or let others run them, until there is something for `request`."""
        while not request.ready:
            with self._turn:
                while self._stepping and not request.ready:
                    self._turn.wait()
                if request.ready:
                    return
                self._stepping = True
            with self._ending_turn():
                self._step()

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        """The backend to oneself."""
        with self._turn:
            while self._stepping:
                self._turn.wait()
            self._stepping = True
        with self._ending_turn():
            yield

    def _tidy(self) -> None:
        """Let abandoned samples leave. In the middle of a step the next one does so.

        It must not wait: a stream that nobody holds any more is closed wherever Python notices, which may be the very
        thread that is running a step.
        """
        with self._turn:
            if self._stepping:
                return
            self._stepping = True
        with self._ending_turn():
            self._drop_abandoned()

    @contextmanager
    def _ending_turn(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._turn:
                self._stepping = False
                self._turn.notify_all()

    # ---- joining and leaving -----------------------------------------------------------------------------------------

    def _room(self, prompt: Sequence[int], params: SamplingParams) -> int:
        """Most tokens of an answer."""
        longest = self.backend.config.max_position_embeddings
        if not prompt:
            raise CodeGeeXError("the prompt is empty.")
        if len(prompt) >= longest:
            raise CodeGeeXError(f"the prompt has {len(prompt)} tokens; the model holds {longest}, answer included.")
        return min(params.max_tokens, longest - len(prompt))

    def _admit(self) -> None:
        """Let those who wait join, unless they will soon find more of their prompt computed by someone else."""
        while not self._arrived.empty():
            self._waiting.append(self._arrived.get())
        for sample in list(self._waiting):
            if (self._crowded and self._running) or len(self._running) == self._batch:
                return
            if any(_will_share(sample.tokens, other) for other in self._running):
                continue
            self._waiting.remove(sample)
            sample.handle, sample.computed = self._sequence_for(sample.tokens)
            if not sample.text.tokens:  # it is not one that has returned
                self._prompt_tokens += len(sample.tokens)
                self._shared_tokens += sample.computed
            self._running.append(sample)

    def _sequence_for(self, tokens: list[int]) -> tuple[Handle, int]:
        """A sequence that holds as much of `tokens` as some other one does, but for the last; and how much that is."""
        places = [(entry.handle, entry.tokens) for entry in self._kept]
        places += [
            (other.handle, other.tokens[: other.computed]) for other in self._running if other.handle is not None
        ]
        shared, handle = max(((_common(tokens[:-1], held), handle) for handle, held in places), default=(0, 0))
        if shared:
            self._kept.sort(key=lambda entry: entry.handle == handle)
            with suppress(MemoryError):
                twin = self.backend.fork(handle)
                self.backend.truncate(twin, shared)
                return twin, shared
        return self.backend.open(), 0

    def _leave(self, sample: _Sample) -> None:
        """Take a sample out of the batch. The first one's sequence of each request is kept for later ones."""
        self._running.remove(sample)
        self._crowded = False
        assert sample.handle is not None
        held = sample.tokens[: sample.computed]
        if sample.index or len(held) < SHARED or not self._most_kept:
            self.backend.free(sample.handle)
        else:
            contained = [entry for entry in self._kept if _common(entry.tokens, held) == len(entry.tokens)]
            self._kept.append(_Kept(sample.handle, held))
            for entry in contained or self._kept[: -self._most_kept]:
                self._kept.remove(entry)
                self.backend.free(entry.handle)

    def _drop_abandoned(self) -> None:
        for sample in [sample for sample in self._running if sample.request.abandoned]:
            self._leave(sample)
        self._waiting = deque(sample for sample in self._waiting if not sample.request.abandoned)

    # ---- a step ------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """One pass of the model: samples join, everyone appends, texts grow, finished samples leave."""
        try:
            self._drop_abandoned()
            self._admit()
            work = self._plan()
            logits = self._compute(work)
        except BaseException as error:
            for sample in self._running:  # nobody may wait for what nobody computes
                sample.request.error, sample.request.abandoned = error, True
            self._drop_abandoned()
            return
        logits[:, self._banned] = -np.inf
        for entry in work:
            entry.sample.computed += len(entry.ids)
        row = 0
        for entry in work:
            if not entry.wanted:
                continue
            try:
                self._grow(entry, logits[row : row + entry.wanted])
            except Exception as error:  # one request's own trouble, such as a stop rule that fails, is not the others'
                entry.sample.request.error, entry.sample.request.abandoned = error, True
            row += entry.wanted

    def _plan(self) -> list[_Work]:
        work = []
        budget = self._chunk
        most_guessed = self.backend.cheap_tokens // max(1, len(self._running))
        for sample in self._running:
            if sample.missing == 1:
                most = min(most_guessed, sample.text.left - 1)
                guess = sample.lookup.guess(most) if sample.lookup else []
                work.append(_Work(sample, sample.tokens[-1:], guess, 1 + len(guess)))
            elif budget:
                ids = sample.tokens[sample.computed :][:budget]
                budget -= len(ids)
                work.append(_Work(sample, ids, [], int(len(ids) == sample.missing)))
        return work

    def _compute(self, work: list[_Work]) -> NDArray[np.float32]:
        """The logits of `work`, from which samples that had to make room are taken out."""
        while True:
            try:
                return self.backend.step(
                    [_handle(entry.sample) for entry in work],
                    [entry.ids + entry.guess for entry in work],
                    [entry.wanted for entry in work],
                )
            except MemoryError:
                # Whoever stands first stays, and is in every step.
                self._make_room(staying=1)
                work[:] = [entry for entry in work if entry.sample.handle is not None]

    def _make_room(self, staying: int) -> None:
        """Take back the sequence that is missed least.

        Raises:
            CodeGeeXError: there is none, but for those of the `staying` first samples.
        """
        if self._kept:
            self.backend.free(self._kept.pop(0).handle)
        elif len(self._running) > staying:
            sample = self._running.pop()
            self.backend.free(_handle(sample))
            sample.handle, sample.computed = None, 0
            self._waiting.appendleft(sample)
            self._crowded = True
        else:
            raise CodeGeeXError("the request does not fit in the memory that is left for keys and values.")

    def _grow(self, entry: _Work, logits: NDArray[np.float32]) -> None:
        """Draw tokens from `logits` [1 + guessed, V], as long as the guess was what is drawn."""
        sample, request = entry.sample, entry.sample.request
        right = 0
        for row, guessed in zip_longest(logits, entry.guess):
            choice = sample.sampler.draw(row)
            sample.tokens.append(choice.token)
            sample.text.add(choice)
            self._generated_tokens += 1
            if sample.text.finish_reason is not None or choice.token != guessed:
                break
            right += 1
        held = sample.computed + len(entry.guess)
        sample.computed += right
        if held > sample.computed:
            self.backend.truncate(_handle(sample), sample.computed)
        if sample.lookup and entry.guess:
            sample.lookup.learn(len(entry.guess), right)
        if piece := sample.text.piece(sample.index):
            request.events.append(piece)
        if sample.text.finish_reason is not None:
            self._leave(sample)
            request.events.append(Finished(sample.index, sample.text.completion()))
            request.unfinished -= 1

    # ---- beam search -------------------------------------------------------------------------------------------------

    def _search(
        self, prompt: Sequence[int], params: SamplingParams, make_rule: RuleFactory, room: int
    ) -> Iterator[Finished]:
        search = beam_search(self.backend, self._beam_step, self.tokenizer, prompt, params, make_rule, room)
        found: list[Finished] = []
        try:
            while not found:
                with self._own_turn():
                    found = next(search)
        except MemoryError:
            raise CodeGeeXError("so many beams do not fit in the memory that is left for keys and values.") from None
        yield from found

    def _beam_step(self, sequences: Sequence[Handle], ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        return self._guest_step(sequences, ids, [1] * len(sequences))

    def _guest_step(
        self, sequences: Sequence[Handle], ids: Sequence[Sequence[int]], wanted: Sequence[int]
    ) -> NDArray[np.float32]:
        """A step for sequences that are no samples, for which any sample makes room."""
        while True:
            try:
                logits = self.backend.step(sequences, ids, wanted)
            except MemoryError:
                self._make_room(staying=0)
            else:
                logits[:, self._banned] = -np.inf
                return logits


def _handle(sample: _Sample) -> Handle:
    assert sample.handle is not None
    return sample.handle


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)


def _will_share(tokens: list[int], other: _Sample) -> bool:
    """Whether a running sample will soon hold so much more of `tokens` that it pays to wait for it."""
    common = _common(tokens[:-1], other.tokens)
    more = common - other.computed
    return other.missing > 1 and more > 0 and (more >= SHARED or common == len(tokens) - 1)


def _banned_ids(tokenizer: Tokenizer, vocab_size: int) -> NDArray[np.int64]:
    """Ids that may not be generated: padding rows, and special tokens but end-of-text and runs of spaces."""
    allowed = {tokenizer.end_of_text, *tokenizer.space_run_ids}
    special = set(tokenizer.special_ids.values()) - allowed
    return np.array(sorted(special | set(range(len(tokenizer), vocab_size))), dtype=np.int64)
