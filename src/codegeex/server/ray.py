"""The server on a Ray cluster: replicas of it behind one address, as many as the load asks for.

    serve run codegeex.server.ray:app model=/models/mine model_name=mine max_replicas=8

Ray Serve finds replicas for requests, starts and stops them, and replaces those that die. Each is the whole application
of `app.py` with a model of its own; on one machine they share the weights' pages. Limits, rates and metrics are each
replica's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from codegeex.server.settings import Settings, default_name, read_keys

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers; it reads this when it starts

from ray import serve

SETTLE_SECONDS = 2.0
"""How long the load stays high before replicas are added. A model loads in less, so to wait longer helps nobody."""

IDLE_SECONDS = 60.0
"""How long the load stays low before replicas are taken away."""


class Arguments(BaseModel):
    """What `serve run codegeex.server.ray:app NAME=VALUE ...`, or `args` in a Serve configuration file, may say."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: Annotated[Path | None, Field(description="Model directory, in the same place on all machines.")] = None
    model_name: Annotated[str | None, Field(description="What clients call it; its directory's name otherwise.")] = None
    backend: Annotated[str, Field(pattern="^(auto|native|torch|numpy)$")] = "auto"
    min_replicas: Annotated[int, Field(ge=0, description="0 lets the last one go where nobody asks.")] = 1
    max_replicas: Annotated[int, Field(ge=1)] = 4
    target_requests: Annotated[float, Field(gt=0, description="Requests at a time that a replica should have.")] = 16
    max_requests: Annotated[int, Field(ge=1, description="Requests at a time that a replica takes at most.")] = 256
    cpus: Annotated[float, Field(gt=0, description="Processors of a replica.")] = 1
    gpus: Annotated[float, Field(ge=0, description="Accelerators of a replica.")] = 0
    api_key_file: Annotated[Path | None, Field(description="Keys, read where the application is started.")] = None
    rate_limit: Annotated[float, Field(ge=0, description="Requests a minute for each key, of each replica.")] = 0
    deadline: Annotated[float, Field(gt=0, description="Seconds.")] = 300
    settle_seconds: Annotated[float, Field(ge=0)] = SETTLE_SECONDS
    idle_seconds: Annotated[float, Field(ge=0)] = IDLE_SECONDS


def app(arguments: Arguments) -> serve.Application:
    """The Ray Serve application.

    Raises:
        CodeGeeXError: settings that are not possible, or keys that cannot be read.
    """
    settings = Settings(
        model_name=default_name(arguments.model) if arguments.model_name is None else arguments.model_name,
        keys=read_keys(path=arguments.api_key_file),
        requests_per_minute=arguments.rate_limit,
        deadline=arguments.deadline,
    )
    threads = max(1, int(arguments.cpus))

    def build() -> ASGIApp:
        """Called in each replica."""
        from codegeex.assistant import load
        from codegeex.server.app import create_app

        return create_app(load(arguments.model, arguments.backend, threads), settings)  # type: ignore[arg-type]

    deployment = serve.deployment(
        name="codegeex",
        max_ongoing_requests=arguments.max_requests,
        ray_actor_options={"num_cpus": arguments.cpus, "num_gpus": arguments.gpus},
        autoscaling_config={
            "min_replicas": arguments.min_replicas,
            "max_replicas": arguments.max_replicas,
            "target_ongoing_requests": arguments.target_requests,
            "upscale_delay_s": arguments.settle_seconds,
            "look_back_period_s": max(1.0, arguments.settle_seconds),
            "downscale_delay_s": arguments.idle_seconds,
        },
    )
    return deployment(serve.ingress(build)()).bind()
