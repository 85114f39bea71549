"""The command line as a person meets it: output, exit codes, and one line for every mistake."""

import json
import resource
import subprocess
import sys

import pytest

from codegeex.cli import main

PYTHON_ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Runs the command line in this process, in an empty folder; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "add.py").write_text(PYTHON_ADD)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return run


@pytest.mark.parametrize("language", ["python", "cpp", "java", "javascript", "go", "rust"])
def test_generate_answers_in_every_language(run, language):
    code, out, err = run("generate", "write a factorial function", "--lang", language, "--greedy", "--max-tokens", 120)
    assert (code, err) == (0, "")
    assert out.strip()
    assert out.endswith("\n")


def test_json_is_one_object_with_the_contract_s_keys(run):
    code, out, _ = run(
        "generate", "add two numbers", "--lang", "go", "--json", "-n", 3, "--seed", 1, "--max-tokens", 20
    )
    answer = json.loads(out)
    assert code == 0
    assert len(answer["choices"]) == 3
    assert all(set(choice) >= {"text", "finish_reason"} for choice in answer["choices"])
    assert {choice["finish_reason"] for choice in answer["choices"]} <= {"stop", "length"}
    assert answer["usage"]["prompt_tokens"] > 5
    assert 3 <= answer["usage"]["completion_tokens"] <= 60


def test_seeds_reproduce_and_greedy_needs_none(run):
    sampled = ("generate", "sort a list", "--lang", "python", "--temperature", 1, "--max-tokens", 30, "--seed")
    assert run(*sampled, 7) == run(*sampled, 7)
    assert run(*sampled, 7) != run(*sampled, 8)
    greedy = ("generate", "sort a list", "--lang", "python", "--greedy", "--max-tokens", 30)
    assert run(*greedy) == run(*greedy)


def test_plain_and_json_answers_are_the_same_text(run):
    arguments = ("complete", "add.py", "--greedy", "--max-tokens", 25)
    text = json.loads(run(*arguments, "--json")[1])["choices"][0]["text"]
    assert run(*arguments)[1].rstrip("\n") == text.rstrip("\n")


def test_complete_reads_standard_input_and_a_suffix(run, tmp_path):
    (tmp_path / "after.py").write_text("    return total\n")
    code, out, _ = run("complete", "add.py", "--suffix", "after.py", "--greedy", "--json", "--max-tokens", 10)
    assert code == 0
    assert json.loads(out)["choices"]
    piped = subprocess.run(
        [sys.executable, "-m", "codegeex", "complete", "--lang", "python", "--greedy", "--max-tokens", "5"],
        input=b"def f(x):\n    return",
        capture_output=True,
        check=True,
    )
    assert piped.stdout


def test_translate_and_explain(run):
    code, out, _ = run("translate", "add.py", "--to", "cpp", "--greedy", "--max-tokens", 20)
    assert code == 0
    assert out
    code, out, _ = run("explain", "add.py", "--greedy", "--max-tokens", 20)
    assert code == 0
    assert out.startswith("def add(a, b):\n")


def test_beams_give_ranked_answers(run):
    code, out, _ = run("generate", "add", "--lang", "go", "--beams", 3, "-n", 2, "--max-tokens", 6)
    assert code == 0
    assert "// 1 of 2" in out
    assert "// 2 of 2" in out


def test_a_prompt_beyond_the_context_is_cut_and_said(run, tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * 2000)
    code, _, err = run("complete", "long.py", "--max-tokens", 5)
    assert code == 0
    assert "beginning was left out" in err


