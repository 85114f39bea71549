"""`/infill` as llama.cpp's server has it, for the editor plugins that speak to that."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from codegeex.assistant.assistant import Request as Task
from codegeex.assistant.assistant import sampling_params
from codegeex.engine.sampling import SamplingParams
from codegeex.engine.stops import StopRule
from codegeex.engine.text import Completion, RuleFactory
from codegeex.server import schema
from codegeex.server.answers import Run
from codegeex.server.completions import ERRORS, STREAMED
from codegeex.server.replies import json_response
from codegeex.server.service import Service, stop_texts
from codegeex.server.sse import EventStream, event, until_gone


class LeastIndent(StopRule):
    """Ends a text before the first line, but for the one that it begins in, that is indented by fewer columns."""

    def __init__(self, columns: int):
        self._columns = columns
        self._text = ""
        self._line = 0  # where the first line not yet judged begins

    def feed(self, text: str) -> int | None:
        self._text += text
        while True:
            newline = self._text.find("\n", self._line)
            line = self._text[self._line : None if newline < 0 else newline]
            if self._line and line.strip() and len(line) - len(line.lstrip()) < self._columns:
                return self._line
            if newline < 0:
                return None
            self._line = newline + 1


class Hurry(StopRule):
    """Ends a text that has a whole line once some seconds have passed since it began; before that, as `rule` does."""

    def __init__(self, seconds: float, rule: StopRule | None):
        self._seconds, self._rule = seconds, rule
        self._text, self._began = "", 0.0

    def feed(self, text: str) -> int | None:
        end = self._rule.feed(text) if self._rule else None
        self._text += text
        self._began = self._began or time.monotonic()
        late = "\n" in self._text and time.monotonic() - self._began >= self._seconds
        return len(self._text) if late and end is None else end

    def held(self) -> int:
        return self._rule.held() if self._rule else 0

    def finish(self) -> int | None:
        return self._rule.finish() if self._rule else None


def routes(service: Service) -> APIRouter:
    router = APIRouter(tags=["editors"])

    @router.post(
        "/infill", summary="Fill the gap at a cursor", response_model=schema.InfillAnswer, responses=ERRORS | STREAMED
    )
    async def infill(body: schema.InfillRequest, http: Request) -> Response:
        """What is too long for the context is cut: the prefix loses its beginning, the suffix its end.

        With `n_predict` 0 nothing is answered, but the next request that begins alike is quicker.
        """
        service.check_model(body.model or None)
        params = _params(service, body)
        prefix = "".join(f"{extra.text}\n" for extra in body.input_extra) + body.input_prefix + body.prompt
        task = await service.task(
            len(prefix) + len(body.input_suffix),
            lambda: service.model.request("complete", prefix, suffix=body.input_suffix, params=params),
        )
        task = replace(task, make_rule=_rule(body, task.make_rule))
        run = service.run(http, [task], params, 1, None)
        if body.stream:
            return EventStream(_chunks(service, run, task, body))
        return await until_gone(_whole(service, run, task, body), http.receive) or Response(status_code=499)

    return router


def _params(service: Service, body: schema.InfillRequest) -> SamplingParams:
    most = {None: None, 0: 1, -1: service.context}.get(body.n_predict, body.n_predict)
    return sampling_params(
        max_tokens=most,
        temperature=body.temperature,
        top_k=None if body.top_k is None else max(0, body.top_k),
        top_p=body.top_p,
        min_p=body.min_p,
        seed=None if body.seed == -1 else body.seed,
        stop=stop_texts(body.stop),
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
    )


def _rule(body: schema.InfillRequest, otherwise: RuleFactory) -> RuleFactory:
    """What makes the stop rules that a request wants, beginning with those of the task."""

    def indent() -> StopRule | None:
        return LeastIndent(body.n_indent) if body.n_indent else otherwise()

    seconds = body.t_max_predict_ms / 1000
    return (lambda: Hurry(seconds, indent())) if seconds else indent


async def _whole(service: Service, run: Run, task: Task, body: schema.InfillRequest) -> Response:
    with closing(run):
        (completion,) = await run.completions()
    content = _content(body, completion.text, completion.tokens)
    return json_response(content | _ending(service, run, task, completion, body))


async def _chunks(service: Service, run: Run, task: Task, body: schema.InfillRequest) -> AsyncGenerator[bytes, None]:
    with closing(run):
        async for batch in run.pieces():
            for grown in batch:
                chunk = _content(body, grown.text, [choice.token for choice in grown.choices]) | {"stop": False}
                if grown.completion is not None:
                    chunk |= _ending(service, run, task, grown.completion, body)
                yield event(chunk)


def _content(body: schema.InfillRequest, text: str, tokens: list[int]) -> dict[str, Any]:
    """What was written; nothing for those who asked for nothing."""
    return {"content": "", "tokens": []} if body.n_predict == 0 else {"content": text, "tokens": tokens}


def _ending(
    service: Service, run: Run, task: Task, completion: Completion, body: schema.InfillRequest
) -> dict[str, Any]:
    """What is said with the end of an answer."""
    timings, count = run.timings, len(completion.tokens)
    prompt_ms = timings["first_token_ms"] - timings["started_ms"]
    predicted_ms = timings["total_ms"] - timings["first_token_ms"]
    said: dict[str, Any] = {
        "index": 0,
        "id_slot": 0,
        "stop": True,
        "model": service.settings.model_name,
        "tokens_predicted": count,
        "tokens_evaluated": run.prompt_tokens,
        "tokens_cached": 0,
        "has_new_line": "\n" in completion.text,
        "truncated": task.truncated,
        "stop_type": "eos" if completion.finish_reason == "stop" else "limit",
        "stopping_word": "",
        "timings": {
            "prompt_n": run.prompt_tokens,
            "prompt_ms": round(prompt_ms, 2),
            "prompt_per_second": round(run.prompt_tokens / max(prompt_ms, 0.01) * 1000, 1),
            "predicted_n": count,
            "predicted_ms": round(predicted_ms, 2),
            "predicted_per_second": round(count / max(predicted_ms, 0.01) * 1000, 1),
        },
    }
    flat = {f"timings/{name}": value for name, value in said["timings"].items()}
    return said | {name: flat[name] for name in body.response_fields if name in flat}
