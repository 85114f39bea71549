"""Reading what people have themselves: folders, git repositories, tables; and files that mean harm."""

import gzip
import hashlib
import http.server
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from codegeex.corpus import members, readers, sources
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


def read(path):
    return list(readers.read(path, sources.local(str(path))))


def found(path):
    """Language and licence of each file that has a text."""
    return {one.path: (one.language, one.licence) for one in read(path) if not one.problem}


def problems(path):
    """Why each of the others has none."""
    return {one.path: one.problem for one in read(path) if one.problem}


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
    os.mkfifo(folder / "pipe.py")
    assert found(folder) == EXPECTED
    assert problems(folder) == {
        "link.py": "link", "latin.py": "not UTF-8", "nul.py": "NUL bytes", "huge.py": "too large",
    }  # fmt: skip
    (one,) = [one for one in read(folder) if one.path == "src/a.py"]
    assert one.sha256 == hashlib.sha256(b"print('a')\n").hexdigest()


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
    assert problems(repository) == {"link.py": "link"}


def test_a_repository_runs_nothing_of_its_own(tmp_path):
    """A missing object would be fetched by the command that the repository's settings name."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    root, marker = tmp_path / "hostile", tmp_path / "it ran"
    root.mkdir()
    (root / "a.py").write_text("print(1)\n")

    def git(*arguments):
        command = ["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        git(*command)
    blob = git("rev-parse", "HEAD:a.py")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": "ssh://host/x",
        "core.sshCommand": f"touch '{marker}'; false",
    }.items():
        git("config", key, value)
    with pytest.raises(WorkFailed, match="cannot read"):
        read(root)
    assert not marker.exists()


def test_a_file_that_leads_to_a_repository_is_not_followed(folder, tmp_path):
    (folder / ".git").write_text(f"gitdir: {tmp_path / 'elsewhere'}\n")
    assert found(folder) == EXPECTED


def test_all_licences_of_a_folder_count(folder):
    (folder / "LICENSE.jquery").write_text(MIT)
    (folder / "third/LICENSE-MIT").write_text(MIT)
    (folder / "license.py").write_text(f"TEXT = {GPL!r}\n")
    (folder / "odd/COPYING").unlink()
    (folder / "odd/LICENSE").symlink_to(folder / "LICENSE")
    more = {"third/c.py": ("python", "GPL-3.0-only AND MIT"), "license.py": ("python", "MIT")}
    assert found(folder) == EXPECTED | more


def test_a_name_that_is_no_text(folder):
    (folder / "src" / os.fsdecode(b"caf\xe9.py")).write_text("print(3)\n")
    assert found(folder) == EXPECTED | {"src/caf?.py": ("python", "MIT")}


def test_rows_with_odd_values(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows = [
        {"content": "print(1)\n", "path": "a.py", "stars": float("nan"), "license": ["GPL-3.0-only", "MIT OR ISC"]},
        {"content": None, "path": "b.py"},
        {"content": "print(2)\n", "path": "tests/c.py", "repo": "x/y"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    documents = read(path)
    assert [(one.path, one.licence, one.stars, one.problem) for one in documents] == [
        ("a.py", "GPL-3.0-only AND (MIT OR ISC)", None, ""),
        ("row-2", "", None, "no text"),
        ("tests/c.py", "", None, ""),
    ]
    assert [one.source for one in documents] == ["rows.jsonl", "rows.jsonl", "x/y"]
    kept_out = replace(sources.local(str(path)), validation=True)
    assert {one.source for one in readers.read(path, kept_out)} == {"rows.jsonl"}
    skipping = replace(sources.local(str(path)), skip=("tests/*",))
    assert [one.path for one in readers.read(path, skipping)] == ["a.py", "row-2"]


def test_archives_have_licences_too(folder, tmp_path):
    with tarfile.open(tmp_path / "project.tar.gz", "w:gz") as archive:
        archive.add(folder, "project-1.0")
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"project-1.0/{name}", text)
    expected = {f"project-1.0/{name}": values for name, values in EXPECTED.items()}
    assert found(tmp_path / "project.tar.gz") == found(tmp_path / "project.zip") == expected


def test_urls_are_read_as_paths_are(folder, tmp_path):
    """A folder, an archive and a table in a file system that is only in memory."""
    import fsspec

    memory = fsspec.filesystem("memory")
    for name, text in FILES.items():
        memory.pipe_file(f"/urls/project/{name}", text.encode())
    with tarfile.open(tmp_path / "project.tar.gz", "w:gz") as archive:
        archive.add(folder, ".")
    memory.pipe_file("/urls/project.tar.gz", (tmp_path / "project.tar.gz").read_bytes())
    rows = "".join(json.dumps({"content": text, "path": name}) + "\n" for name, text in FILES.items())
    memory.pipe_file("/urls/rows.jsonl", rows.encode())
    assert found("memory://urls/project") == found("memory://urls/project.tar.gz") == EXPECTED
    assert {name: language for name, (language, _) in found("memory://urls/rows.jsonl").items()} == {
        name: language for name, (language, _) in EXPECTED.items()
    }
    with pytest.raises(WorkFailed, match="nothing"):
        read("memory://urls/nothing.tar")


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
    *rows, large = read(path)
    assert (large.path, large.problem, large.text) == ("e.py", "too large", None)
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
        read(path)


def test_a_table_without_text_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"path": "a.py"}\n')
    with pytest.raises(CodeGeeXError, match="row 1: no text"):
        read(tmp_path / "a.jsonl")
    with pytest.raises(CodeGeeXError, match="does not exist"):
        sources.local(str(tmp_path / "none"))


def test_a_line_without_end_is_not_read(tmp_path):
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        for text in ("x = 1\n", "#" * (20 << 20), "x = 2\n"):
            file.write(json.dumps({"content": text, "path": "a.py"}) + "\n")
    assert [(one.text, one.problem) for one in read(tmp_path / "a.jsonl.gz")] == [
        ("x = 1\n", ""), (None, "too large"), ("x = 2\n", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["one member", "many lines"])
def test_what_expands_without_end_is_stopped(tmp_path, kind):
    """Four gigabytes of nothing, packed into four megabytes, are not unpacked."""
    path = tmp_path / ("bomb.tar.gz" if kind == "one member" else "bomb.jsonl.gz")
    info = tarfile.TarInfo("a.txt")
    info.size = 4 << 30
    head = info.tobuf() if kind == "one member" else b'{"content": "x = 1", "path": "a.py"}\n'
    block = gzip.compress(b"\0" * (64 << 20) if kind == "one member" else (b" " * 65535 + b"\n") * (1 << 10))
    path.write_bytes(gzip.compress(head) + block * 64)
    with pytest.raises(WorkFailed, match="unpack to"):
        read(path)


def test_a_zip_bomb_is_not_inflated(tmp_path):
    """Whether it says how large it is, or lies: a file of a gigabyte that calls itself small ends where it said."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("honest.py", b"#" * (50 << 20))
        archive.writestr("good.py", "x = 1\n")
    assert list(found(path)) == ["good.py"]
    assert problems(path) == {"honest.py": "too large"}
    data = path.read_bytes().replace((50 << 20).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(WorkFailed, match=r"bomb\.zip"):  # its checksum is not that of 500 bytes
        read(path)


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


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_a_header_without_end_is_not_read(tmp_path, kind):
    """Names and comments of a tar are read whole before its reader tells of them."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, 40 << 20
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(info.tobuf() + b"x" * info.size + b"\0" * 1024))
    with pytest.raises(WorkFailed, match="between two files"):
        read(tmp_path / "a.tar.gz")


def test_a_repository_that_names_more_files_than_it_has_is_stopped(tmp_path, monkeypatch):
    """Trees that hold the same tree ten times: 7 objects are 100,000 files."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    def git(*arguments, given):
        command = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode().strip()

    thing, kind = git("hash-object", "-w", "--stdin", given=b"x = 1\n" * 500), "100644 blob"
    for _ in range(5):
        lines = "".join(f"{kind} {thing}\t{n}{'.py' if 'blob' in kind else ''}\n" for n in range(10))
        thing, kind = git("mktree", given=lines.encode()), "040000 tree"
    git("update-ref", "HEAD", git("commit-tree", thing, given=b"all"), given=b"")
    monkeypatch.setattr(members, "ALWAYS_EXPANDS", 1 << 20)
    with pytest.raises(WorkFailed, match=r"unpack to|tells more than"):
        read(tmp_path)


def test_licence_files_by_their_names(tmp_path):
    texts = {"LICENSE": MIT, "sub/LICENSE.md": GPL, ".licenserc.yaml": "header: x\n", "license-header.txt": "(c) me\n"}
    for name, text in texts.items() | {"a.py": "a = 1\n", "sub/b.py": "b = 1\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert found(tmp_path) == {"a.py": ("python", "MIT"), "sub/b.py": ("python", "GPL-3.0-only")}


def test_what_may_not_be_read_is_told_and_the_rest_is_taken(folder, monkeypatch):
    """As for a user who is not root: root may read everything."""
    real = open

    def refusing(path, *arguments, **options):
        if str(path).endswith("b.go"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", refusing)
    assert found(folder) == {name: value for name, value in EXPECTED.items() if name != "src/b.go"}
    assert problems(folder) == {"src/b.go": "unreadable"}
    walk = os.walk

    def lost(top, onerror):
        yield from walk(top)
        onerror(PermissionError(13, "Permission denied", f"{top}/secret"))

    monkeypatch.setattr(members.os, "walk", lost)
    assert problems(folder) == {"src/b.go": "unreadable", "secret": "unreadable folder"}


def test_a_folder_of_a_web_server(folder):
    """Its lists tell no sizes; a file that is not there is an error of the web's own."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert found(f"{url}/src/") == {"a.py": ("python", ""), "b.go": ("go", "")}
            with pytest.raises(WorkFailed, match="none"):
                read(f"{url}/none.tar")
        finally:
            server.shutdown()
            thread.join()


def test_odd_rows_do_not_end_a_build(tmp_path):
    rows = [{"stars": 1e300}, {"stars": 1 << 63}, {"repo": "\ud800"}, {"license": "MIT\ud800"}, {"path": "\ud800.py"}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"content": "x = 1\n", "language": "python"} | row) + "\n" for row in rows))
    documents = read(path)
    assert [one.stars for one in documents] == [None] * 5
    assert [one.licence for one in documents] == ["", "", "", "MIT?", ""]
    for one in documents:
        f"{one.source}{one.licence}{one.path}".encode()


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
    assert problems(path) == dict.fromkeys(("../up.py", "/root.py", "in/../../out.py"), "unsafe path")
    assert set(os.listdir(tmp_path)) == before
    assert not Path("/root.py").exists()
