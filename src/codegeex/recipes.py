"""YAML that people write, checked into dataclasses: recipes of training runs and of corpora.

Every key is a field; an unknown key or an impossible value is refused before anything is read or written.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from codegeex.config import ModelConfig, preset
from codegeex.errors import CodeGeeXError

T = TypeVar("T")


def read(path: str | Path) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Raises:
        CodeGeeXError: unreadable, not YAML, or no keys and values.
    """
    try:
        import yaml
    except ImportError:
        raise CodeGeeXError("recipes need PyYAML: pip install 'codegeex[train]' or 'codegeex[corpus]'.") from None
    try:
        content = parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CodeGeeXError(f"cannot read recipe {path}: {error}.") from None
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date that is none
        raise CodeGeeXError(f"recipe {path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise CodeGeeXError(f"recipe {path}: expected keys and values.")
    return content


def override(content: dict[str, Any], overrides: Iterable[str]) -> None:
    """Put `dotted.key=value`, the values in YAML, into what was read.

    Raises:
        CodeGeeXError: an override of another form.
    """
    import yaml

    for one in overrides:
        key, equals, value = one.partition("=")
        if not equals:
            raise CodeGeeXError(f"override {one!r}: write it as key=value.")
        *parents, last = key.split(".")
        target = content
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise CodeGeeXError(f"override {one!r}: {parent} has no keys below it.")
        try:
            target[last] = parse(value)
        except (yaml.YAMLError, ValueError):
            raise CodeGeeXError(f"override {one!r}: the value is not valid YAML.") from None


def parse(text: str) -> Any:
    """YAML, in which 1e-4 is a number: PyYAML follows version 1.1, which wants 1.0e-4."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    number = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+0123456789"))
    return yaml.load(text, Loader)


def build(kind: type[T], content: Any, source: str, prefix: str = "") -> T:
    """An instance of the dataclass `kind` from parsed YAML.

    Args:
        source: where it stands, for errors.
        prefix: of the keys, with a dot at its end.

    Raises:
        CodeGeeXError: an unknown key, or a value of the wrong type.
    """
    if not isinstance(content, dict):
        raise CodeGeeXError(f"{source}: {prefix or 'the recipe'} must hold keys and values.")
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in content:
        if key not in names:
            raise CodeGeeXError(f"{source}: unknown key {prefix}{key}; known here: {', '.join(names)}.")
    values = {key: typed(hints[key], value, source, f"{prefix}{key}") for key, value in content.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise CodeGeeXError(f"{source}: {str(error).replace('__init__() ', '')}.") from None


def typed(hint: Any, value: Any, source: str, key: str) -> Any:
    """A value from parsed YAML as the type `hint` of its field."""
    if hint is ModelConfig:
        return preset(value) if isinstance(value, str) else ModelConfig.from_dict(value, f"{source}: {key}")
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, source, f"{key}.")
    origin = typing.get_origin(hint)
    if origin is dict and isinstance(value, dict):
        _, item = typing.get_args(hint)
        return {str(name): typed(item, entry, source, f"{key}.{name}") for name, entry in value.items()}
    if origin is list and isinstance(value, list):
        (item,) = typing.get_args(hint)
        return [typed(item, entry, source, f"{key}[{index}]") for index, entry in enumerate(value)]
    if origin is types.UnionType:  # `X | None`, where null stands for None
        inner, _ = typing.get_args(hint)
        return None if value is None else typed(inner, value, source, key)
    if origin is typing.Literal:
        if value in typing.get_args(hint):
            return value
        raise CodeGeeXError(f"{source}: {key} must be one of {', '.join(typing.get_args(hint))}, not {value!r}.")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias) and type(value) is hint:
        return value
    raise CodeGeeXError(f"{source}: {key} must be {getattr(hint, '__name__', hint)}, not {value!r}.")
