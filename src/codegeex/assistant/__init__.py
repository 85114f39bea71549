"""From an intent to clean code: generate, complete, translate, explain."""

from codegeex.assistant.assistant import Generation, Model, load
from codegeex.prompts import Task

__all__ = ["Generation", "Model", "Task", "load"]
