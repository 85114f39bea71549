"""The README does what it says: its commands run, its program runs, its tree is the tree."""

import re
import shlex
from pathlib import Path

import pytest

from codegeex.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def use_commands():
    section = README.partition("\n## Use\n")[2]
    lines = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()
    commands = [shlex.split(line, comments=True) for line in lines]
    return [command[1:] for command in commands if command[0] == "codegeex"]


@pytest.mark.parametrize("command", use_commands(), ids=lambda command: command[0])
def test_commands_run(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "add.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "prog.go").write_text("package main\n\nfunc Add(a, b int) int {\n")
    (tmp_path / "rest.go").write_text("}\n")
    with pytest.raises(SystemExit) as end:
        main(command)
    assert not end.value.code
    assert capsys.readouterr().out.strip()


def test_the_program_runs(capsys):
    (program,) = blocks("python")
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert len(re.findall(r" (?:stop|length)$", printed, re.MULTILINE)) >= 3


def test_the_tree_is_the_tree():
    tree = re.search(r"^```\n(src/codegeex/.*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    for line in tree.splitlines():
        name = line.split()[0]
        assert (ROOT / "src" / "codegeex" / name if line.startswith("  ") else ROOT / name).exists(), line
    listed = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}
    folders = {path.name for path in (ROOT / "src" / "codegeex").iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders <= {name.split("/")[0] for name in listed}


def test_no_placeholders_are_left():
    assert not re.search(r"@[A-Z]{3,}@|TODO|FIXME", README)


def test_links_lead_somewhere():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "src/codegeex/assets/nano/README.md"]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]
    assert len(links) > 5
    assert not [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()]
