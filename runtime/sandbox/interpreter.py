"""The Python that programs run on: the one codemix's environment was made from.

Inside it lies at one fixed place, without the packages that are installed for it, so
that neither paths nor packages of this machine can change what a program does.
"""

from __future__ import annotations

import functools
import glob
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from specs.errors import InputError

INSIDE = "/python"
"""Where the interpreter lies in the sandbox."""

_LDD_SECONDS = 60.0
_NAMED = re.compile(r"^\s+(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """An interpreter and all that it needs to start."""

    prefix: str
    """Folder that its own files lie in."""
    executable: str
    """Inside `prefix`, as all the other paths that are relative."""
    library: str
    """Folder of the standard library, inside `prefix`."""
    own_libraries: tuple[str, ...]
    """Shared libraries inside `prefix`."""
    loader: str | None
    """The dynamic loader; None: it needs none."""
    folders: tuple[str, ...]
    """Of the system's shared libraries."""
    version: str


@functools.cache
def find_interpreter() -> Interpreter:
    """Look at the base of this process's environment.

    Raises:
        InputError: Its files are spread, or what they need can't be listed.
    """
    prefix = os.path.realpath(sys.base_prefix)
    executable = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    library = os.path.realpath(Path(os.__file__).parent)
    for path in (executable, library):
        if not path.startswith(prefix + "/"):
            raise InputError(
                f"the sandbox can't take Python along: {path} is not in {prefix}",
                fix="make the environment from a Python that is installed in one place",
            )
    loader, own, folders = _shared_libraries(prefix, executable, library)
    return Interpreter(
        prefix=prefix,
        executable=os.path.relpath(executable, prefix),
        library=os.path.relpath(library, prefix),
        own_libraries=own,
        loader=loader,
        folders=folders,
        version=f"{platform.python_implementation()} {platform.python_version()}",
    )


def _shared_libraries(
    prefix: str, executable: str, library: str
) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    modules = sorted(glob.glob(f"{library}/lib-dynload/*.so"))
    folders = os.environ.get("LD_LIBRARY_PATH", "")
    try:
        done = subprocess.run(
            ["ldd", executable, *modules],
            capture_output=True,
            text=True,
            timeout=_LDD_SECONDS,
            check=False,
            # Where this process found its libraries, ldd finds them too.
            env={"PATH": os.defpath, "LD_LIBRARY_PATH": folders, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(
            f"the shared libraries of Python can't be listed: {error}",
            fix="install ldd, which comes with the C library",
        ) from error
    loader, own, system = None, set(), set()
    for name, path in _NAMED.findall(done.stdout):
        real = os.path.realpath(path)
        if not name:
            loader = path
        elif real.startswith(prefix + "/") and prefix != "/usr":
            own.add(os.path.relpath(path, prefix))
        else:
            system.add(os.path.dirname(real))
    return loader, tuple(sorted(own)), tuple(sorted(system))
