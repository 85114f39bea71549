"""The C++ engine under address, undefined-behaviour and thread sanitizers, without Python around it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "src" / "codegeex" / "native"


NEEDED = {"avxvnni": "avx_vnni", "avx512": "avx512_vnni"}
"""What Linux calls the instructions of kernels that many processors cannot run."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_no_sanitizer_complains(sanitizers: str, tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("needs cmake and a C++ compiler")
    known = Path("/proc/cpuinfo").read_text().split()
    idle = ";".join(isa for isa, flag in NEEDED.items() if flag not in known)
    configure = ["cmake", "-S", SOURCES, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=", "-DCMAKE_CXX_FLAGS=-O1"]
    asked = [f"-DEXERCISE={HERE / 'exercise.cpp'}", f"-DSANITIZE={sanitizers}", f"-DIDLE={idle}"]
    subprocess.run([*configure, *asked], check=True)
    subprocess.run(["cmake", "--build", tmp_path, "--target", "exercise", "--parallel", "2"], check=True)
    # setarch: older thread sanitizers know no address space as random as that of new kernels.
    command = ["setarch", "-R", tmp_path / "exercise"] if sanitizers == "thread" else [tmp_path / "exercise"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]
    assert "portable: ok" in result.stdout
