"""`/v1/completions`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from codegeex.assistant.assistant import Request as Task
from codegeex.engine.sampling import Choice, SamplingParams
from codegeex.server import schema
from codegeex.server.errors import ApiError
from codegeex.server.replies import Reply
from codegeex.server.service import Service
from codegeex.server.sse import until_gone

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.Error, "description": words}
    for status, words in {
        400: "The request is not possible; the message says why.",
        401: "The API key is missing or wrong.",
        404: "There is no such model.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        429: "Too many requests; Retry-After says when to come back.",
        500: "The server failed.",
        503: "The server is stopping, or no place was free in time.",
    }.items()
}
"""What every route that makes text may answer."""

MOST_TOLD = 200_000
"""Numbers of an answer's log-probabilities of prompts: a second of the loop, in which it answers nobody else."""

STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "The answer, or its stream."}
}
TEXT: dict[str, Any] = {
    "response_model": schema.Answer,
    "response_model_exclude_unset": True,
    "responses": ERRORS | STREAMED,
}


def routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["completions"])

    @router.post("/v1/completions", summary="Continue a text, or fill a gap in it", **TEXT)
    async def completions(body: schema.CompletionRequest, http: Request) -> Response:
        """OpenAI's completions. With `suffix` the model fills the gap between `prompt` and it.

        A prompt without suffix and language is taken as it is, and refused where it is longer than the context. With
        one of these, it is fitted: the prompt loses its beginning and the suffix its end, and `truncated` says so.
        """
        service.check_model(body.model)
        texts = _prompts(body.prompt)
        params = service.params(body, len(texts))
        if body.echo and body.suffix:
            raise ApiError(400, "echo has no meaning beside a suffix: leave one out.", param="echo")
        if body.echo and body.language and body.logprobs is not None:
            # The language's tag is among the tokens and not in the text.
            raise ApiError(400, "echo tells no log-probabilities beside a language: leave one out.", param="echo")
        size = sum(map(len, texts)) + len(body.suffix or "")
        tasks = await service.task(size, lambda: [_task(service, body, text, params) for text in texts])
        scored: Sequence[Sequence[Choice | int]] = ()
        if body.echo:
            heads = [text if isinstance(text, str) else service.model.tokenizer.decode(text) for text in texts]
            tasks = [replace(task, head=head) for task, head in zip(tasks, heads, strict=True)]
            if body.logprobs is not None:
                told = sum(len(task.prompt) for task in tasks) * (body.n or 1) * (1 + body.logprobs)
                if told > MOST_TOLD:
                    raise ApiError(
                        400,
                        f"the prompts' log-probabilities would be {told:,} numbers, more than {MOST_TOLD:,}: "
                        "ask for fewer prompts, choices or logprobs.",
                        param="logprobs",
                    )
                began = time.monotonic()
                scores = _scored(service, [task.prompt for task in tasks], body.logprobs, body.timeout)
                scored = await until_gone(scores, http.receive) or ()
                if not scored:
                    return Response(status_code=499)
                left = service.deadline(body.timeout) - (time.monotonic() - began)
                body = body.model_copy(update={"timeout": max(left, 0.001)})  # one deadline for both
        return await Reply(service, http, body, params, tasks, "text_completion", scored).send()

    return router


def _prompts(prompt: Any) -> list[str] | list[list[int]]:
    """The field `prompt` as a list of prompts."""
    if isinstance(prompt, str) or isinstance(prompt[0], int):
        return [prompt]
    return list(prompt)


def _task(service: Service, body: schema.CompletionRequest, prompt: str | list[int], params: SamplingParams) -> Task:
    fitted = body.language or body.suffix
    if isinstance(prompt, str):
        if fitted:
            return service.model.request(
                "complete", prompt, suffix=body.suffix or "", language=body.language, params=params
            )
        return service.prompt_task(service.model.tokenizer.encode(prompt))
    if fitted:
        raise ApiError(400, "suffix and language go with a prompt that is text, not token ids.", param="prompt")
    return service.prompt_task(prompt)


async def _scored(
    service: Service, prompts: Sequence[list[int]], top: int, timeout: float | None
) -> list[list[Choice | int]]:
    """The prompts' tokens with their log-probabilities; the first one of each has none.

    Raises:
        ApiError: it took too long.
    """
    over = False

    def score() -> list[list[Choice | int]]:
        return [[prompt[0], *service.model.engine.score(prompt, top, lambda: over)] for prompt in prompts]

    try:
        return await asyncio.wait_for(service.engine.call(score), service.deadline(timeout))
    except TimeoutError:
        raise ApiError(503, "the scores took too long: ask for fewer prompts.", code="timeout") from None
    finally:
        over = True
