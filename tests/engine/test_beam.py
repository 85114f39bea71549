"""Beam search over fixed tables of probabilities, against enumerating every text there is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Logits, ScriptedBackend

from codegeex.engine import Completion, Engine, Finished, SamplingParams
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer import Tokenizer

Distribution = Mapping[str, float]
Model = Callable[[str], Distribution]
END = "$"
"""Stands for end-of-text in the tables of this file."""


def random_model(seed: int, letters: str = "abc") -> Model:
    """A fixed distribution over `letters` and end-of-text for every beginning."""

    def distribution(text: str) -> Distribution:
        weights = np.random.default_rng([seed, *text.encode()]).dirichlet(np.full(len(letters) + 1, 0.7))
        return dict(zip([*letters, END], weights, strict=True))

    return distribution


class Search:
    """Runs beam search on a model over letters, and translates between letters and token ids."""

    def __init__(self, tokenizer: Tokenizer, model: Model):
        self.tokenizer, self.model = tokenizer, model

    def token(self, letter: str) -> int:
        return self.tokenizer.end_of_text if letter == END else self.tokenizer.encode(letter)[0]

    def table(self, generated: tuple[int, ...]) -> Logits:
        logits = np.full(len(self.tokenizer), -np.inf)
        for letter, probability in self.model(self.tokenizer.decode(generated)).items():
            logits[self.token(letter)] = math.log(probability) if probability else -np.inf
        return logits

    def run(self, params: SamplingParams, positions: int = 100) -> list[Completion]:
        self.backend = backend = ScriptedBackend(self.table, len(self.tokenizer), positions)
        events = list(Engine(backend, self.tokenizer, kept=0).generate(self.tokenizer.encode("Q"), params))
        assert not backend.open_sequences, "sequences were left open"
        assert backend.prefills == 1
        finished = [event for event in events if isinstance(event, Finished)]
        assert [event.index for event in finished] == list(range(len(finished)))
        return [event.completion for event in finished]

    def scores(self, completions: Sequence[Completion], penalty: float) -> list[float]:
        return [sum(one.logprobs) / len(one.logprobs) ** penalty for one in completions]


def everything(model: Model, longest: int, text: str = "", total: float = 0.0) -> Iterator[tuple[str, float]]:
    """Every text that ends with end-of-text or at `longest` letters, with its log-probability."""
    if text.endswith(END) or len(text) == longest:
        yield text, total
        return
    for letter, probability in model(text).items():
        if probability:
            yield from everything(model, longest, text + letter, total + math.log(probability))


def best(model: Model, longest: int, penalty: float, count: int) -> list[float]:
    """The `count` highest scores there are."""
    scores = [total / len(text) ** penalty for text, total in everything(model, longest)]
    return sorted(scores, reverse=True)[:count]


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("longest", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_enough_search_finds_the_best_of_all(
    byte_tokenizer: Tokenizer, seed: int, longest: int, penalty: float
) -> None:
    search = Search(byte_tokenizer, random_model(seed))
    wanted = best(search.model, longest, penalty, 4)
    params = SamplingParams(beams=200, n=len(wanted), max_tokens=longest, length_penalty=penalty)
    found = search.run(params)
    np.testing.assert_allclose(search.scores(found, penalty), wanted, atol=1e-5)
    totals = dict(everything(search.model, longest))
    for one in found:
        ended = one.tokens[-1] == byte_tokenizer.end_of_text
        assert one.finish_reason == ("stop" if ended else "length")
        assert one.text == byte_tokenizer.decode(one.tokens[:-1] if ended else one.tokens)
        assert sum(one.logprobs) == pytest.approx(totals[one.text + END * ended], abs=1e-5)


def search_by_hand(model: Model, longest: int, penalty: float, width: int) -> list[float]:
    """What the docstring of the search says, without stopping early: the best `width` scores found."""
    beams, done = [("", 0.0)], []
    for _ in range(longest):
        grown = [
            (text + letter, total + math.log(probability))
            for text, total in beams
            for letter, probability in model(text).items()
        ]
        grown = sorted(grown, key=lambda beam: -beam[1])[: 2 * width]
        ended = [beam for beam in grown if beam[0].endswith(END) or len(beam[0]) == longest]
        done += [total / len(text) ** penalty for text, total in ended]
        beams = [beam for beam in grown if beam not in ended][:width]
    return sorted(done, reverse=True)[:width]


@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0, -1.0])
@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_stopping_early_loses_nothing(byte_tokenizer: Tokenizer, seed: int, width: int, penalty: float) -> None:
    search = Search(byte_tokenizer, random_model(seed))
    params = SamplingParams(beams=width, n=width, max_tokens=6, length_penalty=penalty)
    scores = search.scores(search.run(params), penalty)
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, search_by_hand(search.model, 6, penalty, width), atol=1e-5)


def test_it_does_stop_early(byte_tokenizer: Tokenizer) -> None:
    """Once enough short answers are better than any long one can become."""
    search = Search(byte_tokenizer, lambda text: {"a": 0.2, END: 0.8})
    found = search.run(SamplingParams(beams=2, n=2, length_penalty=0))
    assert [one.text for one in found] == ["", "a"]
    assert search.backend.steps == 2


@given(seed=st.integers(0, 10**6), longest=st.integers(1, 5))
def test_no_width_beats_the_best_of_all(byte_tokenizer: Tokenizer, seed: int, longest: int) -> None:
    search = Search(byte_tokenizer, random_model(seed, "ab"))
    top = best(search.model, longest, 1.0, 1)[0]
    scores = [
        search.scores(search.run(SamplingParams(beams=width, max_tokens=longest, length_penalty=1.0)), 1.0)[0]
        for width in (2, 4, 64)
    ]
    assert max(scores) <= top + 1e-5
    assert scores[-1] == pytest.approx(top, abs=1e-5)


GARDEN_PATH: dict[str, Distribution] = {
    "": {"a": 0.6, "b": 0.4},
    "a": {"a": 0.4, "b": 0.3, "c": 0.3},
    "b": {"a": 0.95, "b": 0.05},
}
"""The likelier first letter leads nowhere."""


def garden_path(text: str) -> Distribution:
    return GARDEN_PATH.get(text, {END: 1.0})


def test_greedy_takes_the_garden_path_and_two_beams_do_not(byte_tokenizer: Tokenizer) -> None:
    search = Search(byte_tokenizer, garden_path)
    assert [one.text for one in search.run(SamplingParams(temperature=0))] == ["aa"]
    found = search.run(SamplingParams(beams=2, n=2))
    assert [one.text for one in found] == ["ba", "aa"]
    assert [round(math.exp(sum(one.logprobs)), 6) for one in found] == [0.38, 0.24]


@pytest.mark.parametrize(("penalty", "text"), [(0.0, ""), (1.0, "aaa")])
def test_a_length_penalty_favours_long_answers(byte_tokenizer: Tokenizer, penalty: float, text: str) -> None:
    def model(before: str) -> Distribution:
        return {"": {"a": 0.5, END: 0.5}, "aaa": {END: 1.0}}.get(before, {"a": 0.9, END: 0.1})

    search = Search(byte_tokenizer, model)
    assert search.run(SamplingParams(beams=4, length_penalty=penalty))[0].text == text


def test_a_long_answer_may_still_win(byte_tokenizer: Tokenizer) -> None:
    """The open hypothesis is the worst when there are enough finished ones, and the best at its full length."""

    def model(text: str) -> Distribution:
        return {"": {"a": 0.3, "b": 0.1, END: 0.6}, "a": {END: 1.0}}.get(text, {"b": 1.0})

    search = Search(byte_tokenizer, model)
    assert [one.text for one in search.run(SamplingParams(beams=2, n=2, max_tokens=10, length_penalty=1.0))] == [
        "b" * 10,
        "",
    ]


def test_a_stop_text_ends_a_hypothesis(byte_tokenizer: Tokenizer) -> None:
    search = Search(byte_tokenizer, garden_path)
    found = search.run(SamplingParams(beams=3, n=1, stop=("a",), length_penalty=0))
    assert (found[0].text, found[0].finish_reason, len(found[0].tokens)) == ("", "stop", 1)


def test_a_full_context_ends_all(byte_tokenizer: Tokenizer) -> None:
    search = Search(byte_tokenizer, lambda text: {"a": 0.7, "b": 0.3})
    found = search.run(SamplingParams(beams=3, n=3), positions=5)
    assert (found[0].text, found[0].finish_reason) == ("aaaa", "length")
    assert all(len(one.text) == 4 for one in found)


def test_fewer_texts_than_beams(byte_tokenizer: Tokenizer) -> None:
    search = Search(byte_tokenizer, lambda text: {END: 1.0} if text else {"a": 1.0})
    assert [one.text for one in search.run(SamplingParams(beams=4, n=4))] == ["a"]


def test_an_error_leaves_no_sequence_open(byte_tokenizer: Tokenizer) -> None:
    def model(text: str) -> Distribution:
        if len(text) == 3:
            raise CodeGeeXError("the device is gone")
        return {"a": 0.6, "b": 0.4}

    search = Search(byte_tokenizer, model)
    backend = ScriptedBackend(search.table, len(byte_tokenizer))
    with pytest.raises(CodeGeeXError, match="device is gone"):
        list(Engine(backend, byte_tokenizer, kept=0).generate([1], SamplingParams(beams=3)))
    assert not backend.open_sequences
