"""Generation from a model that says what it is told: what is streamed, what ends it, and that nothing leaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Logits, ScriptedBackend, saying

from codegeex import languages
from codegeex.engine import Completion, Engine, Finished, Piece, SamplingParams
from codegeex.engine.stops import block_rule
from codegeex.engine.text import RuleFactory
from codegeex.errors import CodeGeeXError
from codegeex.tokenizer import Tokenizer

GREEDY = SamplingParams(temperature=0, max_tokens=1000)
RULES: dict[str, RuleFactory] = {
    "none": lambda: None,
    "python": lambda: block_rule(languages.get("python"), ""),
    "inside python": lambda: block_rule(languages.get("python"), "def f():\n    return"),
    "cpp": lambda: block_rule(languages.get("cpp"), ""),
    "inside cpp": lambda: block_rule(languages.get("cpp"), "int f() {"),
}

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
    # What the rules care for, and characters of two, three and four bytes.
    st.text(st.sampled_from(list("ab \n\n  {}()\"'/*;:#é好😀")), max_size=60),
    st.lists(
        st.sampled_from(
            ["def f(x):\n", "    return x\n", "\n", "int f() {\n", "}\n", "// {é\n", "'}'", "x = 1\n", "END"]
        ),
        max_size=8,
    ).map("".join),
)


def params(**changes: Any) -> SamplingParams:
    return SamplingParams(**{"temperature": 0, "max_tokens": 1000} | changes)


def listen(
    backend: ScriptedBackend, tokenizer: Tokenizer, options: SamplingParams, make_rule: RuleFactory = RULES["none"]
) -> tuple[dict[int, list[str]], dict[int, Completion]]:
    """The pieces and the completion of each sample; nothing may come after a sample is finished."""
    pieces: dict[int, list[str]] = {index: [] for index in range(options.n)}
    completions: dict[int, Completion] = {}
    for event in Engine(backend, tokenizer, kept=0).generate([1, 2, 3], options, make_rule):
        assert event.index not in completions
        if isinstance(event, Piece):
            assert event.text
            pieces[event.index].append(event.text)
        else:
            completions[event.index] = event.completion
    assert not backend.open_sequences, "sequences were left open"
    return pieces, completions


def say(
    tokenizer: Tokenizer,
    ids: Sequence[int],
    options: SamplingParams = GREEDY,
    make_rule: RuleFactory = RULES["none"],
    positions: int = 4096,
) -> Completion:
    """The completion of a model that says `ids`, which its pieces must add up to."""
    pieces, completions = listen(saying(tokenizer, ids, positions), tokenizer, options, make_rule)
    assert "".join(pieces[0]) == completions[0].text
    return completions[0]


def cut_by_definition(tokenizer: Tokenizer, ids: list[int], stops: Sequence[str], make_rule: RuleFactory) -> str:
    """The text cut as soon as, read from its beginning after each token, it holds a stop text or the rule ends it."""
    for count in range(len(ids) + 1):
        text = tokenizer.decode_bytes(ids[:count]).decode(errors="ignore")
        rule = make_rule()
        ends = [text.index(stop) for stop in stops if stop in text]
        if rule is not None and (end := rule.feed(text)) is not None:
            ends.append(end)
        if ends:
            return text[: min(ends)]
    return tokenizer.decode(ids)


@given(TEXTS, st.lists(st.one_of(st.sampled_from(["END", "}\n", "\n\n", "aa", "aab", "é好"]), TEXTS), max_size=3))
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("merges", [False, True])
def test_the_stream_adds_up_to_the_text_cut_where_it_ends(
    byte_tokenizer: Tokenizer, tiny_tokenizer: Tokenizer, merges: bool, rule: str, text: str, stops: list[str]
) -> None:
    tokenizer = tiny_tokenizer if merges else byte_tokenizer
    ids = tokenizer.encode(text)
    options = params(stop=tuple(filter(None, stops)))
    result = say(tokenizer, ids, options, RULES[rule])
    expected = cut_by_definition(tokenizer, ids, options.stop, RULES[rule])
    assert result.text == expected
    assert result.finish_reason == "stop"
    assert [*ids, tokenizer.end_of_text][: len(result.tokens)] == result.tokens
    assert len(result.logprobs) == len(result.tokens)


@given(st.binary(max_size=30), st.integers(1, 40))
def test_bytes_that_are_no_text(byte_tokenizer: Tokenizer, data: bytes, most: int) -> None:
    ids = [id_of_byte(byte_tokenizer)[byte] for byte in data]
    result = say(byte_tokenizer, ids, params(max_tokens=most))
    assert result.text == data[:most].decode(errors="replace")
    assert result.finish_reason == ("stop" if len(data) < most else "length")


def id_of_byte(tokenizer: Tokenizer) -> dict[int, int]:
    return {tokenizer.decode_bytes([index])[0]: index for index in range(256)}


def test_text_is_streamed_as_early_as_it_is_settled(byte_tokenizer: Tokenizer) -> None:
    text = "x = 'é'\n\ny END."
    options = params(stop=("ENDE",))
    pieces, _ = listen(saying(byte_tokenizer, byte_tokenizer.encode(text)), byte_tokenizer, options)
    assert pieces[0] == ["x", " ", "=", " ", "'", "é", "'", "\n", "\n", "y", " ", "END."]
    pieces, _ = listen(saying(byte_tokenizer, byte_tokenizer.encode(text)), byte_tokenizer, GREEDY, RULES["cpp"])
    assert pieces[0] == ["x", " =", " '", "é", "'", "\n\ny", " E", "N", "D", "."]


@pytest.mark.parametrize("stop", ["D", "END", "B END", " "])
def test_a_stop_text_is_cut_off(byte_tokenizer: Tokenizer, stop: str) -> None:
    ids = byte_tokenizer.encode("AB END CD")
    result = say(byte_tokenizer, ids, params(stop=(stop,)))
    assert result.text == "AB END CD".partition(stop)[0]
    assert byte_tokenizer.decode(result.tokens) == result.text + stop
    assert result.finish_reason == "stop"


@pytest.mark.parametrize(
    ("options", "positions", "text", "reason"),
    [
        ({}, 4096, "abcdefgh", "stop"),
        ({"max_tokens": 3}, 4096, "abc", "length"),
        ({"max_tokens": 8}, 4096, "abcdefgh", "length"),
        ({"max_tokens": 9}, 4096, "abcdefgh", "stop"),
        ({}, 7, "abcd", "length"),
        ({}, 12, "abcdefgh", "stop"),
        ({"stop": ("gh",)}, 11, "abcdef", "stop"),
    ],
)
def test_what_ends_a_text(
    byte_tokenizer: Tokenizer, options: dict[str, Any], positions: int, text: str, reason: str
) -> None:
    """Three of the positions are the prompt's; end-of-text is a token too."""
    result = say(byte_tokenizer, byte_tokenizer.encode("abcdefgh"), params(**options), positions=positions)
    assert (result.text, result.finish_reason) == (text, reason)


