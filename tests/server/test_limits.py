"""Keys, rates, queues, deadlines: who may ask, how often, how much, how long."""

import asyncio
import logging
import threading
import time
from types import SimpleNamespace

import httpx
import openai
import pytest

from codegeex.errors import CodeGeeXError
from codegeex.server import limits
from codegeex.server.replies import Reply
from codegeex.server.settings import Settings, read_keys
from tests.server.conftest import held_after

PROMPT = "def add(a, b):\n"
LONG = {"prompt": PROMPT, "max_tokens": 60, "temperature": 1}


def test_keys(start):
    server = start(keys=(("secret-one", "alice"), ("secret-two", "bob")))
    for key in ("secret-one", "secret-two"):
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
            assert client.completions.create(model="nano", prompt=PROMPT, max_tokens=2).choices
    with (
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="secret-three", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="wrong") as wrong,
    ):
        client.models.list()
    assert wrong.value.code == "invalid_api_key"
    assert server.get("/v1/models").status_code == 401
    assert server.get("/metrics").status_code == 401
    assert server.get("/v1/models", headers={"Authorization": "Basic secret-one"}).status_code == 401
    assert server.get("/health").status_code == 200


def test_keys_come_from_file_and_environment(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text("# ours\nalice key-of-alice\n\nkey-of-nobody\n")
    monkeypatch.setenv("CODEGEEX_API_KEYS", "key-from-env, other-from-env")
    assert read_keys(("given-key",), path) == (
        ("given-key", "key-1"),
        ("key-from-env", "key-2"),
        ("other-from-env", "key-3"),
        ("key-of-alice", "alice"),
        ("key-of-nobody", "line-4"),
    )
    for text in ("a b c\n", "# nothing\n"):
        path.write_text(text)
        with pytest.raises(CodeGeeXError, match="key"):
            read_keys((), path)
    with pytest.raises(CodeGeeXError, match="cannot read"):
        read_keys((), tmp_path / "none")
    with pytest.raises(CodeGeeXError, match="8 or more"):
        Settings(keys=(("short", "me"),))


def test_rates_count_for_each_key(start, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter))
    server = start(keys=(("secret-one", "alice"), ("secret-two", "bob")), requests_per_minute=60, burst=3)

    def ask(key):
        return server.get("/v1/models", headers={"Authorization": f"Bearer {key}"})

    assert [ask("secret-one").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = ask("secret-one")
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert ask("secret-two").status_code == 200
    now[0] += 0.9
    assert ask("secret-one").status_code == 429
    now[0] += 0.2
    assert [ask("secret-one").status_code for _ in range(2)] == [200, 429]


def test_a_full_queue_refuses(start):
    server = start(most_waiting=10)
    statuses, lock = [], threading.Lock()

    def ask():
        response = server.post("/v1/completions", **LONG, n=16)
        with lock:
            statuses.append((response.status_code, response.headers.get("retry-after")))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {status for status, _ in statuses} == {200, 429}
    assert all(after for status, after in statuses if status == 429)


def test_a_client_of_many_requests_does_not_hold_up_others(start):
    """Sixty-four places are taken and 160 samples of alice wait; bob's only one is served long before their end."""
    server = start(keys=(("secret-one", "alice"), ("secret-two", "bob")))
    ends = {}

    async def ask(name, key, **fields):
        async with httpx.AsyncClient(timeout=60) as client:
            headers = {"Authorization": f"Bearer {key}"}
            answer = await client.post(f"{server.url}/v1/completions", json=fields, headers=headers)
            assert answer.status_code == 200, answer.text
            ends[name] = time.monotonic()

    async def everyone():
        many = [asyncio.create_task(ask(f"alice-{n}", "secret-one", **LONG, n=8, seed=n)) for n in range(28)]
        await asyncio.sleep(0.1)
        await asyncio.gather(ask("bob", "secret-two", prompt=PROMPT, max_tokens=4), *many)

    asyncio.run(everyone())
    before = sum(end < ends["bob"] for name, end in ends.items() if name != "bob")
    assert before < 20


def test_a_deadline_ends_an_answer_with_what_there_is(server):
    with held_after(server, 8):  # so that there is something at the deadline, but not all, however busy the machine
        response = server.post("/v1/completions", **(LONG | {"max_tokens": 450}), n=32, seed=1, timeout=2)
    assert response.status_code == 200
    answer = response.json()
    assert 2000 <= answer["timings"]["total_ms"] < 30_000  # the model waits for a minute
    assert any(choice["finish_reason"] == "length" for choice in answer["choices"])
    assert 0 < answer["usage"]["completion_tokens"] <= 32 * 8


def test_a_greedy_request_takes_one_place(server):
    """Its hundred samples say the same, so that there is room for others beside it."""
    ends = {}

    def ask(name, **fields):
        assert server.post("/v1/completions", prompt=PROMPT, temperature=0, **fields).status_code == 200
        ends[name] = time.monotonic()

    endless = {"logit_bias": {str(server.model.tokenizer.end_of_text): -100}}
    many = threading.Thread(target=ask, args=("many",), kwargs={"n": 100, "max_tokens": 150} | endless)
    many.start()
    while server.model.engine.load.running < 100:
        time.sleep(0.01)
    ask("one", max_tokens=4)
    many.join(60)
    assert ends["one"] < ends["many"]


BEAMS = {"prompt": PROMPT, "beams": 16, "length_penalty": 9, "max_tokens": 400}
SCORES = {"prompt": [PROMPT * 60] * 30, "echo": True, "logprobs": 1, "max_tokens": 1}


@pytest.mark.parametrize(("path", "fields"), [("beams", BEAMS), ("scores", SCORES)])
def test_what_takes_too_long_is_given_up(server, path, fields, monkeypatch):
    """There are two threads for such work: five requests that ran on would hold up the sixth for a long time."""
    steps, step = [], server.model.backend.step
    monkeypatch.setattr(server.model.backend, "step", lambda *arguments: steps.append(1) or step(*arguments))
    for _ in range(5):
        answer = server.post("/v1/completions", **fields, timeout=0.1)
        assert answer.status_code == 503
        assert "too long" in answer.json()["error"]["message"]
    steps.clear()
    assert server.post("/v1/completions", prompt=PROMPT, beams=2, max_tokens=2).status_code == 200
    assert server.post("/v1/completions", prompt=PROMPT, echo=True, logprobs=1, max_tokens=1).status_code == 200
    assert len(steps) < 20  # theirs, and one of each thread


def test_a_stream_that_is_left_at_its_echo_cancels_what_comes_after_it():
    class Run:
        closed = False

        async def pieces(self):
            yield []

        def close(self):
            self.closed = True

    async def leave():
        service = SimpleNamespace(settings=SimpleNamespace(model_name="nano"), model=SimpleNamespace(tokenizer=None))
        asked = SimpleNamespace(n=1, logprobs=None, stream_options=None)
        reply = Reply(service, None, asked, None, [SimpleNamespace(head=PROMPT)], "text_completion")
        chunks = reply._chunks(run)
        assert PROMPT.encode("unicode_escape") in await anext(chunks)
        await chunks.aclose()

    run = Run()
    asyncio.run(leave())
    assert run.closed


def test_request_ids(server):
    assert server.get("/health", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = server.get("/health", headers={"X-Request-Id": "not decent\u00e4".encode()}).headers["x-request-id"]
    assert len(made) == 24
    assert server.get("/health").headers["x-request-id"] != made


def test_cors_is_off_unless_asked(start, server):
    origin = {"Origin": "https://editor.example"}
    assert "access-control-allow-origin" not in server.get("/health", headers=origin).headers
    open_server = start(origins=("https://editor.example",))
    allowed = open_server.get("/health", headers=origin).headers
    assert allowed["access-control-allow-origin"] == "https://editor.example"
    other = open_server.get("/health", headers={"Origin": "https://evil.example"}).headers
    assert "access-control-allow-origin" not in other
    asking = origin | {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang,x-stainless-retry-count",
    }
    assert httpx.options(f"{open_server.url}/v1/completions", headers=asking).status_code == 200


def test_the_log_holds_prompts_only_where_asked(start, server, caplog):
    with caplog.at_level(logging.INFO, "codegeex.server"):
        server.post("/v1/completions", prompt="# my private words", max_tokens=2)
        server.post("/v1/completions", prompt="x", n="# my private words")
        server.get("/my-private-words")
        assert "private" not in caplog.text
        assert "/v1/completions 200" in caplog.text
        start(log_prompts=True).post("/v1/completions", prompt="# my private words", max_tokens=2)
        assert "# my private words" in caplog.text


def test_stopping_finishes_what_runs(start):
    """The server is told to stop in the middle of a stream, which goes on to its end."""
    server = start()
    fields = {"prompt": PROMPT, "max_tokens": 200, "temperature": 1.5, "seed": 1, "stream": True, "n": 8}
    with httpx.stream("POST", f"{server.url}/v1/completions", json=fields, timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        server.stop()
        rest = list(lines)
    assert rest[-2] == "data: [DONE]"


@pytest.mark.parametrize("changes", [{"burst": 0}, {"deadline": -1}, {"requests_per_minute": -1}, {"most_body": 0}])
def test_impossible_settings(changes):
    with pytest.raises(CodeGeeXError, match="must be"):
        Settings(**changes)
