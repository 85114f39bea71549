"""Whatever a client sends or does, it is told what was wrong, and the server goes on serving."""

import json
import socket
import time

import httpx
import pytest

from codegeex.server import serve
from tests.server.conftest import held_after

PROMPT = "def add(a, b):\n"


@pytest.fixture(autouse=True)
def still_serving(server):
    yield
    assert server.post("/v1/completions", prompt=PROMPT, max_tokens=4).status_code == 200


def error_of(response):
    """The error object, which has all of its four fields."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON object"),
        (b"{", "not JSON"),
        (b"null", "JSON object"),
        (b"[]", "JSON object"),
        (b'"prompt"', "JSON object"),
        (b'{"prompt": "\xff\xfe"}', "body"),
        (b'{"prompt": "\\ud800"}', "surrogates"),
        (b"\x00" * 1000, "not JSON"),
        (b"[" * 200_000, "body"),
        (b'{"prompt": ' + b"[" * 200_000, "body"),
        (b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}", ""),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_bodies_that_are_no_request(server, body, says):
    response = httpx.post(
        f"{server.url}/v1/completions", content=body, headers={"content-type": "application/json"}, timeout=20
    )
    assert response.status_code == 400
    error = error_of(response)
    assert error["type"] == "invalid_request_error"
    assert says in error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["x", 1]}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [10**6]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": [1, 2], "suffix": "x"}, "prompt"),
        ({"prompt": "x", "n": -1}, "n"),
        ({"prompt": "x", "n": 0}, "n"),
        ({"prompt": "x", "n": 1000}, "n"),
        ({"prompt": "x", "n": "2"}, "n"),
        ({"prompt": "x", "max_tokens": -5}, "max_tokens"),
        ({"prompt": "x", "max_tokens": 1.5}, "max_tokens"),
        ({"prompt": "x", "temperature": -1}, "temperature"),
        ({"prompt": "x", "temperature": "hot"}, "temperature"),
        ({"prompt": "x", "top_p": 0}, "top_p"),
        ({"prompt": "x", "top_p": 2}, "top_p"),
        ({"prompt": "x", "min_p": -0.1}, "min_p"),
        ({"prompt": "x", "presence_penalty": 1000}, "presence_penalty"),
        ({"prompt": "x", "logprobs": 1000}, "logprobs"),
        ({"prompt": "x", "logit_bias": {"def": 1}}, "logit_bias"),
        ({"prompt": "x", "logit_bias": {"999999": 1}}, "logit_bias"),
        ({"prompt": "x", "stop": [""]}, "stop"),
        ({"prompt": "x", "stop": ["a"] * 99}, "stop"),
        ({"prompt": "x", "stop": "a" * 999}, "stop"),
        ({"prompt": "x = 1\n" * 99, "echo": True, "logprobs": 20, "n": 128, "max_tokens": 0}, "logprobs"),
        ({"prompt": "x", "best_of": 1, "n": 2}, "best_of"),
        ({"prompt": "x", "best_of": 3, "stream": True}, "best_of"),
        ({"prompt": "x", "beams": 99}, "beams"),
        ({"prompt": "x", "beams": 2, "temperature": 1}, "beams"),
        ({"prompt": "x", "echo": True, "suffix": "y"}, "echo"),
        ({"prompt": "x", "echo": True, "language": "python", "logprobs": 1}, "echo"),
        ({"prompt": "x", "messages": []}, "messages"),
        ({"prompt": "x", "stream_options": {"what": 1}}, "stream_options"),
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_fields_that_are_wrong(server, fields, param, stream):
    response = server.post("/v1/completions", **({"stream": stream} | fields))
    assert response.status_code == 400
    assert error_of(response)["param"].startswith(param)


def test_unknown_language_names_those_there_are(server):
    response = server.post("/v1/completions", prompt="x", language="klingon")
    assert response.status_code == 400
    assert "klingon" in error_of(response)["message"]


def test_unknown_model_and_paths(server):
    assert error_of(server.post("/v1/completions", model="gpt", prompt="x"))["code"] == "model_not_found"
    chat = server.post("/v1/chat/completions", messages=[])
    assert chat.status_code == 404
    assert "/v1/completions" in error_of(chat)["message"]
    assert server.get("/v1/models/none").status_code == 404
    assert server.get("/v1/completions").status_code == 405
    assert error_of(server.get("/../../etc/passwd"))["code"] == "unknown_url"
    for path in (
        "/assets/../../app.py",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/docs/assets/../../../app.py",
        "/assets//etc/passwd",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:  # clients would tidy the path
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 404"), path


def test_samples_are_counted_before_anything_is_done(server):
    """A request of half a megabyte may not ask for a hundred million answers, not even for empty ones."""
    for fields in ({"prompt": ["a"] * 2000, "n": 100}, {"prompt": ["a"] * 200_000, "echo": True, "logprobs": 1}):
        response = server.post("/v1/completions", max_tokens=0, **fields)
        assert response.status_code == 400
        assert "may ask for" in error_of(response)["message"]


def test_a_prompt_longer_than_the_context(server):
    response = server.post("/v1/completions", prompt="x y " * 600)
    assert (response.status_code, error_of(response)["code"]) == (400, "context_length_exceeded")
    fitted = server.post("/v1/completions", prompt="x = 1\n" * 600, suffix="y = 2\n" * 600, max_tokens=8)
    assert fitted.status_code == 200
    assert fitted.json()["truncated"] is True


def test_a_huge_body_is_refused_before_it_is_read(start):
    server = start(most_body=10_000)
    response = server.post("/v1/completions", prompt="x" * 20_000)
    assert (response.status_code, error_of(response)["code"]) == (413, "body_too_large")
    parts = httpx.post(f"{server.url}/v1/completions", content=(b"x" * 1000 for _ in range(50)), timeout=20)
    assert parts.status_code == 413
    assert server.post("/v1/completions", prompt="x", max_tokens=1).status_code == 200


def test_a_slow_body_is_given_up(start):
    server = start(body_seconds=0.3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in client.recv(1000)


def test_slow_headers_are_given_up(start, monkeypatch):
    monkeypatch.setattr(serve, "HEADER_SECONDS", 1)
    server = start()
    began = time.monotonic()
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(50)]
    try:
        for client in idle[:25]:
            client.sendall(b"GET /health HT")
        assert server.get("/health").status_code == 200
        for client in idle:
            assert client.recv(100) == b""
        assert time.monotonic() - began > 0.9
    finally:
        for client in idle:
            client.close()


def test_endless_headers_are_given_up(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client, pytest.raises(ConnectionError):  # noqa: PT012
        client.sendall(b"GET /health HTTP/1.1\r\n")
        for number in range(100_000):
            client.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))


def test_who_leaves_in_mid_stream_leaves_nothing_behind(server):
    for _ in range(5):
        fields = {"prompt": PROMPT, "max_tokens": 400, "temperature": 1.5, "stream": True, "n": 8}
        with httpx.stream("POST", f"{server.url}/v1/completions", json=fields, timeout=20) as stream:
            next(stream.iter_lines())
    deadline = time.monotonic() + 60
    while server.figure("num_requests_running") + server.figure("num_requests_waiting"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_who_leaves_before_the_answer_is_not_worked_for(start):
    server = start()
    body = json.dumps({"prompt": PROMPT, "max_tokens": 480, "temperature": 1, "n": 32}).encode()
    deadline = time.monotonic() + 60
    with held_after(server, 5) as (waits, on):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            head = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
            client.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
            assert waits.wait(60)
        while 'status="499"' not in server.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        on.set()
        while server.figure("num_requests_running"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert server.figure("generation_tokens_total") <= 32 * 6
