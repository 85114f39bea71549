"""Licence headers are cut off, and nothing else."""

import re
import sysconfig
from pathlib import Path

import daft
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_files import GOOD

from codegeex.corpus.headers import strip_licence_header, without_licence


@pytest.mark.parametrize(
    ("language", "header", "code"),
    [
        ("java", "/*\n * Licensed to the ASF under one\n * or more agreements.\n */\n", "package org.example;\n"),
        ("go", "// Copyright 2009 The Go Authors. All rights reserved.\n// BSD-style.\n\n", "package sort\n"),
        ("python", "#!/usr/bin/env python\n# SPDX-License-Identifier: MIT\n", "import os\n"),
        ("cpp", "// Copyright Someone\n// Distributed under the Boost Software License\n\n", "#include <map>\n"),
        ("javascript", "/**\n* @license Apache-2.0\n*/\n\n", "'use strict';\n"),
        ("rust", "// Licensed under the Apache License\n\n", "use std::fmt;\n"),
        ("css", "/* (c) 2020 Somebody */\n", "a { color: red; }\n"),
        ("html", "<!-- Copyright -->\n", "<p>text</p>\n"),
        ("python", "\ufeff\n\n# Copyright\n", "import os\n"),
    ],
)
def test_licence_headers_are_stripped(language, header, code):
    assert strip_licence_header(header + code, language) == code


def test_what_has_to_come_first_stays():
    assert strip_licence_header("<?php\n\n/* Copyright */\necho 1;\n", "php") == "<?php\necho 1;\n"
    assert strip_licence_header("<!DOCTYPE html>\n<!-- Copyright -->\n<p>\n", "html") == "<!DOCTYPE html>\n<p>\n"


def test_a_description_at_the_top_stays():
    text = "// Copyright 2009 The Authors.\n\n// Package sort sorts slices.\npackage sort\n"
    assert strip_licence_header(text, "go") == "// Package sort sorts slices.\npackage sort\n"
    assert strip_licence_header("/* what it does */\n// licence: MIT\nint a;\n", "c") == "/* what it does */\nint a;\n"


def test_a_file_without_comments_is_unchanged():
    assert strip_licence_header(GOOD, "python") == GOOD
    assert strip_licence_header("/* licence, never closed", "c") == "/* licence, never closed"
    assert strip_licence_header("/* licence */ int a;\n", "c") == "/* licence */ int a;\n"


@given(st.lists(st.sampled_from(["// a word", "// licence", "", "/* licence", "*/", "/* b */", "int a;"]), max_size=12))
def test_code_and_comments_without_the_words_are_all_there(lines):
    text = "\n".join(lines)
    left = strip_licence_header(text, "c")
    code, code_left = (re.sub(r"/\*.*?\*/", "", one, flags=re.DOTALL) for one in (text, left))
    assert code_left.count("int a;") == code.count("int a;")
    assert left.count("// a word") <= text.count("// a word")
    if "licence" not in text:
        assert left == text.lstrip("\n")
    assert text.endswith(left.rpartition("\n")[2])


LINES = ["// a word", "// licence", "", "/* licence", "*/", "/* b */", "int a;", "é", "// " + "long " * 600, "x" * 3000]


@given(st.lists(st.lists(st.sampled_from(LINES), max_size=12).map("\n".join) | st.none(), max_size=4))
def test_a_column_is_stripped_as_its_texts_are(texts):
    """Whatever stands before and behind the end of a file's head."""
    frame = daft.from_pydict({"text": [*texts, ""], "language": ["c"] * (len(texts) + 1)})
    found = frame.select(without_licence(daft.col("text"), daft.col("language")).alias("body")).to_pydict()["body"]
    assert found == [None if text is None else strip_licence_header(text, "c") for text in [*texts, ""]]


def test_real_files_are_stripped_as_a_column_as_they_are_one_by_one():
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))[::5]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    frame = daft.from_pydict({"text": texts, "language": ["python"] * len(texts)})
    found = frame.select(without_licence(daft.col("text"), daft.col("language")).alias("body")).to_pydict()["body"]
    assert found == [strip_licence_header(text, "python") for text in texts]
