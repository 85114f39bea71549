"""Recipes: a training run as commented YAML, checked into dataclasses.

Every key is a field below; an unknown key or an impossible value is refused before anything is read or written.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from codegeex import recipes
from codegeex.config import PRESETS, ModelConfig
from codegeex.errors import CodeGeeXError


@dataclass(frozen=True)
class Stream:
    """Where windows come from, either `shards` or `examples`, and their share of a batch."""

    shards: str = ""
    """Shard directory."""
    examples: str = ""
    """JSONL file of prompts and solutions, see `training.examples`."""
    weight: float = 1.0
    decay_weight: float | None = None
    """Its share while a trapezoid's rates decay, where that is another: what is learned last is kept best."""
    stride: int = 200
    """Tokens between the windows that an example too long for one is cut into (the original's: 200)."""

    def share(self, decaying: bool) -> float:
        """Its weight in one phase of the schedule."""
        return self.decay_weight if decaying and self.decay_weight is not None else self.weight


@dataclass(frozen=True)
class Data:
    """Where the tokens are."""

    tokenizer: str = ""
    """Directory with the tokenizer that the shards were made with; it is copied into the model directory."""
    streams: list[Stream] = field(default_factory=list)
    """Training streams, mixed by weight."""
    validation: str = ""
    """Directory with one shard directory, or `.jsonl` or `.jsonl.gz` file of examples, a language; empty for none."""
    sequence_length: int = 512
    """Tokens in a window."""


@dataclass(frozen=True)
class Optimizer:
    """Muon for the hidden matrices, Adam for everything else."""

    muon_lr: float = 0.02
    """Peak learning rate of the hidden matrices. 0 trains them with Adam too."""
    adam_lr: float = 3e-3
    """Peak learning rate of embeddings, biases and layer norms."""
    weight_decay: float = 0.1
    """Decoupled; not on biases and layer norms (paper: 0.1)."""
    clip: float = 1.0
    """Largest global gradient norm (paper: 1.0)."""
    bias_correction: bool = True
    """Whether Adam makes up for moments that begin at zero (paper: false)."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adaptation (arXiv 2106.09685): the model stays as it is, a product of two thin matrices is learned for
    each linear map, and added to it in the end."""

    rank: int = 0
    """Inner width of the product; 0 trains the whole model."""
    alpha: float = 16.0
    """The product counts alpha / rank times."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rates rise and fall, as a part of their peaks."""

    kind: Literal["trapezoid", "cosine"] = "trapezoid"
    """trapezoid: warm-up, a plateau, a linear decay to zero. cosine: warm-up, then a cosine from the peak down to
    `floor`, counted from step 0 as in the paper's run."""
    steps: int = 1000
    warmup: int = 50
    decay: float = 0.4
    """Share of the steps that the decay takes."""
    floor: float = 0.01
    """Where the cosine ends, and what stays after it (paper: 1e-6 of 1e-4)."""

    @property
    def decay_begins(self) -> int:
        """The first step of the decay; a cosine has none."""
        return self.steps - max(1, round(self.steps * self.decay)) if self.kind == "trapezoid" else self.steps

    def factor(self, step: int) -> float:
        """What the peak learning rates are multiplied by in `step` (0-based)."""
        if self.kind == "cosine":
            place = min(1.0, step / max(1, round(self.steps * self.decay)))
            cosine = self.floor + (1 - self.floor) * (1 + math.cos(math.pi * place)) / 2
            return cosine * min(1.0, (step + 1) / max(1, self.warmup))
        decay_steps = self.steps - self.decay_begins
        return min(1.0, (step + 1) / max(1, self.warmup), (self.steps - step) / decay_steps)


@dataclass(frozen=True)
class Guard:
    """Which steps are not taken: those whose gradient is not finite, and on request those whose loss jumps up."""

    loss_scale: float = 65536.0
    """Where the dynamic loss scale of float16 begins (paper: 2**32)."""
    window: int = 1000
    """Steps without an overflow after which the scale is doubled (paper: 1000)."""
    spike: float = 0.0
    """Standard deviations over the mean of the last 128 losses from which a loss is a spike; 0 for none."""


