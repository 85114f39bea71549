"""What all routes share: the model, the thread that runs it, and how a request's fields become its parameters."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import Request

from codegeex.assistant import Model
from codegeex.assistant.assistant import Request as Task
from codegeex.assistant.assistant import sampling_params
from codegeex.engine.sampling import SamplingParams
from codegeex.server.answers import Run
from codegeex.server.engine_thread import EngineThread
from codegeex.server.errors import ApiError
from codegeex.server.metrics import Metrics
from codegeex.server.schema import Asked
from codegeex.server.settings import Settings

log = logging.getLogger("codegeex.server")

T = TypeVar("T")

LONG_TEXT = 20_000
"""Characters from which a text is not tokenized on the loop, where everybody would wait for it."""


class Service:
    """A model that is served.

    Attributes:
        created: when, in seconds since 1970.
    """

    def __init__(self, model: Model, settings: Settings):
        self.model, self.settings = model, settings
        self.metrics = Metrics()
        self.engine = EngineThread(model.engine, settings.most_waiting, settings.stream_seconds)
        self.created = int(time.time())

    @property
    def context(self) -> int:
        return self.model.backend.config.max_position_embeddings

    def check_model(self, name: str | None) -> None:
        """Raises an `ApiError` unless this is the model that is served."""
        if name not in (None, self.settings.model_name):
            raise ApiError(
                404,
                f"the model {name!r} does not exist; this server has {self.settings.model_name!r}.",
                param="model",
                code="model_not_found",
            )

    def params(self, asked: Asked, prompts: int = 1) -> SamplingParams:
        """The fields of a request that sampling knows; checked before anything is done for its prompts.

        Raises:
            CodeGeeXError: values that are impossible together, or more samples than a request may ask for.
        """
        if (asked.beams or 1) > 1 and any((asked.temperature, asked.top_k, asked.top_p, asked.seed is not None)):
            raise ApiError(
                400, "beam search draws nothing: leave out temperature, top_k, top_p and seed.", param="beams"
            )
        n, best_of = asked.n or 1, asked.best_of or asked.n or 1
        if best_of < n:
            raise ApiError(400, f"best_of must be at least n, which is {n}; it is {best_of}.", param="best_of")
        if asked.stream and best_of > n:
            raise ApiError(400, "a stream cannot give the best of more samples: leave out best_of.", param="best_of")
        if (asked.beams or 1) > 1 and best_of > n:
            raise ApiError(400, "beams are the best already: leave out best_of.", param="best_of")
        if best_of * prompts > self.settings.most_samples:
            most, total = self.settings.most_samples, best_of * prompts
            raise ApiError(400, f"a request may ask for {most} samples, not {total}.", param="n")
        bias = {int(index): value for index, value in (asked.logit_bias or {}).items()}
        if unknown := [index for index in bias if index >= len(self.model.tokenizer)]:
            raise ApiError(400, f"there is no token {unknown[0]} to give a bias.", param="logit_bias")
        return sampling_params(
            temperature=asked.temperature,
            top_k=None if asked.top_k is None else max(0, asked.top_k),
            top_p=asked.top_p,
            min_p=asked.min_p,
            max_tokens=asked.max_tokens or None,
            n=best_of,
            seed=asked.seed,
            stop=stop_texts(asked.stop),
            presence_penalty=asked.presence_penalty,
            frequency_penalty=asked.frequency_penalty,
            logit_bias=bias or None,
            top_logprobs=asked.logprobs,
            beams=asked.beams,
            length_penalty=asked.length_penalty,
        )

    async def task(self, size: int, build: Callable[[], T]) -> T:
        """The result of `build`, which tokenizes about `size` characters."""
        return await asyncio.to_thread(build) if size > LONG_TEXT else build()

    def run(
        self, http: Request, tasks: Sequence[Task], params: SamplingParams, kept: int, timeout: float | None
    ) -> Run:
        """Hand tasks to the engine.

        Raises:
            Busy: too many wait already.
        """
        self.log_prompts(http, tasks)
        return Run(self.engine, self.metrics, http.state.client, tasks, params, kept, self.deadline(timeout))

    def deadline(self, timeout: float | None) -> float:
        """Seconds that an answer may take."""
        return min(timeout or self.settings.deadline, self.settings.deadline)

    def log_prompts(self, http: Request, tasks: Sequence[Task]) -> None:
        """Write prompts to the log, where the settings want it."""
        if self.settings.log_prompts:
            for task in tasks:
                log.info("%s asks: %r", http.state.request_id, self.model.tokenizer.decode(task.prompt))

    def prompt_task(self, ids: list[int]) -> Task:
        """A prompt that is taken as it is.

        Raises:
            ApiError: it is empty, too long, or has ids that the model does not know.
        """
        if not ids:
            raise ApiError(400, "the prompt is empty: say what to continue.", param="prompt")
        if len(ids) >= self.context:
            raise ApiError(
                400,
                f"the prompt has {len(ids)} tokens; this model's context of {self.context} must hold the answer too.",
                param="prompt",
                code="context_length_exceeded",
            )
        if unknown := [index for index in ids if index >= len(self.model.tokenizer)]:
            raise ApiError(400, f"there is no token {unknown[0]} in this vocabulary.", param="prompt")
        return Task(ids, None, "", lambda: None, False)


def stop_texts(stop: str | list[str] | None) -> tuple[str, ...] | None:
    """The field `stop`, which may be one text or several."""
    return (stop,) if isinstance(stop, str) else tuple(stop or ()) or None
