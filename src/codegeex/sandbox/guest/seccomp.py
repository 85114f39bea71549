"""A seccomp filter, assembled by hand: what a program may not ask of the kernel.

The filter denies rather than allows: six language runtimes ask for some two hundred calls between them, which change
with every release, while the calls that lead out of a container are few and known. Denied calls return an error, so
that a runtime which merely tries them goes on.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

SUPPORTED = platform.machine() == "x86_64"
"""Call numbers differ from machine to machine; these are x86-64's."""

_DENIED = {
    # other processes' memory and secrets
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "process_madvise": 440,
    "process_mrelease": 448, "pidfd_open": 434, "pidfd_getfd": 438, "pidfd_send_signal": 424, "tkill": 200,
    "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "keyctl": 250, "add_key": 248, "request_key": 249,
    # how much of the machine others get, the supervisor among them
    "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203,
    "sched_setattr": 314, "ioprio_set": 251,
    # memory that no limit counts, and things that outlive their maker
    "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240,
    # another view of the system
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "personality": 135,
    # parts of the kernel with a history of holes
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "io_uring_setup": 425, "io_setup": 206, "modify_ldt": 154,
    "fanotify_init": 300, "iopl": 172, "ioperm": 173, "lookup_dcookie": 212, "move_pages": 279, "migrate_pages": 256,
    "mbind": 237, "set_mempolicy": 238, "uselib": 134, "vhangup": 153, "syslog": 103, "acct": 163, "quotactl": 179,
    # the machine itself
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "reboot": 169, "swapon": 167, "swapoff": 168, "sethostname": 170, "setdomainname": 171, "settimeofday": 164,
    # the network, and abstract sockets to neighbours
    "socket": 41,
}  # fmt: skip
_FORKS = {"fork": 57, "vfork": 58}
_CLONE, _CLONE3, _MMAP, _IOCTL, _FCNTL, _KILL, _TGKILL, _PRLIMIT = 56, 435, 9, 16, 72, 62, 234, 302
_CLONE_THREAD = 0x10000
_SHARED_ANONYMOUS = 0x21  # MAP_SHARED | MAP_ANONYMOUS
_SET_OWNER, _SET_OWNER_EX = 8, 15  # who gets the signals of a descriptor
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # type into the terminal
_X32 = 0x40000000  # a second table of call numbers on the same machine
_ARCH_X86_64 = 0xC000003E

_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _KILL_PROCESS, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # struct seccomp_data

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2

_Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def assemble(pid: int, forks: bool) -> bytes:
    """The filter of one process.

    Args:
        pid: the process, which may send signals to itself alone.
        forks: whether it may start processes, as compilers do. Without them, the limits of a process are the limits of
            the program.
    """
    denied = {**_DENIED} if forks else {**_DENIED, **_FORKS}
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, _ARCH_X86_64),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL_PROCESS),
    ]
    for number in denied.values():
        program += _on(number, [_fail(errno.EPERM)])
    if not forks:
        # Its flags lie in memory, out of a filter's sight; told that there is no such call, libraries use clone.
        program += _on(_CLONE3, [_fail(errno.ENOSYS)])
        program += _on(_CLONE, [_argument(0), (_AND, 0, 0, _CLONE_THREAD), *_unless(_CLONE_THREAD)])
        program += _on(_KILL, [_argument(0), *_unless(pid)])
        program += _on(_TGKILL, [_argument(0), *_unless(pid)])
    program += _on(_MMAP, [_argument(3), (_AND, 0, 0, _SHARED_ANONYMOUS), *_if(_SHARED_ANONYMOUS)])
    program += _on(_PRLIMIT, [_argument(0), (_EQUAL, 2, 0, 0), *_unless(pid)])
    program += _on(_FCNTL, [_argument(1), (_EQUAL, 1, 0, _SET_OWNER), *_if(_SET_OWNER_EX)])
    program += _on(_IOCTL, [_argument(1), (_EQUAL, 1, 0, _TIOCSTI), *_if(_TIOCLINUX)])
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def install(pid: int, forks: bool) -> None:
    """Put the calling process, and what it starts, under its filter for good.

    Raises:
        OSError: the kernel does not take it.
    """
    code = assemble(pid, forks)
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(code, len(code))

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    program = Filter(len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


def _on(number: int, body: list[_Instruction]) -> list[_Instruction]:
    """`body` for one call; it ends in a return."""
    return [(_EQUAL, 0, len(body), number), *body]


def _argument(index: int) -> _Instruction:
    """The lower half of an argument; ids and flags have no more."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)


def _fail(number: int) -> _Instruction:
    return (_RETURN, 0, 0, _ERROR | number)


def _if(value: int) -> list[_Instruction]:
    return [(_EQUAL, 0, 1, value), _fail(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _unless(value: int) -> list[_Instruction]:
    return [(_EQUAL, 1, 0, value), _fail(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
