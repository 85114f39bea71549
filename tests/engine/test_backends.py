"""Backends against each other, and each against itself: batching, forking and freeing change nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegeex.checkpoint import NativeSource
from codegeex.checkpoint.native import write_model
from codegeex.checkpoint.quantize import Int8Source
from codegeex.config import ModelConfig
from codegeex.engine import Backend, make_backend
from codegeex.engine.numpy_backend import FIRST_CAPACITY, NumpyBackend
from codegeex.errors import CodeGeeXError

NAMES = ("native", "numpy", "torch")
LENGTHS = (1, 7, 3, 20)


@pytest.fixture
def backend(name: str, request: pytest.FixtureRequest) -> Backend:
    return request.getfixturevalue(f"{name}_backend")


def random_ids(count: int, seed: int = 0) -> list[int]:
    return np.random.default_rng([count, seed]).integers(0, 400, count).tolist()


def assert_close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_backends_agree(numpy_backend: Backend, torch_backend: Backend) -> None:
    """Through prefill, decode of a ragged batch, fork and free."""
    handles: dict[str, list[int]] = {}
    for length in LENGTHS:
        results = [backend.prefill(random_ids(length)) for backend in (numpy_backend, torch_backend)]
        for backend, (handle, _) in zip((numpy_backend, torch_backend), results, strict=True):
            handles.setdefault(backend.name, []).append(handle)
        assert_close(results[0][1], results[1][1])
        assert results[0][1].dtype == results[1][1].dtype == np.float32

    def both(places: list[int], seed: int) -> None:
        ids = random_ids(len(places), seed)
        one, two = (b.decode([handles[b.name][place] for place in places], ids) for b in (numpy_backend, torch_backend))
        assert one.shape == (len(places), numpy_backend.config.vocab_size)
        assert_close(one, two)

    both([0, 1, 2, 3], 1)
    both([3, 0], 2)
    for backend in (numpy_backend, torch_backend):
        handles[backend.name].append(backend.fork(handles[backend.name][1]))
        backend.free(handles[backend.name][1])
        handles[backend.name][1] = backend.prefill(random_ids(5))[0]
    both([4, 1, 3, 2, 0], 3)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_may_come_one_by_one(backend: Backend) -> None:
    ids = random_ids(30)
    handle, logits = backend.prefill(ids[:1])
    for place in range(1, len(ids)):
        logits = backend.decode([handle], [ids[place]])[0]
        assert_close(logits, backend.prefill(ids[: place + 1])[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_equals_its_members(backend: Backend) -> None:
    handles = [backend.prefill(random_ids(length))[0] for length in LENGTHS]
    twins = [backend.prefill(random_ids(length))[0] for length in LENGTHS]
    for seed in (1, 2, 3):
        ids = random_ids(len(LENGTHS), seed)
        alone = [backend.decode([handle], [token])[0].copy() for handle, token in zip(twins, ids, strict=True)]
        assert_close(backend.decode(handles, ids), np.stack(alone))


@pytest.mark.parametrize("name", NAMES)
def test_a_fork_goes_its_own_way(backend: Backend) -> None:
    ids = random_ids(8)
    first, _ = backend.prefill(ids)
    second, third = backend.fork(first), backend.fork(first)
    assert len({first, second, third}) == 3
    assert_close(backend.decode([second], [5])[0], backend.prefill([*ids, 5])[1])
    assert_close(backend.decode([first], [6])[0], backend.prefill([*ids, 6])[1])
    backend.free(first)
    expected = [backend.prefill([*ids, 7])[1], backend.prefill([*ids, 5, 8])[1]]
    assert_close(backend.decode([third, second], [7, 8]), np.stack(expected))


@pytest.mark.parametrize("name", NAMES)
def test_a_freed_sequence_leaves_nothing_behind(backend: Backend) -> None:
    def story() -> list[Any]:
        handle, first = backend.prefill(random_ids(4))
        second = backend.decode([handle], [3])[0]
        backend.free(handle)
        return [first, second]

    untouched = story()
    backend.free(backend.prefill(random_ids(60))[0])
    assert_close(story(), untouched)


@pytest.mark.parametrize("name", NAMES)
def test_the_context_fills_to_the_last_position(backend: Backend) -> None:
    longest = backend.config.max_position_embeddings
    ids = random_ids(longest)
    short, _ = backend.prefill(ids[:3])
    handle, _ = backend.prefill(ids[:-1])
    filled = backend.decode([handle], ids[-1:])[0]
    whole, logits = backend.prefill(ids)
    assert_close(filled, logits)
    for full in (handle, whole):
        with pytest.raises(ValueError, match=f"{longest + 1} tokens"):
            backend.decode([short, full], [0, 0])
    # The failure cost the other sequence nothing.
    assert_close(backend.decode([short], ids[3:4])[0], backend.prefill(ids[:4])[1])
    with pytest.raises(ValueError, match=f"{longest + 1} tokens"):
        backend.prefill([*ids, 0])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_takes_whatever_comes(backend: Backend) -> None:
    """A whole prompt, the rest of one, single tokens and drafts, with logits for none, one or all of the new tokens."""
    known = [0, 9, 0, 14, 5, 9, 33]
    new = [20, 6, 1, 1, 4, 6, 1]
    wanted = [1, 3, 1, 0, 4, 0, 1]
    texts = [random_ids(old + more, seed) for seed, (old, more) in enumerate(zip(known, new, strict=True))]
    handles = [backend.open() for _ in texts]
    backend.step(
        [handle for handle, old in zip(handles, known, strict=True) if old],
        [text[:old] for text, old in zip(texts, known, strict=True) if old],
        [0] * sum(old > 0 for old in known),
    )
    logits = backend.step(handles, [text[old:] for text, old in zip(texts, known, strict=True)], wanted).copy()
    assert logits.shape == (sum(wanted), backend.config.vocab_size)
    expected = [
        backend.prefill(text[: len(text) - rows + 1 + row])[1]
        for text, rows in zip(texts, wanted, strict=True)
        for row in range(rows)
    ]
    assert_close(logits, np.stack(expected))
    # What was not looked at was stored all the same.
    more = [[7]] * len(handles)
    expected = [backend.prefill([*text, 7])[1] for text in texts]
    assert_close(backend.step(handles, more, [1] * len(handles)), np.stack(expected))


@pytest.mark.parametrize("name", NAMES)
def test_single_tokens_need_not_show_their_logits(backend: Backend) -> None:
    handles = [backend.prefill(random_ids(length))[0] for length in LENGTHS]
    logits = backend.step(handles, [[4]] * len(LENGTHS), [0, 1, 0, 1]).copy()
    expected = [backend.prefill([*random_ids(LENGTHS[index]), 4])[1] for index in (1, 3)]
    assert_close(logits, np.stack(expected))
    assert backend.step(handles[:2], [[5]] * 2, [0, 0]).shape == (0, backend.config.vocab_size)
    assert_close(backend.decode(handles[:1], [6])[0], backend.prefill([*random_ids(1), 4, 5, 6])[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_goes_on_where_it_was_cut(backend: Backend) -> None:
    ids = random_ids(40)
    first, _ = backend.prefill(ids)
    second = backend.fork(first)
    backend.truncate(first, 18)
    drafts = backend.step([first], [[3, 5, 8]], [3]).copy()
    assert_close(drafts, np.stack([backend.prefill([*ids[:18], *[3, 5, 8][:count]])[1] for count in (1, 2, 3)]))
    backend.truncate(first, 19)
    assert_close(backend.decode([first], [6])[0], backend.prefill([*ids[:18], 3, 6])[1])
    assert_close(backend.decode([second], [7])[0], backend.prefill([*ids, 7])[1])
    backend.truncate(second, 0)
    assert_close(backend.step([second], [ids[5:9]], [1])[0], backend.prefill(ids[5:9])[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_full_cache_changes_nothing(name: str, tiny_directory: Path) -> None:
    """With the least memory, which is one full context."""
    backend = small_backend(name, tiny_directory)
    ids = random_ids(60)
    first, _ = backend.prefill(ids[:-1])
    for _ in range(2):
        with pytest.raises(MemoryError):
            backend.prefill(random_ids(60, 1))
    last = backend.decode([first], ids[-1:])[0].copy()
    backend.free(first)
    assert_close(last, backend.prefill(ids)[1])


def small_backend(name: str, directory: Path) -> Backend:
    source = NativeSource(directory)
    if name == "native":
        from codegeex.engine.native_backend import NativeBackend

        return NativeBackend(source, threads=1, cache_bytes=0)
    if name == "numpy":
        return NumpyBackend(source, cache_bytes=0)
    from codegeex.engine.torch_backend import TorchBackend

    return TorchBackend.load(directory, device="cpu", cache_bytes=0)


def test_a_numpy_sequence_outgrows_its_first_room() -> None:
    pytest.importorskip("torch")
    from codegeex.model import CodeGeeX
    from codegeex.model.loader import ModuleSource

    longest = 2 * FIRST_CAPACITY + 20
    backend = NumpyBackend(ModuleSource(CodeGeeX(ModelConfig(16, 1, 2, 50, longest)).initialize(0.3)))
    ids = np.random.default_rng(0).integers(0, 50, longest).tolist()
    handle, logits = backend.prefill(ids[: FIRST_CAPACITY - 2])
    for token in ids[FIRST_CAPACITY - 2 :]:
        logits = backend.decode([handle], [token])[0]
    assert_close(logits, backend.prefill(ids)[1])


def test_int8_weights_give_nearly_the_same_logits(tiny_directory: Path, tmp_path: Path) -> None:
    from codegeex.engine.torch_backend import TorchBackend
    from codegeex.model import load

    source = NativeSource(tiny_directory)
    write_model(tmp_path / "int8", Int8Source(source))
    ids = random_ids(10)
    exact = NumpyBackend(source).prefill(ids)[1]
    coarse = make_backend(tmp_path / "int8", "numpy").prefill(ids)[1]
    error = np.linalg.norm(coarse - exact) / np.linalg.norm(exact)
    assert 0 < error < 0.05
    assert_close(coarse, TorchBackend(load(tmp_path / "int8")).prefill(ids)[1])
    assert_close(coarse, TorchBackend.load(tmp_path / "int8", device="cpu").prefill(ids)[1])  # never made float


def test_make_backend(tiny_directory: Path, tmp_path: Path) -> None:
    assert [make_backend(tiny_directory, name).name for name in NAMES] == list(NAMES)
    assert make_backend(tiny_directory).name == "native"
    with pytest.raises(CodeGeeXError, match="unknown backend 'cuda'; known: auto, native, numpy, torch"):
        make_backend(tiny_directory, "cuda")  # type: ignore[arg-type]
    with pytest.raises(CodeGeeXError, match="no model directory"):
        make_backend(tmp_path / "nowhere")


def test_without_the_extension_there_is_a_clear_message(tiny_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "codegeex.engine.native_backend", raising=False)
    monkeypatch.setitem(sys.modules, "codegeex._native", None)  # what import then raises names this module
    with pytest.warns(UserWarning, match="install a compiler .* and codegeex again"):
        assert make_backend(tiny_directory).name == "numpy"
    with pytest.raises(CodeGeeXError, match=r"without its C\+\+ engine"):
        make_backend(tiny_directory, "native")
