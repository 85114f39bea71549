"""What a supervisor lives in: a container made by bubblewrap or, without one, a folder and limits."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codegeex.errors import WorkFailed

_GUEST = Path(__file__).parent / "guest"
_WORK = "/box"
_FIRST_UID = 1 << 20
"""Users that no system has: as root, every container gets one of its own, so that each has its own count of threads."""

_PACKAGES = str(Path(np.__file__).parents[1])
"""Where numpy lies, which programs may use: perhaps the user's own packages, which Python leaves out here."""

_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.path.append(sys.argv.pop(1)); "
_BOOT += "from guest.supervisor import main; "
_BOOT += "main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))"

_SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf")
"""What compilers and runtimes of a distribution look for outside /usr. No configuration with secrets or names."""


class Broken(WorkFailed):
    """The container has died or does not answer; a new one is needed."""


class Container:
    """A supervisor and the connection to it.

    Args:
        isolated: whether to put it into namespaces of its own.
        roots: folders that its programs may read, besides the system's.
        disk_mb: size of the folder they work in; not limited where the container is not isolated.
        number: distinguishes the containers of this process.

    Raises:
        WorkFailed: it does not start.
    """

    def __init__(self, *, isolated: bool, roots: Iterable[Path], disk_mb: int, number: int):
        self._folder = None if isolated else tempfile.TemporaryDirectory(prefix="codegeex-", ignore_cleanup_errors=True)
        ours, theirs = socket.socketpair()
        with theirs:
            if self._folder is None:
                command = _bubblewrap(roots, disk_mb)
                arguments = [str(theirs.fileno()), _WORK, str(_own_uid(number))]
            else:
                command, arguments = [], [str(theirs.fileno()), self._folder.name, "0"]
            self._process = subprocess.Popen(
                [*command, sys.executable, "-I", "-c", _BOOT, str(_GUEST.parent), _PACKAGES, *arguments],
                pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._socket = ours
        self._stream = ours.makefile("rwb")
        self.work = Path(_WORK if self._folder is None else self._folder.name)

    def run(self, job: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
        """Have a job done; what became of its steps.

        Raises:
            Broken: no answer within so many seconds, or none at all.
        """
        self._socket.settimeout(seconds)
        try:
            self._stream.write(json.dumps(job).encode() + b"\n")
            self._stream.flush()
            answer = self._stream.readline()
        except TimeoutError:
            raise Broken(f"the sandbox gave no answer within {seconds:.0f} s.") from None
        except OSError:
            answer = b""
        if not answer:
            raise Broken(f"the sandbox broke down: {self._last_words()}")
        outcomes: list[dict[str, Any]] = json.loads(answer)
        return outcomes

    def close(self) -> None:
        """End everything in it."""
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()
        with contextlib.suppress(OSError):  # what was still to be written has nobody to read it
            self._stream.close()
        self._socket.close()
        if self._folder:
            self._folder.cleanup()

    def _last_words(self) -> str:
        self._process.kill()
        _, words = self._process.communicate()
        return words.decode(errors="replace").strip().splitlines()[-1] if words.strip() else "no word of why."


def isolation_problem() -> str | None:
    """Why programs cannot be isolated on this machine, and what to do; None if they can."""
    from codegeex.sandbox.guest import seccomp

    if sys.platform != "linux":
        return "isolation needs Linux namespaces."
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed: apt-get install bubblewrap."
    if not seccomp.SUPPORTED:
        return "the seccomp filter is written for x86-64 only."
    return _trial()


@functools.cache
def _trial() -> str | None:
    """Whether a container starts here; tried once."""
    try:
        container = Container(isolated=True, roots=[], disk_mb=1, number=0)
    except WorkFailed as error:
        return str(error)
    try:
        container.run({"files": {}, "steps": []}, seconds=30.0)
    except Broken as error:
        return f"bubblewrap makes no container here ({error}); are unprivileged user namespaces allowed?"
    finally:
        container.close()
    return None


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""A clean one: a program must not see ours, and some runtimes start more slowly with certain variables."""


def _own_uid(number: int) -> int:
    return _FIRST_UID + (os.getpid() << 8) + number if os.geteuid() == 0 else 0


def _bubblewrap(roots: Iterable[Path], disk_mb: int) -> list[str]:
    """The command that makes the container, up to what is to run in it."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--hostname", "sandbox"]
    if os.geteuid() == 0:
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]  # to become a user that owns nothing
    else:
        command += ["--unshare-user", "--disable-userns"]
    command += ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            command += ["--ro-bind", name, name]
    shown = (*_SYSTEM_FILES, *_folders(roots))
    for parent in sorted({str(parent) for name in shown for parent in Path(name).parents}):
        command += ["--dir", parent]  # those that bubblewrap makes by itself are its user's alone
    for name in shown:
        command += ["--ro-bind-try", name, name]
    command += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--perms", "1777", "--size", str(disk_mb << 20), "--tmpfs", _WORK, "--dir", "/tmp"]
    return [*command, "--remount-ro", "/", "--chdir", _WORK, "--"]


def _folders(roots: Iterable[Path]) -> Sequence[str]:
    """The folders to show, without those inside /usr, which is shown."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), _GUEST, Path(_PACKAGES), *roots}
    return sorted(str(path) for path in wanted if not path.is_relative_to("/usr"))
