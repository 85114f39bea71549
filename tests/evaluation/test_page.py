"""The report in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from codegeex.evaluation.builtin import NAME
from codegeex.evaluation.page import page
from codegeex.evaluation.report import make_report

CODE = "    return '<script>document.title = \"broken\"</script>'\n"


def made(**changes):
    settings = {
        "model": "<b>mine</b>",
        "task": "generation",
        "source": None,
        "samples": 10,
        "temperatures": {"1": 0.8, "10": 0.8},
        "sampling": {"top_p": 0.95, "max_tokens": 8},
        "seed": 1,
        "repairs": False,
        "sandbox": {"isolation": "bubblewrap, seccomp", "toolchains": {"python": "Python 3"}},
    } | changes
    results = [
        {
            "task_id": f"{prefix}/{number}",
            "language": key,
            "temperature": 0.8,
            "index": index,
            "prompt": "def f():\n",
            "completion": CODE,
            "verdict": "passed" if index < number else "wrong",
            "detail": "AssertionError & more",
        }
        for prefix, key in (("Python", "python"), ("CPP", "cpp"), ("Go", "go"))
        for number in range(3)
        for index in range(10)
    ]
    return page(make_report(settings, results))


@pytest.fixture(scope="module")
def html():
    return made()


def test_only_what_compares_stands_beside_published_scores(html):
    assert "CodeGeeX-13B" in html
    assert "CodeGeeX-13B" not in made(repairs=True)
    own = made(benchmark=NAME)
    assert "CodeGeeX-13B" not in own
    assert "Repairs off" not in own
    assert f"<title>{NAME}: " in own
    assert "pass@1 of seen families: 10.00. pass@1 of unseen families: " in own


def test_nothing_of_a_model_is_markup(html):
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;mine" in html


def test_it_needs_nothing_else(html):
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|https?://", html)


def test_a_browser_shows_it(html, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium to look with")
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=60).stdout
    assert "<title>HumanEval-X: &lt;b&gt;mine&lt;/b&gt;</title>" in shown
    assert shown.count("<svg") == 4  # bars and a radar, for two k
    assert "CodeGeeX-13B" in shown
    assert ">10.00 <small>" in shown  # 0, 1 and 2 of 10
    assert shown.count("<details>") == 9
