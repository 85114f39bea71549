"""The corpus from sources to shards: what is in and out, that it is always the same, and what happens on failures."""

import gzip
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from pyarrow import parquet

from codegeex import shards, tokenizer
from codegeex.corpus import ledger
from codegeex.corpus.build import _mark, build
from codegeex.errors import CodeGeeXError

# Daft leaves the pipe of a worker process to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

SOLUTION = "    total = 0\n    for number in numbers:\n        total += number * number\n    return total\n"
HEADER = "# Copyright 2020 Somebody\n# SPDX-License-Identifier: MIT\n\n"
SMALL = ("vocab_size=400", "sequence_length=64")


def module(name, count=12):
    """A Python file of documented functions, over a kilobyte long; its names make it unlike all others."""
    functions = [
        f'def {name}_{word}({name}, second_{word}):\n    """Add {word} to the first number."""\n'
        f"    {word} = {name} + second_{word} * {index}\n    return {word} + {index}\n"
        for index, word in enumerate(f"item{letter}" for letter in "abcdefghijklmnopqrst"[:count])
    ]
    return HEADER + "\n\n".join(functions)


def archive(path, files):
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture
def world(tmp_path):
    """A recipe, a cache with an archive for each source, and a benchmark."""
    cache = tmp_path / "cache" / "pypi"
    alpha = {f"alpha/m{index}.py": module(f"alpha{index}") for index in range(6)} | {"alpha/s.py": "value = first\n"}
    alpha["alpha/near.py"] = module("alpha0").replace("return itema + 0", "return itema")
    leak = module("leak", count=8) + "\n\n" + f'def leak(numbers):\n    """Sum the squares."""\n{SOLUTION}'
    archive(cache / "alpha-1.0" / "alpha-1.0.tar.gz", alpha)
    beta = {"beta/a.py": module("alpha0"), "beta/leak.py": leak, "beta/vendor/c.py": module("vendored")}
    archive(cache / "beta-1.0" / "beta-1.0.tar.gz", beta | {"beta/long.py": "#" * 200_000})
    archive(
        cache / "gamma-1.0" / "gamma-1.0.tar.gz", {f"gamma/m{index}.py": module(f"gamma{index}") for index in range(3)}
    )
    names = "\n".join(
        f"  - {{name: {name}, registry: pypi, version: '1.0', licence: MIT, languages: [python]{extra}}}"
        for name, extra in (("alpha", ""), ("beta", ""), ("gamma", ", validation: true"))
    )
    (tmp_path / "sources.yaml").write_text(f"settings: {{vocab_size: 500}}\nsources:\n{names}\n")
    (tmp_path / "bench").mkdir()
    with gzip.open(tmp_path / "bench" / "humaneval_python.jsonl.gz", "wt") as file:
        file.write(json.dumps({"task_id": "Python/0", "canonical_solution": SOLUTION, "text": "Sum."}) + "\n")
    return tmp_path


def run(world, name, *settings, say=lambda line: None, inputs=None):
    inputs = inputs or [str(world / "sources.yaml")]
    return build(inputs, world / name, world / "cache", [world / "bench"], [*SMALL, *settings], say)


