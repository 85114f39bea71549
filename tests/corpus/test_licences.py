"""Licences, against what packages and Debian say of their own licence files."""

import importlib.metadata
from pathlib import Path

import daft
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex.corpus import licences

COMMON = Path("/usr/share/common-licenses")
DEBIAN = {
    "Apache-2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "CC0-1.0": "CC0-1.0",
    "GPL-1": "GPL-1.0-only",
    "GPL-2": "GPL-2.0-only",
    "GPL-3": "GPL-3.0-only",
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-3": "LGPL-3.0-only",
    "MPL-1.1": "MPL-1.1",
    "MPL-2.0": "MPL-2.0",
}


@pytest.mark.parametrize("name", DEBIAN)
def test_the_texts_that_debian_keeps(name):
    path = COMMON / name
    if not path.is_file():
        pytest.skip(f"{path} is there on Debian only")
    assert licences.classify(path.read_text()) == DEBIAN[name]


def test_installed_packages_have_the_licence_that_they_declare():
    """One licence file and one plain SPDX name: the two must agree. Packages' own words, not ours."""
    agreed, differing = 0, []
    for package in importlib.metadata.distributions():
        declared = package.metadata.get("License-Expression")
        files = [
            file
            for file in package.files or []
            if ".dist-info" in str(file) and licences.is_text(file.name) and file.suffix in ("", ".txt", ".md")
        ]
        if not declared or " " in declared or len(files) != 1:
            continue
        found = licences.classify(files[0].locate().read_text(errors="replace"))
        if found == declared.replace("-or-later", "-only"):
            agreed += 1
        else:
            differing.append((package.name, declared, found))
    assert agreed >= 20
    # A file may hold more than the licence it is named for, as that of what was bundled.
    assert len(differing) <= 0.05 * agreed, differing


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", True),
        ("MIT OR (GPL-3.0-only AND", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only AND MIT OR ISC", True),
        ("", False),
        ("MIT MIT", False),
        ("(" * 5000, False),
        ("mit or gpl-3.0-only", False),
        ("mit", True),
        (licences.all_of(["GPL-3.0-only", "MIT OR Apache-2.0"]), False),
        (licences.all_of(["MIT", "GPL-3.0-only OR Apache-2.0"]), True),
        (licences.all_of(["MIT"]), True),
        (licences.all_of([]), False),
    ],
)
def test_expressions(expression, allowed):
    assert licences.allows(expression) is allowed


atoms = st.sampled_from(["MIT", "ISC", "GPL-2.0-only", "MPL-2.0"])
trees = st.recursive(atoms, lambda inner: st.tuples(inner, st.sampled_from(["AND", "OR"]), inner), max_leaves=8)


@given(trees)
def test_expressions_are_what_python_makes_of_them(tree):
    def text(node):
        return node if isinstance(node, str) else f"({text(node[0])} {node[1]} {text(node[2])})"

    python = text(tree).replace("AND", "and").replace("OR", "or")
    for name in ("GPL-2.0-only", "MPL-2.0", "MIT", "ISC"):
        python = python.replace(name, str(name in licences.PERMISSIVE))
    assert licences.allows(text(tree)) is eval(python)


def test_what_headers_say():
    tops = {
        "// SPDX-License-Identifier: MIT OR Apache-2.0\nint main;": "MIT OR Apache-2.0",
        "/* SPDX-License-Identifier: GPL-2.0-only */\n": "GPL-2.0-only",
        "# nothing of the kind\n": None,
        "<!-- SPDX-License-Identifier: MIT -->\n": "MIT",
        "": None,
    }
    frame = daft.from_pydict({"top": list(tops)}).select(licences.in_header(daft.col("top")).alias("found"))
    assert frame.to_pydict()["found"] == list(tops.values())


MIT = (
    "Permission is hereby granted, free of charge, to any person ... The above copyright notice and this permission "
    "notice shall be included"
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        (f"{MIT}. The Software shall be used for Good, not Evil.", None),
        ("Business Source License 1.1 ... Change License: Apache License, Version 2.0", None),
        ('"Commons Clause" License Condition v1.0 ... Apache License Version 2.0', None),
        ("All of this is ours. " * 400 + "Parts are under the Apache License, Version 2.0.", None),
    ],
)
def test_what_only_names_a_free_licence(text, name):
    assert licences.classify(text) == name


def test_the_nearest_folder_counts():
    tree = {".": "MIT", "third/party": "GPL-2.0-only"}
    assert licences.nearest("src/a.c", tree) == "MIT"
    assert licences.nearest("a.c", tree) == "MIT"
    assert licences.nearest("third/party/deep/b.c", tree) == "GPL-2.0-only"
    assert licences.nearest("third/party.c", tree) == "MIT"
    assert licences.nearest("a.c", {"src": "MIT"}) is None


@pytest.mark.parametrize(
    "words",
    [
        "This software may not be used for the purpose of training or improving machine learning algorithms.",
        "No Harm: the software may not be used by anyone who harms others.",
        "for non-commercial purposes only",
    ],
)
def test_a_free_licence_with_a_restriction_is_none(words):
    text = (
        "Permission is hereby granted, free of charge, to any person. {} The above copyright notice and this permission"
    )
    text += " notice shall be included."
    assert licences.classify(text.format("")) == "MIT"
    assert licences.classify(text.format(words)) is None


def test_a_licence_may_speak_of_commerce():
    text = "This is free and unencumbered software released into the public domain. Anyone is free to use it for any"
    assert licences.classify(f"{text} purpose, commercial or non-commercial, and by any means.") == "Unlicense"
