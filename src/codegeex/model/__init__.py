"""The CodeGeeX model in PyTorch: training's model, and the reference for every other backend."""

from codegeex.model.attention import KVCache
from codegeex.model.loader import load
from codegeex.model.transformer import CodeGeeX, fast_gelu

__all__ = ["CodeGeeX", "KVCache", "fast_gelu", "load"]
