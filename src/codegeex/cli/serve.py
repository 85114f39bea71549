"""`codegeex serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from codegeex.errors import CodeGeeXError


def serve(
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 for a free one.", min=0, max=65535)] = 8000,
    model: Annotated[Path | None, typer.Option(help="Model directory.  [default: the one that ships]")] = None,
    model_name: Annotated[str | None, typer.Option(help="What clients call it.  [default: its directory's]")] = None,
    backend: Annotated[str, typer.Option(help="What runs the model: native, torch or numpy; auto is native.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads of the native backend.  [default: one a processor]", min=1)
    ] = None,
    api_key: Annotated[
        list[str] | None, typer.Option(help="Key that clients must have; may be given again. Others see it in ps.")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with a key a line, or a name and a key. Also: CODEGEEX_API_KEYS=a,b")
    ] = None,
    rate_limit: Annotated[float, typer.Option(help="Requests a minute for each key or address; 0 for no limit.")] = 0,
    burst: Annotated[int, typer.Option(help="Requests at once before the rate counts.")] = 20,
    max_waiting: Annotated[int, typer.Option(help="Samples that may wait; beyond, requests get 429.")] = 512,
    max_samples: Annotated[int, typer.Option(help="Samples that one request may ask for.")] = 128,
    max_body: Annotated[int, typer.Option(help="Largest request, in bytes.")] = 2_000_000,
    deadline: Annotated[float, typer.Option(help="Seconds after which an answer ends with what there is.")] = 300,
    stream_interval: Annotated[float, typer.Option(help="Send text that grows faster than this, in ms, at once.")] = 50,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Web site whose pages may ask; may be given again, * for all.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="Address of a reverse proxy whose X-Forwarded-For is believed; * for all.")
    ] = None,
    playground: Annotated[bool, typer.Option(help="The page at /.")] = True,
    log_prompts: Annotated[bool, typer.Option(help="Write what people send into the log.")] = False,
    quiet: Annotated[bool, typer.Option(help="No line in the log for each request.")] = False,
) -> None:
    """Serve a model over HTTP: OpenAI's completions with suffix, translation, explanation, and a playground at /."""
    try:
        import fastapi_offline  # noqa: F401
        import httptools  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise CodeGeeXError(f"serving needs {error.name}: pip install 'codegeex[serve]'.") from None
    from codegeex.assistant import load
    from codegeex.server.app import create_app
    from codegeex.server.serve import LOOPBACK, listen
    from codegeex.server.serve import serve as run
    from codegeex.server.settings import Settings, default_name, read_keys

    settings = Settings(
        model_name=model_name if model_name is not None else default_name(model),
        keys=read_keys(tuple(api_key or ()), api_key_file),
        requests_per_minute=rate_limit,
        burst=burst,
        most_waiting=max_waiting,
        most_samples=max_samples,
        most_body=max_body,
        deadline=deadline,
        stream_seconds=stream_interval / 1000,
        origins=tuple(cors_origin or ()),
        log_prompts=log_prompts,
        playground=playground,
    )
    app = create_app(load(model, backend, threads), settings)  # type: ignore[arg-type]
    listening = listen(host, port)
    if host not in LOOPBACK and not settings.keys:
        print(f"note: everyone who reaches {host} may use this server; --api-key-file limits it.", file=sys.stderr)
    run(app, listening, quiet=quiet, proxies=proxy)
