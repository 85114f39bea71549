"""A run: samples are made and judged side by side, and whatever ends it, it goes on where it was.

The folder of a run holds run.json (what was asked), samples.jsonl (what the model wrote), results.jsonl (what became of
it), and in the end report.json and report.html.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from codegeex.errors import CodeGeeXError, WorkFailed
from codegeex.evaluation.humanevalx import NAME as HUMANEVAL_X
from codegeex.evaluation.humanevalx import Problem, generation_prompt, translation_prompt
from codegeex.evaluation.models import Generator, Sampling, Wanted, seed_of
from codegeex.evaluation.programs import assemble, clean
from codegeex.evaluation.repairs import Repairs
from codegeex.evaluation.samples import Journal, Key, Sample, rows, sample_of, sample_row
from codegeex.files import write_text
from codegeex.sandbox.program import Limits, Program, Result

LEAST_SECONDS = 3.0
"""Processor time that every program gets: HumanEval's own limit (Chen et al., 2021)."""

LEAST_COMPILE_SECONDS = 6.0
"""The same for its compilation, where tenths of a second are usual. What takes longer never compiles: C++ compilers try
`string(string(string(...` as a declaration and as a call at every level."""

REFERENCE_FACTOR = 20.0
"""How many times as long as the reference a program may take: enough for a worse algorithm, not for a worse class."""


class Benchmark(Protocol):
    """What prompts and programs a benchmark makes of its problems."""

    def prompt(self, problem: Problem, source: Problem | None) -> str:
        """What a model continues; to translate, where there is a source."""

    def program(self, problem: Problem, completion: str) -> Program:
        """The program that decides about a completion."""

    def reference(self, problem: Problem) -> Program:
        """The same with the reference's solution."""


class HumanEvalX:
    """HumanEval-X as a `Benchmark`.

    Args:
        repairs: whether its faults are mended.
    """

    def __init__(self, repairs: bool):
        self._repairs = Repairs.of(repairs)

    def prompt(self, problem: Problem, source: Problem | None) -> str:
        return translation_prompt(source, problem) if source else generation_prompt(problem)

    def program(self, problem: Problem, completion: str) -> Program:
        return assemble(problem, clean(completion, problem.language), self._repairs)

    def reference(self, problem: Problem) -> Program:
        return assemble(problem, problem.solution, self._repairs)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked for; a folder belongs to one set of them.

    Attributes:
        model: its name.
        task: "generation", or "translation" with the key of the language to translate from.
        languages: keys, in the benchmark's order.
        samples: of each problem, at each temperature.
        temperatures: for each k the temperature that pass@k is measured at.
        repairs: whether the benchmark's faults are mended.
        problems: how many of each language, from the first on; None for all.
        benchmark: its name, with a version where it has one.
        fingerprint: of the model or the samples, see `models.fingerprint`; "" where nobody knows.
    """

    model: str
    task: str
    source: str | None
    languages: tuple[str, ...]
    samples: int
    temperatures: Mapping[int, float]
    sampling: Sampling
    seed: int
    repairs: bool
    problems: int | None = None
    benchmark: str = HUMANEVAL_X
    fingerprint: str = ""

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        generated, judged: samples, of `total`.
        solved: for each language, samples that passed and samples judged.
    """

    total: int
    generated: int = 0
    judged: int = 0
    solved: dict[str, list[int]] = field(default_factory=dict)

    def count(self, language: str, passed: bool) -> None:
        self.judged += 1
        tally = self.solved.setdefault(language, [0, 0])
        tally[0] += passed
        tally[1] += 1


class Runner(Protocol):
    """What runs programs: a `Sandbox`, or a whole cluster of them."""

    @property
    def workers(self) -> int: ...

    @property
    def limits(self) -> Limits: ...

    def run(self, program: Program, limits: Limits | None = None, *, alone: bool = False) -> Result: ...

    def describe(self) -> dict[str, Any]: ...


