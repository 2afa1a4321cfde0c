"""Addresses of data: `hf://`, `s3://`, `gs://` and http(s), and patterns over them."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from specs.rules import broken, shown

BUCKET_SCHEMES = ("s3", "gs")
REMOTE_SCHEMES = ("http", "https", "hf", *BUCKET_SCHEMES)
"""Where data can be downloaded from."""

DEFAULT_REVISION = "main"

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$", re.DOTALL)
_WILD = re.compile(r"[*?\[]")
_DATASET = re.compile(
    r"""(?x) datasets/ (?P<repo>[\w.-]+/[\w.-]+)
    (?: @ (?P<revision> refs/(?:convert|pr)/[\w.-]+ | [^/@]+ ) )?
    / (?P<path>.+)"""
)
_HUB_SHAPE = "hf://datasets/ORG/NAME@REVISION/path/*.parquet"


@dataclass(frozen=True)
class Remote:
    """An address, in its parts."""

    scheme: str
    place: str
    """Bucket, or ORG/NAME on the hub; of http(s) the host."""
    path: str
    """Of a file, or a pattern over files; of http(s) its plain path."""
    revision: str | None = None
    """On the hub: a commit, branch or tag."""

    @property
    def is_pattern(self) -> bool:
        """Whether it may name several files."""
        return (
            self.scheme not in ("http", "https") and _WILD.search(self.path) is not None
        )

    @property
    def folder(self) -> str:
        """The folder that all its files are in: what stands before any wildcard."""
        fixed = _WILD.split(self.path, maxsplit=1)[0] if self.is_pattern else self.path
        return posixpath.dirname(fixed)

    @property
    def below(self) -> str:
        """The path or pattern below that folder."""
        return self.path.removeprefix(self.folder).removeprefix("/")


def scheme_of(uri: str) -> str | None:
    """Return the scheme of an address in lower case, or None for a path."""
    match = _SCHEME.match(uri)
    return None if match is None else match[1].lower()


def parse_remote(uri: str) -> Remote:
    """Take an address apart.

    >>> found = parse_remote("hf://datasets/org/name@v1/data/en/*.parquet")
    >>> found.place, found.revision, found.folder, found.below
    ('org/name', 'v1', 'data/en', '*.parquet')

    Raises:
        BrokenRules: It is none that data can be downloaded from.
    """
    match = _SCHEME.match(uri)
    scheme = scheme_of(uri)
    if match is None or scheme not in REMOTE_SCHEMES:
        what = f"must be a path or one of {', '.join(REMOTE_SCHEMES)}, got {shown(uri)}"
        raise broken(what, "download it into the workspace and name the path")
    if scheme == "hf":
        return _parse_dataset(uri, match[2])
    if scheme in BUCKET_SCHEMES:
        bucket, _, key = match[2].partition("/")
        if not bucket or not key or key.endswith("/"):
            what = f"must name files in a bucket, got {shown(uri)}"
            raise broken(what, f"write {scheme}://BUCKET/path/*.parquet")
        return Remote(scheme, bucket, key)
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if posixpath.basename(path) in ("", ".", ".."):
        what = f"the address must end in a file name, got {uri!r}"
        raise broken(what, "name the address of a file")
    return Remote(scheme, parts.netloc, path)


def _parse_dataset(uri: str, rest: str) -> Remote:
    match = _DATASET.fullmatch(rest)
    if match is None or match["path"].endswith("/"):
        what = f"must be {_HUB_SHAPE}, got {shown(uri)}"
        raise broken(what, "name the files; a revision is a commit, branch or tag")
    revision = unquote(match["revision"] or DEFAULT_REVISION)
    return Remote("hf", match["repo"], match["path"], revision)


def matches(pattern: str, path: str) -> bool:
    """Whether a path fits a pattern, as in a workspace.

    `*` and `?` stay within a folder, `**` is any number of folders, and neither finds
    a name that begins with a dot.

    >>> matches("**/*.parquet", "en/a.parquet"), matches("*.parquet", "en/a.parquet")
    (True, False)
    """
    return _fits(pattern.split("/"), path.split("/"))


def _fits(pattern: list[str], path: list[str]) -> bool:
    if not pattern or not path:
        return not pattern and not path
    first, *others = pattern
    if first == "**":
        if not others:
            return not any(name.startswith(".") for name in path)
        if _fits(others, path):
            return True
        return not path[0].startswith(".") and _fits(pattern, path[1:])
    if path[0].startswith(".") and not first.startswith("."):
        return False
    return fnmatch.fnmatchcase(path[0], first) and _fits(others, path[1:])
