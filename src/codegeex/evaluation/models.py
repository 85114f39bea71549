"""Where samples come from: a model directory, a Hugging Face model, or a server that speaks OpenAI's language."""

from __future__ import annotations

import hashlib
import http.client
import importlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.evaluation.programs import CompletionRule

_IN_FLIGHT = 128
"""No further problem is begun while so many samples run, which fill the batch. Those of a problem begin together, as
they share their work while they say the same."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A sample to be made."""

    task_id: str
    language: str
    prompt: str
    index: int
    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to make samples; the temperature is each one's own."""

    top_p: float = 0.95
    max_tokens: int = 512


class Generator(Protocol):
    """Makes samples.

    Attributes:
        name: what reports call it.
        fingerprint: the same for the same weights; "" where they are out of reach.
    """

    name: str
    fingerprint: str

    def generate(self, wanted: Sequence[Wanted], sampling: Sampling) -> Iterator[tuple[Wanted, str]]:
        """Every sample's text, in whatever order they are done."""
        ...


def seed_of(run: int, task_id: str, temperature: float, index: int) -> int:
    """A sample's own random numbers, which do not depend on what else is sampled."""
    digest = hashlib.sha256(f"{run} {task_id} {temperature} {index}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def generator(model: str | None) -> Generator:
    """The generator that a --model names: a directory, `hf:NAME`, `openai:URL#MODEL`, or None for the embedded model.

    Raises:
        CodeGeeXError: no such model.
    """
    if model and model.startswith("hf:"):
        return HuggingFace(model[3:])
    if model and model.startswith("openai:"):
        url, _, name = model[7:].partition("#")
        return Endpoint(url, name)
    return Native(Path(model) if model else None)


_PROBES, _PROBE_BYTES = 64, 1 << 16
"""Places of a file, and bytes at each, that say whether it is the same: 13 billion weights are not read for that."""


def fingerprint(*paths: Path) -> str:
    """A digest of files, the large ones by samples of their bytes."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for place in range(0, size, max(_PROBE_BYTES, size // _PROBES)):
                file.seek(place)
                digest.update(file.read(_PROBE_BYTES))
    return digest.hexdigest()[:16]


class Native:
    """A model directory, through the engine."""

    def __init__(self, path: Path | None):
        from codegeex.assistant import load
        from codegeex.assistant.assistant import EMBEDDED_MODEL

        folder = path or EMBEDDED_MODEL
        self.name = folder.resolve().name if path else "embedded"
        self.fingerprint = fingerprint(*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.json")))
        self._model = load(path)

    def generate(self, wanted: Sequence[Wanted], sampling: Sampling) -> Iterator[tuple[Wanted, str]]:
        from codegeex.engine.branch import Request
        from codegeex.engine.sampling import SamplingParams
        from codegeex.engine.text import Finished

        engine = self._model.engine
        longest = self._model.backend.config.max_position_embeddings
        problems = groupby(wanted, key=lambda one: one.prompt)
        running: dict[Request, Wanted] = {}
        try:
            while True:
                while len(running) < _IN_FLIGHT and (problem := next(problems, None)):
                    prompt, samples = problem
                    # A prompt too long for the model loses its beginning; a quarter of the context is for the answer.
                    ids = self._model.tokenizer.encode(prompt)[-(longest - longest // 4) :]
                    for one in samples:
                        params = SamplingParams(
                            temperature=one.temperature,
                            top_p=sampling.top_p,
                            max_tokens=sampling.max_tokens,
                            seed=one.seed,
                        )
                        rule = partial(CompletionRule, one.language)
                        running[engine.submit(ids, params, rule)] = one
                if not running:
                    return
                engine.step()
                for request in [request for request in running if request.ready]:
                    if request.error is not None:
                        raise request.error
                    for event in request.events:
                        if isinstance(event, Finished):
                            yield running.pop(request), event.completion.text
                    request.events.clear()
        finally:
            for request in running:
                request.abandoned = True


class HuggingFace:
    """A causal language model of the transformers library."""

    def __init__(self, name: str):
        try:
            transformers: Any = importlib.import_module("transformers")
        except ImportError:
            raise CodeGeeXError("hf: models need transformers and PyTorch: pip install 'codegeex[hf]'.") from None
        import torch

        self.name = name
        parts = [path for path in sorted(Path(name).rglob("*")) if path.suffix in (".safetensors", ".bin", ".json")]
        self.fingerprint = fingerprint(*parts) if parts else hashlib.sha256(f"hf:{name}".encode()).hexdigest()[:16]
        self._torch = torch
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(name)
            self._model = transformers.AutoModelForCausalLM.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise CodeGeeXError(f"cannot load the Hugging Face model {name}: {str(error).splitlines()[0]}") from None
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        self._model.to(device or "cpu").eval()

    def generate(self, wanted: Sequence[Wanted], sampling: Sampling) -> Iterator[tuple[Wanted, str]]:
        torch = self._torch
        longest = getattr(self._model.config, "max_position_embeddings", None)
        for one in wanted:
            torch.manual_seed(one.seed)
            inputs = self._tokenizer(one.prompt, return_tensors="pt").to(self._model.device)
            most = sampling.max_tokens
            if longest:  # a long prompt loses its beginning, and leaves a quarter of the context
                inputs = {name: values[:, -(longest - longest // 4) :] for name, values in inputs.items()}
                most = min(most, longest - inputs["input_ids"].shape[1])
            length = inputs["input_ids"].shape[1]
            drawn = {"do_sample": True, "temperature": one.temperature, "top_p": sampling.top_p, "top_k": 0}
            with torch.inference_mode():
                output = self._model.generate(
                    **inputs,
                    max_new_tokens=most,
                    pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
                    **(drawn if one.temperature else {"do_sample": False}),
                )
            yield one, _cut(self._text(output[0])[len(self._text(output[0, :length])) :], one.language)

    def _text(self, ids: Any) -> str:
        # From its beginning on: many tokenizers drop a space where a text begins.
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class Endpoint:
    """A server with OpenAI's /completions.

    Args:
        url: up to and with /v1.
        model: its name there; "" where the server has but one.
    """

    def __init__(self, url: str, model: str):
        if not url.startswith(("http://", "https://")):
            raise CodeGeeXError(f"openai:{url} is no address; for example openai:http://localhost:8000/v1#my-model.")
        self.name = model or url
        self.fingerprint = hashlib.sha256(f"{url}#{model}".encode()).hexdigest()[:16]
        self._url, self._model = url.rstrip("/"), model

    def generate(self, wanted: Sequence[Wanted], sampling: Sampling) -> Iterator[tuple[Wanted, str]]:
        for one in wanted:
            answer = self._ask(
                {
                    "model": self._model,
                    "prompt": one.prompt,
                    "temperature": one.temperature,
                    "top_p": sampling.top_p,
                    "max_tokens": sampling.max_tokens,
                    "seed": one.seed % 2**31,
                }
            )
            try:
                yield one, _cut(answer["choices"][0]["text"], one.language)
            except (KeyError, IndexError, TypeError):
                raise WorkFailed(f"{self._url} gave an answer without choices: {str(answer)[:200]}") from None

    def _ask(self, body: dict[str, Any]) -> Any:
        import os

        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        try:
            request = urllib.request.Request(f"{self._url}/completions", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=600) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            words = error.read(500).decode(errors="replace")
            raise WorkFailed(f"{self._url} refused ({error.code}): {words}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise WorkFailed(f"no answer from {self._url}: {error}.") from None


def _cut(text: str, language: str) -> str:
    """Text generated without the stop rule, ended where the rule would have ended it."""
    end = CompletionRule(language).feed(text)
    return text if end is None else text[:end]
