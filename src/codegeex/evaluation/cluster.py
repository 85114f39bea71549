"""A run on a Ray cluster: the same interfaces as on one machine, with actors behind them.

Samples and verdicts do not depend on where they are made: a sample has its own seed, and limits count processor time.
Every machine needs the toolchains and, for a model directory, the directory in the same place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from queue import LifoQueue
from typing import Any

from codegeex.errors import CodeGeeXError
from codegeex.evaluation.models import Sampling, Wanted, generator
from codegeex.sandbox.program import Limits, Program, Result
from codegeex.sandbox.sandbox import Isolation, Sandbox

_BATCH = 64
"""Samples that an actor makes at a time: enough for the engine's batch, few enough to spread a run evenly."""


def connect(address: str) -> Any:
    """Join a cluster; gives the ray module.

    Args:
        address: as `ray.init` takes it: "auto", "local", or ray://HOST:PORT.

    Raises:
        CodeGeeXError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError:
        raise CodeGeeXError("--ray needs Ray: pip install 'codegeex[ray]'.") from None
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise CodeGeeXError(f"no Ray cluster at {address}: {str(error).splitlines()[0]}") from None
    return ray


class _SandboxActor:
    """One worker of a sandbox, somewhere in the cluster."""

    def __init__(self, limits: Limits, isolation: Isolation):
        self._sandbox = Sandbox(workers=1, limits=limits, isolation=isolation)

    def run(self, program: Program, limits: Limits) -> Result:
        return self._sandbox.run(program, limits)

    def describe(self) -> dict[str, Any]:
        return self._sandbox.describe()


class ClusterSandbox:
    """Runs programs all over a cluster; stands in for `Sandbox`.

    Args:
        ray: from `connect`.
        workers: programs at a time; as many as the cluster has processors where it is None.

    Attributes:
        problem: why programs are not isolated on some machine; None if they are everywhere.

    Raises:
        CodeGeeXError: isolation is required and some machine has none.
    """

    def __init__(
        self, ray: Any, *, workers: int | None = None, limits: Limits | None = None, isolation: Isolation = "auto"
    ):
        self._ray = ray
        self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.limits = limits or Limits()
        # Half a processor: generation and execution overlap, and the model's actors want some too.
        kind = ray.remote(num_cpus=0.5)(_SandboxActor)
        self._actors = [kind.remote(self.limits, isolation) for _ in range(self.workers)]
        self._idle: LifoQueue[Any] = LifoQueue()
        for actor in self._actors:
            self._idle.put(actor)
        self._gathering = threading.Lock()
        try:
            self._described = ray.get([actor.describe.remote() for actor in self._actors])
        except ray.exceptions.RayError as error:
            self.close()
            raise CodeGeeXError(f"the cluster cannot run programs: {str(error).splitlines()[-1]}") from None
        self.problem = next((one["problem"] for one in self._described if one["problem"]), None)

    def run(self, program: Program, limits: Limits | None = None, *, alone: bool = False) -> Result:
        """As `Sandbox.run`; alone means alone in the whole cluster."""
        if not alone:
            actor = self._idle.get()
            try:
                return self._result(actor, program, limits)
            finally:
                self._idle.put(actor)
        with self._gathering:
            actors = [self._idle.get() for _ in self._actors]
            try:
                return self._result(actors[0], program, limits)
            finally:
                for actor in actors:
                    self._idle.put(actor)

    def describe(self) -> dict[str, Any]:
        return {**self._described[0], "problem": self.problem, "workers": self.workers}

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)

    def __enter__(self) -> ClusterSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _result(self, actor: Any, program: Program, limits: Limits | None) -> Result:
        result: Result = self._ray.get(actor.run.remote(program, limits or self.limits))
        return result


class _GeneratorActor:
    """A model, somewhere in the cluster."""

    def __init__(self, model: str | None):
        self._generator = generator(model)

    def identity(self) -> tuple[str, str]:
        return self._generator.name, self._generator.fingerprint

    def generate(self, wanted: Sequence[Wanted], sampling: Sampling) -> list[tuple[Wanted, str]]:
        return list(self._generator.generate(wanted, sampling))


class ClusterGenerator:
    """Makes samples on every machine of a cluster; stands in for a `Generator`.

    Args:
        ray: from `connect`.
        model: as `generator` takes it.
        copies: models loaded; one for each machine where it is None.
    """

    def __init__(self, ray: Any, model: str | None, copies: int | None = None):
        self._ray = ray
        machines = sum(node["Alive"] for node in ray.nodes())
        kind = ray.remote(num_cpus=0.5, scheduling_strategy="SPREAD")(_GeneratorActor)
        self._actors = [kind.remote(model) for _ in range(copies or machines)]
        try:
            self.name, self.fingerprint = ray.get(self._actors[0].identity.remote())
        except ray.exceptions.RayError as error:
            raise CodeGeeXError(f"the cluster cannot load the model: {str(error).splitlines()[-1]}") from None

    def generate(self, wanted: Sequence[Wanted], sampling: Sampling) -> Iterator[tuple[Wanted, str]]:
        batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
        idle = list(self._actors)
        running: dict[Any, Any] = {}
        while batches or running:
            while batches and idle:
                actor = idle.pop()
                running[actor.generate.remote(batches.pop(0), sampling)] = actor
            (done,), _ = self._ray.wait(list(running), num_returns=1)
            idle.append(running.pop(done))
            yield from self._ray.get(done)