@dataclass(frozen=True)
class Layout:
    """How the processes of a run share it; a single process needs none."""

    tensor: int = 1
    """Processes that share every layer (paper: 8). The others share the batch."""
    reshard: bool = False
    """Whether weights are put together anew in the backward pass (ZeRO-3), or kept whole after the forward (ZeRO-2)."""
    micro_batch: int = 0
    """Windows that a process computes at a time, adding up gradients; 0 for all of its part."""
    peak_tflops: float = 0.0
    """10¹² operations a second that a device could do in the run's precision, to show how much of it is used; 0 where
    nobody knows."""
    recompute: bool = False
    """Whether activations are computed again in the backward pass rather than kept (paper: true)."""
    compile: bool = False
    """Whether each layer is compiled (torch.compile): a minute at the start, faster steps on most accelerators."""


@dataclass(frozen=True)
class Recipe:
    """One training run."""

    output: str
    """Model directory to write; must not exist."""
    model: ModelConfig = PRESETS["nano"]
    """A preset's name, or the values of a `ModelConfig`; where `start` is given, that model's."""
    start: str = ""
    """Model directory whose weights the run starts from; empty for fresh ones."""
    data: Data = field(default_factory=Data)
    lora: Lora = field(default_factory=Lora)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    guard: Guard = field(default_factory=Guard)
    layout: Layout = field(default_factory=Layout)
    batch_size: int = 16
    """Windows a step, of all processes together."""
    seed: int = 1
    precision: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    """Type that matrices are multiplied in (paper: float16); weights, layer norms, softmax and loss stay in float32.
    A processor without arithmetic for bfloat16 takes float32 for it."""
    dropout: float = 0.0
    """Rate on embeddings, attention probabilities and residual branches (paper: 0.1)."""
    save_every: int = 250
    """Steps between checkpoints, from which the same command goes on after an interruption (paper: 250)."""
    keep: int = 2
    """Checkpoints kept."""
    validate_every: int = 200
    validation_windows: int = 32
    """Windows a language in each validation."""
    samples: list[str] = field(default_factory=list)
    """Prompts that the model continues at every validation, to be read beside the losses."""
    sample_tokens: int = 64
    """Tokens of a continuation."""
    tracking: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """Where the records go besides `metrics.jsonl`; TensorBoard's files to OUTPUT.tensorboard."""


def grid(recipe: Recipe, processes: int) -> tuple[int, int]:
    """How processes share a run: (that share the batch, that share every layer).

    Raises:
        CodeGeeXError: the layout, the batch or the model cannot be shared out evenly.
    """
    tensor = recipe.layout.tensor
    data, left = divmod(processes, tensor)
    if left or not data:
        raise CodeGeeXError(
            f"layout.tensor={tensor} does not divide {processes} processes; such a run is started with "
            f"torchrun --nproc-per-node {tensor} -m codegeex train RECIPE."
        )
    if recipe.batch_size % data:
        raise CodeGeeXError(f"batch_size {recipe.batch_size} cannot be shared evenly among {data}.")
    recipe.model.check_divisible(tensor)
    return data, tensor


