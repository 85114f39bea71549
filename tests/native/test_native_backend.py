"""The C++ engine against the plain float32 computation of the same dequantised weights, on every instruction set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex import _native, tokenizer
from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.checkpoint import NativeSource
from codegeex.checkpoint.quantize import Int8Source
from codegeex.config import ModelConfig
from codegeex.engine.native_backend import NativeBackend
from codegeex.engine.numpy_backend import NumpyBackend
from codegeex.engine.sampling import NumpyDistribution, SamplingParams, log_softmax, probabilities
from codegeex.errors import CodeGeeXError

KERNELS = _native.available_kernels()


class RandomSource:
    """A model of any shape, with weights, biases and layer norms that all matter."""

    def __init__(self, config: ModelConfig):
        from codegeex.checkpoint.source import TensorSpec, tensor_shapes

        self.config = config
        random = np.random.default_rng(3)
        self._tensors = {
            name: (random.standard_normal(shape) * (1.5 / np.sqrt(shape[-1]))).astype(np.float32)
            + np.float32(name.endswith("layernorm.weight"))
            for name, shape in tensor_shapes(config).items()
        }
        self.specs = {name: TensorSpec("F32", tensor.shape) for name, tensor in self._tensors.items()}

    def read(self, name: str) -> Any:
        return self._tensors[name]


def ids_of(count: int, vocabulary: int, seed: int = 0) -> list[int]:
    return np.random.default_rng([seed, count]).integers(0, vocabulary, count).tolist()


def all_logits(backend: Any, ids: list[int]) -> Any:
    """[T, V], in float32, one token at a time."""
    handle, logits = backend.prefill(ids[:1])
    rows = [logits.copy()]
    for token in ids[1:]:
        rows.append(backend.decode([handle], [token])[0].copy())
    backend.free(handle)
    return np.stack(rows)


def test_the_portable_kernels_are_always_there() -> None:
    assert KERNELS[-1] == "portable"


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(32, 2, 2, 406, 96),
        ModelConfig(144, 1, 3, 37, 40),  # heads of 48, a vocabulary smaller than two strips
        ModelConfig(20, 1, 2, 50, 33, ffn_hidden_size=52),  # nothing is a multiple of 16
        ModelConfig(1088, 0, 17, 64, 20),  # inputs beyond one block of exact 32-bit sums; the top query layer alone
    ],
    ids=["even", "wide heads", "odd", "no ordinary layer"],
)
def test_every_kernel_gives_the_float_logits(kernels: str, config: ModelConfig) -> None:
    source = Int8Source(RandomSource(config))
    expected = all_logits(NumpyBackend(source), ids := ids_of(20, config.vocab_size))
    backend = NativeBackend(source, threads=2, kernels=kernels)
    sequence = backend.model.open()
    together = backend.step([sequence], [ids], [len(ids)])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(together / scale, expected / scale, atol=0.02)  # the head's int8, beyond the top 32
    best = np.argsort(-expected, axis=-1)[:, :5]
    np.testing.assert_allclose(
        np.take_along_axis(together, best, -1) / scale, np.take_along_axis(expected, best, -1) / scale, atol=2e-3
    )


@pytest.mark.parametrize("kernels", KERNELS)
def test_real_code_on_the_embedded_model(kernels: str) -> None:
    """Likeliest token, KL divergence and perplexity against float32 with the same dequantised weights."""
    source, vocabulary = NativeSource(EMBEDDED_MODEL), tokenizer.load(EMBEDDED_MODEL)
    exact, backend = NumpyBackend(source), NativeBackend(source, threads=2, kernels=kernels)
    room = Path(__file__).parents[2] / "src" / "codegeex"
    agreed, divergence, loss, exact_loss = [], [], [], []
    for name in ("shards.py", "native/cache.cpp", "files.py", "engine/stops.py"):
        ids = vocabulary.encode((room / name).read_text())[:120]
        p = log_softmax(all_logits(exact, ids))
        sequence = backend.model.open()
        q = log_softmax(backend.step([sequence], [ids], [len(ids)]))
        backend.free(sequence)
        agreed += (p.argmax(-1) == q.argmax(-1)).tolist()
        divergence += (np.exp(p) * (p - q)).sum(-1).tolist()
        places = np.arange(len(ids) - 1)
        loss += (-q[places, ids[1:]]).tolist()
        exact_loss += (-p[places, ids[1:]]).tolist()
    assert np.mean(agreed) >= 0.995
    assert np.mean(divergence) <= 1e-3
    assert abs(np.exp(np.mean(loss) - np.mean(exact_loss)) - 1) <= 0.005


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("threads", [1, 3])
def test_company_changes_no_bit(kernels: str, threads: int) -> None:
    """Prompts of all lengths in one step, in parts, and one token at a time give the same logits, bit by bit."""
    config = ModelConfig(64, 2, 2, 100, 600)
    backend = NativeBackend(Int8Source(RandomSource(config)), threads=threads, kernels=kernels)
    lengths = [1, 5, 16, 17, 130, 300]
    prompts = [ids_of(length, config.vocab_size) for length in lengths]
    alone = [backend.prefill(prompt)[1] for prompt in prompts]
    handles = [backend.model.open() for _ in prompts]
    np.testing.assert_array_equal(backend.step(handles, prompts, [1] * len(prompts)), alone)  # several passes
    for prompt, expected in zip(prompts, alone, strict=True):
        handle = backend.model.open()
        for cut in range(0, len(prompt), 7):
            part = backend.step([handle], [prompt[cut : cut + 7]], [1])
        np.testing.assert_array_equal(part[0], expected)
    np.testing.assert_array_equal(all_logits(backend, prompts[4])[-1], alone[4])


def test_cutting_a_sequence_back(native_backend: NativeBackend) -> None:
    """Also where a fork shares the page that is then written."""
    ids = ids_of(40, 400)
    first, _ = native_backend.prefill(ids)
    second = native_backend.fork(first)
    native_backend.truncate(first, 20)
    longer = native_backend.step([first], [[7, 8]], [2]).copy()
    np.testing.assert_array_equal(longer[1], native_backend.prefill([*ids[:20], 7, 8])[1])
    np.testing.assert_array_equal(native_backend.decode([second], [3])[0], native_backend.prefill([*ids, 3])[1])


def test_shared_pages_are_counted_once(tiny_directory: Path) -> None:
    backend = NativeBackend(NativeSource(tiny_directory), threads=1, cache_bytes=0)  # six pages: one full context
    assert backend.model.free_pages == 6
    first, _ = backend.prefill(ids_of(40, 400))
    forks = [backend.fork(first) for _ in range(50)]
    assert backend.model.free_pages == 3
    backend.decode(forks[:2], [1, 2])  # each writes the last page, so each gets its own
    assert backend.model.free_pages == 1
    with pytest.raises(MemoryError):
        backend.decode(forks[2:4], [1, 2])
    assert backend.model.length(forks[2]) == 40  # nothing has changed
    for handle in [first, *forks]:
        backend.free(handle)
    assert backend.model.free_pages == 6


def test_hostile_steps_raise(native_backend: NativeBackend) -> None:
    first, _ = native_backend.prefill([1, 2, 3])
    good = np.empty((1, native_backend.config.vocab_size), np.float32)
    step = native_backend.model.step
    for arguments in (
        ([99], [1], [1], [5], good),  # no such sequence
        ([-1], [1], [1], [5], good),
        ([first], [1], [1], [406], good),  # ids out of range
        ([first], [1], [1], [-1], good),
        ([first, first], [1, 1], [1, 0], [5, 5], good),  # twice
        ([first], [0], [1], [], good),
        ([first], [1], [2], [5], np.empty((2, good.shape[1]), np.float32)),
        ([first], [2], [1], [5], good),  # counts that do not add up
        ([first], [1, 1], [1], [5], good),
        ([first], [-1], [1], [5], good),
        ([first], [97], [1], [5] * 97, good),  # more than there are positions
        ([first], [1], [1], [5], np.empty((1, 5), np.float32)),
    ):
        with pytest.raises(ValueError, match=r".+"):
            step(*arguments)
    for logits in (good.astype(np.float64), good[:, ::2], good[0], None, good.tolist()):
        with pytest.raises(TypeError):
            step([first], [1], [1], [5], logits)
    for ids in ([2**40], ["a"], [1.5], None):
        with pytest.raises(TypeError):
            step([first], [1], [1], ids, good)
    for call in (native_backend.free, native_backend.fork, lambda handle: native_backend.truncate(handle, 0)):
        with pytest.raises(ValueError, match="no open sequence 1234"):
            call(1234)
    with pytest.raises(ValueError, match="cannot be cut to 4"):
        native_backend.truncate(first, 4)
    np.testing.assert_array_equal(native_backend.decode([first], [4])[0], native_backend.prefill([1, 2, 3, 4])[1])


def test_hostile_loading_raises() -> None:
    sizes = {"hidden": 32, "layers": 1, "heads": 2, "vocabulary": 50, "positions": 20, "ffn": 64, "epsilon": 1e-5}
    rest = {"threads": 1, "cache_pages": 4}
    for wrong in ({"hidden": 0}, {"heads": 5}, {"layers": -1}, {"threads": 0}, {"cache_pages": 0}, {"kernels": "mmx"}):
        with pytest.raises(ValueError, match=r".+"):
            _native.Model(**{**sizes, **rest, **wrong})
    model = _native.Model(**sizes, **rest)
    weights, row = np.zeros((32, 32), np.int8), np.zeros(32, np.float32)
    for arguments in (
        (2, "query", weights, row, row),
        (0, "gate", weights, row, row),
        (0, "up", weights, row, row),
        (0, "query", weights, row[:5], row),
        (0, "query", weights, row, row[:5]),
    ):
        with pytest.raises(ValueError, match=r".+"):
            model.set_linear(*arguments)
    with pytest.raises(TypeError):
        model.set_linear(0, "query", weights.astype(np.float32), row, row)
    with pytest.raises(ValueError, match="not every tensor"):
        model.check_complete()
    table = np.zeros((50, 32), np.float32)
    with pytest.raises(ValueError, match="wrong shape"):
        model.set_tables(table, table, table)
    with pytest.raises(ValueError, match="float32, float16"):
        model.set_tables(table.astype(np.float64), table, table)
    for other in (np.asfortranarray(table), table[:, ::2], table[0]):
        with pytest.raises(ValueError, match="rows follow each other"):
            model.set_tables(other, table[:20], table[:20])
    table[3, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        model.set_tables(table, table[:20], table[:20])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize(
    "name",
    [
        "word_embeddings.weight",
        "position_embeddings.weight",
        "query_embeddings.weight",
        "final_layernorm.weight",
        "layers.0.input_layernorm.bias",
        "layers.0.mlp.dense_4h_to_h.bias",
        "top_query_layer.attention.query.weight",
    ],
)
def test_weights_that_are_not_finite_are_a_clear_error(name: str, value: float) -> None:
    source = RandomSource(ModelConfig(32, 1, 2, 50, 20))
    source._tensors[name].flat[-1] = value
    with pytest.raises(CodeGeeXError, match="finite"):
        NativeBackend(source)


SCARCE = """
import resource, sys
import numpy as np
from codegeex.checkpoint.random_source import RandomSource
from codegeex.config import ModelConfig
from codegeex.engine.native_backend import NativeBackend

