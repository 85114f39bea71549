"""The shape of a model: `ModelConfig`, its presets and its JSON form."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from codegeex.errors import CodeGeeXError

FORMAT_VERSION = 1
"""Version of the native model directory; a reader refuses any other."""


ARCHITECTURE = "codegeex"


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the linear weights of a model directory are stored (paper section 4.2, eq. 5)."""

    method: str = "absmax"
    bits: int = 8
    axis: str = "output"


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Shape of a CodeGeeX model: `num_layers` ordinary decoder layers and one top query layer above them.

    Attributes:
        hidden_size: width h of the residual stream.
        num_layers: ordinary layers, the top query layer not counted (39 for the 13B model).
        num_attention_heads: heads; the head size is `hidden_size // num_attention_heads`.
        vocab_size: rows of the word embedding, padding rows included; at least the tokenizer's size.
        max_position_embeddings: longest sequence, in tokens.
        ffn_hidden_size: inner width of the feed-forward block; 4h when 0 is given.
        layernorm_epsilon: added to the variance in every layer norm.
        quantization: set on an int8 directory, None where weights are stored as floats.
    """

    hidden_size: int
    num_layers: int
    num_attention_heads: int
    vocab_size: int
    max_position_embeddings: int = 2048
    ffn_hidden_size: int = 0
    layernorm_epsilon: float = 1e-5
    quantization: Quantization | None = None

    def __post_init__(self) -> None:
        if not self.ffn_hidden_size:
            object.__setattr__(self, "ffn_hidden_size", 4 * self.hidden_size)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("quantization", "layernorm_epsilon"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < (field.name != "num_layers"):
                raise CodeGeeXError(f"model config: {field.name} must be a positive whole number, not {value!r}.")
        if self.hidden_size % self.num_attention_heads:
            raise CodeGeeXError(
                f"model config: hidden_size {self.hidden_size} is not a multiple of "
                f"num_attention_heads {self.num_attention_heads}."
            )
        if not isinstance(self.layernorm_epsilon, (int, float)) or not 0 < self.layernorm_epsilon < 1:
            raise CodeGeeXError(
                f"model config: layernorm_epsilon must be a small number, not {self.layernorm_epsilon!r}."
            )
        if self.quantization not in (None, Quantization()):
            raise CodeGeeXError(f"model config: unknown quantization {self.quantization}; known: {Quantization()}.")

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def num_parameters(self) -> int:
        """Trainable parameters (the sum checked against the paper's 12.87 billion in the tests)."""
        h, ffn = self.hidden_size, self.ffn_hidden_size
        attention = 4 * (h * h + h)
        mlp = 2 * h * ffn + ffn + h
        layer = attention + mlp + 4 * h
        tables = (self.vocab_size + 2 * self.max_position_embeddings) * h
        return (self.num_layers + 1) * layer + 2 * h + tables

    def check_divisible(self, processes: int, tables: bool = True) -> None:
        """See to it that so many processes can share every layer evenly; with `tables`, the embeddings too.

        Raises:
            CodeGeeXError: they cannot.
        """
        shared = {"heads": self.num_attention_heads, "inner width": self.ffn_hidden_size}
        if tables:
            shared |= {"vocabulary": self.vocab_size, "positions": self.max_position_embeddings}
        for what, size in shared.items():
            if size % processes:
                raise CodeGeeXError(f"the model's {what}, {size}, cannot be shared evenly among {processes} processes.")

    def to_dict(self) -> dict[str, Any]:
        """The content of `config.json`."""
        content = {"format_version": FORMAT_VERSION, "architecture": ARCHITECTURE} | asdict(self)
        if self.quantization is None:
            del content["quantization"]
        return content

    @classmethod
    def from_dict(cls, content: Any, source: str = "model config") -> ModelConfig:
        """Build from the content of a `config.json`.

        Raises:
            CodeGeeXError: not an object, a missing or impossible value, or another format version.
        """
        if not isinstance(content, dict):
            raise CodeGeeXError(f"{source}: expected a JSON object.")
        if content.get("architecture", ARCHITECTURE) != ARCHITECTURE:
            raise CodeGeeXError(f"{source}: architecture {content['architecture']!r} is not {ARCHITECTURE!r}.")
        version = content.get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            raise CodeGeeXError(
                f"{source}: format version {version!r} is not supported (this codegeex reads version "
                f"{FORMAT_VERSION}); convert the model again with this version, or upgrade codegeex."
            )
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in content.items() if key not in ("format_version", "architecture")}
        if unknown := [key for key in values if key not in known]:
            raise CodeGeeXError(f"{source}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}.")
        if isinstance(values.get("quantization"), dict):
            try:
                values["quantization"] = Quantization(**values["quantization"])
            except TypeError:
                raise CodeGeeXError(f"{source}: unknown quantization {values['quantization']}.") from None
        required = ("hidden_size", "num_layers", "num_attention_heads", "vocab_size")
        if missing := [name for name in required if name not in values]:
            raise CodeGeeXError(f"{source}: {', '.join(missing)} missing.")
        return cls(**values)

    @classmethod
    def load(cls, path: str | Path) -> ModelConfig:
        """Read `config.json`, given its path or the model directory that holds it."""
        path = Path(path)
        if path.is_dir():
            path = path / "config.json"
        content = read_json(path)
        if isinstance(content, dict) and "format_version" not in content:
            raise CodeGeeXError(f"{path}: format_version is missing, so this is not a codegeex model directory.")
        return cls.from_dict(content, str(path))


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CodeGeeXError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise CodeGeeXError(f"cannot read {path}: {reason}.") from None
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond what Python reads
        raise CodeGeeXError(f"{path} is not valid JSON: {error}.") from None


# The released vocabulary has 50,400 ids; the table is padded to the next multiple of 1,024 above 51,200.
OFFICIAL_VOCAB_SIZE = 52224

PRESETS: dict[str, ModelConfig] = {
    # Trains on a laptop CPU; the model that ships inside the package.
    "nano": ModelConfig(
        hidden_size=256, num_layers=5, num_attention_heads=4, vocab_size=8192, max_position_embeddings=512
    ),
    # The shapes of the original training configuration.
    "base": ModelConfig(768, 12, 12, OFFICIAL_VOCAB_SIZE),
    "dev": ModelConfig(2048, 16, 16, OFFICIAL_VOCAB_SIZE),
    "2.6b": ModelConfig(2560, 32, 32, OFFICIAL_VOCAB_SIZE),
    # The released model: 12,873,943,040 parameters.
    "13b": ModelConfig(5120, 39, 40, OFFICIAL_VOCAB_SIZE),
}


def preset(name: str) -> ModelConfig:
    """The preset called `name`, in any case.

    Raises:
        CodeGeeXError: no such preset.
    """
    try:
        return PRESETS[name.lower()]
    except KeyError:
        raise CodeGeeXError(f"unknown model preset {name!r}; known: {', '.join(PRESETS)}.") from None
