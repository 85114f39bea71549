"""What this process may take of the machine: free memory and processors, within the limits of its control groups."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
MEMORY = Path("/proc/meminfo")


def free_memory() -> int:
    """Bytes of main memory that can be taken without swapping; 4 GiB where the system does not tell."""
    lines = (line for line in _read(MEMORY).splitlines() if line.startswith("MemAvailable:"))
    known = next((int(line.split()[1]) * 1024 for line in lines), 4 << 30)
    return int(min([known, *map(_free_of, _groups())]))


def available_processors() -> int:
    """Processors that this process may use; a container with half of one's time has one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *map(_share_of, _groups())])))


def _groups() -> Iterator[Path]:
    """The control groups (version 2) that this process is in, from the innermost one."""
    for line in _read(OWN_GROUP).splitlines():
        if line.startswith("0::/"):
            inside = Path(line[4:])
            yield from (GROUPS / part for part in (inside, *inside.parents))


def _free_of(group: Path) -> float:
    """Bytes that are left of a group's memory; what it only keeps of files counts as free."""
    most, used = _read(group / "memory.max").strip(), _read(group / "memory.current").strip()
    if not most.isdigit() or not used.isdigit():
        return math.inf
    stat = dict(line.split() for line in _read(group / "memory.stat").splitlines())
    kept = sum(int(stat.get(name, 0)) for name in ("inactive_file", "active_file", "slab_reclaimable"))
    return max(0, min(int(most), int(most) - int(used) + kept))


def _share_of(group: Path) -> float:
    """Processors whose time a group may take, the last one in part."""
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    return math.ceil(int(quota) / int(period)) if quota.isdigit() and period.isdigit() else math.inf


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
