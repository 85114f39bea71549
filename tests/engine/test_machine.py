"""What a container allows counts, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codegeex.engine import machine

GB = 1 << 30


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 32 GB free, and this process in a group inside another."""
    inner = tmp_path / "groups" / "pods" / "mine"
    inner.mkdir(parents=True)
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {32 * GB // 1024} kB\n")
    (tmp_path / "own").write_text("0::/pods/mine\n")
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    return inner


def limit(group: Path, most: str, used: int, kept: int, cpu: str) -> None:
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(
        f"anon 5\ninactive_file {kept // 2}\nactive_file {kept // 4}\nslab_reclaimable {kept // 4}\n"
    )
    (group / "cpu.max").write_text(f"{cpu}\n")


def test_without_limits_the_machine_counts(groups: Path) -> None:
    assert (machine.free_memory(), machine.available_processors()) == (32 * GB, 64)
    limit(groups, "max", 5 * GB, GB, "max 100000")
    assert (machine.free_memory(), machine.available_processors()) == (32 * GB, 64)


def test_the_narrowest_group_counts(groups: Path) -> None:
    limit(groups, str(8 * GB), 3 * GB, GB, "250000 100000")
    assert (machine.free_memory(), machine.available_processors()) == (6 * GB, 3)
    limit(groups.parent, str(4 * GB), 3 * GB, 0, "50000 100000")
    assert (machine.free_memory(), machine.available_processors()) == (GB, 1)
    limit(groups.parent, str(GB), 3 * GB, 0, "max 100000")
    assert machine.free_memory() == 0


def test_where_the_system_tells_nothing(groups: Path, tmp_path: Path) -> None:
    (tmp_path / "own").unlink()
    (tmp_path / "meminfo").unlink()
    assert (machine.free_memory(), machine.available_processors()) == (4 * GB, 64)
