"""The types of the exercises' language, and what their values are in Python."""

from __future__ import annotations

from dataclasses import dataclass

Value = int | float | bool | str | None | list["Value"] | dict["str | int", "Value"]
"""What the interpreter computes with; a char is a `str` of length 1."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type.

    Attributes:
        name: int (32 bits), float (double), bool, char, str (ASCII), list, map, optional (results only), or builder, a
            string that grows and never leaves its function.
        arguments: of a list or an optional: its element; of a map: key and value.
    """

    name: str
    arguments: tuple[Type, ...] = ()

    @property
    def element(self) -> Type:
        """What a loop over a value of this type sees."""
        return CHAR if self.name == "str" else self.arguments[0]

    @property
    def value(self) -> Type:
        """Of a map: what its keys lead to."""
        return self.arguments[1]

    @property
    def scalar(self) -> bool:
        """Whether values are copied rather than shared."""
        return self in (INT, FLOAT, BOOL, CHAR)


INT = Type("int")
FLOAT = Type("float")
BOOL = Type("bool")
CHAR = Type("char")
STR = Type("str")
BUILDER = Type("builder")


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """A map; keys are int, char or str."""
    return Type("map", (key, value))


def optional(element: Type) -> Type:
    return Type("optional", (element,))


INTS = list_of(INT)
STRS = list_of(STR)
GRID = list_of(INTS)
