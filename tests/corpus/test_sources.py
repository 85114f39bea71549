"""Source lists, downloads through the clients, and reading archives in memory."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from codegeex import recipes
from codegeex.corpus import members, readers, sources
from codegeex.corpus.sources import Source
from codegeex.errors import CodeGeeXError

ROOT = Path(__file__).resolve().parents[2]


def source(registry: str = "debian", languages: tuple[str, ...] = ("cpp", "c"), **more: tuple[str, ...]) -> Source:
    return Source("demo", registry, "1.0", "MIT", languages, **more)  # type: ignore[arg-type]


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w:xz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("demo/link.cpp")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("name", ["demo.orig.tar.gz", "demo.orig.tar.xz"])
def test_tar_members_become_documents(tmp_path: Path, name: str) -> None:
    archive = tar(
        tmp_path / name,
        {
            "demo/b.h": b"#pragma once\r\nint f();\n",
            "demo/a.cpp": b"int f() { return 1; }\n",
            "demo/README": b"text",
            "demo/script.py": b"print(1)\n",
            "demo/latin.cpp": b"// \xe9\n",
            "demo/big.cpp": b"x" * (members.MAX_MEMBER_BYTES + 1),
            "../escape.cpp": b"int g();\n",
            "/absolute.cpp": b"int h();\n",
        },
    )
    documents = list(readers.read(archive, source()))
    found = [document for document in documents if not document.problem]
    assert {document.path: document.problem for document in documents if document.problem} == {
        "../escape.cpp": "unsafe path", "/absolute.cpp": "unsafe path", "demo/big.cpp": "too large",
        "demo/latin.cpp": "not UTF-8", "demo/link.cpp": "link",
    }  # fmt: skip
    assert [(document.path, document.language) for document in found] == [("demo/a.cpp", "cpp"), ("demo/b.h", "cpp")]
    assert found[1].text == "#pragma once\nint f();\n"
    assert (found[0].source, found[0].licence) == ("demo", "MIT")


def test_headers_are_c_where_there_is_no_cpp(tmp_path: Path) -> None:
    archive = tar(tmp_path / "demo.tar.gz", {"demo/a.c": b"int f(void);\n", "demo/a.h": b"int f(void);\n"})
    assert {document.language for document in readers.read(archive, source()) if not document.problem} == {"c"}


def test_wheels_are_read(tmp_path: Path) -> None:
    archive = tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("demo/__init__.py", "value = 1\n")
        opened.writestr("demo/vendored/other.py", "value = 2\n")
        opened.writestr("demo/data.json", "{}")
    wheel = source("pypi", ("python",), skip=("*/vendored/*",))
    assert [document.path for document in readers.read(archive, wheel)] == ["demo/__init__.py"]


def test_only_and_skip_apply_below_the_top_folder(tmp_path: Path) -> None:
    members = {f"package/{name}.js": b"x\n" for name in ("src/a", "src/gen/b", "lib/c")}
    archive = tar(tmp_path / "demo-1.0.tgz", members)
    npm = source("npm", ("javascript",), only=("src/*",), skip=("src/gen/*",))
    assert [document.path for document in readers.read(archive, npm)] == ["package/src/a.js"]


def test_a_vendored_package_is_wanted_only_when_named() -> None:
    listed = source(only=("library/*", "vendor/itertools/*"))
    assert listed.names_vendored("rustc/vendor/itertools/src/lib.rs")
    assert not listed.names_vendored("rustc/library/vendor/x.rs")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "demo.tar.gz"
    archive.write_bytes(b"not an archive")
    with pytest.raises(CodeGeeXError, match="demo"):
        list(readers.read(archive, source()))


def test_fetch_downloads_once_and_keeps_only_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ntouch demo-1.0.tgz notes.txt\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    for _ in range(2):
        fetched = list(sources.fetch([source("npm")], tmp_path / "cache"))
        assert [Path(path).name for _, path in fetched] == ["demo-1.0.tgz"]
    assert (tmp_path / "calls").read_text().splitlines() == ["pack --silent --ignore-scripts demo@1.0"]


def test_a_failed_download_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "bin" / "pip"
    client.parent.mkdir()
    client.write_text("#!/bin/sh\ntouch half.whl\necho 'no such version' >&2\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(CodeGeeXError, match=r"demo 1\.0: no such version"):
        list(sources.fetch([source("pypi")], tmp_path / "cache"))
    assert list((tmp_path / "cache" / "pypi").iterdir()) == []


def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CodeGeeXError, match="apt-get is needed"):
        list(sources.fetch([source()], tmp_path / "cache"))


def load(path: Path) -> tuple[Source, ...]:
    return sources.parse(recipes.read(path), path)


@pytest.mark.parametrize(("name", "least"), [("nano-sources.yaml", 6), ("languages-sources.yaml", 23)])
def test_the_recipes_are_valid_and_have_their_languages(name: str, least: int) -> None:
    listed = load(ROOT / "recipes" / name)
    keys = {key for entry in listed for key in entry.languages}
    assert keys >= {"python", "cpp", "java", "javascript", "go", "rust"}
    assert len(keys) >= least


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{name: a, registry: hub, version: "1", licence: MIT, languages: [python]}', "registry"),
        ('{name: a, registry: npm, version: "1", licence: MIT, languages: [klingon]}', "klingon"),
        ("{name: a, registry: npm, licence: MIT, languages: [python]}", "bad source"),
        ("{name: a, registry: local, path: nowhere}", "path that exists"),
        ("{name: a, registry: local, path: ., stars: many}", "stars must be a whole number"),
        ("a", "bad source"),
        (
            "{name: a, registry: npm, version: 1.10, licence: MIT, languages: [python]}",
            "version must be a text, in quotes",
        ),
        (
            '{name: a, registry: npm, version: "1", licence: MIT, languages: [go], skip: "tests/*"}',
            "skip must be a list",
        ),
    ],
)
def test_bad_entries_are_refused(tmp_path: Path, entry: str, message: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(f"sources:\n  - {entry}\n")
    with pytest.raises(CodeGeeXError, match=message):
        load(path)
