"""Block outbound TCP connections of a process with Landlock, a Linux security module that needs no privileges.

This is a second line of defence: the first one parses the query for SERVICE clauses, and a parser may have bugs.
"""

import ctypes
import os
from typing import Final

_SYS_CREATE_RULESET: Final = 444
_SYS_RESTRICT_SELF: Final = 446
"""System call numbers, equal on all architectures except Alpha."""
_CREATE_RULESET_VERSION: Final = 1
_NETWORK_ABI_VERSION: Final = 4
"""The first version of Landlock's ABI with network rules (Linux 6.7)."""
_ACCESS_NET_CONNECT_TCP: Final = 2
_PR_SET_NO_NEW_PRIVS: Final = 38


class _Ruleset(ctypes.Structure):
    """The accesses that a ruleset handles (`struct landlock_ruleset_attr`); without rules all of them are denied."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64))


def is_available() -> bool:
    """Return whether the kernel supports network rules."""
    version = ctypes.CDLL(None, use_errno=True).syscall(
        _SYS_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION
    )
    return bool(version >= _NETWORK_ABI_VERSION)


def deny_connections() -> bool:
    """Deny new TCP connections to this process and to its children; return whether the kernel supports that.

    Open connections and sockets of other families are not affected.
    """
    if not is_available():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = _Ruleset(0, _ACCESS_NET_CONNECT_TCP)
    ruleset = libc.syscall(_SYS_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(ctypes.sizeof(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return bool(libc.syscall(_SYS_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)
