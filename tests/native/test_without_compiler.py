"""Where there is no compiler, the package builds without its C++ engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_build_without_a_compiler_leaves_the_engine_out(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    shutil.copytree(ROOT / "src", project / "src", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "./project"]
    environment = os.environ | {"CC": "/bin/false", "CXX": "/bin/false"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("codegeex-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "codegeex/engine/numpy_backend.py" in names
    assert "codegeex/assets/nano/model.safetensors" in names
    assert not [name for name in names if "_native." in name and not name.endswith(".pyi")]
