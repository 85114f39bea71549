"""Inference: backends that turn tokens into logits, and everything above them that is the same for all."""

from codegeex.engine.backend import Backend, make_backend
from codegeex.engine.generation import Completion, Event, Piece, generate
from codegeex.engine.sampling import SamplingParams

__all__ = ["Backend", "Completion", "Event", "Piece", "SamplingParams", "generate", "make_backend"]