def digests(folder):
    """What is in a built corpus, but for the times in its reports."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("report.json", "report.html") and "verdicts" not in path.parts
    }


def text_of(folder, name, length=64):
    return tokenizer.load(folder / "tokenizer").decode(shards.Shards(folder / name, length).tokens.tolist())


def test_from_archives_to_shards(world):
    report = run(world, "out")
    dropped = {stage["name"]: stage["dropped"] for stage in report["stages"]}
    assert dropped["clean"] == {"benchmark": 1, "vendored path": 1, "too large": 1}
    assert dropped["duplicates"] == {"duplicate": 1, "near duplicate": 1}
    assert dropped["balance"] == {"too small": 1}
    assert report["languages"]["python"]["files"] == 6
    assert report["languages"]["python"]["pairs"] == 6 * 12
    assert json.loads((world / "out" / "report.json").read_text()) == report

    texts = {name: text_of(world / "out", name) for name in ("files", "pairs", "validation/python")}
    assert "gamma" not in texts["files"] + texts["pairs"]
    assert "alpha" not in texts["validation/python"]
    assert "# language: Python\n# Add itema to the first number\ndef alpha0_itema(" in texts["pairs"]
    assert "<|fim_middle|>" in texts["pairs"]
    assert "Copyright" not in texts["files"]
    assert "numbers" not in texts["files"]
    assert texts["files"].endswith("<|endoftext|>")
    assert not list(world.glob("*.build"))


def test_licences_that_are_taken_are_a_setting(world):
    recipe = world / "sources.yaml"
    recipe.write_text(recipe.read_text().replace("licence: MIT", "licence: GPL-3.0-only"))
    with pytest.raises(CodeGeeXError, match=r"'GPL-3\.0-only' is not one the corpus takes"):
        run(world, "out")
    header = "SPDX-License-Identifier: MIT"  # of every file here, which goes before that of its source
    assert header in module("x")
    assert run(world, "out", "licences=[gpl-3.0-only, MIT]")["languages"]["python"]["files"] == 6


def test_a_language_of_weight_0_gives_no_pairs_either(world):
    (world / "go").mkdir()
    function = "// Twice gives two times the number %d.\nfunc Twice%d(n int) int {\n\treturn n * 2 + %d\n}\n\n"
    text = "package twice\n\n" + "".join(function % (n, n, n) for n in range(30))
    (world / "go" / "a.go").write_text("// SPDX-License-Identifier: MIT\n\n" + text)
    inputs = [str(world / "sources.yaml"), str(world / "go")]
    assert run(world, "both", inputs=inputs)["languages"]["go"]["pairs"] > 0
    assert "go" not in run(world, "one", "mixture={go: 0}", inputs=inputs)["languages"]


def test_a_build_that_was_being_removed_starts_again(world):
    """Its mark is gone, some of its stages are not."""
    whole = run(world, "whole")
    said = []
    build_folder = world / "out.build"
    (build_folder / "read").mkdir(parents=True)
    (build_folder / "read" / "stage.json").write_text(json.dumps({"name": "read", "kept": 0, "dropped": {}}))
    assert run(world, "out", say=said.append)["languages"] == whole["languages"]
    assert not any("finished before" in line for line in said)


def test_every_file_has_a_verdict(world):
    run(world, "out")
    rows = [row for path in (world / "out" / "verdicts").iterdir() for row in parquet.read_table(path).to_pylist()]
    assert {(row["source"], row["path"]): row["reason"] for row in rows if row["reason"]} == {
        ("alpha", "alpha/s.py"): "too small",
        ("alpha", "alpha/near.py"): "near duplicate",
        ("beta", "beta/a.py"): "duplicate",
        ("beta", "beta/leak.py"): "benchmark",
        ("beta", "beta/vendor/c.py"): "vendored path",
        ("beta", "beta/long.py"): "too large",
    }
    assert len(rows) == 15
    assert all(row["measured"]["mean line"] > 0 for row in rows if row["path"] != "beta/long.py")


@pytest.mark.parametrize("packing", ["dense", "file", "fit"])
def test_a_window_is_traced_to_the_files_it_is_made_of(world, packing):
    run(world, "out", f"packing={packing}", "fim_rate=0")
    out = world / "out"
    vocabulary = tokenizer.load(out / "tokenizer")
    cache = world / "cache" / "pypi" / "alpha-1.0" / "alpha-1.0.tar.gz"
    with tarfile.open(cache) as tar:
        files = {info.name: tar.extractfile(info).read() for info in tar}
    documents = {name: b"# language: Python\n" + data.removeprefix(HEADER.encode()) for name, data in files.items()}
    windows = shards.Shards(out / "files", 64)
    assert len(windows) > 3
    for index in range(len(windows)):
        pieces = vocabulary.decode(windows.window(index).tolist()).encode().split(b"<|endoftext|>")
        found = ledger.origins(out / "files", index, 64)
        assert all((row["licence"], row["source"], row["version"]) == ("MIT", "alpha", "1.0") for row in found)
        assert all(row["sha256"] == hashlib.sha256(files[row["path"]]).hexdigest() for row in found)
        for piece in pieces:
            assert any(piece in documents[row["path"]] for row in found), piece
        # No file is named in vain: each has a piece that no other file has.
        assert all(any(piece in documents[row["path"]] for piece in pieces) for row in found)
        assert len(found) <= len(pieces)
    with pytest.raises(CodeGeeXError, match="windows 0 to"):
        ledger.origins(out / "files", len(windows), 64)


def test_the_same_sources_give_the_same_shards(world):
    run(world, "first")
    run(world, "second")
    assert digests(world / "first") == digests(world / "second")
    run(world, "third", "seed=2")
    assert digests(world / "third") != digests(world / "second")


def test_fill_in_the_middle_gives_the_text_back(world):
    run(world, "out", "fim_rate=1", "fim_spm=0.5", "sequence_length=400")
    plain = world / "plain"
    run(world, "plain", "fim_rate=0", "sequence_length=400")
    vocabulary = tokenizer.load(world / "out" / "tokenizer")
    documents = text_of(world / "out", "pairs", 400).split("<|endoftext|>")[:-1]
    expected = text_of(plain, "pairs", 400).split("<|endoftext|>")[:-1]
    assert len(documents) == len(expected) > 100
    kinds = {"psm": 0, "spm": 0}
    for document, whole in zip(documents, expected, strict=True):
        assert document.startswith("<|fim_prefix|>")
        rest = document.removeprefix("<|fim_prefix|>")
        if rest.startswith("<|fim_suffix|>"):
            kinds["spm"] += 1
            suffix, text = rest.removeprefix("<|fim_suffix|>").split("<|fim_middle|>")
            assert text + suffix == whole
        else:
            kinds["psm"] += 1
            prefix, rest = rest.split("<|fim_suffix|>")
            suffix, middle = rest.split("<|fim_middle|>")
            assert prefix + middle + suffix == whole
    assert min(kinds.values()) > len(documents) / 3
    assert vocabulary.has_fim


def test_one_may_bring_a_tokenizer_and_leave_pairs_out(world, byte_tokenizer):
    (world / "bytes").mkdir()
    byte_tokenizer.save(world / "bytes")
    report = run(world, "out", f"tokenizer={world / 'bytes'}", "pairs=false")
    assert tokenizer.load(world / "out" / "tokenizer").fingerprint == byte_tokenizer.fingerprint
    assert not (world / "out" / "pairs").exists()
    assert report["shards"]["files"]["tokenizer"] == byte_tokenizer.fingerprint


def test_a_damaged_source_is_told_and_left_out(world):
    (world / "cache" / "pypi" / "beta-1.0" / "beta-1.0.tar.gz").write_bytes(b"not an archive")
    report = run(world, "out")
    assert report["stages"][0]["dropped"] == {"damaged source": 1}
    assert "beta" in report["damaged"][0]
    assert (world / "out" / "report.html").read_text().count("damaged source") == 1
    assert report["languages"]["python"]["files"] == 6
    assert "beta-1.0.tar.gz" in (world / "out" / "report.html").read_text()


def test_with_nothing_left_there_is_no_output(world, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CodeGeeXError, match="no file of these sources is taken"):
        run(world, "out", inputs=[str(empty)])
    (empty / "a.py").write_text(module("a"))
    (empty / "b.py").write_text(module("b").replace("MIT", "GPL-3.0-only"))
    (empty / "a.py").write_bytes(b"\xff\xfe")
    with pytest.raises(CodeGeeXError, match=r"\(1 (licence|not UTF-8), 1 (licence|not UTF-8)\)"):
        run(world, "out", inputs=[str(empty)])
    (empty / "b.py").write_text(module("b", count=2))
    with pytest.raises(CodeGeeXError, match=r"nothing is left to learn from \(1 too small\)"):
        run(world, "out", "pairs=false", inputs=[str(empty)])
    (empty / "a.zip").write_bytes(b"PK no zip")
    with pytest.raises(CodeGeeXError, match=r"1 damaged source\)\. cannot read .*a\.zip"):
        run(world, "out", inputs=[str(empty / "a.zip")])
    assert not (world / "out").exists()
    assert not list(world.glob("*out*"))


def test_what_tells_that_a_source_is_another_one(world):
    """Of a folder, not what the build writes there; of a repository, its last commit."""
    own = {world / "out", world / "out.build", world / "cache"}
    before = _mark(str(world), own)
    for name in ("out", "out.build/read", "cache"):
        (world / name).mkdir(parents=True, exist_ok=True)
        (world / name / "new.py").write_text("x = 1\n")
    assert _mark(str(world), own) == before
    (world / "new.py").write_text("x = 1\n")
    assert _mark(str(world), own) != before
    if shutil.which("git") is None:
        return
    git = ["git", "-C", world, "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "new.py"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    before = _mark(str(world), own)
    (world / "other.log").write_text("a run\n")
    assert _mark(str(world), own) == before
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "two"], check=True)
    assert _mark(str(world), own) != before


def test_bad_recipes_are_refused_before_anything_is_made(world):
    (world / "other.yaml").write_text("sources: []\nsetings: {}\n")
    with pytest.raises(CodeGeeXError, match="unknown key setings"):
        run(world, "out", inputs=[str(world / "other.yaml")])
    (world / "other.yaml").write_text("sources: []\nsettings: {seed: 3}\n")
    with pytest.raises(CodeGeeXError, match="both have settings"):
        run(world, "out", inputs=[str(world / "other.yaml"), str(world / "sources.yaml")])
    (world / "out").mkdir()
    (world / "out" / "mine").write_text("")
    with pytest.raises(CodeGeeXError, match="exists already"):
        run(world, "out")
    assert not list(world.glob("*.build"))


COMMAND = """
import sys, time
from pathlib import Path
from codegeex.corpus.build import build
world = Path(sys.argv[1])
def say(line):
    print(line, flush=True)
    if line.startswith(sys.argv[2] + ":"):
        time.sleep(60)
