"""`Model`: what a person asks for, in and out as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from codegeex import languages, prompts, tokenizer
from codegeex.engine.backend import Backend, BackendName, make_backend
from codegeex.engine.engine import Engine
from codegeex.engine.sampling import SamplingParams
from codegeex.engine.stops import GapRule, block_rule
from codegeex.engine.text import Completion, Finished, FinishReason, Piece, RuleFactory
from codegeex.errors import CodeGeeXError
from codegeex.languages import Language
from codegeex.prompts import Task
from codegeex.tokenizer import Tokenizer
from codegeex.tokenizer.fim import fim_prompt

EMBEDDED_MODEL = Path(__file__).parent.parent / "assets" / "nano"
"""The model that ships inside the package."""

DEFAULTS = SamplingParams(temperature=0.2, top_p=0.95, max_tokens=256)
"""A low temperature, as the original's quantised release script: one good answer rather than a varied set."""


@dataclass(frozen=True, slots=True)
class Generation(Sequence["Generation"]):
    """An answer. With several samples it is a sequence of them, and its own fields are those of the first.

    Attributes:
        text: clean code (for `explain`, code with comments).
        tokens: ids generated, end-of-text included.
        finish_reason: "stop" (the program is complete) or "length" (cut at max_tokens or the context's end).
        logprobs: natural log-probability of each token.
        prompt_tokens: ids of the prompt.
        truncated: whether the prompt was longer than the context and lost its beginning.
        others: the samples after the first.
    """

    text: str
    tokens: list[int]
    finish_reason: FinishReason
    logprobs: list[float]
    prompt_tokens: int
    truncated: bool = False
    others: tuple[Generation, ...] = ()

    def __len__(self) -> int:
        return 1 + len(self.others)

    def __getitem__(self, index: Any) -> Any:
        return (replace(self, others=()), *self.others)[index]


@dataclass(frozen=True, slots=True)
class Request:
    """A task made ready for the engine.

    Attributes:
        prompt: ids.
        language: of the answer, for highlighting; None where it is not known.
        head: text that the answer begins with, already in the prompt.
        make_rule: gives a stop rule for one sample.
        truncated: whether the prompt was too long and lost its beginning (a suffix: its end).
    """

    prompt: list[int]
    language: Language | None
    head: str
    make_rule: RuleFactory
    truncated: bool


