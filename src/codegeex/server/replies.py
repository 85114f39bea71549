"""Answers of the text routes: whole, or as a stream of chunks."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.responses import Response

from codegeex.assistant.assistant import Request as Task
from codegeex.engine.sampling import Choice, SamplingParams
from codegeex.server.answers import Run
from codegeex.server.logprobs import LogprobWriter
from codegeex.server.schema import Asked
from codegeex.server.service import Service
from codegeex.server.sse import DONE, EventStream, event, until_gone


@dataclass(slots=True)
class Reply:
    """How an answer is put together.

    Attributes:
        kind: the answer's `object`.
        tasks: one for each prompt; an answer begins with its `head`.
        scored: for each prompt that is echoed, its tokens as log-probabilities report them; else empty.
    """

    service: Service
    http: Request
    asked: Asked
    params: SamplingParams
    tasks: Sequence[Task]
    kind: str
    scored: Sequence[Sequence[Choice | int]] = ()
    id: str = field(default_factory=lambda: f"cmpl-{secrets.token_hex(12)}")

    @property
    def kept(self) -> int:
        """Choices of each prompt."""
        return self.asked.n or 1

    async def send(self) -> Response:
        """Ask the engine, and answer.

        Raises:
            Busy: as `Service.run`.
        """
        if self.asked.max_tokens == 0:
            self.service.log_prompts(self.http, self.tasks)
            return self._heads()
        run = self.service.run(self.http, self.tasks, self.params, self.kept, self.asked.timeout)
        if self.asked.stream:
            return EventStream(self._chunks(run))
        return await until_gone(self._whole(run), self.http.receive) or Response(status_code=499)

    def _heads(self) -> Response:
        """The answer of no tokens, which is for those who want a prompt's log-probabilities."""
        choices = [
            self._choice(index, self._task(index).head, "length", self._writer(index).write(self._head_tokens(index)))
            for index in range(self.kept * len(self.tasks))
        ]
        usage = _usage(sum(len(task.prompt) for task in self.tasks), 0)
        truncated = any(task.truncated for task in self.tasks)
        if not self.asked.stream:
            return json_response(self._object(choices) | {"usage": usage, "truncated": truncated})

        async def chunks() -> AsyncGenerator[bytes, None]:
            yield b"".join(event(self._object([choice])) for choice in choices)
            if self.asked.stream_options and self.asked.stream_options.include_usage:
                yield event(self._object([]) | {"usage": usage, "truncated": truncated})
            yield DONE

        return EventStream(chunks())

    async def _whole(self, run: Run) -> Response:
        with closing(run):
            completions = await run.completions()
        choices = []
        for index, completion in enumerate(completions):
            tops = completion.top or [()] * len(completion.tokens)
            drawn = map(Choice, completion.tokens, completion.logprobs, tops)
            logprobs = self._writer(index).write([*self._head_tokens(index), *drawn]) if self._wanted else None
            text = self._task(index).head + completion.text
            choices.append(self._choice(index, text, completion.finish_reason, logprobs))
        return json_response(self._object(choices) | self._ending(run))

    async def _chunks(self, run: Run) -> AsyncGenerator[bytes, None]:
        options = self.asked.stream_options
        writers = [self._writer(index) for index in range(self.kept * len(self.tasks))]
        heads = [
            event(self._object([self._choice(index, head, None, self._told(writer, self._head_tokens(index)))]))
            for index, writer in enumerate(writers)
            if (head := self._task(index).head)
        ]
        with closing(run):
            if heads:
                yield b"".join(heads)
            async for batch in run.pieces():
                told = [self._told(writers[grown.index], grown.choices) for grown in batch]
                yield b"".join(
                    event(self._object([self._choice(grown.index, grown.text, grown.finish_reason, logprobs)]))
                    for grown, logprobs in zip(batch, told, strict=True)
                )
        if options and options.include_usage:
            yield event(self._object([]) | self._ending(run))
        yield DONE

    @property
    def _wanted(self) -> bool:
        return self.asked.logprobs is not None

    def _writer(self, index: int) -> LogprobWriter:
        # What stands before the text and has no tokens of its own, as the head of an explanation.
        first = 0 if self.scored else len(self._task(index).head)
        return LogprobWriter(self.service.model.tokenizer, self.asked.logprobs or 0, first)

    def _told(self, writer: LogprobWriter, choices: Sequence[Choice | int]) -> dict[str, Any] | None:
        return writer.write(choices) if self._wanted else None

    def _task(self, index: int) -> Task:
        return self.tasks[index // self.kept]

    def _head_tokens(self, index: int) -> Sequence[Choice | int]:
        return self.scored[index // self.kept] if self.scored else ()

    def _choice(self, index: int, text: str, reason: str | None, logprobs: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "index": index,
            "text": text,
            "logprobs": logprobs if self._wanted else None,
            "finish_reason": reason,
        }

    def _object(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": self.kind,
            "created": int(time.time()),
            "model": self.service.settings.model_name,
            "choices": choices,
        }

    def _ending(self, run: Run) -> dict[str, Any]:
        return {
            "usage": _usage(run.prompt_tokens, run.completion_tokens),
            "timings": run.timings,
            "truncated": any(task.truncated for task in self.tasks),
        }


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def json_response(content: dict[str, Any]) -> Response:
    """An answer in one piece; text beyond ASCII stays as it is."""
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")
