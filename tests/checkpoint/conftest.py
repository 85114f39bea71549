"""A small model, and checkpoints of it written the way the original writes them (by PyTorch, not by our code)."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from codegeex.checkpoint import TensorSource, write_model
from codegeex.checkpoint.source import as_float32
from codegeex.config import ModelConfig
from codegeex.errors import CodeGeeXError

if TYPE_CHECKING:
    from torch import Tensor

    from codegeex.model import CodeGeeX

# Official files are PyTorch's: these tests are for where PyTorch is installed.
collect_ignore = [] if find_spec("torch") else ["test_official.py", "test_hostile.py"]

CONFIG = ModelConfig(hidden_size=32, num_layers=2, num_attention_heads=4, vocab_size=48, max_position_embeddings=16)

State = dict[str, Any]
"""Tensors under their full dotted names in the official file."""


@pytest.fixture(scope="session")
def model() -> CodeGeeX:
    """Fresh weights, with noise on biases and layer norms so that no two of them are alike."""
    import torch

    from codegeex.model import CodeGeeX

    torch.set_num_threads(1)
    torch.manual_seed(3)
    model = CodeGeeX(CONFIG).initialize(std=0.2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model.eval()


class OfficialFormat:
    """The official layout: names, fused QKV, tensor-parallel split (2.1, 2.2 and 2.3 of the facts of the original)."""

    config = CONFIG
    heads: ClassVar = {"num_attention_heads": CONFIG.num_attention_heads}  # what the shapes do not tell

    _split_rows = (
        "word_embeddings.weight",
        "top_query_embeddings.weight",
        *(f"attention.{name}.{kind}" for name in ("query", "key", "value") for kind in ("weight", "bias")),
        "mlp.dense_h_to_4h.weight",
        "mlp.dense_h_to_4h.bias",
    )
    _split_columns = ("attention.dense.weight", "mlp.dense_4h_to_h.weight")

    def state(self, model: CodeGeeX) -> State:
        """Tables first, as in the released file."""
        tables = {
            "word_embeddings": "embedding.word_embeddings",
            "position_embeddings": "embedding.position_embeddings",
            "query_embeddings": "topQueryEmbedding.top_query_embeddings",
        }
        state = model.state_dict()
        renamed = {f"{new}.weight": state.pop(f"{old}.weight") for old, new in tables.items()}
        renamed |= {
            f"transformer.{name.replace('top_query_layer', 'topQueryLayer')}": state[name] for name in list(state)
        }
        return {f"language_model.{name}": tensor.detach() for name, tensor in renamed.items()}

    def nest(self, state: State) -> dict[str, Any]:
        """Nested dicts, but flat dotted names below `transformer`."""
        content: dict[str, Any] = {}
        for name, tensor in state.items():
            *folders, last = name.split(".", 2 if ".transformer." in name else -1)
            place = content
            for folder in folders:
                place = place.setdefault(folder, {})
            place[last] = tensor
        return content

    def fuse(self, state: State) -> State:
        """Query, key and value as one tensor; in the top query layer, key and value."""
        import torch

        fused = {name: tensor for name, tensor in state.items() if name.split(".")[-2] not in ("query", "key", "value")}
        for name in state:
            if ".attention.query." in name:
                pieces = [state[name.replace("query.", f"{piece}.")] for piece in ("query", "key", "value")]
                if "topQueryLayer" in name:
                    fused[name] = pieces.pop(0)
                    fused[name.replace("query.", "key_value.")] = torch.cat(pieces)
                else:
                    fused[name.replace("query.", "query_key_value.")] = torch.cat(pieces)
        return fused

    def split(self, state: State, parts: int) -> list[State]:
        def piece(name: str, tensor: Tensor, rank: int) -> Tensor:
            if name.endswith(self._split_rows):
                return tensor.chunk(parts, 0)[rank].clone()
            if name.endswith(self._split_columns):
                return tensor.chunk(parts, 1)[rank].clone()
            return tensor

        return [{name: piece(name, tensor, rank) for name, tensor in state.items()} for rank in range(parts)]

    def save(self, path: Path, state: State) -> Path:
        """The released form: nested, under "module"."""
        import torch

        torch.save({"module": self.nest(state)}, path)
        return path

    def save_parts(self, directory: Path, states: list[State]) -> Path:
        directory.mkdir()
        for rank, state in enumerate(states):
            self.save(directory / f"mp_rank_{rank:02d}_model_states.pt", state)
        return directory


@pytest.fixture(scope="session")
def official() -> OfficialFormat:
    return OfficialFormat()


@pytest.fixture(scope="session")
def state(official: OfficialFormat, model: CodeGeeX) -> State:
    return official.state(model)


@pytest.fixture
def released(official: OfficialFormat, state: State, tmp_path: Path) -> Path:
    """The model as the released kind of file."""
    return official.save(tmp_path / "released.pt", state)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Asserts that a source cannot be opened or converted and that nothing is left; returns the error's message."""

    def check(open_source: Callable[[], TensorSource], *words: str) -> str:
        output = tmp_path / "refused" / "model"
        with pytest.raises(CodeGeeXError) as caught:
            write_model(output, open_source())
        message = str(caught.value)
        assert all(word in message for word in words), message
        assert not output.exists()
        assert not [*tmp_path.rglob("*.partial")]
        return message

    return check


@pytest.fixture
def same_tensors() -> Callable[[TensorSource, CodeGeeX], None]:
    """Asserts that a source holds exactly a module's tensors."""

    def check(source: TensorSource, model: CodeGeeX) -> None:
        expected = model.state_dict()
        assert set(source.specs) == set(expected)
        for name, tensor in expected.items():
            values = source.read(name)
            assert values.shape == source.specs[name].shape
            np.testing.assert_array_equal(as_float32(values, source.specs[name].dtype), tensor.numpy(), name)

    return check
