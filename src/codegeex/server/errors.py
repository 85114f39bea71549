"""Errors as OpenAI's clients expect them: a status and `{"error": {message, type, param, code}}`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from codegeex.errors import CodeGeeXError
from codegeex.server.engine_thread import Busy

log = logging.getLogger("codegeex.server")

RETRY_SECONDS = 1
"""After how long a client may try again where the queue was full."""

_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}

_HINTS = {
    "/v1/chat/completions": "this is a completion model: use /v1/completions, or /v1/code/generate for an intent.",
    "/v1/embeddings": "this model gives no embeddings.",
}
"""Paths that clients try, and what to do instead."""


class ApiError(Exception):
    """What went wrong, for the client to read.

    Attributes:
        status: the HTTP status.
        message: what was wrong and what to do.
        param: the field that is to blame.
        code: a name for programs.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers = dict(headers or {})

    @property
    def body(self) -> bytes:
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        error = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()

    @property
    def response(self) -> Response:
        return Response(self.body, self.status, self.headers, "application/json")

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from a middleware. The connection closes: what is left of the request is not read."""
        response = self.response
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def api_error(error: BaseException) -> ApiError:
    """Any error as one for the client, who learns nothing of the inside of the server."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Busy):
        return ApiError(
            429,
            "too many requests are waiting; try again soon.",
            code="queue_full",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    if isinstance(error, CodeGeeXError):
        return ApiError(400, str(error))
    if isinstance(error, ConnectionAbortedError):
        return ApiError(503, "the server is stopping.", code="stopping", headers={"Retry-After": "5"})
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    if isinstance(error, HTTPException):
        return ApiError(error.status_code, _sentence(error.detail), headers=error.headers)
    log.error("a request failed", exc_info=error)
    return ApiError(500, "the server failed; its log says why.", code="internal_error")


def _sentence(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".") + "."


def _invalid(errors: Sequence[Any]) -> ApiError:
    """What pydantic found, without what the client sent."""
    first = errors[0]
    param = ".".join(str(part) for part in first["loc"][1:]) or None
    match first["type"]:
        case "json_invalid":
            return ApiError(400, f"the body is not JSON: {first.get('ctx', {}).get('error', 'unreadable')}.")
        case "extra_forbidden":
            message = f"unsupported field {param!r}: leave it out; /docs lists what there is."
            return ApiError(400, message, param=param, code="unsupported_parameter")
        case "missing" | "model_attributes_type" | "dict_type" if param is None:
            return ApiError(400, "the body must be a JSON object, sent as application/json.")
        case "missing":
            return ApiError(400, f"{param} is missing.", param=param, code="missing_parameter")
        case _:
            where = f"{param}: " if param else ""
            return ApiError(400, where + _sentence(first["msg"].removeprefix("Value error, ")), param=param)


def install(app: FastAPI) -> None:
    """Answer every error of `app` that way."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 404:
            hint = _HINTS.get(request.url.path, "see /docs.")
            error = ApiError(404, f"there is nothing at {request.url.path}: {hint}", code="unknown_url")
        return api_error(error).response

    for kind in (ApiError, Busy, CodeGeeXError, ConnectionAbortedError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, answer)
