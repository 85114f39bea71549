"""An int8 model directory of any size with random weights, to measure speed and memory with.

    python benchmarks/large/make_random_model.py --preset 13b --output DIR [--layers N]

It is written tensor by tensor, so it takes the memory of the largest one (0.5 GB for the vocabulary of the 13B model).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from codegeex.checkpoint import write_model
from codegeex.checkpoint.random_source import RandomSource
from codegeex.cli.progress import byte_progress
from codegeex.config import PRESETS, ModelConfig, preset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_shape(parser)
    parser.add_argument("--output", type=Path, required=True, help="directory; must not exist")
    options = parser.parse_args()
    with byte_progress(f"writing {options.output}") as progress:
        write_model(options.output, RandomSource(shape(options)), progress=progress)


def add_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, default="13b")
    parser.add_argument("--layers", type=int, help="ordinary layers, if not those of the preset")


def shape(options: argparse.Namespace) -> ModelConfig:
    config = preset(options.preset)
    return config if options.layers is None else replace(config, num_layers=options.layers)


if __name__ == "__main__":
    main()
