"""The application: routes, and layers around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from codegeex import __version__
from codegeex.assistant import Model
from codegeex.server import about, code, completions, errors, infill
from codegeex.server.limits import BodyLimit, Keys, Rates, RequestLog
from codegeex.server.service import Service
from codegeex.server.settings import Settings

PLAYGROUND = Path(__file__).parent / "playground"
"""Built from the folder `playground` of the repository."""

SWAGGER = Path(fastapi_offline.__file__).parent / "static"
"""FastAPI's own page of the document would be fetched from elsewhere."""

DESCRIPTION = """
A code model with OpenAI's completions, fill-in-the-middle by `suffix`, translation and explanation.
Errors are OpenAI's error objects. Fields that this server does not know are refused.
"""

_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; {scripts} "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PLAYGROUND_POLICY = _POLICY.format(scripts="script-src 'self';")
SWAGGER_POLICY = _POLICY.format(scripts="script-src 'self' 'unsafe-inline';")
"""Pages load nothing from elsewhere. Editors make styles as they run; Swagger's page begins with a script inside."""


def create_app(model: Model, settings: Settings | None = None) -> ASGIApp:
    """The ASGI application that serves `model`.

    It starts the thread that runs the model with its lifespan, so whatever runs it has to support that.
    """
    settings = settings or Settings()
    service = Service(model, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.engine.start()
        try:
            yield
        finally:
            service.engine.close()

    app = FastAPI(
        title="codegeex",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    for room in (completions, code, infill, about):
        app.include_router(room.routes(service))
    _add_pages(app, settings)

    layers: ASGIApp = BodyLimit(app, settings.most_body, settings.body_seconds)
    layers = Rates(layers, settings.requests_per_minute, settings.burst)
    layers = Keys(layers, settings.keys)
    if settings.origins:
        layers = CORSMiddleware(
            layers,
            allow_origins=settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],  # OpenAI's client sends a dozen of its own
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    return RequestLog(layers, service.metrics)


def _add_pages(app: FastAPI, settings: Settings) -> None:
    app.mount("/docs/assets", StaticFiles(directory=SWAGGER))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="codegeex API",
            swagger_js_url="docs/assets/swagger-ui-bundle.js",
            swagger_css_url="docs/assets/swagger-ui.css",
            swagger_favicon_url="data:,",
        )
        page.headers["Content-Security-Policy"] = SWAGGER_POLICY
        return page

    if not settings.playground:
        return
    app.mount("/assets", StaticFiles(directory=PLAYGROUND / "assets"))

    @app.get("/", include_in_schema=False)
    async def playground() -> Response:
        headers = {"Content-Security-Policy": PLAYGROUND_POLICY, "Cache-Control": "no-cache"}
        return FileResponse(PLAYGROUND / "index.html", headers=headers)
