"""Reading what people have themselves: folders, git repositories, tables; and files that mean harm."""

import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from codegeex import shards
from codegeex.corpus import readers, sources
from codegeex.corpus.build import build, chosen_by_chance
from codegeex.corpus.dataset import Settings
from codegeex.errors import CodeGeeXError, WorkFailed

MIT = "Permission is hereby granted, free of charge, to any person.\n"
MIT += "The above copyright notice and this permission notice shall be included.\n"
GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n"
FILES = {
    "LICENSE": MIT,
    "src/a.py": "print('a')\n",
    "src/b.go": "package b\n",
    "third/LICENSE.txt": GPL,
    "third/c.py": "print('c')\n",
    "odd/COPYING": "You may look at this, but not touch it.\n",
    "odd/d.py": "print('d')\n",
    "notes.txt": "no code\n",
}
EXPECTED = {
    "odd/d.py": ("python", "LicenseRef-unknown"),
    "src/a.py": ("python", "MIT"),
    "src/b.go": ("go", "MIT"),
    "third/c.py": ("python", "GPL-3.0-only"),
}


def found(path):
    return {one.path: (one.language, one.licence) for one in readers.read(path, sources.local(path))}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_folder_without_its_links(folder):
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "loop").symlink_to(folder)
    (folder / "latin.py").write_bytes(b"# \xe9\n")
    (folder / "nul.py").write_bytes(b"x = 1\0\n")
    with (folder / "huge.py").open("wb") as file:
        file.truncate(1 << 30)
    assert found(folder) == EXPECTED


@pytest.mark.parametrize("bare", [False, True])
def test_a_git_repository_as_of_its_last_commit(folder, tmp_path, bare):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    (folder / "link.py").symlink_to("/etc/passwd")
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", folder, *settings, *command], check=True)
    (folder / "new.py").write_text("not committed = 1\n")
    repository = folder
    if bare:
        repository = tmp_path / "bare.git"
        subprocess.run(["git", "clone", "-q", "--bare", folder, repository], check=True)
    assert found(repository) == EXPECTED


def test_archives_have_licences_too(folder, tmp_path):
    with tarfile.open(tmp_path / "project.tar.gz", "w:gz") as archive:
        archive.add(folder, "project-1.0")
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"project-1.0/{name}", text)
    expected = {f"project-1.0/{name}": values for name, values in EXPECTED.items()}
    assert found(tmp_path / "project.tar.gz") == found(tmp_path / "project.zip") == expected


