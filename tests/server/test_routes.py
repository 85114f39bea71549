"""The routes beside completions: code, infill, tokenizer, metrics; and the document that lists them all."""

import json
import re
from types import SimpleNamespace

import httpx
import pytest

from codegeex.server.infill import Hurry, LeastIndent

CODE = "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(
    ("path", "fields", "text", "options"),
    [
        ("generate", {"intent": "add two numbers", "language": "go"}, "add two numbers", {"language": "go"}),
        (
            "translate",
            {"code": CODE, "source": "python", "target": "java"},
            CODE,
            {"source": "python", "target": "java"},
        ),
        ("explain", {"code": CODE, "language": "python"}, CODE, {"language": "python"}),
    ],
)
def test_code_says_what_the_model_says(server, path, fields, text, options):
    expected = getattr(server.model, path)(text, **options, seed=3, max_tokens=40, n=2)
    fields |= {"seed": 3, "max_tokens": 40, "n": 2}
    answer = server.post(f"/v1/code/{path}", **fields).json()
    assert answer["object"] == f"code.{path}"
    assert [choice["text"] for choice in answer["choices"]] == [one.text for one in expected]
    texts = ["", ""]
    with httpx.stream("POST", f"{server.url}/v1/code/{path}", json=fields | {"stream": True}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line.removeprefix("data: "))["choices"]:
                    texts[choice["index"]] += choice["text"]
    assert texts == [one.text for one in expected]


@pytest.mark.parametrize(
    ("path", "fields", "says"),
    [
        ("generate", {"intent": " ", "language": "go"}, "intent is empty"),
        ("generate", {"intent": "x", "language": "klingon"}, "klingon"),
        ("translate", {"code": CODE, "source": "python"}, "target"),
        ("explain", {"code": "", "language": "python"}, "empty"),
    ],
)
def test_code_refuses(server, path, fields, says):
    response = server.post(f"/v1/code/{path}", **fields)
    assert response.status_code == 400
    assert says in response.json()["error"]["message"]


def test_infill_is_complete(server):
    prefix, suffix = "def mean(numbers):\n    return ", " / len(numbers)\n"
    expected = server.model.complete(prefix, suffix, max_tokens=16, seed=2)
    fields = {"input_prefix": prefix, "input_suffix": suffix, "n_predict": 16, "seed": 2}
    answer = server.post("/infill", **fields).json()
    assert answer["content"] == expected.text
    assert answer["tokens_predicted"] == len(expected.tokens)
    assert answer["stop"] is True
    with httpx.stream("POST", f"{server.url}/infill", json=fields | {"stream": True}) as stream:
        chunks = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: {")]
    assert "".join(chunk["content"] for chunk in chunks) == expected.text
    assert [chunk["stop"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_infill_as_editors_ask(server):
    """The fields that llama.cpp's plugins for vim and VS Code send, the first time only to warm the cache."""
    fields = {
        "input_prefix": "import os\n\ndef home():\n",
        "input_suffix": "\n\nprint(home())\n",
        "input_extra": [{"filename": "a.py", "text": CODE, "time": [1732, 99]}],
        "prompt": "    return ",
        "model": "",
        "n_cmpl": 3,
        "lora": [],
        "n_predict": 0,
        "n_indent": 4,
        "top_k": 40,
        "top_p": 0.9,
        "stream": False,
        "samplers": ["top_k", "top_p", "infill"],
        "cache_prompt": True,
        "t_max_prompt_ms": 500,
        "t_max_predict_ms": 1,
        "response_fields": ["content", "timings/prompt_n"],
    }
    warm = server.post("/infill", **fields).json()
    assert (warm["content"], warm["tokens"]) == ("", [])
    answer = server.post("/infill", **(fields | {"n_predict": 32, "t_max_predict_ms": 1000})).json()
    assert answer["timings"]["predicted_n"] == answer["tokens_predicted"] > 0
    assert answer["timings/prompt_n"] == answer["timings"]["prompt_n"] > 0
    lines = answer["content"].split("\n")[1:]
    assert all(re.match(r"\s{4}|\s*$", line) for line in lines)


def test_a_hurry_waits_for_a_whole_line(monkeypatch):
    """The time counts from the first text on, and a line that has begun is finished."""
    moment = 10.0
    monkeypatch.setattr("codegeex.server.infill.time", SimpleNamespace(monotonic=lambda: moment))
    rule = Hurry(0.25, None)
    assert rule.feed("x") is None
    moment = 10.3
    assert rule.feed("y") is None
    assert rule.feed("\nz") == 4
    indented = Hurry(0.25, LeastIndent(4))
    assert indented.feed("x\n") is None
    assert indented.feed("z\n") == 2


@pytest.mark.parametrize(
    ("columns", "text", "end"),
    [
        (4, "x\n    y\nz\n", 8),
        (4, "x\n\n    y\n", None),
        (0, "x\ny\n", None),
        (2, "x\n  y\n z", 6),
        (4, "\n", None),
    ],
)
def test_least_indent(columns, text, end):
    whole = LeastIndent(columns)
    assert whole.feed(text) == end
    growing = LeastIndent(columns)
    found = [growing.feed(text[: place + 1][place:]) for place in range(len(text))]
    assert next((place for place in found if place is not None), None) in (end, None if end is None else end)


def test_tokenizer(server):
    answer = server.post("/tokenize", content=CODE).json()
    assert answer["tokens"] == server.model.tokenizer.encode(CODE)
    assert answer["count"] == len(answer["tokens"])
    pieces = server.post("/tokenize", prompt="\u00e9\U0001f600", with_pieces=True).json()["tokens"]
    spelled = b"".join(
        piece["piece"].encode() if isinstance(piece["piece"], str) else bytes(piece["piece"]) for piece in pieces
    )
    assert spelled.decode() == "\u00e9\U0001f600"
    assert server.post("/detokenize", tokens=answer["tokens"]).json()["content"] == CODE
    assert server.post("/detokenize", tokens=[10**6]).status_code == 400
    assert server.post("/tokenize").status_code == 400
    assert server.post("/tokenize", content="x", prompt="x").status_code == 400


def test_metrics(start):
    server = start()
    server.post("/v1/completions", prompt=CODE, max_tokens=7, logit_bias={"40": 100})
    server.post("/v1/completions", prompt=CODE, n=0)
    assert server.figure("generation_tokens_total") == 7
    assert server.figure("prompt_tokens_total") == len(server.model.tokenizer.encode(CODE))
    assert server.figure("time_to_first_token_seconds_count") == 1
    assert server.figure("e2e_request_latency_seconds_count") == 1
    text = server.get("/metrics").text
    assert 'codegeex:http_requests_total{method="POST",path="/v1/completions",status="400"} 1' in text
    for line in text.splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) codegeex:\w+ .+|codegeex:\w+\{\w+="[^"]*"(,\w+="[^"]*")*\} -?[\d.e+-]+', line
        )


def test_health_and_version(server):
    import codegeex

    assert server.get("/health").json() == {"status": "ok"}
    assert server.get("/version").json() == {"version": codegeex.__version__}


def test_every_example_of_the_document_works(server):
    document = server.get("/openapi.json").json()
    tried = 0
    for path, item in document["paths"].items():
        for operation in item.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            name = body.get("$ref", "").rpartition("/")[2]
            for example in document["components"]["schemas"].get(name, {}).get("examples", []):
                response = server.post(path, **example)
                assert response.status_code == 200, (path, response.text)
                tried += 1
    assert tried >= 8
