"""The torch backend's own: its places, packed steps, int8 weights, and what a captured graph needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from codegeex.checkpoint import NativeSource  # noqa: E402
from codegeex.checkpoint.native import write_model  # noqa: E402
from codegeex.checkpoint.quantize import Int8Source, dequantize, quantize  # noqa: E402
from codegeex.config import ModelConfig, Quantization  # noqa: E402
from codegeex.engine.numpy_backend import NumpyBackend  # noqa: E402
from codegeex.engine.torch_backend import TorchBackend  # noqa: E402
from codegeex.engine.torch_cache import SHORTEST_TABLE, Entry, Group, Places, Pool, Shape, pack  # noqa: E402
from codegeex.model import CodeGeeX  # noqa: E402
from codegeex.model import int8 as int8_module  # noqa: E402
from codegeex.model.int8 import Int8Linear, int8_linear, join_projections  # noqa: E402
from codegeex.model.loader import ModuleSource, from_source  # noqa: E402

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def int8_directory(tiny_directory: Path, tmp_path: Path) -> Path:
    write_model(tmp_path / "int8", Int8Source(NativeSource(tiny_directory)))
    return tmp_path / "int8"


def random_ids(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng([count, seed]).integers(0, 400, count).tolist()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40))
def test_places_are_never_lost_nor_given_twice(actions: list[tuple[int, int]]) -> None:
    places, rows = Places(12), []
    for action, number in actions:
        if action == 0 and number > places.free:
            with pytest.raises(MemoryError, match=f"room for {places.free}"):
                places.take(number)
        elif action == 0:
            rows.append(places.take(number))
        elif action == 1 and rows:
            rows.append(rows[number % len(rows)].copy())
            places.share(rows[-1])
        elif action == 2 and rows:
            row = rows.pop(number % len(rows))
            places.release(row[len(row) // 2 :])
            rows.append(row[: len(row) // 2])
        elif rows:
            places.release(rows.pop())
        used = {place for row in rows for place in row.tolist()}
        assert len(used) == 12 - places.free
        assert used <= set(range(1, 13))


def test_single_tokens_are_filled_up_to_a_bucket() -> None:
    entries = [Entry([7], np.array([4, 2, 9], np.int32), 1) for _ in range(5)]
    shape, numbers = pack(entries, 1000)
    assert shape == Shape((Group(8, 1, SHORTEST_TABLE),), 8)
    assert numbers[:24].tolist() == [*[7] * 5, 0, 0, 0, *[2] * 5, 0, 0, 0, *[9] * 5, 0, 0, 0]
    assert numbers[24:28].tolist() == [4, 2, 9, 0]
    long = Entry([7], np.arange(1, 400, dtype=np.int32), 1)
    assert pack([*entries, long], 1000)[0].groups == (Group(8, 1, 4 * SHORTEST_TABLE),)
    assert pack([*entries, long], 450)[0].groups == (Group(8, 1, 450),)


def test_equal_lengths_are_attended_together() -> None:
    places = [np.arange(1, 1 + length, dtype=np.int32) for length in (3, 3, 9, 3, 1)]
    entries = [Entry([1] * new, row, 1) for new, row in zip((3, 2, 2, 3, 1), places, strict=True)]
    assert pack(entries, 96)[0] == Shape((Group(2, 3, 0), Group(2, 2, 9), Group(1, 1, 1)), 5)


def test_forks_share_their_places(torch_backend: TorchBackend) -> None:
    room = torch_backend._places.free
    first, _ = torch_backend.prefill(random_ids(40))
    forks = [torch_backend.fork(first) for _ in range(20)]
    assert torch_backend._places.free == room - 40
    torch_backend.decode(forks, [1] * 20)
    assert torch_backend._places.free == room - 60
    for handle in [first, *forks]:
        torch_backend.free(handle)
    assert torch_backend._places.free == room


def test_hostile_steps_raise(torch_backend: TorchBackend) -> None:
    first, _ = torch_backend.prefill([1, 2, 3])
    room = torch_backend._places.free
    for arguments in (
        ([99], [[5]], [1]),  # no such sequence
        ([first], [[406]], [1]),  # ids out of range
        ([first], [[-1]], [1]),
        ([first, first], [[5], [5]], [1, 0]),  # twice
        ([first], [[]], [0]),
        ([first], [[5]], [2]),
        ([first], [[5]], [-1]),
        ([first], [[5], [5]], [1]),
        ([first], [[5] * 94], [1]),
    ):
        with pytest.raises(ValueError, match=r".+"):
            torch_backend.step(*arguments)
    for call in (torch_backend.free, torch_backend.fork, lambda handle: torch_backend.truncate(handle, 0)):
        with pytest.raises(ValueError, match="no open sequence 99"):
            call(99)
    for length in (4, -1):
        with pytest.raises(ValueError, match="cannot be cut"):
            torch_backend.truncate(first, length)
    assert torch_backend._places.free == room
    assert torch_backend.step([], [], []).shape == (0, torch_backend.config.vocab_size)


def test_a_step_that_fails_half_way_changes_nothing(torch_backend: TorchBackend, monkeypatch: Any) -> None:
    first, _ = torch_backend.prefill([1, 2, 3])
    room = torch_backend._places.free

    def fail(*arguments: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    with monkeypatch.context() as patch:
        patch.setattr(torch_backend, "_compute", fail)
        with pytest.raises(MemoryError, match="does not fit in the device's memory"):
            torch_backend.step([first], [[4, 5]], [1])
    assert torch_backend._places.free == room
    assert torch_backend.truncate(first, 3) is None
    expected = torch_backend.prefill([1, 2, 3, 4])[1]
    np.testing.assert_allclose(torch_backend.decode([first], [4])[0], expected, atol=1e-4)


@pytest.mark.parametrize("quantization", [None, Quantization()], ids=["float", "int8"])
@pytest.mark.parametrize("new", [(1, 1, 1), (5, 1, 2)], ids=["decode", "mixed"])
def test_a_step_never_waits_for_the_device(quantization: Quantization | None, new: tuple[int, ...]) -> None:
    """Tensors without data cannot be looked at: whoever tries raises, as would recording a graph."""
    with torch.device("meta"):
        model = CodeGeeX(ModelConfig(32, 2, 2, 50, 96, quantization=quantization)).eval()
    backend = object.__new__(TorchBackend)
    backend.model = model
    backend._pool = Pool(3, 100, 2, 16, torch.float32, torch.device("meta"))
    entries = [Entry([3] * count, np.arange(1, 11, dtype=np.int32), 1) for count in new]
    shape, numbers = pack(entries, 96)
    with torch.inference_mode():
        logits = backend._compute(shape, torch.from_numpy(numbers).to("meta"))
    assert logits.shape == (shape.wanted, 50)


def test_attention_never_reads_what_was_not_stored(tiny_directory: Path) -> None:
    """The pool is not initialised; NaN anywhere in it would spread through a product with 0."""
    backend = TorchBackend.load(tiny_directory, device="cpu")
    backend._pool.keys[:, 1:] = torch.nan
    backend._pool.values[:, 1:] = torch.nan
    handles = [backend.open() for _ in range(3)]
    assert np.isfinite(backend.step(handles, [random_ids(9), random_ids(4), [1]], [9, 4, 1])).all()
    assert np.isfinite(backend.step(handles, [[1, 2], [3], [4, 5]], [2, 1, 2])).all()
    assert np.isfinite(backend.decode(handles, [1, 2, 3])).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_int8_linear(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_module, "OUTPUTS_AT_ONCE", 30)
    random = np.random.default_rng(0)
    weight, scale = quantize(random.standard_normal((70, 48)).astype(np.float32) * 1e-4)  # scales below half's digits
    bias = torch.from_numpy(random.standard_normal(70)).to(dtype) * 1e-3
    x = torch.from_numpy(random.standard_normal((5, 48))).to(dtype)
    expected = x.double() @ torch.from_numpy(dequantize(weight, scale)).double().T
    tolerance = {torch.float32: 1e-6, torch.float16: 3e-3, torch.bfloat16: 2e-2}[dtype]
    tensors = torch.from_numpy(weight), torch.from_numpy(scale)
    for offset in (None, bias):
        whole = expected if offset is None else expected + offset.double()
        y = int8_linear(x, *tensors, offset)
        assert y.dtype == dtype
        assert (y.double() - whole).norm() / whole.norm() < tolerance
        y = int8_linear(x, *tensors, offset, gelu=True)
        whole = whole * torch.sigmoid(1.702 * whole)
        assert (y.double() - whole).norm() / whole.norm() < tolerance


def test_joined_projections_share_their_memory(int8_directory: Path) -> None:
    backend = TorchBackend.load(int8_directory, device="cpu")
    attention = backend.model.layers[0].attention
    assert isinstance(attention.query, Int8Linear)
    assert attention.query.weight.dtype == torch.int8
    start, size = attention.joint.weight.data_ptr(), attention.query.weight.numel()
    parts = (attention.query, attention.key, attention.value)
    assert [part.weight.data_ptr() - start for part in parts] == [0, size, 2 * size]
    assert set(backend.model.state_dict()) == set(NativeSource(int8_directory).specs)


def test_int8_weights_are_never_made_float(int8_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codegeex.model import loader

    monkeypatch.setattr(loader, "dequantize", None)
    backend = TorchBackend.load(int8_directory, device="cpu", dtype=torch.bfloat16)
    ids = random_ids(30)
    exact = NumpyBackend(NativeSource(int8_directory)).prefill(ids)[1]
    assert np.linalg.norm(backend.prefill(ids)[1] - exact) / np.linalg.norm(exact) < 0.05


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("rows", [1, 2, 16, 33, 64])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_int8_kernels(rows: int, dtype: Any) -> None:
    kernels = pytest.importorskip("codegeex.model.int8_triton")
    torch.manual_seed(0)
    for inputs, outputs in ((64, 72), (1100, 20), (5120, 640)):
        x = torch.randn(rows, inputs, dtype=dtype, device="cuda")
        weight = torch.randint(-127, 128, (outputs, inputs), dtype=torch.int8, device="cuda")
        scale, bias = torch.rand(outputs, device="cuda") / 1000, torch.randn(outputs, dtype=dtype, device="cuda")
        for offset in (None, bias):
            expected = x.double() @ (weight.double() * scale.double()[:, None]).T + (0 if offset is None else offset)
            for gelu in (False, True):
                wanted = expected * torch.sigmoid(1.702 * expected) if gelu else expected
                y = kernels.int8_linear(x, weight, scale, offset, gelu).double()
                assert (y - wanted).norm() / wanted.norm() < {4: 1e-5, 2: 5e-3}[x.element_size()]


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("head_size", [24, 64, 128])
def test_attention_kernel(head_size: int) -> None:
    kernels = pytest.importorskip("codegeex.engine.torch_attention")
    torch.manual_seed(0)
    keys, values = torch.randn(2, 1000, 3, head_size, device="cuda")
    new = torch.randn(4, 9, head_size, device="cuda")  # query, key and value side by side, as a joint map leaves them
    query, key, value = new.chunk(3, dim=1)
    for attended in (128, 256, 900):
        positions = torch.tensor([[0], [attended - 1], [100], [attended // 2]], device="cuda")
        table = torch.randint(5, 1000, (4, attended), device="cuda")
        places = torch.arange(1, 5, device="cuda")
        table.scatter_(1, positions, places[:, None])
        context = kernels.attend(query, key, value, keys, values, places, table, positions)
        torch.testing.assert_close(keys[places], key)
        torch.testing.assert_close(values[places], value)
        for row in range(4):
            stored = table[row, : positions[row, 0] + 1]
            scores = torch.einsum("nd,snd->ns", query[row], keys[stored]) / head_size**0.5
            expected = torch.einsum("ns,snd->nd", scores.softmax(-1), values[stored])
            torch.testing.assert_close(context[row], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("int8", [False, True], ids=["float", "int8"])
def test_cuda_equals_numpy(int8: bool) -> None:
    """In float32, over enough steps for graphs to be recorded, replayed and left for a larger bucket."""
    source: Any = ModuleSource(CodeGeeX(ModelConfig(64, 2, 2, 406, 300)).initialize(0.2))
    source = Int8Source(source) if int8 else source
    expected, backend = NumpyBackend(source), TorchBackend(from_source(source, torch.float32, "cuda", keep_int8=True))
    handles = [[one.prefill(random_ids(length))[0] for length in (100, 3, 50)] for one in (expected, backend)]
    for step in range(40):
        ids = random_ids(3, step)
        a, b = (one.decode(row, ids).copy() for one, row in zip((expected, backend), handles, strict=True))
        np.testing.assert_allclose(b, a, atol=2e-3)
        if step == 10:  # forks and cuts between replays
            for one, row in zip((expected, backend), handles, strict=True):
                row[1:2] = [one.fork(row[0])]
                one.truncate(row[0], 60)
    drafts = [[1, 2, 3], [4], [5, 6]]
    a, b = (one.step(row, drafts, [3, 1, 0]) for one, row in zip((expected, backend), handles, strict=True))
    np.testing.assert_allclose(b, a, atol=2e-3)
    assert len(backend._graphs._recorded) == 2


def test_join_leaves_float_projections_alone(tiny_config: ModelConfig) -> None:
    model = CodeGeeX(tiny_config)
    join_projections(model)
    assert all(layer.attention.joint is None for layer in model.layers)
