"""Continuous batching: many samples of many requests in one model, joining and leaving between steps.

A sample is a list of tokens, the prompt first, of which the backend has computed some. Every step appends to each
sample what is missing: part of a prompt, the token drawn last, that token and a guess at the next ones. When nothing
is missing the last logits give the next token. There is no other state, so a sample that must make room for others
gives its sequence back and later computes its tokens anew, and a prompt that shares its beginning with another
sequence forks it and computes the rest.

Samples with the same tokens are one branch: they draw from the same logits, and the branch forks where they draw
different ones. Two hundred samples at a low temperature so take a third of the work.

What a sample says does not depend on who shares its steps: it has its own random numbers, and on the native backend
its logits are the same to the last bit.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from codegeex.engine.backend import Backend, Handle
from codegeex.engine.beam import beam_search
from codegeex.engine.branch import SHARED, Branch, Request, Sample, common
from codegeex.engine.lookup import PromptLookup
from codegeex.engine.sampling import Choice, Row, Sampler, SamplingParams, likeliest, log_softmax
from codegeex.engine.text import Event, Finished, GrowingText, RuleFactory
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer import Tokenizer

SCORED = 64
"""Tokens scored in one step, which has logits of all of them."""


@dataclass(frozen=True, slots=True)
class Load:
    """Samples in the batch and waiting (those of a request that no step has seen count as one), and tokens in all."""

    running: int
    waiting: int
    prompt_tokens: int
    shared_tokens: int
    """Of prompts, found computed."""
    generated_tokens: int


@dataclass(frozen=True, slots=True)
class _Work:
    """What a branch appends in one step: tokens that are missing, then a guess; and the rows of logits it wants."""

    branch: Branch
    ids: list[int]
    guess: list[int]
    wanted: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """The sequence of a finished branch, for requests that begin like it."""

    handle: Handle
    tokens: list[int]


class Engine:
    """Generates text for any number of callers at once; safe to use from several threads.

    With `generate`, the thread of a caller who waits runs the next step, for all of them. A server rather hands in
    requests with `submit`, and has one thread call `step`.

    Args:
        backend: runs the model; the engine is its only user.
        tokenizer: the model's vocabulary.
        batch: most sequences in one step; other samples wait.
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
        self._arrived: SimpleQueue[Branch] = SimpleQueue()
        self._waiting: deque[Branch] = deque()
        self._prompts: WeakValueDictionary[tuple[int, ...], Branch] = WeakValueDictionary()  # who began with which
        self._running: list[Branch] = []  # who came first stands first
        self._kept: list[_Kept] = []  # the one used last stands last
        self._crowded = False  # a branch had to make room, and none has left since
        self._guests = 0  # searches and scores, whose sequences nobody else can take back
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
            yield from self.search(prompt, params, make_rule)
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
        texts = (GrowingText(self.tokenizer, params, make_rule(), room) for _ in range(params.n))
        samples = [Sample(request, index, text, Sampler(params, seed, index)) for index, text in enumerate(texts)]
        self._arrived.put(self._branch(list(prompt), samples))
        return request

    def score(self, prompt: Sequence[int], top: int = 0, cancelled: Callable[[], bool] = lambda: False) -> list[Choice]:
        """How likely each token of a prompt but the first is after those before it, with the `top` likeliest there.

        Args:
            prompt: ids.
            top: how many of the likeliest are wanted.
            cancelled: asked between steps; once it says so, what there is is given.

        Raises:
            CodeGeeXError: the prompt is empty, too long, or does not fit in memory.
        """
        self._room(prompt, SamplingParams(max_tokens=1))
        found: list[Choice] = []
        sequence: Handle | None = None
        with self._as_guest("the prompt does"):
            try:
                for start in range(0, len(prompt) - 1, SCORED):
                    if cancelled():
                        break
                    ids = prompt[start : start + SCORED]
                    with self._own_turn():
                        sequence = self.backend.open() if sequence is None else sequence
                        plain = log_softmax(self._guest_step([sequence], [ids], [len(ids)]))
                    for row, token in zip(plain, prompt[start + 1 :], strict=False):
                        found.append(Choice(token, float(row[token]), likeliest(row, top)))
            finally:
                if sequence is not None:
                    with self._own_turn():
                        self.backend.free(sequence)
        return found

    @contextmanager
    def _as_guest(self, who: str) -> Iterator[None]:
        """For work whose sequences no sample has, so that samples that find no room wait for it to end.

        Raises:
            CodeGeeXError: `who` ("the prompt does") finds no room itself.
        """
        with self._turn:
            self._guests += 1
        try:
            yield
        except MemoryError:
            raise CodeGeeXError(f"{who} not fit in the memory that is left for keys and values.") from None
        finally:
            with self._turn:
                self._guests -= 1
                self._crowded = False

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
        # Copied in one go: another thread may be in the middle of a step.
        places = tuple(self._running), tuple(self._waiting)
        running, waiting = (sum(len(branch.samples) for branch in place) for place in places)
        return Load(
            running, waiting + self._arrived.qsize(), self._prompt_tokens, self._shared_tokens, self._generated_tokens
        )

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
            if self._guests and not self._running:  # which have all the memory, and need a turn to end
                time.sleep(0.001)

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
        rows = self.backend.config.vocab_size
        if not 0 <= min(prompt) <= max(prompt) < rows:
            raise CodeGeeXError(f"the prompt has token ids that are not from 0 to {rows - 1}.")
        return min(params.max_tokens, longest - len(prompt))

    def _branch(self, tokens: list[int], samples: list[Sample]) -> Branch:
        lookup = PromptLookup(tokens) if self._speculate else None
        return Branch(tokens, samples, lookup)

    def _admit(self) -> None:
        """Let those who wait join, unless they will soon find more of their prompt computed by someone else."""
        computing = [other for other in self._running if other.missing > 1]
        for branch in list(self._waiting):
            if (self._crowded and (self._running or self._guests)) or len(self._running) == self._batch:
                return
            if any(other.will_hold(branch.tokens) for other in computing):
                continue
            branch.handle, branch.computed = self._sequence_for(branch.tokens)
            self._waiting.remove(branch)
            if not any(sample.text.tokens for sample in branch.samples):  # it is not one that has returned
                self._shared_tokens += branch.computed
            self._running.append(branch)
            computing.append(branch)

    def _receive(self) -> None:
        """Take in the prompts that have come: each waits, or joins the branch of the same one."""
        while not self._arrived.empty():
            newcomer = self._arrived.get()
            length, samples = len(newcomer.tokens), len(newcomer.samples)
            self._prompt_tokens += length * samples
            known = self._prompts.get(prompt := tuple(newcomer.tokens))
            if known is not None and known.samples and len(known.tokens) == length:
                known.samples += newcomer.samples
                self._shared_tokens += length * samples
            else:
                self._prompts[prompt] = newcomer
                self._waiting.append(newcomer)
                self._shared_tokens += length * (samples - 1)

    def _sequence_for(self, tokens: list[int]) -> tuple[Handle, int]:
        """A sequence that holds as much of `tokens` as some other one does, but for the last; and how much that is."""
        places = [(entry.handle, entry.tokens) for entry in self._kept]
        places += [
            (other.handle, other.tokens[: other.computed]) for other in self._running if other.handle is not None
        ]
        shared, handle = max(((common(tokens[:-1], held), handle) for handle, held in places), default=(0, 0))
        if shared:
            self._kept.sort(key=lambda entry: entry.handle == handle)
            with suppress(MemoryError):
                twin = self.backend.fork(handle)
                self.backend.truncate(twin, shared)
                return twin, shared
        return self.backend.open(), 0

    def _leave(self, branch: Branch) -> None:
        """Take a branch out of the batch. One sequence of each request is kept for later ones."""
        self._running.remove(branch)
        self._crowded = False
        held = branch.tokens[: branch.computed]
        if not branch.keep or len(held) < SHARED or not self._most_kept:
            self.backend.free(branch.sequence)
        else:
            superseded = [entry for entry in self._kept if common(entry.tokens, held) == len(entry.tokens)]
            if not superseded and len(self._kept) == self._most_kept:
                superseded = self._kept[:1]
            for entry in superseded:
                self._kept.remove(entry)
                self.backend.free(entry.handle)
            self._kept.append(_Kept(branch.sequence, held))

    def _drop_abandoned(self) -> None:
        for branch in chain(self._running, self._waiting):
            branch.drop_abandoned()
        for branch in [branch for branch in self._running if not branch.samples]:
            self._leave(branch)
        self._waiting = deque(branch for branch in self._waiting if branch.samples)

    # ---- a step ------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """One pass of the model: samples join, everyone appends, texts grow, finished samples leave."""
        try:
            self._receive()
            self._drop_abandoned()
            self._admit()
            work = self._plan()
            logits = self._compute(work)
        except BaseException as error:
            for branch in self._running or self._waiting:  # nobody may wait for what nobody computes
                for sample in branch.samples:
                    sample.request.fail(error)
            self._drop_abandoned()
            if not isinstance(error, Exception):
                raise
            return
        logits[:, self._banned] = -np.inf
        for entry in work:
            entry.branch.computed += len(entry.ids)
        row = 0
        for entry in work:
            if entry.wanted:
                self._grow(entry, logits[row : row + entry.wanted])
                row += entry.wanted

    def _plan(self) -> list[_Work]:
        work = []
        budget = self._chunk
        most_guessed = self.backend.cheap_tokens // max(1, len(self._running))
        for branch in self._running:
            if branch.missing == 1:
                most = min(most_guessed, branch.left - 1)
                guess = branch.lookup.guess(most) if branch.lookup else []
                work.append(_Work(branch, branch.tokens[-1:], guess, 1 + len(guess)))
            elif budget:
                ids = branch.tokens[branch.computed :][:budget]
                budget -= len(ids)
                work.append(_Work(branch, ids, [], int(len(ids) == branch.missing)))
        return work

    def _compute(self, work: list[_Work]) -> NDArray[np.float32]:
        """The logits of `work`, from which branches that had to make room are taken out."""
        while work:
            try:
                return self.backend.step(
                    [entry.branch.sequence for entry in work],
                    [entry.ids + entry.guess for entry in work],
                    [entry.wanted for entry in work],
                )
            except MemoryError:
                # Whoever stands first stays, and is in every step, unless a guest has what it needs and will leave.
                self._make_room(staying=0 if self._guests and len(self._running) == 1 else 1)
                work[:] = [entry for entry in work if entry.branch.handle is not None]
        return np.empty((0, self.backend.config.vocab_size), np.float32)

    def _make_room(self, staying: int) -> None:
        """Take back the sequence that is missed least.

        Raises:
            CodeGeeXError: there is none, but for those of the `staying` first branches.
        """
        if self._kept:
            self.backend.free(self._kept.pop(0).handle)
        elif len(self._running) > staying:
            branch = self._running.pop()
            self.backend.free(branch.sequence)
            branch.handle, branch.computed = None, 0
            self._waiting.appendleft(branch)
            self._crowded = True
        else:
            raise CodeGeeXError("the request does not fit in the memory that is left for keys and values.")

    def _grow(self, entry: _Work, logits: NDArray[np.float32]) -> None:
        """Let every sample of a branch draw from `logits` [1 + guessed, V]; who draws something else leaves it."""
        branch = entry.branch
        rows = [Row(row) for row in logits]
        ways: dict[tuple[int, ...], list[Sample]] = {}
        for sample in branch.samples:
            try:
                drawn = sample.draw(rows, entry.guess)
            except Exception as error:  # one request's own trouble, such as a stop rule that fails, is not the others'
                sample.request.fail(error)
                continue
            self._generated_tokens += len(drawn)
            if sample.text.finish_reason is None:
                ways.setdefault(drawn, []).append(sample)
            elif not sample.index:
                branch.keep = True
        (drawn, branch.samples), *others = ways.items() or [((), [])]
        for tokens, samples in others:
            self._fork(branch, tokens, samples)
        held, right = branch.computed + len(entry.guess), max(0, len(drawn) - 1)
        branch.tokens += drawn
        branch.computed += right
        if held > branch.computed:
            self.backend.truncate(branch.sequence, branch.computed)
        if branch.lookup and entry.guess:
            branch.lookup.learn(len(entry.guess), right)
        if not branch.samples:
            self._leave(branch)

    def _fork(self, branch: Branch, drawn: Sequence[int], samples: list[Sample]) -> None:
        """Samples of a branch have drawn other tokens than the rest. Without room for their sequence they wait."""
        twin = self._branch([*branch.tokens, *drawn], samples)
        if len(self._running) < self._batch:
            with suppress(MemoryError):
                twin.handle = self.backend.fork(branch.sequence)
                twin.computed = branch.computed + len(drawn) - 1  # the last one has only been drawn
                self.backend.truncate(twin.handle, twin.computed)
                self._running.append(twin)
                return
        self._waiting.appendleft(twin)

    # ---- beam search -------------------------------------------------------------------------------------------------

    def search(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        make_rule: RuleFactory = lambda: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Finished]:
        """The likeliest completions, as `generate` gives them for `params.beams`.

        Args:
            prompt, params, make_rule: as those of `generate`.
            cancelled: asked between steps; once it says so, nothing is given.
        """
        room = self._room(prompt, params)
        search = beam_search(self.backend, self._beam_step, self.tokenizer, prompt, params, make_rule, room)
        found: list[Finished] = []
        with self._as_guest("so many beams do"):
            try:
                while not found and not cancelled():
                    with self._own_turn():
                        found = next(search)
            finally:
                with self._own_turn():
                    search.close()
        return found

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


def _banned_ids(tokenizer: Tokenizer, vocab_size: int) -> NDArray[np.int64]:
    """Ids that may not be generated: padding rows, and special tokens but end-of-text and runs of spaces."""
    allowed = {tokenizer.end_of_text, *tokenizer.space_run_ids}
    special = set(tokenizer.special_ids.values()) - allowed
    return np.array(sorted(special | set(range(len(tokenizer), vocab_size))), dtype=np.int64)
