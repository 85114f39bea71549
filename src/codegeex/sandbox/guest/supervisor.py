"""The first process of a container: takes jobs from the host, runs their steps one by one, cleans up.

A job is one JSON object a line, on a socket that no program inherits: files to write into the work folder, and steps,
each a process under limits. What the programs run as cannot touch this process: the kernel shields the first process of
a container from its children's signals, and it is not dumpable, so that its memory and files stay shut.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import math
import os
import resource
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import landlock, python_program, seccomp

_NEARLY = 0.75
"""Share of its time after which a process that fails was stopped: a compiler whose child is stopped ends by itself, and
the kernel, which counts ticks, stops it some hundredths before `wait4` says that the time was over, on a machine whose
processors are lent to others meanwhile a fifth before."""

_REPORT_BYTES = 256
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 4, 36, 1
_LIBC = ctypes.CDLL(None, use_errno=True)

Step = dict[str, Any]
Outcome = dict[str, Any]


def main(connection: int, work: str, uid: int) -> None:
    """Serve the host until it hangs up.

    Args:
        connection: the socket's number.
        work: the folder to work in, which is emptied before every job.
        uid: whom to become, where this process may choose; else 0.
    """
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with socket.socket(fileno=os.dup(connection)) as host:
        os.close(connection)
        while os.open("/dev/null", os.O_RDONLY) <= python_program.REPORT:
            pass  # a process of a step may then have the low numbers for its own
        Supervisor(host, Path(work)).serve()


class Supervisor:
    """Runs jobs.

    Args:
        host: where they come from.
        work: the folder to work in.
    """

    def __init__(self, host: socket.socket, work: Path):
        self._host, self._work = host, work
        self._preloaded = False
        self._residents: dict[str, subprocess.Popen[bytes]] = {}

    def serve(self) -> None:
        with self._host.makefile("rwb") as stream:
            for line in stream:
                reply = self._job(json.loads(line))
                stream.write(json.dumps(reply).encode() + b"\n")
                stream.flush()

    def _job(self, job: dict[str, Any]) -> list[Outcome]:
        self._clean()
        for name, text in job["files"].items():
            path = self._work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        outcomes = []
        for number, step in enumerate(job["steps"], 1):
            if number == len(job["steps"]) > 1:
                # They say the secret; what was compiled of them says it less plainly.
                for name in job["files"]:
                    (self._work / name).unlink(missing_ok=True)
            outcome = self._ask_resident(step) if step["kind"] == "resident" else self._process(step)
            outcomes.append(outcome)
            if outcome["status"] or outcome["ended"] != "exit":
                break
        return outcomes

    def _clean(self) -> None:
        """Empty the work folder, whatever a program did to it."""
        for path in self._work.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, onerror=_insist)
            else:
                path.unlink()

    # ---- processes ---------------------------------------------------------------------------------------------------

    def _process(self, step: Step) -> Outcome:
        """One process, from its start to its end."""
        if step["kind"] == "python" and not self._preloaded:
            python_program.preload()
            gc.collect()
            gc.freeze()  # forked processes would copy every page whose objects the collector looks at
            self._preloaded = True
        output, output_end = os.pipe()
        report, report_end = os.pipe()
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._become(step, output_end, report_end)
        os.close(output_end)
        os.close(report_end)
        process = os.pidfd_open(pid)
        try:
            ended, said, reported = _follow(process, output, report, begun + step["wall"], step["output_bytes"])
            if ended != "exit":
                os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            self._end_group(pid)
            said += _rest(output, step["output_bytes"] - len(said))
            reported += _rest(report, _REPORT_BYTES - len(reported))
        finally:
            for descriptor in (process, output, report):
                os.close(descriptor)
        seconds = usage.ru_utime + usage.ru_stime
        stopped = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU
        if stopped or seconds >= step["seconds"] * (_NEARLY if status else 1):
            ended = "timeout"
        return {
            "ended": ended,
            "status": os.waitstatus_to_exitcode(status),
            "seconds": seconds,
            "memory_mb": usage.ru_maxrss / 1024,
            "output": said.decode(errors="replace"),
            "report": reported.decode(errors="replace"),
        }

    def _become(self, step: Step, output: int, report: int) -> None:
        """Turn the forked process into the step's. Does not return."""
        try:
            os.setsid()
            given, given_end = os.pipe()
            os.write(given_end, step["stdin"].encode())
            os.dup2(given, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(report, 3)
            os.closerange(4, 1 << 16)
            os.chdir(self._work)
            _limit(step)
            landlock.enter()
            environment = step["env"]
            if step["kind"] != "python":
                if seccomp.SUPPORTED:
                    seccomp.install(os.getpid(), step["forks"])
                os.execve(step["argv"][0], step["argv"], environment)
            os.environ.clear()
            os.environ.update(environment)
            if seccomp.SUPPORTED:
                seccomp.install(os.getpid(), forks=False)
            os._exit(python_program.main(step["source"], step["tests"], step["secret"]))
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        os._exit(127)

    def _end_group(self, pid: int) -> None:
        """End what a step left behind. The residents live in sessions of their own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        residents = {process.pid for process in self._residents.values()}
        for child in _children():
            if child not in residents:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)

    # ---- residents ---------------------------------------------------------------------------------------------------

    def _ask_resident(self, step: Step) -> Outcome:
        """Have a tool that stays do the step: it gets the work folder's name, and answers with lines, then a status."""
        key = json.dumps(step["argv"])
        process = self._residents.get(key)
        if process is None or process.poll() is not None:
            process = self._residents[key] = self._start_resident(step)
        assert process.stdin is not None
        assert process.stdout is not None
        before, said = _cpu_seconds(process.pid), bytearray()
        deadline = time.monotonic() + step["wall"]
        ended, status = "exit", 1
        # What answers to others' requests is thrown away: a program may have found a way to the compiler's ear.
        request = secrets.token_hex(16)
        end = b""
        try:
            process.stdin.write(f"{request} {self._work}\n".encode())
            process.stdin.flush()
            while True:
                if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    ended = "timeout"
                    break
                part = os.read(process.stdout.fileno(), 1 << 16)
                said += part
                *answers, rest = said.split(b"\0")
                end = next((bytes(one) for one in answers if request.encode() in one.rpartition(b"\n")[2]), b"")
                if not part or end:
                    break
                said = rest
        except BrokenPipeError:
            said.clear()
        seconds = _cpu_seconds(process.pid) - before
        if end:
            text, _, last = end.rpartition(b"\n")
            said, status = bytearray(text), int(last.split()[1])
        else:
            process.kill()
            process.wait()
            del self._residents[key]
            if ended == "exit":
                said += b"\nthe compiler itself broke down"
        return {
            "ended": ended,
            "status": status,
            "seconds": seconds,
            "memory_mb": 0.0,
            "output": said[: step["output_bytes"]].decode(errors="replace"),
            "report": "",
        }

    def _start_resident(self, step: Step) -> subprocess.Popen[bytes]:
        def prepare() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (step["file_bytes"], step["file_bytes"]))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if seccomp.SUPPORTED:
                seccomp.install(os.getpid(), forks=True)

        return subprocess.Popen(
            step["argv"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=step["env"],
            cwd="/",
            start_new_session=True,
            preexec_fn=prepare,
        )


def _follow(process: int, output: int, report: int, deadline: float, most: int) -> tuple[str, bytearray, bytearray]:
    """Read what a process says until it ends, the time is up, or it has said too much."""
    said, reported = bytearray(), bytearray()
    poll = select.poll()
    for descriptor in (process, output, report):
        poll.register(descriptor, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "timeout", said, reported
        for descriptor, _ in poll.poll(left * 1000 + 1):
            if descriptor == process:
                return "exit", said, reported
            data = os.read(descriptor, 1 << 16)
            if not data:
                poll.unregister(descriptor)
            elif descriptor == report:
                if len(reported) < _REPORT_BYTES:
                    reported += data
            elif len(said) + len(data) > most:
                said += data[: most - len(said)]
                return "output", said, reported
            else:
                said += data


def _rest(descriptor: int, most: int) -> bytes:
    """What is left in a pipe, up to a size."""
    os.set_blocking(descriptor, False)
    parts = bytearray()
    while len(parts) < most:
        try:
            part = os.read(descriptor, most - len(parts))
        except BlockingIOError:
            break
        if not part:
            break
        parts += part
    return bytes(parts)


def _limit(step: Step) -> None:
    """Put the calling process under the step's limits."""
    seconds = math.ceil(step["seconds"])
    memory = step["memory_mb"] << 20
    if step["kind"] == "python":
        memory += _private_bytes()
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    # Without a container of their own, programs are counted together with all that their user runs.
    processes = step["processes"] + _threads_of_user()
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (step["file_bytes"], step["file_bytes"]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stack = min(8 << 20, *(limit for limit in resource.getrlimit(resource.RLIMIT_STACK) if limit >= 0), 8 << 20)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))


def _private_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) << 10
    return 0


def _threads_of_user() -> int:
    """Threads of the calling process's user, as far as they are to be seen."""
    threads = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if folder.stat().st_uid == os.getuid():
                threads += len(os.listdir(folder / "task"))
    return threads


def _children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in text.read_text().split()] if text.exists() else []


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _insist(function: Any, path: str, _: Any) -> None:
    """Remove what a program has locked against its removal."""
    parent = os.path.dirname(path)
    os.chmod(parent, 0o700)
    if not os.path.islink(path):
        os.chmod(path, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
