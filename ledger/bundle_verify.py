"""Check a codemix bundle with nothing but Python: `python verify.py [ZIP or FOLDER]`.

A copy of this file is in every bundle. It compares the size and the SHA-256 of every
file with what the bundle's description says, the name of every entry and object with
its bytes, and follows the chain of the log. Who made the bundle it can't tell: compare
the entry's digest, which it prints, with one that you were given another way.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import unquote

METADATA = "ro-crate-metadata.json"
CHUNK_BYTES = 2**20


def check(names: list[str], open_file: Callable[[str], IO[bytes]]) -> list[str]:
    """Return everything that is wrong."""
    if METADATA not in names:
        return [f"{METADATA} is missing"]
    with open_file(METADATA) as file:
        graph = json.load(file)["@graph"]
    files = {unquote(one["@id"]): one for one in graph if "File" in one["@type"]}
    wrong = [f"{name} is missing" for name in sorted(set(files) - set(names))]
    for name in sorted(set(names) - {METADATA}):
        sha256, num_bytes = _digest(open_file, name)
        said = files.get(name)
        if said is None:
            wrong.append(f"{name} is not described")
        elif (said["sha256"], said["contentSize"]) != (sha256, str(num_bytes)):
            wrong.append(f"{name} is not what is described")
        if name.startswith(("ledger/entries/", "ledger/objects/")):
            own = name.rpartition("/")[2].removesuffix(".json")
            if own != sha256:
                wrong.append(f"{name} is not what its name says")
    if "ledger/order.jsonl" in names:
        with open_file("ledger/order.jsonl") as file:
            lines = file.read().split(b"\n")[:-1]
        for number, (before, line) in enumerate(zip(lines, lines[1:]), start=2):  # noqa: B905, RUF007
            if json.loads(line)["prev"] != hashlib.sha256(before).hexdigest():
                wrong.append(f"ledger/order.jsonl: the chain breaks at line {number}")
    return wrong


def main(arguments: list[str]) -> int:
    """Check what the command line names; return the exit code."""
    place = Path(arguments[0]) if arguments else Path(__file__).parent
    if place.is_dir():
        found = [path for path in place.rglob("*") if path.is_file()]
        names = [path.relative_to(place).as_posix() for path in found]
        wrong = check(names, lambda name: (place / name).open("rb"))
        metadata = (place / METADATA).read_bytes()
    else:
        with zipfile.ZipFile(place) as bundle:
            names = bundle.namelist()
            wrong = check(names, bundle.open)
            metadata = bundle.read(METADATA)
    root = next(one for one in json.loads(metadata)["@graph"] if one["@id"] == "./")
    told = [f"wrong: {one}" for one in wrong] or [f"ok  {len(names)} files"]
    told.append(f"entry {root['identifier']}")
    sys.stdout.write("".join(f"{line}\n" for line in told))
    return 1 if wrong else 0


def _digest(open_file: Callable[[str], IO[bytes]], name: str) -> tuple[str, int]:
    digest, num_bytes = hashlib.sha256(), 0
    with open_file(name) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            num_bytes += len(chunk)
    return digest.hexdigest(), num_bytes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
