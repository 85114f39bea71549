"""What whoever runs a server decides."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from codegeex.errors import CodeGeeXError

KEYS_VARIABLE = "CODEGEEX_API_KEYS"
"""Environment variable with keys, separated by commas."""

SHORTEST_KEY = 8


def default_name(model: Path | None) -> str:
    """What clients call a model whose name nobody has given: its directory's; None is the embedded model."""
    return model.resolve().name if model else "codegeex-nano"


@dataclass(frozen=True, slots=True)
class Settings:
    """How an application behaves.

    Attributes:
        model_name: what clients call the model.
        keys: API keys and their names, which stand in logs; none for a server that everyone may use.
        requests_per_minute: of each key, or each address where there are no keys; 0 for no limit.
        burst: requests that a key may send at once before the rate counts.
        most_waiting: samples that wait for a place in the batch before requests are refused with 429.
        most_samples: samples of one request, over all its prompts.
        most_body: bytes of a request's body.
        body_seconds: in which a body has to arrive.
        deadline: seconds after which a request ends with what there is.
        stream_seconds: pieces of a stream that come closer together than this are sent as one.
        origins: web sites whose pages may ask; "*" for all.
        log_prompts: whether the log may hold what people send.
        playground: whether `/` is the playground.
    """

    model_name: str = "codegeex"
    keys: tuple[tuple[str, str], ...] = ()
    requests_per_minute: float = 0
    burst: int = 20
    most_waiting: int = 512
    most_samples: int = 128
    most_body: int = 2_000_000
    body_seconds: float = 20
    deadline: float = 300
    stream_seconds: float = 0.05
    origins: tuple[str, ...] = ()
    log_prompts: bool = False
    playground: bool = True

    def __post_init__(self) -> None:
        if not self.model_name.strip():
            raise CodeGeeXError("the model's name is empty: clients have to call it something.")
        above = {"burst": "burst", "most_samples": "max-samples", "most_body": "max-body"}
        for name, option in (above | {"body_seconds": "body-seconds", "deadline": "deadline"}).items():
            if not getattr(self, name) > 0:
                raise CodeGeeXError(f"{option} must be above 0, not {getattr(self, name)}.")
        least = {
            "requests_per_minute": "rate-limit",
            "most_waiting": "max-waiting",
            "stream_seconds": "stream-interval",
        }
        for name, option in least.items():
            if not getattr(self, name) >= 0:
                raise CodeGeeXError(f"{option} must be 0 or above, not {getattr(self, name)}.")
        for key, name in self.keys:
            if len(key) < SHORTEST_KEY or not key.isascii() or any(character.isspace() for character in key):
                raise CodeGeeXError(f"API key {name!r} must be {SHORTEST_KEY} or more ASCII characters without spaces.")


def read_keys(given: tuple[str, ...] = (), path: Path | None = None) -> tuple[tuple[str, str], ...]:
    """API keys with their names: those given, those of the environment, those of a file.

    A line of the file is a key, or a name and a key; empty lines and lines that start with # do not count.

    Raises:
        CodeGeeXError: the file cannot be read, or has a line with more than two words.
    """
    listed = os.environ.get(KEYS_VARIABLE, "").split(",")
    keys = [key.strip() for key in (*given, *listed) if key.strip()]
    found = [(key, f"key-{number}") for number, key in enumerate(keys, start=1)]
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CodeGeeXError(f"cannot read the keys in {path}: {error}.") from None
        before = len(found)
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if len(words) > 2:
                raise CodeGeeXError(f"{path}, line {number}: expected a key, or a name and a key.")
            found.append((words[-1], words[0] if len(words) == 2 else f"line-{number}"))
        if len(found) == before:
            raise CodeGeeXError(f"{path} holds no key; leave it out for a server without keys.")
    return tuple(found)
