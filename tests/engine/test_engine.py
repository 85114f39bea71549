"""The engine with many requests at once: what one says never depends on the others, on memory, or on guesses."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Logits, ScriptedBackend, saying

from codegeex.engine import Backend, Completion, Engine, Event, Finished, SamplingParams
from codegeex.engine.stops import StopRule
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer import Tokenizer

LETTERS = [64, 65, 66, 67]


def babble(tokenizer: Tokenizer, **limits: int) -> ScriptedBackend:
    """Says letters that depend on the last two tokens, so that it often repeats itself."""

    def table(tokens: tuple[int, ...]) -> Logits:
        logits = np.full(len(tokenizer), -np.inf)
        logits[[*LETTERS, tokenizer.end_of_text]] = np.random.default_rng(tokens[-2:]).normal(size=5) * 3
        logits[tokenizer.end_of_text] -= 2
        return logits

    return ScriptedBackend(table, len(tokenizer), prompt_length=0, **limits)


@dataclass(frozen=True)
class Asked:
    prompt: list[int]
    params: SamplingParams


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    # Beginnings of one text, some with an end of their own: much to share.
    shared = draw(st.integers(0, 40))
    own = draw(st.lists(st.sampled_from(LETTERS), max_size=5))
    params = SamplingParams(
        temperature=draw(st.sampled_from([0, 0.7, 1.5])),
        n=draw(st.integers(1, 3)),
        seed=draw(st.integers(0, 9)),
        max_tokens=draw(st.integers(1, 30)),
    )
    return Asked((LETTERS * 10)[:shared] + own or [LETTERS[0]], params)


def completions(events: Iterator[Event]) -> list[Completion]:
    finished = [event for event in events if isinstance(event, Finished)]
    return [event.completion for event in sorted(finished, key=lambda event: event.index)]


def alone(tokenizer: Tokenizer, asked: Asked) -> list[Completion]:
    engine = Engine(babble(tokenizer), tokenizer, kept=0, speculate=False)
    return completions(engine.generate(asked.prompt, asked.params))


@given(
    asked=st.lists(requests(), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    batch=st.integers(1, 8),
    chunk=st.integers(1, 50),
    kept=st.integers(0, 3),
    memory=st.integers(80, 300),
)
def test_what_a_request_says_depends_on_nothing_else(
    byte_tokenizer: Tokenizer, asked: list[Asked], order: Any, batch: int, chunk: int, kept: int, memory: int
) -> None:
    """Callers listen in any order, some stop; everything is scarce, so that samples make room for others and return."""
    backend = babble(byte_tokenizer, memory=memory)
    engine = Engine(backend, byte_tokenizer, batch=batch, chunk=chunk, kept=kept)
    streams = {place: engine.generate(one.prompt, one.params) for place, one in enumerate(asked)}
    heard: dict[int, list[Event]] = {place: [] for place in streams}
    stopped = {place for place in streams if order.random() < 0.2}
    while streams:
        place = order.choice(list(streams))
        if place in stopped and order.random() < 0.3:
            streams.pop(place).close()
            continue
        event = next(streams[place], None)
        if event is None:
            del streams[place]
        else:
            heard[place].append(event)
    for place, one in enumerate(asked):
        if place not in stopped:
            assert completions(iter(heard[place])) == alone(byte_tokenizer, one)
    assert len(backend.open_sequences) <= kept
    engine.forget()
    assert not backend.open_sequences


@pytest.mark.parametrize("name", ["native", "numpy"])
def test_threads_share_a_model(name: str, request: pytest.FixtureRequest, tiny_tokenizer: Tokenizer) -> None:
    backend: Backend = request.getfixturevalue(f"{name}_backend")
    engine = Engine(backend, tiny_tokenizer)
    prompts = [list(range(10, 12 + 3 * place)) for place in range(8)]
    params = SamplingParams(n=2, seed=5, max_tokens=20)
    expected = [completions(Engine(backend, tiny_tokenizer).generate(prompt, params)) for prompt in prompts]
    found: dict[int, list[Completion]] = {}

    def work(place: int) -> None:
        found[place] = completions(engine.generate(prompts[place], params))

    threads = [threading.Thread(target=work, args=(place,), daemon=True) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for place in range(8):
        assert [one.tokens for one in found[place]] == [one.tokens for one in expected[place]]


def test_guesses_save_steps_where_text_repeats_itself(byte_tokenizer: Tokenizer) -> None:
    ids = byte_tokenizer.encode("total = total + price * count\n" * 6)
    params = SamplingParams(temperature=0, max_tokens=1000)

    def steps(speculate: bool) -> int:
        backend = saying(byte_tokenizer, ids)
        found = completions(Engine(backend, byte_tokenizer, speculate=speculate).generate([1, 2], params))
        assert found[0].tokens == [*ids, byte_tokenizer.end_of_text]
        return backend.steps

    assert steps(False) == len(ids) + 1
    assert steps(True) < len(ids) / 2


def test_wrong_guesses_are_given_up(byte_tokenizer: Tokenizer) -> None:
    """A text in which every three letters that come again are followed by another one than before."""
    rows = len(byte_tokenizer)

    def table(generated: tuple[int, ...]) -> Logits:
        logits = np.zeros(rows)
        logits[[64, 64, 64, 65 + len(generated) // 4 % 100][len(generated) % 4]] = 50
        return logits

    backend = ScriptedBackend(table, rows)
    list(Engine(backend, byte_tokenizer).generate([1, 2, 3], SamplingParams(temperature=0, max_tokens=300)))
    assert backend.computed - 3 < 300 * 1.2


@given(asked=st.lists(requests(), min_size=1, max_size=5))
def test_what_samples_have_in_common_is_computed_once(byte_tokenizer: Tokenizer, asked: list[Asked]) -> None:
    """One token goes through the model for every different text that another token follows."""
    backend = babble(byte_tokenizer)
    engine = Engine(backend, byte_tokenizer, kept=0, speculate=False)
    prompt = asked[0].prompt
    submitted = [engine.submit(prompt, one.params) for one in asked]
    for _ in range(100):
        engine.step()
    found = [completion for request in submitted for completion in completions(iter(request.events))]
    assert len(found) == sum(one.params.n for one in asked)
    texts = [[*prompt, *completion.tokens] for completion in found]
    assert backend.computed == len({tuple(ids[:length]) for ids in texts for length in range(1, len(ids))})


def test_a_later_request_continues_what_an_earlier_one_left(byte_tokenizer: Tokenizer) -> None:
    backend = babble(byte_tokenizer, memory=1000)
    engine = Engine(backend, byte_tokenizer, kept=2)
    params = SamplingParams(max_tokens=3, seed=0)
    prompt = LETTERS * 50
    first = completions(engine.generate(prompt, params))[0].tokens
    before = backend.computed
    found = completions(engine.generate([*prompt, *first[:-1], 70], params))
    assert backend.computed - before <= 1 + 3 + 2 * backend.cheap_tokens
    assert found == alone(byte_tokenizer, Asked([*prompt, *first[:-1], 70], params))
    # Kept sequences never stand in the way.
    assert completions(engine.generate([70] * 990, params)) == alone(byte_tokenizer, Asked([70] * 990, params))


def test_a_long_prompt_does_not_hold_up_others(byte_tokenizer: Tokenizer) -> None:
    def table(tokens: tuple[int, ...]) -> Logits:
        return np.eye(len(byte_tokenizer))[64] * 50

    backend = ScriptedBackend(table, len(byte_tokenizer), prompt_length=0)
    engine = Engine(backend, byte_tokenizer, chunk=10, speculate=False)
    params = SamplingParams(temperature=0, max_tokens=60)
    short, long = engine.generate([64], params), engine.generate([70] * 200, params)
    next(short)
    before = backend.steps
    next(long)
    assert backend.steps == before + 20
    for _ in range(20):
        next(short)  # was said meanwhile
    assert backend.steps == before + 20


def test_what_can_never_fit_fails_alone(byte_tokenizer: Tokenizer) -> None:
    backend = babble(byte_tokenizer, memory=50)
    engine = Engine(backend, byte_tokenizer)
    params = SamplingParams(max_tokens=10, seed=0)
    for options in (params, SamplingParams(beams=2, max_tokens=10)):
        with pytest.raises(CodeGeeXError, match="memory"):
            list(engine.generate([70] * 60, options))
        small = Asked([64, 65, 66], params)
        assert completions(engine.generate(small.prompt, params)) == alone(byte_tokenizer, small)


def test_beams_and_samples_share_a_model(byte_tokenizer: Tokenizer) -> None:
    backend = babble(byte_tokenizer, memory=200)
    engine = Engine(backend, byte_tokenizer, kept=0)
    asked = Asked([64] * 40, SamplingParams(seed=1, n=3, max_tokens=30))
    beams = SamplingParams(beams=3, n=3, max_tokens=20)
    samples = engine.generate(asked.prompt, asked.params)
    events = [next(samples)]
    found = completions(engine.generate([65, 66], beams))
    assert completions(iter([*events, *samples])) == alone(byte_tokenizer, asked)
    assert found == completions(Engine(babble(byte_tokenizer), byte_tokenizer).generate([65, 66], beams))
    assert not backend.open_sequences


def test_a_prompt_that_is_scored_does_not_stop_the_others_for_good(byte_tokenizer: Tokenizer) -> None:
    """It took the room of everyone; they come back."""
    engine = Engine(babble(byte_tokenizer, memory=100), byte_tokenizer, kept=0)
    asked = Asked([64] * 40, SamplingParams(seed=1, max_tokens=30))
    request = engine.submit(asked.prompt, asked.params)
    engine.step()
    engine.score([65] * 80)
    assert engine.load.running == 0
    for _ in range(200):
        engine.step()
    assert completions(iter(request.events)) == alone(byte_tokenizer, asked)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("steps", ["one by one", "as they are needed"])
def test_a_request_waits_for_guests_that_have_all_the_memory(byte_tokenizer: Tokenizer, steps: str) -> None:
    """Beams are not taken back, and the request would fit without them."""
    engine = Engine(babble(byte_tokenizer, memory=100), byte_tokenizer, kept=0)
    asked = Asked([64] * 40, SamplingParams(seed=1, max_tokens=30))
    inside, end = threading.Event(), threading.Event()

    def cancelled() -> bool:
        if engine.backend.open_sequences:
            inside.set()
            return end.wait(30)
        return False

    guest = threading.Thread(
        target=engine.search, args=([65] * 60, SamplingParams(beams=1, max_tokens=20), lambda: None, cancelled)
    )
    guest.start()
    assert inside.wait(30)
    if steps == "one by one":
        request = engine.submit(asked.prompt, asked.params)
        for _ in range(20):
            engine.step()
        assert (engine.load.running, engine.load.waiting) == (0, 1)
        end.set()
        guest.join()
        while engine.step():
            pass
        found = completions(iter(request.events))
    else:
        threading.Timer(0.2, end.set).start()
        found = completions(engine.generate(asked.prompt, asked.params))
        guest.join()
    assert found == alone(byte_tokenizer, asked)


def test_a_stop_rule_that_fails_is_its_own_request_s_trouble(byte_tokenizer: Tokenizer) -> None:
    class Failing(StopRule):
        def feed(self, text: str) -> int | None:
            raise RuntimeError("this rule is broken")

    engine = Engine(babble(byte_tokenizer), byte_tokenizer)
    broken = engine.submit([64, 65], SamplingParams(seed=2), Failing)
    asked = Asked([64, 66], SamplingParams(seed=1, max_tokens=30))
    request = engine.submit(asked.prompt, asked.params)
    for _ in range(50):
        engine.step()
    assert isinstance(broken.error, RuntimeError)
    assert completions(iter(request.events)) == alone(byte_tokenizer, asked)


def test_the_last_event_is_heard_whenever_it_comes(byte_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's step ends the request just after this one has heard everything so far."""

    class Late(deque):  # type: ignore[type-arg]
        asked = False

        def __bool__(self) -> bool:
            if not self.asked:
                self.asked = True
                request.events.append("the end")
                request.unfinished = 0
                return False
            return len(self) > 0

    engine = Engine(babble(byte_tokenizer), byte_tokenizer)
    request = engine.submit([64], SamplingParams(seed=1))
    request.events = Late()
    monkeypatch.setattr(engine, "submit", lambda *arguments: request)
    monkeypatch.setattr(engine, "_wait_for", lambda request: None)
    assert list(engine.generate([64], SamplingParams(seed=1))) == ["the end"]


