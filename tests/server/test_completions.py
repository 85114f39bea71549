"""`/v1/completions` does what OpenAI's clients expect, and says what the engine says."""

import asyncio
import json
import subprocess

import openai
import pytest

from codegeex.engine.sampling import SamplingParams
from codegeex.engine.text import Finished

PROMPT = "# language: Python\ndef add(a, b):\n"


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def engine_says(server, prompt, **options):
    """What the engine answers without a server."""
    params = SamplingParams(**{"temperature": 0.2, "top_p": 0.95, "max_tokens": 256} | options)
    ids = server.model.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
    events = [event for event in server.model.engine.generate(ids, params) if isinstance(event, Finished)]
    return [event.completion for event in sorted(events, key=lambda event: event.index)]


def test_says_what_the_engine_says(server, client):
    answer = client.completions.create(model="nano", prompt=PROMPT, max_tokens=30, seed=5, temperature=0.8, n=3)
    expected = engine_says(server, PROMPT, max_tokens=30, seed=5, temperature=0.8, n=3)
    assert [choice.text for choice in answer.choices] == [one.text for one in expected]
    assert [choice.finish_reason for choice in answer.choices] == [one.finish_reason for one in expected]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.object == "text_completion"
    assert answer.model == "nano"
    assert answer.usage.prompt_tokens == len(server.model.tokenizer.encode(PROMPT))
    assert answer.usage.completion_tokens == sum(len(one.tokens) for one in expected)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_says_the_same(client):
    fields = {
        "model": "nano",
        "prompt": [PROMPT, "func main() {"],
        "max_tokens": 40,
        "seed": 5,
        "temperature": 1,
        "n": 2,
    }
    whole = client.completions.create(**fields)
    texts, reasons, usage = dict.fromkeys(range(4), ""), {}, None
    for chunk in client.completions.create(**fields, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            assert choice.index not in reasons
            texts[choice.index] += choice.text
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    assert texts == {choice.index: choice.text for choice in whole.choices}
    assert reasons == {choice.index: choice.finish_reason for choice in whole.choices}
    assert usage == whole.usage


def test_async_client(server):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            asked = [
                client.completions.create(model="nano", prompt=PROMPT, max_tokens=20, seed=seed, temperature=1)
                for seed in range(8)
            ]
            answers = await asyncio.gather(*asked)
            pieces = [
                chunk.choices[0].text
                async for chunk in await client.completions.create(
                    model="nano", prompt=PROMPT, max_tokens=20, seed=3, temperature=1, stream=True
                )
            ]
            return [answer.choices[0].text for answer in answers], "".join(pieces)

    answers, streamed = asyncio.run(ask())
    expected = [engine_says(server, PROMPT, max_tokens=20, seed=seed, temperature=1)[0].text for seed in range(8)]
    assert answers == expected
    assert streamed == expected[3]


def test_prompts_as_token_ids(server, client):
    ids = server.model.tokenizer.encode(PROMPT)
    text, one, several = (
        client.completions.create(model="nano", prompt=prompt, max_tokens=8, seed=1)
        for prompt in (PROMPT, ids, [ids, ids])
    )
    assert {choice.text for answer in (text, one, several) for choice in answer.choices} == {text.choices[0].text}
    assert len(several.choices) == 2


def test_suffix_fills_the_gap(server, client):
    prefix, suffix = "def mean(numbers):\n    return ", " / len(numbers)\n"
    answer = client.completions.create(model="nano", prompt=prefix, suffix=suffix, max_tokens=12, seed=1)
    expected = server.model.complete(prefix, suffix, max_tokens=12, seed=1)
    assert answer.choices[0].text == expected.text
    assert answer.usage.prompt_tokens == expected.prompt_tokens


def test_language_tags_the_prompt_and_ends_the_block(server, client):
    code = "def add(a, b):\n"
    answer = client.completions.create(
        model="nano", prompt=code, max_tokens=100, seed=2, temperature=0.8, extra_body={"language": "python"}
    )
    assert (
        answer.choices[0].text
        == server.model.complete(code, language="python", seed=2, temperature=0.8, max_tokens=100).text
    )


def test_logprobs(server, client):
    answer = client.completions.create(model="nano", prompt=PROMPT, max_tokens=10, seed=1, logprobs=3)
    expected = engine_says(server, PROMPT, max_tokens=10, seed=1, top_logprobs=3)[0]
    found = answer.choices[0].logprobs
    assert found.token_logprobs == pytest.approx(expected.logprobs)
    assert found.tokens == [server.model.tokenizer.decode([index]) for index in expected.tokens]
    assert all(3 <= len(top) <= 4 and token in top for top, token in zip(found.top_logprobs, found.tokens, strict=True))
    text = "".join(found.tokens)
    assert all(text[at:].startswith(token) for at, token in zip(found.text_offset, found.tokens, strict=True))


def test_an_end_of_text_that_is_drawn_has_its_place(server, client):
    """Harnesses ask for one token after an echo, and take all places but the last one for the prompt's."""
    end = server.model.tokenizer.end_of_text
    fields = {"model": "nano", "prompt": PROMPT, "max_tokens": 1, "echo": True, "logprobs": 1}
    drawn = client.completions.create(**fields, logit_bias={str(end): 100}).choices[0]
    assert drawn.text == PROMPT
    assert drawn.logprobs.tokens[-1] == "<|endoftext|>"
    assert len(drawn.logprobs.token_logprobs) == len(server.model.tokenizer.encode(PROMPT)) + 1


@pytest.mark.parametrize("most", [0, 8])
def test_a_prompt_that_is_cut_says_so(server, most):
    for prompt, cut in (("x = 1\n" * 900, True), ("x = 1\n", False)):
        answer = server.post("/v1/completions", prompt=prompt, language="python", max_tokens=most).json()
        assert answer["truncated"] is cut


def test_offsets_are_places_in_the_text(server):
    """An explanation begins with the code that it is of, which has no tokens of its own."""
    code = "def add(a, b):\n    return a + b\n"
    fields = {"code": code, "language": "python", "max_tokens": 20, "logprobs": 0, "temperature": 0}
    choice = server.post("/v1/code/explain", **fields).json()["choices"][0]
    found = choice["logprobs"]
    assert found["tokens"]
    for at, token in zip(found["text_offset"], found["tokens"], strict=True):
        assert choice["text"].startswith(token, at) or token == "<|endoftext|>"


def test_streamed_logprobs_are_all_there(client):
    fields = {"model": "nano", "prompt": PROMPT, "max_tokens": 30, "seed": 1, "logprobs": 1, "temperature": 1}
    whole = client.completions.create(**fields).choices[0].logprobs
    chunks = [chunk.choices[0].logprobs for chunk in client.completions.create(**fields, stream=True)]
    for name in ("tokens", "token_logprobs", "text_offset", "top_logprobs"):
        assert [value for chunk in chunks for value in getattr(chunk, name)] == getattr(whole, name)


def test_echo_scores_the_prompt(client):
    answer = client.completions.create(model="nano", prompt=PROMPT, max_tokens=5, echo=True, logprobs=0, seed=1)
    alone = client.completions.create(model="nano", prompt=PROMPT, max_tokens=0, echo=True, logprobs=2)
    choice = answer.choices[0]
    assert choice.text.startswith(PROMPT)
    assert "".join(choice.logprobs.tokens) == choice.text
    assert choice.logprobs.token_logprobs[0] is None
    assert alone.choices[0].text == PROMPT
    scored = alone.choices[0].logprobs.token_logprobs
    assert scored[1:] == pytest.approx(choice.logprobs.token_logprobs[1 : len(scored)])
    assert all(value < 0 for value in scored[1:])


def test_scores_are_those_of_generation(server, client):
    """What was drawn greedily has, as a prompt, the log-probabilities that it was drawn with."""
    drawn = client.completions.create(model="nano", prompt=PROMPT, max_tokens=12, temperature=0, logprobs=0).choices[0]
    ids = [*server.model.tokenizer.encode(PROMPT), *engine_says(server, PROMPT, temperature=0, max_tokens=12)[0].tokens]
    scored = client.completions.create(model="nano", prompt=ids, max_tokens=0, echo=True, logprobs=0).choices[0]
    count = len(drawn.logprobs.tokens)
    assert scored.logprobs.token_logprobs[-count:] == pytest.approx(drawn.logprobs.token_logprobs, abs=1e-4)


def test_best_of_gives_the_likeliest(server, client):
    answer = client.completions.create(
        model="nano", prompt=PROMPT, max_tokens=20, seed=1, temperature=1, n=2, best_of=6
    )
    drawn = engine_says(server, PROMPT, max_tokens=20, seed=1, temperature=1, n=6)
    drawn.sort(key=lambda one: -sum(one.logprobs) / len(one.logprobs))
    assert [choice.text for choice in answer.choices] == [one.text for one in drawn[:2]]
    assert answer.usage.completion_tokens == sum(len(one.tokens) for one in drawn)


def test_stop_bias_and_penalties(server, client):
    stopped = client.completions.create(model="nano", prompt=PROMPT, max_tokens=60, temperature=0, stop=["return", "b"])
    assert "return" not in stopped.choices[0].text
    assert stopped.choices[0].finish_reason == "stop"
    star = server.model.tokenizer.encode("*")[0]
    biased = client.completions.create(model="nano", prompt=PROMPT, max_tokens=5, logit_bias={str(star): 100})
    assert biased.choices[0].text == "*****"
    options = {"presence_penalty": 1.5, "frequency_penalty": 1.0, "seed": 1, "max_tokens": 30}
    expected = engine_says(server, PROMPT, **options, min_p=0.05, top_k=40)[0].text
    answer = client.completions.create(
        model="nano", prompt=PROMPT, **options, user="me", extra_body={"min_p": 0.05, "top_k": 40}
    )
    assert answer.choices[0].text == expected


def test_beams(server, client):
    answer = client.completions.create(model="nano", prompt=PROMPT, max_tokens=8, n=2, extra_body={"beams": 3})
    expected = engine_says(server, PROMPT, temperature=0.2, max_tokens=8, n=2, beams=3)
    assert [choice.text for choice in answer.choices] == [one.text for one in expected]
    chunks = list(
        client.completions.create(model="nano", prompt=PROMPT, max_tokens=8, stream=True, extra_body={"beams": 3})
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected[0].text


def test_beams_get_their_turn_beside_streams(server, client):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=30) as client:
            streams = [
                client.completions.create(model="nano", prompt=PROMPT, max_tokens=400, temperature=1, seed=seed)
                for seed in range(12)
            ]
            beams = client.completions.create(model="nano", prompt=PROMPT, max_tokens=30, extra_body={"beams": 2})
            return await asyncio.gather(beams, *streams)

    beams, *others = asyncio.run(ask())
    assert beams.choices[0].text == engine_says(server, PROMPT, max_tokens=30, beams=2)[0].text
    assert all(answer.choices for answer in others)


def test_curl(server):
    body = json.dumps({"prompt": PROMPT, "max_tokens": 6, "stream": True, "seed": 1})
    command = ["curl", "-sN", "-H", "Content-Type: application/json", "-d", body, f"{server.url}/v1/completions"]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert text == engine_says(server, PROMPT, max_tokens=6, seed=1)[0].text
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_errors_reach_the_client(client):
    with pytest.raises(openai.NotFoundError, match="nano") as wrong_model:
        client.completions.create(model="gpt-5", prompt="x")
    assert wrong_model.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="best_of") as wrong_number:
        client.completions.create(model="nano", prompt="x", n=3, best_of=2)
    assert wrong_number.value.param == "best_of"
    with pytest.raises(openai.BadRequestError, match="512") as too_long:
        client.completions.create(model="nano", prompt="x y " * 600, stream=True)
    assert too_long.value.code == "context_length_exceeded"


def test_models(server, client):
    (model,) = client.models.list()
    assert client.models.retrieve("nano") == model
    capabilities = model.model_extra["capabilities"]
    assert capabilities["fim"] is True
    assert capabilities["languages"]["cpp"] == "C++"
    assert ["python", "cpp"] in capabilities["translate"]
    assert capabilities["context"] == server.model.backend.config.max_position_embeddings
