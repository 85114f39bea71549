"""What a server says about itself: its model, its health, its figures; and its tokenizer."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from codegeex import __version__, languages
from codegeex.server import metrics, schema
from codegeex.server.completions import ERRORS
from codegeex.server.errors import ApiError
from codegeex.server.replies import json_response
from codegeex.server.service import Service


def routes(service: Service) -> APIRouter:
    router = APIRouter()
    tokenizer = service.model.tokenizer

    @router.get("/v1/models", tags=["models"], summary="The model that is served", responses=_known(401, 429))
    async def models() -> schema.ModelList:
        return schema.ModelList(data=[_card(service)])

    @router.get("/v1/models/{name:path}", tags=["models"], summary="One model", responses=_known(401, 404, 429))
    async def model(name: str) -> schema.ModelCard:
        service.check_model(name)
        return _card(service)

    @router.post(
        "/tokenize", tags=["tokenizer"], summary="A text as token ids", response_model=schema.Tokens, responses=ERRORS
    )
    async def tokenize(body: schema.TokenizeRequest) -> Response:
        service.check_model(body.model)
        if (body.content is None) == (body.prompt is None):
            raise ApiError(400, "give the text as content, or as prompt.", param="content")
        text = body.content if body.content is not None else body.prompt or ""

        def answer() -> Response:
            ids = tokenizer.encode(text)
            tokens: list[Any] = [_piece(service, index) for index in ids] if body.with_pieces else ids
            return json_response({"tokens": tokens, "count": len(ids), "max_model_len": service.context})

        return await service.task(len(text), answer)

    @router.post("/detokenize", tags=["tokenizer"], summary="The text of token ids", responses=ERRORS)
    async def detokenize(body: schema.DetokenizeRequest) -> schema.Detokenized:
        service.check_model(body.model)
        text = await service.task(len(body.tokens), lambda: tokenizer.decode(body.tokens))
        return schema.Detokenized(content=text, prompt=text)

    @router.get(
        "/health",
        tags=["server"],
        summary="Whether requests are answered",
        responses={503: {"model": schema.Health, "description": "The server is stopping, or its engine has failed."}},
    )
    async def health(response: Response) -> schema.Health:
        alive = service.engine.alive
        response.status_code = 200 if alive else 503
        return schema.Health(status="ok" if alive else "stopping")

    @router.get("/version", tags=["server"], summary="The version of codegeex", responses=_known(401, 429))
    async def version() -> schema.Version:
        return schema.Version(version=__version__)

    @router.get(
        "/metrics",
        tags=["server"],
        summary="Figures for Prometheus",
        response_class=PlainTextResponse,
        responses=_known(401, 429),
    )
    async def figures() -> Response:
        text = service.metrics.text(service.engine, service.settings.model_name)
        return Response(text, headers={"content-type": metrics.CONTENT_TYPE})

    return router


def _known(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: ERRORS[status] for status in statuses}


def _card(service: Service) -> schema.ModelCard:
    executable = [language.key for language in languages.EXECUTABLE]
    return schema.ModelCard(
        id=service.settings.model_name,
        created=service.created,
        owned_by="codegeex",
        max_model_len=service.context,
        capabilities=schema.Capabilities(
            fim=service.model.tokenizer.has_fim,
            languages={language.key: language.name for language in languages.LANGUAGES},
            translate=list(permutations(executable, 2)),
            context=service.context,
        ),
    )


def _piece(service: Service, index: int) -> dict[str, Any]:
    data = service.model.tokenizer.decode_bytes([index])
    try:
        return {"id": index, "piece": data.decode()}
    except UnicodeDecodeError:
        return {"id": index, "piece": list(data)}