def test_ids_that_the_model_does_not_know_are_their_senders_alone(byte_tokenizer):
    engine = Engine(babble(byte_tokenizer), byte_tokenizer)
    other = engine.submit(LETTERS, SamplingParams(max_tokens=5))
    for prompt in ([*LETTERS, len(byte_tokenizer)], [-1]):
        for ask in (engine.submit, lambda ids, _: engine.score(ids), lambda ids, _: engine.search(ids, BEAMS)):
            with pytest.raises(CodeGeeXError, match="token ids that are not from 0 to"):
                ask(prompt, SamplingParams())
    while engine.step():
        pass
    assert other.error is None
    assert not other.unfinished


BEAMS = SamplingParams(beams=3, max_tokens=30, length_penalty=9)


@pytest.mark.parametrize("work", ["search", "score"])
def test_what_nobody_waits_for_ends_at_its_next_step(byte_tokenizer, work):
    backend = babble(byte_tokenizer)
    engine = Engine(backend, byte_tokenizer)
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked == 4

    if work == "search":
        assert engine.search(LETTERS, BEAMS, cancelled=cancelled) == []
    else:
        assert len(engine.score(LETTERS * 100, cancelled=cancelled)) == 3 * 64
    assert (asked, backend.steps) == (4, 3)
    assert not backend.open_sequences


