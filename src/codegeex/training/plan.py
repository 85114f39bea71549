"""What a run would take: memory on each device, bytes moved, time. Arithmetic alone, nothing is started.

The formulas are those of `training.parallel` and `model`: linear maps, vocabulary and queries are shared out over the
tensor processes, all weights over the data processes, float32 weights and gradients, matrices in the recipe's
precision. The tests compare them with a model that PyTorch has really shared out, and with what its layers really keep.
Processors without arithmetic for bfloat16 compute in float32 (`training.arithmetic`): plan with that for them.

Symbols: h hidden size, f inner width, L layers with the top query layer, T tokens of a window, V vocabulary rows,
b windows that a device computes at a time, t tensor and d data processes, e bytes of the precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from codegeex.config import ModelConfig
from codegeex.training.recipe import Recipe, grid

FLOAT32 = 4
CHUNK = 1024
"""Tokens whose logits the loss holds at a time, see `model.loss`."""


@dataclass(frozen=True)
class Hardware:
    """What a run would have.

    Attributes:
        devices: how many.
        memory: bytes of each.
        peak: floating-point operations a second of each, in the recipe's precision.
        efficiency: share of the peak that a run reaches.
        bandwidth: bytes a second that a device sends and receives.
    """

    devices: int = 1
    memory: float = 80e9
    peak: float = 989e12
    efficiency: float = 0.4
    bandwidth: float = 50e9


@dataclass(frozen=True)
class Plan:
    """What each device holds and does.

    Attributes:
        memory: bytes by kind.
        moved: bytes that a device sends in a step, by kind.
        flops: of all devices in a step, what is computed again not counted.
        computed: the same with what is computed again.
    """

    recipe: Recipe
    hardware: Hardware
    data: int
    memory: dict[str, float]
    moved: dict[str, float]
    flops: float
    computed: float

    @property
    def total_memory(self) -> float:
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        return self.total_memory <= self.hardware.memory

    @property
    def tokens(self) -> int:
        """Places of a step, of all devices."""
        return self.recipe.batch_size * self.recipe.data.sequence_length

    @property
    def compute_seconds(self) -> float:
        """Of a step, with the stated efficiency."""
        return self.computed / (self.hardware.devices * self.hardware.peak * self.hardware.efficiency)

    @property
    def move_seconds(self) -> float:
        """Of a step, as if nothing was computed meanwhile."""
        return sum(self.moved.values()) / self.hardware.bandwidth

    @property
    def seconds(self) -> float:
        """Of a step: moving hides behind computing, or the other way round."""
        return max(self.compute_seconds, self.move_seconds)

    @property
    def days(self) -> float:
        """Of the run."""
        return self.seconds * self.recipe.schedule.steps / 86400

    def to_dict(self) -> dict[str, Any]:
        """Everything, in bytes and seconds but where a name says otherwise."""
        return {
            "parameters": self.recipe.model.num_parameters,
            "devices": self.hardware.devices,
            "layout": {"tensor": self.recipe.layout.tensor, "data": self.data},
            "tokens_per_step": self.tokens,
            "tokens": self.tokens * self.recipe.schedule.steps,
            "memory": self.memory,
            "total_memory": self.total_memory,
            "memory_per_device_gb": round(self.total_memory / 1e9, 3),
            "fits": self.fits,
            "moved_per_step": self.moved,
            "flops_per_step": self.flops,
            "step_seconds": {"compute": self.compute_seconds, "move": self.move_seconds, "whole": self.seconds},
            "model_flops_utilization": self.flops / (self.seconds * self.hardware.devices * self.hardware.peak),
            "days": self.days,
        }


def plan(recipe: Recipe, hardware: Hardware) -> Plan:
    """What the run of a recipe takes on some hardware.

    Raises:
        CodeGeeXError: the devices cannot be laid out as the recipe says, or the batch not shared out evenly.
    """
    data, _ = grid(recipe, hardware.devices)
    windows = min(recipe.layout.micro_batch or recipe.batch_size, recipe.batch_size // data)
    rounds = -(-recipe.batch_size // data // windows)
    needed = flops(recipe.model, recipe.data.sequence_length) * recipe.batch_size
    return Plan(
        recipe=recipe,
        hardware=hardware,
        data=data,
        memory=_weights(recipe, data) | {"activations": _activations(recipe, windows)},
        moved=_moved(recipe, data, windows, rounds),
        flops=needed,
        computed=needed * (4 / 3 if recipe.layout.recompute else 1),
    )


def flops(model: ModelConfig, tokens: int) -> float:
    """Of a window, forward and backward: 6 for each weight of a matrix and token, and attention's products.

    Half of what causal attention multiplies is masked; it is counted, as it is in published figures.
    """
    h, layers = model.hidden_size, model.num_layers + 1
    matrices = layers * (4 * h * h + 2 * h * model.ffn_hidden_size) + model.vocab_size * h
    return 6.0 * matrices * tokens + 12.0 * layers * h * tokens * tokens


class Shape(NamedTuple):
    """`copies` tensors of [rows, columns] that a device has before the data processes share them by rows."""

    rows: int
    columns: int
    copies: int
    matrix: bool = False

    def size(self, parts: int = 1) -> int:
        """Numbers of the largest part."""
        return -(-self.rows // parts) * self.columns * self.copies


def device_shapes(model: ModelConfig, tensor: int) -> list[Shape]:
    """What the parameters of a device are when `tensor` devices share every layer."""
    h, f, layers = model.hidden_size, model.ffn_hidden_size, model.num_layers + 1
    return [
        Shape(h // tensor, h, 3 * layers, True),  # query, key, value
        Shape(h, h // tensor, layers, True),  # dense
        Shape(f // tensor, h, layers, True),
        Shape(h, f // tensor, layers, True),
        Shape(h // tensor, 1, 3 * layers),  # biases of the maps that are split by outputs
        Shape(f // tensor, 1, layers),
        Shape(h, 1, 6 * layers + 2),  # the other biases, layer norms
        Shape(model.vocab_size // tensor, h, 1),
        Shape(model.max_position_embeddings // tensor, h, 1),  # queries
        Shape(model.max_position_embeddings, h, 1),
    ]


def device_parameters(model: ModelConfig, tensor: int) -> tuple[int, int]:
    """Parameters of a device before the data processes share them: (in linear maps' weights, everything else)."""
    shapes = device_shapes(model, tensor)
    matrices = sum(shape.size() for shape in shapes if shape.matrix)
    return matrices, sum(shape.size() for shape in shapes) - matrices


def _weights(recipe: Recipe, data: int) -> dict[str, float]:
    """Bytes of weights, gradients and moments of the device that has most."""
    shapes = device_shapes(recipe.model, recipe.layout.tensor)
    matrices, rest = device_parameters(recipe.model, recipe.layout.tensor)
    held = sum(shape.size(data) for shape in shapes)
    layer = matrices / (recipe.model.num_layers + 1)
    # What is put together for computing: all layers, or (ZeRO-3) the one at work and the next; the tables always.
    gathered = (2 * layer if recipe.layout.reshard else matrices) + rest if data > 1 else 0
    # Gradients of a layer are whole until the processes have added them up; those of the tables until the end.
    passing = 2 * layer + rest if data > 1 else 0
    muon = sum(shape.size(data) for shape in shapes if shape.matrix) if recipe.optimizer.muon_lr else 0
    learned = held
    if recipe.lora.rank:
        h, f = recipe.model.hidden_size, recipe.model.ffn_hidden_size
        added = (recipe.model.num_layers + 1) * recipe.lora.rank * (8 * h + 2 * (h + f))
        learned, muon = -(-added // data), 0
        held, gathered, passing = held + learned, gathered + added, 2 * layer
    return {
        "weights": float(FLOAT32 * held),
        "gathered weights": float(FLOAT32 * gathered),
        "gradients": float(FLOAT32 * (learned + passing)),
        "optimizer": float(FLOAT32 * (2 * (learned - muon) + muon)),
    }


def _activations(recipe: Recipe, windows: int) -> float:
    """Bytes that a device keeps for the backward pass, and what it needs besides while it computes."""
    model, tokens = recipe.model, windows * recipe.data.sequence_length
    layers, size = model.num_layers + 1, _bytes(recipe)
    kept = FLOAT32 * model.hidden_size * layers if recipe.layout.recompute else layers * layer_bytes(recipe)
    # A layer goes backward: what it needs was computed again, and the gradients of it are as large.
    working = _backward_bytes(recipe) + (layer_bytes(recipe) if recipe.layout.recompute else 0.0)
    mask = recipe.data.sequence_length * (1 + size)  # as it came, and in the precision
    ends = model.hidden_size * (4 * FLOAT32 + 2 * size)  # embeddings, final layer norm, the loss's input and gradient
    logits = min(CHUNK, tokens) * model.vocab_size // recipe.layout.tensor * (2 * FLOAT32 + size)
    return tokens * (kept + working + mask + ends) + logits + _casts(recipe)


def layer_bytes(recipe: Recipe) -> float:
    """Bytes that an ordinary layer keeps for each token without dropout (counted on a CPU, see the tests)."""
    model, tensor, size = recipe.model, recipe.layout.tensor, _bytes(recipe)
    h = model.hidden_size
    inputs = 2 * FLOAT32 * h  # of the two layer norms
    # Their outputs: cast once for each of four maps, or kept as they are.
    normed = 4 * size * h if size < FLOAT32 else 2 * size * h
    attention = (4 * size * h + FLOAT32 * model.num_attention_heads) / tensor
    statistics = 4 * FLOAT32
    return inputs + normed + attention + 2 * size * model.ffn_hidden_size / tensor + statistics


def _backward_bytes(recipe: Recipe) -> float:
    """Bytes of the gradients that are alive for each token while a layer goes backward."""
    model, size = recipe.model, _bytes(recipe)
    inside = 3 * model.ffn_hidden_size / recipe.layout.tensor + 4 * model.hidden_size
    return size * inside + 2 * FLOAT32 * model.hidden_size


def _casts(recipe: Recipe) -> float:
    """Bytes of the weights in the recipe's precision, which live as long as the layer's other activations."""
    size = _bytes(recipe)
    if size == FLOAT32:
        return 0.0
    matrices, _ = device_parameters(recipe.model, recipe.layout.tensor)
    return size * (matrices / (recipe.model.num_layers + 1) if recipe.layout.recompute else matrices)


def _moved(recipe: Recipe, data: int, windows: int, rounds: int) -> dict[str, float]:
    """Bytes that a device sends in a step."""
    tensor, model = recipe.layout.tensor, recipe.model
    matrices, rest = device_parameters(model, tensor)
    share = (data - 1) / data
    gathers = 2 if recipe.layout.reshard else 1
    weights = FLOAT32 * share * rounds * (gathers * matrices + rest)
    gradients = FLOAT32 * share * rounds * (matrices + rest)
    # Two sums in each layer forward, two backward, and those of the forward again; two float32 ones of embeddings, one
    # of the loss's gradient. A ring sends each byte twice.
    sums = (2 + 2 + (2 if recipe.layout.recompute else 0)) * (model.num_layers + 1) + 1
    activation = (_bytes(recipe) * sums + 2 * FLOAT32) * model.hidden_size * windows * recipe.data.sequence_length
    return {
        "weights": weights,
        "gradients": gradients,
        "activations": 2 * (tensor - 1) / tensor * activation * rounds,
    }


def _bytes(recipe: Recipe) -> int:
    return FLOAT32 if recipe.precision == "float32" else 2
