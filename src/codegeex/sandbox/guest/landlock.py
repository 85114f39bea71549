"""A Landlock domain: whoever is in it cannot look into, or send signals to, processes outside of it.

The residents have the programs' own user, so without it `/proc/PID/fd` and `/proc/PID/mem` of theirs are open to
programs. Kernels before 5.19, and those without Landlock, go on without; signals are held in from 6.12 on.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag: tell what the kernel knows, make nothing
_MAKE_BLOCK_DEVICES = 1 << 11  # a domain has to deny something; nobody here may do this anyway
_REFER = 1 << 13  # to move files from folder to folder, which every domain denies that does not say otherwise
_BENEATH = 1  # kind of a rule: for everything below a folder
_SIGNALS = 1 << 1
_PR_SET_NO_NEW_PRIVS = 38


def enter() -> None:
    """Put the calling process, and what it starts, into a domain of its own for good, where the kernel has such."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, _VERSION)
    if version < 2:  # the first one denies moving files, whatever one says
        return
    fields = (_MAKE_BLOCK_DEVICES | _REFER, 0, _SIGNALS)  # files, network, scope: longer with every version
    attributes = struct.pack("QQQ", *fields) if version >= 6 else struct.pack("Q", fields[0])
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    rules = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    root = os.open("/", os.O_PATH)
    allowed = struct.pack("=Qi", _REFER, root)
    if rules < 0 or libc.syscall(_ADD_RULE, rules, _BENEATH, allowed, 0) or libc.syscall(_RESTRICT_SELF, rules, 0):
        raise OSError(ctypes.get_errno(), "the kernel makes no Landlock domain")
    os.close(root)
    os.close(rules)