MISTAKES = [
    (("generate", "x", "--lang", "pyhton"), "unknown language 'pyhton': did you mean python"),
    (("generate", "  ", "--lang", "python"), "the intent is empty"),
    (("generate", "x"), "Missing option '--lang'"),
    (("generate", "x", "--lang", "python", "--temperature", -1), "temperature must be 0"),
    (("generate", "x", "--lang", "python", "--temperature", "nan"), "temperature must be 0"),
    (("generate", "x", "--lang", "python", "--temperature", "warm"), "Invalid value for '--temperature'"),
    (("generate", "x", "--lang", "python", "--top-p", 0), "top-p must be above 0"),
    (("generate", "x", "--lang", "python", "--top-p", 1.5), "top-p must be above 0"),
    (("generate", "x", "--lang", "python", "--top-k", -1), "top-k must be 0"),
    (("generate", "x", "--lang", "python", "-n", 0), "n must be at least 1"),
    (("generate", "x", "--lang", "python", "--beams", 0), "beams must be at least 1"),
    (("generate", "x", "--lang", "python", "--beams", 2, "-n", 3), "cannot give 3 answers"),
    (("generate", "x", "--lang", "python", "--max-tokens", 0), "max-tokens must be at least 1"),
    (("generate", "x", "--lang", "python", "--seed", -1), "seed must be 0"),
    (("generate", "x", "--lang", "python", "--stop", ""), "a stop text must not be empty"),
    (("generate", "x", "--lang", "python", "--greedy", "--temperature", 1), "contradict"),
    (("generate", "x", "--lang", "python", "--beams", 2, "--temperature", 1), "beam search draws nothing"),
    (("generate", "x", "--lang", "python", "--beams", 2, "--length-penalty", 1000), "length-penalty must be from"),
    (("tokenizer", "train", "empty.py", "--output", "made"), "hold no text"),
    (("generate", "x", "--lang", "python", "--model", "nowhere"), "no model directory at nowhere"),
    (("generate", "x", "--lang", "python", "--backend", "abacus"), "unknown backend 'abacus'"),
    (("complete", "missing.py"), "cannot read missing.py: No such file"),
    (("complete", "binary.py"), "binary.py is not UTF-8 text"),
    (("complete", "nul.py"), "holds NUL bytes"),
    (("complete", "empty.py"), "the code to complete is empty"),
    (("translate", "add.py", "--to", "klingon"), "unknown language 'klingon'"),
    (("translate", "noext", "--to", "cpp"), "does not tell its language; give it with --from"),
    (("explain", "noext"), "does not tell its language; give it with --lang"),
    (("convert", "official", "missing.pt", "out"), "cannot read missing.pt"),
    (("convert", "official", "add.py", "out"), "not a PyTorch checkpoint"),
    (("convert", "int8", "missing", "out"), "cannot read missing"),
    (("tokenizer", "decode", "add.py"), "ids must be whole numbers"),
    (("tokenizer", "encode", "add.py", "--tokenizer", "nowhere"), "no tokenizer in nowhere"),
    (("train", "missing.yaml"), "cannot read recipe missing.yaml"),
    (("corpus", "build", "missing.yaml", "--output", "out"), "missing.yaml"),
    (("nonsense",), "No such command 'nonsense'"),
    (("generate", "x", "--lang", "python", "--nonsense"), "No such option"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda value: str(value)[:60])
def test_mistakes_get_one_line_and_exit_code_2(run, tmp_path, arguments, message):
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00x")
    (tmp_path / "nul.py").write_bytes(b"a\0b")
    (tmp_path / "empty.py").write_bytes(b"\n")
    (tmp_path / "noext").write_text("x = 1")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_directory_of_another_version_is_refused(run, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"format_version": 99}')
    code, _, err = run("generate", "x", "--lang", "go", "--model", tmp_path / "model")
    assert code == 2
    assert "format version 99 is not supported" in err


def test_a_place_that_cannot_be_written_fails_in_one_line(run):
    code, _, err = run("tokenizer", "train", "add.py", "--vocab-size", 280, "--output", "add.py")
    assert code == 1
    assert err.startswith("error: add.py: ")
    assert err.count("\n") == 1


def test_tokenizer_verbs_are_inverses(run, tmp_path):
    text = "def f(x):\n        return 'é'  # 😀\n"
    (tmp_path / "text.py").write_text(text)
    code, ids, _ = run("tokenizer", "encode", "text.py")
    assert code == 0
    (tmp_path / "ids").write_text(ids)
    assert json.loads(run("tokenizer", "decode", "ids", "--json")[1])["text"] == text
    code, out, _ = run("tokenizer", "train", "text.py", "--vocab-size", 300, "--output", "made")
    assert code == 0
    assert "ids" in out
    assert run("tokenizer", "encode", "text.py", "--tokenizer", "made")[0] == 0


def test_doctor_finds_the_embedded_model(run):
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["model"]["ok"]
    assert report["model"]["parameters"] < 20e6
    assert run("doctor")[0] == 0


def test_version_and_help(run):
    assert run("--version")[1].startswith("codegeex ")
    assert "generate" in run("--help")[1]
    code, _, err = run()
    assert code == 2
    assert err.startswith("Usage:")


def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m codegeex generate 'sort a list' --lang python --greedy | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=60)
    assert b"Traceback" not in done.stderr


def test_the_base_install_answers_in_three_seconds():
    """Without PyTorch and the other extras, process start included; the best of three, since machines are shared."""
    blocked = ("torch", "yaml", "matplotlib", "safetensors", "hypothesis")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); from codegeex.cli import main; "
        "main(['generate', 'write a factorial function', '--lang', 'python', '--greedy'])"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
    assert min(seconds) < 3


def test_import_is_light():
    program = "import sys, codegeex; print({'torch', 'numpy', 'typer', 'tokenizers'}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
