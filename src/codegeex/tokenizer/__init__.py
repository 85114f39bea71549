"""Byte-level BPE with whitespace-run tokens: the official vocabulary, ours, and training of new ones."""

from codegeex.tokenizer.tokenizer import Tokenizer, load
from codegeex.tokenizer.train import train

__all__ = ["Tokenizer", "load", "train"]