def test_a_character_cut_by_the_limit_is_replaced(byte_tokenizer: Tokenizer) -> None:
    assert say(byte_tokenizer, byte_tokenizer.encode("a好"), params(max_tokens=3)).text == "a\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(("prompt", "message"), [([], "prompt is empty"), ([1] * 8, "prompt has 8 tokens")])
def test_impossible_prompts_are_refused(byte_tokenizer: Tokenizer, prompt: list[int], message: str) -> None:
    backend = saying(byte_tokenizer, [], positions=8)
    with pytest.raises(CodeGeeXError, match=message):
        next(Engine(backend, byte_tokenizer, kept=0).generate(prompt, GREEDY))
    assert not backend.prefills


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "seed": 1}, {"beams": 2}])
def test_only_text_is_generated(tiny_tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    """However much the model wants a special token or a padding row, it gets the next best."""
    (letter,), (spaces,) = tiny_tokenizer.encode("z"), tiny_tokenizer.encode("  ")
    # As in the released vocabulary, where a run of spaces has the name of a special token.
    tokenizer = Tokenizer(tiny_tokenizer.backend, {"<|extratoken_10|>": spaces})
    rows = len(tokenizer) + 5

    def table(generated: tuple[int, ...]) -> Logits:
        logits = np.zeros(rows)
        logits[[*tokenizer.special_ids.values(), *range(len(tokenizer), rows)]] = 900
        logits[[tokenizer.end_of_text, spaces]] = 0
        logits[spaces if len(generated) % 2 else letter] = 50
        return logits

    _, completions = listen(ScriptedBackend(table, rows), tokenizer, params(**{"max_tokens": 6} | options))
    assert completions[0].text == "z  z  z  "


def random_table(rows: int) -> Any:
    def table(generated: tuple[int, ...]) -> Logits:
        return np.random.default_rng([7, *generated]).normal(size=rows) * 2

    return table


@pytest.mark.parametrize("options", [{"temperature": 1.0}, {"temperature": 0.7, "top_p": 0.9, "top_k": 20}])
def test_a_sample_does_not_depend_on_the_others(byte_tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    rows = len(byte_tokenizer)

    def tokens(count: int, seed: int = 3) -> list[list[int]]:
        backend = ScriptedBackend(random_table(rows), rows)
        _, completions = listen(backend, byte_tokenizer, SamplingParams(n=count, seed=seed, max_tokens=20, **options))
        assert backend.prefills == 1
        drawn = [completions[index].tokens for index in range(count)]
        continued = {tuple(ids[:length]) for ids in drawn for length in range(1, len(ids))}
        ends = continued - {text[:-1] for text in continued}
        assert backend.forks == max(0, len(ends) - 1)  # one for each way that texts part and go on
        return drawn

    five = tokens(5)
    assert len(set(map(tuple, five))) == 5
    assert tokens(1) == five[:1]
    assert tokens(3) == five[:3]
    assert tokens(3, seed=4) != five[:3]


def test_samples_end_at_their_own_time_and_are_decoded_together(byte_tokenizer: Tokenizer) -> None:
    rows = len(byte_tokenizer)

    def table(generated: tuple[int, ...]) -> Logits:
        logits = np.full(rows, -np.inf)
        logits[[40, 41, byte_tokenizer.end_of_text]] = 0
        return logits

    backend = ScriptedBackend(table, rows)
    _, completions = listen(backend, byte_tokenizer, SamplingParams(n=8, seed=0))
    lengths = [len(completions[index].tokens) for index in range(8)]
    assert len(set(lengths)) > 2
    assert backend.steps == max(lengths)
    for one in completions.values():
        np.testing.assert_allclose(one.logprobs, np.log(1 / 3), atol=1e-6)
        assert one.tokens[-1] == byte_tokenizer.end_of_text


@pytest.mark.parametrize("heard", range(12))
def test_whoever_stops_listening_leaves_no_sequence_open(byte_tokenizer: Tokenizer, heard: int) -> None:
    rows = len(byte_tokenizer)
    backend = ScriptedBackend(random_table(rows), rows)
    events = Engine(backend, byte_tokenizer, kept=0).generate([1], SamplingParams(n=3, seed=0, max_tokens=3))
    for _ in range(heard):
        next(events)
    events.close()
    assert not backend.open_sequences


def test_an_error_leaves_no_sequence_open(byte_tokenizer: Tokenizer) -> None:
    def table(generated: tuple[int, ...]) -> Logits:
        if len(generated) == 2:
            raise RuntimeError("the device is gone")
        return np.zeros(len(byte_tokenizer))

    backend = ScriptedBackend(table, len(byte_tokenizer))
    with pytest.raises(RuntimeError, match="device is gone"):
        list(Engine(backend, byte_tokenizer, kept=0).generate([1], SamplingParams(n=2, seed=0)))
    assert not backend.open_sequences


@pytest.mark.parametrize("options", [{"n": 3}, {"beams": 3, "n": 2}])
def test_a_real_backend_is_left_empty(numpy_backend: Any, tiny_tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    events = list(
        Engine(numpy_backend, tiny_tokenizer, kept=0).generate([5, 6], SamplingParams(seed=1, max_tokens=12, **options))
    )
    completions = [event.completion for event in events if isinstance(event, Finished)]
    assert len(completions) == options["n"]
    assert not numpy_backend._caches
    # Reported log-probabilities are those of the model itself.
    for one in completions:
        handle, logits = numpy_backend.prefill([5, 6])
        for token, logprob in zip(one.tokens, one.logprobs, strict=True):
            allowed = np.delete(logits.astype(float), list(forbidden(tiny_tokenizer, len(logits))))
            assert logprob == pytest.approx(logits[token] - np.logaddexp.reduce(allowed), abs=1e-3)
            logits = numpy_backend.decode([handle], [token])[0]


def forbidden(tokenizer: Tokenizer, rows: int) -> set[int]:
    return {*tokenizer.special_ids.values(), *range(len(tokenizer), rows)} - {tokenizer.end_of_text}
