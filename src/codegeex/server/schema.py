"""What clients send and get, with examples; FastAPI makes the OpenAPI document of it.

Requests are strict: a number is no text, and a field that the server does not know is an error, not silence.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError

from codegeex.assistant.assistant import DEFAULTS
from codegeex.engine.sampling import MAX_LENGTH_PENALTY, MOST_BIAS, MOST_PENALTY, MOST_TOP_LOGPROBS

MOST_STOPS = 16
MOST_STOP = 256
"""Stop texts, and characters of one: all are looked for after each token."""

MOST_BEAMS = 32

Text = Annotated[str, StringConstraints(strict=True)]
TokenId = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
StopText = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=MOST_STOP)]
Prompt = (
    Text
    | Annotated[list[TokenId], Field(min_length=1)]
    | Annotated[list[Text], Field(min_length=1)]
    | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1)]
)


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(strict=True, extra="forbid")


class StreamOptions(Body):
    include_usage: bool = Field(False, description="Send a last chunk with `usage` and `timings`.")


class Asked(Body):
    """Fields that all requests for text share."""

    model: str | None = Field(None, description="The served model's name; left out, it is the only one there is.")
    max_tokens: int | None = Field(
        None, ge=0, le=2**31 - 1, description=f"Most tokens of the answer, {DEFAULTS.max_tokens} by default."
    )
    temperature: float | None = Field(
        None, ge=0, le=100, description=f"Randomness, 0 is greedy; {DEFAULTS.temperature} by default."
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description=f"Draw from the likeliest tokens up to this probability; {DEFAULTS.top_p}."
    )
    top_k: int | None = Field(None, ge=-1, le=2**31 - 1, description="Draw from the k likeliest; 0 or -1 for all.")
    min_p: float | None = Field(None, ge=0, le=1, description="Leave out tokens below this part of the likeliest one.")
    n: int | None = Field(None, ge=1, le=1024, description="How many answers.")
    best_of: int | None = Field(None, ge=1, le=1024, description="Draw so many and give the `n` likeliest.")
    seed: int | None = Field(None, ge=0, le=2**63 - 1, description="Makes the answer reproducible.")
    stop: StopText | Annotated[list[StopText], Field(max_length=MOST_STOPS)] | None = Field(
        None, description="Texts before which the answer ends."
    )
    presence_penalty: float | None = Field(None, ge=-MOST_PENALTY, le=MOST_PENALTY)
    frequency_penalty: float | None = Field(None, ge=-MOST_PENALTY, le=MOST_PENALTY)
    logit_bias: (
        dict[
            Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}$")],
            Annotated[float, Field(ge=-MOST_BIAS, le=MOST_BIAS)],
        ]
        | None
    ) = Field(None, description="Added to the logits of token ids.")
    logprobs: int | None = Field(
        None, ge=0, le=MOST_TOP_LOGPROBS, description="Report log-probabilities, of so many of the likeliest tokens."
    )
    beams: int | None = Field(None, ge=1, le=MOST_BEAMS, description="Width of beam search; 1 for none.")
    length_penalty: float | None = Field(None, ge=-MAX_LENGTH_PENALTY, le=MAX_LENGTH_PENALTY)
    stream: bool | None = Field(None, description="Send the answer while it grows, as server-sent events.")
    stream_options: StreamOptions | None = None
    timeout: float | None = Field(
        None, gt=0, le=86400, description="Seconds after which the answer ends with what there is."
    )
    user: str | None = Field(None, description="Accepted for the sake of clients; nothing is done with it.")

    @field_validator("stop", mode="wrap")
    @classmethod
    def _stop(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return _checked(
            value,
            handler,
            f"stop must be a text or up to {MOST_STOPS} texts, none of them empty or longer than {MOST_STOP}",
        )


class CompletionRequest(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "# language: Python\ndef add(a, b):\n", "max_tokens": 64, "stop": ["\n\n"]},
                {"prompt": "def mean(numbers):\n    return ", "suffix": " / len(numbers)\n", "max_tokens": 32},
            ]
        }
    )
    prompt: Prompt = Field(description="A text, several texts, token ids, or several lists of them.")
    suffix: Text | None = Field(None, description="What follows the gap that the model is to fill.")
    language: str | None = Field(
        None, description="Puts the language's tag before the prompt, and ends the answer where its block ends."
    )
    echo: bool | None = Field(None, description="Begin the answer with the prompt.")

    @field_validator("prompt", mode="wrap")
    @classmethod
    def _prompt(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return _checked(value, handler, "the prompt must be a text, token ids, or a list of several of these")


class GenerateRequest(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"intent": "write a factorial function", "language": "python"}]}
    )
    intent: Text = Field(description="What the program should do, in words.")
    language: str = Field(description="Language to write.")


class TranslateRequest(Asked):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "def add(a, b):\n    return a + b\n", "source": "python", "target": "cpp"}]
        }
    )
    code: Text
    source: str = Field(description="Language of the code.")
    target: str = Field(description="Language to write.")


class ExplainRequest(Asked):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"code": "def add(a, b):\n    return a + b\n", "language": "python"}]}
    )
    code: Text
    language: str = Field(description="Language of the code.")


class InfillExtra(Body):
    model_config = ConfigDict(extra="ignore")  # plugins say when they saw it
    filename: str | None = None
    text: Text


class InfillRequest(Body):
    """The shape of llama.cpp's `/infill`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"input_prefix": "def add(a, b):\n    return ", "input_suffix": "\n", "n_predict": 32}]
        }
    )
    input_prefix: Text = Field("", description="Code before the cursor.")
    input_suffix: Text = Field("", description="Code after the cursor.")
    input_extra: list[InfillExtra] = Field([], description="Other pieces of code, put before the prefix.")
    prompt: Text = Field("", description="Code right before the cursor, after the prefix.")
    n_predict: int | None = Field(None, ge=-1, le=2**31 - 1, description="Most tokens; -1 for no limit.")
    n_indent: int = Field(0, ge=0, le=1000, description="End at a line that is indented by fewer columns.")
    temperature: float | None = Field(None, ge=0, le=100)
    top_k: int | None = Field(None, ge=-1, le=2**31 - 1)
    top_p: float | None = Field(None, gt=0, le=1)
    min_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-1, le=2**63 - 1)
    stop: list[StopText] | None = Field(None, max_length=MOST_STOPS)
    presence_penalty: float | None = Field(None, ge=-MOST_PENALTY, le=MOST_PENALTY)
    frequency_penalty: float | None = Field(None, ge=-MOST_PENALTY, le=MOST_PENALTY)
    stream: bool = False
    t_max_predict_ms: int = Field(
        0, ge=0, le=10**8, description="Time after the first token for more than a line; 0 for any."
    )
    # What the editor plugins send and a server may do its own way. Nothing an answer says depends on them here.
    t_max_prompt_ms: int = Field(0, description="Accepted, without effect.")
    cache_prompt: bool = Field(True, description="Accepted; beginnings are always kept.")
    id_slot: int = Field(-1, description="Accepted, without effect.")
    samplers: list[str] = Field([], description="Accepted; the order is temperature, top-k, top-p, min-p.")
    response_fields: list[str] = Field([], description="The answer has all fields, and these under such names.")
    model: str | None = Field(None, description="The model that is served, or nothing.")
    n_cmpl: int = Field(1, description="Accepted; there is one answer.")
    lora: list[Any] = Field([], description="Accepted, without effect.")


