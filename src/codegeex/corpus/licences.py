"""Which licence a file has: what its header says, else what the nearest licence file above it is.

Licences are SPDX expressions. `PERMISSIVE` is what the corpus takes unless a recipe says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import daft
from daft import DataType, Expression, Series, functions

from codegeex import languages
from codegeex.corpus.measures import filled

_NAMES = "MIT MIT-0 BSD-2-Clause BSD-3-Clause Apache-2.0 ISC BSL-1.0 PSF-2.0 Zlib Unlicense CC0-1.0 0BSD NCSA"
PERMISSIVE = frozenset(_NAMES.split()) | {"Apache-2.0 WITH LLVM-exception"}
"""SPDX names of licences under which code may be copied, changed and passed on with no duty but to name its authors."""

_FILE = re.compile(r"(?:^|[-_.])(?:licen[cs]e|copying|unlicense|notice\.licen[cs]e)", re.IGNORECASE)
_NO_TEXT = re.compile(r"^\.|header|\.(?:ya?ml|json|toml|xml|csv|png|svg)$", re.IGNORECASE)
"""Settings and pictures of tools that look after licences."""

_SPDX = "SPDX-License-Identifier:"
_WORD = re.compile(r"\(|\)|[\w.+-]+")

# All phrases of a row have to be there. Of rows that begin alike, the stricter comes first.
_PHRASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL-3.0-only", ("gnu affero general public license", "version 3")),
    ("LGPL-3.0-only", ("gnu lesser general public license", "version 3, 29 june 2007")),
    ("LGPL-2.1-only", ("gnu lesser general public license", "version 2.1")),
    ("LGPL-2.0-only", ("gnu library general public license", "version 2")),
    ("GPL-3.0-only", ("gnu general public license", "version 3, 29 june 2007")),
    ("GPL-2.0-only", ("gnu general public license", "version 2, june 1991")),
    ("GPL-1.0-only", ("gnu general public license", "version 1, february 1989")),
    ("MPL-2.0", ("mozilla public license", "2.0")),
    ("MPL-1.1", ("mozilla public license", "version 1.1")),
    ("EPL-2.0", ("eclipse public license - v 2.0",)),
    ("EPL-1.0", ("eclipse public license - v 1.0",)),
    ("CDDL-1.0", ("common development and distribution license",)),
    ("EUPL-1.2", ("european union public licence v. 1.2",)),
    ("PSF-2.0", ("python software foundation license version 2",)),
    ("Apache-2.0", ("apache license", "version 2.0")),
    ("BSL-1.0", ("boost software license - version 1.0",)),
    ("CC0-1.0", ("creative commons", "cc0 1.0 universal")),
    ("CC0-1.0", ("creative commons legal code", "cc0 1.0")),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
    ("NCSA", ("university of illinois/ncsa open source license",)),
    ("Zlib", ("altered source versions must be plainly marked as such", "misrepresented")),
    ("BSD-4-Clause", ("redistributions of source code", "all advertising materials mentioning features")),
    ("BSD-3-Clause", ("redistributions of source code", "endorse or promote products")),
    ("BSD-2-Clause", ("redistributions of source code", "redistributions in binary form")),
    ("MIT", ("permission is hereby granted, free of charge", "the above copyright notice and this permission notice")),
    ("MIT-0", ("permission is hereby granted, free of charge", "without restriction")),
    ("ISC", ("permission to use, copy, modify, and", "provided that the above copyright notice")),
    ("0BSD", ("permission to use, copy, modify, and", "with or without fee is hereby granted")),
)


_NOT_FREE = (
    "business source license", "commons clause", "functional source license", "server side public license",
    "elastic license", "polyform", "used for good, not evil", "all rights are reserved and no license",
    "non-commercial purposes only", "noncommercial purposes only", "non-commercial use only", "noncommercial use only",
    "for non-commercial use", "for noncommercial use", "for non-commercial purposes", "for noncommercial purposes",
    "hippocratic", "no harm:", "improving machine learning", "training artificial intelligence",
    "training of artificial intelligence", "train artificial intelligence",
)  # fmt: skip
"""What texts say that name a free licence, as theirs but for this or as that of later years, and are none."""

_TOP = 3_000
"""Characters, names of authors among them, behind which a text that names a licence speaks of somebody else's."""


