"""The whole life of a model: from source files over tokens, training and lessons to int8, its scores and its card."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from pathlib import Path

import pytest

from codegeex.assistant.assistant import EMBEDDED_MODEL
from codegeex.cli.main import main
from codegeex.evaluation.published import HUMANEVAL

pytest.importorskip("daft")
pytest.importorskip("torch")

# Daft leaves the pipe of a worker process to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

TOOL = Path(__file__).parents[1] / "tools" / "embed_model.py"
LICENCE = "SPDX-License-Identifier: MIT\n"
SHAPE = {
    "hidden_size": 32,
    "num_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 700,
    "max_position_embeddings": 256,
}


def module(name: str) -> str:
    """A Python file of documented functions."""
    return "\n\n".join(
        f'def {name}_{word}(first, {word}):\n    """Add {word} to the first number, and {index} more."""\n'
        f"    {name} = first + {word} * {index}\n    return {name} + {index}\n"
        for index, word in enumerate(("apples", "bolts", "coins", "doors", "eggs", "forks", "goats", "hats", "inks"))
    )


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """Where everything is written, and the commands that do it."""
    root = tmp_path_factory.mktemp("life")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        assert ended.value.code == 0, arguments

    def recipe(name, streams, **changes):
        content = {
            "output": str(root / name),
            "model": SHAPE,
            "data": {
                "tokenizer": str(root / "data/tokenizer"),
                "streams": streams,
                "validation": str(root / "data/validation"),
                "sequence_length": 256,
            },
            "schedule": {"steps": 4, "warmup": 1},
            "batch_size": 2,
            "validate_every": 4,
        }
        (root / f"{name}.yaml").write_text(json.dumps(content | changes))
        run("train", root / f"{name}.yaml")

    for source in ("alpha", "beta", "gamma", "delta"):
        (root / source).mkdir()
        (root / source / "LICENSE").write_text(LICENCE)
        for part in range(3):
            (root / source / f"{source}{part}.py").write_text(f"# {LICENCE}\n{module(f'{source}{part}')}")
    settings = ("vocab_size=700", "sequence_length=256", "validation_share=0.5", "near_duplicates=0")
    with contextlib.chdir(root):  # names decide what is held out, and those of this folder are never the same
        run(
            "corpus",
            "build",
            "alpha",
            "beta",
            "gamma",
            "delta",
            "--output",
            "data",
            *(f"--set={one}" for one in settings),
        )
    run("exercises", "build", "--count", 12, "--output", root / "exercises.jsonl")
    encoded = ("--tokenizer", root / "data/tokenizer", "--output", root / "data/exercises", "--set=sequence_length=256")
    run("exercises", "encode", root / "exercises.jsonl", *encoded)
    run("exercises", "lessons", root / "exercises.jsonl", "--output", root / "lessons.jsonl")
    shares = (("files", 0.6, 0.2), ("exercises", 0.4, 0.8))
    streams = [{"shards": str(root / "data" / kind), "weight": a, "decay_weight": b} for kind, a, b in shares]
    recipe("first", streams)
    recipe("second", [{"examples": str(root / "lessons.jsonl")}], start=str(root / "first"))
    return root, run


@pytest.mark.timeout(300)
def test_it_ends_with_a_model_that_writes_and_a_card_that_tells(life, monkeypatch, capsys):
    root, run = life
    capsys.readouterr()
    run("eval", "loss", root / "data/validation", "--model", root / "second", "--json")
    loss = json.loads(capsys.readouterr().out)
    last = json.loads((root / "second" / "metrics.jsonl").read_text().splitlines()[-1])
    assert loss["validation"]["python"] == pytest.approx(last["validation"]["python"], abs=0.01)
    (root / "scores").mkdir()
    (root / "scores" / "loss.json").write_text(json.dumps(loss))
    found = importlib.util.spec_from_file_location("embed_model", TOOL)
    tool = importlib.util.module_from_spec(found)
    found.loader.exec_module(tool)
    place = root / "package" / "nano"
    place.mkdir(parents=True)
    monkeypatch.setattr(tool, "EMBEDDED_MODEL", place)
    recipes = [str(root / f"{name}.yaml") for name in ("first", "second")]
    monkeypatch.setattr("sys.argv", ["embed_model.py", str(root / "scores"), *recipes, "--version", "first"])
    tool.main()
    run("generate", "add two numbers", "--lang", "python", "--model", place, "--max-tokens", 8)
    card = (place / "README.md").read_text()
    assert f"{loss['validation']['python']:.3f} | {loss['bits_per_byte']['python']:.3f}" in card
    assert "4 steps of 2 x 256 tokens" in card
    assert "Windows before / during the decay: 60 % / 20 % files, 40 % / 80 % exercises." in card
    assert "Windows: 100 % lessons." in card
    assert f"({sum(1 for _ in (root / 'lessons.jsonl').open()):,} lessons)" in card
    assert "| MIT |" in card
    for picture in ("loss.png", "loss-lessons.png"):
        assert f"]({picture})" in card
        assert (place / picture).read_bytes().startswith(b"\x89PNG")
    (root / "scores" / "loss.json").write_text(json.dumps({"validation": {"go": 9.0}, "bits_per_byte": {"go": 8.5}}))
    monkeypatch.setattr("sys.argv", ["embed_model.py", str(root / "scores")])
    tool.main()
    again = (place / "README.md").read_text()
    assert "| Go | 9.000 | 8.500 |" in again
    assert again.partition("## Training")[2] == card.partition("## Training")[2]


def test_the_card_that_ships_names_the_small_models_as_published():
    card = (EMBEDDED_MODEL / "README.md").read_text()
    for name, scores in HUMANEVAL.items():
        assert f"| {name}, Python | | | {' | '.join(f'{score:.2f}' for score in scores)} |" in card