class TokenizeRequest(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"content": "def add(a, b):"}]})
    content: Text | None = Field(None, description="The text, as llama.cpp's server calls it.")
    prompt: Text | None = Field(None, description="The text, as vLLM's server calls it.")
    model: str | None = None
    with_pieces: bool = Field(False, description="Give each token's text too.")


class DetokenizeRequest(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"tokens": [335, 262]}]})
    tokens: list[TokenId]
    model: str | None = None


def _checked(value: Any, handler: ValidatorFunctionWrapHandler, message: str) -> Any:
    """One message instead of one for each member of a union."""
    try:
        return handler(value)
    except ValueError:
        raise PydanticCustomError("value_error", message) from None  # type: ignore[arg-type]


# ---- answers, for the document ---------------------------------------------------------------------------------------


class Logprobs(BaseModel):
    """Of the untempered distribution; natural logarithms. Places of texts are counted in characters."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None
    text_offset: list[int]


class Choice(BaseModel):
    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None = Field(description="null in a chunk that is not the last.")
    logprobs: Logprobs | None = None


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Timings(BaseModel):
    """Milliseconds since the request came in; 0 where nothing was computed."""

    started_ms: float
    first_token_ms: float
    total_ms: float


class Answer(BaseModel):
    """Chunks of a stream look the same, with the text by which a choice has grown."""

    id: str
    object: str
    created: int = Field(description="Seconds since 1970.")
    model: str
    choices: list[Choice]
    usage: Usage | None = None
    timings: Timings | None = None
    truncated: bool = Field(False, description="Whether the prompt was too long and lost its beginning.")


class InfillAnswer(BaseModel):
    index: int = 0
    content: str
    tokens: list[int] = []
    id_slot: int = 0
    stop: bool
    model: str
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    tokens_cached: int = 0
    has_new_line: bool = False
    truncated: bool = False
    stop_type: Literal["eos", "limit", "none"] = "none"
    stopping_word: str = ""
    timings: dict[str, float] = {}


class Capabilities(BaseModel):
    completion: bool = True
    fim: bool = Field(description="Whether `suffix` and `/infill` work.")
    languages: dict[str, str] = Field(description="Languages by the name to ask for, and how to show them.")
    translate: list[tuple[str, str]] = Field(description="Pairs of source and target that the benchmark measures.")
    context: int = Field(description="Tokens of a prompt and its answer together.")


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    max_model_len: int
    capabilities: Capabilities


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class Piece(BaseModel):
    id: int
    piece: str | list[int] = Field(description="The token's text, or its bytes where these are no whole character.")


class Tokens(BaseModel):
    tokens: list[int] | list[Piece]
    count: int
    max_model_len: int


class Detokenized(BaseModel):
    content: str
    prompt: str


class Health(BaseModel):
    status: Literal["ok", "stopping"]


class Version(BaseModel):
    version: str


class ErrorObject(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    error: ErrorObject
