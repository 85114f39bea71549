"""codegeex: a multilingual code model that you own, from corpus to score.

    import codegeex
    model = codegeex.load()
    print(model.generate("write a factorial function", language="python").text)

Submodules are imported when they are first used, so that `import codegeex` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codegeex import languages, model, tokenizer
    from codegeex.assistant import Generation, Model, load
    from codegeex.errors import CodeGeeXError

__version__ = "0.1.0"

__all__ = ["CodeGeeXError", "Generation", "Model", "__version__", "languages", "load", "model", "tokenizer"]

_HOMES = {
    "load": "codegeex.assistant",
    "Model": "codegeex.assistant",
    "Generation": "codegeex.assistant",
    "CodeGeeXError": "codegeex.errors",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in __all__:
        try:
            return importlib.import_module(f"codegeex.{name}")
        except ModuleNotFoundError as error:
            if error.name == "torch":
                raise ModuleNotFoundError(
                    f"codegeex.{name} needs PyTorch: pip install 'codegeex[train]'.", name="torch"
                ) from None
            raise
    raise AttributeError(f"module 'codegeex' has no attribute {name!r}")
