"""`/v1/code/...`: what this model can do that no OpenAI route has a name for."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from codegeex.prompts import Task as TaskName
from codegeex.server import schema
from codegeex.server.completions import TEXT
from codegeex.server.replies import Reply
from codegeex.server.service import Service


def routes(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1/code", tags=["code"])

    async def answer(http: Request, body: schema.Asked, name: TaskName, text: str, **options: str) -> Response:
        service.check_model(body.model)
        params = service.params(body)
        task = await service.task(len(text), lambda: service.model.request(name, text, params=params, **options))
        return await Reply(service, http, body, params, [task], f"code.{name}").send()

    @router.post("/generate", summary="Write a program for an intent", **TEXT)
    async def generate(body: schema.GenerateRequest, http: Request) -> Response:
        return await answer(http, body, "generate", body.intent, language=body.language)

    @router.post("/translate", summary="Write a program anew in another language", **TEXT)
    async def translate(body: schema.TranslateRequest, http: Request) -> Response:
        return await answer(http, body, "translate", body.code, source=body.source, target=body.target)

    @router.post("/explain", summary="Comment a program line by line", **TEXT)
    async def explain(body: schema.ExplainRequest, http: Request) -> Response:
        return await answer(http, body, "explain", body.code, language=body.language)

    return router
