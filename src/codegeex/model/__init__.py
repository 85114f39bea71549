"""The CodeGeeX model in PyTorch: training's model, and the reference for every other backend."""

from codegeex.model.activation import fast_gelu
from codegeex.model.loader import load
from codegeex.model.transformer import CodeGeeX

__all__ = ["CodeGeeX", "fast_gelu", "load"]