build([str(world / "sources.yaml")], world / "out", world / "cache", [world / "bench"], sys.argv[3:], say)
"""


@pytest.mark.parametrize("stage", ["read", "clean", "pairs", "encode files", "pack"])
def test_a_build_that_is_killed_goes_on_and_ends_the_same(world, stage):
    run(world, "whole")
    process = subprocess.Popen([sys.executable, "-c", COMMAND, world, stage, *SMALL], stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(f"{stage}:"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert lines[-1].startswith(stage)
    assert not (world / "out").exists()
    (world / "out.build" / ".half.123.partial").mkdir()
    if stage == "pack":  # as if it had been killed a moment later
        (world / "out.build" / "pack" / "verdicts").mkdir()
        (world / "out.build" / "pack" / "verdicts" / "half.parquet").write_bytes(b"PAR1")
    said = []
    run(world, "out", say=said.append)
    before = [line for line in said if line.endswith("finished before")]
    assert len(before) == len(lines)
    assert digests(world / "out") == digests(world / "whole")
    assert len(parquet.read_table(world / "out" / "verdicts")) == 15
    assert not (world / "out.build").exists()


def test_other_settings_start_again(world):
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, world, "clean", *SMALL], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line.startswith("clean:"):
            break
    with pytest.raises(CodeGeeXError, match="another build is at work"):
        run(world, "out")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    said = []
    run(world, "out", "seed=5", say=said.append)
    assert "starts again" in said[0]
    assert not any("finished before" in line for line in said)


def test_a_full_disk_is_one_line_and_the_build_goes_on_later(world):
    """A file may not grow over 2 KB, which the system tells as it tells a full disk."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    command = [sys.executable, "-m", "codegeex", "corpus", "build", world / "sources.yaml", "--output", world / "out",
               "--cache", world / "cache", "--set", SMALL[0], "--set", SMALL[1]]  # fmt: skip
    failed = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "File too large" in failed.stderr.strip().splitlines()[-1]
    assert not (world / "out").exists()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["stages"][0]["name"] == "read"
    assert (world / "out" / "files" / "tokens.bin").is_file()