def is_text(path: str) -> bool:
    """Whether a file, by its name, says what others may be used for; `license.py` is a program."""
    name = path.rpartition("/")[2]
    kinds = {language.key for language in languages.for_path(name)}
    return bool(_FILE.search(name)) and not _NO_TEXT.search(name) and kinds <= {"markdown"}


def in_header(top: Expression) -> Expression:
    """The SPDX expression that the first lines of a file name, or null."""
    # Groups and letters of all scripts would make this the slowest rule of all.
    found = functions.regexp_extract(top, rf"{_SPDX}[ \t]*[A-Za-z0-9.+() \t-]+", 0)
    # What ends a comment may follow, as in -->.
    return functions.regexp_replace(functions.strip(functions.replace(found, _SPDX, "")), r"[ \t-]+$", "")


def names_copyleft(expression: Expression) -> Expression:
    """Whether an SPDX expression names a licence that asks for the same licence."""
    return functions.regexp(expression, r"(?i)\b(?:[AL]?GPL|MPL|EPL|EUPL|CDDL)\b")


def unwanted(expression: Expression, wanted: Iterable[str]) -> Expression:
    """Those of a column that `allows` does not allow, "none" for "", and null for the others."""
    names = frozenset(wanted)

    @daft.func.batch(return_dtype=DataType.string(), use_process=False)
    def answers(expression: Series) -> list[str | None]:
        known: dict[str, str | None] = {}
        values = filled(expression).to_pylist()
        for value in set(values):
            known[value] = None if allows(value, names) else value or "none"
        return [known[value] for value in values]

    return answers(expression)


def classify(text: str) -> str | None:
    """The SPDX name of the licence whose text this is, or None for one that is not known here.

    Of several the one that comes first: licences name others in their terms, and packages append those of what they
    bundle.
    """
    plain = " ".join(re.sub(r"[*#>/;\"“”`']+", " ", text).lower().split())
    if any(one in plain for one in _NOT_FREE):
        return None
    found = [(plain.find(phrases[0]), name) for name, phrases in _PHRASES if all(one in plain for one in phrases)]
    place, name = min(found, key=lambda one: one[0], default=(0, None))
    return name if place < _TOP else None


def all_of(expressions: Iterable[str]) -> str:
    """The expression that asks for every one of several."""
    some = list(expressions)
    return " AND ".join(f"({one})" if " " in one else one for one in some) if len(some) > 1 else "".join(some)


def nearest(path: str, licences: Mapping[str, str]) -> str | None:
    """The licence of the folder nearest above a file.

    Args:
        path: of the file, with slashes.
        licences: expressions by folder, "." for the top.
    """
    while path:
        path = path.rpartition("/")[0]
        if found := licences.get(path or "."):
            return found
    return None


def allows(expression: str, wanted: Collection[str] = PERMISSIVE) -> bool:
    """Whether an SPDX expression leaves a choice in which every licence is one of `wanted`.

    What cannot be read is not allowed; names are compared without regard to case, as SPDX has it.
    """
    words = _WORD.findall(expression)
    names = {one.lower() for one in wanted}

    def either() -> bool:
        found = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            found = both() or found
        return found

    def both() -> bool:
        found = single()
        while words[:1] == ["AND"]:
            words.pop(0)
            found = single() and found
        return found

    def single() -> bool:
        if not words:
            raise ValueError
        word = words.pop(0)
        if word == "(":
            found = either()
            if not words or words.pop(0) != ")":
                raise ValueError
            return found
        if words[:1] == ["WITH"]:
            words.pop(0)
            if not words:
                raise ValueError
            exception = words.pop(0)
            # An exception only ever gives more.
            return f"{word} WITH {exception}".lower() in names or word.lower() in names
        return word.lower() in names

    try:
        found = either()
    except (ValueError, RecursionError):
        return False
    return found and not words
