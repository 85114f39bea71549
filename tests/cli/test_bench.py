"""`codegeex bench`: a table and a JSON line from a real run, and one line for every mistake."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from codegeex.checkpoint.random_source import STANDARD_DEVIATION, RandomSource
from codegeex.checkpoint.source import check_shapes
from codegeex.cli import main
from codegeex.config import ModelConfig
from codegeex.engine import benchmark
from codegeex.errors import CodeGeeXError

QUICK = ("--prompt", "5", "--tokens", "3", "--rounds", "2", "--threads", "1")


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["bench", *map(str, arguments)])
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return run


def test_the_embedded_model_gives_a_table_and_then_one_json_line(run, monkeypatch):
    monkeypatch.setattr("codegeex.cli.progress.LINE_SECONDS", 1e9)
    code, out, err = run("decode", *QUICK)
    assert (code, err) == (0, "")
    *table, last = out.splitlines()
    assert any("decode, tokens/s" in line for line in table)
    report = json.loads(last)
    assert report["shape"] == "embedded"
    assert (report["batch"], report["threads"], report["rounds"]) == (1, 1, 2)
    assert report["kernels"] in ("avx512", "avxvnni", "avx2", "portable")
    assert 0.005 < report["weight_gb"] < 0.1
    for key in ("tokens_per_second", "prefill_tokens_per_second", "bandwidth_gb_s", "fraction_of_bandwidth"):
        assert report[key] > 0


def test_json_alone_is_one_line_and_a_model_may_be_named(run, tiny_directory):
    code, out, _ = run("decode", "--model", tiny_directory, "--batch", 3, "--json", *QUICK)
    assert code == 0
    assert out.count("\n") == 1
    report = json.loads(out)
    assert (report["shape"], report["batch"]) == (str(tiny_directory), 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shape", "5m"), "unknown shape '5m'; known: 54m, 125m, 13b"),
        (("--shape", "54m", "--model", "."), "--shape and --model contradict each other"),
        (("--batch", 0), "batch must be at least 1"),
        (("--threads", 0), "threads must be from 1"),
        (("--threads", 10**6), "threads must be from 1"),
        (("--prompt", 0), "prompt must be at least 1"),
        (("--tokens", -1), "tokens must be at least 1"),
        (("--rounds", 0), "rounds must be at least 1"),
        (("--prompt", 500), "longer than this model's context of 512"),
        (("--model", "nowhere"), "no model directory at nowhere"),
        (("--batch", "many"), "Invalid value for '--batch'"),
    ],
    ids=str,
)
def test_mistakes_get_one_line_and_exit_code_2(run, arguments, message):
    code, out, err = run("decode", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_model_beyond_the_free_memory_is_refused_before_it_is_made(run, monkeypatch):
    monkeypatch.setattr(benchmark, "free_memory", lambda: 10 * 10**9)
    code, _, err = run("decode", "--shape", "13b")
    assert code == 2
    assert "needs about 14" in err or "needs about 15" in err
    assert "10.0 GB are free" in err


def test_medians_are_of_the_rounds_ratios():
    rounds = (benchmark.Round(10, 100, 4e3), benchmark.Round(20, 300, 5e3), benchmark.Round(30, 200, 1e4))
    workload = benchmark.Workload(batch=2, rounds=3)
    report = benchmark.DecodeReport(workload, 1, "portable", 100, 0, rounds).to_dict()
    assert report["tokens_per_second"] == 40
    assert report["prefill_tokens_per_second"] == 200
    assert report["fraction_of_bandwidth"] == 0.3  # of 0.25, 0.4, 0.3


def test_a_round_leaves_nothing_in_the_cache():
    source = RandomSource(ModelConfig(32, 1, 2, 50, 40))
    workload = benchmark.Workload(batch=2, prompt=20, tokens=15, rounds=2)
    native = benchmark.load(source, workload, threads=1)
    pages = native.model.free_pages
    progress = []
    benchmark.measure_decode(native, workload, lambda done, total: progress.append((done, total)))
    assert native.model.free_pages == pages
    assert progress == [(0, 2), (1, 2)]


def test_without_the_extension_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "codegeex.engine.native_backend", None)
    with pytest.raises(CodeGeeXError, match="install a compiler"):
        benchmark.load(RandomSource(ModelConfig(32, 1, 2, 50, 20)), benchmark.Workload(prompt=2, tokens=2))


def test_random_weights_are_those_of_an_int8_directory():
    source = RandomSource(config := ModelConfig(64, 1, 2, 300, 40))
    check_shapes(source.specs, source.config, "random")
    levels, scales = (source.read(f"layers.0.mlp.dense_h_to_4h.{kind}") for kind in ("weight", "scale"))
    assert levels.min() == -127
    assert (levels * scales[:, None]).std() == pytest.approx(STANDARD_DEVIATION, rel=0.02)
    assert source.read("word_embeddings.weight").std() == pytest.approx(STANDARD_DEVIATION, rel=0.02)
    assert source.read("final_layernorm.weight").mean() == pytest.approx(1, abs=0.02)
    for name, spec in source.specs.items():
        assert source.read(name).shape == spec.shape
        np.testing.assert_array_equal(source.read(name), RandomSource(config).read(name))


def test_the_shapes_are_those_of_the_peers():
    path = Path(__file__).parents[2] / "benchmarks" / "decode" / "shapes.py"
    spec = importlib.util.spec_from_file_location("decode_shapes", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    for name, peer in module.SHAPES.items():
        ours = benchmark.SHAPES[name]
        assert (ours.num_layers + 1, ours.hidden_size, ours.num_attention_heads) == (
            peer.layers,
            peer.hidden,
            peer.heads,
        )
        assert (ours.ffn_hidden_size, ours.vocab_size, ours.max_position_embeddings) == (
            peer.ffn,
            peer.vocab,
            peer.context,
        )
