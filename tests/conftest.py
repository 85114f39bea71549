"""What tests share: a tokenizer trained in a blink, and a tiny model with random weights in every form it comes in."""

from __future__ import annotations

import os

# Models here are so small that a second thread only waits, and on a busy machine it waits long. Before numpy and torch.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from codegeex.config import ModelConfig
from codegeex.tokenizer import Tokenizer, train
from codegeex.tokenizer.train import MIN_SIZE

if TYPE_CHECKING:
    from codegeex.engine.native_backend import NativeBackend
    from codegeex.engine.numpy_backend import NumpyBackend
    from codegeex.engine.torch_backend import TorchBackend
    from codegeex.model import CodeGeeX
    from codegeex.sandbox import Sandbox

# The same examples every time, and no deadline: the machine may be busy.
settings.register_profile("codegeex", deadline=None, derandomize=True)
settings.load_profile("codegeex")

CORPUS = (
    'def add(first, second):\n    """Add two numbers."""\n    return first + second\n\n\n',
    "for (int i = 0; i < n; i++) {\n    total += values[i];\n}\nreturn total;\n",
    "func Count(words []string) map[string]int {\n\tcounts := make(map[string]int)\n\treturn counts\n}\n",
    "public static int largest(int[] numbers) {\n    int best = numbers[0];\n    return best;\n}\n",
    "const double = (x) => { return `${x * 2}`; };\nconsole.log(double(21));\n",
    'fn main() {\n    let word = String::from("héllo");\n    println!("{}", word.len());\n}\n',
    "code translation\nPython:\n# language: Python\nJava:\n// language: Java\nC++:\n// language: C++\n",
)


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    """No merges: every byte but runs of spaces is a token of its own."""
    return train([], MIN_SIZE)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    """400 ids."""
    return train(CORPUS * 2, 400)


@pytest.fixture(scope="session")
def tiny_config(tiny_tokenizer: Tokenizer) -> ModelConfig:
    """Two layers; the vocabulary has a few padding rows, as the released one has."""
    return ModelConfig(
        hidden_size=32,
        num_layers=2,
        num_attention_heads=2,
        vocab_size=len(tiny_tokenizer) + 6,
        max_position_embeddings=96,
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_config: ModelConfig) -> CodeGeeX:
    """Random weights, biases and layer norms, large enough for every part to be felt in the logits."""
    torch = pytest.importorskip("torch")
    from codegeex.model import CodeGeeX

    torch.set_num_threads(1)  # so small a model gains nothing from threads, and loses much on a busy machine
    model = CodeGeeX(tiny_config)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator) * 0.3
        parameter.data = noise + 1 if name.endswith("layernorm.weight") else noise
    return model.eval()


@pytest.fixture(scope="session")
def tiny_directory(tiny_model: CodeGeeX, tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a model directory."""
    from codegeex.checkpoint.native import write_model
    from codegeex.model.loader import ModuleSource

    directory = tmp_path_factory.mktemp("models") / "tiny"
    write_model(directory, ModuleSource(tiny_model), tiny_tokenizer, extras={"README.md": "# tiny\n"})
    return directory


@pytest.fixture
def numpy_backend(tiny_directory: Path) -> NumpyBackend:
    from codegeex.checkpoint import NativeSource
    from codegeex.engine.numpy_backend import NumpyBackend

    return NumpyBackend(NativeSource(tiny_directory))


@pytest.fixture
def native_backend(tiny_directory: Path) -> NativeBackend:
    from codegeex.checkpoint import NativeSource
    from codegeex.engine.native_backend import NativeBackend

    return NativeBackend(NativeSource(tiny_directory), threads=2)


@pytest.fixture
def torch_backend(tiny_model: CodeGeeX) -> TorchBackend:
    from codegeex.engine.torch_backend import TorchBackend

    return TorchBackend(tiny_model)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One with the tools of all languages that exercises have."""
    from codegeex.exercises.programs import LANGUAGES
    from codegeex.sandbox import Sandbox, toolchains

    if missing := [name for name in LANGUAGES if toolchains.missing(name)]:
        pytest.skip(f"no tools for {', '.join(missing)}")
    with Sandbox(workers=2) as sandbox:
        yield sandbox