ROWS = [
    {"content": "print(1)\n", "path": "a.py", "language": "Python", "license": "MIT", "stars": 3},
    {"content": "x := 1\r\n", "max_stars_repo_path": "b.go", "max_stars_repo_licenses": ["MIT", "GPL-3.0-only"]},
    {"content": "int f();\n", "path": "c.unknown", "lang": "C++", "max_stars_repo_name": "owner/name"},
    {"content": "no language", "path": "d.unknown"},
    {"content": "x" * 200_000, "path": "e.py"},
]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_tables_with_the_stacks_columns(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    if suffix == ".parquet":
        parquet.write_table(
            pyarrow.Table.from_pylist([{key: row.get(key) for one in ROWS for key in one} for row in ROWS]), path
        )
    elif suffix == ".jsonl":
        path.write_text(lines)
    else:
        with gzip.open(path, "wt") as file:
            file.write(lines)
    rows = list(readers.read(path, sources.local(path)))
    assert [(row.language, row.path, row.licence, row.stars) for row in rows] == [
        ("python", "a.py", "MIT", 3),
        ("go", "b.go", "MIT AND GPL-3.0-only", None),
        ("cpp", "c.unknown", "", None),
    ]
    assert rows[1].text == "x := 1\n"
    assert [row.source for row in rows] == [path.name, path.name, "owner/name"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"content": '),
        ("a.jsonl", b"\xff\xfe"),
        ("a.jsonl.gz", b"no gzip"),
        ("a.parquet", b"PAR1 not"),
        ("a.zip", b"PK no zip"),
        ("a.tar.gz", b"no tar"),
        ("a.tar.xz", b"\xfd7zXZ\x00 broken"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WorkFailed, match=name):
        list(readers.read(path, sources.local(path)))


def test_a_table_without_text_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"path": "a.py"}\n')
    with pytest.raises(CodeGeeXError, match="row 1: no text"):
        list(readers.read(tmp_path / "a.jsonl", sources.local(tmp_path / "a.jsonl")))
    with pytest.raises(CodeGeeXError, match="does not exist"):
        sources.local(tmp_path / "none")


def test_a_zip_bomb_is_not_inflated(tmp_path):
    """Whether it says how large it is, or lies: a file of a gigabyte that calls itself small ends where it said."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("honest.py", b"#" * (50 << 20))
        archive.writestr("good.py", "x = 1\n")
    assert [one.path for one in readers.read(path, sources.local(path))] == ["good.py"]
    data = path.read_bytes().replace((50 << 20).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(WorkFailed, match=r"bomb\.zip"):  # its checksum is not that of 500 bytes
        list(readers.read(path, sources.local(path)))


@pytest.mark.parametrize(
    ("path", "text", "language"),
    [
        ("a.h", "#import <Foundation/Foundation.h>\n@interface A\n@end\n", "objectivec"),
        ("a.h", "namespace a { class B : public C {}; }\n", "cpp"),
        ("a.h", "#include <stdio.h>\nint f(void);\n", "c"),
        ("a.m", "#import <A.h>\n@implementation A\n@end\n", "objectivec"),
        ("a.m", "function y = f(x)\n  y = x;\nend\n", None),  # Matlab is none of the 23
        ("a.pl", ":- use_module(library(lists)).\nf(X) :- g(X).\n", None),
    ],
)
def test_the_content_decides_between_languages_of_one_suffix(path, text, language):
    assert readers.tell(path, text, sources.Source("x", "local"), has_cpp=False) == language


def test_prolog_and_perl():
    both = sources.Source("x", "local", languages=("perl", "prolog", "matlab"))
    assert readers.tell("a.pl", ":- use_module(library(lists)).\nf(X) :- g(X).\n", both, False) == "prolog"
    assert readers.tell("a.pl", "use strict;\nmy $x = 1;\n", both, False) == "perl"
    assert readers.tell("a.m", "function y = f(x)\n", both, False) == "matlab"


def test_a_corpus_from_folders_and_tables(folder, tmp_path):
    """Unlicensed files and those of repositories without a star stay out; some repositories are for validation."""
    code = "\n\n".join(f"def function_{i}(first, second):\n    return first * {i} + second" for i in range(30))
    (folder / "src" / "a.py").write_text(code)
    (folder / "third" / "c.py").write_text(code.replace("function", "gpl"))
    rows = [
        {"content": code.replace("function", f"f{i}").replace("first", f"a{i}"), "repository": f"owner/r{i}",
         "path": f"f{i}.py", "license": "MIT", "stars": i % 3}
        for i in range(30)
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings(vocab_size=400, sequence_length=64, validation_share=0.3, fim_rate=0)
    out = tmp_path / "out"
    report = build([folder, tmp_path / "rows.jsonl"], out, tmp_path / "cache", settings=settings)
    dropped = {stage["name"]: stage["dropped"] for stage in report["stages"]}
    assert dropped["clean"] == {"no stars": 10, "licence": 2}
    held_out = chosen_by_chance({row["repository"] for row in rows} | {"project"}, 0.3)
    assert 0 < len(held_out) < 20
    total = shards.summarize(out)
    kept = sum(stage["kept"] for stage in report["stages"] if stage["name"] == "balance")
    validation = shards.summarize(out / "validation")
    assert validation["languages"].keys() == {"python"}
    assert total["documents"] >= kept


def test_members_that_escape_are_left_out(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../up.py", "/root.py", "in/../../out.py", "fine.py"):
            info = tarfile.TarInfo(name)
            info.size = 6
            archive.addfile(info, io.BytesIO(b"x = 1\n"))
        device = tarfile.TarInfo("device.py")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    before = set(os.listdir(tmp_path))
    assert list(found(path)) == ["fine.py"]
    assert set(os.listdir(tmp_path)) == before
    assert not Path("/root.py").exists()
