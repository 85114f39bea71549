"""The mean of two models' weights, as a model directory: what one run learned, and less of what it forgot.

    python tools/mean_model.py models/before models/after --share 0.5 --output models/mean

Of use for a model and what a fine-tuning made of it (Wortsman et al., arXiv 2109.01903); two that were trained apart
have no useful mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from codegeex import tokenizer
from codegeex.checkpoint import NativeSource, TensorSpec, write_model
from codegeex.checkpoint.source import tensor_shapes
from codegeex.errors import CodeGeeXError
from codegeex.model.loader import read_float32


class Mean:
    """A `TensorSource` of float16 weights: (1 - share) of the first model's, share of the second's."""

    def __init__(self, before: Path, after: Path, share: float):
        self._sources, self._share = (NativeSource(before), NativeSource(after)), share
        self.config, other = (replace(source.config, quantization=None) for source in self._sources)
        if self.config != other:
            raise CodeGeeXError(f"{before} and {after} are models of different shapes.")

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        specs = self._sources[0].specs
        return {name: replace(specs[name], dtype="F16") for name in tensor_shapes(self.config)}

    def read(self, name: str) -> NDArray[Any]:
        before, after = (read_float32(source, name) for source in self._sources)
        return ((1 - self._share) * before + self._share * after).astype("<f2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the second model")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    if not 0 <= asked.share <= 1:
        parser.error("--share is from 0 to 1: half is 0.5")
    try:
        mean = Mean(asked.before, asked.after, asked.share)
        vocabulary, other = tokenizer.load(asked.before), tokenizer.load(asked.after)
        if vocabulary.fingerprint != other.fingerprint:
            raise CodeGeeXError(f"{asked.before} and {asked.after} have different tokenizers.")
        write_model(asked.output, mean, vocabulary)
    except CodeGeeXError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
