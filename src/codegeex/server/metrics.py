"""What Prometheus reads, under the names that vLLM gave these things."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from codegeex.server.engine_thread import EngineThread

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Histogram:
    """Counts of values up to each of some bounds, in seconds."""

    def __init__(self, bounds: Sequence[float] = SECONDS):
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self._counts[bisect_left(self._bounds, value)] += times
        self._sum += value * times

    def lines(self, name: str, labels: str) -> Iterator[str]:
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{{labels},le="{bound}"}} {total}'
        yield f"{name}_sum{{{labels}}} {self._sum:.6f}"
        yield f"{name}_count{{{labels}}} {total}"


class Metrics:
    """Only touched on the loop.

    Attributes:
        finished: choices by the reason why they ended.
        answered: HTTP requests by method, path and status.
        queue_time, first_token, between_tokens, whole: seconds a request waits for a place, until its first token,
            from token to token, and until its end.
    """

    def __init__(self) -> None:
        self.finished: Counter[str] = Counter({"stop": 0, "length": 0})
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.queue_time, self.first_token, self.between_tokens, self.whole = (Histogram() for _ in range(4))

    def text(self, engine: EngineThread, model_name: str) -> str:
        """All there is to know, in Prometheus' text format."""
        model = f'model_name="{_escaped(model_name)}"'
        load = engine.load
        lines: list[str] = []

        def add(name: str, kind: str, words: str, samples: Iterable[str]) -> None:
            lines.extend([f"# HELP codegeex:{name} {words}", f"# TYPE codegeex:{name} {kind}", *samples])

        def value(name: str, kind: str, words: str, number: float) -> None:
            add(name, kind, words, [f"codegeex:{name}{{{model}}} {number}"])

        value("num_requests_running", "gauge", "Samples in the batch.", load.running)
        value("num_requests_waiting", "gauge", "Samples that wait for a place.", load.waiting)
        value("prompt_tokens_total", "counter", "Tokens of prompts.", load.prompt_tokens)
        value("prefix_cache_queries_total", "counter", "Tokens of prompts that were looked up.", load.prompt_tokens)
        value("prefix_cache_hits_total", "counter", "Tokens of prompts found computed.", load.shared_tokens)
        value("generation_tokens_total", "counter", "Tokens generated.", load.generated_tokens)
        reasons = [
            f'codegeex:request_success_total{{{model},finished_reason="{reason}"}} {count}'
            for reason, count in sorted(self.finished.items())
        ]
        add("request_success_total", "counter", "Samples finished.", reasons)
        for name, words, histogram in (
            ("request_queue_time_seconds", "Waiting for a place in the batch.", self.queue_time),
            ("time_to_first_token_seconds", "Until a prompt's first token.", self.first_token),
            ("inter_token_latency_seconds", "From token to token.", self.between_tokens),
            ("e2e_request_latency_seconds", "Until a request's end.", self.whole),
        ):
            add(name, "histogram", words, histogram.lines(f"codegeex:{name}", model))
        answered = [
            f'codegeex:http_requests_total{{method="{method}",path="{_escaped(path)}",status="{status}"}} {count}'
            for (method, path, status), count in sorted(self.answered.items())
        ]
        add("http_requests_total", "counter", "HTTP requests answered.", answered)
        return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