def scarce(backend, *work):
    size = 4096 * int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 19), resource.RLIM_INFINITY))
    try:
        backend.step(*work)
    except MemoryError:
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return False

def load():
    return NativeBackend(RandomSource(ModelConfig(1024, 1, 8, 100, 1024)), threads=1, cache_bytes=1 << 30)

ids = np.random.default_rng(0).integers(0, 100, 800).tolist()
plain = load()
handle, expected = plain.prefill(ids)
backend = load()
first, second = backend.open(), backend.open()
backend.step([first], [ids[:2]], [0])
assert scarce(backend, [first, second], [ids[2:300], ids[:300]], [0, 0]), "buffers"
assert [backend.model.length(one) for one in (first, second)] == [2, 0]
backend.step([first], [ids[2:300]], [0])
pages = backend.model.free_pages
assert scarce(backend, [first, second], [ids[300:310], ids[:700]], [0, 0]), "pages"
assert [backend.model.length(one) for one in (first, second)] == [300, 0]
assert backend.model.free_pages == pages
np.testing.assert_array_equal(backend.step([first], [ids[300:]], [1])[0], expected)
"""


def test_without_memory_nothing_has_changed() -> None:
    """The system refuses buffers, then pages; later the same sequence goes on, to the last bit."""
    subprocess.run([sys.executable, "-c", SCARCE], check=True)


def test_threads_that_the_system_refuses_are_an_error() -> None:
    code = (
        "import resource, codegeex._native as native\n"
        "size = 4096 * int(open('/proc/self/statm').read().split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (40 << 20), size + (40 << 20)))\n"
        "try:\n"
        "    native.Model(hidden=8, layers=0, heads=1, vocabulary=9, positions=9, ffn=8, epsilon=1e-5, threads=64,\n"
        "                 cache_pages=1)\n"
        "except RuntimeError as error:\n"
        "    print('refused:', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("refused: "), done.stderr


def test_a_forked_process_says_so(native_backend: NativeBackend) -> None:
    """Threads do not survive a fork; waiting for them would last for ever."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            native_backend.prefill([1, 2])
        except RuntimeError as error:
            status = 0 if "forked" in str(error) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@given(
    st.integers(1, 3000),
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.01, 0.7, 1.0, 5.0]),
    st.sampled_from([0, 1, 2, 50, 5000]),
    st.sampled_from([0.01, 0.5, 0.95, 1.0]),
)
def test_choosing_follows_the_reference(count: int, seed: int, temperature: float, top_k: int, top_p: float) -> None:
    random = np.random.default_rng(seed)
    logits = (random.standard_normal(count) * 3).astype(np.float32)
    logits[random.random(count) < 0.1] = -np.inf
    logits[random.integers(count)] = 2.5
    expected = probabilities(logits, SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p))
    cumulative = np.cumsum(expected)
    for uniform in (0.0, *random.random(5), 1 - 2**-53):
        token, logprob = _native.Distribution(logits, temperature, top_k, top_p).draw(uniform)
        # Sums differ in their last digits: the token is one whose interval begins or ends within 1e-5 of the point.
        below = cumulative[token] - expected[token]
        assert expected[token] > 0 or np.isclose(logits[token], logits[expected > 0].min(), atol=1e-5)
        assert below - 1e-5 <= uniform <= cumulative[token] + 1e-5
        assert logprob == pytest.approx(log_softmax(logits)[token], abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("arguments", [(0.0, 0, 1.0), (1.0, 0, 1.0), (0.8, 40, 1.0), (0.2, 0, 0.95)])
def test_what_is_not_finite_gives_no_choice(value: float, arguments: tuple[float, int, float]) -> None:
    for place in (0, 7, 999):
        logits = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
        logits[place] = value
        for kind in (_native.Distribution, NumpyDistribution):
            with pytest.raises(ValueError, match="not finite"):
                kind(logits, *arguments)
    for kind in (_native.Distribution, NumpyDistribution):
        with pytest.raises(ValueError, match="not finite"):
            kind(np.full(1000, -np.inf, np.float32), *arguments)


def test_impossible_choices_raise() -> None:
    logits = np.zeros(5, np.float32)
    for arguments in ((-1.0, 0, 1.0), (1.0, -1, 1.0), (1.0, 0, 0.0)):
        with pytest.raises(ValueError, match="impossible"):
            _native.Distribution(logits, *arguments)
    with pytest.raises(ValueError, match="impossible"):
        _native.Distribution(logits, 1.0, 0, 1.0).draw(1.0)
    with pytest.raises(ValueError, match="no logits"):
        _native.Distribution(logits[:0], 1.0, 0, 1.0)