class Run:
    """One run and its folder.

    Args:
        folder: new, empty, or of a run with the same settings, which then goes on.
        settings: what to do.
        problems: of each language of the settings, and of the source of a translation.
        benchmark: whose problems they are; HumanEval-X where it is None.

    Raises:
        CodeGeeXError: the folder belongs to another run.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        problems: Mapping[str, Sequence[Problem]],
        benchmark: Benchmark | None = None,
    ):
        self.folder, self.settings = folder, settings
        self._benchmark = benchmark or HumanEvalX(settings.repairs)
        self._problems = {problem.task_id: problem for key in settings.languages for problem in problems[key]}
        sources = problems[settings.source] if settings.source else ()
        self._sources = {problem.number: problem for problem in sources}
        self._limits: dict[str, Future[Limits]] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / "run.json"
        wanted = settings.to_dict()
        if known.exists():
            try:
                before = json.loads(known.read_text(encoding="utf-8"))
            except ValueError:
                raise CodeGeeXError(f"{known} is damaged; choose another --output.") from None
            before.pop("sandbox", None)
            before.setdefault("benchmark", HUMANEVAL_X)  # older runs knew no other, and not which weights they had
            before.setdefault("fingerprint", settings.fingerprint)
            if different := sorted(name for name in wanted if before.get(name) != wanted[name]):
                raise CodeGeeXError(
                    f"{folder} holds a run with other settings ({', '.join(different)}); choose another --output."
                )
        elif any(folder.iterdir()):
            raise CodeGeeXError(f"{folder} is not empty and holds no run; choose another --output.")
        else:
            write_text(known, json.dumps(wanted, indent=2) + "\n")

    def execute(
        self,
        source: Generator | Sequence[Sample],
        sandbox: Runner,
        tell: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """Make the samples that are missing, and judge those that nobody has judged.

        Args:
            source: makes them, or has them.
            sandbox: runs their programs, `sandbox.workers` at a time.
            tell: hears of every step.

        Raises:
            WorkFailed: the sandbox could not run some of the programs; they have no verdict.
        """
        write_text(
            self.folder / "run.json",
            json.dumps({**self.settings.to_dict(), "sandbox": sandbox.describe()}, indent=2) + "\n",
        )
        judged: set[Key] = set()
        wanted = [] if isinstance(source, Sequence) else list(self._wanted())
        progress = Progress(len(wanted))
        if isinstance(source, Sequence):
            source = [sample for sample in source if sample.task_id in self._problems]
            progress.total = len(source)
        for row in rows(self.folder / "results.jsonl"):
            judged.add(sample_of(row).key)
            progress.count(row["language"], row["verdict"] == "passed")
        samples, results = Journal(self.folder / "samples.jsonl"), Journal(self.folder / "results.jsonl")
        room = threading.Semaphore(4 * sandbox.workers)  # samples must not pile up in memory
        verdicts = _Verdicts(sandbox)
        failures: list[BaseException] = []
        unjudged: list[str] = []

        def judge(sample: Sample) -> None:
            try:
                result = self._judge(sample, verdicts)
                if result.verdict == "sandbox_error":  # which says nothing about the sample
                    unjudged.append(result.detail)
                    return
                row = {"verdict": result.verdict, "stage": result.stage, "seconds": result.seconds}
                results.append({**sample_row(sample), **row, "detail": result.detail})
                with self._lock:
                    progress.count(sample.language, result.passed)
                    tell(progress)
            except BaseException as error:
                failures.append(error)
            finally:
                room.release()

        try:
            with ThreadPoolExecutor(sandbox.workers) as threads:

                def hand_over(sample: Sample) -> None:
                    room.acquire()
                    if failures:
                        room.release()
                        raise failures[0]
                    threads.submit(judge, sample)

                have: set[Key] = set()
                for row in rows(self.folder / "samples.jsonl"):
                    sample = sample_of(row)
                    have.add(sample.key)
                    progress.generated += 1
                    if sample.key not in judged:
                        hand_over(sample)
                for sample in self._made(source, [one for one in wanted if _key(one) not in have], have):
                    samples.append(sample_row(sample))
                    with self._lock:
                        progress.generated += 1
                        tell(progress)
                    if sample.key not in judged:
                        hand_over(sample)
            if failures:
                raise failures[0]
            if unjudged:
                raise WorkFailed(
                    f"{len(unjudged)} programs could not be run ({unjudged[0].strip()[:200]}); the same command tries "
                    "them again."
                )
        finally:
            samples.close()
            results.close()

    def results(self) -> Iterator[dict[str, Any]]:
        """Every judged sample."""
        return rows(self.folder / "results.jsonl")

    def _made(
        self, source: Generator | Sequence[Sample], missing: Sequence[Wanted], have: set[Key]
    ) -> Iterator[Sample]:
        if isinstance(source, Sequence):
            for sample in source:
                if sample.key not in have:
                    yield sample
            return
        for one, text in source.generate(missing, self.settings.sampling):
            yield Sample(one.task_id, one.language, one.index, one.temperature, one.prompt, text, one.seed)

    def _wanted(self) -> Iterator[Wanted]:
        """Every sample of the run, problem by problem, so that those of one share their prompt."""
        settings = self.settings
        for problem in self._problems.values():
            prompt = self._benchmark.prompt(problem, self._sources[problem.number] if settings.source else None)
            for temperature in sorted(set(settings.temperatures.values())):
                for index in range(settings.samples):
                    seed = seed_of(settings.seed, problem.task_id, temperature, index)
                    yield Wanted(problem.task_id, problem.language, prompt, index, temperature, seed)

    def _judge(self, sample: Sample, verdicts: _Verdicts) -> Result:
        problem = self._problems[sample.task_id]
        program = self._benchmark.program(problem, sample.completion)
        return verdicts.of(program, self._limits_of(problem, verdicts))

    def _limits_of(self, problem: Problem, verdicts: _Verdicts) -> Limits:
        """Limits after what the reference takes on this machine, measured once."""
        with self._lock:
            known = self._limits.get(problem.task_id)
            mine = known is None
            if known is None:
                known = self._limits[problem.task_id] = Future()
        if mine:
            try:
                limits = verdicts.sandbox.limits
                reference = verdicts.sandbox.run(self._benchmark.reference(problem), limits)
                if reference.passed:
                    limits = replace(
                        limits,
                        seconds=max(LEAST_SECONDS, REFERENCE_FACTOR * reference.seconds),
                        compile_seconds=max(LEAST_COMPILE_SECONDS, REFERENCE_FACTOR * reference.compile_seconds),
                    )
                known.set_result(limits)
            except BaseException as error:
                known.set_exception(error)
        return known.result()


class _Verdicts:
    """Verdicts of programs, each of which runs once however often it was written."""

    def __init__(self, sandbox: Runner):
        self.sandbox = sandbox
        self._known: dict[bytes, Future[Result]] = {}
        self._lock = threading.Lock()

    def of(self, program: Program, limits: Limits) -> Result:
        key = hashlib.sha256(repr(program).encode(errors="surrogatepass")).digest()
        with self._lock:
            known = self._known.get(key)
            mine = known is None
            if known is None:
                known = self._known[key] = Future()
        if mine:
            try:
                known.set_result(self._run(program, limits))
            except BaseException as error:
                known.set_exception(error)
        return known.result()

    def _run(self, program: Program, limits: Limits) -> Result:
        result = self.sandbox.run(program, limits)
        if result.verdict == "sandbox_error" or (result.verdict == "timeout" and result.stage == "run"):
            result = self.sandbox.run(program, limits, alone=True)  # it may have been the others' fault
        return replace(result, detail=result.detail[:1000])


def _key(wanted: Wanted) -> Key:
    return wanted.task_id, wanted.temperature, wanted.index
