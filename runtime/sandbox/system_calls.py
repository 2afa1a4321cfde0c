"""A filter of system calls: what no solution of a task needs, and attacks do.

Namespaces do not cover everything: virtual sockets reach the host of a virtual machine
from any network namespace, shared memory is counted for nobody, and most ways out of a
kernel begin at a call that is rarely used. The filter is a list of what is refused with
EPERM; a list of what is allowed would break with each version of the C library.

The numbers are the kernel's, per processor: `asm/unistd.h`.
"""

from __future__ import annotations

import platform
import struct

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`."""

_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97

_NAMESPACE_FLAGS = 0x7E020080
"""CLONE_NEW*: time, mount, cgroup, uts, ipc, user, pid, net."""

_ALLOWED_SOCKETS = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6: the network has no devices inside."""

_X32 = 0x40000000
"""Bit of the numbers of x86-64's other calling convention, refused whole."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_SOCKET, _CLONE = (41, 198), (56, 220)

_REFUSED: dict[str, tuple[int, int]] = {
    # Looking into other processes.
    "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "perf_event_open": (298, 241), "process_madvise": (440, 440),
    # Mounts and namespaces.
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "unshare": (272, 97),
    "setns": (308, 268), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Memory that no limit counts.
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219),
    # Large and young parts of the kernel.
    "bpf": (321, 280), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "fanotify_init": (300, 262), "personality": (135, 92),
    # The machine itself; they need root anyway.
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "syslog": (103, 116),
}  # fmt: skip

_NO_SUCH_CALL = {"clone3": (435, 435)}
"""Its flags lie in memory, where no filter sees them; the C library then uses clone."""


def system_call_filter(machine: str | None = None) -> bytes | None:
    """Return the filter as the kernel takes it (classic BPF).

    Args:
        machine: Kind of processor; None: this machine's.

    Returns:
        None where the numbers of the processor's calls are not known.
    """
    known = _ARCHITECTURES.get(machine or platform.machine())
    if known is None:
        return None
    architecture, column = known
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if column == 0:
        code += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _ERROR | _ENOSYS)]
    for table, error in ((_REFUSED, _EPERM), (_NO_SUCH_CALL, _ENOSYS)):
        for numbers in table.values():
            code += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ERROR | error)]
    code += [
        (_EQUAL, 0, 4, _CLONE[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_HAS_BITS, 0, 1, _NAMESPACE_FLAGS),
        (_RETURN, 0, 0, _ERROR | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, len(_ALLOWED_SOCKETS) + 2, _SOCKET[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
    ]
    for left, family in reversed(list(enumerate(reversed(_ALLOWED_SOCKETS)))):
        code.append((_EQUAL, left + 1, 0, family))
    code += [(_RETURN, 0, 0, _ERROR | _EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in code)
