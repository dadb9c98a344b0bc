"""Keep a process from opening connections, by Landlock: a Linux security module that needs no privilege.

A second wall: which servers a query calls is decided by reading it, and a reader can be wrong.
"""

import ctypes
import os
from typing import Final

_SYS_CREATE_RULESET: Final = 444
_SYS_RESTRICT_SELF: Final = 446
"""Numbers of system calls, the same on all architectures but Alpha."""
_CREATE_RULESET_VERSION: Final = 1
_NETWORK_ABI_VERSION: Final = 4
"""The first version of Landlock's interface that knows of the network (Linux 6.7)."""
_ACCESS_NET_CONNECT_TCP: Final = 2
_PR_SET_NO_NEW_PRIVS: Final = 38


class _Ruleset(ctypes.Structure):
    """What a ruleset is about (`struct landlock_ruleset_attr`); there are no rules, so all of it is denied."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


def is_available() -> bool:
    """Whether the kernel can deny connections."""
    version = ctypes.CDLL(None, use_errno=True).syscall(
        _SYS_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION
    )
    return bool(version >= _NETWORK_ABI_VERSION)


def deny_connections() -> bool:
    """Let this process, and whatever it forks, connect to nobody by TCP from now on.

    Connections that are open stay so, and sockets of other kinds are as before. Returns whether the kernel does so.
    """
    if not is_available():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = _Ruleset(0, _ACCESS_NET_CONNECT_TCP)
    ruleset = libc.syscall(_SYS_CREATE_RULESET, ctypes.byref(wanted), ctypes.c_size_t(ctypes.sizeof(wanted)), 0)
    if ruleset < 0:
        return False
    try:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(_SYS_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
