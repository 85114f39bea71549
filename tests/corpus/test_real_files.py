"""The rules on thousands of real files, those of packages that the tests need anyway, against plain Python."""

import importlib.util
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from made_files import frame

from codegeex.corpus import readers, rules
from codegeex.corpus.headers import strip_licence_header
from codegeex.corpus.sources import Source

PACKAGES = ("matplotlib", "playwright", "pygments", "hypothesis", "networkx", "sympy")


def files():
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        if found is not None:
            folder = Path(found.origin).parent
            yield from readers.read(str(folder), Source(name, "local", licence="MIT", path=str(folder)))


def plain(document):
    """The reason, as a person would find it: one rule after the other, one file at a time."""
    if document.problem:
        return document.problem
    if re.search(rules._BAD_FOLDER, document.path):
        return "vendored path"
    if re.search(rules._BUILT, document.path):
        return "built file"
    top = "\n".join(document.text.split("\n")[:20])
    if re.search(rules._COPYLEFT, top):
        return "copyleft"
    if re.search(rules._GENERATED, top):
        return "generated"
    text = strip_licence_header(document.text, document.language)
    lines = text.removesuffix("\n").split("\n")
    size = len(text)
    for reason, drop in (
        ("too large", len(text.encode()) > 100_000),
        ("mean line", sum(map(len, lines)) > 100 * len(lines)),
        ("long line", max(map(len, lines)) > 1000),
        ("few letters", sum(map(str.isalpha, text)) < 0.4 * size or not size),
        ("few words", sum(map(str.isalnum, text)) < 0.25 * size),
        ("minified", sum(map(str.isspace, text)) < 0.04 * size),
        ("data", len(re.sub(rules._DATA, "", text).encode()) < 0.5 * len(text.encode())),
        ("too small", len(text.encode()) < 1000),
    ):
        if drop:
            return reason
    return None


def test_every_file_has_the_verdict_of_plain_python():
    from codegeex.corpus import cleaning, licences
    from codegeex.corpus.decontaminate import Benchmark

    documents = list(files())
    if len(documents) < 1000:
        pytest.skip("the packages are not installed")
    judged = cleaning.judged(frame([asdict(one) for one in documents]), licences.PERMISSIVE, Benchmark([]))
    reasons = [row["reason"] for row in judged.select("reason").to_pylist()]
    differing = [
        (one.path, ours, theirs)
        for one, ours, theirs in zip(documents, reasons, map(plain, documents), strict=True)
        if ours != theirs
    ]
    assert not differing
    assert set(reasons) >= {
        None, "too small", "too large", "few letters", "mean line", "long line", "built file", "vendored path",
        "copyleft", "generated",
    }  # fmt: skip
