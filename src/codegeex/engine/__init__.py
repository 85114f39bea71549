"""Inference: backends that turn tokens into logits, and everything above them that is the same for all."""

from codegeex.engine.backend import Backend, make_backend
from codegeex.engine.engine import Engine
from codegeex.engine.sampling import SamplingParams
from codegeex.engine.text import Completion, Event, Finished, Piece

__all__ = ["Backend", "Completion", "Engine", "Event", "Finished", "Piece", "SamplingParams", "make_backend"]
