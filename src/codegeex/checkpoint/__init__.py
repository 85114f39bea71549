"""Checkpoints: the native model directory, readers of the official files, int8 conversion. None of it needs PyTorch.

Everything is a `TensorSource`: names with shapes and types known up front, and tensors read one at a time. Reading an
official file, quantising and writing the native directory compose into one stream that never holds two tensors.
"""

from codegeex.checkpoint.native import NativeSource, write_model
from codegeex.checkpoint.official import OfficialSource
from codegeex.checkpoint.quantize import Int8Source
from codegeex.checkpoint.source import TensorSource, TensorSpec

__all__ = ["Int8Source", "NativeSource", "OfficialSource", "TensorSource", "TensorSpec", "write_model"]