def load(path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe; `overrides` are `dotted.key=value` with YAML values.

    Raises:
        CodeGeeXError: unreadable, not YAML, an unknown key, or a value of the wrong type.
    """
    content = recipes.read(path)
    recipes.override(content, overrides or [])
    if content.get("start"):
        _take_shape(content, str(path))
    recipe = recipes.build(Recipe, content, str(path))
    _check(recipe, str(path))
    return recipe


def _take_shape(content: dict[str, Any], source: str) -> None:
    """Let the model of a recipe be that of the directory it starts from."""
    shape = dataclasses.replace(ModelConfig.load(str(content["start"])), quantization=None)
    if "model" in content and recipes.typed(ModelConfig, content["model"], source, "model") != shape:
        raise CodeGeeXError(f"{source}: the model in {content['start']} has another shape; leave the key model out.")
    content["model"] = shape.to_dict()


def _shared(streams: list[Stream]) -> bool:
    """Whether the weights are a mixture in both phases."""
    phases = [[stream.weight for stream in streams], [stream.share(True) for stream in streams]]
    return all(min(weights, default=-1) >= 0 and 0 < sum(weights) < float("inf") for weights in phases)


def _check(recipe: Recipe, source: str) -> None:
    positive = {
        "batch_size": recipe.batch_size,
        "schedule.steps": recipe.schedule.steps,
        "data.sequence_length": recipe.data.sequence_length,
        "layout.tensor": recipe.layout.tensor,
        "save_every": recipe.save_every,
        "keep": recipe.keep,
        "sample_tokens": recipe.sample_tokens,
        "validate_every": recipe.validate_every,
        "validation_windows": recipe.validation_windows,
    }
    for key, value in positive.items():
        if value < 1:
            raise CodeGeeXError(f"{source}: {key} must be at least 1, not {value}.")
    if not 0 <= recipe.layout.peak_tflops < float("inf"):
        raise CodeGeeXError(f"{source}: layout.peak_tflops must be 0 (unknown) or above.")
    if recipe.layout.micro_batch < 0:
        raise CodeGeeXError(f"{source}: layout.micro_batch must be 0 (all) or above.")
    if not 0 <= recipe.dropout < 1:
        raise CodeGeeXError(f"{source}: dropout must be from 0 to below 1, not {recipe.dropout}.")
    guard = recipe.guard
    if not 1 <= guard.loss_scale < float("inf") or guard.window < 1 or not 0 <= guard.spike < float("inf"):
        raise CodeGeeXError(f"{source}: guard.loss_scale and .window must be 1 or above, guard.spike 0 or above.")
    for name, rate in dataclasses.asdict(recipe.optimizer).items():
        if not 0 <= rate < float("inf"):
            raise CodeGeeXError(f"{source}: optimizer.{name} must be 0 or above, not {rate}.")
    if not recipe.optimizer.clip:
        raise CodeGeeXError(f"{source}: optimizer.clip must be above 0; a large number, such as 1e9, clips nothing.")
    if recipe.seed < 0:
        raise CodeGeeXError(f"{source}: seed must be 0 or above, not {recipe.seed}.")
    schedule = recipe.schedule
    if schedule.warmup < 0 or not 0 <= schedule.decay <= 1 or not 0 <= schedule.floor <= 1:
        raise CodeGeeXError(f"{source}: schedule.warmup must be 0 or above, schedule.decay and .floor from 0 to 1.")
    if not recipe.data.streams or not _shared(recipe.data.streams):
        raise CodeGeeXError(
            f"{source}: data.streams needs at least one stream, with a weight above 0 in each phase and none below."
        )
    if schedule.kind == "cosine" and any(stream.decay_weight is not None for stream in recipe.data.streams):
        raise CodeGeeXError(f"{source}: decay_weight needs schedule.kind=trapezoid; a cosine has no decay of its own.")
    if any(bool(stream.shards) == bool(stream.examples) or stream.stride < 1 for stream in recipe.data.streams):
        raise CodeGeeXError(f"{source}: every stream needs either shards or examples, and a stride of at least 1.")
    if recipe.lora.rank < 0 or not 0 < recipe.lora.alpha < float("inf"):
        raise CodeGeeXError(f"{source}: lora.rank must be 0 (none) or above, lora.alpha above 0.")
    if recipe.lora.rank and (not recipe.start or recipe.layout.tensor > 1):
        raise CodeGeeXError(
            f"{source}: lora needs a model to start from, and layout.tensor=1; let more share the batch."
        )
    longest = recipe.model.max_position_embeddings
    if recipe.data.sequence_length > longest:
        raise CodeGeeXError(f"{source}: data.sequence_length exceeds the model's {longest} positions.")
