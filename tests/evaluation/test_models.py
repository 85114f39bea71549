"""Generators: the engine's samples against the engine itself, and a server of OpenAI's kind."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import codegeex
from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.evaluation.models import Endpoint, Native, Sampling, Wanted, fingerprint, generator, seed_of


def test_the_engine_gives_each_sample_what_its_own_seed_gives():
    prompt = "# language: Python\ndef add(a, b):\n"
    wanted = [Wanted("Python/0", "python", prompt, i, 0.8, seed_of(1, "Python/0", 0.8, i)) for i in range(20)]
    made = dict(Native(None).generate(wanted, Sampling(max_tokens=24)))
    assert made.keys() == set(wanted)
    assert len(set(made.values())) > 5
    model = codegeex.load()
    for one in wanted[:3]:
        alone = model.complete(prompt, temperature=0.8, top_p=0.95, max_tokens=24, seed=one.seed).text
        assert alone.startswith(made[one])


def test_the_samples_of_a_problem_share_their_work():
    """Greedy samples all say the same: three hundred of two problems take what one of each takes."""
    prompts = [f"# language: Python\ndef {name}(a, b):\n" for name in ("add", "larger")]
    rows = []  # through the model
    for samples in (1, 150):
        native = Native(None)
        step = native._model.backend.step
        counted: list[int] = []

        def count(sequences, ids, wanted, step=step, counted=counted):
            counted.append(sum(map(len, ids)))
            return step(sequences, ids, wanted)

        native._model.backend.step = count
        wanted = [
            Wanted(f"Python/{number}", "python", prompt, index, 0.0, index)
            for number, prompt in enumerate(prompts)
            for index in range(samples)
        ]
        made = list(native.generate(wanted, Sampling(max_tokens=24)))
        assert len(made) == 2 * samples
        rows.append(sum(counted))
    assert rows[1] < 2 * rows[0]  # guesses at next tokens may be others


def test_a_prompt_too_long_for_the_model_is_cut():
    wanted = [Wanted("Python/0", "python", "x = 1\n" * 5000, 0, 0.8, 1)]
    assert len(list(Native(None).generate(wanted, Sampling(max_tokens=8)))) == 1


@pytest.fixture
def server():
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, body))
            answer = {"choices": [{"text": "    return 1\nprint()"}]}
            status = 503 if body["model"] == "busy" else 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer if body["model"] != "odd" else {}).encode())

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint(server):
    url, asked = server
    wanted = [Wanted("Python/0", "python", "def f():\n", 0, 0.5, 2**40 + 3)]
    (answer,) = generator(f"openai:{url}#small").generate(wanted, Sampling(max_tokens=9))
    assert answer == (wanted[0], "    return 1")  # ended by the benchmark's rule
    path, body = asked[0]
    assert path == "/v1/completions"
    assert (body["model"], body["prompt"], body["temperature"], body["max_tokens"]) == ("small", "def f():\n", 0.5, 9)


@pytest.mark.parametrize(("model", "message"), [("busy", r"refused \(503\)"), ("odd", "without choices")])
def test_an_endpoint_that_fails(server, model, message):
    wanted = [Wanted("Python/0", "python", "", 0, 0.5, 1)]
    with pytest.raises(WorkFailed, match=message):
        list(Endpoint(server[0], model).generate(wanted, Sampling()))


@pytest.mark.parametrize("url", ["http://local host/v1", "http://localhost:port/v1", "http://[::1/v1"])
def test_an_address_that_nobody_has(url):
    with pytest.raises(WorkFailed, match="no answer from"):
        list(Endpoint(url, "m").generate([Wanted("Python/0", "python", "", 0, 0.5, 1)], Sampling()))


def test_a_fingerprint_sees_every_file(tmp_path):
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_bytes(bytes(300_000))
    two.write_text("{}")
    known = {fingerprint(one), fingerprint(one, two), fingerprint(two)}
    assert fingerprint(one, two) in known
    one.write_bytes(bytes(299_999) + b"x")
    known.add(fingerprint(one, two))
    two.write_text("{ }")
    known.add(fingerprint(one, two))
    assert len(known) == 5


def test_an_address_that_is_none():
    with pytest.raises(CodeGeeXError, match="is no address"):
        generator("openai:localhost")


def test_a_hugging_face_model(tmp_path):
    """A tiny random one, against its own greedy choice computed by hand."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    from codegeex.assistant.assistant import EMBEDDED_MODEL

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(EMBEDDED_MODEL / "tokenizer.json"), eos_token="<|endoftext|>"
    )
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=1, n_head=2)
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(tmp_path)
    wanted = [Wanted("Go/0", "go", "x := 1\n", 0, temperature, 7) for temperature in (0.0, 1.0, 1.0)]
    greedy, first, second = (text for _, text in generator(f"hf:{tmp_path}").generate(wanted, Sampling(max_tokens=6)))
    ids = tokenizer("x := 1\n", return_tensors="pt")["input_ids"]
    for _ in range(6):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
    assert greedy == tokenizer.decode(ids[0, -6:], skip_special_tokens=True)
    assert first == second  # the same seed


def test_no_such_hugging_face_model(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(CodeGeeXError, match="cannot load the Hugging Face model"):
        generator(f"hf:{tmp_path / 'nothing'}")