class Model:
    """A loaded model with its tokenizer.

    Args:
        backend: runs the model.
        vocabulary: its tokenizer.
    """

    def __init__(self, backend: Backend, vocabulary: Tokenizer):
        if len(vocabulary) > backend.config.vocab_size:
            raise CodeGeeXError(
                f"the tokenizer has {len(vocabulary)} ids, the model only {backend.config.vocab_size}: "
                "they do not belong together."
            )
        self.backend, self.tokenizer = backend, vocabulary
        self.engine = Engine(backend, vocabulary)

    def generate(self, intent: str, *, language: str, **sampling: Any) -> Generation:
        """Write a program for `intent` in `language`; further arguments are those of `SamplingParams`.

        Raises:
            CodeGeeXError: an empty intent, an unknown language, or impossible sampling arguments.
        """
        params = sampling_params(**sampling)
        return self.run(self.request("generate", intent, language=language, params=params), params)

    def complete(self, prefix: str, suffix: str = "", *, language: str | None = None, **sampling: Any) -> Generation:
        """Continue `prefix`; with a `suffix`, fill the gap between them.

        Raises:
            CodeGeeXError: nothing to continue, or a suffix with a model that has no fill-in-the-middle.
        """
        params = sampling_params(**sampling)
        return self.run(self.request("complete", prefix, suffix=suffix, language=language, params=params), params)

    def translate(self, code: str, *, source: str, target: str, **sampling: Any) -> Generation:
        """Write `code` anew in another language.

        Raises:
            CodeGeeXError: no code, or an unknown language.
        """
        params = sampling_params(**sampling)
        return self.run(self.request("translate", code, source=source, target=target, params=params), params)

    def explain(self, code: str, *, language: str, **sampling: Any) -> Generation:
        """Write `code` again with a comment above its lines.

        Raises:
            CodeGeeXError: no code, or an unknown language.
        """
        params = sampling_params(**sampling)
        return self.run(self.request("explain", code, language=language, params=params), params)

    def stream(self, text: str, *, task: Task = "generate", **arguments: Any) -> Iterator[str]:
        """The answer to a task in pieces, as they are generated; `text` and the arguments are those of its method.

        Raises:
            CodeGeeXError: as the method; also for several samples, which cannot share one stream.
        """
        names = sorted({*chain(*_OPTIONS.values())} & arguments.keys())
        options = {name: arguments.pop(name) for name in names}
        params = sampling_params(**arguments)
        if params.n > 1 or params.beams > 1:
            raise CodeGeeXError("a stream carries one sample: leave n and beams at 1.")
        request = self.request(task, text, params=params, **options)
        return self.pieces(request, params)

    def request(self, task: Task, text: str, *, params: SamplingParams | None = None, **options: Any) -> Request:
        """Build the prompt of a task.

        Args:
            task: "generate", "complete", "translate" or "explain".
            text: the intent, prefix or code.
            params: decides how much of the context is left to the answer.
            options: `language`, `suffix`, `source`, `target`, as the task's method takes them.

        Raises:
            CodeGeeXError: as the task's method.
        """
        if task not in get_args(Task):
            raise CodeGeeXError(f"unknown task {task!r}; known: {', '.join(get_args(Task))}.")
        if not isinstance(text, str):
            raise CodeGeeXError(f"{task} takes a text, not {type(text).__name__}.")
        if not text.strip() and not (task == "complete" and options.get("suffix")):
            wanted = {"generate": "the intent", "complete": "the code to complete"}.get(task, "the code")
            raise CodeGeeXError(f"{wanted} is empty: say what you want.")
        if stray := [name for name in options if name not in _OPTIONS[task]]:
            raise CodeGeeXError(f"{task} takes no {stray[0]}; it takes {' and '.join(_OPTIONS[task])}.")
        room = (params or DEFAULTS).max_tokens
        if task == "translate":
            source, target = _language(options, "source"), _language(options, "target")
            rule = _rule_for(text, source, "", target)
            return self._request(lambda code: prompts.translation(code, source, target), text, rule, target, room)
        if task == "complete":
            language = _language(options, "language") if options.get("language") else None
            suffix = options.get("suffix") or ""
            if suffix:
                return self._fill_request(text, suffix, language, room)
            rule = _rule_after(text, language)
            return self._request(lambda prefix: prompts.completion(prefix, language), text, rule, language, room)
        language = _language(options, "language")
        if task == "explain":
            budget = self._prompt_budget(room)
            ids, text, truncated = self._fitted(lambda code: prompts.explanation(code, language)[0], text, budget)
            _, head = prompts.explanation(text, language)
            return Request(ids, language, head, _rule_for(text, language, head, language), truncated)
        rule = _rule_after("", language)
        return self._request(lambda intent: prompts.generation(intent, language), text, rule, language, room)

    def run(self, request: Request, params: SamplingParams) -> Generation:
        """Answer a request."""
        completions: dict[int, Completion] = {
            event.index: event.completion
            for event in self.engine.generate(request.prompt, params, request.make_rule)
            if isinstance(event, Finished)
        }
        answers = [
            Generation(
                text=request.head + completion.text,
                tokens=completion.tokens,
                finish_reason=completion.finish_reason,
                logprobs=completion.logprobs,
                prompt_tokens=len(request.prompt),
                truncated=request.truncated,
            )
            for _, completion in sorted(completions.items())
        ]
        return replace(answers[0], others=tuple(answers[1:]))

    def pieces(self, request: Request, params: SamplingParams) -> Iterator[str]:
        """The text of a request's only sample, as it grows."""
        if request.head:
            yield request.head
        for event in self.engine.generate(request.prompt, params, request.make_rule):
            if isinstance(event, Piece):
                yield event.text

    def _request(
        self, build: Callable[[str], str], text: str, make_rule: RuleFactory, language: Language | None, room: int
    ) -> Request:
        """A request for the prompt that `build` makes of `text`."""
        ids, _, truncated = self._fitted(build, text, self._prompt_budget(room))
        return Request(ids, language, "", make_rule, truncated)

    def _fill_request(self, prefix: str, suffix: str, language: Language | None, room: int) -> Request:
        """A fill-in-the-middle request; a long prefix loses its beginning and a long suffix its end."""
        overhead = len(fim_prompt(self.tokenizer, "", ""))
        budget = self._prompt_budget(room) - overhead
        suffix_ids = self.tokenizer.encode(suffix)
        # The code before the cursor says more about what is missing: the suffix yields first, down to a quarter.
        prefix_length = len(self.tokenizer.encode(prompts.completion(prefix, language)))
        suffix_room = max(budget // 4, budget - prefix_length)
        prefix_room = budget - min(len(suffix_ids), suffix_room)
        _, prefix, truncated = self._fitted(lambda text: prompts.completion(text, language), prefix, prefix_room)
        if len(suffix_ids) > suffix_room:
            suffix, truncated = self._whole_characters(suffix_ids[:suffix_room]), True
        prompt = fim_prompt(self.tokenizer, prompts.completion(prefix, language), suffix)
        return Request(prompt, language, "", lambda: GapRule(prefix, suffix), truncated)

    def _fitted(self, build: Callable[[str], str], text: str, budget: int) -> tuple[list[int], str, bool]:
        """The prompt that `build` makes of `text` in at most `budget` ids.

        What is too long is cut from the beginning of the text, so that the prompt's own words stay whole; where these
        alone are too long, from the beginning of the prompt.

        Returns:
            The ids, what is left of the text, and whether anything was cut.
        """
        ids, text_ids = self.tokenizer.encode(build(text)), self.tokenizer.encode(text)
        truncated = len(ids) > budget
        if truncated and len(self.tokenizer.encode(build(""))) >= budget:
            return ids[-budget:], text, True
        while len(ids) > budget and text_ids:
            text_ids = text_ids[len(ids) - budget :]
            text = self._whole_characters(text_ids)
            ids = self.tokenizer.encode(build(text))
        return ids[-budget:], text, truncated

    def _whole_characters(self, ids: Sequence[int]) -> str:
        """The text of `ids` without the characters that a cut left in pieces."""
        return self.tokenizer.decode_bytes(ids).decode("utf-8", errors="ignore")

    def _prompt_budget(self, room: int) -> int:
        """Ids that a prompt may have, so that at least a quarter of the context is left for the answer."""
        context = self.backend.config.max_position_embeddings
        return context - min(room, max(1, context // 4))


_OPTIONS: dict[Task, tuple[str, ...]] = {
    "generate": ("language",),
    "complete": ("language", "suffix"),
    "translate": ("source", "target"),
    "explain": ("language",),
}
"""What a task takes besides its text and the sampling arguments."""


def _rule_after(before: str, language: Language | None) -> RuleFactory:
    """Gives rules that end the block which the code `before` leaves open or a text after it begins."""
    rule = block_rule(language, before) if language else None  # reads all of `before`, which may be long
    return lambda: deepcopy(rule)


def _rule_for(code: str, source: Language, before: str, target: Language) -> RuleFactory:
    """Gives rules for what is made of `code`: of one block comes a block, of several as much as the model writes."""
    rule = block_rule(source, "")
    end = rule.feed(code) if rule else None
    several = end is not None and bool(code[end:].strip())
    return (lambda: None) if several else _rule_after(before, target)


def _language(options: Mapping[str, Any], name: str) -> Language:
    """The language that option `name` asks for."""
    if not options.get(name):
        raise CodeGeeXError(f"say which {name}: for example {name}='python'.")
    return languages.get(options[name])


def sampling_params(**changes: Any) -> SamplingParams:
    """`DEFAULTS` with changes; None leaves a value as it is.

    Raises:
        CodeGeeXError: an unknown or impossible value.
    """
    known = [field.name for field in fields(SamplingParams)]
    if unknown := [name for name in changes if name not in known]:
        raise CodeGeeXError(f"unknown argument {unknown[0]!r}; known: {', '.join(known)}.")
    try:
        return replace(DEFAULTS, **{name: value for name, value in changes.items() if value is not None})
    except TypeError as error:  # a text where a number belongs
        raise CodeGeeXError(f"impossible sampling arguments: {error}.") from None


def load(path: str | Path | None = None, backend: BackendName = "auto", threads: int | None = None) -> Model:
    """The embedded model, or the one of a model directory.

    Args:
        path: a native model directory.
        backend: "native" (int8 in C++; a float model is quantised as it loads), "torch" (full precision, accelerators),
            "numpy" (full precision, slow, always there), or "auto" for native where it was compiled, else numpy.
        threads: of the native backend; as many as this process has processors where it is None.

    Raises:
        CodeGeeXError: no model or tokenizer there, or a damaged one.
    """
    directory = EMBEDDED_MODEL if path is None else Path(path)
    if not directory.is_dir():
        raise CodeGeeXError(
            f"no model directory at {directory}; make one with 'codegeex convert' or 'codegeex train', "
            "or leave --model out to use the one that ships with codegeex."
        )
    return Model(make_backend(directory, backend, threads), tokenizer.load(directory))
