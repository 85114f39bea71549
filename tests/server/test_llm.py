"""Simon Willison's `llm`, a client that people have in their terminals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LLM = Path(sys.executable).with_name("llm")


@pytest.fixture
def ask(server, tmp_path):
    if not LLM.is_file():
        pytest.skip("needs the package llm")
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: ours\n  model_name: nano\n  api_base: {server.url}/v1\n  completion: true\n"
    )
    environment = os.environ | {"LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}

    def run(*arguments):
        command = [LLM, "prompt", "-m", "ours", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


@pytest.mark.parametrize("streamed", [[], ["--no-stream"]])
def test_llm_continues_a_prompt(ask, server, streamed):
    prompt = "def add(a, b):"
    options = ["-o", "max_tokens", "12", "-o", "temperature", "0.5", "-o", "seed", "3"]
    done = ask(prompt, *options, *streamed)
    assert done.returncode == 0, done.stderr
    answer = server.post("/v1/completions", prompt=prompt, max_tokens=12, temperature=0.5, seed=3).json()
    assert done.stdout.strip() == answer["choices"][0]["text"].strip()


def test_llm_shows_what_the_server_says(ask):
    done = ask("def add(a, b):" * 500)
    assert done.returncode != 0
    assert "this model's context of 512" in done.stderr
    assert "Traceback" not in done.stderr
