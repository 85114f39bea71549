"""Tensor parallelism over two processes on the CPU: the same logits and the same greedy ids as in one process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import distributed, multiprocessing  # noqa: E402
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402

from codegeex.checkpoint import NativeSource  # noqa: E402
from codegeex.checkpoint.native import write_model  # noqa: E402
from codegeex.checkpoint.quantize import Int8Source  # noqa: E402
from codegeex.config import ModelConfig  # noqa: E402
from codegeex.engine.torch_backend import TorchBackend  # noqa: E402
from codegeex.errors import CodeGeeXError  # noqa: E402
from codegeex.model import CodeGeeX  # noqa: E402
from codegeex.model.parallel import parallelize  # noqa: E402

PROCESSES = 2
KINDS = ("float", "int8")


def story(backend: TorchBackend) -> dict[str, Any]:
    """Logits of a mixed step, of its continuation, and what greedy decoding writes."""
    first, second = backend.open(), backend.open()
    mixed = backend.step([first, second], [[5, 9, 200, 31], [77]], [4, 1]).copy()
    third = backend.fork(first)
    single = backend.decode([third, second, first], [1, 2, 3]).copy()
    handle, logits = backend.prefill([3, 50, 7])
    greedy = []
    for _ in range(20):
        greedy.append(int(logits.argmax()))
        logits = backend.decode([handle], greedy[-1:])[0]
    with pytest.raises(MemoryError):
        backend.prefill([1] * (backend._places.free + 1))
    return {"mixed": mixed, "single": single, "greedy": greedy, "room": backend._places.free}


def gradient(model: CodeGeeX) -> Any:
    """Of the word embeddings, which every process holds: the sums over processes have to be right on the way back."""
    model(torch.tensor([[5, 9, 200, 31, 77]])).logsumexp(-1).mean().backward()
    return model.word_embeddings.weight.grad.numpy()


def run(rank: int, directory: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{directory}/meeting", rank=rank, world_size=PROCESSES)
    try:
        mesh = init_device_mesh("cpu", (PROCESSES,))
        for kind in KINDS:
            backend = TorchBackend.load(directory / kind, device="cpu", cache_bytes=rank * 10**6, mesh=mesh)
            weight = backend.model.layers[0].mlp.dense_4h_to_h.weight
            held = weight.to_local() if kind == "float" else weight
            results = story(backend)
            if kind == "float":
                results["gradient"] = gradient(backend.model)
            np.savez(directory / f"{kind}-{rank}.npz", held=held.shape, **results)
    except BaseException:
        distributed.destroy_process_group()
        raise
    # On a busy machine gloo's threads may abort an orderly exit when the other process is gone already.
    distributed.barrier()
    os._exit(0)


@pytest.mark.skipif(not distributed.is_available() or not distributed.is_gloo_available(), reason="no gloo")
def test_two_processes_compute_as_one(tiny_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "float").symlink_to(tiny_directory)
    write_model(tmp_path / "int8", Int8Source(NativeSource(tiny_directory)))
    multiprocessing.spawn(run, (tmp_path,), nprocs=PROCESSES)
    for kind in KINDS:
        whole = TorchBackend.load(tmp_path / kind, device="cpu", cache_bytes=0)
        expected = story(whole)
        if kind == "float":
            expected["gradient"] = gradient(whole.model)
        for rank in range(PROCESSES):
            with np.load(tmp_path / f"{kind}-{rank}.npz") as actual:
                np.testing.assert_allclose(actual["mixed"], expected["mixed"], atol=1e-4)
                np.testing.assert_allclose(actual["single"], expected["single"], atol=1e-4)
                assert actual["greedy"].tolist() == expected["greedy"]
                assert actual["held"].tolist() == [32, 128 // PROCESSES]
                if kind == "float":
                    np.testing.assert_allclose(actual["gradient"], expected["gradient"], atol=1e-4)
                assert actual["room"] == expected["room"]  # the least of all processes


def test_heads_that_cannot_be_shared_are_a_clear_error() -> None:
    class Mesh:
        def size(self) -> int:
            return 3

    with pytest.raises(CodeGeeXError, match="heads, 2, cannot be shared evenly among 3 processes"):
        parallelize(CodeGeeX(ModelConfig(12, 1, 2, 50)), Mesh())  # type: ignore[arg-type]