@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_shards(world):
    pytest.importorskip("ray")
    run(world, "local", "packing=fit")
    command = [sys.executable, "-m", "codegeex", "corpus", "build", world / "sources.yaml", "--output", world / "ray",
               "--cache", world / "cache", "--benchmark", world / "bench", "--ray", "local"]  # fmt: skip
    for setting in (*SMALL, "packing=fit"):
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    assert digests(world / "ray") == digests(world / "local")


def test_many_sources_and_stars(world):
    """Files of a table: without a star or a licence they stay out, and some repositories are for validation."""
    rows = [
        {"content": module(f"repository{index}"), "repository": f"owner/r{index}", "path": f"f{index}.py",
         "license": "MIT" if index % 2 else "", "stars": index % 3}
        for index in range(30)
    ]  # fmt: skip
    for row in rows:
        row["content"] = row["content"].removeprefix(HEADER)
    (world / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(world, "out", "validation_share=0.3", inputs=[str(world / "rows.jsonl")])
    dropped = {stage["name"]: stage["dropped"] for stage in report["stages"]}
    assert dropped["clean"] == {"licence": 15, "no stars": 5}
    origins = parquet.read_table(world / "out" / "files" / "ledger.parquet")["source"].to_pylist()
    held_out = parquet.read_table(world / "out" / "validation" / "python" / "ledger.parquet")["source"].to_pylist()
    assert set(origins)
    assert set(held_out)
    assert not set(origins) & set(held_out)
    assert len(set(origins) | set(held_out)) == 10


def test_the_report_is_a_page(world):
    report = run(world, "out")
    page = (world / "out" / "report.html").read_text()
    assert "Python" in page
    for stage in report["stages"]:
        assert stage["name"] in page
    for reason in ("benchmark", "vendored path", "near duplicate"):
        assert reason in page
    assert Path(world / "out" / "report.json").stat().st_size > 1000