def test_an_interruption_ends_the_request_and_nothing_more(byte_tokenizer, monkeypatch):
    """Ctrl+C may come while a sequence is looked for: the branch must not be lost, or its request waits for ever."""
    backend = babble(byte_tokenizer)
    engine = Engine(backend, byte_tokenizer)
    with monkeypatch.context() as patch:
        patch.setattr(backend, "open", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(engine.generate(LETTERS, SamplingParams(max_tokens=5)))
    assert not engine.busy
    assert len(completions(engine.generate(LETTERS, SamplingParams(max_tokens=5)))) == 1


def test_the_first_sample_of_a_request_leaves_its_sequence(byte_tokenizer):
    """Two requests share a branch; of each, what its first sample said is kept for requests that go on from it."""
    backend = babble(byte_tokenizer)
    engine = Engine(backend, byte_tokenizer, speculate=False)
    params = [SamplingParams(temperature=1.5, n=4, seed=seed, max_tokens=20) for seed in (1, 2)]
    running = [engine.submit(LETTERS * 5, one) for one in params]
    while engine.step():
        pass
    kept = [entry.tokens for entry in engine._kept]
    for request in running:
        first = next(event for event in request.events if isinstance(event, Finished) and event.index == 0)
        said = [*LETTERS * 5, *first.completion.tokens[:-1]]
        assert any(tokens[: len(said)] == said for tokens in kept)


def test_a_prompt_waits_once_whoever_asks_for_it(byte_tokenizer):
    backend = babble(byte_tokenizer)
    engine = Engine(backend, byte_tokenizer, batch=1)
    prompts = [[*LETTERS * 300, LETTERS[index % 4], *(64 + int(digit) for digit in str(index))] for index in range(400)]
    for prompt in prompts * 2:
        engine.submit(prompt, SamplingParams(max_tokens=2, n=2))
    engine.step()
    load = engine.load
    assert load.prompt_tokens == sum(map(len, prompts)) * 4
    assert load.running + load.waiting == 400 * 4
    assert len(engine._waiting) + len(engine._running) == 400
    assert load.shared_tokens == sum(map(len, prompts)) * 3
